# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of a service, as Consul's API defines them: who makes them, how often, and what follows.

`ttl` is fed by the process that registers the service; all others are made by the agent. Each function gives a mapping with
the API's own names, and those of `consul.Check` of python-consul2 and py-consul are taken as well.
Source: https://developer.hashicorp.com/consul/api-docs/agent/check#register-check
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from . import arguments
from .errors import InvalidValueError

DEFAULT_TTL, DEFAULT_INTERVAL = 10.0, 10.0
# Consul takes no less for the time after which it removes a service, in seconds, and looks every 30 s.
LEAST_DEREGISTER_AFTER = 60.0
# Longer times, in seconds, are mistakes: ten years.
_LONGEST = 315360000.0

# What a check may be, of which it is exactly one.
_KINDS = ("TTL", "HTTP", "TCP", "GRPC", "H2PING", "UDP", "Args", "DockerContainerID", "OSService", "AliasService", "AliasNode")
_DURATIONS = ("TTL", "Interval", "Timeout", "DeregisterCriticalServiceAfter")
# The API's names by the spellings that libraries have for them, in small letters and without underscores.
_NAMES: dict[str, str] = {
    **{name.lower(): name for name in (*_KINDS, *_DURATIONS)},
    **{
        name.lower(): name
        for name in (
            *("CheckID", "Name", "Notes", "Status", "Method", "Header", "Body", "DisableRedirects", "Shell"),
            *("TLSSkipVerify", "TLSServerName", "TCPUseTLS", "GRPCUseTLS", "H2PingUseTLS", "OutputMaxSize"),
            *("SuccessBeforePassing", "FailuresBeforeWarning", "FailuresBeforeCritical"),
        )
    },
    "id": "CheckID",
    "scriptargs": "Args",
}


def ttl(ttl: float | str = DEFAULT_TTL, **options: Any) -> dict[str, Any]:
    """Critical unless the process says that it is well within this time; `Service` does so at each third of it.

    options: of every check: `name` and `notes` (for people), `id`, `deregister_after` (seconds of being critical after which
    Consul removes the service, at least 60; 0: never) and `status`, from which it starts. Raises `InvalidValueError`.
    """
    return {"TTL": duration(arguments.duration(ttl, "ttl", 0.1, _LONGEST)), **_common(**options)}


def http(
    url: str,
    *,
    interval: float | str = DEFAULT_INTERVAL,
    timeout: float | str | None = None,
    method: str | None = None,
    headers: Mapping[str, str | Sequence[str]] | None = None,
    body: str | None = None,
    tls_server_name: str | None = None,
    validate_certs: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """The agent asks the URL: 2xx is passing, 429 warning, everything else critical.

    interval: seconds between two requests, or a duration such as `10s`. timeout: Consul's is 10 s. method: Consul's is GET.
    options: as for `ttl`, and for each check that the agent makes: `success_before_passing`, `failures_before_warning` and
    `failures_before_critical`, how many results in a row it takes. Raises `InvalidValueError`.
    """
    check = {"HTTP": _url(url), **_interval(interval, timeout)}
    if method is not None:
        check["Method"] = arguments.name(method, "method")
    if headers is not None:
        check["Header"] = judged_headers(headers)
    if body is not None:
        check["Body"] = arguments.text(body, "body")
    return {**check, **_tls(tls_server_name, validate_certs), **_common(agents=True, **options)}


def tcp(
    address: str,
    *,
    interval: float | str = DEFAULT_INTERVAL,
    timeout: float | str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The agent connects to `host:port`. Options as for `http`. Raises `InvalidValueError`."""
    return {"TCP": _host_and_port(address), **_interval(interval, timeout), **_common(agents=True, **options)}


def grpc(
    target: str,
    *,
    interval: float | str = DEFAULT_INTERVAL,
    timeout: float | str | None = None,
    use_tls: bool = False,
    tls_server_name: str | None = None,
    validate_certs: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """The agent asks gRPC's own health service at `host:port`, or at `host:port/service`. Options as for `http`.

    Raises `InvalidValueError`.
    """
    check = {"GRPC": _target(target), **_interval(interval, timeout)}
    if arguments.boolean(use_tls, "use_tls"):
        check["GRPCUseTLS"] = True
    return {**check, **_tls(tls_server_name, validate_certs), **_common(agents=True, **options)}


def define(given: object) -> dict[str, Any]:
    """A check from a mapping in Consul's own terms, of any kind, in the API's names.

    Its kind, by exactly one of: ttl, http (a URL), tcp, udp, h2ping (`host:port`), grpc (`host:port/service`), args (a command and
    its arguments; in a container with docker_container_id and shell), os_service (a name), alias_service (the id of another
    service) or alias_node; the last two together are a service of another node.
    What it takes: id, name, notes, status (that it starts with), interval, timeout, method, header (a text or a list of texts by
    name), body, disable_redirects, tls_server_name, tls_skip_verify, tcp_use_tls, grpc_use_tls, h2ping_use_tls,
    output_max_size, success_before_passing, failures_before_warning, failures_before_critical,
    deregister_critical_service_after. What is `None` counts as not given. Raises `InvalidValueError`.
    """
    check = {}
    for field, value in arguments.fields(given, "check", tuple(_FIELDS)).items():
        if value is not None:
            check[_NAMES[field.replace("_", "")]] = _FIELDS[field](value, field)
    kinds = [field for field in _KIND_FIELDS if _NAMES[field.replace("_", "")] in check]
    if len(kinds) != 1 and kinds not in (["alias_service", "alias_node"], ["args", "docker_container_id"]):
        raise InvalidValueError(f"a check is one of {', '.join(_KIND_FIELDS)}, and this one is {' and '.join(kinds) or 'none of them'}")
    made = kinds[0] not in ("ttl", "alias_service", "alias_node")
    if made != ("Interval" in check):
        raise InvalidValueError(f"interval: {'is missing' if made else 'is of no use'} for a check by {kinds[0]}")
    warning, critical = (check.get(f"FailuresBefore{status}", 0) for status in ("Warning", "Critical"))
    if warning > critical:
        raise InvalidValueError(f"failures_before_warning: {warning} is more than failures_before_critical, which is {critical}")
    return check


def definitions(given: object, service_id: str, deregister_after: float) -> list[dict[str, Any]]:
    """The checks of a service with an id each, from one mapping or several.

    The first one's id is `service:ID`, as Consul itself would call it, the others' `service:ID:2` and so on.
    deregister_after: seconds, for each that says nothing of it; 0 for never. Raises `InvalidValueError`.
    """
    several: Any = [given] if isinstance(given, Mapping) else given
    if not isinstance(several, Iterable) or isinstance(several, (str, bytes)):
        raise InvalidValueError(f"checks: {arguments.shown(given)} is neither a check nor a list of checks")
    defined = []
    for number, check in enumerate(several, 1):
        one = _definition(check)
        one.setdefault("CheckID", f"service:{service_id}" if number == 1 else f"service:{service_id}:{number}")
        if deregister_after and "DeregisterCriticalServiceAfter" not in one:
            one["DeregisterCriticalServiceAfter"] = duration(deregister_after)
        defined.append(one)
    ids = [one["CheckID"] for one in defined]
    if len(set(ids)) < len(ids):
        raise InvalidValueError(f"checks: two of them have the same id among {', '.join(map(arguments.shown, ids))}")
    return defined


def duration(seconds: float) -> str:
    """The seconds as Consul reads them: `90s`, `1500ms`."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{max(1, round(seconds * 1000))}ms"


def _definition(check: object) -> dict[str, Any]:
    if not isinstance(check, Mapping) or not all(isinstance(name, str) for name in check):
        raise InvalidValueError(f"checks: {arguments.shown(check)} is no check", advice="Make one by checks.ttl, http, tcp or grpc")
    named = {_api_name(name): value for name, value in check.items() if value is not None}
    kinds = [kind for kind in _KINDS if kind in named]
    if len(kinds) != 1 and kinds != ["AliasService", "AliasNode"] and kinds != ["Args", "DockerContainerID"]:
        raise InvalidValueError(f"checks: a check is one of {', '.join(_KINDS)}, and this one is {' and '.join(kinds) or 'none of them'}")
    for name in _DURATIONS:
        if name in named:
            named[name] = duration(arguments.duration(named[name], f"checks: {name}", 0.0, _LONGEST))
    if "TTL" not in named and "Interval" not in named and not kinds[0].startswith("Alias"):
        raise InvalidValueError(f"checks: a check by {kinds[0]} needs an Interval")
    if "CheckID" in named:
        arguments.name(named["CheckID"], "checks: CheckID")
    try:
        json.dumps(named)
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError(f"checks: {arguments.shown(check)} holds what is no JSON") from None
    return named


def _api_name(name: str) -> str:
    # What is not known here may be of a newer Consul, which judges it.
    return _NAMES.get(name.replace("_", "").lower(), name)


def _common(
    *,
    agents: bool = False,
    name: str | None = None,
    id: str | None = None,  # noqa: A002 - Consul's own term
    notes: str | None = None,
    status: str | None = None,
    deregister_after: float | str | None = None,
    success_before_passing: int | None = None,
    failures_before_warning: int | None = None,
    failures_before_critical: int | None = None,
) -> dict[str, Any]:
    check: dict[str, Any] = {}
    if name is not None:
        check["Name"] = arguments.name(name, "name")
    if id is not None:
        check["CheckID"] = arguments.name(id, "id")
    if notes is not None:
        check["Notes"] = arguments.text(notes, "notes")
    if status is not None:
        check["Status"] = arguments.choice(status, "status", ("passing", "warning", "critical"))
    if deregister_after is not None:
        check["DeregisterCriticalServiceAfter"] = duration(deregistration(deregister_after))
    counts = {
        "success_before_passing": success_before_passing,
        "failures_before_warning": failures_before_warning,
        "failures_before_critical": failures_before_critical,
    }
    for argument, count in counts.items():
        if count is not None:
            if not agents:
                raise InvalidValueError(f"{argument}: is of no use for a check that the agent does not make")
            check[_NAMES[argument.replace("_", "")]] = arguments.integer(count, argument, 0, 1000)
    return check


def deregistration(after: object, what: str = "deregister_after") -> float:
    """The seconds after which Consul removes a critical service, 0 for never; raises `InvalidValueError`."""
    seconds = arguments.duration(after, what, 0.0, _LONGEST)
    if 0 < seconds < LEAST_DEREGISTER_AFTER:
        raise InvalidValueError(
            f"{what}: {arguments.shown(after)} is less than the {LEAST_DEREGISTER_AFTER:g} s that Consul waits at least",
            advice="Give 60 or more, or 0 for never",
        )
    return seconds


def _interval(interval: object, timeout: object) -> dict[str, Any]:
    # Consul makes a second of anything shorter.
    timing = {"Interval": duration(arguments.duration(interval, "interval", 1.0, _LONGEST))}
    if timeout is not None:
        timing["Timeout"] = duration(arguments.duration(timeout, "timeout", 0.001, _LONGEST))
    return timing


def _tls(server_name: object, validate_certs: object) -> dict[str, Any]:
    check: dict[str, Any] = {}
    if server_name is not None:
        check["TLSServerName"] = arguments.name(server_name, "tls_server_name")
    if not arguments.boolean(validate_certs, "validate_certs"):
        check["TLSSkipVerify"] = True
    return check


def judged_headers(headers: object, what: str = "headers") -> dict[str, list[str]]:
    """The headers of a request, each as a list of texts; raises `InvalidValueError`, which shows none of them."""
    if not isinstance(headers, Mapping):
        raise InvalidValueError(f"{what}: {arguments.shown(headers)} is no mapping of names to values")
    found = {}
    for name, value in headers.items():
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not all(isinstance(one, str) and not re.search(r"[\x00-\x1f\x7f]", one) for one in values):
            # A header may be a credential, so its value is not shown.
            raise InvalidValueError(f"{what}: the value of {arguments.shown(name)} is no text on one line, nor a list of such")
        found[arguments.name(name, what)] = [arguments.text(one, what) for one in values]
    return found


def _url(url: object, what: str = "url") -> str:
    given = arguments.name(url, what)
    try:
        parts = urlsplit(given)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InvalidValueError(f"{what}: {arguments.shown(url)} is no URL such as http://127.0.0.1:8000/health")
    return given


def _target(target: object, what: str = "target") -> str:
    place, slash, service = arguments.name(target, what).partition("/")
    return f"{_host_and_port(place, what)}{slash}{service}"


def _host_and_port(address: object, what: str = "address") -> str:
    given = arguments.name(address, what)
    try:
        parts = urlsplit(f"//{given}")
        good = bool(parts.hostname and parts.port and parts.netloc == given and not re.search(r"[\s@]", given))
    except ValueError:
        good = False
    if not good:
        raise InvalidValueError(f"{what}: {arguments.shown(given)} is no address such as 127.0.0.1:8000 or [::1]:8000")
    return given


def _command(value: object, what: str) -> list[str]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (list, tuple)) or not value:
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no list of a command and its arguments")
    given = [arguments.text(one, what) for one in value]
    if not given[0] or any("\0" in one for one in given):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no list of a command and its arguments")
    return given


def _within(least: float) -> Callable[[object, str], str]:
    return lambda value, what: duration(arguments.duration(value, what, least, _LONGEST))


def _count(value: object, what: str) -> int:
    return arguments.integer(value, what, 0, 1000)


_KIND_FIELDS = ("ttl", "http", "tcp", "udp", "grpc", "h2ping", "args", "docker_container_id", "os_service", "alias_service", "alias_node")
# How each field of `define` is judged.
_FIELDS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("id", "name", "method", "shell", "tls_server_name", *_KIND_FIELDS[7:]), arguments.name),
    **dict.fromkeys(("disable_redirects", "tls_skip_verify", "tcp_use_tls", "grpc_use_tls", "h2ping_use_tls"), arguments.boolean),
    **dict.fromkeys(("success_before_passing", "failures_before_warning", "failures_before_critical"), _count),
    **dict.fromkeys(("tcp", "udp", "h2ping"), _host_and_port),
    "notes": arguments.text,
    "body": arguments.text,
    "status": lambda value, what: arguments.choice(value, what, ("passing", "warning", "critical")),
    "ttl": _within(0.1),
    "http": _url,
    "grpc": _target,
    "args": _command,
    "header": judged_headers,
    # Consul makes a second of anything shorter.
    "interval": _within(1.0),
    "timeout": _within(0.001),
    "output_max_size": lambda value, what: arguments.integer(value, what, 1, 2**31 - 1),
    "deregister_critical_service_after": lambda value, what: duration(deregistration(value, what)),
}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of a task, and how what there is compares with them.

Consul does not tell what a check looks at, nor what a sidecar was made of. So each service carries in its meta a digest of the
definition that it was made from (`_definition_mark`); with it, and with all that Consul does tell, what there is can be compared exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import _definition_mark
from ._module import Task, Thing, without_none
from .uwsgi_consul import arguments, definitions
from .uwsgi_consul.checks import judged_headers
from .uwsgi_consul.errors import ConflictError, InvalidValueError
from .uwsgi_consul.protocol import seconds

CHECK: dict[str, Any] = {
    **{name: {"type": "str"} for name in ("id", "name", "notes", "http", "method", "body", "tcp", "udp", "grpc", "h2ping", "ttl")},
    **{name: {"type": "str"} for name in ("os_service", "alias_service", "alias_node", "docker_container_id", "shell")},
    **{name: {"type": "str"} for name in ("interval", "timeout", "deregister_critical_service_after", "tls_server_name")},
    **{name: {"type": "bool"} for name in ("disable_redirects", "tls_skip_verify", "tcp_use_tls", "grpc_use_tls", "h2ping_use_tls")},
    **{name: {"type": "int"} for name in ("failures_before_warning", "failures_before_critical")},
    # Ansible takes "pass" for a password.
    "success_before_passing": {"type": "int", "no_log": False},
    "args": {"type": "list", "elements": "str"},
    "status": {"type": "str", "choices": ["passing", "warning", "critical"]},
    "header": {"type": "dict"},
    "secret_header": {"type": "dict", "no_log": True},
    "output_max_size": {"type": "int"},
}
SERVICE: dict[str, Any] = {
    "name": {"type": "str"},
    "id": {"type": "str"},
    "address": {"type": "str"},
    "port": {"type": "int"},
    "tags": {"type": "list", "elements": "str"},
    "meta": {"type": "dict"},
    "weights": {"type": "dict", "options": {"passing": {"type": "int", "no_log": False}, "warning": {"type": "int"}}},
    "tagged_addresses": {"type": "dict"},
    "enable_tag_override": {"type": "bool"},
    "checks": {"type": "list", "elements": "dict", "options": CHECK},
    "kind": {"type": "str", "choices": list(definitions.KINDS)},
    "proxy": {"type": "dict"},
    "connect": {"type": "dict"},
}


def definition(given: Mapping[str, Any]) -> Thing:
    """A service of the task as the library defines one, judged. Raises `InvalidValueError`."""
    service = without_none({name: given[name] for name in SERVICE})
    if "meta" in service:
        service["meta"] = texts(service["meta"])
    if "weights" in service:
        service["weights"] = without_none(service["weights"])
    if "checks" in service:
        service["checks"] = [check_definition(one) for one in service["checks"]]
    definitions.service(service)
    return service


def check_definition(given: Any) -> Any:
    """A check of the task as the library defines one, with its headers in one."""
    check = without_none(given)
    secret = check.pop("secret_header", None)
    if secret is not None:
        check["header"] = {**judged_headers(check.get("header") or {}, "header"), **judged_headers(secret, "secret_header")}
    return check


def wanted(given: Mapping[str, Any]) -> Thing:
    """What a definition comes to, in the shape of `seen`."""
    body = definitions.service(given)
    return {
        "name": body["Name"],
        "kind": body.get("Kind", ""),
        "address": body.get("Address", ""),
        "port": body.get("Port", 0),
        "tags": sorted(set(body["Tags"])),
        "meta": body["Meta"],
        "weights": {name.lower(): weight for name, weight in body.get("Weights", {"Passing": 1, "Warning": 1}).items()},
        "tagged_addresses": {
            name: {"address": one["Address"], "port": one.get("Port", 0)} for name, one in body.get("TaggedAddresses", {}).items()
        },
        "enable_tag_override": body.get("EnableTagOverride", False),
        "native": body.get("Connect", {}).get("Native", False),
        "sidecar": "SidecarService" in body.get("Connect", {}),
        "proxy": body.get("Proxy", {}),
        "checks": {check["CheckID"]: _wanted_check(check) for check in body["Checks"]},
        "definition": _definition_mark.SAME,
    }


def targets_of(given: Mapping[str, Thing]) -> dict[str, Thing]:
    """What the definitions of a task come to. Raises `InvalidValueError` where services share a check, of which one would lose it."""
    targets = {service_id: wanted(one) for service_id, one in given.items()}
    owners: dict[str, str] = {}
    for service_id, target in targets.items():
        for check_id in target["checks"]:
            other = owners.setdefault(check_id, service_id)
            if other != service_id:
                raise InvalidValueError(
                    f"checks: services {other} and {service_id} both have a check of the id {arguments.shown(check_id)}",
                    advice="A node has one check of each id. Give each its own, or none, and it gets one by itself",
                )
    return targets


def refuse_taken(checks: Iterable[Thing], targets: Mapping[str, Thing], gone: Collection[str]) -> None:
    """A check that belongs to what the task does not look after would be taken from it without a word."""
    wanted_by = {check_id: service_id for service_id, target in targets.items() for check_id in target["checks"]}
    for check in checks:
        if check["id"] in wanted_by and check["service_id"] not in targets and check["service_id"] not in gone:
            of = f"service {check['service_id']}" if check["service_id"] else "the node"
            raise ConflictError(
                f"service {wanted_by[check['id']]}: there is a check {check['id']} already, of {of}",
                advice="Give the check another id, or remove that one before",
            )


def left_over(before: Mapping[str, Any], targets: Mapping[str, Thing]) -> list[str]:
    """The checks that a service has no more, but for those that another service of the task has now."""
    return [check_id for check_id in before["checks"] if not any(check_id in target["checks"] for target in targets.values())]


def seen(found: Mapping[str, Any], checks: Mapping[str, Thing], sidecar: Mapping[str, Any] | None, target: Thing, given: Thing) -> Thing:
    """A service that is there as Consul shows it; what Consul adds by itself, or does not tell, is as in *target*."""
    own = {"address": found["address"], "port": found["port"]}
    service = {name: found[name] for name in target if name in found}
    # With the override, others may change the tags in the catalog, and the agent takes them over.
    service["tags"] = target["tags"] if target["enable_tag_override"] and found["enable_tag_override"] else sorted(set(found["tags"]))
    service["meta"] = {key: value for key, value in found["meta"].items() if key != definitions.MARK_KEY}
    service["tagged_addresses"] = {
        name: one
        for name, one in found["tagged_addresses"].items()
        if name in target["tagged_addresses"] or one != own or not name.endswith(("_ipv4", "_ipv6"))
    }
    service["proxy"] = target["proxy"] if contains(found["proxy"], target["proxy"]) else found["proxy"]
    service["sidecar"] = sidecar is not None
    service["checks"] = {check_id: _seen_check(check, target["checks"].get(check_id)) for check_id, check in checks.items()}
    service["definition"] = _definition_mark.compare(found["meta"].get(definitions.MARK_KEY), canonical(given))
    return service


def canonical(given: Mapping[str, Any]) -> Thing:
    """All of a definition in one form, which the digest is made of; what has no effect on a service that is there is left out."""
    body = definitions.service(given)
    checks = {check["CheckID"]: {name: value for name, value in check.items() if name != "Status"} for check in body["Checks"]}
    return {**body, "Tags": sorted(set(body["Tags"])), "Checks": checks}


def contains(found: Any, part: Any) -> bool:
    """Whether *part* is in what was found, where Consul added fields of its own."""
    if isinstance(part, Mapping):
        return isinstance(found, Mapping) and all(contains(found.get(name), value) for name, value in part.items())
    if isinstance(part, (list, tuple)):
        same = isinstance(found, (list, tuple)) and len(found) == len(part)
        return same and all(contains(one, other) for one, other in zip(found, part))
    # Consul leaves out what is empty.
    return bool(found == part or (not found and not part))


def done(task: Task, thing_id: str, result: str) -> None:
    """What a task that fails further on has done to a service or check."""
    task.changed = True
    task.results.setdefault("done", []).append({"id": thing_id, "result": result})


def report(
    task: Task,
    given: Mapping[str, Thing],
    targets: Iterable[str],
    changed: Collection[str],
    before: Collection[str],
    found: Mapping[str, Thing],
    gone: Iterable[str],
) -> None:
    """What became of each service, as the task's result."""
    task.results.pop("done", None)
    services = [(service_id, given[service_id]["name"], "updated" if service_id in before else "created") for service_id in targets]
    told = [{"id": one, "name": name, "result": result if one in changed else "unchanged"} for one, name, result in services]
    task.results["services"] = told + [{"id": one, "name": found[one]["name"], "result": "removed"} for one in gone]


def refuse_running(task: Task, found: Mapping[str, Thing], given: Iterable[str]) -> None:
    """A running instance that registered itself would be at odds with what a task makes of it."""
    for service_id in given:
        if service_id in found and definitions.NONCE_KEY in found[service_id]["meta"] and not task.params["force"]:
            raise ConflictError(
                f"service {service_id} was registered by a running instance itself (its meta has {definitions.NONCE_KEY}),"
                " which would register it again, or leave discovery",
                advice="Stop that instance, or give another id. With force=true it is done all the same",
            )


def unlisted(found: Mapping[str, Thing], given: Mapping[str, Any]) -> list[str]:
    """The services with our mark that the task does not list. A sidecar goes with its service."""
    return [
        service_id
        for service_id, one in found.items()
        if service_id not in given
        and definitions.MARK_KEY in one["meta"]
        and definitions.NONCE_KEY not in one["meta"]
        and not _is_sidecar(found, service_id)
    ]


def _is_sidecar(found: Mapping[str, Thing], service_id: str) -> bool:
    of = found[service_id]["proxy"].get("DestinationServiceID")
    return of in found and service_id == sidecar_id(of)


def sidecar_id(service_id: str) -> str:
    return f"{service_id}-sidecar-proxy"


def by_service(checks: Iterable[Thing]) -> dict[str, dict[str, Thing]]:
    """The checks of each service; without maintenance, and without those that `consul_check` looks after."""
    found: dict[str, dict[str, Thing]] = {}
    for check in checks:
        if (
            check["service_id"]
            and not check["id"].startswith("_service_maintenance:")
            and _definition_mark.of_notes(check["notes"]) is None
        ):
            found.setdefault(check["service_id"], {})[check["id"]] = check
    return found


def _wanted_check(check: Mapping[str, Any]) -> Thing:
    return {
        "name": check["Name"],
        "notes": check.get("Notes", ""),
        "type": check_type(check),
        "interval": seconds(check.get("Interval", "0s")),
        "timeout": seconds(check.get("Timeout", "0s")),
    }


def _seen_check(check: Thing, target: Thing | None) -> Thing:
    seen = {name: check[name] for name in ("name", "notes", "type", "interval", "timeout")}
    # The catalog does not tell the type and timing of a check, nor do old agents tell the timing.
    for name in ("type", "interval", "timeout"):
        if not check["type"] or seen[name] is None:
            seen[name] = target[name] if target else None
    return seen


def check_type(check: Mapping[str, Any]) -> str:
    """What Consul calls a check of this body."""
    types = {"DockerContainerID": "docker", "Args": "script", "AliasService": "alias", "AliasNode": "alias", "OSService": "os_service"}
    for field, kind in types.items():
        if field in check:
            return kind
    return next(kind.lower() for kind in ("TTL", "HTTP", "TCP", "UDP", "GRPC", "H2PING") if kind in check)


def shown(found: Mapping[str, Thing], gone: Iterable[str]) -> Thing:
    """The services that go, for the diff."""
    parts = ("name", "address", "port", "tags")
    return {service_id: {name: found[service_id][name] for name in parts} for service_id in gone}


def texts(given: Any) -> Any:
    """Meta whose numbers and booleans, which YAML makes of bare words, are texts as Consul wants them."""
    if not isinstance(given, Mapping):
        return given
    return {key: _text(value) for key, value in given.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Services as Consul's API defines them, from mappings in Consul's own terms.

Source: https://developer.hashicorp.com/consul/api-docs/agent/service#register-service
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Dict

from . import arguments, checks
from .errors import InvalidValueError

# The pair of a service's meta that tells which running instance it belongs to (the uWSGI plugin calls it the same), and the
# one that says that it was made from a definition which is kept elsewhere, such as a playbook.
NONCE_KEY, MARK_KEY = "uwsgi-instance", "uwsgi-consul-definition"
KINDS = ("connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway")
# Consul's limits of a service's meta; one pair is ours.
_META_PAIRS, _META_VALUE = 63, 512
_LONGEST_NAME_OF_A_FIELD = 64

Definition = Dict[str, Any]


def service(given: object) -> Definition:
    """The body that registers a service, with its checks, from a mapping of:

    name; id (the name unless given); address, port, tags, meta, weights, tagged_addresses as for `Service`;
    enable_tag_override; checks (a list, each as `checks.define` has it); kind (of a proxy or gateway, one of `KINDS`);
    proxy (its configuration); connect (`{"native": true}`, or `{"sidecar_service": {...}}` with the definition of the sidecar).
    What is `None` counts as not given. Raises `InvalidValueError`.
    """
    known = ("name", "id", "address", "port", "tags", "meta", "weights", "tagged_addresses")
    fields = _given(given, "service", (*known, "enable_tag_override", "checks", "kind", "proxy", "connect"))
    if "name" not in fields:
        raise InvalidValueError("name: is missing")
    name = arguments.name(fields["name"], "name")
    service_id = arguments.name(fields.get("id", name), "id")
    port = arguments.integer(fields["port"], "port", 1, 65535) if "port" in fields else None
    body = parts(
        name,
        service_id,
        fields.get("address"),
        port,
        fields.get("tags", ()),
        fields.get("meta"),
        fields.get("weights"),
        fields.get("tagged_addresses"),
    )
    if MARK_KEY in body["Meta"]:
        raise InvalidValueError(f"meta: {MARK_KEY} is what tells from which definition a service was made, and is set here")
    if arguments.boolean(fields.get("enable_tag_override", False), "enable_tag_override"):
        body["EnableTagOverride"] = True
    if "kind" in fields:
        body["Kind"] = arguments.choice(fields["kind"], "kind", KINDS)
    if "proxy" in fields:
        body["Proxy"] = configuration(fields["proxy"], "proxy")
    if "connect" in fields:
        body["Connect"] = _connect(fields["connect"])
    body["Checks"] = _checks(fields.get("checks", ()), name, service_id)
    return body


def configuration(value: object, what: str) -> Definition:
    """A configuration whose fields have many levels, in the API's names: `local_bind_port` is its LocalBindPort.

    What Consul itself does not look into (below a field `config`) stays as it is. The server judges the fields.
    """
    given = json_mapping(value, what)
    named: Definition = {}
    for field, inner in given.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", field) or len(field) > _LONGEST_NAME_OF_A_FIELD:
            raise InvalidValueError(f"{what}: {arguments.shown(field)} is no name of a field", advice="Write it as in local_bind_port")
        if inner is not None:
            named[_api_name(field)] = inner if field.lower() == "config" else _configured(inner, f"{what}: {field}")
    return named


def parts(
    name: str,
    id: str,  # noqa: A002 - Consul's own term
    address: object,
    port: int | None,
    tags: object,
    meta: object,
    weights: object,
    tagged_addresses: object,
) -> Definition:
    """A service as the API's registration wants it, without its checks. Raises `InvalidValueError`."""
    definition: dict[str, Any] = {"ID": id, "Name": name, "Tags": arguments.names(tags, "tags"), "Meta": judged_meta(meta)}
    if address is not None:
        definition["Address"] = judged_address(address, "address")
    if port is not None:
        definition["Port"] = port
    if weights is not None:
        definition["Weights"] = _weights(weights)
    if tagged_addresses is not None:
        definition["TaggedAddresses"] = {
            arguments.name(tag, "tagged_addresses"): _tagged_address(one)
            for tag, one in json_mapping(tagged_addresses, "tagged_addresses").items()
        }
    return definition


def json_mapping(value: object, what: str) -> Mapping[str, Any]:
    """A mapping with texts as keys that can be written as JSON; `None` is an empty one. Raises `InvalidValueError`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no mapping of names")
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} holds what is no JSON") from None
    return value


def judged_meta(meta: object, what: str = "meta") -> dict[str, str]:
    """The meta of a service or node, as Consul takes it. Raises `InvalidValueError`."""
    pairs = json_mapping(meta, what)
    if len(pairs) > _META_PAIRS:
        raise InvalidValueError(f"{what}: has {len(pairs)} pairs, and may have {_META_PAIRS}")
    for key, value in pairs.items():
        if not re.fullmatch(r"[\w-]{1,128}", key, re.ASCII):
            raise InvalidValueError(f"{what}: {arguments.shown(key)} is no key", advice="It has letters, digits, - and _ only, 128 at most")
        if key == NONCE_KEY:
            raise InvalidValueError(f"{what}: {NONCE_KEY} is what tells whose a registration is, and is set here")
        arguments.text(value, f"{what}: {key}", _META_VALUE)
    return dict(pairs)


def _weights(weights: object) -> dict[str, int]:
    given = json_mapping(weights, "weights")
    if not given or set(given) - {"passing", "warning"}:
        raise InvalidValueError(f"weights: {arguments.shown(weights)} is nothing such as {{'passing': 10, 'warning': 1}}")
    return {
        "Passing": arguments.integer(given.get("passing", 1), "weights: passing", 1, 65535),
        "Warning": arguments.integer(given.get("warning", 1), "weights: warning", 0, 65535),
    }


def judged_address(address: object, what: str) -> str:
    """An address that somebody can connect to. Raises `InvalidValueError`."""
    given = arguments.name(address, what)
    if given in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - it is refused here
        raise InvalidValueError(f"{what}: {given} is where a server listens, and nothing to connect to")
    if re.search(r"[\s/]", given):
        raise InvalidValueError(f"{what}: {arguments.shown(given)} is neither an IP address nor a name of a host")
    return given


def _tagged_address(one: object) -> dict[str, Any]:
    given = json_mapping(one, "tagged_addresses")
    if set(given) - {"address", "port"} or "address" not in given:
        raise InvalidValueError(f"tagged_addresses: {arguments.shown(one)} is nothing such as {{'address': '192.0.2.1', 'port': 80}}")
    tagged: dict[str, Any] = {"Address": judged_address(given["address"], "tagged_addresses")}
    if given.get("port") is not None:
        tagged["Port"] = arguments.integer(given["port"], "tagged_addresses: port", 1, 65535)
    return tagged


def _checks(given: object, name: str, service_id: str) -> list[Definition]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, (list, tuple)):
        raise InvalidValueError(f"checks: {arguments.shown(given)} is no list of checks")
    named = []
    for position, one in enumerate(given):
        with arguments.within(f"checks[{position}]"):
            named.append({"Name": f"Service {name!r} check", **checks.define(one)})
    return checks.definitions(named, service_id, 0)


def _connect(given: object) -> Definition:
    fields = _given(given, "connect", ("native", "sidecar_service"))
    connect: Definition = {}
    if arguments.boolean(fields.get("native", False), "connect: native"):
        connect["Native"] = True
    if "sidecar_service" in fields:
        connect["SidecarService"] = configuration(fields["sidecar_service"], "connect: sidecar_service")
    return connect


def _given(value: object, what: str, known: tuple[str, ...]) -> dict[str, Any]:
    return {field: inner for field, inner in arguments.fields(value, what, known).items() if inner is not None}


def _configured(value: Any, what: str) -> Any:
    if isinstance(value, Mapping):
        return configuration(value, what)
    return [_configured(one, what) for one in value] if isinstance(value, (list, tuple)) else value


def _api_name(field: str) -> str:
    """`destination_service_id` is DestinationServiceID; what has capitals already is the API's."""
    if not field.islower():
        return field
    # The API writes some words in capitals.
    words = {"id": "ID", "tls": "TLS", "http": "HTTP", "tcp": "TCP", "grpc": "GRPC", "ttl": "TTL", "url": "URL", "h2ping": "H2PING"}
    return "".join(words.get(word, word.capitalize()) for word in field.split("_"))

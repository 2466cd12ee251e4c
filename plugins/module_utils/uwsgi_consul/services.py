# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Services as Consul's catalog and health checks know them.

Sources: https://developer.hashicorp.com/consul/api-docs/health and .../api-docs/catalog
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import arguments
from .errors import InvalidValueError
from .protocol import Answer

if TYPE_CHECKING:
    from .api import Api

_MATCHES_NOTHING = "ServiceName == one and ServiceName == another"

# What an instance's status may be for each choice of `instances`.
STATUSES: dict[str, tuple[str, ...]] = {
    "passing": ("passing",),
    "warning": ("passing", "warning"),
    "any": ("passing", "warning", "critical", "maintenance"),
}


def instances(
    client: Api,
    service: str,
    *,
    tags: Iterable[str] = (),
    status: str = "passing",
    near: str | None = None,
    filter: str | None = None,  # noqa: A002 - Consul's own term
    datacenter: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """The instances of a service, as `instance` describes them; an empty list for a service that Consul does not know.

    tags: an instance must have all of them. status: `passing`, `warning` (passing or warning) or `any`.
    near: sorts by the round trip time from this node (`_agent`: the agent that is asked); unless given, the order is by
    node, port and id, and so always the same. filter: an expression in Consul's filter language.
    warn: is called with a sentence when the token may not see all instances. Raises `ConsulError`.
    """
    path, params = question(service, tags, status, near, filter)
    params += _datacenter(datacenter)
    _judge_warn(warn)
    answer = client.request("GET", path, params)
    _warn_of_acls(answer, f"instances of service {service}", warn)
    found = [entry for entry in listed(answer) if entry["status"] in STATUSES[status]]
    return found if near else in_order(found)


def question(
    service: str,
    tags: Iterable[str],
    status: str,
    near: str | None,
    filter: str | None,  # noqa: A002 - Consul's own term
) -> tuple[str, list[tuple[str, Any]]]:
    """Path and parameters of the request for the instances of a service; raises `InvalidValueError`."""
    path = f"/v1/health/service/{arguments.path_name(service, 'service')}"
    arguments.choice(status, "status", tuple(STATUSES))
    params: list[tuple[str, Any]] = [("tag", tag) for tag in arguments.names(tags, "tags")]
    if status == "passing":
        params.append(("passing", "1"))
    if near not in (None, ""):
        params.append(("near", arguments.name(near, "near")))
    if filter not in (None, ""):
        params.append(("filter", arguments.text(filter, "filter")))
    return path, params


def listed(answer: Answer) -> list[dict[str, Any]]:
    """The instances of the answer to a `question`, each as `instance` describes it."""
    return [instance(entry, answer) for entry in _expect(list, answer)]


def in_order(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Instances in an order that is always the same."""
    return sorted(found, key=lambda entry: (entry["node"], entry["port"], entry["id"]))


def instance(entry: Any, answer: Answer) -> dict[str, Any]:
    """One entry of `/v1/health/service/:service` as a plain mapping:

    node, node_address, node_meta, datacenter; service (its name), id, address (the service's own, else the node's),
    port (0 when it has none), tags, meta, tagged_addresses, weights (`passing` and `warning`); status: the worst of its
    checks, `passing`, `warning` or `critical`, or `maintenance`.
    """
    try:
        node, service = entry["Node"], entry["Service"]
        return {
            "node": node["Node"],
            "node_address": node["Address"],
            "node_meta": node.get("Meta") or {},
            "datacenter": node.get("Datacenter"),
            "service": service["Service"],
            "id": service["ID"],
            "address": service.get("Address") or node["Address"],
            # Consul 1.22 leaves it out of its answer when there is none.
            "port": service.get("Port", 0),
            "tags": service.get("Tags") or [],
            "meta": service.get("Meta") or {},
            "tagged_addresses": {
                name: {"address": tagged["Address"], "port": tagged.get("Port", 0)}
                for name, tagged in (service.get("TaggedAddresses") or {}).items()
            },
            "weights": {name.lower(): weight for name, weight in (service.get("Weights") or {"Passing": 1, "Warning": 1}).items()},
            "status": worst_status(entry["Checks"]),
        }
    except (KeyError, TypeError, AttributeError):
        raise answer.bad() from None


def worst_status(checks: Iterable[dict[str, Any]]) -> str:
    """The status of an instance from its and its node's checks, by Consul's own rule."""
    seen = set()
    for check in checks:
        if check["CheckID"] == "_node_maintenance" or check["CheckID"].startswith("_service_maintenance:"):
            return "maintenance"
        seen.add(check["Status"])
    return next((status for status in ("critical", "warning") if status in seen), "passing")


def services(
    client: Api,
    *,
    filter: str | None = None,  # noqa: A002 - Consul's own term
    datacenter: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """All services of a datacenter, healthy or not, as `{"name": ..., "tags": [...]}`, sorted by name, tags sorted.

    The tags are those of all instances together. filter: only instances that match count; `InvalidValueError` where the
    servers are too old for it. warn: as for `instances`. Raises `ConsulError`.
    """
    _judge_warn(warn)
    path, params = "/v1/catalog/services", _datacenter(datacenter)
    wanted = [] if filter in (None, "") else [("filter", arguments.text(filter, "filter"))]
    answer = client.request("GET", path, [*params, *wanted])
    # Old servers ignore it without a word, and so they find services by this, too.
    if wanted and answer.json() and client.request("GET", path, [*params, ("filter", _MATCHES_NOTHING)]).json():
        raise InvalidValueError("filter: this release of Consul can't filter its services", advice="Choose them by name or by tags")
    _warn_of_acls(answer, "services", warn)
    found = _expect(dict, answer)
    return [{"name": name, "tags": sorted(found[name] or [])} for name in sorted(found)]


def _datacenter(datacenter: str | None) -> list[tuple[str, Any]]:
    return [] if datacenter in (None, "") else [("dc", arguments.datacenter(datacenter))]


def _judge_warn(warn: Any) -> None:
    if warn is not None:
        arguments.function(warn, "warn")


def _warn_of_acls(answer: Answer, what: str, warn: Callable[[str], None] | None) -> None:
    if warn and answer.filtered_by_acls:
        warn(f"Consul left out {what} that the token has no permission to see ({answer.asked})")


def _expect(kind: type, answer: Answer) -> Any:
    data = answer.json()
    if not isinstance(data, kind):
        raise answer.bad()
    return data

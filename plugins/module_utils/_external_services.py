# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of a machine that has no agent: in the catalog, under a node of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _definition_mark, _service_definitions
from ._module import Change, Task, Thing
from .uwsgi_consul import checks as kinds
from .uwsgi_consul import definitions
from .uwsgi_consul.catalog import NODE_HEALTH, Catalog
from .uwsgi_consul.errors import ConflictError, InvalidValueError
from .uwsgi_consul.registration import ExternalService

# Our library sets them: consul-esm looks after nodes that have both.
_OWN = {"external-node": "true", "external-probe": "true"}
_PARTS = ("name", "id", "port", "tags", "meta", "weights", "tagged_addresses")


def manage(task: Task, given: Mapping[str, Thing]) -> Change:
    """What `consul_service` does with the option `node`."""
    params = task.params
    absent = params["state"] == "absent"
    _judge(task, given, absent)
    node_meta = _service_definitions.texts(params["node_meta"] or {})
    catalog = Catalog(task.api, datacenter=params["datacenter"])
    # All that can be wrong is found before anything is asked.
    targets = {} if absent else _service_definitions.targets_of(given)
    for one in [] if absent else list(given.values())[:1]:
        _external(task, one, node_meta, {})
    found = catalog.node(params["node"]) or {}
    checks = {check["id"]: check for check in catalog.checks(params["node"])} if found else {}
    if NODE_HEALTH in checks:
        raise ConflictError(
            f"node: {params['node']} has an agent, which would remove what only the catalog knows", advice="Register at that agent"
        )
    services = found.get("services", {})
    _service_definitions.refuse_running(task, services, given)
    of_service = _service_definitions.by_service(checks.values())
    before = {
        service_id: _service_definitions.seen(services[service_id], of_service.get(service_id, {}), None, target, given[service_id])
        for service_id, target in targets.items()
        if service_id in services
    }
    gone = [service_id for service_id in given if service_id in services] if absent else []
    gone += _service_definitions.unlisted(services, given) if params["purge"] else []
    _service_definitions.refuse_taken(checks.values(), targets, gone)
    node = {"address": params["node_address"], "meta": {**node_meta, **_OWN}}
    changed = [service_id for service_id, target in targets.items() if before.get(service_id) != target]
    moved = targets and found and {name: found[name] for name in node} != node
    change = Change(
        {
            **{service_id: before[service_id] for service_id in changed if service_id in before},
            **_service_definitions.shown(services, gone),
            **({"node": {name: found[name] for name in node}} if moved else {}),
        },
        {**{service_id: targets[service_id] for service_id in changed}, **({"node": node} if moved else {})},
    )
    if not task.check_mode:
        # Each registration writes the node as well.
        for service_id in changed or (list(targets)[:1] if moved else []):
            _external(task, given[service_id], node_meta, checks).register()
            for check_id in _service_definitions.left_over(before[service_id], targets) if service_id in before else ():
                catalog.deregister(params["node"], check_id=check_id)
            _service_definitions.done(task, service_id, "updated" if service_id in before else "created")
        for service_id in gone:
            catalog.deregister(params["node"], service_id=service_id)
            _service_definitions.done(task, service_id, "removed")
        if gone and not targets and set(gone) == set(services) and contains_own(found):
            catalog.deregister(params["node"])
    _service_definitions.report(task, given, targets, changed, before, services, gone)
    return change


def contains_own(node: Mapping[str, Any]) -> bool:
    """Whether the node was made for services from outside, so that it goes with the last of them."""
    return _service_definitions.contains(node["meta"], _OWN)


def _judge(task: Task, given: Mapping[str, Thing], absent: bool) -> None:
    if not absent and given and not task.params["node_address"]:
        raise InvalidValueError("node_address: is missing", advice="It is the address of the machine that the node stands for")
    for service_id, one in given.items():
        for name in ("address", "kind", "proxy", "connect", "enable_tag_override"):
            if name in one:
                raise InvalidValueError(
                    f"{name}: is of no use for service {service_id} without an agent",
                    advice="Its address is that of node_address" if name == "address" else "",
                )
        for check in one.get("checks", ()):
            if not {"http", "tcp"} & set(check):
                raise InvalidValueError(
                    f"checks: of service {service_id} on a node without an agent may be by http or tcp, which consul-esm makes"
                )


def _external(task: Task, given: Thing, node_meta: Thing, checks: Mapping[str, Thing]) -> ExternalService:
    body = definitions.service(given)
    defined = []
    for check in body["Checks"]:
        # A status is given for the beginning; afterwards it belongs to who looks.
        there = checks.get(check["CheckID"])
        defined.append({**check, **({"Status": there["status"]} if there else {})})
    parts = {name: given[name] for name in _PARTS if name in given}
    return ExternalService(
        **{**parts, "meta": {**body["Meta"], definitions.MARK_KEY: _definition_mark.make(_service_definitions.canonical(given))}},
        node=task.params["node"],
        address=task.params["node_address"],
        node_meta={key: value for key, value in node_meta.items() if key not in _OWN},
        checks=kinds.definitions(defined, body["ID"], 0),
        datacenter=task.params["datacenter"],
        client=task.api,
    )

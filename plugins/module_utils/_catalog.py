# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the catalog knows of services and nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._module import Task
from .uwsgi_consul import arguments, services
from .uwsgi_consul.catalog import NODE_HEALTH, Catalog
from .uwsgi_consul.errors import InvalidValueError

_MAINTENANCE = "_node_maintenance"
_OF_NODES = f'CheckID == "{NODE_HEALTH}" or CheckID == "{_MAINTENANCE}"'


def find_services(task: Task) -> None:
    """The module `consul_service_info`."""
    params = task.params
    if params["name"] is None:
        for name in ("tags", "near"):
            if params[name]:
                raise InvalidValueError(f"{name}: is of instances, and so goes with name")
        task.results["services"] = services.services(task.api, filter=params["filter"], warn=task.warn)
        return
    task.results["instances"] = services.instances(
        task.api,
        arguments.name(params["name"], "name"),
        tags=params["tags"] or (),
        status=params["status"],
        near=params["near"],
        filter=params["filter"],
        warn=task.warn,
    )


def find_nodes(task: Task) -> None:
    """The module `consul_node_info`."""
    catalog, name = Catalog(task.api), task.params["name"]
    if name is None:
        nodes = catalog.nodes(filter=task.params["filter"], meta=task.params["meta"], near=task.params["near"])
        checks = catalog.checks(filter=_OF_NODES) if nodes else []
        task.results["nodes"] = [{**one, "status": _status(checks, one["name"])} for one in nodes]
        return
    found = catalog.node(name)
    checks = catalog.checks(name) if found else []
    if found:
        found["services"] = [found["services"][service_id] for service_id in sorted(found["services"])]
        found["checks"] = sorted(checks, key=lambda one: str(one["id"]))
    task.results["nodes"] = [{**found, "status": _status(checks, name)}] if found else []


def _status(checks: Iterable[Mapping[str, Any]], node: str) -> str | None:
    """How the node itself is: `maintenance`, or as its agent is seen by the others; None where it has none."""
    seen = {check["id"]: check["status"] for check in checks if check["node"] == node}
    return "maintenance" if _MAINTENANCE in seen else seen.get(NODE_HEALTH)

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The catalog: the nodes of a datacenter, and what is registered on each.

Sources: https://developer.hashicorp.com/consul/api-docs/catalog and .../api-docs/health
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, List

from . import arguments, registry
from .bound import Bound, read

NODE_HEALTH = "serfHealth"

Thing = Dict[str, Any]
ThingList = List[Thing]


class Catalog(Bound):
    """The catalog of one datacenter: nodes as `node` describes them, services and checks as `registry` does."""

    def nodes(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - Consul's own term
        meta: Mapping[str, str] | None = None,
        near: str | None = None,
    ) -> ThingList:
        """The nodes, sorted by name, or with *near* by the round trip time from that node (`_agent`: the agent that is asked).

        filter: an expression of Consul's filter language. meta: what a node's meta must have. Raises `ConsulError`.
        """
        params: list[tuple[str, Any]] = []
        if filter is not None:
            params.append(("filter", arguments.text(filter, "filter")))
        if meta is not None:
            params += [("node-meta", f"{key}:{value}") for key, value in arguments.texts(meta, "meta").items()]
        if near is not None:
            params.append(("near", arguments.name(near, "near")))
        found: ThingList = read(self._ask("GET", "/v1/catalog/nodes", params), lambda data: [node(item) for item in data])
        return found if near is not None else sorted(found, key=lambda one: str(one["name"]))

    def node(self, name: str) -> Thing | None:
        """A node with its `services` by their ids, or `None` when there is none. Raises `ConsulError`."""
        answer = self._ask("GET", f"/v1/catalog/node/{arguments.path_name(name, 'name')}", allow=(404,))
        found: Thing | None = None if answer.status == 404 else read(answer, _node_with_services)
        return found

    def checks(
        self,
        name: str | None = None,
        *,
        filter: str | None = None,  # noqa: A002 - Consul's own term
    ) -> ThingList:
        """The checks of a node and of its services, or those of all nodes; each has the name of its `node`, too.

        filter: an expression of Consul's filter language. Raises `ConsulError`.
        """
        path = "/v1/health/state/any" if name is None else f"/v1/health/node/{arguments.path_name(name, 'name')}"
        params = [] if filter is None else [("filter", arguments.text(filter, "filter"))]
        found: ThingList = read(
            self._ask("GET", path, params), lambda data: [{"node": item["Node"], **registry.check(item)} for item in data]
        )
        return found

    def deregister(self, node: str, *, service_id: str | None = None, check_id: str | None = None) -> None:
        """Takes a service or a check of a node out of the catalog, or without one of them the node with all that it has.

        An agent brings back what is its own. Raises `ConsulError`.
        """
        body = {"Node": arguments.name(node, "node")}
        if service_id is not None:
            body["ServiceID"] = arguments.name(service_id, "service_id")
        if check_id is not None:
            body["CheckID"] = arguments.name(check_id, "check_id")
        # The datacenter of the body counts, and not that of the address.
        datacenter = self.datacenter or self.client.settings.datacenter
        if datacenter:
            body["Datacenter"] = datacenter
        self._ask("PUT", "/v1/catalog/deregister", body=body, idempotent=True)


def node(item: dict[str, Any]) -> Thing:
    """One entry of `/v1/catalog/nodes` as a plain mapping: id, name, address, datacenter, meta, tagged_addresses."""
    return {
        "id": item["ID"],
        "name": item["Node"],
        "address": item["Address"],
        "datacenter": item.get("Datacenter") or "",
        "meta": dict(item.get("Meta") or {}),
        "tagged_addresses": dict(item.get("TaggedAddresses") or {}),
    }


def _node_with_services(data: Any) -> Thing | None:
    if data is None:
        return None
    services = (registry.service(item) for item in data["Services"].values())
    return {**node(data["Node"]), "services": {one["id"]: one for one in services}}

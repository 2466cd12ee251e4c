# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A whole datacenter at a glance: every node with its services and checks, in one request however many nodes there are.

The catalog's documented endpoints need a request for each node or for each service to tell which node runs what. The one
that is asked here stands behind the list of nodes in Consul's own user interface. It answers whether or not that interface
is switched on, knows the token's permissions and takes filters, from Consul 1.8 to 1.22 alike.

Sources: https://developer.hashicorp.com/consul/api-docs/catalog#list-datacenters, and for the fields
.../api-docs/catalog#retrieve-map-of-services-for-a-node and .../api-docs/health#list-checks-for-node
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import arguments
from .bound import Bound, read
from .errors import InvalidValueError, ServerError
from .protocol import Answer
from .services import worst_status


class Overview(Bound):
    """The datacenters that Consul knows, and all nodes of one of them."""

    def datacenters(self) -> list[str]:
        """The names of the datacenters that the agent's servers know at this moment, sorted; one that is cut off may be missing.

        Raises `ConsulError`.
        """
        return sorted(
            read(self._ask("GET", "/v1/catalog/datacenters"), lambda data: [arguments.name(one, "datacenter") for one in data[:]])
        )

    def nodes(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - Consul's own term
        warn: Callable[[str], None] | None = None,
    ) -> list[dict[str, Any]]:
        """All nodes that the token may see, sorted by name, each with:

        name, id (empty for one that was registered without), datacenter, address, tagged_addresses, meta; status (of the
        node's own checks, the worst: `passing`, `warning`, `critical` or `maintenance`); checks (id, name, status, and service_id, empty
        for a check of the node itself); services (name, id, address, which is the node's where the service has none, port, 0 for
        none, tags, meta, and status, the worst of the service's own checks). Nodes that are imported from peers are left out.

        filter: an expression in Consul's filter language about `Node`, `Address`, `Meta`, `TaggedAddresses`, `Services` and
        `Checks`. warn: is called with a sentence when the token may not see everything. Raises `ConsulError`.
        """
        params = [] if filter in (None, "") else [("filter", arguments.text(filter, "filter"))]
        if warn is not None:
            arguments.function(warn, "warn")
        try:
            answer = self._ask("GET", "/v1/internal/ui/nodes", params)
        except ServerError as error:
            # Consul says 500, as if the fault were its own.
            if "boolean expression" in error.answer:
                reason = error.answer.rpartition("evaluator: ")[2]
                raise InvalidValueError(f"filter: {arguments.shown(filter)} is no filter of nodes: {reason}") from None
            raise
        if warn and answer.filtered_by_acls:
            warn(f"Consul left out nodes, services or checks that the token has no permission to see ({answer.asked})")
        entries = read(answer, lambda data: [entry for entry in data[:] if not entry.get("PeerName")])
        datacenter = self._name_of_datacenter(entries, answer)
        found: list[dict[str, Any]] = read(answer, lambda _data: [_node(entry, datacenter) for entry in entries])
        return sorted(found, key=lambda node: str(node["name"]))

    def _name_of_datacenter(self, entries: Iterable[dict[str, Any]], answer: Answer) -> str:
        """The datacenter that was asked; of the agent's own, any of its nodes knows the name."""
        asked = self.datacenter or self.client.settings.datacenter
        first = next(iter(entries), None)
        if asked or first is None:
            return asked or ""
        name = read(answer, lambda _data: arguments.path_name(first["Node"], "node"))
        return str(read(self._ask("GET", f"/v1/catalog/node/{name}"), lambda data: data["Node"]["Datacenter"]))


def _node(entry: dict[str, Any], datacenter: str) -> dict[str, Any]:
    checks = entry["Checks"] or []
    return {
        "name": entry["Node"],
        "id": entry.get("ID") or "",
        "datacenter": datacenter,
        "address": entry["Address"],
        "tagged_addresses": entry.get("TaggedAddresses") or {},
        "meta": entry.get("Meta") or {},
        "status": worst_status(check for check in checks if not check["ServiceID"]),
        "checks": [
            {"id": check["CheckID"], "name": check["Name"], "status": check["Status"], "service_id": check["ServiceID"]}
            for check in sorted(checks, key=lambda check: str(check["CheckID"]))
        ],
        "services": [_service(entry, service) for service in sorted(entry["Services"] or [], key=lambda service: str(service["ID"]))],
    }


def _service(entry: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": service["Service"],
        "id": service["ID"],
        "address": service.get("Address") or entry["Address"],
        "port": service.get("Port") or 0,
        "tags": service.get("Tags") or [],
        "meta": service.get("Meta") or {},
        "status": worst_status(check for check in entry["Checks"] or () if check["ServiceID"] == service["ID"]),
    }

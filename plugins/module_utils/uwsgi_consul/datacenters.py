# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The datacenters that an agent knows: who leads them, their servers, and whether they can be reached.

Sources: https://developer.hashicorp.com/consul/api-docs/catalog, .../status and .../agent#list-members
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Dict

from . import arguments
from .bound import Bound, read
from .errors import ConsulError, PermissionDeniedError

Datacenter = Dict[str, Any]
# As gossip numbers them.
_MEMBER_STATES = ("none", "alive", "leaving", "left", "failed")


class Datacenters(Bound):
    """The datacenters of a federation, asked through any agent of one of them."""

    def names(self) -> list[str]:
        """Their names, the nearest first. Raises `ConsulError`."""
        found: list[str] = read(self._ask("GET", "/v1/catalog/datacenters"), lambda data: [str(name) for name in data])
        return found

    def own(self) -> str:
        """The name of the datacenter of the agent that is asked; needs `agent:read`. Raises `ConsulError`."""
        return str(read(self._ask("GET", "/v1/agent/self"), lambda data: data["Config"]["Datacenter"]))

    def describe(self, names: Iterable[str] | None = None, *, nodes: bool = False) -> list[Datacenter]:
        """The datacenters of these names, or all, each as `describe_one` has it.

        That takes two requests for all, and two for each, with *nodes* three. Raises `ConsulError`.
        """
        arguments.boolean(nodes, "nodes")
        given = None if names is None else [_judged(name, "names") for name in arguments.names(names, "names")]
        wanted = self.names() if given is None else given
        wan = self._wan_members()
        return [self.describe_one(name, wan, nodes=nodes) for name in wanted]

    def describe_one(self, name: str, wan: dict[str, str] | None = None, *, nodes: bool = False) -> Datacenter:
        """A datacenter as a plain mapping:

        name; reachable, and problem (why not; empty when it is); leader (the node's name; `None` without one); servers (by name, each
        with node, id, address, version, leader, healthy (what gossip in its datacenter says), wan_status (`alive`, `failed`, `left`,
        `leaving`; `None` when the agent that was asked is no server)); with *nodes* also nodes (each with node, id, address). One that
        can't be reached has those servers that gossip over WAN knows. wan: the states of servers by `NODE.DATACENTER`.

        Raises `PermissionDeniedError` for one that answers and refuses, or shows no server at all.
        """
        _judged(name, "name")
        arguments.boolean(nodes, "nodes")
        known = wan or {}
        found: Datacenter = {"name": name, "reachable": True, "problem": "", "leader": None, "servers": []}
        try:
            address = read(self._of(name, "/v1/status/leader"), str)
            found["servers"] = read(
                self._of(name, "/v1/health/service/consul"), lambda data: [_server(item, address, known) for item in data]
            )
            if not found["servers"]:
                raise PermissionDeniedError(
                    f"{name} answers, and shows none of its servers",
                    advice="The token needs node:read, and service:read for the service consul",
                    status=403,
                )
            if nodes:
                found["nodes"] = read(self._of(name, "/v1/catalog/nodes"), lambda data: [_node(item) for item in data])
        except ConsulError as error:
            if getattr(error, "status", 500) < 500:
                # It is there, and refuses.
                raise
            found.update(reachable=False, problem=error.problem, servers=_of_gossip(name, known))
        found["servers"].sort(key=lambda one: one["node"])
        found["leader"] = next((one["node"] for one in found["servers"] if one["leader"]), None)
        return found

    def _of(self, datacenter: str, path: str) -> Any:
        return self.client.request("GET", path, [("dc", datacenter)])

    def _wan_members(self) -> dict[str, str]:
        """The states of all servers that gossip over WAN knows; none when a client agent is asked."""
        answer = self._ask("GET", "/v1/agent/members", [("wan", "1")])
        found: dict[str, str] = read(answer, lambda data: {item["Name"]: _MEMBER_STATES[item["Status"]] for item in data or ()})
        return found


def _judged(name: str, what: str) -> str:
    arguments.datacenter(arguments.name(name, what), what)
    return name


def _server(item: dict[str, Any], leader: str, wan: dict[str, str]) -> dict[str, Any]:
    node, service = item["Node"], item["Service"]
    host = service["Address"] or node["Address"]
    address = f"[{host}]:{service['Port']}" if ":" in host else f"{host}:{service['Port']}"
    return {
        "node": node["Node"],
        "id": node["ID"],
        "address": address,
        "version": (service.get("Meta") or {}).get("version"),
        "leader": address == leader,
        "healthy": all(check["Status"] != "critical" for check in item["Checks"]),
        "wan_status": wan.get(f"{node['Node']}.{node['Datacenter']}"),
    }


def _of_gossip(datacenter: str, wan: dict[str, str]) -> list[dict[str, Any]]:
    unknown = {"id": None, "address": None, "version": None, "leader": False, "healthy": None}
    names = (name.rpartition(".") for name in wan)
    return [{"node": node, **unknown, "wan_status": wan[f"{node}.{of}"]} for node, _dot, of in names if of == datacenter]


def _node(item: dict[str, Any]) -> dict[str, Any]:
    return {"node": item["Node"], "id": item["ID"], "address": item["Address"]}

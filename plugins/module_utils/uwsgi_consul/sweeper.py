# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Removes registrations of services that have been critical for long, where `deregister_critical_service_after` was not set.

Consul does not tell since when a check is critical, so the sweeper looks again and again, and remembers. A check's index
(`ModifyIndex`) grows with every change of its record; one that is the same at two looks was critical all the time between.

Sources: https://developer.hashicorp.com/consul/api-docs/health and .../api-docs/agent/service, .../api-docs/catalog
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Dict, Tuple

from . import arguments
from .api import Api
from .bound import Bound, read
from .errors import ConsulError, InvalidValueError
from .files import replacing
from .settings import Agent

_NODE_HEALTH = "serfHealth"
_MAINTENANCE = ("_node_maintenance", "_service_maintenance:")
# Consul's servers register it themselves.
_NEVER = "consul"
_NO_AGENT = "its node is alive, and its agent, which alone can remove it for good, is not known"
# Seconds. Nothing is dead at the first look.
SHORTEST_THRESHOLD = 1.0

# Node and id of a check.
_Check = Tuple[str, str]
Finding = Dict[str, Any]


class Sweeper(Bound):
    """Finds and removes services of one datacenter that are critical for longer than a threshold.

    state: a file that keeps what was seen between runs; without one it is kept in memory, so that a sweeper must live
    as long as the threshold to find anything.
    agent: tells the address of a node's agent by the node's name, or `None`; see `sweep`.
    strict: a check whose record changed since the last look counts as critical from now on, since it may have been passing
    in between. Not strict: being critical at every look is enough; for checks whose output changes each time, with
    looks that are close together.

    It sweeps what its token may see. Consul shows no check of a node to who may not read the node, so that no living node
    looks as one without an agent.

    What a sweeper can't know: what happened before its first look (a service counts from then on, however long it was
    critical before), and what an agent that can't reach its servers sees. It goes by this machine's clock.
    """

    def __init__(
        self,
        client: Api | None = None,
        *,
        datacenter: str | None = None,
        state: str | None = None,
        agent: Callable[[str], str | None] | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__(client, datacenter=datacenter)
        # The catalog's deregistration goes by its body alone, and would be done in the agent's own datacenter without this.
        self._of = self.datacenter or self.client.settings.datacenter
        self._state = None if state is None else arguments.file_path(state, "state")
        self._agent = None if agent is None else arguments.function(agent, "agent")
        self._strict = arguments.boolean(strict, "strict")
        self._seen: dict[_Check, dict[str, Any]] = {}
        # How many with checks the last look saw.
        self._instances_seen = 0

    def find(self, threshold: float | str, *, services: Iterable[str] = ("*",)) -> list[Finding]:
        """Looks, and returns the instances that have been critical for *threshold* (seconds, or a text such as `72h`) at least:

        node, service (its name), id, check (the id of the check that is critical the longest), since (unix seconds of the
        look that saw it first), seconds (since then), output (of the check), by (`agent`: to be removed through the agent of
        its node, or `catalog`: its node has failed, or has no agent); sorted by node and id.

        An instance is critical when one of its own checks is, or `serfHealth` of its node; other checks of the node do not
        count, nor does an instance in maintenance. services: names, or patterns such as `web-*`. Raises `ConsulError`.
        """
        return self._look(_threshold(threshold), _patterns(services))

    def sweep(
        self,
        threshold: float | str,
        *,
        services: Iterable[str] = ("*",),
        dry_run: bool = True,
        limit: int = 10,
        fraction: float = 0.5,
    ) -> list[Finding]:
        """Removes what `find` finds, and returns it, each with removed (a boolean) and problem (why not, empty if it was).

        An agent registers its services again when only the catalog forgets them. So those of a node that is alive are
        removed through its agent: the one that the client asks, or the one at the address that *agent* gives; without
        one they stay. Those of a failed node, or of one without an agent (registered from outside), are removed from the catalog. An
        agent that comes back registers its services again, which is right, since it then tells their true state.

        dry_run: nothing is removed, which is the default; problem is then `dry run` for what would be removed, else what is known to
        stand in the way. limit, fraction: when more instances than that, or a larger part of
        all instances with checks, would be removed, nothing is, and `ConsulError` says so: so many at once are more likely
        cut off than dead. One may always go. Each is looked at once more just before it is removed. Raises `ConsulError`.
        """
        arguments.boolean(dry_run, "dry_run")
        arguments.integer(limit, "limit", 1)
        _fraction(fraction)
        found = self._look(_threshold(threshold), _patterns(services))
        if dry_run:
            return [{**finding, "removed": False, "problem": self._obstacle(finding) or "dry run"} for finding in found]
        self.allow(len(found), limit=limit, fraction=fraction)
        return [self._remove(finding) for finding in found]

    def allow(self, number: int, *, limit: int = 10, fraction: float = 0.5) -> None:
        """Raises the `ConsulError` of `sweep` when so many of the instances that the last look saw may not go at once."""
        arguments.integer(number, "number")
        arguments.integer(limit, "limit", 1)
        _fraction(fraction)
        # The only one of a small datacenter may always go.
        if number > min(limit, max(1, self._instances_seen * fraction)):
            raise ConsulError(
                f"{number} of {self._instances_seen} instances are to be removed, more than limit={limit} or fraction={fraction:g} allow,"
                " so none was",
                advice="Is the datacenter cut in two? If they are really dead, give a higher limit and fraction",
            )

    def _look(self, threshold: float, patterns: list[str]) -> list[Finding]:
        """What is critical for at least that long."""
        self._load()
        now = time.time()
        checks = self._checks()
        if not checks:
            # Servers have one each. What was seen before must not be forgotten for that.
            raise ConsulError(
                "Consul shows no check at all, not even those of its servers",
                advice="The token needs node:read and service:read. Was it left out?",
            )
        self._remember(checks, now)
        self._save()
        found = self._due(checks, now, threshold, patterns)
        instances = {(check["node"], check["id"]) for check in checks if check["id"]} | {(one["node"], one["id"]) for one in found}
        self._instances_seen = len(instances)
        return found

    def _checks(self, node: str | None = None) -> list[dict[str, Any]]:
        """All checks of the datacenter, or those of a node as they are this moment."""
        path = "/v1/health/state/any" if node is None else f"/v1/health/node/{arguments.path_name(node, 'node')}"
        answer = self._ask("GET", path, consistency="default" if node is None else "consistent")
        found: list[dict[str, Any]] = read(answer, lambda data: [_check(item) for item in data])
        return found

    def _remember(self, checks: list[dict[str, Any]], now: float) -> None:
        seen: dict[_Check, dict[str, Any]] = {}
        for check in checks:
            if check["status"] != "critical" or not _counts(check):
                continue
            key = (check["node"], check["check"])
            before = self._seen.get(key)
            same = before and (before["index"] == check["index"] or not self._strict)
            # A clock that was set back must not make anything older.
            seen[key] = {"since": min(before["since"], now) if before and same else now, "index": check["index"]}
        self._seen = seen

    def _due(self, checks: list[dict[str, Any]], now: float, threshold: float, patterns: list[str]) -> list[Finding]:
        nodes: dict[str, list[dict[str, Any]]] = {}
        for check in checks:
            nodes.setdefault(check["node"], []).append(check)
        found: list[Finding] = []
        for node, of_node in nodes.items():
            for service_id, service in self._instances(node, of_node, now, threshold):
                if service == _NEVER or not any(fnmatchcase(service, pattern) for pattern in patterns):
                    continue
                if any(_in_maintenance(check, service_id) for check in of_node):
                    continue
                oldest = min(
                    (check for check in of_node if check["id"] in ("", service_id) and self._is_old(check, now, threshold)),
                    key=lambda check: (self._since(check), str(check["check"])),
                )
                found.append(
                    {
                        "node": node,
                        "service": service,
                        "id": service_id,
                        "check": oldest["check"],
                        "since": self._since(oldest),
                        "seconds": now - self._since(oldest),
                        "output": oldest["output"],
                        "by": _by(of_node),
                    }
                )
        return sorted(found, key=lambda finding: (finding["node"], finding["id"]))

    def _instances(self, node: str, checks: list[dict[str, Any]], now: float, threshold: float) -> list[tuple[str, str]]:
        """Id and name of the node's instances that have been critical long enough."""
        old = [check for check in checks if self._is_old(check, now, threshold)]
        if any(check["check"] == _NODE_HEALTH for check in old):
            # All that the node has; some may have no check of their own.
            answer = self._ask("GET", f"/v1/catalog/node/{arguments.path_name(node, 'node')}")
            listed: list[tuple[str, str]] = read(
                answer, lambda data: [(item["ID"], item["Service"]) for item in ((data or {}).get("Services") or {}).values()]
            )
            return listed
        return list(dict.fromkeys((check["id"], check["service"]) for check in old))

    def _is_old(self, check: dict[str, Any], now: float, threshold: float) -> bool:
        return (check["node"], check["check"]) in self._seen and now - self._since(check) >= threshold

    def _since(self, check: dict[str, Any]) -> float:
        return float(self._seen[check["node"], check["check"]]["since"])

    def _remove(self, finding: Finding) -> Finding:
        try:
            problem = self._try_to_remove(finding)
        except ConsulError as error:
            problem = str(error)
        return {**finding, "removed": not problem, "problem": problem}

    def _try_to_remove(self, finding: Finding) -> str:
        """Removes an instance; returns why not, or nothing."""
        node, service_id = finding["node"], finding["id"]
        checks = self._checks(node)
        index = self._seen[node, finding["check"]]["index"]
        still = [check for check in checks if check["check"] == finding["check"] and check["status"] == "critical"]
        if not still or (self._strict and still[0]["index"] != index):
            return "its check has changed just now"
        if _by(checks) != finding["by"]:
            return "its node has failed, or come back, just now"
        if any(_in_maintenance(check, service_id) for check in checks):
            return "it is in maintenance since just now"
        if finding["by"] == "catalog":
            return self._remove_from_catalog(node, service_id)
        return self._remove_through_agent(node, service_id)

    def _remove_from_catalog(self, node: str, service_id: str) -> str:
        body = {"Node": node, "ServiceID": service_id, **({"Datacenter": self._of} if self._of else {})}
        self._ask("PUT", "/v1/catalog/deregister", body=body, idempotent=True)
        return ""

    def _remove_through_agent(self, node: str, service_id: str) -> str:
        own = self._identity(self.client)
        address = self._agent_of(node, own)
        if address is None:
            return _NO_AGENT
        # An agent of its own: failover would ask another one.
        client = type(self.client)(replace(self.client.settings, agents=(address,)))
        try:
            found = self._identity(client)
            if (found["node"], found["datacenter"]) != (node, self._of or own["datacenter"]):
                return f"the agent at {address} is that of node {found['node']} in {found['datacenter']}"
            path = f"/v1/agent/service/deregister/{arguments.path_name(service_id, 'id')}"
            unknown = client.request("PUT", path, idempotent=True, allow=(404,)).status == 404
        finally:
            client.close()
        # What its agent does not know stands in the catalog only.
        return self._remove_from_catalog(node, service_id) if unknown else ""

    def _obstacle(self, finding: Finding) -> str:
        """Why an instance can't be removed, as far as it is known without asking its agent."""
        try:
            if finding["by"] == "agent" and self._agent_of(finding["node"], self._identity(self.client)) is None:
                return _NO_AGENT
            return ""
        except ConsulError as error:
            return str(error)

    def _agent_of(self, node: str, own: dict[str, Any]) -> Agent | None:
        """Where the agent of a node is, if that is known: the one that the client asks (*own*), or one that was named."""
        # Nodes of two datacenters may have one name.
        if (own["node"], own["datacenter"]) == (node, self._of or own["datacenter"]):
            agent: Agent = own["agent"]
            return agent
        given = self._agent(node) if self._agent else None
        return None if given is None else _address(given)

    def _identity(self, client: Api) -> dict[str, Any]:
        """Node and datacenter of the agent that answers, and the agent."""
        answer = client.request("GET", "/v1/agent/self")
        agent = next(agent for agent in client.settings.agents if str(agent) == answer.agent)
        found: dict[str, Any] = read(
            answer, lambda data: {"node": data["Config"]["NodeName"], "datacenter": data["Config"]["Datacenter"], "agent": agent}
        )
        return found

    def _load(self) -> None:
        """Takes what the file says, if there is one."""
        if self._state is None:
            return
        try:
            with open(self._state, encoding="utf-8") as file:
                state = json.load(file)
            of, listed = state["datacenter"], state["checks"]
            seen = {(str(node), str(check)): {"since": float(since), "index": int(index)} for node, check, since, index in listed}
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConsulError(f"the state file {self._state} can't be read: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConsulError(f"the state file {self._state} holds no state of a sweeper", advice="Remove it to begin anew") from None
        if of != self._of:
            raise ConsulError(f"the state file {self._state} is of datacenter {of}", advice="Give each datacenter a file of its own")
        self._seen = seen

    def _save(self) -> None:
        """Writes the file anew: a reader, or a crash, must never find half of it."""
        if self._state is None:
            return
        listed = [[node, check, seen["since"], seen["index"]] for (node, check), seen in sorted(self._seen.items())]
        try:
            with replacing(self._state) as file:
                file.write(json.dumps({"datacenter": self._of, "checks": listed}).encode())
        except OSError as error:
            raise ConsulError(f"the state file {self._state} can't be written: {error.strerror}") from None


def _check(item: dict[str, Any]) -> dict[str, Any]:
    """What a sweeper needs of an entry of `/v1/health/state/:state`; id and service are empty for a check of the node."""
    return {
        "node": item["Node"],
        "check": item["CheckID"],
        "status": item["Status"],
        "id": item["ServiceID"],
        "service": item["ServiceName"],
        "output": item["Output"],
        "index": int(item["ModifyIndex"]),
    }


def _counts(check: dict[str, Any]) -> bool:
    """Whether a service is dead when this check is critical."""
    return not check["check"].startswith(_MAINTENANCE) and (check["id"] != "" or check["check"] == _NODE_HEALTH)


def _by(checks: list[dict[str, Any]]) -> str:
    """How an instance of the node with these checks can be removed so that it stays away."""
    alive = any(check["check"] == _NODE_HEALTH and check["status"] != "critical" for check in checks)
    return "agent" if alive else "catalog"


def _in_maintenance(check: dict[str, Any], service_id: str) -> bool:
    return bool(check["check"] in (_MAINTENANCE[0], f"{_MAINTENANCE[1]}{service_id}"))


def _threshold(value: Any) -> float:
    return arguments.duration(value, "threshold", SHORTEST_THRESHOLD)


def _fraction(value: Any) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InvalidValueError(f"fraction: {arguments.shown(value)} is no number from 0 to 1")


def _patterns(value: Any) -> list[str]:
    return arguments.names(value, "services")


def _address(given: Any) -> Agent:
    if not isinstance(given, str):
        raise InvalidValueError(f"agent: {arguments.shown(given)} is no address of an agent")
    return Agent.parse(given)

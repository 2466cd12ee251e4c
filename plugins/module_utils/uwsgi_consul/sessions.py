# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sessions: what holds Consul's locks.

Source: https://developer.hashicorp.com/consul/api-docs/session
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Dict, List

from . import arguments
from .bound import Bound, read
from .errors import ServerError
from .protocol import duration, seconds

BEHAVIORS = ("release", "delete")
# Consul's own limits, in seconds. A longer lock delay is taken by the server, and against its documentation.
SHORTEST_TTL, LONGEST_TTL, LONGEST_LOCK_DELAY = 10, 86400, 60

Session = Dict[str, Any]
# Within the class below, `list` is its method.
SessionList = List[Session]


class Sessions(Bound):
    """Sessions, each as `session` describes it.

    What the TTL promises: a session does not end by time before it has passed since it was made or renewed. It does not promise
    an end by then: Consul lets it live up to twice the TTL, and longer while the datacenter has no leader or a new one, which
    starts every TTL again. So whoever holds a session has lost it, for his own safety, when the TTL has passed since he
    **began** the last renewal that succeeded; and whoever waits for it may wait twice as long, and then the lock delay.

    filtered: whether Consul said that it left out of the last answer what the token may not see.
    """

    filtered = False

    def create(
        self,
        name: str = "",
        *,
        node: str | None = None,
        checks: Iterable[str] | None = None,
        node_checks: Iterable[str] | None = None,
        service_checks: Iterable[str] | None = None,
        lock_delay: float | str | None = None,
        ttl: float | str | None = None,
        behavior: str = "release",
    ) -> str:
        """Makes a session and returns its id.

        node: the session ends with it; that of the agent that is asked, unless given. node_checks and service_checks:
        ids of checks of that node; the session ends when one of them becomes critical. Unless given, Consul takes the
        node's `serfHealth`; an empty list takes none, and the session outlives its node. checks: more of both kinds, as
        releases before 1.7 had it; newer ones obey it, and do not show it. lock_delay: for how long nobody gets the
        keys that it held when it ended (0 to 60 s, Consul's default is 15 s). ttl: as the class says (10 s to 24 h);
        without one it does not end by time. behavior: whether its end releases its locks, or deletes their keys. Durations are
        seconds, or texts such as `1m30s`. Raises `ConsulError`.
        """
        body = terms(name, node, checks, node_checks, service_checks, lock_delay, ttl, behavior)
        try:
            answer = self._ask("PUT", "/v1/session/create", body=body)
        except ServerError as error:
            if "Missing node registration" in error.answer:
                error.advice = (
                    "A session belongs to a node of its datacenter, the agent's own unless node is given: give the name of one there"
                )
            raise
        return str(read(answer, lambda data: data["ID"]))

    def destroy(self, session_id: str) -> None:
        """Ends a session at once. What it still holds has its lock delay, as after any other end: release the keys before.

        Consul does not say whether there was such a session. Raises `ConsulError`.
        """
        self._ask("PUT", f"/v1/session/destroy/{arguments.session(session_id, 'session_id')}", idempotent=True)

    def renew(self, session_id: str) -> Session:
        """Starts the session's TTL again and returns the session; raises `NotFoundError` when it has ended."""
        answer = self._ask("PUT", f"/v1/session/renew/{arguments.session(session_id, 'session_id')}", idempotent=True)
        found: Session = read(answer, lambda data: session(data[0]))
        return found

    def info(self, session_id: str) -> Session | None:
        """The session, or `None` when there is none. Raises `ConsulError`."""
        found = self._sessions(f"/v1/session/info/{arguments.session(session_id, 'session_id')}")
        return found[0] if found else None

    def node(self, node: str) -> SessionList:
        """The sessions of a node. Raises `ConsulError`."""
        return self._sessions(f"/v1/session/node/{arguments.path_name(node, 'node')}")

    def list(self) -> SessionList:
        """All sessions of the datacenter. Raises `ConsulError`."""
        return self._sessions("/v1/session/list")

    def _sessions(self, path: str) -> SessionList:
        answer = self._ask("GET", path)
        self.filtered = answer.filtered_by_acls
        found: SessionList = read(answer, lambda data: [session(item) for item in data or ()])
        return found


def terms(
    name: str = "",
    node: str | None = None,
    checks: Iterable[str] | None = None,
    node_checks: Iterable[str] | None = None,
    service_checks: Iterable[str] | None = None,
    lock_delay: float | str | None = None,
    ttl: float | str | None = None,
    behavior: str = "release",
) -> dict[str, Any]:
    """What `Sessions.create` sends for these arguments; raises `InvalidValueError` for those that can't be right."""
    body: dict[str, Any] = {"Behavior": arguments.choice(behavior, "behavior", BEHAVIORS)}
    if name != "":
        body["Name"] = arguments.name(name, "name")
    if node is not None:
        body["Node"] = arguments.name(node, "node")
    if checks is not None:
        body["Checks"] = arguments.names(checks, "checks")
    if node_checks is not None:
        body["NodeChecks"] = arguments.names(node_checks, "node_checks")
    if service_checks is not None:
        body["ServiceChecks"] = [{"ID": check} for check in arguments.names(service_checks, "service_checks")]
    if lock_delay is not None:
        body["LockDelay"] = duration(arguments.duration(lock_delay, "lock_delay", 0, LONGEST_LOCK_DELAY))
    if ttl is not None:
        body["TTL"] = duration(arguments.duration(ttl, "ttl", SHORTEST_TTL, LONGEST_TTL))
    return body


def oldest_first(found: Iterable[Session]) -> SessionList:
    """Sessions in the order in which they were made, which is the same for all who ask."""
    return sorted(found, key=lambda one: (one["create_index"], one["id"]))


def session(item: dict[str, Any]) -> Session:
    """One entry of `/v1/session/list` as a plain mapping:

    id, name, node, lock_delay (seconds), ttl (seconds, `None` without one), behavior, node_checks and service_checks
    (lists of ids), create_index, modify_index.
    """
    return {
        "id": item["ID"],
        "name": item.get("Name") or "",
        "node": item["Node"],
        # Nanoseconds.
        "lock_delay": item["LockDelay"] / 1e9,
        "ttl": seconds(item.get("TTL") or "0s") or None,
        "behavior": item["Behavior"],
        "node_checks": item.get("NodeChecks") or item.get("Checks") or [],
        "service_checks": [check["ID"] for check in item.get("ServiceChecks") or ()],
        "create_index": item["CreateIndex"],
        "modify_index": item["ModifyIndex"],
    }

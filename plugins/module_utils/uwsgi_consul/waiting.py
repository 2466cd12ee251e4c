# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waiting until something is so in Consul, by blocking queries: it is known within milliseconds, and costs one open request.

Sources: https://developer.hashicorp.com/consul/api-docs/features/blocking, .../api-docs/health and .../api-docs/status
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from . import arguments, keys, services
from .bound import Bound, read
from .errors import NoAgentError, PermissionDeniedError, ServerError
from .long_read import LongRead
from .protocol import Answer
from .services import STATUSES, in_order, listed, worst_status

LONGEST_WAIT = 366 * 86400.0
# A consistent read that needs a leader, a word from most servers and no permission: there is no such session.
_NEEDS_LEADER = "/v1/session/info/00000000-0000-0000-0000-000000000000"
_NAMED = 5


@dataclass(frozen=True)
class Look:
    """What was found at one moment.

    fulfilled: whether it is what was waited for. said: what there is, in a sentence without its full stop. found: the thing
    itself: the leader's address, the instances, the entry of a key without its value, the node's checks.
    """

    fulfilled: bool
    said: str
    found: Any = field(default=None)


_Look = Callable[[Answer], Look]


class Waiting(Bound):
    """Waits. Each method returns the last look, which tells whether it came in time.

    wait: for how long, in seconds or as a text such as `5m`; 0 looks once. absent: waits until it is **not** so. on_look:
    called with each look whose words are new, and with one for each trouble. Consul that can't be asked, or has no leader,
    is waited for; if that lasts until the time is up, it is the error. What the token may not see is not there.
    Raises `ConsulError`.
    """

    def leader(self, *, wait: float | str, on_look: Callable[[Look], Any] | None = None) -> Look:
        """Waits until the datacenter has a leader that most of its servers follow."""

        def look(_answer: Answer) -> Look:
            address = read(self._ask("GET", "/v1/status/leader"), _text)
            return Look(bool(address), f"the leader is {address}" if address else "there is no leader", address or None)

        return self._wait(_NEEDS_LEADER, (), look, False, wait, on_look, consistency="consistent")

    def service(
        self,
        service: str,
        count: int = 1,
        *,
        tags: Iterable[str] = (),
        status: str = "passing",
        filter: str | None = None,  # noqa: A002 - Consul's own term
        absent: bool = False,
        wait: float | str,
        on_look: Callable[[Look], Any] | None = None,
    ) -> Look:
        """Waits until a service has at least *count* instances. tags, status, filter: as for `services.instances`."""
        arguments.integer(count, "count", 1)
        arguments.choice(status, "status", tuple(STATUSES))
        # All of them are read, for those that are not well are what people want to hear of.
        path, params = services.question(service, tags, "any", None, filter)

        def look(answer: Answer) -> Look:
            found = in_order(listed(answer))
            good = [one for one in found if one["status"] in STATUSES[status]]
            return Look(len(good) >= count, _said_of_instances(service, count, found, good, status), good)

        return self._wait(path, params, look, absent, wait, on_look)

    def key(
        self,
        key: str,
        value: str | bytes | None = None,
        *,
        absent: bool = False,
        wait: float | str,
        on_look: Callable[[Look], Any] | None = None,
    ) -> Look:
        """Waits until there is a key, with that value if one is given. No value is ever shown."""
        path, wanted = keys.path(key, "key"), None if value is None else keys.content(value)

        def look(answer: Answer) -> Look:
            entry = next(iter(keys.entries(answer)), None)
            if entry is None:
                return Look(False, f"there is no key {key}")
            found = {name: part for name, part in entry.items() if name != "value"}
            if wanted is None:
                return Look(True, f"the key {key} is there", found)
            same = entry["value"] == wanted
            return Look(same, f"the key {key} has {'that' if same else 'another'} value", found)

        return self._wait(path, (), look, absent, wait, on_look)

    def node(
        self,
        node: str,
        *,
        status: str = "passing",
        absent: bool = False,
        wait: float | str,
        on_look: Callable[[Look], Any] | None = None,
    ) -> Look:
        """Waits until a node has checks of its own, none of which is worse than *status*; those of its services do not count.

        status: as for `service`; with `any` the node need only be known, with checks or without.
        """
        arguments.choice(status, "status", tuple(STATUSES))
        known = status == "any"
        path = f"/v1/{'catalog' if known else 'health'}/node/{arguments.path_name(node, 'node')}"

        def look(answer: Answer) -> Look:
            if known:
                there = read(answer, lambda found: bool(found and found["Node"]))
                return Look(there, f"node {node} is {'known' if there else 'not known'}")
            checks = read(answer, lambda found: [_check(one) for one in found if not one["ServiceID"]])
            if not checks:
                return Look(False, f"node {node} has no check, or is not known", [])
            worst = worst_status({"CheckID": check["id"], "Status": check["status"]} for check in checks)
            return Look(worst in STATUSES[status], f"node {node} is {worst}", checks)

        return self._wait(path, (), look, absent, wait, on_look)

    def _wait(
        self,
        path: str,
        params: Sequence[tuple[str, Any]],
        look: _Look,
        absent: bool,
        wait: float | str,
        on_look: Callable[[Look], Any] | None,
        consistency: str | None = None,
    ) -> Look:
        arguments.boolean(absent, "absent")
        tell = (lambda _look: None) if on_look is None else arguments.function(on_look, "on_look")
        seconds = arguments.duration(wait, "wait", 0, LONGEST_WAIT)
        reading = LongRead(self, path, params, seconds=seconds, patient=seconds > 0, consistency=consistency)
        last, said = Look(False, "nothing was asked"), ""
        while True:
            answer = reading.next()
            if answer is None and reading.trouble is None:
                return last
            try:
                found = None if answer is None else look(answer)
            except (NoAgentError, ServerError) as error:
                reading.wait_out(error)
                found = None
            if found is None:
                now = Look(False, f"Consul can't be asked: {reading.trouble}")
            else:
                now = last = Look(found.fulfilled != absent, found.said, found.found)
                if absent and now.fulfilled and answer is not None and answer.filtered_by_acls:
                    raise PermissionDeniedError(
                        f"{found.said}, but Consul left out what the token may not see",
                        asked=answer.asked,
                        agent=answer.agent,
                        advice="The token needs node:read, and service:read for a service",
                    )
            if now.said != said:
                said = now.said
                tell(now)
            if now.fulfilled:
                return now
            if consistency is not None:
                # What has no index to wait with.
                reading.pause(1)


def _said_of_instances(service: str, count: int, found: Sequence[Mapping[str, Any]], good: Sequence[Mapping[str, Any]], status: str) -> str:
    """Such as: 1 of 3 instances of web is passing (web1:web-1 critical)."""
    kind = {"passing": "passing", "warning": "passing or warning", "any": "there"}[status]
    if not found:
        return f"service {service} has no instance, and {count} should be {kind}"
    others = [one for one in found if one not in good]
    named = ", ".join(f"{one['id']} of {one['node']}: {one['status']}" for one in others[:_NAMED])
    more = f", and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"of service {service}, {len(good)} of {len(found)} instances are {kind}, and {count} should be" + (
        f" ({named}{more})" if others else ""
    )


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError
    return found


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": item["CheckID"], "name": item["Name"], "status": item["Status"], "output": item["Output"]}

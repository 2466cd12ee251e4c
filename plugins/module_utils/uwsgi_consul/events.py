# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""User events: short messages that Consul's agents pass on by gossip, to all who are there just then.

An event may arrive late, out of order, or never. Each agent keeps the last 256 that it received in memory, for its own
node and its own datacenter only. What must not get lost belongs into the KV store.

Source: https://developer.hashicorp.com/consul/api-docs/event
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Dict, List

from . import arguments
from .bound import Bound, read
from .errors import InvalidValueError
from .protocol import Answer, duration

# What a gossip packet holds of an event, name and payload together, in bytes. Newer agents take less: 1.22 takes 300 of payload.
LARGEST = 512
# Several times what one agent keeps, so that events of all agents of a client are known again.
_REMEMBERED = 4096

Event = Dict[str, Any]
# Within the class below, `list` is its method.
EventList = List[Event]


class Events(Bound):
    """Events, each as `event` describes it."""

    def fire(
        self, name: str, payload: str | bytes = b"", *, node: str | None = None, service: str | None = None, tag: str | None = None
    ) -> Event:
        """Sends an event to the agents of the datacenter, and returns it.

        payload: name and payload may have 512 bytes together; newer agents take less, and then the error has their limit.
        node, service, tag: regular expressions; only agents of such nodes, or with such services (a tag needs a service),
        keep the event. Raises `ConsulError`.
        """
        path, params, data = firing(name, payload, node, service, tag)
        fired: Event = read(self._ask("PUT", path, params, data), event)
        return fired

    def list(self, name: str | None = None) -> EventList:
        """The events that the agent that is asked received last, oldest first: all, or those with that name.

        They are that agent's, whatever datacenter is set. Raises `ConsulError`.
        """
        return _events(self._ask("GET", "/v1/event/list", _named(name)))

    def follow(self, name: str | None = None) -> Following:
        """The events, all or those with that name, that arrive from now on. Raises `ConsulError`."""
        return Following(self, name)


class Following:
    """Events from the moment at which this was made on, each of them once; an endless iterator.

    Made for one thread. An error, such as `NoAgentError`, ends nothing: `poll` and `next` can be called again, and go
    on where they were. What was lost: events that were fired while the agent was away, and the oldest when more
    than 256 arrived between two calls. When the client fails over to another agent, that one's older events are new
    unless the first one had them as well.
    """

    def __init__(self, events: Events, name: str | None = None) -> None:
        self._events, self._params = events, _named(name)
        self._waiting: EventList = []
        self._known: dict[str, None] = {}
        # Consul's index of events is no counter but a checksum of the last event, 64 bits wide: the agent answers as soon
        # as it is another one, and it may become smaller.
        self._index = 0
        self._arrived(self._events._ask("GET", "/v1/event/list", self._params))

    def poll(self, wait: float = 60.0) -> EventList:
        """The events that arrived since the last call; waits for up to *wait* seconds (600 at most) for one. Raises `ConsulError`."""
        wait = arguments.seconds(wait, "wait", 0, 600)
        arrived, self._waiting = self._waiting, []
        if arrived:
            return arrived
        # An index of 0 is answered at once, and so is one without a time to wait, which Consul takes for its default.
        held = [("index", self._index), ("wait", duration(wait))] if wait >= 0.001 else []
        return self._arrived(self._events._ask("GET", "/v1/event/list", self._params + held))

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._waiting:
            self._waiting = self.poll()
        return self._waiting.pop(0)

    def _arrived(self, answer: Answer) -> EventList:
        """The events of the answer that are new."""
        index = answer.headers["X-Consul-Index"] or ""
        if not re.fullmatch(r"[0-9]{1,20}", index):
            raise answer.bad("the answer has no index")
        new = [one for one in _events(answer) if one["id"] not in self._known]
        self._index = int(index)
        self._known.update(dict.fromkeys(one["id"] for one in new))
        for known in list(self._known)[: max(0, len(self._known) - _REMEMBERED)]:
            del self._known[known]
        return new


def firing(
    name: str, payload: str | bytes = b"", node: str | None = None, service: str | None = None, tag: str | None = None
) -> tuple[str, list[tuple[str, Any]], bytes]:
    """Path, parameters and body of the request that fires an event; raises `InvalidValueError`."""
    if not isinstance(payload, (str, bytes)):
        raise InvalidValueError(f"payload: {arguments.shown(payload)} is neither text nor bytes")
    data = arguments.text(payload, "payload").encode() if isinstance(payload, str) else payload
    path = f"/v1/event/fire/{arguments.path_name(name, 'name')}"
    size = len(name.encode()) + len(data)
    if size > LARGEST:
        raise InvalidValueError(
            f"payload: with the name it has {size} bytes, and an event may have {LARGEST}",
            advice="Put the data into the KV store, and its key into the event",
        )
    if tag is not None and service is None:
        raise InvalidValueError(f"tag: {arguments.shown(tag)} is of no use without service")
    given = {"node": node, "service": service, "tag": tag}
    params = [(what, arguments.name(value, what)) for what, value in given.items() if value is not None]
    return path, params, data


def event(item: dict[str, Any]) -> Event:
    """One entry of `/v1/event/list` as a plain mapping:

    id, name, payload (bytes), node_filter, service_filter, tag_filter (each empty without one), ltime (Lamport time
    at the agent, 0 in what `fire` returns: a later event has a greater one, or the same).
    """
    return {
        "id": item["ID"],
        "name": item["Name"],
        "payload": base64.b64decode(item.get("Payload") or "", validate=True),
        "node_filter": item.get("NodeFilter") or "",
        "service_filter": item.get("ServiceFilter") or "",
        "tag_filter": item.get("TagFilter") or "",
        "ltime": item["LTime"],
    }


def _named(name: str | None) -> list[tuple[str, Any]]:
    return [] if name is None else [("name", arguments.name(name, "name"))]


def _events(answer: Answer) -> EventList:
    found: EventList = read(answer, lambda data: [event(item) for item in data])
    return found

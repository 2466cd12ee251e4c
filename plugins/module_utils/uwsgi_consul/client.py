# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`Client` and `AsyncClient`: the Consul clients that users of python-consul2 and py-consul know, on our transport."""

from __future__ import annotations

import dataclasses
import sys
from contextvars import ContextVar
from typing import Any

from .api import Api, AsyncApi
from .errors import ConsulError, LibraryMissingError
from .library import LibraryTransport, add_options, as_library_error, base
from .protocol import Answer
from .settings import Settings

# The parts of the API as both libraries name them: attribute of the client, and its class. They are made on first use.
# The libraries' own constructor is not used, for it lets environment variables override what it is given, or fails on them.
_PARTS = {
    "acl": "ACL",
    "agent": "Agent",
    "catalog": "Catalog",
    "config": "Config",
    "connect": "Connect",
    "coordinate": "Coordinate",
    "discovery_chain": "DiscoveryChain",
    "event": "Event",
    "health": "Health",
    "kv": "KV",
    "operator": "Operator",
    "query": "Query",
    "session": "Session",
    "snapshot": "Snapshot",
    "status": "Status",
    "txn": "Txn",
}
_last_answer: ContextVar[Answer | None] = ContextVar("uwsgi_consul_last_answer", default=None)


class _LibraryClient(base.Consul if base else object):  # type: ignore[misc]
    """What both clients share: the library's parts, on our transport."""

    settings: Settings
    # The transport adds the settings' token where a call has none: to the header only, and to every call, while the
    # libraries leave it out of some and write it into the body of prepared queries.
    token = None

    def __getattr__(self, name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # python-consul2 nests the classes, py-consul imports them.
        part = getattr(base.Consul, _PARTS[name], None) or getattr(base, _PARTS[name])
        setattr(self, name, add_options(part(self)))
        return self.__dict__[name]

    def _become_library_client(self, http: LibraryTransport) -> None:
        self.http = http
        self.scheme = "https" if self.settings.agents[0].tls else "http"
        self.consistency = self.settings.consistency
        self.dc = self.settings.datacenter

    def http_connect(self, *_arguments: Any, **_options: Any) -> Any:
        """The library's hook for a transport of one's own."""
        return self.http

    def _note(self, answer: Answer) -> Answer:
        _last_answer.set(dataclasses.replace(answer, content=b""))
        return answer

    def _error(self, error: ConsulError) -> ConsulError:
        return as_library_error(error)

    @property
    def last_answer(self) -> Answer | None:
        """What came with the last answer to this thread or task, whichever client asked, without its body: `index`,
        `last_contact`, `known_leader`, `cache_age`, `status`, `agent`."""
        return _last_answer.get()


class Client(_LibraryClient, Api):
    """A `consul.base.Consul` with failover, time-outs, keep-alive, safety after fork and token discipline.

    `c.kv.get`, `c.health.service`, `c.agent.service.register`, ... are the library's own. Each takes what the library
    forgot, too: `consistency`, `dc`, `token`, `timeout` (seconds), `near`, `filter`, `cached`, `ns`, `partition`, `peer`,
    `index`, `wait`. All else goes through `request`. Errors are `ConsulError`s; those that the library has a class for are
    that as well, so `except consul.ACLPermissionDenied` works.

    Either *settings*, or the options of `Settings.resolve` by name. Raises `LibraryMissingError`, `InvalidValueError`.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        _require_library()
        Api.__init__(self, settings, **options)
        self._become_library_client(LibraryTransport(self.request, self.close))


class AsyncClient(_LibraryClient, AsyncApi):
    """As `Client`, for programs of an event loop: `await c.kv.get(...)`, `await c.health.service(...)`."""

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        _require_library()
        AsyncApi.__init__(self, settings, **options)
        self._become_library_client(LibraryTransport(self.request, self.close))


def _require_library() -> None:
    if base is None:
        raise LibraryMissingError(
            "the Python library python-consul2 is not installed",
            advice=f"Install it for {sys.executable}: {sys.executable} -m pip install python-consul2 (or py-consul)",
        )

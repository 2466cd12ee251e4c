# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`Client`: the Consul client that users of python-consul2 and py-consul know, on our transport."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

from .errors import LibraryMissingError
from .library import LibraryTransport, base
from .protocol import Answer
from .settings import Settings
from .transport import Transport

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


class Client(base.Consul if base else object):  # type: ignore[misc]
    """A `consul.base.Consul` with failover, time-outs, keep-alive, safety after fork and token discipline.

    `c.kv.get`, `c.health.service`, `c.agent.service.register`, ... are the library's own; what the library can't pass
    goes through `request`. Errors are `ConsulError`s; those that the library has a class for are that as well, so
    `except consul.ACLPermissionDenied` works.

    Either *settings*, or the options of `Settings.resolve` by name. Raises `LibraryMissingError`, `InvalidValueError`.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        if base is None:
            raise LibraryMissingError(
                "the Python library python-consul2 is not installed",
                advice=f"Install it for {sys.executable}: {sys.executable} -m pip install python-consul2 (or py-consul)",
            )
        self.settings = Settings.resolve(**options) if settings is None else settings
        self.http = self.http_connect()
        self.scheme = "https" if self.settings.agents[0].tls else "http"
        self.consistency = self.settings.consistency
        self.dc = self.settings.datacenter
        # The transport adds the settings' token where a call has none: to the header only, and to every call, while the
        # libraries leave it out of some and write it into the body of prepared queries.
        self.token = None

    def __getattr__(self, name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        # python-consul2 nests the classes, py-consul imports them.
        part = getattr(base.Consul, _PARTS[name], None) or getattr(base, _PARTS[name])
        setattr(self, name, part(self))
        return self.__dict__[name]

    def __repr__(self) -> str:
        return f"Client({self.settings!r})"

    def http_connect(self, *_arguments: Any, **_options: Any) -> Any:
        """The library's hook for a transport of one's own."""
        return LibraryTransport(Transport(self.settings))

    def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | None = None,
        *,
        token: str | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """The answer to any request of Consul's HTTP API; datacenter, consistency and token are the settings' unless given.

        path: quoted, from `/v1/` on. timeout: seconds for the whole call. idempotent: whether it may be sent twice; a
        GET may. allow: statuses that are no error here, such as 404. Raises `ConsulError`.
        """
        answer: Answer = self.http.ask(
            method, path, params, body, token=token, consistency=consistency, timeout=timeout, idempotent=idempotent, allow=allow
        )
        return answer

    def close(self) -> None:
        """Closes the idle connections; the client can still be used."""
        self.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

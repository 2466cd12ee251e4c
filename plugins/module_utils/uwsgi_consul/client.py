# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`Client`: the Consul client that users of python-consul2 and py-consul know, on our transport.

Both libraries have the import name `consul`, and either will do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import quote

from . import errors
from .protocol import Answer, build_request, check, excerpt
from .settings import Settings
from .transport import Transport

try:
    import consul as _library  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from consul import base as _base
except ImportError:
    _library = _base = None

# The parts of the API as both libraries name them: attribute of the client, and its class. The libraries' own
# constructor is not used to make them, for it lets environment variables override what it is given, or fails on them.
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


class Client(_base.Consul if _base else object):  # type: ignore[misc]
    """A `consul.base.Consul` with failover, time-outs, keep-alive, safety after fork and token discipline.

    `c.kv.get`, `c.health.service`, `c.agent.service.register`, ... are the library's own; what the library can't pass
    goes through `request`. Errors are `ConsulError`s; those that the library has a class for are that as well, so
    `except consul.ACLPermissionDenied` works.

    Either *settings*, or the options of `Settings.resolve` by name. Raises `LibraryMissingError`, `InvalidValueError`.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        if _base is None:
            raise errors.LibraryMissingError(
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
        for attribute, name in _PARTS.items():
            part = getattr(_base.Consul, name, None) or getattr(_base, name)
            setattr(self, attribute, part(self))

    def __repr__(self) -> str:
        return f"Client({self.settings!r})"

    def http_connect(self, *_arguments: Any, **_options: Any) -> Any:
        """The library's hook for a transport of one's own."""
        return _Http(Transport(self.settings))

    def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | None = None,
        *,
        token: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """The answer to any request of Consul's HTTP API; datacenter, consistency and token are the settings' unless given.

        path: quoted, from `/v1/` on. timeout: seconds for the whole call. idempotent: whether it may be sent twice; a
        GET may. allow: statuses that are no error here, such as 404. Raises `ConsulError`.
        """
        return self.http.ask(method, path, params, body, token=token, timeout=timeout, idempotent=idempotent, allow=allow)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Closes the idle connections; the client can still be used."""
        self.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class _Http(_base.HTTPClient if _base else object):  # type: ignore[misc]
    """What the libraries' calls stand on: their four verbs, answered by our transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def ask(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | None = None,
        *,
        token: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        try:
            request = build_request(self.transport.settings, method, path, params, body, token, idempotent)
            return check(self.transport.send(request, timeout), request, allow)
        except errors.ConsulError as error:
            raise _as_library_error(error) from None

    def get(self, callback: Callable[[Any], Any], path: str, params: Any = None, headers: Any = None, **options: Any) -> Any:
        return self._call("GET", callback, path, params, None, headers, **options)

    def put(
        self, callback: Callable[[Any], Any], path: str, params: Any = None, data: Any = "", headers: Any = None, **options: Any
    ) -> Any:
        return self._call("PUT", callback, path, params, data, headers, **options)

    def delete(
        self, callback: Callable[[Any], Any], path: str, params: Any = None, data: Any = "", headers: Any = None, **options: Any
    ) -> Any:
        return self._call("DELETE", callback, path, params, data, headers, **options)

    def post(
        self, callback: Callable[[Any], Any], path: str, params: Any = None, data: Any = "", headers: Any = None, **options: Any
    ) -> Any:
        return self._call("POST", callback, path, params, data, headers, **options)

    def close(self) -> None:
        self.transport.close()

    def _call(
        self,
        method: str,
        callback: Callable[[Any], Any],
        path: str,
        params: Any,
        data: Any,
        headers: Any,
        raw: bool = False,
        connections_timeout: float | None = None,
    ) -> Any:
        given = [(name, value) for name, value in (params or []) if name != "token"]
        # The old ACL calls of python-consul2 put the token into the URL.
        token = (headers or {}).get("X-Consul-Token") or dict(params or []).get("token")
        answer = self.ask(method, quote(path, safe="/:"), given, data or None, token=token, timeout=connections_timeout, allow=(404,))
        try:
            return callback(_as_library_response(answer, raw))
        except (_library.ConsulException, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise _as_library_error(_from_callback(error, answer)) from None


def _as_library_response(answer: Answer, raw: bool) -> Any:
    values = {
        "code": answer.status,
        "headers": answer.headers,
        "body": answer.content if raw else answer.text,
        "content": answer.content,
    }
    return _base.Response(**{field: values[field] for field in _base.Response._fields})


def _from_callback(error: Exception, answer: Answer) -> errors.ConsulError:
    where = {"asked": answer.asked, "agent": answer.agent}
    if answer.status == 404:
        return errors.NotFoundError(f"404 {excerpt(answer.text)}".rstrip(), status=404, answer=excerpt(answer.text), **where)
    return errors.BadAnswerError(f"the answer is not what the API promises: {excerpt(str(error))}", **where)


def _as_library_error(error: errors.ConsulError) -> errors.ConsulError:
    """The same error as an instance of the library's class for it, too."""
    if isinstance(error, errors.InvalidValueError):
        return error
    status = error.status if isinstance(error, errors.RequestError) else 0
    names = {400: "BadRequest", 401: "ACLDisabled", 403: "ACLPermissionDenied", 404: "NotFound"}
    name = names.get(status) or ("ClientError" if 400 <= status < 500 else "ConsulException")
    mixed = _mixed_class(type(error), name)
    copy = mixed.__new__(mixed, *error.args)
    vars(copy).update(vars(error))
    return copy


_mixed_classes: dict[tuple[type[errors.ConsulError], str], type[errors.ConsulError]] = {}


def _mixed_class(ours: type[errors.ConsulError], name: str) -> type[errors.ConsulError]:
    if (ours, name) not in _mixed_classes:
        _mixed_classes[ours, name] = type(
            ours.__name__, (ours, _library_class(name)), {"__doc__": ours.__doc__, "__module__": ours.__module__}
        )
    return _mixed_classes[ours, name]


def _library_class(name: str) -> Any:
    # `BadRequest` and `ClientError` stand in one module or the other, as the library goes.
    places = (_library, _base, getattr(_library, "exceptions", None))
    return next(getattr(place, name) for place in places if hasattr(place, name))

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The bridge to the Consul library that is installed: its calls on our transport, our errors as its own, too.

python-consul2 and its fork py-consul both have the import name `consul`, and either will do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import quote

from . import errors
from .protocol import Answer, build_request, check, excerpt
from .transport import Transport

try:
    import consul as library  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from consul import base
except ImportError:
    library = base = None

__all__ = ["LibraryTransport", "as_library_error", "base"]

# Where both libraries pass the consistency mode of the call, else the client's.
_CONSISTENCY_BY_LIBRARY = ("/v1/kv/", "/v1/catalog/", "/v1/session/", "/v1/coordinate/")


class LibraryTransport(base.HTTPClient if base else object):  # type: ignore[misc]
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
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        try:
            request = build_request(self.transport.settings, method, path, params, body, token, consistency, idempotent)
            return check(self.transport.send(request, timeout), request, allow)
        except errors.ConsulError as error:
            raise as_library_error(error) from None

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
        given = list(params.items() if isinstance(params, dict) else params or ())
        # The old ACL calls of python-consul2 put the token into the URL.
        token = dict(given).get("token") or (headers or {}).get("X-Consul-Token")
        answer = self.ask(
            method,
            quote(path, safe="/:"),
            # Some calls of python-consul2 name the datacenter twice.
            [pair for pair in dict.fromkeys(given) if pair[0] != "token"],
            data or None,
            token=token,
            consistency="default" if path.startswith(_CONSISTENCY_BY_LIBRARY) else None,
            timeout=connections_timeout,
            allow=(404,),
        )
        try:
            return callback(_as_response(answer, raw))
        except (library.ConsulException, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise as_library_error(_from_callback(error, answer)) from None


def _as_response(answer: Answer, raw: bool) -> Any:
    values = {
        "code": answer.status,
        "headers": answer.headers,
        "body": answer.content if raw else answer.text,
        "content": answer.content,
    }
    return base.Response(**{field: values[field] for field in base.Response._fields})


def _from_callback(error: Exception, answer: Answer) -> errors.ConsulError:
    where = {"asked": answer.asked, "agent": answer.agent}
    if answer.status == 404:
        return errors.NotFoundError(f"404 {excerpt(answer.text)}".rstrip(), status=404, answer=excerpt(answer.text), **where)
    return errors.BadAnswerError(f"the answer is not what the API promises: {excerpt(str(error))}", **where)


def as_library_error(error: errors.ConsulError) -> errors.ConsulError:
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
            ours.__name__, (ours, _class_of_library(name)), {"__doc__": ours.__doc__, "__module__": ours.__module__}
        )
    return _mixed_classes[ours, name]


def _class_of_library(name: str) -> Any:
    # `BadRequest` and `ClientError` stand in one module or the other, as the library goes.
    places = (library, base, getattr(library, "exceptions", None))
    return next(getattr(place, name) for place in places if hasattr(place, name))

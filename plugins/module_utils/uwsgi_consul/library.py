# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The bridge to the Consul library that is installed: its calls on our transport, our errors as its own, too.

python-consul2 and its fork py-consul both have the import name `consul`, and either will do.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

from . import errors
from .protocol import Answer, excerpt, seconds

try:
    import consul as library  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from consul import base
except ImportError:
    library = base = None

__all__ = ["LibraryTransport", "add_options", "as_library_error", "base"]

# Where both libraries pass the consistency mode of the call, else the client's.
_CONSISTENCY_BY_LIBRARY = ("/v1/kv/", "/v1/catalog/", "/v1/session/", "/v1/coordinate/")


# What a call may be given beyond what the library's own method takes, and the parameter that it becomes.
_MORE_PARAMETERS = {
    "dc": "dc",
    "index": "index",
    "wait": "wait",
    "near": "near",
    "filter": "filter",
    "cached": "cached",
    "ns": "ns",
    "partition": "partition",
    "peer": "peer",
}
_MORE_OPTIONS = {*_MORE_PARAMETERS, "consistency", "token", "timeout"}
# What the libraries' `session.create` takes as a number only, and Consul writes as a duration.
_WHOLE_SECONDS = ("ttl", "lock_delay")
_more: ContextVar[Mapping[str, Any] | None] = ContextVar("uwsgi_consul_more", default=None)


class LibraryTransport(base.HTTPClient if base else object):  # type: ignore[misc]
    """What the libraries' calls stand on: their four verbs, answered by *request*, which is `Api.request` or `AsyncApi.request`."""

    def __init__(self, request: Callable[..., Any], close: Callable[[], Any]) -> None:
        self._request, self._close = request, close

    def close(self) -> Any:
        return self._close()

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
        more = _more.get() or {}
        names = {name for name, _value in given}
        given += [(name, more[option]) for option, name in _MORE_PARAMETERS.items() if option in more and name not in names]
        # The old ACL calls of python-consul2 put the token into the URL.
        token = more.get("token") or dict(given).get("token") or (headers or {}).get("X-Consul-Token")
        answer = self._request(
            method,
            quote(path, safe="/:"),
            # Some calls of python-consul2 name the datacenter twice.
            [pair for number, pair in enumerate(given) if pair[0] != "token" and pair not in given[:number]],
            _without_template(data) if path.startswith("/v1/query") and data else data or None,
            token=token,
            consistency=more.get("consistency") or ("default" if path.startswith(_CONSISTENCY_BY_LIBRARY) else None),
            timeout=more.get("timeout", connections_timeout),
            allow=(404,),
        )
        return _then(answer, lambda found: _result(callback, found, raw))


def add_options(part: Any) -> Any:
    """A part of the library whose methods take `consistency`, `dc`, `token`, `timeout`, ... where they do not by themselves."""
    for name in dir(type(part)):
        method = getattr(part, name)
        if not name.startswith("_") and inspect.ismethod(method):
            whole_seconds = _WHOLE_SECONDS if (type(part).__name__, name) == ("Session", "create") else ()
            setattr(part, name, _with_options(method, _missing_options(method.__func__), whole_seconds))
    for name, value in vars(part).items():
        # The parts of parts, such as `agent.service`.
        if type(value).__module__.startswith("consul.") and not isinstance(value, base.Consul):
            setattr(part, name, add_options(value))
    return part


def _with_options(method: Callable[..., Any], missing: frozenset[str], whole_seconds: Collection[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        for name in whole_seconds:
            if isinstance(options.get(name), str):
                options[name] = int(seconds(options[name]))
        more = {name: options.pop(name) for name in missing.intersection(options)}
        if not more:
            return method(*arguments, **options)
        mark = _more.set({name: value for name, value in more.items() if value is not None})
        try:
            return method(*arguments, **options)
        finally:
            _more.reset(mark)

    return call


@functools.lru_cache(maxsize=None)
def _missing_options(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(_MORE_OPTIONS.difference(inspect.signature(function).parameters))


def _without_template(data: Any) -> Any:
    """The definition of a prepared query without the template that both libraries add to each, unless one was asked for."""
    definition = json.loads(data)
    template = definition.get("template")
    if isinstance(template, dict) and template.get("regexp") is None:
        del definition["template"]
    # A definition in Consul's own form was given in the place of the service's name.
    service = definition.get("service")
    given = (service.get("Service") or service.get("service")) if isinstance(service, dict) else None
    if isinstance(given, dict):
        definition = given
    return json.dumps(definition)


def _then(answer: Any, function: Callable[[Answer], Any]) -> Any:
    """The function's result for the answer; of an answer that must be awaited, something to await."""
    if not inspect.isawaitable(answer):
        return function(answer)

    async def wait() -> Any:
        return function(await answer)

    return wait()


def _result(callback: Callable[[Any], Any], answer: Answer, raw: bool) -> Any:
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

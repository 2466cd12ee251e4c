# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How an app is, found out by checks of its own and told over HTTP in the way that Consul's http check understands.

Consul takes a 2xx for passing, a 429 for warning and everything else for critical, and keeps the body as the check's
output. Source: https://developer.hashicorp.com/consul/docs/services/usage/checks
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar, overload

from . import arguments
from .errors import InvalidValueError
from .protocol import excerpt

# From good to bad.
STATUSES = ("passing", "warning", "critical")
HTTP_STATUSES = {"passing": (200, "OK"), "warning": (429, "Too Many Requests"), "critical": (503, "Service Unavailable")}
# Of a longer answer Consul keeps the last so many bytes, which would be no JSON.
OUTPUT_LIMIT = 4096
# A note is cut after so many characters.
NOTE_LENGTH = 200
# The lengths of notes of bad checks and of good ones, tried one after the other until the output is short enough.
_LENGTHS = ((NOTE_LENGTH, NOTE_LENGTH), (NOTE_LENGTH, 40), (NOTE_LENGTH, 0), (40, 0))
DEFAULT_TIMEOUT, DEFAULT_CACHE = 5.0, 1.0

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def verdict(result: object) -> tuple[str, str]:
    """Status and note for what a check returned or raised.

    `None` and `True` are passing, `False` is critical, one of `STATUSES` is itself, and a pair is a status (or one of
    those) with a note. An exception is critical with its text as the note, a `Warning` is warning. Anything else is
    critical, and the note says so: a check that is written wrongly must not look healthy.
    """
    note: object = ""
    if isinstance(result, BaseException):
        said = f"{type(result).__name__}: {result}" if str(result) else type(result).__name__
        return ("warning", str(result) or said) if isinstance(result, Warning) else ("critical", said)
    given = result
    if isinstance(result, (tuple, list)) and len(result) == 2:
        given, note = result
    if given is None or given is True:
        status = "passing"
    elif given is False:
        status = "critical"
    elif isinstance(given, str) and given in STATUSES:
        status = given
    else:
        return "critical", f"the check returned {arguments.shown(result)}, which is no status"
    return status, "" if note is None else str(note)


class Probe:
    """One named check: its function is called in a thread of its own, and never while an earlier call goes on."""

    def __init__(self, name: str, function: Callable[[], Any], timeout: float) -> None:
        self.name, self.function, self.timeout = name, function, timeout
        self._call: Call | None = None

    def call(self, loop: asyncio.AbstractEventLoop | None = None) -> Call:
        """The call that goes on, else a new one. Only to be used by one thread at a time."""
        if self._call is None or not self._call.goes_on():
            self._call = Call(self.name, self.function, self.timeout, loop)
        return self._call


class Call:
    """A call of a check's function; its `outcome` is status, note and the seconds that it took.

    A coroutine runs in *loop*, where what it uses belongs to, or without one in a loop of its own.
    """

    def __init__(self, name: str, function: Callable[[], Any], timeout: float, loop: asyncio.AbstractEventLoop | None) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.outcome: Future[tuple[str, str, float]] = Future()
        self._function, self._timeout, self._loop, self._process = function, timeout, loop, os.getpid()
        try:
            # A daemon, so that a check that hangs does not keep the process from ending.
            threading.Thread(target=self._run, name=f"check {name}", daemon=True).start()
        except RuntimeError as error:
            self._finish(error)

    def goes_on(self) -> bool:
        # A child of the process that made the call has none of its threads.
        return not self.outcome.done() and self._process == os.getpid() and not (self._loop and self._loop.is_closed())

    def wait(self) -> tuple[str, str, float]:
        """The outcome once it is there or the time-out is over, which then is the outcome."""
        try:
            return self.outcome.result(max(0.0, self.deadline - time.monotonic()))
        except FutureTimeoutError:
            return self.late()

    def late(self) -> tuple[str, str, float]:
        """What is said of a call that has not ended."""
        waited = time.monotonic() - self.started
        return "critical", f"no answer for {waited:.1f} s", waited

    def _run(self) -> None:
        try:
            result = self._function()
            if inspect.isawaitable(result):
                result = self._await(result)
        except BaseException as error:  # SystemExit of a check is its failure, and not the end of anything
            result = error
        self._finish(result)

    def _await(self, awaitable: Awaitable[Any]) -> Any:
        bounded = _bounded(awaitable, self._timeout)
        if self._loop is None:
            return asyncio.run(bounded)
        future = asyncio.run_coroutine_threadsafe(bounded, self._loop)
        while True:
            try:
                return future.result(1.0)
            except FutureTimeoutError:
                if future.done() or self._loop.is_closed():
                    raise

    def _finish(self, result: object) -> None:
        took = time.monotonic() - self.started
        try:
            status, note = verdict(result)
        except Exception as error:  # of the app's own exception or note, which can't be shown
            status, note = "critical", f"the check's result can't be shown: {type(error).__name__}"
        self.outcome.set_result((status, excerpt(note, NOTE_LENGTH), took))


async def _bounded(awaitable: Awaitable[Any], timeout: float) -> Any:
    """Cancels the awaitable after the time-out and waits for its end, so that it never goes on beside the next one."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({task}, timeout=timeout)
        if task.done():
            return task.result()
    finally:
        task.cancel()
    await asyncio.wait({task})
    raise TimeoutError(f"no answer for {timeout:g} s")


class Health:
    """The named checks of an app, and the HTTP endpoint that tells their results.

    checks: functions by name; more are added by `add` and `check`. A function takes nothing and returns `None` or `True`
    (passing), `False` (critical), `"passing"`, `"warning"` or `"critical"`, or a pair of one of these and a note. It may be
    async, and it may raise: that is critical with the exception's text as its note, or warning for a `Warning`.
    timeout: seconds in which a check must have answered, else it is critical. All run at the same time.
    cache: seconds for which a result is told again before the checks run anew; requests at the same time share one run.
    notes: whether notes are told; `False` for an endpoint that strangers can reach.

    The endpoint answers GET and HEAD by 200 (passing), 429 (warning) or 503 (critical) and
    `{"status": "warning", "checks": {"database": {"status": "warning", "note": "9 of 10 connections in use", "seconds": 0.012}}}`,
    the worst first, in at most `OUTPUT_LIMIT` bytes: Consul would cut more. Notes are shortened for that; of very many checks
    the last ones are left out and counted in `left_out`.

    It is `wsgi` and `asgi` (apps), `django` and `flask` (views). Called by itself, as `Service` does, it gives status and note.
    Raises `InvalidValueError`.
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], Any]] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        cache: float = DEFAULT_CACHE,
        notes: bool = True,
    ) -> None:
        self.timeout = arguments.seconds(timeout, "timeout", 0.001)
        self.cache = arguments.seconds(cache, "cache")
        self.notes = arguments.boolean(notes, "notes")
        self.asgi = AsgiApp(self)
        self._probes: dict[str, Probe] = {}
        self._runs = _Runs()
        self._stopped: str | None = None
        if not isinstance(checks, (Mapping, type(None))):
            raise InvalidValueError(f"checks: {arguments.shown(checks)} is no mapping of names to functions")
        for name, function in (checks or {}).items():
            self.add(name, function)

    def add(self, name: str, function: Callable[[], Any], *, timeout: float | None = None) -> None:
        """Adds a check; timeout: its own, in seconds. Raises `InvalidValueError`, for a name that is there already, too."""
        if arguments.name(name, "name") in self._probes:
            raise InvalidValueError(f"name: there is a check {arguments.shown(name)} already")
        arguments.function(function, "function")
        limit = self.timeout if timeout is None else arguments.seconds(timeout, "timeout", 0.001)
        # Replaced and not changed, for a run may go through it at this moment.
        self._probes = {**self._probes, name: Probe(name, function, limit)}

    @overload
    def check(self, name: _Function) -> _Function: ...

    @overload
    def check(self, name: str | None = None, *, timeout: float | None = None) -> Callable[[_Function], _Function]: ...

    def check(self, name: Any = None, *, timeout: float | None = None) -> Any:
        """Decorates a function that is a check: `@health.check`, `@health.check("database", timeout=2)`.

        name: the function's own unless given. Raises `InvalidValueError`.
        """
        if name is not None and not isinstance(name, str):
            function = arguments.function(name, "name")
            self.add(getattr(function, "__name__", ""), function)
            return function

        def decorate(function: _Function) -> _Function:
            self.add(getattr(function, "__name__", "") if name is None else name, function, timeout=timeout)
            return function

        return decorate

    def stop(self, note: str = "shutting down") -> None:
        """From now on the endpoint is critical (503), so that nobody sends more work; the checks no longer run."""
        self._stopped = arguments.text(note, "note")

    def report(self) -> dict[str, Any]:
        """Status, and status, note and seconds of each check, as the endpoint tells them but whole; waits for a run at most."""
        return self._begin(None).result()

    async def report_async(self) -> dict[str, Any]:
        """`report` for an event loop, in which async checks then run."""
        return await asyncio.wrap_future(self._begin(asyncio.get_running_loop()))

    def __call__(self) -> tuple[str, str]:
        """The worst status, and a note with each check that is not passing, from a run that ends after the call began."""
        report = self._begin(None, cached=False).result()
        told = [f"{name}: {check['note'] or check['status']}" for name, check in report["checks"].items() if check["status"] != STATUSES[0]]
        return report["status"], "; ".join(told) or f"{len(report['checks'])} checks passing"

    def wsgi(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The endpoint as a WSGI app."""
        method = environ.get("REQUEST_METHOD", "GET")
        code, reason, headers, content = self._answer(method, self.report() if _allowed(method) else None)
        start_response(f"{code} {reason}", headers)
        return [b"" if method == "HEAD" else content]

    def django(self, _request: Any, *_arguments: Any, **_options: Any) -> Any:
        """The endpoint as a view of Django: `path("health", health.django)`."""
        from django.http import HttpResponse  # type: ignore[import-not-found, import-untyped, unused-ignore]

        method = _request.method
        code, _reason, headers, content = self._answer(method, self.report() if _allowed(method) else None)
        response = HttpResponse(content, status=code)
        for name, value in headers:
            response[name] = value
        return response

    def flask(self) -> tuple[bytes, int, list[tuple[str, str]]]:
        """The endpoint as a view of Flask: `app.add_url_rule("/health", "health", health.flask)`."""
        # Flask itself refuses other methods, and takes the body from the answer to a HEAD.
        code, _reason, headers, content = self._answer("GET", self.report())
        return content, code, headers

    def _begin(self, loop: asyncio.AbstractEventLoop | None, cached: bool = True) -> Future[dict[str, Any]]:
        """The run whose report is still good or will soon be there, else a new one."""
        if self._stopped is not None:
            done: Future[dict[str, Any]] = Future()
            done.set_result(_summary({"stopped": ("critical", self._stopped, 0.0)}))
            return done
        runs = self._runs = self._runs.of_this_process()
        return runs.join(lambda: self._run(loop), self.cache, cached)

    def _run(self, loop: asyncio.AbstractEventLoop | None) -> dict[str, Any]:
        calls = {name: probe.call(loop) for name, probe in self._probes.items()}
        # In the order in which they may be late, so that none is given more time than its own by waiting for another one.
        found = {name: calls[name].wait() for name in sorted(calls, key=lambda name: calls[name].deadline)}
        return _summary({name: found[name] for name in calls})

    def _answer(self, method: str, report: dict[str, Any] | None) -> tuple[int, str, list[tuple[str, str]], bytes]:
        """Status code, reason, headers and body, which a HEAD is not sent. Without a report the method is not allowed."""
        if report is None:
            code, reason, content = 405, "Method Not Allowed", b'{"error": "only GET and HEAD"}'
        else:
            (code, reason), content = HTTP_STATUSES[report["status"]], render(report, self.notes)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
        ]
        if report is None:
            headers.append(("Allow", "GET, HEAD"))
        return code, reason, headers, content


class AsgiApp:
    """The endpoint as an ASGI app: an object, since frameworks take functions and methods for views of their own."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            # What the ASGI specification wants of an app that knows nothing of the lifespan.
            raise RuntimeError(f"the health endpoint serves http, and no {scope['type']}")
        method = scope["method"]
        report = await self._health.report_async() if _allowed(method) else None
        code, _reason, headers, content = self._health._answer(method, report)
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": code, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else content})


class _Runs:
    """The last run of the checks in one process, done or not: a child must not wait for a thread of its parent."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._last: Future[dict[str, Any]] | None = None
        self._expires = 0.0

    def of_this_process(self) -> _Runs:
        return self if self._process == os.getpid() else _Runs()

    def join(self, run: Callable[[], dict[str, Any]], cache: float, cached: bool) -> Future[dict[str, Any]]:
        """The last run's future if it goes on, or, where *cached* will do, is not older than *cache* seconds; else that of a new one."""
        with self._lock:
            if self._last is not None and (not self._last.done() or (cached and time.monotonic() < self._expires)):
                return self._last
            future = self._last = Future()
            # From now on nobody can cancel it: a request that is given up must not take the answer from the others.
            future.set_running_or_notify_cancel()
        try:
            # In a thread of its own, so that nothing that ends a request ends the run that others wait for.
            threading.Thread(target=self._fill, args=(future, run, cache), name="health", daemon=True).start()
        except RuntimeError as error:
            future.set_result(_failed(error))
        return future

    def _fill(self, future: Future[dict[str, Any]], run: Callable[[], dict[str, Any]], cache: float) -> None:
        try:
            report = run()
        except Exception as error:
            report = _failed(error)
        self._expires = time.monotonic() + cache
        future.set_result(report)


def render(report: dict[str, Any], notes: bool) -> bytes:
    """The report as JSON of at most `OUTPUT_LIMIT` bytes, the worst checks first."""
    names = sorted(report["checks"], key=lambda name: -STATUSES.index(report["checks"][name]["status"]))
    content = b""
    for bad, good in _LENGTHS if notes else ((0, 0),):
        checks = {name: _shortened(report["checks"][name], bad, good) for name in names}
        content = json.dumps({"status": report["status"], "checks": checks}).encode()
        if len(content) <= OUTPUT_LIMIT:
            return content
    shortened: dict[str, Any] = {}
    size = len(json.dumps({"status": report["status"], "checks": {}, "left_out": len(names)}))
    for name in names:
        size += len(json.dumps({name: checks[name]}))
        if size > OUTPUT_LIMIT:
            break
        shortened[name] = checks[name]
    return json.dumps({"status": report["status"], "checks": shortened, "left_out": len(names) - len(shortened)}).encode()


def _summary(found: Mapping[str, tuple[str, str, float]]) -> dict[str, Any]:
    worst = max((STATUSES.index(status) for status, _note, _seconds in found.values()), default=0)
    checks = {name: {"status": status, "note": note, "seconds": round(took, 6)} for name, (status, note, took) in found.items()}
    return {"status": STATUSES[worst], "checks": checks}


def _failed(error: Exception) -> dict[str, Any]:
    """The report of a run that could not be."""
    return _summary({"health": (*verdict(error), 0.0)})


def _shortened(check: Mapping[str, Any], bad: int, good: int) -> dict[str, Any]:
    length = good if check["status"] == STATUSES[0] else bad
    return {**check, "note": excerpt(check["note"], length) if length else ""}


def _allowed(method: str) -> bool:
    return method in ("GET", "HEAD")

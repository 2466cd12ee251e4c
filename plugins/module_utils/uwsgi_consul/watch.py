# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Watches: the newest answer to a request, kept in memory while it changes in Consul.

All watches of a process with the same settings share one watcher, which needs at most `MAX_CONNECTIONS` connections.
Source: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import arguments, background, vassal
from .api import Api, AsyncApi
from .errors import ConsulError, InvalidValueError, NoAgentError
from .listener import Listener
from .process import PerProcess
from .protocol import Answer, build_request
from .settings import Settings
from .sharing import Params
from .watched import Query, Snapshot
from .watcher import MAX_CONNECTIONS, Watcher

# How often coroutines look whether there is an answer, in seconds.
LOOK_EVERY = 0.02

__all__ = ["MAX_CONNECTIONS", "Snapshot", "Watch", "watch"]


class _Process:
    """The watchers of one process, by their settings."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._watchers: dict[Settings, Watcher | _Still] = {}

    def join(self, settings: Settings, path: str, params: Params, decode: Callable[[Answer], Any], known: Snapshot | None = None) -> Query:
        """To be called with the lock."""
        if settings not in self._watchers:
            self._watchers[settings] = _Still(settings) if vassal.is_master() else Watcher(AsyncApi(settings), background.start)
        return self._watchers[settings].join(path, params, decode, known)


_processes = PerProcess(_Process)


class _Still:
    """Stands in for a watcher in uWSGI's master, whose workers do the work: asks once, and needs no thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def join(self, path: str, params: Params, decode: Callable[[Answer], Any], known: Snapshot | None) -> Query:
        """A query that has its answer, or the error that came in its place."""
        query = Query(self, path, params, decode, known)
        try:
            with Api(self.settings) as api:
                query.accept(api.request("GET", path, params, allow=(404,)))
        except ConsulError as error:
            query.lose(error)
        return query

    def leave(self, query: Query) -> None:
        """There is nothing to end."""

    def note_failure(self, query: Query, error: ConsulError) -> None:
        """Nothing is logged: whoever asks gets the error."""

    def note_success(self, query: Query) -> None:
        """Nothing was logged."""


class Watch:
    """The newest answer to one request. Made by `watch`; safe to use from any thread, and after a fork."""

    def __init__(self, settings: Settings, query: Query) -> None:
        self._settings = settings
        self._query, self._process = query, os.getpid()
        self._listeners: list[Listener] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"Watch({self._query.asked})"

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot, or `None` before the first answer; never waits."""
        return self._of_this_process().snapshot

    @property
    def settled(self) -> bool:
        """Whether `get` will not wait: there was an answer, or a reason why there is none."""
        query = self._of_this_process()
        return query.snapshot is not None or query.settled.is_set() or self._closed

    def get(self, timeout: float | None = None) -> Snapshot:
        """The newest snapshot. Only before the first answer it waits: for it, or until all agents have failed to give it.

        timeout: seconds, the settings' unless given. Once there was an answer nothing is raised, whatever becomes of
        Consul: the snapshot says since when it can't be vouched for. Raises `ConsulError`.
        """
        query = self._query if self._process == os.getpid() else self._of_this_process()
        snapshot = query.snapshot
        return self._first(query, timeout) if snapshot is None else snapshot

    async def get_async(self, timeout: float | None = None) -> Snapshot:
        """As `get`, for programs of an event loop."""
        # Not in a thread: those of the program's event loop are few, and its own work needs them.
        seconds = self._seconds(timeout)
        started = time.monotonic()
        while not self.settled and time.monotonic() - started < seconds:
            await asyncio.sleep(LOOK_EVERY)
        return self._known(self._of_this_process(), seconds)

    def on_change(self, callback: Callable[[Snapshot], object]) -> None:
        """Calls *callback* with the snapshot that is there or comes first, and with the newest one after each change.

        It runs in a thread of its own, never twice at a time. While it is busy, changes are put together: what comes in
        between may be left out, the last one never. What it raises is logged. That a snapshot becomes stale is no change.
        """
        listener = Listener(arguments.function(callback, "on_change"))
        query = self._of_this_process()
        self._listeners.append(listener)
        # Callbacks are for the children.
        if not isinstance(query.watcher, _Still):
            query.add_listener(listener.tell)

    def close(self) -> None:
        """Ends the watch: no callback begins any more, and the request is dropped unless an equal watch needs it.

        What was known last can still be read.
        """
        if self._closed:
            return
        self._closed = True
        for listener in self._listeners:
            listener.close()
        if self._process == os.getpid():
            for listener in self._listeners:
                self._query.remove_listener(listener.tell)
            self._query.watcher.leave(self._query)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _first(self, query: Query, timeout: float | None) -> Snapshot:
        seconds = self._seconds(timeout)
        query.settled.wait(0 if self._closed else seconds)
        return self._known(query, seconds)

    def _seconds(self, timeout: float | None) -> float:
        return self._settings.timeout if timeout is None else arguments.seconds(timeout, "timeout")

    def _known(self, query: Query, waited: float) -> Snapshot:
        if query.snapshot is not None:
            return query.snapshot
        error = query.error
        if error is not None:
            # A copy, for each time that an error is raised its traceback grows.
            raise copy.copy(error)
        raise NoAgentError(f"no answer within {waited:g} s" if waited else "there was no answer yet", asked=query.asked)

    def _of_this_process(self) -> Query:
        """The query; in a child, one of its own that begins with what the parent knew last."""
        if self._process != os.getpid():
            process = _processes.get()
            with process.lock:
                if self._process != os.getpid():
                    self._go_on(process)
        return self._query

    def _go_on(self, process: _Process) -> None:
        inherited = self._query
        before = self._listeners
        self._listeners = [Listener(listener.callback) for listener in before]
        if not self._closed:
            self._query = process.join(self._settings, inherited.path, inherited.params, inherited.decode, inherited.snapshot)
            for former, listener in zip(before, self._listeners):
                # What the parent was just being told it has not finished in this child's memory.
                self._query.add_listener(listener.tell, told=former.delivered)
        self._process = os.getpid()


def watch(
    client: Api | AsyncApi,
    path: str,
    params: Sequence[tuple[str, Any]],
    decode: Callable[[Answer], Any],
    on_change: Callable[[Snapshot], object] | None = None,
) -> Watch:
    """Watches what a GET of *path* answers; it may take `index` and `wait`, as every blocking query does.

    params: as for `Api.request`. decode: makes the value of an answer, which may be a 404; it runs in the background, so
    it must not wait, and what it raises counts as a bad answer. Watches with equal path, params and decode share one query.
    on_change: as for `Watch.on_change`. Raises `InvalidValueError`, and `ConsulError` where threads can't run.
    """
    arguments.function(decode, "decode")
    if on_change is not None:
        arguments.function(on_change, "on_change")
    flat = _flat(params)
    # It judges the path.
    build_request(client.settings, "GET", arguments.text(path, "path"), flat)
    process = _processes.get()
    with process.lock:
        query = process.join(client.settings, path, flat, decode)
    made = Watch(client.settings, query)
    if on_change is not None:
        made.on_change(on_change)
    return made


def _flat(params: Any) -> Params:
    """Each parameter with one value, as a text. Raises `InvalidValueError`."""
    try:
        pairs = [(name, value if isinstance(value, (list, tuple)) else (value,)) for name, value in params]
    except (TypeError, ValueError):
        raise InvalidValueError(f"params: {arguments.shown(params)} is no list of pairs") from None
    for name, values in pairs:
        arguments.name(name, "params")
        for one in values:
            if isinstance(one, bool) or not isinstance(one, (str, int, float)):
                raise InvalidValueError(f"params: {name}: {arguments.shown(one)} is neither text nor number")
    return tuple((name, arguments.text(str(one), name)) for name, values in pairs for one in values)

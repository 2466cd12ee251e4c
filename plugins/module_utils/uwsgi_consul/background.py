# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What goes on beside the app: one daemon thread in each process, with one event loop for all watches, heartbeats and locks.

A forked child has none of its parent's; it gets its own when it first needs one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from typing import Any, Coroutine, TypeVar

from . import vassal
from .api import AsyncApi
from .errors import ConsulError
from .process import PerProcess
from .settings import Settings

_Result = TypeVar("_Result")


class _Background:
    """The thread of one process, its event loop, and the connections that are used in it."""

    def __init__(self) -> None:
        _refuse_in_uwsgi()
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._apis: dict[Settings, AsyncApi] = {}
        self.thread = threading.Thread(target=self._run, daemon=True, name="uwsgi-consul")
        self.thread.start()

    def api(self, settings: Settings) -> AsyncApi:
        if settings not in self._apis:
            self._apis[settings] = AsyncApi(settings)
        return self._apis[settings]

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


# Told by the process's id, since uWSGI forks without Python's hooks: another thread of the parent may hold its lock.
_locks = PerProcess(threading.Lock)
_current: _Background | None = None


def start(coroutine: Coroutine[Any, Any, _Result]) -> concurrent.futures.Future[_Result]:
    """Starts the coroutine in the background; `asyncio.wrap_future` of the result can be awaited in another event loop.

    Raises `ConsulError` where uWSGI lets no thread run, and in its master.
    """
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, _background().loop)
    except ConsulError:
        coroutine.close()
        raise


def run(coroutine: Coroutine[Any, Any, _Result], timeout: float | None = None) -> _Result:
    """The result of the coroutine, run in the background while the caller waits; an interrupted wait cancels it.

    timeout: seconds; raises `TimeoutError` when it ends, and what the coroutine raises.
    """
    if threading.current_thread() is getattr(_current, "thread", None):
        coroutine.close()
        raise RuntimeError("the background can't wait for itself: await the coroutine")
    future = start(coroutine)
    try:
        return future.result(timeout)
    except concurrent.futures.TimeoutError:
        if future.done():
            raise
        # Its own class before Python 3.11.
        raise TimeoutError from None
    finally:
        future.cancel()


def api(settings: Settings) -> AsyncApi:
    """The one `AsyncApi` with these settings of the background, to be used by its coroutines only."""
    return _background().api(settings)


def _background() -> _Background:
    global _current
    current = _current
    if current is None or current.process != os.getpid():
        with _locks.get():
            current = _current
            if current is None or current.process != os.getpid():
                current = _current = _Background()
    return current


def _forget_parent() -> None:
    # A child may have the id of an ancestor that has ended.
    global _current
    _current = None


os.register_at_fork(after_in_child=_forget_parent)


def _refuse_in_uwsgi() -> None:
    """Raises `ConsulError` in a uWSGI that lets no thread of Python run beside the requests, and in its master."""
    if vassal.is_master():
        raise ConsulError(
            "uWSGI's master can have nothing in the background: workers that it forks while a thread runs may hang for ever",
            advice="Begin it in the workers: set lazy-apps = true, or use a function with uwsgidecorators.postfork",
        )
    if vassal.module() is not None and not vassal.has_threads():
        raise ConsulError(
            "uWSGI runs Python without threads, so nothing can go on in the background",
            advice="Set enable-threads = true in the vassal, or watch the service with the plugin: consul-watch-service",
        )

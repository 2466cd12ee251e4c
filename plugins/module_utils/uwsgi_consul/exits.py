# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is deregistered when the process ends: at its exit, and at SIGTERM where that is ours to take.

A forked child has nothing to deregister: what its parent has registered is the parent's.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from . import background, heartbeat
from .heartbeat import Registration
from .process import PerProcess

# An end waits for so many seconds at most, for all services together, whatever the agent does.
LIMIT = 2.5

_log = logging.getLogger(__name__)
# Those of this process.
_registrations: PerProcess[set[Registration]] = PerProcess(set)


def add(registration: Registration) -> None:
    """Deregisters it when the process ends."""
    _registrations.get().add(registration)
    _take_signal()


def discard(registration: Registration) -> None:
    """It is no longer deregistered at the end."""
    registrations = _registrations.get()
    registrations.discard(registration)
    if not registrations:
        _give_signal_back()


def leave(registrations: Iterable[Registration]) -> bool:
    """Deregisters them, for at most `LIMIT` seconds; whether all of them are gone."""
    try:
        return background.run(leave_async(list(registrations)), LIMIT + 1)
    except TimeoutError:
        # Something else holds up the background.
        return False


async def leave_async(registrations: Sequence[Registration]) -> bool:
    """`leave`, as a coroutine of the background."""
    try:
        return await asyncio.wait_for(heartbeat.leave(registrations), LIMIT)
    except asyncio.TimeoutError:
        _log.warning("not deregistered within %g s, so it stays until its checks end it: %s", LIMIT, _ids(registrations))
    except RuntimeError as error:
        # Python 3.12 and later start no thread at the end of a program, not even to look up the name of an agent.
        _log.warning("not deregistered, so it stays until its checks end it: %s: %s", _ids(registrations), error)
    return False


def _ids(registrations: Sequence[Registration]) -> str:
    """Of the first ones: there may be hundreds."""
    return ", ".join(registration.id for registration in registrations[:5]) + (", ..." if len(registrations) > 5 else "")


def _leave_all() -> None:
    registrations = _registrations.get()
    leaving = list(registrations)
    registrations.clear()
    if leaving:
        leave(leaving)


class _Handler:
    """Handles SIGTERM before the handler that was there when it was set, or before the process ends of it.

    Each has its own earlier one: a program may set a handler that calls ours, and register another service then.
    """

    def __init__(self, earlier: Any) -> None:
        self.earlier = earlier

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            _leave_all()
        finally:
            if callable(self.earlier):
                self.earlier(number, frame)
            else:
                # The process ends as if nothing had been here, and whoever waits for it sees that it was the signal.
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)


def _take_signal() -> None:
    """Takes SIGTERM, if it is ours to take.

    A handler of a program in C, such as uWSGI's, can't be called from Python, and an ignored signal stays so: both are left
    alone. Only the main thread can do this.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _Handler) or not (handler is signal.SIG_DFL or callable(handler)):
        return
    # Other interpreters of a process than its first may not.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, _Handler(handler))


def _give_signal_back() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and isinstance(handler, _Handler):
        signal.signal(signal.SIGTERM, handler.earlier)


atexit.register(_leave_all)

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Leases: for how long a process may take what its session holds for its own, without being told otherwise.

A session lives at least its TTL from the last renewal on, and after any other end nobody gets its locks for the lock
delay. A lease is shorter than both and is counted from the moment at which the last renewal that succeeded was sent, on
a clock of our own. So it has ended before anybody else can hold what it stands for, also when this process was stopped,
or cut off from Consul. The elections of the plugin for uWSGI
count in the same way.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generator

from . import arguments
from .api import AsyncApi
from .errors import ConsulError, InvalidValueError, NotFoundError
from .protocol import duration
from .sessions import BEHAVIORS, LONGEST_LOCK_DELAY, LONGEST_TTL, SHORTEST_TTL

# A tenth is for clocks that run at different rates.
_SHARE = 0.9
_RENEWALS = 3
_LONGEST_PAUSE = 1.0
# Python has no time-out that is longer, on some systems.
_LONGEST_WAIT = 3600.0

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds of a clock that goes on while the process is stopped and, where the system has such a one (Linux), while the machine is
    suspended."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True)
class Terms:
    """What a session is made with, judged; durations in seconds. Made by `judge`."""

    name: str
    ttl: float
    lock_delay: float
    behavior: str
    node_checks: tuple[str, ...]
    service_checks: tuple[str, ...]

    @classmethod
    def judge(
        cls,
        name: str,
        ttl: float | str,
        lock_delay: float | str,
        behavior: str = "release",
        node_checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
    ) -> Terms:
        """Raises `InvalidValueError`."""
        return cls(
            arguments.name(name, "name"),
            arguments.duration(ttl, "ttl", SHORTEST_TTL, LONGEST_TTL),
            arguments.duration(lock_delay, "lock_delay", 0, LONGEST_LOCK_DELAY),
            arguments.choice(behavior, "behavior", BEHAVIORS),
            tuple(arguments.names(node_checks, "node_checks")),
            tuple(arguments.names(service_checks, "service_checks")),
        )

    @property
    def lease(self) -> float:
        """For how many seconds a proof that the session lives is good."""
        # Without a lock delay only the TTL protects; the documentation of `Lock` says what that leaves open.
        return _SHARE * min(self.ttl, self.lock_delay or self.ttl)

    def body(self) -> str:
        """The request for such a session."""
        return json.dumps(
            {
                "Name": self.name,
                "TTL": duration(self.ttl),
                "LockDelay": duration(self.lock_delay),
                "Behavior": self.behavior,
                # Left out, the first one would be the node's serfHealth.
                "NodeChecks": list(self.node_checks),
                "ServiceChecks": [{"ID": check} for check in self.service_checks],
            }
        )


class Lease:
    """The right to something, until its time is up, it is given back, or it is taken away; once ended it never begins again.

    May be asked in any thread, in signal handlers too, and always judges by the clock at that moment. In a process that
    was forked from the one that made it, it is not valid.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.reason, self.trouble = "", ""
        self._process = os.getpid()
        self._until = 0.0
        self._lost = False
        self._ended = threading.Event()
        # One that the same thread may take again: a signal handler may ask while its thread does.
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], Any]] = []

    @property
    def left(self) -> float:
        """The seconds that are left, if nothing proves it again; 0 or less once it has ended."""
        return self._until - now() if self.is_valid() else 0.0

    @property
    def lost(self) -> bool:
        """Whether it ended otherwise than by being given back."""
        self.is_valid()
        return self._lost

    @property
    def ended(self) -> bool:
        """Whether it began, and ended in whatever way."""
        self.is_valid()
        return self._ended.is_set()

    @property
    def of_this_process(self) -> bool:
        return os.getpid() == self._process

    def is_valid(self) -> bool:
        # A child must not wait for a lock that a thread of its parent held.
        if not self.of_this_process or not self._until:
            return False
        with self._lock:
            if not self._ended.is_set() and now() >= self._until:
                self.lose(f"its session could not be renewed for {self.seconds:g} s" + (f" ({self.trouble})" if self.trouble else ""))
            return not self._ended.is_set()

    def prove(self, sent: float) -> bool:
        """The session lived when a request was sent at *sent* (of `now`). Returns whether the lease is valid; what has ended stays so."""
        with self._lock:
            if not self._until or self.is_valid():
                self._until = max(self._until, sent + self.seconds)
                self.trouble = ""
            return self.is_valid()

    def lose(self, reason: str) -> None:
        """Ends it at once, and tells those who listen; nothing happens where it has ended."""
        self._end(True, reason)

    def give_back(self) -> bool:
        """Ends it at once; returns whether it was valid up to now."""
        return self.is_valid() and self._end(False, "")

    def listen(self, listener: Callable[[], Any]) -> None:
        """Has *listener* called when the lease ends, at once if it has; in whichever thread that is, so it must not wait for anything."""
        with self._lock:
            if not self._ended.is_set():
                self._listeners.append(listener)
                return
        listener()

    def forget(self, listener: Callable[[], Any]) -> None:
        """Calls the listener no more."""
        with self._lock, contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def wait(self, seconds: float | None) -> None:
        """Waits until it has ended, at most so long."""
        limit = None if seconds is None else now() + seconds
        while not self.ended:
            # By our own clock as well: the thread that renews may have died with a process's fork.
            wait = _LONGEST_WAIT if limit is None else limit - now()
            if wait <= 0:
                return
            self._ended.wait(max(0.001, min(wait, self.left if self._until else wait)))

    def _end(self, lost: bool, reason: str) -> bool:
        with self._lock:
            if self._ended.is_set():
                return False
            self._lost, self.reason = lost, reason
            self._ended.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()
        return True


class Lost:
    """Tells when what was acquired is lost: as `threading.Event` does (`is_set`, `wait`), and `await` works in any event loop.

    It is the matter of one acquisition: the next one has its own. Of one that was released it is never set.
    """

    def __init__(self, lease: Lease | None = None) -> None:
        self._lease = lease

    def is_set(self) -> bool:
        return self._lease is not None and self._lease.lost

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is lost (true) or released, or *timeout* seconds have passed (false)."""
        if timeout is not None:
            arguments.seconds(timeout, "timeout", 0, LONGEST_TTL * 365)
        self._acquired().wait(timeout)
        return self.is_set()

    @property
    def reason(self) -> str:
        """Why it is lost; empty when it is not."""
        return self._lease.reason if self._lease is not None and self.is_set() else ""

    def __await__(self) -> Generator[Any, None, bool]:
        """Waits until it is lost (true) or released (false)."""
        return self._wait().__await__()

    async def _wait(self) -> bool:
        lease = self._acquired()
        ended: concurrent.futures.Future[None] = concurrent.futures.Future()

        def tell() -> None:
            if ended.set_running_or_notify_cancel():
                ended.set_result(None)

        lease.listen(tell)
        try:
            await asyncio.wrap_future(ended)
        finally:
            lease.forget(tell)
        return self.is_set()

    def _acquired(self) -> Lease:
        # In a child nothing would ever tell.
        if self._lease is None or not self._lease.of_this_process:
            raise ConsulError("nothing has been acquired by this process, so nothing can be lost")
        return self._lease


class LeasedSession:
    """A session and the lease that it gives, in the event loop of *api*."""

    def __init__(self, api: AsyncApi, terms: Terms) -> None:
        self._api, self._terms = api, terms
        self.id = ""
        self.lease = Lease(terms.lease)

    async def create(self) -> None:
        """Makes the session. Raises `ConsulError`; when its answer got lost, a session may be left that ends with its TTL."""
        sent = now()
        answer = await self._api.request("PUT", "/v1/session/create", body=self._terms.body())
        try:
            self.id = arguments.session(answer.json()["ID"])
        except (InvalidValueError, KeyError, TypeError):
            raise answer.bad() from None
        self.lease.prove(sent)

    async def keep(self) -> None:
        """Renews the session until its lease has ended, which is at once when the session has."""
        renewing = asyncio.ensure_future(self._renew_always())
        try:
            while self.lease.is_valid() and not renewing.done():
                # The lease ends in time, though a renewal may wait for its answer.
                await asyncio.wait({renewing}, timeout=max(0.001, self.lease.left))
        finally:
            renewing.cancel()

    async def destroy(self, timeout: float | None = None) -> bool:
        """Ends the session; locks that it still holds then have their lock delay. Returns whether Consul said that it is done."""
        if not self.id:
            return True
        try:
            await self._api.request("PUT", f"/v1/session/destroy/{self.id}", idempotent=True, timeout=timeout)
        except ConsulError:
            return False
        return True

    async def _renew_always(self) -> None:
        interval = self.lease.seconds / _RENEWALS
        timeout = min(interval, self._api.settings.timeout)
        pause = interval
        while True:
            await asyncio.sleep(pause)
            sent = now()
            try:
                await self._api.request("PUT", f"/v1/session/renew/{self.id}", idempotent=True, timeout=timeout)
            except NotFoundError:
                self.lease.lose("Consul has ended its session")
                return
            except ConsulError as error:
                self.lease.trouble = str(error)
                pause = min(interval, _LONGEST_PAUSE) * random.uniform(0.25, 1)  # noqa: S311
            else:
                self.lease.prove(sent)
                pause = interval

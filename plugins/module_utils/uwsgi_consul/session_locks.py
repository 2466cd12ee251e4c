# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Locks and semaphores that outlive the process that acquires them: whoever knows the session renews and releases them.

`Lock` and `Semaphore` are for a process that holds something while it lives, and they exclude what is held by these.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Union

from . import arguments, keys
from .api import Api
from .bound import Bound
from .errors import NoAgentError, NotAcquiredError, ServerError
from .layouts import Entry, KeyLayout, Layout, Operation, Outcome, PlacesLayout, committed, outcome, transaction
from .lock import value_of
from .long_read import HOLD, LongRead
from .semaphore import MOST_HOLDERS
from .sessions import Sessions

LONGEST_WAIT = 366 * 86400.0
# A session that waits is renewed so often within its TTL.
_RENEWALS = 3
_PAUSE = 0.5

# A session's id, or what makes one once it can be used.
SessionOrMaker = Union[str, Callable[[], str]]


class _SessionHolding(Bound):
    """What is held by a session of the caller's own. It is held as long as the session lives: nothing here renews it."""

    layout: Layout

    def holders(self) -> list[str]:
        """The ids of the sessions that hold it. Raises `ConsulError`; `ConflictError` where what is there has another use."""
        return self.layout.holders(self._read())

    def is_taken(self) -> bool:
        """Whether nobody else could have it just now. Raises as `holders`."""
        return self.layout.is_taken(self._read())

    def token(self, session: str) -> int:
        """The fencing token if the session holds it, which is larger than that of every holder before; else 0. Raises as `holders`."""
        arguments.session(session, "session")
        return self.layout.token(self._read(), session)

    def acquire(self, session: SessionOrMaker, *, value: str | bytes | None = None, wait: float | str = 0) -> int:
        """Waits until the session holds it, and returns the token; nothing is changed where it does, but for another *value*.

        session: its id, or a function that makes one: it is called when nobody else holds what is wanted, for who only
        waits needs none. While it waits it is renewed. value: what the key says from then on; `None` leaves what it has.
        wait: for how long, in seconds or as a text such as `5m`; 0 tries once. An agent that fails is waited for, unless
        it does so at first.
        Raises `NotAcquiredError` when the time is up, `NotFoundError` when the session has ended, `ConsulError`.
        """
        content, seconds = value_of(value), arguments.duration(wait, "wait", 0, LONGEST_WAIT)
        waiter = _Waiter(self, session if callable(session) else arguments.session(session, "session"))
        reading = self._reading(seconds)
        while True:
            answer = reading.next(waiter.interval)
            if answer is None:
                if reading.left <= 0 and reading.trouble is None:
                    raise NotAcquiredError(f"{self.layout.what} could not be had within {seconds:g} s")
                continue
            entries = keys.entries(answer)
            waiter.renew()
            token = self.layout.token(entries, waiter.id)
            if token and not self._says_other(entries, waiter.id, content):
                return token
            if not token and self.layout.is_taken(entries):
                continue
            try:
                came, token = self._attempt(self.layout.acquisition(entries, waiter.made(), content), waiter.id)
            except (NoAgentError, ServerError) as error:
                # Whether it was done is told by the next reading.
                reading.wait_out(error)
                continue
            if came is Outcome.GRANTED:
                return token
            if came is Outcome.ENDED:
                waiter.renew(at_once=True)
            # Consul does not say for how long a lock delay lasts.
            reading.pause((_PAUSE if came is Outcome.DELAYED else _PAUSE / 10) * random.uniform(0.5, 1.5))  # noqa: S311

    def release(self, session: str, *, behavior: str = "release") -> bool:
        """Releases what the session holds; returns whether it held it. Its value stays. Raises `ConsulError`.

        behavior: `delete` deletes the key of a lock. The session stays, too.
        """
        arguments.session(session, "session")
        arguments.choice(behavior, "behavior", ("release", "delete"))
        reading = self._reading(self.client.settings.timeout)
        tried = False
        while True:
            answer = reading.next(0)
            if answer is None:
                continue
            entries = keys.entries(answer)
            if not self.layout.token(entries, session):
                return tried
            try:
                reasons, _results = self._commit(self.layout.release(entries, session, behavior))
            except (NoAgentError, ServerError) as error:
                tried = True
                reading.wait_out(error)
                continue
            if not reasons:
                return True
            # Somebody has written it in that moment.
            reading.pause(_PAUSE / 10 * random.random())  # noqa: S311
            if reading.left <= 0:
                raise NotAcquiredError(f"{self.layout.what} could not be released: others change it each time")

    def _says_other(self, entries: list[Entry], session: str, value: bytes | None) -> bool:
        return value is not None and any(entry["session"] == session and entry["value"] != value for entry in entries)

    def _attempt(self, operations: list[Operation], session: str) -> tuple[Outcome, int]:
        return outcome(*self._commit(operations), session)

    def _commit(self, operations: list[Operation]) -> tuple[str, list[Entry]]:
        answer = self._ask("PUT", "/v1/txn", body=transaction(operations).encode(), allow=(409,))
        return committed(answer, self.layout.what)

    def _reading(self, seconds: float) -> LongRead:
        return LongRead(self, self.layout.path, self.layout.params, seconds=seconds, consistency="consistent")

    def _read(self) -> list[Entry]:
        answer = self._ask("GET", self.layout.path, self.layout.params, consistency="consistent", allow=(404,))
        return keys.entries(answer)


class SessionLock(_SessionHolding):
    """A lock on a key for a session of one's own, of the same kind as `Lock` and `consul lock`: each excludes the others."""

    def __init__(self, key: str, *, client: Api | None = None, datacenter: str | None = None) -> None:
        keys.path(key, "key")
        self.layout = KeyLayout(f"the lock {key}", key)
        super().__init__(client, datacenter=datacenter)


class SessionSemaphore(_SessionHolding):
    """A place of a semaphore for a session of one's own, of the same kind as `Semaphore` and `consul lock -n`.

    The session is made with the behavior `delete`: the holder's own key goes with it.
    """

    def __init__(self, prefix: str, limit: int, *, client: Api | None = None, datacenter: str | None = None) -> None:
        keys.path(prefix, "prefix")
        bare = prefix.rstrip("/")
        self.layout = PlacesLayout(f"the semaphore {bare}", bare, arguments.integer(limit, "limit", 1, MOST_HOLDERS))
        super().__init__(client, datacenter=datacenter)

    def _says_other(self, entries: list[Entry], session: str, value: bytes | None) -> bool:
        # The value of a place is said when it is taken.
        return False


class _Waiter:
    """The session that waits, which must not end meanwhile."""

    def __init__(self, holding: Bound, session: SessionOrMaker) -> None:
        self._sessions = Sessions(holding.client, datacenter=holding.datacenter)
        self._make: Callable[[], Any] | None = None if isinstance(session, str) else session
        self.id = session if isinstance(session, str) else ""
        self.interval = HOLD
        self._renewed = 0.0

    def made(self) -> str:
        """The id, of a session that lives."""
        if not self.id and self._make is not None:
            self.id = arguments.session(self._make(), "session")
            self.renew(at_once=True)
        return self.id

    def renew(self, at_once: bool = False) -> None:
        """Begins its TTL anew when it is time to. Raises `NotFoundError` when it has ended."""
        if self.id and (at_once or time.monotonic() - self._renewed >= self.interval or not self._renewed):
            self._renewed = time.monotonic()
            ttl = self._sessions.renew(self.id)["ttl"]
            self.interval = min(HOLD, ttl / _RENEWALS) if ttl else HOLD

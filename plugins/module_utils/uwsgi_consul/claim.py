# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Claims: one try to get something that Consul gives to one session at a time, from the first look at it to its release.

A claim lives in the event loop of the `background`; what its owner may ask in any thread is said there.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import enum
import os
import random
from collections.abc import Sequence
from logging import getLogger
from typing import Any, Coroutine, TypeVar

from . import background, keys
from .api import AsyncApi
from .errors import ConflictError, ConsulError, NoAgentError, ServerError
from .layouts import Entry, Layout, Operation, Outcome, committed, outcome, transaction
from .lease import LeasedSession, Terms
from .process import PerProcess
from .protocol import Answer
from .settings import Settings

# For how long a query waits for a change, in seconds; one that waits at an agent that hangs is noticed after it.
HOLD = 20
# An agent that is about to stop answers at once, with nothing new.
_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
# So many queries of one process wait at an agent, which takes 200 connections of one address unless it is told otherwise;
# whoever comes later looks now and then.
_PLACES = 100
# So often what is held is looked at by its own clock, in seconds.
_LOOK = 1.0
# How long the end of a claim may hold up whoever is interrupted, whose time is up, or who exits.
PATIENCE, _PATIENCE_AT_EXIT = 1.0, 3.0

_log = getLogger(__name__)
_Result = TypeVar("_Result")


class _Here:
    """What goes on in this process: its claims that have not ended, and how many queries wait at an agent."""

    def __init__(self) -> None:
        self.claims: set[Claim] = set()
        self.waiting = 0


_here = PerProcess(_Here)


class Release(enum.Enum):
    """What came of a release."""

    DONE = "it is released"
    TOO_LATE = "it was not ours any more"
    UNKNOWN = "Consul did not say; it ends with its session"


class Reading:
    """Reads keys again and again: at once and from the leader, then whenever they have changed."""

    def __init__(self, api: AsyncApi, layout: Layout) -> None:
        self._api, self._path, self._params = api, layout.path, layout.params
        self._index = 0
        self.certain = False

    async def next(self) -> list[Entry]:
        """The entries, when there is something new or it has waited for `HOLD` seconds; `certain` tells whether it is the state of now.

        Raises `ConsulError`.
        """
        index = self._index
        self.certain = not index
        if not index:
            answer = await self._ask(self._params, consistency="consistent")
        elif _here.get().waiting >= _PLACES:
            await asyncio.sleep(_PAUSE * random.uniform(2, 4))  # noqa: S311
            answer = await self._ask(self._params)
        else:
            answer = await self._wait(index)
        # As Consul's documentation demands: an index that goes back begins anew.
        self._index = answer.index if answer.index >= index else 0
        return keys.entries(answer)

    def forget(self) -> None:
        """Has the next reading done at once."""
        self._index = 0

    async def _wait(self, index: int) -> Answer:
        loop, here = asyncio.get_running_loop(), _here.get()
        began = loop.time()
        here.waiting += 1
        try:
            answer = await self._ask([*self._params, ("index", index), ("wait", f"{HOLD}s")])
        finally:
            here.waiting -= 1
        if answer.index == index and loop.time() - began < _PAUSE:
            await asyncio.sleep(_PAUSE)
        return answer

    async def _ask(self, params: Sequence[tuple[str, Any]], consistency: str | None = None) -> Answer:
        return await self._api.request("GET", self._path, params, consistency=consistency, allow=(404,))


class Claim:
    """One try to get something, its possession, and its end.

    value: what its key holds from then on; `None` leaves what it has.

    In any thread may be asked: `process`, `granted`, `token`, `over`, `held` and, once granted, the session's lease.
    """

    def __init__(self, settings: Settings, terms: Terms, layout: Layout, value: bytes | None) -> None:
        self.settings, self.terms, self.layout, self.value = settings, terms, layout, value
        self.process = os.getpid()
        self.granted, self.finished = False, False
        self.token = 0
        self.session: LeasedSession | None = None
        self.trouble: ConsulError | None = None
        self._tried = False
        self._sending: asyncio.Future[Any] | None = None
        self._tasks: list[asyncio.Future[Any]] = []
        self._ending: asyncio.Future[Release] | None = None

    # For its owner.

    @property
    def over(self) -> bool:
        """Whether nothing is held and nothing is tried any more."""
        return self.finished or (self.granted and self.session is not None and self.session.lease.ended)

    @property
    def held(self) -> bool:
        return self.granted and self.session is not None and self.session.lease.is_valid()

    async def contend(self, seconds: float | None, patient: bool = False) -> bool:
        """Waits until it is ours; returns whether it is.

        seconds: for how long; `None` for ever, 0 to try once. An agent that fails is waited for, unless it does so at first and
        this is not *patient*. Raises `ConsulError`.
        """
        _here.get().claims.add(self)
        contending = asyncio.ensure_future(self._contend(seconds == 0, patient))
        self._tasks.append(contending)
        granted = False
        try:
            await asyncio.wait({contending}, timeout=seconds or None)
            granted = contending.done() and contending.result()
        finally:
            if not granted:
                self.end()
        if granted:
            self._tasks.append(asyncio.ensure_future(self._hold()))
            return True
        await self.ended(PATIENCE)
        if self.trouble is not None:
            raise self.trouble
        return False

    def end(self) -> asyncio.Future[Release]:
        """Ends the claim, whatever its state; that goes on when its waiter does not."""
        if self._ending is None:
            self.finished = True
            if self.session is not None:
                self.session.lease.give_back()
            self._ending = asyncio.ensure_future(self._end())
        return self._ending

    async def ended(self, timeout: float | None = None) -> Release:
        """As `end`; waits for it, at most *timeout* seconds."""
        ending = self.end()
        await asyncio.wait({ending}, timeout=timeout)
        return ending.result() if ending.done() else Release.UNKNOWN

    # How it goes.

    def _reading(self) -> Reading:
        return Reading(background.api(self.settings), self.layout)

    async def _try(self, entries: list[Entry]) -> Outcome:
        """Tries to get it, which was read just now as *entries*."""
        self.token = self._token_of(entries)
        if self.token:
            return Outcome.GRANTED
        if self.layout.is_taken(entries):
            return Outcome.TAKEN
        session = await self._live_session()
        return await self._attempt(session, self.layout.acquisition(entries, session.id, self.value))

    def _token_of(self, entries: list[Entry]) -> int:
        """The token if it is ours, else 0."""
        return self.layout.token(entries, self.session.id) if self.session is not None else 0

    async def _contend(self, once: bool, patient: bool) -> bool:
        reading = self._reading()
        pause, changes = _PAUSE / 2, 0
        while True:
            try:
                outcome = await self._try(await reading.next())
            except (NoAgentError, ServerError) as error:
                if once or not patient or is_lasting(error):
                    raise
                self._note(error)
                reading.forget()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            patient, pause = True, _PAUSE / 2
            self.trouble = None
            if outcome is Outcome.GRANTED and await self._take():
                return True
            if outcome is Outcome.GRANTED:
                # Its lease was over before it was ours: a short one, or a slow Consul, which must not be asked all the more.
                if once:
                    return False
                outcome = Outcome.CHANGED
            changes = changes + 1 if outcome is Outcome.CHANGED else 0
            if outcome is Outcome.CHANGED:
                # Mostly others have got on by that. If not, it must not be tried a thousand times a second.
                await asyncio.sleep(min(0.005 * 2 ** min(changes, 10), _LONGEST_PAUSE) * random.random())  # noqa: S311
            elif outcome is Outcome.DELAYED and not once:
                # Consul does not say for how long; what is not asked of the servers' log costs little.
                await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311
            elif outcome in (Outcome.TAKEN, Outcome.DELAYED):
                if once:
                    return False
                continue
            reading.forget()

    async def _take(self) -> bool:
        """Whether what was granted can be held; not when this process stood still for too long."""
        self.granted = self.session is not None and self.session.lease.is_valid()
        if not self.granted:
            await self._drop_session()
        return self.granted

    async def _hold(self) -> None:
        """Watches over what is ours until the lease has ended."""
        if self.session is None:
            return
        lease = self.session.lease
        watching = asyncio.ensure_future(self._watch())
        try:
            while lease.is_valid() and not watching.done():
                # The loop's clock stands still while the machine is suspended, the lease's does not.
                await asyncio.wait({watching}, timeout=max(0.001, min(lease.left, _LOOK)))
            if watching.done():
                failure = watching.exception()
                lease.lose(watching.result() if failure is None else f"its watch failed: {failure!r}")
        finally:
            watching.cancel()
        if lease.lost:
            # Should Consul still know the session, its end starts the lock delay, which gives whoever still works time to stop.
            self.end()

    async def _watch(self) -> str:
        """Returns when it is no longer ours, with the reason."""
        reading = self._reading()
        pause = _PAUSE / 2
        while True:
            try:
                ours = self._token_of(await reading.next())
            except ConflictError as error:
                return str(error)
            except ConsulError:
                # Whether this lasts for too long is for the session to say.
                reading.forget()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _PAUSE / 2
            if not ours:
                if reading.certain:
                    return "Consul has ended its session, or somebody has taken it away"
                # A server may not have heard of it yet.
                reading.forget()

    async def _end(self) -> Release:
        tasks = set(self._tasks)
        while tasks:
            for task in tasks:
                task.cancel()
            # Before Python 3.12 a time-out may swallow a cancellation (of what it waits for, which is done in that moment).
            _done, tasks = await asyncio.wait(tasks, timeout=1)
        # What is on its way may be done at any moment; a session that nobody knows of would be left.
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)
        try:
            released = await self._let_go()
            if self.session is not None:
                # An agent that does not answer has held up the caller for long enough.
                await self.session.destroy(PATIENCE if released is Release.UNKNOWN else None)
            return released
        finally:
            _here.get().claims.discard(self)

    async def _let_go(self) -> Release:
        """Releases what is ours. What was lost is left to the end of its session, which has a lock delay."""
        if self.session is None or not self._tried:
            return Release.DONE
        if self.granted and self.session.lease.lost:
            return Release.TOO_LATE
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.timeout
        reading = self._reading()
        pause = _PAUSE / 4
        # What was never granted need not have been ours, nor what an earlier try may have released.
        gone = Release.TOO_LATE if self.granted else Release.DONE
        while True:
            try:
                reading.forget()
                entries = await reading.next()
                if not self._token_of(entries):
                    return gone
                before, gone = gone, Release.DONE
                refused, _results = await self._commit(self.layout.release(entries, self.session.id, self.terms.behavior))
                if not refused:
                    return Release.DONE
                # Somebody has written it in that moment.
                gone = before
            except (NoAgentError, ServerError):
                pause = min(pause * 2, _LONGEST_PAUSE)
            except ConsulError:
                return Release.UNKNOWN
            left = deadline - loop.time()
            if left <= 0:
                return Release.UNKNOWN
            # Tried once more when the time is up, so that all of it is made use of, however long the pauses have become.
            await asyncio.sleep(min(pause * random.uniform(0.5, 1), left))  # noqa: S311

    async def _live_session(self) -> LeasedSession:
        """The session of this claim, made when there is none or the last one has ended."""
        if self.session is not None and not self.session.lease.is_valid():
            await self._drop_session()
        if self.session is not None:
            return self.session
        session = LeasedSession(background.api(self.settings), self.terms)
        await self._send(self._create(session))
        self._tasks.append(asyncio.ensure_future(session.keep()))
        return session

    async def _commit(self, operations: Sequence[Operation]) -> tuple[str, list[Entry]]:
        """As `committed` says of the operations. Raises `ConsulError`."""
        asking = background.api(self.settings).request("PUT", "/v1/txn", body=transaction(operations), allow=(409,))
        return committed(await asking, self.layout.what)

    async def _attempt(self, session: LeasedSession, operations: Sequence[Operation]) -> Outcome:
        """What came of operations that ask for it with the session."""
        self._tried = True
        reasons, results = await self._send(self._commit(operations))
        came, self.token = outcome(reasons, results, session.id)
        if came is Outcome.ENDED:
            session.lease.lose("Consul has ended its session")
            return Outcome.CHANGED
        return came

    async def _send(self, asking: Coroutine[Any, Any, _Result]) -> _Result:
        """Asks in a way that whoever stops waiting does not stop it: half a request may be a whole one for Consul."""
        sending = asyncio.ensure_future(asking)
        self._sending = sending
        return await asyncio.shield(sending)

    async def _create(self, session: LeasedSession) -> None:
        await session.create()
        self.session = session

    async def _drop_session(self) -> None:
        """Forgets a session that can't be used, and releases what it may hold."""
        await self._let_go()
        if self.session is not None:
            self.session.lease.give_back()
            await self.session.destroy()
        self.session = None
        self._tried = False

    def _note(self, error: ConsulError) -> None:
        # Its words differ at each try.
        if type(error) is not type(self.trouble):
            _log.warning("%s: waits for Consul: %s", self.layout.what, error)
        self.trouble = error


def is_lasting(error: ConsulError) -> bool:
    """Whether an answer that stands for trouble of a server is one to a request that is wrong: a check or node that is not there."""
    return isinstance(error, ServerError) and "Missing" in error.answer


async def _end_all() -> None:
    endings = {claim.end() for claim in list(_here.get().claims)}
    if endings:
        await asyncio.wait(endings, timeout=_PATIENCE_AT_EXIT)


def _release_at_exit() -> None:
    # Nothing is done about what can't be released now: it ends with its session.
    if _here.get().claims:
        with contextlib.suppress(Exception):
            background.run(_end_all(), timeout=2 * _PATIENCE_AT_EXIT)


atexit.register(_release_at_exit)

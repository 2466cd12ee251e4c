# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The life of a registration: made, fed, made again where the agent has lost it, and given up where another instance has it.

All registrations of a process take their turns in the background, over few connections. Those that are due at about the
same time do so one after the other in the same few tasks: waking up for each by itself costs several times its beat.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import json
import logging
import math
import random
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any

from . import background
from .api import AsyncApi
from .definitions import NONCE_KEY
from .errors import ConsulError, NoAgentError
from .health import Probe
from .protocol import Answer, excerpt, segment
from .settings import Settings

# So many requests with the same settings are under way at once, each on a connection of its own.
_WIDTH = 4
# Beats are sent at multiples of this, in seconds, so that those of many services fall together.
_TICK = 0.5
# So many beats are sent at once on one connection, at most.
_BATCH = 64
# How often a health function is asked, in seconds.
HEALTH_INTERVAL = 1.0
# At each so-manieth beat the agent is asked whether the registration is still this instance's.
_OWNER_BEATS = 12
_FIRST_PAUSE = 0.5
# Those that leave wait for so many seconds at most for an answer to each half of it.
_LEAVE = 2.0
# So many places in the line may be left behind before they are looked for.
_TIDY = 1000
# Consul keeps so much of a check's output, in bytes.
_NOTE_LIMIT = 4000

_log = logging.getLogger(__name__)


class State(Enum):
    """What is known of the registration: it is not at the agent, it is, or another instance's is in its place."""

    ABSENT = "absent"
    PRESENT = "present"
    OUSTED = "ousted"


class _Line:
    """Where all registrations with the same settings stand for their turns; all of it happens in the background's loop."""

    def __init__(self, api: AsyncApi) -> None:
        self.api = api
        # For those that leave.
        self._gate = asyncio.Semaphore(_WIDTH)
        self._waiting: list[tuple[float, int, Registration]] = []
        self._numbers = itertools.count()
        self._most_waiting = _TIDY
        self._workers: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._away = False

    def plan(self, registration: Registration, pause: float) -> None:
        """Its next turn is after so many seconds, and no other one before or later."""
        registration.planned = time.monotonic() + pause
        heapq.heappush(self._waiting, (registration.planned, next(self._numbers), registration))
        if len(self._waiting) > self._most_waiting:
            self._tidy()
        self._arm()

    def judge(self, error: ConsulError | None) -> None:
        """Says in the log when the agents go away and when one comes back: once for all services."""
        away = isinstance(error, NoAgentError)
        if away and not self._away:
            _log.warning("no agent takes the services of this process, and they are asked until one does: %s", error)
        elif self._away and not away:
            _log.warning("an agent takes the services of this process again")
        self._away = away

    async def leave(self, leaving: Sequence[Registration]) -> bool:
        """Ends the lives of some, and deregisters those that are this instance's; whether the agent has none of them any more."""
        for registration in leaving:
            registration.end()
        for registration in leaving:
            await registration.settle()
        async with self._gate:
            unclear = await self._leave_together(leaving) if len(leaving) > 1 else leaving
            left = [await registration.leave() for registration in unclear]
            return all(left)

    async def _leave_together(self, leaving: Sequence[Registration]) -> list[Registration]:
        """Those of which it is not known that they are gone."""
        answers = await self.api.send_together([("GET", registration.path, None) for registration in leaving], _LEAVE)
        owners = {registration: registration.owner(answer) for registration, answer in zip(leaving, answers)}
        ours = [registration for registration, owner in owners.items() if owner is State.PRESENT]
        answers = await self.api.send_together([("PUT", registration.end_path, None) for registration in ours], _LEAVE) if ours else []
        gone = {registration for registration, owner in owners.items() if owner in (State.ABSENT, State.OUSTED)}
        gone |= {registration for registration, answer in zip(ours, answers) if answer.status in (200, 404)}
        for registration in gone:
            registration.state = State.ABSENT
        return [registration for registration in leaving if registration not in gone]

    def _tidy(self) -> None:
        """Forgets the places that were left behind, of services whose status changes much more often than they are due."""
        self._waiting = [place for place in self._waiting if place[2].planned == place[0]]
        heapq.heapify(self._waiting)
        self._most_waiting = 2 * len(self._waiting) + _TIDY

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and len(self._workers) < _WIDTH:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self._waiting[0][0] - time.monotonic()), self._start)

    def _start(self) -> None:
        """A worker for what is due, and after it the next one while there is more."""
        worker = asyncio.ensure_future(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._end)
        self._arm()

    def _end(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._arm()

    async def _work(self) -> None:
        while True:
            due = self._take()
            if not due:
                return
            if len(due) > 1:
                await self._beat_together(due)
            else:
                self._plan_next(due[0], await due[0].turn())

    def _plan_next(self, registration: Registration, pause: float | None) -> None:
        if pause is not None:
            self.plan(registration, pause)

    async def _beat_together(self, due: Sequence[Registration]) -> None:
        """A beat of each; those that are not taken as they should have a turn by themselves at once."""
        told = [registration.told for registration in due]
        updates = [registration.begin_beat(said) for registration, said in zip(due, told)]
        answers = await self.api.send_together(updates, max(2.0, min(registration.interval for registration in due)))
        for number, registration in enumerate(due):
            taken = number < len(answers) and answers[number].status == 200
            self._plan_next(registration, registration.end_beat(told[number], taken))

    def _take(self) -> list[Registration]:
        """The next that are due and can beat together, or one that can't."""
        taken: list[Registration] = []
        while len(taken) < _BATCH and (not taken or taken[0].may_beat_together()):
            registration = self._next()
            if registration is None:
                break
            if taken and not registration.may_beat_together():
                self.plan(registration, 0.0)
                break
            taken.append(registration)
        return taken

    def _next(self) -> Registration | None:
        """The first one that is due. What was planned anew has left its former place behind."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            planned, _number, registration = heapq.heappop(self._waiting)
            if registration.planned == planned:
                registration.planned = None
                return registration
        return None


_lines: weakref.WeakKeyDictionary[AsyncApi, _Line] = weakref.WeakKeyDictionary()


async def leave(registrations: Sequence[Registration]) -> bool:
    """Deregisters them, however many; whether the agents have none of them any more."""
    lines: dict[_Line, list[Registration]] = {}
    for registration in registrations:
        lines.setdefault(_line(registration.settings), []).append(registration)
    parts = [line.leave(leaving[start : start + _BATCH]) for line, leaving in lines.items() for start in range(0, len(leaving), _BATCH)]
    return all(await asyncio.gather(*parts))


def _line(settings: Settings) -> _Line:
    api = background.api(settings)
    return _lines.get(api) or _lines.setdefault(api, _Line(api))


class Registration:
    """One service of this process, kept at its agent from `begin` to `leave`. All but `tell` happens in the background's loop.

    definition: the body of the registration, its meta with the nonce. ttl_checks: ids of the checks to feed. interval: seconds
    between two beats. probe: the health function, or `None`.
    """

    def __init__(
        self,
        settings: Settings,
        definition: Mapping[str, Any],
        ttl_checks: Sequence[str],
        interval: float,
        probe: Probe | None,
        status: str,
        note: str,
    ) -> None:
        self.settings, self.definition, self.ttl_checks, self.interval, self.probe = settings, definition, ttl_checks, interval, probe
        self.id, self.nonce = str(definition["ID"]), str(definition["Meta"][NONCE_KEY])
        self.state = State.ABSENT
        self.told = (status, excerpt(note, _NOTE_LIMIT))
        self._sent: tuple[str, str] | None = None
        self.path = f"/v1/agent/service/{segment(self.id, 'id')}"
        self.end_path = f"/v1/agent/service/deregister/{segment(self.id, 'id')}"
        self._updates = tuple(f"/v1/agent/check/update/{segment(check, 'check')}" for check in ttl_checks)
        self._registered_once = False
        self._beats = 0
        self._due = 0.0
        self._trouble: type[ConsulError] | None = None
        self._failures = 0
        # When its next turn is (of `time.monotonic()`), `None` while it has its turn.
        self.planned: float | None = None
        self._ended = False
        self._turning = False
        # Whether its last beat together with others was not taken.
        self._alone = False
        self._turned: asyncio.Future[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        # Why the first attempt failed, `None` where it did not. Nobody who waits for it can cancel it.
        self.first: Future[ConsulError | None] = Future()
        self.first.set_running_or_notify_cancel()

    def tell(self, status: str, note: str) -> None:
        """What the next beat says, which is sent at once if the status is another one. From any thread."""
        before, self.told = self.told, (status, excerpt(note, _NOTE_LIMIT))
        if before[0] != status:
            background.start(self._hurry())

    async def begin(self) -> None:
        """Starts to register and to live, which `first` tells of."""
        if self.probe is None:
            _line(self.settings).plan(self, 0.0)
        else:
            self._follower = asyncio.ensure_future(self._follow(self.probe))

    def end(self) -> None:
        """There is no next turn."""
        self._ended = True
        if self._follower is not None:
            self._follower.cancel()

    async def settle(self) -> None:
        """Waits for the end of the turn that goes on: it may be registering at this moment."""
        if self._turning:
            self._turned = asyncio.get_running_loop().create_future()
            await self._turned

    async def leave(self) -> bool:
        """Deregisters if the registration is this instance's; whether the agent has none of it any more."""
        try:
            if await self._owner() is State.PRESENT:
                await self._put(self.end_path, allow=(404,))
        except NoAgentError:
            return False
        except ConsulError as error:
            _log.warning("service %s: not deregistered, it stays until its checks end it: %s", self.id, error)
            return False
        self.state = State.ABSENT
        return True

    def owner(self, answer: Answer) -> State | None:
        """Whose registration the agent has under this id, by its answer to a GET of `path`; `None` where it does not say."""
        if answer.status == 404:
            return State.ABSENT
        try:
            service = answer.json() if answer.status == 200 else None
        except ConsulError:
            service = None
        if not isinstance(service, dict):
            return None
        meta = service.get("Meta")
        return State.PRESENT if isinstance(meta, dict) and meta.get(NONCE_KEY) == self.nonce else State.OUSTED

    # One turn: what has to be said to the agent, and when there will be something to say again.

    async def turn(self) -> float | None:
        """The seconds until the next turn, `None` at the end of the life."""
        if self._ended:
            return None
        told = self.told
        error: ConsulError | None = None
        self._turning = True
        try:
            await self._step(told)
        except ConsulError as failure:
            error = failure
        except Exception as failure:
            # It must not end the life of the service, and is a mistake of this package that somebody should see.
            _log.exception("service %s", self.id)
            error = ConsulError(f"{type(failure).__name__}: {failure}")
        return self._end_turn(told, error)

    def may_beat_together(self) -> bool:
        """Whether all that its turn has to say is one beat."""
        owner_is_asked = (self._beats + 1) % _OWNER_BEATS == 0
        return self.state is State.PRESENT and len(self._updates) == 1 and not (self._alone or owner_is_asked or self._ended)

    def begin_beat(self, told: tuple[str, str]) -> tuple[str, str, str]:
        """The request of a beat that is sent together with others."""
        self._turning = True
        self._beats += 1
        return "PUT", self._updates[0], _update(told)

    def end_beat(self, told: tuple[str, str], taken: bool) -> float | None:
        """As `turn`, after the beat was sent. Why one was not taken is found out by a turn of its own."""
        if taken:
            return self._end_turn(told, None)
        self._turning, self._alone = False, True
        self._let_leave()
        return None if self._ended else 0.0

    def _end_turn(self, told: tuple[str, str], error: ConsulError | None) -> float | None:
        self._turning = self._alone = False
        self._let_leave()
        first = not self.first.done()
        if first:
            self.first.set_result(error)
        if self._ended:
            return None
        if error is not None:
            return self._failed(error, first)
        self._succeeded()
        self._sent = told
        return 0.0 if self.told[0] != told[0] else self._until_due()

    def _let_leave(self) -> None:
        if self._turned is not None and not self._turned.done():
            self._turned.set_result(None)

    async def _step(self, told: tuple[str, str]) -> None:
        if self.state is State.PRESENT:
            self._beats += 1
            await self._beat(told)
        elif self._registered_once:
            # Somebody else may have come in the meantime.
            self._take(await self._owner())
        if self.state is State.ABSENT and not self._ended:
            await self._register(told)

    async def _beat(self, told: tuple[str, str]) -> None:
        known, body = True, _update(told)
        for check in self._updates:
            known = await self._put(check, body, allow=(404,)) != 404 and known
        if not known or not self.ttl_checks or self._beats % _OWNER_BEATS == 0:
            owner = await self._owner()
            # The service may be there without the check: what is ours is made whole again.
            self._take(State.ABSENT if not known and owner is State.PRESENT else owner)

    def _take(self, state: State) -> None:
        """The state that was found, said in the log where it is another one."""
        if state is not self.state and state is State.OUSTED:
            _log.warning("service %s: another instance has registered this id, and this one waits until it is free", self.id)
        elif state is not self.state and state is State.ABSENT:
            _log.info("service %s: the agent does not know it any more, so it is registered again", self.id)
        self.state = state

    async def _register(self, told: tuple[str, str]) -> None:
        checks = [{**check, "Status": told[0]} if check["CheckID"] in self.ttl_checks else check for check in self.definition["Checks"]]
        body = json.dumps({**self.definition, "Checks": checks})
        await self._put("/v1/agent/service/register", body, params=(("replace-existing-checks", "true"),))
        first, self._registered_once = not self._registered_once, True
        self.state, self._beats = State.PRESENT, 0
        # An existing check keeps the status that it had, and a new one has no note.
        for check in self._updates:
            await self._put(check, _update(told))
        if first:
            # The beats of services that are registered together are spread over the interval.
            self._due = time.monotonic() + random.uniform(0, self.interval)  # noqa: S311

    async def _owner(self) -> State:
        """Whose registration the agent has under this id; raises `ConsulError`."""
        answer = await self._ask("GET", self.path, allow=(404,))
        owner = self.owner(answer)
        if owner is None:
            raise answer.bad()
        return owner

    async def _put(self, path: str, body: str | None = None, params: Sequence[tuple[str, Any]] = (), allow: tuple[int, ...] = ()) -> int:
        answer = await self._ask("PUT", path, body, params, allow)
        return answer.status

    async def _ask(
        self, method: str, path: str, body: str | None = None, params: Sequence[tuple[str, Any]] = (), allow: tuple[int, ...] = ()
    ) -> Answer:
        line = _line(self.settings)
        # An agent that has not answered for so long is asked anew: a beat that comes late is of no use.
        timeout = min(self.settings.timeout, max(2.0, self.interval))
        try:
            answer = await line.api.request(method, path, params, body, timeout=timeout, idempotent=True, allow=allow)
        except ConsulError as error:
            line.judge(error)
            raise
        line.judge(None)
        return answer

    # When.

    def _until_due(self) -> float:
        """Seconds until the next beat, a third of the TTL after the one before: what is sent in between changes nothing of it."""
        now = time.monotonic()
        if now >= self._moment():
            self._due += self.interval
        if self._due <= now:
            # After a time without the agent; not all services at once.
            self._due = now + self.interval * random.uniform(0.5, 1.0)  # noqa: S311
        return max(0.0, self._moment() - now)

    def _moment(self) -> float:
        """When the beat is sent that is due: a little earlier, together with others."""
        return math.floor(self._due / _TICK) * _TICK if self.interval > 4 * _TICK else self._due

    def _failed(self, error: ConsulError, first: bool) -> float:
        kind = type(error)
        # Who registers is told of the first failure, and may end it all: what is said is that it is tried again, if it is.
        if not first:
            if kind is not self._trouble and kind is not NoAgentError:
                _log.warning("service %s: Consul does not take it, and is asked again until it does: %s", self.id, error)
            self._trouble = kind
        self._failures += 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures - 1, 20), self.interval)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311

    def _succeeded(self) -> None:
        if self._trouble not in (None, NoAgentError) and self.state is State.PRESENT:
            _log.warning("service %s: Consul has it again", self.id)
        self._trouble, self._failures = None, 0

    async def _hurry(self) -> None:
        # In its turn it sees by itself that something else was told meanwhile.
        if self.planned is not None and not self._ended and (self._sent is None or self._sent[0] != self.told[0]):
            _line(self.settings).plan(self, 0.0)

    # The health function.

    async def _follow(self, probe: Probe) -> None:
        # What is registered is what the health function says.
        await self._look(probe)
        _line(self.settings).plan(self, 0.0)
        while True:
            await asyncio.sleep(HEALTH_INTERVAL)
            await self._look(probe)

    async def _look(self, probe: Probe) -> None:
        """Asks the health function once, in a thread, for at most its time-out."""
        call = probe.call()
        left = call.deadline - time.monotonic()
        if left > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(call.outcome)), left)
        status, note, _seconds = call.outcome.result() if call.outcome.done() else call.late()
        self.told = (status, note)
        await self._hurry()


def _update(told: tuple[str, str]) -> str:
    return json.dumps({"Status": told[0], "Output": told[1]})

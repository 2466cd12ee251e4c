# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sends requests to the agents: in order, with the last good one remembered, over keep-alive connections.

`Transport` waits in the thread that asks, `AsyncTransport` in an event loop; which agent is asked when, and what follows
from its answer, is one plan for both. `Transport` is safe to use from many threads. Both are safe in a process that was
forked after they were used. Neither proxies of the environment nor redirects are followed.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Generator, Generic, Protocol, TypeVar, Union

from .connection import Certificates, Connection
from .errors import NoAgentError
from .protocol import Answer, Request, excerpt, may_succeed_elsewhere, may_succeed_later
from .settings import Agent, Settings
from .wire import AnswerReader, AnswersReader, WireError, request_bytes

if TYPE_CHECKING:
    import asyncio

    from .async_connection import AsyncConnection

# An agent that answers at all takes connections within this many seconds, unless it is the last one to try.
CONNECT_LIMIT = 2.0
# How often all agents are asked when the answers are such that asking again may help, and the first pause in seconds.
ROUNDS, FIRST_PAUSE = 4, 0.25
# An answer may not be larger, in bytes. Consul's largest are recursive reads of the KV store.
ANSWER_LIMIT = 256 * 1024 * 1024
# One that goes to a file, piece by piece.
_DOWNLOAD_LIMIT = 2**50
_IDLE_CONNECTIONS = 8
# How long an agent takes for a small request of many, in seconds.
_GATHER = 0.0005


@dataclass(frozen=True)
class _Ask:
    """A step of the plan: ask this agent, until a limit, connected by another one (both of `time.monotonic()`)."""

    agent: Agent
    limit: float
    connect_limit: float


@dataclass(frozen=True)
class _Pause:
    """A step of the plan: wait for so many seconds."""

    seconds: float


class _FailedError(Exception):
    """An agent gave no answer. sent: whether (a part of) the request may have reached it."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason, self.sent = reason, sent


# What becomes of a step: an answer or a failure of an agent, nothing of a pause.
_Outcome = Union[Answer, _FailedError, None]
# Begins to take the body of an answer: what it returns takes its pieces.
Sink = Callable[[], Callable[[bytes], object]]
_Plan = Generator[Union[_Ask, _Pause], _Outcome, Answer]


class _Transport:
    """What both transports share: the settings, the plan, and how a request looks."""

    answer_limit = ANSWER_LIMIT

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._preferred = 0
        self._certificates = Certificates(settings) if any(agent.tls for agent in settings.agents) else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    def _plan(self, request: Request, timeout: float | None) -> _Plan:
        """What to do, step by step, until there is an answer; raises `NoAgentError`, which lists each agent with its reason.

        The next agent is asked when one can't be reached or its answer is broken, and, for idempotent requests only,
        when it answers 5xx or 429. When that may pass (no leader, overload) all are asked again, after a pause with jitter.
        """
        timeout = self.settings.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout + request.hold
        attempts: dict[str, str] = {}
        for round_number in range(ROUNDS):
            answer = yield from self._plan_round(request, deadline, attempts)
            if answer is None:
                break
            if not request.idempotent or not may_succeed_later(answer) or round_number == ROUNDS - 1:
                return answer
            pause = FIRST_PAUSE * 2**round_number * random.uniform(0.5, 1.5)  # noqa: S311
            if time.monotonic() + pause + request.hold >= deadline:
                return answer
            yield _Pause(pause)
        raise _no_agent(request, timeout + request.hold, attempts)

    def _plan_round(self, request: Request, deadline: float, attempts: dict[str, str]) -> Generator[_Ask | _Pause, _Outcome, Answer | None]:
        """The first answer that no other agent may better, else the last one, else none; fills in *attempts*."""
        agents = self.settings.agents
        first = self._preferred
        last: Answer | None = None
        for position in range(len(agents)):
            agent = agents[(first + position) % len(agents)]
            # The time that is left is shared among the agents that are left.
            now = time.monotonic()
            untried = len(agents) - position
            limit = now + request.hold + (deadline - now - request.hold) / untried
            if limit <= now:
                attempts.setdefault(str(agent), "not tried, there was no time left")
                continue
            outcome = yield _Ask(agent, limit, connect_limit=now + CONNECT_LIMIT if untried > 1 else limit)
            if not isinstance(outcome, Answer):
                reason = request.redact(outcome.reason) if outcome else ""
                self._preferred = (first + position + 1) % len(agents)
                attempts[str(agent)] = reason
                if outcome and outcome.sent and not request.idempotent:
                    raise NoAgentError(
                        f"the agent's answer got lost ({reason}), so it is not known whether it was done",
                        asked=str(request),
                        agent=str(agent),
                        attempts=attempts,
                    )
                continue
            if not may_succeed_elsewhere(outcome):
                self._preferred = (first + position) % len(agents)
                return outcome
            if not request.idempotent:
                return outcome
            attempts[str(agent)] = request.redact(f"{outcome.status} {excerpt(outcome.text)}")
            last = outcome
        return last

    def _tls(self, agent: Agent) -> ssl.SSLContext | None:
        return self._certificates.context() if self._certificates and agent.tls else None

    def _bytes(self, agent: Agent, request: Request) -> bytes:
        host = "localhost" if agent.socket else f"[{agent.host}]" if ":" in agent.host else agent.host
        headers = {
            "Host": host if agent.socket else f"{host}:{agent.port}",
            "User-Agent": "uwsgi-consul",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if request.token:
            headers["X-Consul-Token"] = request.token
        return request_bytes(request.method, agent.prefix + request.target, headers, request.body)


class Transport(_Transport):
    """Asks one of the settings' agents, from any thread. `settings` may not change; make another transport instead."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._idle: _Idle[Connection] = _Idle(lambda: None)

    def send(self, request: Request, timeout: float | None = None, into: Sink | None = None) -> Answer:
        """The answer of the first agent that gives one, whatever its status.

        timeout: seconds for all of it, the settings' unless given; the hold of a blocking query comes on top.
        into: called when an agent is asked; what it returns takes the body of a success, piece by piece.
        Raises `NoAgentError`; a 5xx or 429 that remains is returned.
        """
        plan = self._plan(request, timeout)
        outcome: _Outcome = None
        try:
            while True:
                step = plan.send(outcome)
                outcome = None
                try:
                    if isinstance(step, _Ask):
                        outcome = self._ask(step, request, into)
                    else:
                        time.sleep(step.seconds)
                except _FailedError as failure:
                    outcome = failure
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def close(self) -> None:
        """Closes the idle connections; the transport can still be used."""
        self._idle.close()

    def _ask(self, step: _Ask, request: Request, into: Sink | None) -> Answer:
        connection = self._idle.take(step.agent)
        reused = connection is not None
        if connection is None:
            connection = Connection(step.agent, self._tls(step.agent), self.settings.tls_server_name)
        reader = AnswerReader(_DOWNLOAD_LIMIT, into()) if into else AnswerReader(self.answer_limit)
        upload = request.body if isinstance(request.body, memoryview) else None
        sent = False
        try:
            if not reused:
                connection.connect(min(step.limit, step.connect_limit))
            sent = True
            connection.exchange(self._bytes(step.agent, request), reader, step.limit, upload)
        except (OSError, WireError) as error:
            connection.discard()
            if reused and request.idempotent and isinstance(error, (ConnectionError, WireError)) and not reader.status:
                # The agent closed the idle connection just now: that says nothing about the agent.
                return self._ask(step, request, into)
            raise _FailedError(_reason(error, step.agent), sent) from None
        except BaseException:
            connection.discard()
            raise
        self._idle.put_or_discard(step.agent, connection, reader)
        return _answer(reader, step.agent, request)


class AsyncTransport(_Transport):
    """Asks one of the settings' agents, from an event loop; connections are kept for the loop that made them."""

    def __init__(self, settings: Settings) -> None:
        # Loaded here, since it takes as long as all the rest, and programs without an event loop can do without.
        import asyncio

        from .async_connection import AsyncConnection

        super().__init__(settings)
        self._connection, self._sleep = AsyncConnection, asyncio.sleep
        self._idle: _Idle[AsyncConnection] = _Idle(asyncio.get_running_loop)

    async def send(self, request: Request, timeout: float | None = None) -> Answer:
        """As `Transport.send`."""
        plan = self._plan(request, timeout)
        outcome: _Outcome = None
        try:
            while True:
                step = plan.send(outcome)
                outcome = None
                try:
                    if isinstance(step, _Ask):
                        outcome = await self._ask(step, request)
                    else:
                        await self._sleep(step.seconds)
                except _FailedError as failure:
                    outcome = failure
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def close(self) -> None:
        """Closes the idle connections; the transport can still be used."""
        self._idle.close()

    async def _ask(self, step: _Ask, request: Request) -> Answer:
        connection = self._idle.take(step.agent)
        reused = connection is not None
        if connection is None:
            connection = self._connection(step.agent, self._tls(step.agent), self.settings.tls_server_name)
        reader = AnswerReader(self.answer_limit)
        sent = False
        try:
            if not reused:
                await connection.connect(min(step.limit, step.connect_limit))
            sent = True
            await connection.exchange(self._bytes(step.agent, request), reader, step.limit)
        except (OSError, WireError) as error:
            connection.discard()
            if reused and request.idempotent and isinstance(error, (ConnectionError, WireError)) and not reader.status:
                return await self._ask(step, request)
            raise _FailedError(_reason(error, step.agent), sent) from None
        except BaseException:
            connection.discard()
            raise
        self._idle.put_or_discard(step.agent, connection, reader)
        return _answer(reader, step.agent, request)

    async def send_together(self, requests: Sequence[Request], timeout: float) -> list[Answer]:
        """The answers to requests that are sent on one connection without waiting in between, which costs much less for each.

        Only the agent that answered last is asked, and there is no second try: where answers are missing at the end of the
        list, their requests may have been done or not. timeout: seconds for all of them together.
        """
        agent = self.settings.agents[self._preferred]
        deadline = time.monotonic() + timeout
        connection = self._idle.take(agent)
        reader = AnswersReader(self.answer_limit, len(requests))
        try:
            if connection is None:
                connection = self._connection(agent, self._tls(agent), self.settings.tls_server_name)
                await connection.connect(deadline)
            data = b"".join(self._bytes(agent, request) for request in requests)
            await connection.exchange(data, reader, deadline, gather=_GATHER * len(requests))
        except (OSError, WireError):
            pass
        finally:
            if connection is not None:
                # It is discarded unless it has given all answers.
                self._idle.put_or_discard(agent, connection, reader)
        return [_answer(part, agent, request) for part, request in zip(reader.answers, requests)]


class _Keepable(Protocol):
    """What a connection must be able to do to be kept."""

    def is_usable(self) -> bool: ...

    def discard(self) -> None: ...


_Kept = TypeVar("_Kept", bound=_Keepable)


class _Idle(Generic[_Kept]):
    """The idle connections: a child must never speak on its parent's, nor an event loop on another's.

    owner: tells which event loop the caller's connections belong to; `None` for those that any thread may use.
    """

    def __init__(self, owner: Callable[[], asyncio.AbstractEventLoop | None]) -> None:
        self._owner = owner
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connections: list[tuple[asyncio.AbstractEventLoop | None, Agent, _Kept]] = []

    def take(self, agent: Agent) -> _Kept | None:
        """A usable connection to the agent, which is the caller's from now on."""
        self._belong_to_process()
        wanted = (self._owner(), agent)
        while True:
            with self._lock:
                found = next((kept for kept in reversed(self._connections) if kept[:2] == wanted), None)
                if found is None:
                    return None
                self._connections.remove(found)
            if found[2].is_usable():
                return found[2]
            found[2].discard()

    def put_or_discard(self, agent: Agent, connection: _Kept, reader: AnswerReader | AnswersReader) -> None:
        """Keeps the connection if another request can be sent on it after that answer."""
        if not reader.keep_alive:
            connection.discard()
            return
        self._belong_to_process()
        owner = self._owner()
        with self._lock:
            self._connections.append((owner, agent, connection))
            own = [kept for kept in self._connections if kept[0] is owner]
            surplus = own[:-_IDLE_CONNECTIONS]
            # What an event loop has left behind that is closed nobody can use any more.
            self._connections = [kept for kept in self._connections if kept not in surplus and not (kept[0] and kept[0].is_closed())]
        for _owner, _agent, old in surplus:
            old.discard()

    def close(self) -> None:
        """Closes those of the caller."""
        self._belong_to_process()
        owner = self._owner()
        with self._lock:
            own = [kept for kept in self._connections if kept[0] is owner]
            self._connections = [kept for kept in self._connections if kept[0] is not owner]
        for _owner, _agent, connection in own:
            connection.discard()

    def _belong_to_process(self) -> None:
        if self._process != os.getpid():
            # Another thread may have held the old lock when the process was forked. What the parent kept is neither
            # used nor closed: closing TLS would say goodbye on a connection that is still the parent's.
            self._lock, self._connections, self._process = threading.Lock(), [], os.getpid()


def _answer(reader: AnswerReader, agent: Agent, request: Request) -> Answer:
    return Answer(reader.status, reader.headers, reader.content, str(request), str(agent))


def _reason(error: Exception, agent: Agent) -> str:
    """Why an agent did not answer, in words for a person."""
    if isinstance(error, WireError):
        return str(error)
    if isinstance(error, TimeoutError) or "timed out" in str(error):  # Python 3.8 has two kinds of time-outs
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        speaks_plain = error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
        return "it does not speak TLS: is it http:// there?" if speaks_plain else f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"the name {agent.host} can't be resolved: {error.strerror}"
    return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error) or type(error).__name__).lower()


def _no_agent(request: Request, seconds: float, attempts: dict[str, str]) -> NoAgentError:
    listed = "; ".join(f"{agent}: {reason}" for agent, reason in attempts.items())
    return NoAgentError(
        f"no Consul agent answered (time-out {seconds:g} s): {listed}",
        asked=str(request),
        advice="Is an agent running there? Other addresses are given by agents or CONSUL_HTTP_ADDR",
        attempts=attempts,
    )

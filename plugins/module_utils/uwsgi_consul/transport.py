# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Sends requests to the agents: in order, with the last good one remembered, over keep-alive connections.

Safe to use from many threads, and in a process that was forked after the transport was used. Neither proxies of the
environment nor redirects are followed.
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Mapping

from .connection import Connection, tls_context
from .errors import NoAgentError
from .protocol import Answer, Request, excerpt, may_succeed_elsewhere, may_succeed_later
from .settings import Agent, Settings

# An agent that answers at all takes connections within this many seconds, unless it is the last one to try.
CONNECT_LIMIT = 2.0
# How often all agents are asked when the answers are such that asking again may help, and the first pause in seconds.
ROUNDS, FIRST_PAUSE = 4, 0.25
# An answer may not be larger, in bytes. Consul's largest are recursive reads of the KV store.
ANSWER_LIMIT = 256 * 1024 * 1024
_IDLE_CONNECTIONS = 8


class Transport:
    """Asks one of the settings' agents. `settings` may not change; make another transport instead."""

    answer_limit = ANSWER_LIMIT

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._preferred = 0
        self._idle = _Idle()
        self._tls: ssl.SSLContext | None = None
        if any(agent.tls for agent in settings.agents):
            self._tls = tls_context(settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    def send(self, request: Request, timeout: float | None = None) -> Answer:
        """The answer of the first agent that gives one, whatever its status.

        The next agent is asked when one can't be reached or its answer is broken, and, for idempotent requests only,
        when it answers 5xx or 429. When that may pass (no leader, overload) all are asked again, after a pause with jitter.
        timeout: seconds for all of it, the settings' unless given; the hold of a blocking query comes on top.
        Raises `NoAgentError`, which lists each agent with its reason; a 5xx or 429 that remains is returned.
        """
        timeout = self.settings.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout + request.hold
        attempts: dict[str, str] = {}
        for round_number in range(ROUNDS):
            answer = self._ask_all(request, deadline, attempts)
            if answer is None:
                break
            if not request.idempotent or not may_succeed_later(answer) or round_number == ROUNDS - 1:
                return answer
            pause = FIRST_PAUSE * 2**round_number * random.uniform(0.5, 1.5)  # noqa: S311
            if time.monotonic() + pause + request.hold >= deadline:
                return answer
            time.sleep(pause)
        raise _no_agent(request, timeout + request.hold, attempts)

    def close(self) -> None:
        """Closes the idle connections; the transport can still be used."""
        self._idle.close()

    def _ask_all(self, request: Request, deadline: float, attempts: dict[str, str]) -> Answer | None:
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
            try:
                answer = self._ask(agent, request, limit, connect_limit=now + CONNECT_LIMIT if untried > 1 else limit)
            except _FailedError as failure:
                self._preferred = (first + position + 1) % len(agents)
                attempts[str(agent)] = request.redact(failure.reason)
                if failure.sent and not request.idempotent:
                    raise NoAgentError(
                        f"the agent's answer got lost ({attempts[str(agent)]}), so it is not known whether it was done",
                        asked=str(request),
                        agent=str(agent),
                        attempts=attempts,
                    ) from None
                continue
            if not may_succeed_elsewhere(answer):
                self._preferred = (first + position) % len(agents)
                return answer
            if not request.idempotent:
                return answer
            attempts[str(agent)] = request.redact(f"{answer.status} {excerpt(answer.text)}")
            last = answer
        return last

    def _ask(self, agent: Agent, request: Request, limit: float, connect_limit: float) -> Answer:
        idle = self._idle = self._idle.of_this_process()
        connection = idle.take(agent)
        reused = connection is not None
        if connection is None:
            connection = Connection(agent, self._tls if agent.tls else None, self.settings.tls_server_name)
        sent = False
        try:
            if not reused:
                connection.deadline = min(limit, connect_limit)
                connection.connect()
            connection.deadline = limit
            sent = True
            connection.request(request.method, agent.prefix + request.target, request.body, self._headers(request))
            response = connection.getresponse()
            content = connection.read(response, self.answer_limit)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.discard()
            if reused and request.idempotent and isinstance(error, ConnectionError):
                # The agent closed the idle connection just now: that says nothing about the agent.
                return self._ask(agent, request, limit, connect_limit)
            raise _FailedError(_reason(error, agent), sent) from None
        except BaseException:
            connection.discard()
            raise
        if response.will_close:
            connection.discard()
        else:
            idle.put(agent, connection)
        return Answer(response.status, response.headers, content, str(request), str(agent))

    def _headers(self, request: Request) -> Mapping[str, str]:
        headers = {"User-Agent": "uwsgi-consul", "Accept": "application/json"}
        if request.token:
            headers["X-Consul-Token"] = request.token
        return headers


class _FailedError(Exception):
    """An agent gave no answer. sent: whether (a part of) the request may have reached it."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(reason)
        self.reason, self.sent = reason, sent


class _Idle:
    """The idle connections of one process: a child must never speak on its parent's."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connections: list[tuple[Agent, Connection]] = []

    def of_this_process(self) -> _Idle:
        return self if self._process == os.getpid() else _Idle()

    def take(self, agent: Agent) -> Connection | None:
        """A usable connection to the agent, which is the caller's from now on."""
        while True:
            with self._lock:
                found = next((pair for pair in reversed(self._connections) if pair[0] == agent), None)
                if found is None:
                    return None
                self._connections.remove(found)
            if found[1].is_usable():
                return found[1]
            found[1].discard()

    def put(self, agent: Agent, connection: Connection) -> None:
        with self._lock:
            self._connections.append((agent, connection))
            surplus = self._connections[:-_IDLE_CONNECTIONS]
            del self._connections[:-_IDLE_CONNECTIONS]
        for _agent, old in surplus:
            old.discard()

    def close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, []
        for _agent, connection in connections:
            connection.discard()


def _reason(error: Exception, agent: Agent) -> str:
    """Why an agent did not answer, in words for a person."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):  # Python 3.8 has two kinds of time-outs
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        speaks_plain = error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
        return "it does not speak TLS: is it http:// there?" if speaks_plain else f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"the name {agent.host} can't be resolved: {error.strerror}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer was cut off"
    if isinstance(error, http.client.BadStatusLine):
        return f"what answers there is no HTTP server: {excerpt(str(error.args[0]), 60)!r}"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"its answer can't be read: {excerpt(str(error), 100)}"


def _no_agent(request: Request, seconds: float, attempts: dict[str, str]) -> NoAgentError:
    listed = "; ".join(f"{agent}: {reason}" for agent, reason in attempts.items())
    return NoAgentError(
        f"no Consul agent answered (time-out {seconds:g} s): {listed}",
        asked=str(request),
        advice="Is an agent running there? Other addresses are given by agents or CONSUL_HTTP_ADDR",
        attempts=attempts,
    )

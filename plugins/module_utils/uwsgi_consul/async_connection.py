# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One keep-alive connection to an agent, for an event loop, on which every wait is bounded by a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import Any, Awaitable, TypeVar, cast

from .connection import Addresses, left, look_up, numeric_addresses, prepare
from .settings import Agent
from .wire import AnswerReader, AnswersReader, WireError

_Result = TypeVar("_Result")


class AsyncConnection(asyncio.Protocol):
    """A connection to *agent*, of the event loop in which it is connected. Deadlines are of `time.monotonic()`."""

    def __init__(self, agent: Agent, tls: ssl.SSLContext | None, server_name: str | None) -> None:
        self.agent, self._tls, self._server_name = agent, tls, server_name
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | AnswersReader | None = None
        self._answered: asyncio.Future[None] | None = None

    async def connect(self, deadline: float) -> None:
        """Raises `OSError`."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": self._tls, "server_hostname": (self._server_name or self.agent.host) if self._tls else None}
        if self.agent.socket:
            await _by(deadline, loop.create_unix_connection(lambda: self, self.agent.socket))
            return
        plain = await self._connect_tcp(deadline)
        try:
            await _by(deadline, loop.create_connection(lambda: self, sock=plain, **options))
        except BaseException:
            plain.close()
            raise

    async def exchange(self, data: bytes, reader: AnswerReader | AnswersReader, deadline: float, gather: float = 0.0) -> None:
        """Sends a request and reads its answer, or several; raises `OSError`, or `WireError` for what is no answer.

        gather: seconds for which nothing is read at first, so that answers to several requests are read as one.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            raise ConnectionError("it is not connected")
        answered = loop.create_future()
        self._reader, self._answered = reader, answered
        timer = loop.call_later(left(deadline), self._fail, TimeoutError())
        gathered = None
        if gather:
            self._transport.pause_reading()
            gathered = loop.call_later(gather, self._transport.resume_reading)
        try:
            self._transport.write(data)
            await answered
        finally:
            timer.cancel()
            if gathered is not None:
                # Either it was resumed, or there is no answer yet, and its owner discards it.
                gathered.cancel()
            self._reader = self._answered = None

    def is_usable(self) -> bool:
        """Whether the connection is open and quiet, so that a request may be sent on it."""
        return self._transport is not None and not self._transport.is_closing()

    def discard(self) -> None:
        """Closes it for good."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            # Nobody asked.
            self.discard()
            return
        try:
            self._reader.feed(data)
        except WireError as error:
            self._fail(error)
        else:
            if self._reader.complete:
                self._succeed()

    def eof_received(self) -> None:
        if self._reader is not None:
            try:
                self._reader.feed(b"")
            except WireError as error:
                self._fail(error)
            else:
                self._succeed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ConnectionResetError("connection reset by peer"))

    def _succeed(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)

    async def _connect_tcp(self, deadline: float) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure: OSError = OSError("the name has no address")
        for family, address in numeric_addresses(self.agent) or await _resolve(self.agent, deadline):
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.setblocking(False)
                await _by(deadline, loop.sock_connect(plain, address))
            except OSError as error:
                plain.close()
                failure = error
            except BaseException:
                plain.close()
                raise
            else:
                prepare(plain)
                return plain
        raise failure


async def _resolve(agent: Agent, deadline: float) -> Addresses:
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Addresses | OSError] = loop.create_future()

    def settle(found: Addresses | OSError) -> None:
        if not result.done():
            result.set_result(found)

    def tell(found: Addresses | OSError) -> None:
        # The loop may be closed by the time that the resolver answers.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    look_up(agent, tell)
    found = await _by(deadline, result)
    if isinstance(found, OSError):
        raise found
    return found


async def _by(deadline: float, awaitable: Awaitable[_Result]) -> _Result:
    """The result, if it comes by the deadline; raises `TimeoutError`."""
    # `asyncio.wait_for` overlooks, before Python 3.12, that it is cancelled in the moment in which the result comes.
    task = asyncio.ensure_future(awaitable)
    # Or an error that nobody waits for any more would be logged.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait({task}, timeout=max(0.0, deadline - time.monotonic()))
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One keep-alive HTTP connection to an agent, on which every wait is bounded by one deadline.

`http.client` bounds each single read only, so an agent that sends a byte a second would hold a caller for ever; and
nothing bounds the resolver. Here the connection's `deadline` holds for name, connect, handshake, request and answer.
"""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from typing import Any

from .errors import InvalidValueError
from .settings import Agent, Settings

_PIECE = 65536


class Connection(http.client.HTTPConnection):
    """A connection to *agent*; set `deadline` (of `time.monotonic()`) before each use."""

    deadline: float

    def __init__(self, agent: Agent, tls: ssl.SSLContext | None, server_name: str | None) -> None:
        super().__init__(agent.host or "localhost", agent.port or None)
        self.agent, self._tls, self._server_name = agent, tls, server_name

    def connect(self) -> None:
        """Connects by the deadline; raises `OSError`."""
        plain = self._connect_unix() if self.agent.socket else self._connect_tcp()
        try:
            if self._tls:
                plain.settimeout(self.left())
                plain = self._tls.wrap_socket(plain, server_hostname=self._server_name or self.agent.host)
        except BaseException:
            plain.close()
            raise
        # What http.client needs of a socket, which is less than its annotation says.
        self.sock: Any = _BoundedSocket(plain, self)

    def left(self) -> float:
        """Seconds up to the deadline; raises `TimeoutError` when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def is_usable(self) -> bool:
        """Whether the connection is open and quiet, so that a request may be sent on it."""
        if self.sock is None:
            return False
        waiting = select.poll()
        waiting.register(self.sock.plain, select.POLLIN)
        return not waiting.poll(0)

    def discard(self) -> None:
        """Closes it for good."""
        if self.sock is not None:
            self.sock.plain.close()
            self.sock = None

    def read(self, answer: http.client.HTTPResponse, limit: int) -> bytes:
        """The body of the answer; raises `http.client.HTTPException` for a truncated one, or one above *limit* bytes."""
        if answer.length is not None and answer.length <= limit:
            return answer.read()
        content = bytearray()
        while len(content) <= limit:
            piece = answer.read(_PIECE)
            if not piece:
                return bytes(content)
            content += piece
        raise http.client.HTTPException(f"the answer is larger than {limit} bytes")

    def _connect_unix(self) -> socket.socket:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            plain.settimeout(self.left())
            plain.connect(self.agent.socket)
        except BaseException:
            plain.close()
            raise
        return plain

    def _connect_tcp(self) -> socket.socket:
        failure: OSError = OSError("the name has no address")
        for family, address in _resolve(self.agent, self.left()):
            plain = socket.socket(family, socket.SOCK_STREAM)
            try:
                plain.settimeout(self.left())
                plain.connect(address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            except OSError as error:
                plain.close()
                failure = error
            else:
                return plain
        raise failure


class _BoundedSocket:
    """The part of a socket that `http.client` uses. Its owner closes it by `Connection.discard` only, for `http.client`
    closes the socket of an answer without keep-alive before the body is read."""

    def __init__(self, plain: socket.socket, owner: Connection) -> None:
        self.plain, self._owner = plain, owner

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self.plain.settimeout(self._owner.left())
            rest = rest[self.plain.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self.plain, self._owner), _PIECE)

    def close(self) -> None:
        pass


class _BoundedReader(io.RawIOBase):
    def __init__(self, plain: socket.socket, owner: Connection) -> None:
        self._plain, self._owner = plain, owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._plain.settimeout(self._owner.left())
        return self._plain.recv_into(buffer)


def _resolve(agent: Agent, limit: float) -> list[tuple[int, Any]]:
    """Family and address of each address of the agent's name, looked up for at most *limit* seconds."""
    found: list[tuple[int, Any]] = []
    failed: list[OSError] = []

    def look_up(flags: int) -> None:
        try:
            for family, _kind, _protocol, _name, address in socket.getaddrinfo(
                agent.host, agent.port, type=socket.SOCK_STREAM, flags=flags
            ):
                found.append((family, address))
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(f"{agent.host} is no name of a host"))

    look_up(socket.AI_NUMERICHOST)
    if not found:
        # The resolver knows no time-out, so that it is a thread of its own that may hang.
        failed.clear()
        thread = threading.Thread(target=look_up, args=(0,), daemon=True)
        thread.start()
        thread.join(limit)
        if thread.is_alive():
            raise TimeoutError
        if failed:
            raise failed[0]
    return found


def tls_context(settings: Settings) -> ssl.SSLContext:
    """The context for the settings' certificates; raises `InvalidValueError`, which names the option."""
    context = ssl.create_default_context()
    if not settings.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca_path:
        directory = os.path.isdir(settings.ca_path)
        try:
            context = ssl.create_default_context(
                cafile=None if directory else settings.ca_path, capath=settings.ca_path if directory else None
            )
        except OSError as error:
            raise InvalidValueError(f"ca_path: {settings.ca_path} can't be used: {error.strerror or error}") from None
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key, password=_no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            names = f"{settings.client_cert}, client_key {settings.client_key}" if settings.client_key else settings.client_cert
            raise InvalidValueError(f"client_cert: {names} can't be used: {reason}") from None
    return context


def _no_password() -> str:
    # OpenSSL would ask for it on the terminal.
    raise ValueError("the key is encrypted, and there is nobody to ask for its password")

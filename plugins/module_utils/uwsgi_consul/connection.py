# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One keep-alive connection to an agent, for a thread that waits, on which every wait is bounded by a deadline."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, List, Tuple

from .errors import InvalidValueError
from .settings import Agent, Settings
from .wire import AnswerReader

PIECE = 65536
# Of a host: the family and the address as sockets take it.
Addresses = List[Tuple[int, Any]]


class Connection:
    """A connection to *agent*. All deadlines are of `time.monotonic()`."""

    def __init__(self, agent: Agent, tls: ssl.SSLContext | None, server_name: str | None) -> None:
        self.agent, self._tls, self._server_name = agent, tls, server_name
        self._socket: socket.socket | None = None

    def connect(self, deadline: float) -> None:
        """Raises `OSError`."""
        plain = _connect_unix(self.agent, deadline) if self.agent.socket else _connect_tcp(self.agent, deadline)
        try:
            if self._tls:
                plain.settimeout(left(deadline))
                plain = self._tls.wrap_socket(plain, server_hostname=self._server_name or self.agent.host)
        except BaseException:
            plain.close()
            raise
        self._socket = plain

    def exchange(self, data: bytes, reader: AnswerReader, deadline: float, upload: memoryview | None = None) -> None:
        """Sends a request and reads its answer; raises `OSError`, or `WireError` for what is no answer."""
        if self._socket is None:
            raise ConnectionError("it is not connected")
        self._send(memoryview(data), deadline)
        if upload is not None:
            # Who refuses a large body answers before he has all of it, and closes.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._send(upload, deadline)
        while not reader.complete:
            self._socket.settimeout(left(deadline))
            reader.feed(self._socket.recv(PIECE))

    def _send(self, rest: memoryview, deadline: float) -> None:
        if self._socket is None:
            raise ConnectionError("it is not connected")
        while rest:
            self._socket.settimeout(left(deadline))
            # TLS makes a copy of what it is given.
            rest = rest[self._socket.send(rest[:PIECE]) :]

    def is_usable(self) -> bool:
        """Whether the connection is open and quiet, so that a request may be sent on it."""
        if self._socket is None:
            return False
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    def discard(self) -> None:
        """Closes it for good."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        # A client may be dropped without an end: the socket would warn of that.
        self.discard()


def left(deadline: float) -> float:
    """Seconds up to the deadline; raises `TimeoutError` when there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _connect_unix(agent: Agent, deadline: float) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.settimeout(left(deadline))
        plain.connect(agent.socket)
    except BaseException:
        plain.close()
        raise
    return plain


def _connect_tcp(agent: Agent, deadline: float) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for family, address in _resolve(agent, deadline):
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(left(deadline))
            plain.connect(address)
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


def prepare(plain: socket.socket) -> None:
    """Sets what a connection to an agent needs: small requests go at once, and a host that is gone is noticed."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _resolve(agent: Agent, deadline: float) -> Addresses:
    """The addresses of the agent's host, looked up until the deadline; raises `OSError`."""
    numeric = numeric_addresses(agent)
    if numeric:
        return numeric
    found: list[Addresses | OSError] = []
    left(deadline)
    try:
        thread = look_up(agent, found.append)
    except RuntimeError as error:
        # There are too many threads, or the program ends.
        raise OSError(f"the name can't be looked up: {error}") from None
    thread.join(left(deadline))
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def numeric_addresses(agent: Agent) -> Addresses:
    """The address of an agent that is given by its address; nothing for one that is given by a name."""
    found = _addresses(agent, socket.AI_NUMERICHOST)
    return [] if isinstance(found, OSError) else found


def look_up(agent: Agent, tell: Callable[[Addresses | OSError], None]) -> threading.Thread:
    """Looks the agent's name up in a thread of its own, for the resolver knows no time-out; that thread tells the result."""
    thread = threading.Thread(target=lambda: tell(_addresses(agent, 0)), daemon=True, name="uwsgi-consul-resolver")
    thread.start()
    return thread


def _addresses(agent: Agent, flags: int) -> Addresses | OSError:
    try:
        results = socket.getaddrinfo(agent.host, agent.port, type=socket.SOCK_STREAM, flags=flags)
    except OSError as error:
        return error
    except UnicodeError:
        return OSError(f"{agent.host} is no name of a host")
    return [(family, address) for family, _kind, _protocol, _name, address in results]


class Certificates:
    """The TLS context for the settings' certificates, made again when a file has changed: certificates are renewed while a
    program runs. While the files can't be used the last good one serves. Raises `InvalidValueError` when there was none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = self._look()
        self._context = tls_context(settings)

    def context(self) -> ssl.SSLContext:
        state = self._look()
        if state != self._state:
            # A file that is half written is looked at again for the next connection.
            with contextlib.suppress(InvalidValueError):
                self._context = tls_context(self._settings)
                self._state = state
        return self._context

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_state_of(path) for path in (self._settings.ca_path, self._settings.client_cert, self._settings.client_key) if path]


def _state_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


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

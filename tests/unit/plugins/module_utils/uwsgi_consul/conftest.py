# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Agents that answer as a test says, on real sockets, so that each fault of a network can be played."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import background
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer, Request
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transport import AsyncTransport, Transport


@dataclass
class Received:
    """One request as it arrived, with the number of its connection."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    socket: socket.socket = field(repr=False)


def _reply(body: bytes | str = b"[]", status: int = 200, **headers: str) -> bytes:
    """The bytes of an answer; a header's underscores become hyphens."""
    content = body.encode() if isinstance(body, str) else body
    merged = {"Content-Type": "application/json", "Content-Length": str(len(content)), "X-Consul-Index": "1"}
    merged.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in merged.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + content


class FakeAgent:
    """Answers each request with what `answer` returns; on `None` the connection is closed."""

    def __init__(self, answer: Callable[[Received], bytes | None], path: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self._tls = answer, tls
        self.requests: list[Received] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(str(path) if path else ("127.0.0.1", 0))
        self._listener.listen(64)
        self.address = f"unix://{path}" if path else f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Ends the connections that are open, as a restart does."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.stopped.set()
        # A thread that waits in accept() keeps the port open until it is woken.
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection, connection.makefile("rb") as stream:
                while True:
                    if stream.peek(1)[:1] == b"\x16":
                        # TLS to a plain port: what Go's server answers.
                        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                        return
                    line = stream.readline()
                    if not line:
                        return
                    method, target, _version = line.decode().split()
                    headers = {}
                    while (line := stream.readline()).strip():
                        name, _colon, value = line.decode().partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", 0)))
                    received = Received(method, target, headers, body, number, connection)
                    self.requests.append(received)
                    answer = self.answer(received)
                    if answer is None:
                        return
                    connection.sendall(answer)
        except (OSError, ValueError):
            return


@pytest.fixture
def fake_agent() -> Iterator[Callable[..., FakeAgent]]:
    """Makes agents; without a function they answer `[]`."""
    agents: list[FakeAgent] = []

    def make(answer: Callable[[Received], bytes | None] | bytes = _reply(), **options: object) -> FakeAgent:  # noqa: B008
        given = (lambda _received: answer) if isinstance(answer, bytes) else answer
        agents.append(FakeAgent(given, **options))  # type: ignore[arg-type]
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


@pytest.fixture(scope="session")
def reply() -> Callable[..., bytes]:
    return _reply


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that answers no new connection at all, as behind a firewall that drops packets."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fill = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            fill.append(one)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for one in fill:
            one.close()


class InEventLoop:
    """An `AsyncTransport` that is used as the other one is, by threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._transport = settings, AsyncTransport(settings)
        self._idle = self._transport._idle

    def __repr__(self) -> str:
        return repr(self._transport)

    def send(self, request: Request, timeout: float | None = None) -> Answer:
        return background.run(self._transport.send(request, timeout))

    def close(self) -> None:
        background.run(self._transport.close())


@pytest.fixture(params=[Transport, InEventLoop], ids=["threads", "event loop"])
def transport_class(request: pytest.FixtureRequest) -> type:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the tests may depend on variables of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("CONSUL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

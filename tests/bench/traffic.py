"""Requests to Consul per instance and minute at rest, and the connections they need."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

from integration.conftest import ConsulAgent

from .kit import NOT_MEASURED, Lab, Variant, finish, registered, say, scaled, table, verdict

TTL, SECONDS, SETTLE_SECONDS = 10, 180, 5


@dataclass
class Requests:
    """Counts the requests in what a client sends over one connection."""

    count: int = 0
    _buffer: bytes = b""
    _body_left: int = 0

    def take(self, data: bytes) -> int:
        """How many began with this piece."""
        before, self._buffer = self.count, self._buffer + data
        while self._buffer:
            skipped = min(self._body_left, len(self._buffer))
            self._buffer, self._body_left = self._buffer[skipped:], self._body_left - skipped
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                break
            lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            self.count, self._buffer, self._body_left = self.count + 1, rest, int(lengths[0]) if lengths else 0
        return self.count - before


@dataclass
class CountingProxy:
    """Stands between an instance and its agent, and changes nothing."""

    agent: ConsulAgent
    requests: int = 0
    opened: int = 0
    open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]  # noqa: UP031
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _add(self, requests: int = 0, connections: int = 0) -> None:
        with self._lock:
            self.requests += requests
            self.open += connections
            self.opened += max(0, connections)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._add(connections=1)
        requests = Requests()
        with client, socket.create_connection(("127.0.0.1", self.agent.http_port)) as server, contextlib.suppress(OSError):
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            while data := client.recv(65536):
                self._add(requests=requests.take(data))
                server.sendall(data)
        self._add(connections=-1)

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


def once(lab: Lab, agent: ConsulAgent, variant: Variant, seconds: int) -> tuple[float, int, int]:
    """Requests per minute, connections opened in that time, and connections open at its end."""
    service = lab.service()
    with contextlib.closing(CountingProxy(agent)) as proxy:
        instance = lab.start(variant, proxy.address, service, {"processes": 4}, ttl=TTL)
        registered(agent, service)
        time.sleep(SETTLE_SECONDS)
        requests, opened = proxy.requests, proxy.opened
        time.sleep(seconds)
        result = (proxy.requests - requests) * 60 / seconds, proxy.opened - opened, proxy.open
        finish(instance)
    return result


def run(lab: Lab) -> None:
    agent, seconds = lab.agent(), scaled(SECONDS, 20)
    results = {}
    for variant in lab.plugins:
        results[variant.name] = once(lab, agent, variant, seconds)
        say(f"{variant.name}: done")
    most = 60 / (TTL / 3) + 1
    rate, opened, still = results["with"]
    old = [f"{value:g}" for value in results["old"]] if "old" in results else [NOT_MEASURED] * 3
    rows = [
        ["requests per minute", f"{rate:.1f}", old[0], verdict(rate <= most, f"at most {most:g}")],
        ["connections opened in that time", str(opened), old[1], verdict(not opened, "none")],
        ["connections open", str(still), old[2], verdict(still == 1, "one")],
    ]
    table(f"At rest, TTL {TTL} s, {seconds} s long", ["one instance", "with", "old plugin", "bound"], rows)

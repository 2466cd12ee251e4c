# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs lookups as users do, by `ansible` and `ansible-playbook`, against agents of a real Consul."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import plays

ROOT = Path(__file__).parents[3]


@dataclass
class Run:
    """What a run of Ansible printed, and how long it took."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def message(self) -> Any:
        """What the debug task of a run that went well printed."""
        assert self.code == 0, self.output
        return json.loads(self.stdout[self.stdout.index("=> ") + 3 :])["msg"]

    @property
    def error(self) -> str:
        """The error of a run that failed, as one line."""
        assert self.code != 0, self.output
        return " ".join(self.output.split())


def run_tool(tool: str, *arguments: str, cwd: Path = ROOT, **environment: str) -> Run:
    """Runs one of Ansible's commands, from the same environment as the tests, without any of the caller's variables of Consul."""
    started = time.monotonic()
    done = plays.run(tool, *arguments, folder=cwd, own={"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", **environment})
    return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@pytest.fixture(scope="session")
def ansible() -> Callable[..., Run]:
    return run_tool


@pytest.fixture(scope="session")
def render() -> Callable[..., Run]:
    """Renders a template, or a structure of templates, by a debug task; further options are variables of the environment."""

    def call(template: Any, *arguments: str, **environment: str) -> Run:
        return run_tool(
            "ansible", "localhost", "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": template}), *arguments, **environment
        )

    return call


@pytest.fixture(scope="module")
def start_agent(consul: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts agents for the tests of a module; one with ACLs is asked with the management token."""
    agents: list[Any] = []

    def start(config: dict[str, Any], management_token: str = "", **names: str) -> Any:
        agents.append(type(consul)(tmp_path_factory.mktemp("agent"), config, token=management_token, **names))
        return agents[-1].start()

    yield start
    for agent in agents:
        agent.stop()


class Recorder:
    """A server that takes connections, keeps the requests' lines, and answers what it is told, or nothing at all."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.connections = 0
        self.lines: list[str] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            for line in stream:
                if line.startswith(b"GET "):
                    self.lines.append(line.decode().split()[1])
                if not line.strip() and self.answer is not None:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.answer), self.answer))

    def close(self) -> None:
        for one in (self._listener, *self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                one.close()


@pytest.fixture
def recorder() -> Iterator[Callable[..., Recorder]]:
    made: list[Recorder] = []

    def make(answer: bytes | None = b"[]") -> Recorder:
        made.append(Recorder(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def dead() -> Iterator[str]:
    """The address of a port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"

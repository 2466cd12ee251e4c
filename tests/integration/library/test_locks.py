# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks, semaphores and elections between processes, with all that can happen to those and to Consul."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lease import now

from ..conftest import ConsulAgent
from .history import History, Section, read

HERE = Path(__file__).parent
PACKAGE = HERE.parents[2] / "plugins" / "module_utils"
# How many sections all locks have together, at least. `LOCK_SECTIONS=2000` for a longer run.
SECTIONS = int(os.environ.get("LOCK_SECTIONS", "300"))
# The shortest that Consul takes. A session that is not renewed lives for up to twice this.
TTL = 10.0
# The lease is nine tenths of it, so a longer pause loses what is held.
LOCK_DELAY = 4.0


def slowness() -> float:
    """How many processes want each processor: a bound that holds on a machine with time to spare says nothing on a crowded one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(what: str, look: Callable[[], Any], within: float = 20.0, every: float = 0.02) -> Any:
    """The first true answer of *look*; fails with *what* when there is none in time."""
    deadline = time.monotonic() + within * slowness()
    while True:
        with contextlib.suppress(OSError):
            if found := look():
                return found
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(every)


class Field:
    """Processes that want the same thing."""

    def __init__(self, agent: ConsulAgent, directory: Path, kind: str, key: str, count: int, limit: int = 1) -> None:
        self.agent, self.directory, self.kind, self.key, self.limit = agent, directory, kind, key, limit
        self.killed: set[int] = set()
        self.stopped: list[tuple[int, float, float]] = []
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        said = self.directory / f"{self.key}-{number}"
        arguments = [self.kind, self.key, self.agent.address, said, self.directory / "stop", self.limit, TTL, LOCK_DELAY]
        with (self.directory / "errors").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, HERE / "holder.py", *map(str, arguments)], env=os.environ | {"PYTHONPATH": str(PACKAGE)}, stderr=errors
            )

    def holder(self) -> dict[str, Any] | None:
        """The entry of one that holds it now: `pid` and `session`."""
        for entry in self.agent.get(f"/v1/kv/{self.key}?recurse&consistent"):
            if entry.get("Session"):
                value = self.agent.request("GET", f"/v1/kv/{entry['Key']}")[0]["Value"]
                return {"pid": int(base64.b64decode(value)), "session": entry["Session"]}
        return None

    def stop_holder(self) -> tuple[int, str, float]:
        """Stops a process (SIGSTOP) while it certainly holds it; returns it, its session and when it was."""

        def stop() -> tuple[int, str, float] | None:
            holder = self.holder()
            if holder is None:
                return None
            began = now()
            os.kill(holder["pid"], signal.SIGSTOP)
            # A request of it may be under way: what the key says a moment later stays. And what it was about to do does not count.
            time.sleep(0.1)
            if self.holder() == holder and self.last_word(holder["pid"]) == "look":
                return holder["pid"], holder["session"], began
            os.kill(holder["pid"], signal.SIGCONT)
            return None

        found: tuple[int, str, float] = wait_for(f"a holder of {self.key}", stop)
        return found

    def go_on(self, stopped: tuple[int, str, float]) -> None:
        os.kill(stopped[0], signal.SIGCONT)
        self.stopped.append((stopped[0], stopped[2], now()))

    def pause(self, seconds: float) -> None:
        stopped = self.stop_holder()
        time.sleep(seconds)
        self.go_on(stopped)

    def stop_until_next(self) -> None:
        stopped = self.stop_holder()
        self.wait_free(stopped[1])
        # Others hold it while this one still thinks that it is at work.
        time.sleep(0.5)
        self.go_on(stopped)

    def kill_holder(self) -> None:
        stopped = self.stop_holder()
        self.killed.add(stopped[0])
        os.kill(stopped[0], signal.SIGKILL)
        self.wait_free(stopped[1])

    def wait_free(self, session: str) -> None:
        within = 2 * TTL + LOCK_DELAY + 10
        wait_for(f"the end of {session}", lambda: not self.agent.get(f"/v1/session/info/{session}"), within, every=0.1)
        wait_for(f"another holder of {self.key}", self.holder, within)

    def destroy_session(self) -> None:
        session = wait_for(f"a holder of {self.key}", self.holder)["session"]
        self.agent.put(f"/v1/session/destroy/{session}")

    def sections(self) -> list[Section]:
        texts = [file.read_text() for file in self.directory.glob(f"{self.key}-*")]
        # The last line of one that was killed may be half.
        return [section for text in texts for section in read(text.split("\n")[:-1])]

    def last_word(self, pid: int) -> str:
        """What a process wrote down last."""
        for file in self.directory.glob(f"{self.key}-*"):
            lines = file.read_text().split("\n")[:-1]
            if lines and (said := json.loads(lines[-1]))["pid"] == pid:
                return str(said["what"])
        return ""

    def history(self) -> History:
        return History(self.sections(), TTL, self.limit, self.killed, self.stopped)


class Fields(dict[str, Field]):
    """All of them, by name, after all that happened to them."""

    def __init__(self, agent: ConsulAgent, directory: Path) -> None:
        super().__init__()
        self.agent, self.directory = agent, directory
        self.faults: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def add(self, kind: str, key: str, count: int, *faults: Callable[[Field], None], limit: int = 1) -> None:
        field = self[key] = Field(self.agent, self.directory, kind, key, count, limit)
        self.faults.append(threading.Thread(target=self._play, args=(field, faults)))

    def _play(self, field: Field, faults: tuple[Callable[[Field], None], ...]) -> None:
        try:
            for fault in faults:
                wait_for(f"sections of {field.key}", lambda: len(field.sections()) > 5)
                fault(field)
                print(time.strftime("%X"), field.key, fault)
        except BaseException as error:
            self.failures.append(error)

    def play(self) -> None:
        for thread in self.faults:
            thread.start()
        for thread in self.faults:
            thread.join()

    def count(self) -> int:
        return sum(len(field.sections()) for field in self.values() if field.kind == "lock")

    def end(self) -> None:
        (self.directory / "stop").touch()
        for field in self.values():
            for process in field.processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(40)

    def kill(self) -> None:
        for field in self.values():
            for process in field.processes:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fields]:
    """20 processes with 3 locks, 4 with a semaphore, 4 with an election; Consul is started anew in between, gently and by force."""
    directory = tmp_path_factory.mktemp("locks")
    agent = ConsulAgent(directory, persistent=True)
    fields = Fields(agent, directory)
    try:
        agent.start()
        fields.add("lock", "killed", 6, Field.kill_holder)
        fields.add("lock", "stopped", 6, Field.stop_until_next)
        fields.add(
            "lock",
            "destroyed",
            8,
            Field.destroy_session,
            lambda field: field.pause(0.5),
            Field.destroy_session,
            lambda field: field.pause(5),
        )
        fields.add("semaphore", "places", 4, Field.kill_holder, lambda field: field.pause(0.5), limit=2)
        fields.add("election", "office", 4, lambda field: field.pause(5), Field.kill_holder)
        wait_for("sections of all", lambda: all(field.sections() for field in fields.values()), 30)
        agent.stop()
        agent.start()
        fields.play()
        assert agent.process
        agent.process.kill()
        agent.process.wait()
        agent.start()
        before = fields.count()
        wait_for("sections after it", lambda: fields.count() > max(before + 20, SECTIONS), 300)
        fields.end()
        yield fields
    finally:
        fields.kill()
        agent.stop()


def test_what_happened_could_be_played(fields: Fields) -> None:
    assert not fields.failures, fields.failures
    # It holds what is said of Consul's restarts, too.
    assert "Traceback" not in (fields.directory / "errors").read_text()
    codes = [process.poll() for field in fields.values() for process in field.processes if process.pid not in field.killed]
    assert codes == [0] * 25
    assert fields.count() >= SECTIONS


@pytest.mark.parametrize("key", ["killed", "stopped", "destroyed", "places", "office"])
def test_never_two_holders_and_every_loss_is_told_in_time(fields: Fields, key: str) -> None:
    history = fields[key].history()
    assert len(history.sections) > 10
    history.check()
    outcomes = [section.outcome for section in history.sections]
    print(key, {outcome: outcomes.count(outcome) for outcome in set(outcomes)})
    assert "released" in outcomes
    if key in ("stopped", "destroyed", "office"):
        assert "lost" in outcomes


def test_whoever_has_ended_leaves_no_session(fields: Fields) -> None:
    wait_for("the end of all sessions", lambda: fields.agent.get("/v1/session/list") == [], 2 * TTL + 5, every=0.2)

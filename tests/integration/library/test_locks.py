# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks, semaphores and elections between processes, with all that can happen to those and to Consul."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import slowness, wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.election import Election
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConflictError, LostError, PermissionDeniedError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.layouts import LOCK_FLAGS
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lease import now
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lock import Lock
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.semaphore import Semaphore

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
            certain = False
            try:
                # A request of it may be under way: what the key says a moment later stays. And what it was about to do does not count.
                time.sleep(0.1)
                certain = self.holder() == holder and self.last_word(holder["pid"]) == "look"
            finally:
                if not certain:
                    os.kill(holder["pid"], signal.SIGCONT)
            return (holder["pid"], holder["session"], began) if certain else None

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
        return History(self.sections(), TTL, self.limit, self.killed, self.stopped, slowness() - 1)


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
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        for field in self.values():
            for process in field.processes:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fields]:
    """20 processes with 3 locks, 4 with a semaphore, 4 with an election; Consul is stopped, continued, and started anew in between."""
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
        # Longer than a lease, except for the semaphore's: all lose what they hold, and none is told but by its clock.
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(LOCK_DELAY + 1)
        agent.process.send_signal(signal.SIGCONT)
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
    assert len(history.sections) > 5
    history.check()
    outcomes = [section.outcome for section in history.sections]
    assert "released" in outcomes
    if key in ("stopped", "destroyed", "office"):
        assert "lost" in outcomes


def section(token: int, held_from: float, held_to: float, **fields: Any) -> Section:
    return Section(
        **{"pid": token, "token": token, "held_from": held_from, "held_to": held_to, "outcome": "released", "ended": held_to, **fields}
    )


def test_the_history_finds_what_is_wrong() -> None:
    lost = {"outcome": "lost", "told": 9.0, "proved": 0.0}
    History([section(1, 0, 1), section(2, 1.1, 2), section(3, 2.1, 3, **lost)], TTL).check()
    with pytest.raises(AssertionError, match="two hold it"):
        History([section(1, 0, 1.2), section(2, 1.1, 2)], TTL).check()
    with pytest.raises(AssertionError, match="the token does not grow"):
        History([section(2, 0, 1), section(1, 1.1, 2)], TTL).check()
    # Not next to each other: the second one's token is larger, and the first one goes on.
    with pytest.raises(AssertionError, match="two hold it"):
        History([section(1, 0, 5), section(2, 5.1, 5.2), section(3, 4, 6)], TTL).check()
    with pytest.raises(AssertionError, match="given twice"):
        History([section(1, 0, 1), section(1, 2, 3)], TTL).check()
    with pytest.raises(AssertionError, match="it did not end"):
        History([section(1, 0, 1, outcome="")], TTL).check()
    History([section(1, 0, 1, outcome="")], TTL, killed={1}).check()
    with pytest.raises(AssertionError, match="was not reported"):
        History([section(1, 0, 1, outcome="lost")], TTL).check()
    with pytest.raises(AssertionError, match="after the TTL"):
        History([section(1, 0, 1, outcome="lost", told=10.5, proved=0.0)], TTL).check()
    History([section(1, 0, 1, outcome="lost", told=30.5, proved=0.0)], TTL, stopped=[(1, 0.5, 30.4)]).check()
    History([section(1, 0, 5), section(2, 1, 5)], TTL, limit=2).check()
    with pytest.raises(AssertionError, match="3 at once"):
        History([section(1, 0, 5), section(2, 1, 5), section(3, 4, 5)], TTL, limit=2).check()


def test_the_history_is_read_as_it_was_written() -> None:
    lines = [
        '{"what": "look", "pid": 7, "token": 3, "from": 1.0, "to": 1.1}',
        '{"what": "look", "pid": 7, "token": 3, "from": 2.0, "to": 2.1}',
        '{"what": "leave", "pid": 7, "token": 3}',
        '{"what": "told", "pid": 7, "token": 3, "at": 4.0, "proved": 0.5}',
        '{"what": "end", "pid": 7, "token": 3, "outcome": "lost", "at": 5.0}',
        '{"what": "look", "pid": 7, "token": 4, "from": 6.0, "to": 6.1}',
    ]
    assert read(lines) == [Section(7, 3, 1.1, 2.0, "lost", 5.0, 4.0, 0.5), Section(7, 4, 6.1, 6.0)]


@pytest.fixture
def api(consul: ConsulAgent) -> Iterator[Api]:
    with Api(agents=[consul.address]) as api:
        yield api


@pytest.fixture
def key() -> str:
    return f"locks/{uuid.uuid4().hex[:8]}"


def sessions(consul: ConsulAgent, name: str) -> list[dict[str, Any]]:
    return [session for session in consul.get("/v1/session/list") if name in session["Name"]]


def test_a_section_changes_no_value_and_leaves_no_session(consul: ConsulAgent, api: Api, key: str) -> None:
    with Lock(key, client=api, value="mine") as lock:
        (entry,) = consul.get(f"/v1/kv/{key}")
        (session,) = sessions(consul, key)
        assert (entry["Session"], entry["Flags"], entry["ModifyIndex"]) == (session["ID"], LOCK_FLAGS, lock.token)
        assert (session["TTL"], session["NodeChecks"], session["ServiceChecks"] or []) == ("15s", [], [])
        # Consul forgets flags and LockIndex when a value is stored, and keeps the session.
        consul.put(f"/v1/kv/{key}", b"stored by a stranger")
        assert consul.get(f"/v1/kv/{key}")[0]["LockIndex"] == 0
        assert lock.held
    token = lock.token
    with Lock(key, client=api) as lock:
        assert lock.token > token
    (entry,) = consul.get(f"/v1/kv/{key}")
    assert base64.b64decode(entry["Value"]) == b"stored by a stranger"
    assert entry["Flags"] == LOCK_FLAGS
    assert sessions(consul, key) == []


def test_tokens_grow_although_the_key_is_deleted(consul: ConsulAgent, api: Api, key: str) -> None:
    tokens = []
    for _number in range(3):
        with Lock(key, client=api, behavior="delete") as lock:
            assert consul.get(f"/v1/kv/{key}")[0]["LockIndex"] == 1
            tokens.append(lock.token)
        assert consul.get("/v1/kv/locks/?keys") is None or key not in consul.get("/v1/kv/locks/?keys")
    assert tokens == sorted(set(tokens))


def test_a_session_that_is_destroyed_by_hand(consul: ConsulAgent, api: Api, key: str) -> None:
    lock = Lock(key, client=api, lock_delay=5)
    lock.acquire()
    consul.put(f"/v1/session/destroy/{sessions(consul, key)[0]['ID']}")
    destroyed = time.monotonic()
    assert lock.lost.wait(10 * slowness())
    assert time.monotonic() - destroyed < slowness()
    with pytest.raises(LostError):
        lock.release()
    # Nobody may have it for the lock delay, and then it is had at once.
    assert not Lock(key, client=api).acquire(0)
    with Lock(key, client=api):
        assert 4.9 < time.monotonic() - destroyed < 5 + 3 * slowness()


def test_who_may_not_write_the_key_is_told_so(consul_agents: Callable[..., ConsulAgent], key: str) -> None:
    management = str(uuid.uuid4())
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": management, "agent": management}}
    agent = consul_agents({"acl": acl}, token=management)
    policy = agent.put(
        "/v1/acl/policy", {"Name": "reader", "Rules": 'key_prefix "" { policy = "read" } session_prefix "" { policy = "write" }'}
    )
    token = agent.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"]
    with Api(agents=[agent.address], token=token) as api:
        for one in (Lock(key, client=api), Semaphore(key, 2, client=api)):
            with pytest.raises(PermissionDeniedError, match="key:write") as caught:
                one.acquire()
            assert token not in str(caught.value)
    assert agent.get("/v1/session/list") == []


PROGRAM = """
import sys, time
from uwsgi_consul import Api
from uwsgi_consul.election import Election
from uwsgi_consul.lock import Lock
from uwsgi_consul.semaphore import Semaphore
address, key, what = sys.argv[1:]
api = Api(agents=[address])
if what == "exits":
    held = [Lock(key, client=api), Semaphore(key + "-places", 1, client=api)]
    assert all(one.acquire() for one in held)
    election = Election("e", key=key + "-office", client=api)
    election.stand()
    assert election.wait(10)
    print("held", flush=True)
else:
    print("waits", flush=True)
    Lock(key, client=api).acquire()
"""


def program(consul: ConsulAgent, key: str, what: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PROGRAM, consul.address, key, what]
    return subprocess.Popen(
        arguments, env=os.environ | {"PYTHONPATH": str(PACKAGE)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_whoever_exits_releases_all(consul: ConsulAgent, api: Api, key: str) -> None:
    out, errors = program(consul, key, "exits").communicate(timeout=60)
    assert (out, errors) == ("held\n", "")
    assert consul.get(f"/v1/kv/{key}?recurse")
    assert [entry["Key"] for entry in consul.get(f"/v1/kv/{key}?recurse") if entry.get("Session")] == []
    assert sessions(consul, key) == []
    assert Lock(key, client=api).acquire(0)


def test_whoever_is_interrupted_leaves_no_session(consul: ConsulAgent, api: Api, key: str) -> None:
    lock = Lock(key, client=api, lock_delay=60)
    lock.acquire()
    consul.put(f"/v1/session/destroy/{sessions(consul, key)[0]['ID']}")
    # It waits for the lock delay, with a session of its own.
    waiter = program(consul, key, "waits")
    wait_for("its session", lambda: sessions(consul, key))
    time.sleep(0.5)
    waiter.send_signal(signal.SIGINT)
    _out, errors = waiter.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert sessions(consul, key) == []


def test_hundreds_of_locks_need_one_thread(consul: ConsulAgent, api: Api, key: str) -> None:
    locks = [Lock(f"{key}/{number}", client=api) for number in range(200)]
    threads = threading.active_count()
    for lock in locks:
        assert lock.acquire(20)
    assert threading.active_count() <= threads + 1
    assert all(lock.held for lock in locks)
    for lock in locks:
        assert lock.release()
    assert sessions(consul, key) == []


def command(consul: ConsulAgent, *arguments: str) -> subprocess.Popen[str]:
    binary = os.environ.get("CONSUL_BIN") or "consul"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([binary, "lock", f"-http-addr={consul.address}", *arguments], **options)  # type: ignore[call-overload, no-any-return]


def test_the_command_consul_lock_and_a_lock_know_each_other(consul: ConsulAgent, api: Api, key: str) -> None:
    lock = Lock(f"{key}/.lock", client=api, name=key)
    with lock:
        refused = command(consul, "-try=1s", key, "true")
        assert "timeout during lock acquisition" in refused.communicate(timeout=30)[0]
        assert refused.returncode == 1
        assert lock.held
    holder = command(consul, key, "sleep 1")
    wait_for("the lock of the command", lambda: (consul.get(f"/v1/kv/{key}/.lock?consistent") or [{}])[0].get("Session"))
    assert not lock.acquire(0)
    assert lock.acquire(20)
    assert holder.wait(20) == 0
    with pytest.raises(ConflictError):
        Semaphore(key, 2, client=api).acquire()
    lock.release()


def test_the_command_consul_lock_and_a_semaphore_know_each_other(consul: ConsulAgent, api: Api, key: str) -> None:
    first, second = Semaphore(key, 2, client=api), Semaphore(key, 2, client=api)
    with first:
        holder = command(consul, "-n=2", key, "sleep 1")
        wait_for("both places to be taken", lambda: len([1 for entry in consul.get(f"/v1/kv/{key}?recurse") if entry.get("Session")]) == 2)
        assert not second.acquire(0)
        assert second.acquire(20)
        assert holder.wait(20) == 0
        refused = command(consul, "-n=2", "-try=1s", key, "true")
        assert "timeout during lock acquisition" in refused.communicate(timeout=30)[0]
        assert second.release()
        assert command(consul, "-n=2", key, "true").wait(30) == 0
        assert first.held
    with pytest.raises(ConflictError, match="its limit is 2, not 3"):
        Semaphore(key, 3, client=api).acquire()


def test_an_election_tells_who_leads(consul: ConsulAgent, api: Api, key: str) -> None:
    with Election(key, client=api) as first, Election(key, client=api) as second:
        wait_for("a leader", lambda: first.is_leader or second.is_leader)
        leads, waits = (first, second) if first.is_leader else (second, first)
        assert leads.leader() == waits.leader()
        assert leads.leader()["session"] == consul.get(f"/v1/kv/uwsgi/election/{key}")[0]["Session"]  # type: ignore[index]
        token = leads.token
        leads.resign()
        assert waits.wait(20)
        assert waits.token > token
    assert sessions(consul, key) == []


def test_whoever_has_ended_leaves_no_session(fields: Fields) -> None:
    # The last of all tests: what could not be released, with Consul stopped, ends with the TTL.
    wait_for("the end of all sessions", lambda: fields.agent.get("/v1/session/list") == [], 2 * TTL + 5, every=0.2)

"""One leader among all instances: gained, kept, lost, and never two at once."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from polling import holds, slowness, wait_for

from ports import free_port

from ..conftest import ConsulAgent
from .conftest import Agent, Build, Instance, Options, Start, alive, ini, usual_options

Agents = Callable[..., ConsulAgent]

TTL = 10.0  # Consul's least


def now() -> float:
    """The clock of the leases: it goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def symbol_address(library: Path, symbol: str) -> int:
    lines = subprocess.run(["nm", str(library)], check=True, capture_output=True, text=True).stdout.splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.split()[-1] == symbol)


class Lease:
    """What every process of an instance reads of its leadership, seen from outside: a paused one can't hide it."""

    def __init__(self, build: Build, instance: Instance) -> None:
        self.pid, self.library = instance.process.pid, build.directory / "consul_plugin.so"
        self.attached = symbol_address(self.library, "attached")

    def _base(self) -> int:
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            if line.endswith(str(self.library)):
                return int(line.partition("-")[0], 16)
        raise ProcessLookupError

    def read(self) -> tuple[float, int]:
        """The end of the lease, 0 without one, and the token. The dead, and those in the middle of a reload, have none."""
        with contextlib.suppress(OSError, OverflowError, struct.error), open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            base = self._base()
            memory.seek(base + self.attached)
            (leader,) = struct.unpack("Q", memory.read(8))
            if leader:
                memory.seek(leader)
                until, _since, token = struct.unpack("qqQ", memory.read(24))
                if self._base() == base:  # else a reload has put another program there meanwhile
                    return until / 1000, token
        return 0.0, 0

    def token(self) -> int:
        """The token, if the lease is valid now."""
        until, token = self.read()
        return token if now() < until else 0


@dataclass
class Term:
    """What was seen of one term of office, pauses included: the session may lead again with the same token."""

    instance: int
    token: int
    first: float
    last: float


class History:
    """Reads the leases of all instances all the time, and tells whether two ever held at once."""

    def __init__(self, leases: list[Lease]) -> None:
        self.leases, self.terms, self.looks = leases, list[Term](), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            for number, lease in enumerate(self.leases):
                until, token = lease.read()
                at = now()
                if at < until and token:
                    self._note(number, token, at)
            self.looks += 1

    def _note(self, number: int, token: int, at: float) -> None:
        for term in self.terms:
            if (term.instance, term.token) == (number, token):
                term.last = at
                return
        self.terms.append(Term(number, token, at, at))

    def __enter__(self) -> History:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        assert self.looks > 10
        terms = sorted(self.terms, key=lambda term: term.first)
        for before, after in itertools.pairwise(terms):
            assert before.last < after.first, f"two leaders at once: {before}, {after}"
            assert before.token < after.token, f"the token does not grow: {before}, {after}"


def test_the_history_sees_two_leaders() -> None:
    history = History([])
    history.looks = 100
    history.terms = [Term(0, 1, 10.0, 12.0), Term(1, 2, 12.5, 13.0)]
    history.check()
    history.terms = [Term(0, 1, 10.0, 12.6), Term(1, 2, 12.5, 13.0)]
    with pytest.raises(AssertionError, match="two leaders"):
        history.check()
    history.terms = [Term(0, 2, 10.0, 12.0), Term(1, 1, 12.5, 13.0)]
    with pytest.raises(AssertionError, match="does not grow"):
        history.check()


@dataclass
class Field:
    """All instances that take part in one election."""

    build: Build
    agent: Agent
    name: str
    instances: list[Instance]
    leases: list[Lease]

    def leader(self) -> int | None:
        """The number of the one with a valid lease."""
        for number, lease in enumerate(self.leases):
            if lease.token():
                return number
        return None

    def wait_leader(self, but: int = -1, within: float = 10.0) -> int:
        def other() -> tuple[int] | None:
            number = self.leader()
            return None if number is None or number == but else (number,)

        return wait_for(f"a leader but {but}:\n{self.logs()}", other, within, every=0.005)[0]

    def wait_end(self, number: int, token: int, within: float) -> None:
        wait_for(f"the end of term {token}", lambda: self.leases[number].token() != token, within, every=0.005)

    def wait_term_after(self, token: int) -> None:
        wait_for(f"a term after {token}:\n{self.logs()}", lambda: any(lease.token() > token for lease in self.leases))

    def logs(self) -> str:
        lines = ((number, line) for number, instance in enumerate(self.instances) for line in instance.text().splitlines())
        return "\n".join(f"{number} {line}" for number, line in lines if "[consul]" in line)

    def history(self) -> History:
        return History(self.leases)

    def key(self) -> dict[str, Any]:
        (entry,) = self.agent.get(f"/v1/kv/uwsgi/election/{self.name}")
        return {"session": entry.get("Session"), "index": entry["ModifyIndex"], **json.loads(base64.b64decode(entry["Value"]))}

    def told(self, number: int) -> list[str]:
        """What the commands of an instance wrote down."""
        with contextlib.suppress(FileNotFoundError):
            return (self.instances[number].directory / "told").read_text().split("\n")[:-1]
        return []


def says(what: str, first: str = "true") -> str:
    return f'{first}; echo "{what} $CONSUL_ELECTION $CONSUL_ELECTION_TOKEN" >> told'


Stand = Callable[..., Field]


@pytest.fixture
def stand(start: Start, name: str) -> Stand:
    """Starts instances that stand for an election of the test's own, each at its agent."""

    def begin(build: Build, agents: list[Any], options: Options | None = None, /, *, fields: str = "", service: bool = False) -> Field:
        instances = []
        for number, agent in enumerate(agents):
            merged: Options = {
                "consul-agent": agent.address,
                "consul-election": name + fields,
                "consul-election-gain": says("gain"),
                "consul-election-loss": says("loss"),
                "processes": 1,
            }
            if service:
                merged |= {"consul-service-name": name, "consul-service-id": f"{name}-{number}", "consul-check-ttl": "2s"}
            instances.append(start(build, merged | (options or {})))
        return Field(build, agents[0], name, instances, [Lease(build, instance) for instance in instances])

    return begin


@pytest.fixture
def cluster(consul_agents: Agents, tmp_path: Path) -> list[ConsulAgent]:
    """A server and two clients: three nodes."""
    port = free_port()
    server = consul_agents({"ports": {"serf_lan": port}}, node="server")
    client = {"server": False, "bootstrap": False, "retry_join": [f"127.0.0.1:{port}"], "leave_on_terminate": False}
    return [server, *(consul_agents(client | {"data_dir": str(tmp_path / node)}, node=node) for node in ("client1", "client2"))]


def sessions(agent: Agent, name: str) -> list[dict[str, Any]]:
    return [session for session in agent.get("/v1/session/list") if session["Name"] == f"uWSGI election {name}"]


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_one_leader_among_five_and_the_next_at_once(consul: Agent, build: Build, stand: Stand) -> None:
    field = stand(build, [consul] * 5)
    with field.history() as history:
        first = field.wait_leader()
        key = field.key()
        assert key["master"] == field.instances[first].process.pid
        assert all(key[what] for what in ("session", "id", "node", "instance"))
        assert key["index"] == field.leases[first].token()
        for instance in field.instances:
            instance.wait_agent_process(1)
        wait_for("a session of the leader only", lambda: [session["ID"] for session in sessions(consul, field.name)] == [key["session"]])
        assert sessions(consul, field.name)[0]["NodeChecks"] == ["serfHealth"]
        assert holds(lambda: field.leader() == first, during=1.0)
        stopped = time.monotonic()
        field.instances[first].signal(signal.SIGINT)
        second = field.wait_leader(but=first, within=1.0)
        took = time.monotonic() - stopped
        field.instances[first].wait()
        wait_for("the log", lambda: "this instance is the leader" in field.instances[second].text())
        wait_for("one session", lambda: len(sessions(consul, field.name)) == 1)
    history.check()
    assert [term.instance for term in history.terms] == [first, second]
    assert field.told(first) == [f"{what} {field.name} {key['index']}" for what in ("gain", "loss")]
    assert took < 1.0 * slowness()


APP = """
import uwsgi
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [uwsgi.call(b"consul_leader"), b"\\n", uwsgi.cache_get("election/" + environ["QUERY_STRING"], "consul") or b"null"]
"""


def test_what_apps_are_told(consul: Agent, build: Build, stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "leader.py").write_text(APP)
    field = stand(build, [consul] * 2, {"wsgi-file": str(tmp_path / "leader.py")}, fields=",lock-delay=3s")

    def asked(number: int) -> tuple[Any, Any]:
        answer, item = field.instances[number].ask(field.name).split("\n")
        return json.loads(answer), json.loads(item)

    first = field.wait_leader()
    second = 1 - first
    field.instances[second].wait_agent_process(1)
    token = field.leases[first].token()
    holder = {key: value for key, value in field.key().items() if key not in ("session", "index")}
    wait_for("the leader's item", lambda: (asked(first)[1] or {}).get("holder") == holder)
    wait_for("the follower's item", lambda: (asked(second)[1] or {}).get("holder") == holder)
    assert asked(first)[0] == {"election": field.name, "leader": True, "token": token}
    assert asked(first)[1] == {"election": field.name, "leader": True, "holder": holder, "token": token}
    assert asked(second)[0] == {"election": field.name, "leader": False, "token": None}
    assert asked(second)[1] == {"election": field.name, "leader": False, "holder": holder, "token": None}
    with paused(field.instances[first].agent_process), paused(field.instances[second].agent_process):
        wait_for("the end of the lease, of which nobody is told", lambda: not asked(first)[0]["leader"], within=15.0)
        assert asked(first)[1]["leader"]


def test_all_processes_of_the_leader_are_killed(consul: Agent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 2, fields=f",ttl={TTL:g}s,lock-delay=1s")
    with field.history() as history:
        first = field.wait_leader()
        killed = time.monotonic()
        field.instances[first].kill_all()
        field.wait_leader(but=first, within=30.0)
    # Consul ends a session after twice its TTL; refused, followers come back at least each 750 ms.
    assert TTL < time.monotonic() - killed < 2 * TTL + 1.0 + 1.0 * slowness()
    history.check()


def test_the_agent_process_is_paused(consul: Agent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 2, fields=",lock-delay=3s", service=True)
    first = field.wait_leader()
    agent_process = field.instances[first].agent_process
    for instance in field.instances:
        instance.wait_log("registered as")
    with field.history() as history:
        with paused(agent_process):
            wait_for("the end of the lease", lambda: not field.leases[first].token(), within=3.0)
            assert field.leases[first].read()[0], "nobody but the clock ended it"
            second = field.wait_leader(but=first)
        wait_for("the loss", lambda: "no longer the leader" in field.instances[first].text())
        assert holds(lambda: field.leader() == second, during=0.5)
    history.check()
    wait_for("the command on loss", lambda: [line.split()[0] for line in field.told(first)] == ["gain", "loss"])


def test_consul_is_paused(consul_agents: Agents, debian: Build, stand: Stand) -> None:
    agent = consul_agents()
    field = stand(debian, [agent] * 3, fields=",lock-delay=2s")
    assert agent.process
    first = field.wait_leader()
    with field.history() as history:
        with paused(agent.process.pid):
            wait_for("the end of the lease", lambda: field.leader() is None, within=2.0)
            field.instances[first].wait_log("no longer the leader .*: Consul did not confirm its session in time")
            assert holds(lambda: field.leader() is None, during=1.0)
        field.wait_leader(within=TTL)
    history.check()


def test_an_operator_destroys_the_session(consul: ConsulAgent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 3, fields=",lock-delay=1s")
    with field.history() as history:
        for _ in range(3):
            leader = field.wait_leader()
            token = field.leases[leader].token()
            assert consul.put(f"/v1/session/destroy/{field.key()['session']}") is True
            field.wait_end(leader, token, within=0.5)
            field.wait_term_after(token)
        token = field.leases[field.wait_leader()].token()
        assert consul.request("DELETE", f"/v1/kv/uwsgi/election/{field.name}") is True
        field.wait_term_after(token)
    history.check()


def test_somebody_else_has_written_the_key(consul: ConsulAgent, debian: Build, stand: Stand, name: str) -> None:
    """Whatever it is: flags have 64 bits, which not every JSON parser takes."""
    consul.put(f"/v1/kv/uwsgi/election/{name}?flags=18446744073709551615", b"no JSON")
    field = stand(debian, [consul])
    field.wait_leader()
    assert field.key()["session"]


def test_a_critical_service_does_not_lead(consul: Agent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 2, fields=",lock-delay=1s", service=True)
    with field.history() as history:
        first = field.wait_leader()
        assert [check["ID"] for check in sessions(consul, field.name)[0]["ServiceChecks"]] == [f"service:{field.name}-{first}"]
        # What its own workers are, before Consul knows.
        field.instances[first].signal(signal.SIGTSTP)
        second = field.wait_leader(but=first)
        field.instances[first].wait_log("no longer the leader .*: .*suspended")
        field.instances[first].signal(signal.SIGTSTP)
        wait_for("both pass", lambda: len(consul.get(f"/v1/health/service/{field.name}?passing")) == 2)
        # What somebody else says of it.
        token = field.leases[second].token()
        consul.put(f"/v1/agent/check/fail/service:{field.name}-{second}")
        field.wait_term_after(token)
    history.check()


def test_the_agent_process_is_killed(consul: Agent, debian: Build, stand: Stand) -> None:
    # It is started again after 1 s and then after 2 s, which the check has to outlive.
    field = stand(debian, [consul] * 2, {"consul-check-ttl": "10s"}, service=True)
    first = field.wait_leader()
    token = field.leases[first].token()
    with field.history() as history:
        for count in (2, 3):
            os.kill(field.instances[first].agent_process, signal.SIGKILL)
            field.instances[first].wait_agent_process(count)
        until = field.leases[first].read()[0]
        wait_for("the lease goes on", lambda: field.leases[first].read()[0] > until)
        assert field.leases[first].token() == token
    history.check()
    assert field.told(first) == [f"gain {field.name} {token}"]
    field.instances[first].signal(signal.SIGINT)
    field.wait_leader(but=first, within=1.0)


@pytest.mark.parametrize("service", [True, False])
def test_a_reload_keeps_the_leadership(consul: Agent, build: Build, stand: Stand, service: bool) -> None:
    field = stand(build, [consul] * 3, service=service)
    first = field.wait_leader()
    token = field.leases[first].token()
    session = field.key()["session"]
    with field.history() as history:
        for count in (2, 3):
            predecessor = field.instances[first].agent_process
            field.instances[first].signal(signal.SIGHUP)
            field.instances[first].wait_agent_process(count)
            wait_for("it leads again", lambda: field.leases[first].token() == token)
            wait_for("the end of the predecessor", lambda pid=predecessor: not alive(pid))
        assert field.key()["session"] == session
    history.check()
    assert {(term.instance, term.token) for term in history.terms} == {(first, token)}
    assert field.told(first) == [f"gain {field.name} {token}"]
    field.instances[first].signal(signal.SIGINT)
    second = field.wait_leader(but=first, within=1.0)
    field.instances[first].wait()
    assert field.told(first) == [f"{what} {field.name} {token}" for what in ("gain", "loss")]
    assert field.leases[second].token() > token


@pytest.mark.parametrize("stops", [False, True], ids=["goes on", "stops"])
def test_a_reload_lets_the_commands_end(consul: Agent, debian: Build, stand: Stand, stops: bool) -> None:
    """The agent process from before has to run them, however long that takes, unless the instance ends."""
    gains = [says("begins"), says("slow", f"sleep {30 if stops else 6}"), says("last")]
    field = stand(debian, [consul], {"consul-election-gain": gains, "consul-stop-timeout": "1s"}, service=True)
    instance = field.instances[0]
    wait_for("the first command", lambda: field.told(0))
    predecessor = instance.agent_process
    instance.signal(signal.SIGHUP)
    instance.wait_agent_process(2)
    wait_for("it leads again", field.leases[0].token)
    assert holds(lambda: alive(predecessor), during=1.5)
    before = processor_time(predecessor)
    if stops:
        instance.signal(signal.SIGINT)
        instance.wait()
        wait_for("the end of the predecessor", lambda: not alive(predecessor), within=2.0)
        assert [line.split()[0] for line in field.told(0)] == ["begins", "loss"]
        assert re.search(r"echo \"last .* was not run, the time to stop is over", instance.text())
        return
    wait_for("the others", lambda: len(field.told(0)) == 3, within=15.0)
    assert [line.split()[0] for line in field.told(0)] == ["begins", "slow", "last"]
    assert processor_time(predecessor) - before < 0.2
    wait_for("the end of the predecessor", lambda: not alive(predecessor), within=2.0)
    assert "was not run" not in instance.text()


def processor_time(pid: int) -> float:
    """Seconds; 0 for one that has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def test_a_stop_hurries_a_slow_loss(consul: Agent, debian: Build, stand: Stand) -> None:
    """A command on loss that has begun long before is given no more time than one that begins with the stop."""
    field = stand(debian, [consul] * 2, {"consul-election-loss": says("loss", "sleep 12"), "consul-stop-timeout": "12s"})
    first = field.wait_leader()
    instance = field.instances[first]
    instance.signal(signal.SIGTSTP)
    instance.wait_log("no longer the leader")
    session = field.key()["session"]
    stopped = time.monotonic()
    instance.signal(signal.SIGINT)
    field.wait_leader(but=first)
    # Half of the stop's time is the election's, and half of that the command's: 3 s, and not 6.
    assert time.monotonic() - stopped < 5.0
    wait_for("the end of the session", lambda: session not in [found["ID"] for found in sessions(consul, field.name)], within=1.0)


def test_a_reload_without_the_election_gives_it_up(consul: Agent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 2, service=True)
    first = field.wait_leader()
    instance = field.instances[first]
    options: Options = {"consul-agent": consul.address, "consul-service-name": field.name, "consul-service-id": f"{field.name}-{first}"}
    with field.history() as history:
        (instance.directory / "uwsgi.ini").write_text(ini(usual_options(debian, instance.directory) | options))
        instance.signal(signal.SIGHUP)
        field.wait_leader(but=first)
        wait_for("the loss", lambda: [line.split()[0] for line in field.told(first)] == ["gain", "loss"])
    history.check()
    assert len(consul.get(f"/v1/health/service/{field.name}?passing")) == 2


def test_a_reload_that_fails_gives_it_up(consul: Agent, debian: Build, stand: Stand) -> None:
    field = stand(debian, [consul] * 2)
    first = field.wait_leader()
    instance = field.instances[first]
    with field.history() as history:
        text = (instance.directory / "uwsgi.ini").read_text()
        (instance.directory / "uwsgi.ini").write_text(text + "consul-service-port = 70000\n")
        instance.signal(signal.SIGHUP)
        field.wait_leader(but=first, within=2.0)
    history.check()


def test_partitions(cluster: list[ConsulAgent], debian: Build, stand: Stand) -> None:
    server, *clients = cluster
    field = stand(debian, [server, *clients], fields=",lock-delay=4s", service=True)
    for instance in field.instances:
        instance.wait_log("registered as")
    with field.history() as history:
        # Until a client's instance leads, whose agent can go without taking Consul away.
        while (first := field.wait_leader()) == 0:
            token = field.leases[0].read()[1]
            server.put(f"/v1/session/destroy/{field.key()['session']}")
            field.wait_end(0, token, within=0.5)
        client = cluster[first]
        assert client.process
        with paused(client.process.pid):
            wait_for("the end of the lease", lambda: not field.leases[first].token(), within=4.0)
            second = field.wait_leader(but=first, within=20.0)
        assert holds(lambda: field.leader() == second, during=1.0)
        # An agent that is started anew has forgotten the service.
        if second:
            cluster[second].stop()
            cluster[second].start()
            token = field.leases[second].read()[1]
            wait_for("a leader", lambda: any(lease.token() >= token for lease in field.leases), within=20.0)
    history.check()


def test_commands_one_after_the_other(consul: Agent, debian: Build, stand: Stand) -> None:
    gains = [says("gain-begins"), says("gain-ends", "sleep 1.5"), "exit 7"]
    field = stand(debian, [consul], {"consul-election-gain": gains, "consul-election-loss": says("loss")}, fields=",lock-delay=0")
    wait_for("the first command", lambda: field.told(0))
    consul.put(f"/v1/session/destroy/{field.key()['session']}")
    field.instances[0].wait_log("no longer the leader", within=1.0)
    assert len(field.told(0)) == 1
    wait_for("the next term", lambda: len(field.told(0)) >= 5, within=6.0)
    assert [line.split()[0] for line in field.told(0)][:5] == ["gain-begins", "gain-ends", "loss", "gain-begins", "gain-ends"]
    tokens = [int(line.split()[2]) for line in field.told(0)]
    assert tokens[0] == tokens[1] == tokens[2] < tokens[3] == tokens[4]
    assert '"exit 7" ended with status 7' in field.instances[0].text()
    # A command that runs delays neither the release nor the stop for long.
    stopped = time.monotonic()
    field.instances[0].signal(signal.SIGINT)
    field.instances[0].wait()
    assert time.monotonic() - stopped < 3.5 * slowness()


def test_commands_are_processes_of_their_own(consul: Agent, debian: Build, stand: Stand) -> None:
    script = "ls /proc/self/fd > fds; grep -E 'SigBlk|SigIgn' /proc/self/status > signals; touch done"
    field = stand(debian, [consul], {"consul-election-gain": f"echo to-the-log; cat /proc/$$/stat > shell; {script}"})
    directory = field.instances[0].directory
    wait_for("the command", (directory / "done").exists)
    pid, group = ((directory / "shell").read_text().split()[column] for column in (0, 4))
    assert pid == group
    assert set((directory / "fds").read_text().split()) <= {"0", "1", "2", "3"}  # 3: the folder that ls reads
    assert re.findall(r"SigBlk:\t(.*)$", (directory / "signals").read_text(), re.M) == ["0" * 16]
    # The last two of 64 bits in the middle are signals that the C library keeps to itself.
    assert re.findall(r"SigIgn:\t(.*)$", (directory / "signals").read_text(), re.M)[0] in ("0" * 16, "0000000180000000")
    assert "to-the-log" in field.instances[0].text()


def test_without_consul_there_is_no_leader(consul_agents: Agents, debian: Build, stand: Stand) -> None:
    agent = consul_agents()
    agent.stop()
    field = stand(debian, [agent])
    field.instances[0].wait_log("election .*does not answer")
    assert field.instances[0].ask() == "served"
    assert field.leader() is None
    agent.start()
    field.wait_leader()
    assert field.instances[0].text().count("does not answer") == 1


def test_an_agent_that_lost_the_service_is_no_news(consul_agents: Agents, debian: Build, stand: Stand) -> None:
    """It has it again at the next sign of life. Until then it makes no session, which lasts too short for anybody to act."""
    agent = consul_agents()
    field = stand(debian, [agent], {"consul-check-ttl": "20s"}, service=True)
    field.wait_leader()
    agent.stop()
    agent.start()
    field.instances[0].wait_log("has lost it, registering again", within=15.0)
    wait_for(f"the next term:\n{field.logs()}", lambda: field.instances[0].text().count("this instance is the leader") == 2, within=15.0)
    assert "Missing check" in agent.log.read_text()
    assert "Missing check" not in field.instances[0].text()


def test_at_rest_followers_ask_next_to_nothing(consul: Agent, debian: Build, stand: Stand) -> None:
    """The leader renews at each third of 15 s; followers hold one blocking query of a minute."""
    field = stand(debian, [consul] * 2)
    first = field.wait_leader()
    field.instances[1 - first].wait_agent_process(1)
    follower = field.instances[1 - first].agent_process
    time.sleep(1.0)

    def switches() -> int:
        return int(Path(f"/proc/{follower}/io").read_text().split()[7])  # calls of write()

    with pytest.raises(urllib.error.HTTPError):
        consul.get(f"/v1/kv/uwsgi/election/{field.name}-none")
    before = switches()
    assert holds(lambda: switches() == before, during=6.0, every=0.5)


def test_crons_run_on_the_leader_only(consul: Agent, debian: Build, stand: Stand) -> None:
    crons: Options = {
        "consul-cron": f"-1 -1 -1 -1 -1 {says('cron')}",
        "consul-unique-cron": f"-1 -1 -1 -1 -1 {says('unique')}; sleep 8",
        "cron": "-1 -1 -1 -1 -1 echo everywhere >> told",
    }
    while time.time() % 60 > 50:  # the next minute must find a leader
        time.sleep(0.1)
    field = stand(debian, [consul] * 3, crons | {"consul-election-gain": None, "consul-election-loss": None})
    leader = field.wait_leader()
    token = field.leases[leader].token()
    minute = time.time() // 60
    # In the minute in which it became the leader another one may have run them.
    wait_for("the core's own crons", lambda: all(field.told(number) for number in range(3)))
    assert [field.told(number) for number in range(3)] == [["everywhere"]] * 3 or time.time() // 60 > minute
    ours = [f"cron {field.name} {token}", f"unique {field.name} {token}"]
    wait_for("the next minute", lambda: set(ours) <= set(field.told(leader)), within=62.0, every=0.1)
    wait_for("the core's, too", lambda: all(field.told(number).count("everywhere") == 2 for number in range(3)))
    assert time.time() // 60 == minute + 1
    assert sorted(field.told(leader)) == sorted([*ours, "everywhere", "everywhere"])
    for number in {0, 1, 2} - {leader}:
        assert field.told(number) == ["everywhere", "everywhere"]
    # The master that the reload makes knows of these runs, and of the one that has not ended.
    field.instances[leader].signal(signal.SIGHUP)
    field.instances[leader].wait_agent_process(2)
    wait_for("it leads again", lambda: field.leases[leader].token() == token)
    ended = r"\[uwsgi-cron\] command .*unique.* exited after ([89]|1\d) second"
    assert not re.search(ended, field.instances[leader].text())
    wait_for("the core's own, which knows nothing", lambda: field.told(leader).count("everywhere") == 3)
    field.instances[leader].wait_log(ended)
    assert sorted(field.told(leader)) == sorted([*ours, *["everywhere"] * 3])
    assert time.time() // 60 == minute + 1

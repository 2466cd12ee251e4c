"""The check says what the workers really do."""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from polling import holds, wait_for

from .conftest import Agent, Build, Options, Start, Watch, alive, entry, note, state, wait_state


def test_all_workers_killed(consul: Agent, build: Build, start: Start, name: str) -> None:
    """A stopped master can't start new ones: so the state stays what the kill made it."""
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "processes": 4})
    wait_state(consul, name, "passing")
    wait_for("the first note", lambda: note(consul, name).startswith("4/4 workers ready"))
    instance.signal(signal.SIGSTOP)
    for pid in instance.workers.values():
        os.kill(pid, signal.SIGKILL)
    wait_state(consul, name, "critical", within=1.2)
    assert note(consul, name).startswith("0/4 workers ready")
    instance.signal(signal.SIGCONT)
    wait_state(consul, name, "passing", within=3.0)


def test_one_worker_killed_changes_the_note_only(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name, "processes": 4, "consul-check-ttl": "3s"})
    wait_state(consul, name, "passing")
    instance.signal(signal.SIGSTOP)
    with Watch(consul, name) as watch:
        os.kill(instance.workers[2], signal.SIGKILL)
        wait_for("the agent process to see it", lambda: watch.asked > 20)
    assert watch.missed == 0
    wait_for("3 of 4 in the note", lambda: note(consul, name).startswith("3/4 workers ready"), within=3.0)
    assert state(consul, name) == "passing"
    instance.signal(signal.SIGCONT)
    wait_for("4 of 4 in the note", lambda: note(consul, name).startswith("4/4 workers ready"), within=5.0)


def test_all_workers_busy_is_a_warning(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name, "processes": 2})
    wait_state(consul, name, "passing")
    requests = [threading.Thread(target=instance.ask, args=("3",)) for _ in range(2)]
    for request in requests:
        request.start()
    wait_state(consul, name, "warning", within=2.0)
    assert note(consul, name).startswith("2/2 workers ready, 2 busy")
    for request in requests:
        request.join()
    wait_state(consul, name, "passing", within=1.5)


def test_one_busy_worker_is_none(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name, "consul-check-ttl": "2s"})
    wait_state(consul, name, "passing")
    request = threading.Thread(target=instance.ask, args=("3.5",))
    request.start()
    wait_for("1 busy in the note", lambda: note(consul, name).startswith("2/2 workers ready, 1 busy"), within=2.0)
    assert holds(lambda: state(consul, name) == "passing", during=1.2)
    request.join()


def test_suspended_by_choice(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    instance.signal(signal.SIGTSTP)
    wait_state(consul, name, "critical", within=1.2)
    assert "suspended" in note(consul, name)
    instance.signal(signal.SIGTSTP)
    wait_state(consul, name, "passing", within=3.0)


@pytest.mark.parametrize("choice", ["warning", "passing"])
def test_what_a_suspended_instance_is_said_to_be(consul: Agent, debian: Build, start: Start, name: str, choice: str) -> None:
    instance = start(
        debian, {"consul-agent": consul.address, "consul-service-name": name, "consul-suspended": choice, "consul-check-ttl": "1s"}
    )
    wait_state(consul, name, "passing")
    instance.signal(signal.SIGTSTP)
    wait_for("the note", lambda: note(consul, name).endswith(", suspended"), within=2.5)
    wait_state(consul, name, choice, within=1.2)
    instance.signal(signal.SIGTSTP)
    wait_for("the note", lambda: "suspended" not in note(consul, name), within=2.5)
    wait_state(consul, name, "passing")


def test_a_long_backlog_is_a_warning(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(
        debian,
        {"consul-agent": consul.address, "consul-service-name": name, "processes": 1, "consul-check-backlog": 3, "consul-check-ttl": "1s"},
    )
    wait_state(consul, name, "passing")
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(instance.ask, "1.5", 30.0) for _ in range(6)]
        wait_state(consul, name, "warning", within=3.0)
        wait_for("the note", lambda: re.search(r"backlog [345], which is too long", note(consul, name)))
        assert [answer.result() for answer in answers] == ["served"] * 6
    wait_state(consul, name, "passing", within=4.0)


def test_threads(consul: Agent, build: Build, start: Start, name: str) -> None:
    """A worker with a free thread has room for more."""
    instance = start(
        build, {"consul-agent": consul.address, "consul-service-name": name, "processes": 1, "threads": 3, "consul-check-ttl": "1s"}
    )
    wait_state(consul, name, "passing")
    with ThreadPoolExecutor(3) as pool:
        two = [pool.submit(instance.ask, "4", 30.0) for _ in range(2)]
        wait_for("the note", lambda: note(consul, name).startswith("1/1 workers ready, 1 busy"))
        assert holds(lambda: state(consul, name) == "passing", during=1.5)
        third = pool.submit(instance.ask, "2", 30.0)
        wait_state(consul, name, "warning", within=3.0)
        assert third.result() == "served"
        assert [answer.result() for answer in two] == ["served"] * 2
    wait_state(consul, name, "passing", within=3.0)


def test_cheaper_workers_are_not_missed(consul: Agent, build: Build, start: Start, name: str) -> None:
    start(build, {"consul-agent": consul.address, "consul-service-name": name, "processes": 4, "cheaper": 1, "consul-check-ttl": "1s"})
    wait_state(consul, name, "passing")
    wait_for("the note", lambda: re.match(r"1/1 workers ready|2/2 workers ready", note(consul, name)))
    assert holds(lambda: state(consul, name) == "passing", during=2.0)


def test_idle_on_purpose_is_passing(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name, "cheap": "true", "consul-check-ttl": "1s"})
    wait_state(consul, name, "passing")
    wait_for("idle in the note", lambda: "idle" in note(consul, name))
    assert not instance.workers
    assert instance.ask() == "served"
    wait_for("ready in the note", lambda: note(consul, name).startswith("2/2 workers ready"), within=3.0)
    assert state(consul, name) == "passing"


def test_idle_is_passing_and_wakes_up(consul: Agent, build: Build, start: Start, name: str) -> None:
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "idle": 2, "consul-check-ttl": "1s"}
    instance = start(build, options)
    wait_state(consul, name, "passing")
    with Watch(consul, name) as watch:
        wait_for("idle in the note", lambda: "idle" in note(consul, name), within=20.0)
        assert instance.ask() == "served"
        wait_for("ready in the note", lambda: note(consul, name).startswith("2/2 workers ready"), within=5.0)
    assert watch.missed == 0


def test_master_killed(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """Nobody is left to start workers again: the agent process takes the service out before it ends."""
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    orphan = instance.agent_process
    instance.signal(signal.SIGKILL)
    instance.wait()
    wait_state(consul, name, "absent", within=1.0)
    wait_for("the agent process to end", lambda: not alive(orphan), within=3.0)


def test_everything_killed_is_critical_after_the_ttl(consul: Agent, build: Build, start: Start, name: str) -> None:
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "consul-check-ttl": "2s"})
    wait_state(consul, name, "passing")
    everybody = [instance.process.pid, instance.agent_process, *instance.workers.values()]
    # Stopped first, so that none can see the other's death.
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    for pid in everybody:
        os.kill(pid, signal.SIGKILL)
    wait_state(consul, name, "critical", within=4.0)


def test_what_was_killed_is_removed_at_last(consul_agents: Callable[..., Agent], debian: Build, start: Start, name: str) -> None:
    """A minute is the least that Consul takes; what it does once in 30 s it does each second here."""
    agent = consul_agents({"check_reap_interval": "1s"})
    instance = start(
        debian,
        {"consul-agent": agent.address, "consul-service-name": name, "consul-check-ttl": "1s", "consul-check-deregister-after": "1m"},
    )
    wait_state(agent, name, "passing")
    instance.kill_all()
    wait_state(agent, name, "critical", within=3.0)
    wait_state(agent, name, "absent", within=100.0)


def test_agent_process_killed_comes_back(consul: Agent, build: Build, start: Start, name: str) -> None:
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    index = (entry(consul, name) or {})["service"]["ModifyIndex"]
    victim = instance.agent_process
    os.kill(victim, signal.SIGKILL)
    wait_for("another agent process", lambda: instance.agent_process != victim and alive(instance.agent_process), within=2.5)
    assert state(consul, name) == "passing"
    # It knows that the service is there, and says so at once, without registering it a second time.
    instance.signal(signal.SIGSTOP)
    os.kill(instance.workers[1], signal.SIGKILL)
    os.kill(instance.workers[2], signal.SIGKILL)
    wait_state(consul, name, "critical", within=1.5)
    assert (entry(consul, name) or {})["service"]["ModifyIndex"] == index
    instance.signal(signal.SIGCONT)
    wait_state(consul, name, "passing")
    instance.signal(signal.SIGINT)
    wait_state(consul, name, "absent", within=1.0)


def test_agent_process_that_dies_again_and_again(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """It is started at growing intervals, so that the log does not fill."""
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    begun = []
    for count in range(1, 5):
        instance.wait_agent_process(count)
        begun.append(time.monotonic())
        os.kill(instance.agent_process, signal.SIGKILL)
    assert begun[3] - begun[2] > 3.0


def test_late_worker_holds_nothing_of_the_master(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    os.kill(instance.workers[1], signal.SIGKILL)
    instance.wait_log("Respawned uWSGI worker 1")
    wait_for("it to be ready", lambda: note(consul, name).startswith("2/2 workers ready"))
    leash = os.readlink(f"/proc/{instance.agent_process}/fd/3")
    assert leash.startswith("pipe:")
    wait_for("the worker to let go", lambda: leash not in descriptors(instance.workers[1]))
    assert leash in descriptors(instance.process.pid)


def descriptors(pid: int) -> set[str]:
    return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}


def test_agent_process_holds_nothing_of_the_instance(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """A listening socket that it kept open would outlive the instance."""
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    descriptors = Path(f"/proc/{instance.agent_process}/fd")
    kinds = sorted(os.readlink(link).split(":")[0] for link in descriptors.iterdir() if int(link.name) > 2)
    connections = kinds.count("socket")
    assert connections <= 3, kinds  # one to the agent, and libcurl's own pair
    assert set(kinds) <= {"socket", "pipe", "anon_inode"}, kinds


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_agent_process_has_the_workers_groups(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options: Options = {"master-as-root": "true", "uid": "nobody", "gid": "nogroup", "add-gid": ["tty", "mail"]}
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name} | options)
    wait_state(consul, name, "passing")
    groups = [
        re.findall(r"Groups:\s*(.*)", Path(f"/proc/{pid}/status").read_text())[0].split()
        for pid in (instance.workers[1], instance.agent_process)
    ]
    assert sorted(groups[0]) == sorted(groups[1])
    assert set(groups[1]) == {str(grp.getgrnam(group).gr_gid) for group in ("tty", "mail")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_agent_process_is_not_root(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """With a master that stays root, it has the rights of the workers; and it still is told of the master's death."""
    options = {"master-as-root": "true", "uid": "nobody", "gid": "nogroup", "no-orphans": "true"}
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name} | options)
    wait_state(consul, name, "passing")
    status = Path(f"/proc/{instance.agent_process}/status").read_text()
    nobody, nogroup = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
    assert re.search(rf"(?m)^Uid:\t{nobody}\t{nobody}\t{nobody}\t", status)
    assert re.search(rf"(?m)^Gid:\t{nogroup}\t{nogroup}\t{nogroup}\t", status)
    assert re.search(rf"(?m)^Groups:\s*{nogroup}\s*$", status)  # its user's own, as the workers have them, and none of root's
    instance.signal(signal.SIGKILL)
    wait_state(consul, name, "absent", within=1.0)

"""A stop takes the service out of Consul before the workers are told."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from polling import holds, slowness, wait_for

from .conftest import (
    Agent,
    Build,
    Client,
    Instance,
    Options,
    Start,
    Watch,
    ini,
    state,
    usual_options,
    wait_state,
)


def first(text: str, *words: str) -> list[int]:
    return [text.index(word) for word in words]


@pytest.mark.parametrize(
    ("signum", "die_on_term"), [(signal.SIGINT, "true"), (signal.SIGTERM, "true"), (signal.SIGQUIT, "false")], ids=["INT", "TERM", "QUIT"]
)
def test_signals(consul: Agent, build: Build, start: Start, name: str, signum: int, die_on_term: str) -> None:
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "die-on-term": die_on_term})
    wait_state(consul, name, "passing")
    instance.signal(signum)
    wait_state(consul, name, "absent", within=1.0)
    assert instance.wait() == 0
    places = first(instance.text(), f"{name}-{socket.gethostname()}", ": deregistered", "killing workers", "goodbye to uWSGI")
    assert places == sorted(places)


def test_a_second_signal_waits_as_well(consul_agents: Callable[..., Agent], build: Build, start: Start, name: str) -> None:
    """Each handler of the core tells the workers: also that of a signal that comes while the first one waits for the deregistration."""
    agent = consul_agents()
    assert agent.process
    options: Options = {"consul-agent": agent.address, "consul-service-name": name, "consul-stop-timeout": "20s"}
    instance = start(build, options | {"consul-timeout": "20s"})
    wait_state(agent, name, "passing")
    agent.process.send_signal(signal.SIGSTOP)
    try:
        for signum in (signal.SIGINT, signal.SIGTERM):
            instance.signal(signum)
            assert holds(lambda: "killing workers" not in instance.text(), during=0.5)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    assert instance.wait() == 0
    places = first(instance.text(), ": deregistered", "killing workers")
    assert places == sorted(places)


@pytest.fixture(params=["debian", "pypi28", "pypi"])
def stopped_build(request: pytest.FixtureRequest) -> Build:
    """Every uWSGI whose way to stop differs."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Build)
    return found


def fifo_gracefully(instance: Instance) -> None:
    instance.command("q")


def fifo_at_once(instance: Instance) -> None:
    instance.command("Q")


def interrupt(instance: Instance) -> None:
    instance.signal(signal.SIGINT)


@pytest.mark.parametrize("how", [fifo_gracefully, fifo_at_once, interrupt])
def test_no_client_is_refused(consul: Agent, stopped_build: Build, start: Start, name: str, how: Callable[[Instance], None]) -> None:
    """Who looks up the service before each request never meets a worker that has gone."""
    instance = start(stopped_build, {"consul-agent": consul.address, "consul-service-name": name, "master-fifo": "%dfifo"})
    wait_state(consul, name, "passing")
    with Client(consul, name) as client:
        wait_for("some answers", lambda: client.served > 20)
        how(instance)
        assert instance.wait() == 0
    assert client.failed == 0
    assert ": deregistered" in instance.text()
    assert state(consul, name) == "absent"


def test_idle_and_gone(consul: Agent, stopped_build: Build, start: Start, name: str) -> None:
    """Nobody announces this stop: what sees it is a thread."""
    instance = start(stopped_build, {"consul-agent": consul.address, "consul-service-name": name, "idle": 3, "die-on-idle": "true"})
    wait_state(consul, name, "passing")
    assert instance.wait(30) == 0
    assert ": deregistered" in instance.text()
    assert state(consul, name) == "absent"


def test_the_stops_time_out_is_configurable(consul_agents: Callable[..., Agent], debian: Build, start: Start, name: str) -> None:
    agent = consul_agents()
    assert agent.process
    instance = start(debian, {"consul-agent": agent.address, "consul-service-name": name, "consul-stop-timeout": "300ms"})
    wait_state(agent, name, "passing")
    agent.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        instance.signal(signal.SIGINT)
        wait_for("the workers to be told", lambda: "killing workers" in instance.text(), within=2.0)
        assert time.monotonic() - begin < 1.2 * slowness()
    finally:
        agent.process.send_signal(signal.SIGCONT)


def refused(instance: Instance) -> bool:
    """Whether a worker answers, that it has no app."""
    try:
        instance.ask(within=1.0)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return False


def test_nothing_to_deregister(debian: Build, consul: Agent, start: Start, name: str) -> None:
    """Never registered, since its app did not load: nobody is asked, and nothing is waited for."""
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name}, environment={"APP_FAILS": "1"})
    instance.wait_log("agent process started")
    # A worker that is told to end before it has its handlers ends in Python's hands, and the master waits for it.
    wait_for("the workers", lambda: refused(instance))
    instance.signal(signal.SIGINT)
    assert instance.wait(10) == 0
    assert state(consul, name) == "absent"
    assert "deregistered" not in instance.text()


def test_an_agent_that_never_answers_does_not_hold_the_stop(consul: Agent, build: Build, start: Start, name: str) -> None:
    assert consul.process
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "consul-check-deregister-after": "0"})
    wait_state(consul, name, "passing")
    consul.process.send_signal(signal.SIGSTOP)
    try:
        instance.signal(signal.SIGINT)
        wait_for("the workers to be told", lambda: "killing workers" in instance.text(), within=4.0)
        assert instance.wait(5) == 0
        assert "not deregistered, it will be critical after its TTL" in instance.text()
    finally:
        consul.process.send_signal(signal.SIGCONT)


def test_a_successors_registration_stays(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "consul-service-id": name, "consul-service-port": 1234}
    old = start(debian, options)
    wait_state(consul, name, "passing")
    nonce = consul.get(f"/v1/agent/service/{name}")["Meta"]["uwsgi-instance"]
    start(debian, options)
    wait_for("the successor", lambda: consul.get(f"/v1/agent/service/{name}")["Meta"]["uwsgi-instance"] != nonce)
    old.signal(signal.SIGINT)
    assert old.wait() == 0
    assert "another instance has registered this id, it stays" in old.text()
    assert state(consul, name) == "passing"


class Emperor:
    """An Emperor with one vassal, which gets the plugin's directory from a file that the Emperor gives to all."""

    def __init__(self, build: Build, start: Start, consul: Agent, name: str, directory: Path, die_on_term: str) -> None:
        vassals = directory / "vassals"
        vassals.mkdir()
        before = directory / "before.ini"
        before.write_text(ini({"plugins-dir": str(build.directory), "consul-agent": consul.address}))
        options: dict[str, Any] = usual_options(build, directory) | {
            "plugins-dir": None,
            "consul-service-name": name,
            "die-on-term": die_on_term,
        }
        self.vassal = vassals / "app.ini"
        self.vassal.write_text(ini({key: value for key, value in options.items() if value is not None}))
        self.instance: Instance = start(
            build,
            {
                "plugins-dir": None,
                "need-plugin": None,
                "wsgi-file": None,
                "http-socket": None,
                "processes": None,
                "master": "true",
                "die-on-term": die_on_term,
                "emperor": str(vassals),
                "vassals-include-before": str(before),
            },
        )

    def processes(self) -> list[int]:
        """The master and the Emperor, which is its child."""
        master = self.instance.process.pid
        return [master, *map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split())]


@pytest.fixture
def emperor(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path, die_on_term: str) -> Emperor:
    made = Emperor(build, start, consul, name, tmp_path, die_on_term)
    wait_state(consul, name, "passing", within=15.0)
    return made


@pytest.fixture
def die_on_term() -> str:
    return "true"


def test_emperor_removes_the_vassal(consul: Agent, emperor: Emperor, name: str) -> None:
    emperor.vassal.unlink()
    # The Emperor looks at its directory every 3 seconds.
    emperor.instance.wait_log("stop the uwsgi instance", within=5.0)
    wait_state(consul, name, "absent", within=1.0)
    emperor.instance.wait_log("goodbye to uWSGI")
    places = first(emperor.instance.text(), "stop the uwsgi instance", ": deregistered", "killing workers")
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("signum", "die_on_term"),
    [(signal.SIGINT, "true"), (signal.SIGTERM, "true"), (signal.SIGQUIT, "false")],
    ids=["INT", "TERM", "QUIT"],
)
@pytest.mark.parametrize("group", [False, True], ids=["alone", "with all its processes"])
def test_emperor_is_stopped(consul: Agent, emperor: Emperor, name: str, signum: int, group: bool) -> None:
    """By a signal to its first process, or as a service manager does it, to all processes at once."""
    (os.killpg if group else os.kill)(emperor.instance.process.pid, signum)
    wait_state(consul, name, "absent", within=1.0)
    emperor.instance.wait(20)
    assert state(consul, name) == "absent"


def test_emperor_is_killed(consul: Agent, emperor: Emperor, name: str) -> None:
    """A vassal that lost its Emperor ends by itself, in order."""
    for pid in emperor.processes():
        os.kill(pid, signal.SIGKILL)
    wait_state(consul, name, "absent", within=1.0)


def test_emperor_touched_reloads_without_a_gap(consul: Agent, emperor: Emperor, name: str) -> None:
    with Watch(consul, name) as watch:
        later = time.time() + 2  # the Emperor looks at whole seconds
        os.utime(emperor.vassal, (later, later))
        wait_for("the reload", lambda: emperor.instance.text().count("registered as") == 2, within=15.0)
    assert watch.missed == 0

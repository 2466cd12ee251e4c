# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`Discovery` with a real Consul that is frozen, killed and cut off; in children; in workers of uWSGI."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import slowness, wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Discovery

from ..plugin.conftest import Build, Instance, debian, launch, pypi, usual_options
from .watching import threads

__all__ = ["debian", "pypi"]

LIBRARY = Path(__file__).parents[3] / "plugins/module_utils"
APP = Path(__file__).parent / "discovery_app.py"
READS = 10_000


@pytest.fixture
def service() -> str:
    return f"found-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def discover() -> Iterator[Callable[..., Discovery]]:
    """Makes discoveries; all are closed at the end."""
    made: list[Discovery] = []

    def make(address: str, **options: Any) -> Discovery:
        made.append(Discovery(Api(agents=address), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def register(agent: Any, service: str, number: int = 1) -> None:
    """An instance on a node of its own, which no agent looks after."""
    described = {"ID": f"{service}-{number}", "Service": service, "Port": 2000 + number}
    agent.put("/v1/catalog/register", {"Node": f"{service}-{number}", "Address": f"10.0.0.{number}", "Service": described})


def ids(instances: Any) -> list[str]:
    return [instance["id"] for instance in instances]


def read_while_away(discovery: Discovery, services: list[str], count: int) -> None:
    """Ten thousand reads: none raises, none takes long, none leaves a thread behind."""
    before, taken = threads(), []
    for number in range(READS):
        name = services[number % len(services)]
        begun = time.perf_counter()
        found = discovery.get(name)
        taken.append(time.perf_counter() - begun)
        assert len(found) == count
    assert statistics.median(taken) < 0.001
    assert statistics.quantiles(taken, n=100)[98] < 0.001 * slowness()
    assert threads() == before


def wait_healed(discovery: Discovery, services: list[str], since: float) -> None:
    """All are right again within 2 seconds."""
    for name in services:
        wait_for(f"{name} is well again", lambda name=name: not discovery.get(name).stale)
    assert time.monotonic() - since < 2 * slowness()


@pytest.mark.parametrize("count", [1, 30])
def test_a_frozen_agent_is_noticed_and_its_thaw_as_well(
    consul_agents: Callable[..., Any], discover: Callable[..., Discovery], service: str, count: int
) -> None:
    agent = consul_agents()
    services = [f"{service}-{number}" for number in range(count)]
    for name in services:
        register(agent, name)
    discovery = discover(agent.address, watch=services)
    for name in services:
        assert ids(discovery.get(name)) == [f"{name}-1"]
    agent.process.send_signal(signal.SIGSTOP)
    frozen = time.time()
    try:
        read_while_away(discovery, services, 1)
        wait_for("that all are stale", lambda: all(discovery.get(name).stale for name in services), within=12)
        assert discovery.get(services[0]).age >= time.time() - frozen - 0.5
        read_while_away(discovery, services, 1)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    wait_healed(discovery, services, time.monotonic())
    for name in services:
        register(agent, name, 2)
    wait_for("the change after it", lambda: all(len(discovery.get(name)) == 2 for name in services))


def test_a_killed_agent_comes_back_on_the_same_port(
    consul_agents: Callable[..., Any], discover: Callable[..., Discovery], service: str
) -> None:
    agent = consul_agents()
    register(agent, service)
    discovery = discover(agent.address)
    discovery.get(service)
    agent.process.kill()
    agent.process.wait()
    wait_for("that it is stale", lambda: discovery.get(service).stale, within=3)
    read_while_away(discovery, [service], 1)
    # It has lost all that it knew, its index too.
    agent.start()
    wait_healed(discovery, [service], time.monotonic())
    assert discovery.get(service) == []
    register(agent, service, 2)
    wait_for("the change after it", lambda: ids(discovery.get(service)) == [f"{service}-2"], within=3)


def test_the_next_agent_is_asked_when_one_is_gone(
    consul_agents: Callable[..., Any], discover: Callable[..., Discovery], service: str, tmp_path: Path
) -> None:
    server = consul_agents()
    client = consul_agents(client_of(server, tmp_path), node="client")
    register(server, service)
    discovery = discover(f"{client.address},{server.address}")
    assert len(discovery.get(service)) == 1
    client.process.kill()
    client.process.wait()
    register(server, service, 2)
    wait_for("the change by the other agent", lambda: len(discovery.get(service)) == 2, within=3)
    wait_for("that it is well", lambda: not discovery.get(service).stale, within=3)


def client_of(server: Any, directory: Path) -> dict[str, Any]:
    """The configuration of an agent that is no server, joined to one."""
    join = {"retry_join": [f"127.0.0.1:{server.serf_lan_port}"], "retry_interval": "1s", "reconnect_timeout": "8h"}
    return {"server": False, "bootstrap": False, "data_dir": str(directory / "client"), **join}


def test_an_agent_that_is_cut_off_from_its_servers(
    consul_agents: Callable[..., Any], discover: Callable[..., Discovery], service: str, tmp_path: Path
) -> None:
    server = consul_agents()
    agent = consul_agents(client_of(server, tmp_path), node="client")
    register(server, service)
    discovery = discover(agent.address)
    assert len(discovery.get(service)) == 1
    # Frozen and not stopped: it comes back with all that it knew, and its client need not find it anew.
    server.process.send_signal(signal.SIGSTOP)
    try:
        wait_for("that it is stale", lambda: discovery.get(service).stale, within=12)
        read_while_away(discovery, [service], 1)
    finally:
        server.process.send_signal(signal.SIGCONT)

    def answers() -> bool:
        try:
            return bool(agent.get("/v1/status/leader"))
        except OSError:
            return False

    wait_for("that the agent answers", answers, within=30)
    wait_healed(discovery, [service], time.monotonic())
    register(server, service, 2)
    wait_for("the change after it", lambda: len(discovery.get(service)) == 2)
    server.stop()
    wait_for("that it is stale", lambda: discovery.get(service).stale, within=12)
    assert len(discovery.get(service)) == 2


def test_the_nodes_own_state_reaches_all_services_on_it(consul: Any, discover: Callable[..., Discovery], service: str) -> None:
    services = [f"{service}-{number}" for number in range(20)]
    node = {"Node": service, "Address": "10.0.0.1"}
    for name in services:
        consul.put("/v1/catalog/register", {**node, "Service": {"Service": name, "ID": name, "Port": 1}})
    discovery = discover(consul.address, watch=services)
    assert all(len(discovery.get(name)) == 1 for name in services)
    check = {"Node": service, "CheckID": "disk", "Name": "disk", "Status": "critical"}
    consul.put("/v1/catalog/register", {**node, "SkipNodeUpdate": True, "Check": check})
    wait_for("none is passing", lambda: not any(discovery.get(name) for name in services))
    consul.put("/v1/catalog/register", {**node, "SkipNodeUpdate": True, "Check": {**check, "Status": "passing"}})
    wait_for("all are passing", lambda: all(discovery.get(name) for name in services))


def test_weights_and_nearest_with_a_real_consul(consul: Any, discover: Callable[..., Discovery], service: str) -> None:
    for number, weight in ((1, 3), (2, 1)):
        described = {"ID": f"{service}-{number}", "Service": service, "Weights": {"Passing": weight, "Warning": 1}}
        consul.put("/v1/catalog/register", {"Node": f"{service}-{number}", "Address": "10.0.0.1", "Service": described})
    discovery = discover(consul.address)
    chosen = [discovery.choose(service, by="weighted")["id"] for _ in range(40)]
    assert chosen.count(f"{service}-1") == 30
    assert discovery.choose(service, by="nearest")["service"] == service


def test_children_go_on_by_themselves_and_right(consul: Any, discover: Callable[..., Discovery], service: str) -> None:
    register(consul, service)
    discovery = discover(consul.address)
    assert len(discovery.get(service)) == 1
    children = []
    for _ in range(3):
        ready, tell = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                begun = time.perf_counter()
                first = len(discovery.get(service))
                slow = time.perf_counter() - begun > 0.1 * slowness()
                os.write(tell, b"x")
                wait_for("the change", lambda: len(discovery.get(service)) == 2)
                fresh = len(discovery.get(f"{service}-other")) == 0
                code = 0 if first == 1 and fresh and not slow else 2
            finally:
                os._exit(code)
        os.read(ready, 1)
        os.close(ready)
        os.close(tell)
        children.append(child)
    register(consul, service, 2)
    wait_for("the change", lambda: len(discovery.get(service)) == 2)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_shortest_program(consul: Any, service: str) -> None:
    register(consul, service)
    code = f"""
from uwsgi_consul import Discovery
for server in Discovery().get("{service}"):
    print(server["node"], server["address"], server["port"])
"""
    environment = {"PYTHONPATH": str(LIBRARY), "CONSUL_HTTP_ADDR": consul.address, "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{service}-1 10.0.0.1 2001\n", "")


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Instance]]:
    """Starts an instance of the app in Debian's uWSGI, unless the test names another one."""
    build: Build = request.getfixturevalue(getattr(request, "param", "debian"))
    instances: list[Instance] = []

    def begin(agent: Any, options: dict[str, Any], **environment: str) -> Instance:
        directory = tmp_path / f"instance{len(instances)}"
        directory.mkdir()
        mine = {"wsgi-file": str(APP), "pythonpath": str(LIBRARY), "consul-agent": agent.address, "disable-logging": "true"}
        instances.append(launch(build, directory, usual_options(build, directory) | mine | options, environment or None))
        instances[-1].wait_log("spawned uWSGI worker 2")
        return instances[-1]

    yield begin
    for instance in instances:
        instance.kill_all()


def ask(instance: Instance, service: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.port}/?service={service}", timeout=60) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("serve", ["debian", "pypi"], indirect=True)
def test_in_a_worker_the_plugins_cache_is_read_without_being_told(
    consul_agents: Callable[..., Any], serve: Callable[..., Instance], service: str
) -> None:
    agent = consul_agents()
    register(agent, service)
    instance = serve(agent, {"consul-watch-service": service})
    found = ask(instance, service)
    assert (found["ids"], found["stale"]) == ([f"{service}-1"], False)
    # Nothing of the library runs beside the app: the plugin does it all, and threads are not needed.
    assert not [thread for thread in found["threads"] if thread.startswith("uwsgi-consul")]
    register(agent, service, 2)
    wait_for("the change", lambda: len(ask(instance, service)["ids"]) == 2)
    # What the plugin does not watch needs a thread, which uWSGI does not give unless told.
    other = ask(instance, f"{service}-other")
    assert other["raised"] == "ConsulError"
    assert "enable-threads" in other["text"]
    agent.process.kill()
    agent.process.wait()
    wait_for("that it is stale", lambda: ask(instance, service)["stale"], within=15)
    found = ask(instance, service)
    assert len(found["ids"]) == 2
    assert found["seconds"] < 0.1 * slowness()


def test_what_the_plugin_does_not_watch_is_watched_by_each_worker_made_before_the_fork(
    consul: Any, serve: Callable[..., Instance], service: str
) -> None:
    register(consul, service)
    instance = serve(
        consul,
        {"enable-threads": "true", "consul-watch-service": f"{service}-unused"},
        DISCOVERY=json.dumps({"watch": [service]}),
        BEFORE_FORK=service,
    )

    def workers(count: int) -> set[int]:
        answers = [ask(instance, service) for _ in range(20)]
        return {answer["worker"] for answer in answers} if all(len(answer["ids"]) == count for answer in answers) else set()

    assert workers(1)
    answer = ask(instance, service)
    assert "uwsgi-consul" in answer["threads"]
    # uWSGI forks without asking Python: a thread that holds a lock at that moment would hold it in the workers for ever.
    assert "uwsgi-consul" not in answer["threads_of_master"]
    register(consul, service, 2)
    wait_for("the change", lambda: workers(2))

"""No reload takes an instance out of discovery."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest
from polling import wait_for

from .conftest import Agent, Build, Instance, Options, Start, Watch, alive, entry, ini, note, state, usual_options, wait_state

How = Callable[[Instance], Callable[[Instance], None]]


def reloaded(instance: Instance) -> None:
    instance.wait_agent_process(2, within=15.0)


def workers_replaced(instance: Instance) -> Callable[[Instance], None]:
    before = set(instance.workers.values())

    def done(instance: Instance) -> None:
        wait_for("new workers", lambda: not before & set(instance.workers.values()), within=15.0)

    return done


def hangup(instance: Instance) -> Callable[[Instance], None]:
    instance.signal(signal.SIGHUP)
    return reloaded


def brutal(instance: Instance) -> Callable[[Instance], None]:
    instance.signal(signal.SIGQUIT)  # with die-on-term
    return reloaded


def touch_chain(instance: Instance) -> Callable[[Instance], None]:
    (instance.directory / "chain").touch()
    return workers_replaced(instance)


def touch_workers(instance: Instance) -> Callable[[Instance], None]:
    (instance.directory / "workers").touch()
    return workers_replaced(instance)


def touch(instance: Instance) -> Callable[[Instance], None]:
    (instance.directory / "reload").touch()
    return reloaded


def fifo(command: str) -> How:
    def send(instance: Instance) -> Callable[[Instance], None]:
        instance.command(command)
        return workers_replaced(instance) if command in "cw" else reloaded

    return send


FIFO = {f"fifo {command}": fifo(command) for command in "rRwc"}


def reload_watched(agent: Agent, start: Start, build: Build, name: str, how: How, loading: float) -> None:
    options: Options = {
        "consul-agent": agent.address,
        "consul-service-name": name,
        "consul-check-ttl": "2s",
        "lazy-apps": "true",
        "processes": 2,
        "touch-chain-reload": "%dchain",
        "touch-workers-reload": "%dworkers",
        "touch-reload": "%dreload",
        "master-fifo": "%dfifo",
    }
    instance = start(build, options, environment={"APP_LOADS_FOR": str(loading)})
    wait_state(agent, name, "passing")
    with Watch(agent, name) as watch:
        done = how(instance)
        done(instance)
        asked = watch.asked
        # Longer than a TTL: whoever speaks for the service now must have been heard.
        wait_for("a TTL's time of answers", lambda: watch.asked > asked + 125 + 50 * loading, within=20.0)
    assert watch.missed == 0
    assert watch.asked > 100
    assert instance.text().count("registered as") == instance.text().count("agent process started")
    assert "deregistered" not in instance.text()
    instance.signal(signal.SIGINT)
    wait_state(agent, name, "absent", within=1.0)
    assert instance.wait() == 0


@pytest.mark.parametrize(
    "how", [hangup, brutal, touch, touch_chain, touch_workers, *FIFO.values()], ids=["HUP", "QUIT", "touch", "chain", "workers", *FIFO]
)
def test_no_gap(consul: Agent, build: Build, start: Start, name: str, how: How) -> None:
    reload_watched(consul, start, build, name, how, loading=0.0)


@pytest.mark.parametrize("how", [hangup, brutal, touch_chain, touch_workers], ids=["HUP", "QUIT", "chain", "workers"])
def test_no_gap_while_the_app_loads(consul: Agent, debian: Build, start: Start, name: str, how: How) -> None:
    reload_watched(consul, start, debian, name, how, loading=1.5)


def test_prefork_that_loads_longer_than_the_ttl(consul: Agent, build: Build, start: Start, name: str) -> None:
    """While the app loads there is no master loop: the agent process from before keeps the service alive."""
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "consul-check-ttl": "2s"}
    instance = start(build, options, environment={"APP_LOADS_FOR": "3.5"})
    wait_state(consul, name, "passing")
    old = instance.agent_process
    with Watch(consul, name) as watch:
        instance.signal(signal.SIGHUP)
        wait_for("the note", lambda: note(consul, name) == "reloading")
        reloaded(instance)
        wait_for("the old agent process to end", lambda: not alive(old))
        instance.wait_log(r"registered as (?s:.*)registered as")
    assert watch.missed == 0
    assert watch.asked > 100


def test_two_reloads_in_a_row(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """The second one comes before the instance that the first one made is ready: all agent processes but the last one have to end."""
    instance = start(
        debian,
        {"consul-agent": consul.address, "consul-service-name": name, "lazy-apps": "true", "worker-reload-mercy": 1},
        environment={"APP_LOADS_FOR": "2"},
    )
    wait_state(consul, name, "passing")
    started = []
    with Watch(consul, name) as watch:
        for count in (2, 3):
            started.append(instance.agent_process)
            instance.signal(signal.SIGHUP)
            instance.wait_agent_process(count, within=20.0)
        assert alive(started[0])
        instance.wait_log(r"registered as (?s:.*)registered as", within=20.0)
        wait_for("those from before to end", lambda: not any(map(alive, started)))
    assert watch.missed == 0
    assert "deregistered" not in instance.text()


def test_an_app_that_does_not_load_any_more_is_critical(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    app = instance.directory / "app.py"
    good = app.read_text()
    app.write_text("raise RuntimeError('broken by the last change')")
    instance.signal(signal.SIGHUP)
    wait_state(consul, name, "critical", within=5.0)
    assert note(consul, name).endswith("but no app is loaded")
    app.write_text(good)
    instance.signal(signal.SIGHUP)
    wait_state(consul, name, "passing", within=5.0)


def test_refork(consul: Agent, build: Build, start: Start, name: str) -> None:
    """Two masters share the sockets for a while: the second one has the registration, and the first one's end leaves it alone."""
    instance = start(
        build,
        {"consul-agent": consul.address, "consul-service-name": name, "consul-service-id": name, "master-fifo": ["%dfifo", "%dfifo2"]},
    )
    wait_state(consul, name, "passing")
    nonce = consul.get(f"/v1/agent/service/{name}")["Meta"]["uwsgi-instance"]
    with Watch(consul, name) as watch:
        instance.command("1")  # the old master moves to its second fifo, and leaves the first one to the new
        wait_for("the second fifo", lambda: (instance.directory / "fifo2").exists())
        (instance.directory / "fifo").unlink()
        with (instance.directory / "fifo2").open("w") as old:
            old.write("f")
        wait_for("the new master's registration", lambda: consul.get(f"/v1/agent/service/{name}")["Meta"]["uwsgi-instance"] != nonce)
        with (instance.directory / "fifo2").open("w") as old:
            old.write("Q")
        assert instance.wait() == 0
    assert watch.missed == 0
    assert "another instance has registered this id, it stays" in instance.text()
    assert instance.ask() == "served"
    assert state(consul, name) == "passing"


def test_workers_that_die_while_the_new_app_loads(consul: Agent, build: Build, start: Start, name: str) -> None:
    """With need-app and lazy-apps each worker ends before it accepts, again and again: nobody is on his way."""
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "lazy-apps": "true"}
    instance = start(build, options)
    wait_state(consul, name, "passing")
    app = instance.directory / "app.py"
    good = app.read_text()
    app.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    instance.signal(signal.SIGHUP)
    wait_state(consul, name, "critical", within=10.0)
    wait_for("the reason", lambda: "they die before they accept" in note(consul, name))
    app.write_text(good)
    wait_state(consul, name, "passing", within=10.0)
    instance.signal(signal.SIGINT)
    wait_state(consul, name, "absent", within=1.0)


def test_one_of_two_services_goes(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """What is in both lives of the instance stays, what is in the first one only goes."""
    base: Options = {"consul-agent": consul.address}
    both = [f"name={name}-kept,id={name}-kept", f"name={name}-gone,id={name}-gone"]
    instance = start(debian, base | {"consul-service": both})
    for kind in ("kept", "gone"):
        wait_state(consul, f"{name}-{kind}", "passing")
    with Watch(consul, f"{name}-kept") as watch:
        change(instance, debian, base | {"consul-service": [both[0], f"name={name}-new,id={name}-new"]})
        wait_state(consul, f"{name}-gone", "absent")
        wait_state(consul, f"{name}-new", "passing")
    assert watch.missed == 0
    assert state(consul, f"{name}-kept") == "passing"


def change(instance: Instance, build: Build, options: Options) -> None:
    merged = usual_options(build, instance.directory) | {"http-socket": f"127.0.0.1:{instance.port}"} | options
    (instance.directory / "uwsgi.ini").write_text(ini(merged))
    instance.signal(signal.SIGHUP)


def test_changed_tags_are_taken_over(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "consul-service-tags": "before"}
    instance = start(debian, options)
    wait_state(consul, name, "passing")
    with Watch(consul, name) as watch:
        change(instance, debian, options | {"consul-service-tags": "after"})
        wait_for("the new tag", lambda: (entry(consul, name) or {})["service"]["Tags"] == ["after"])
    assert watch.missed == 0


def test_changed_id_leaves_nothing_behind(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "consul-service-id": f"{name}-old"}
    instance = start(debian, options)
    wait_state(consul, name, "passing")
    with Watch(consul, name) as watch:
        change(instance, debian, options | {"consul-service-id": f"{name}-new"})
        wait_for("only the new id", lambda: [item["Service"]["ID"] for item in consul.get(f"/v1/health/service/{name}")] == [f"{name}-new"])
    assert watch.missed == 0


def test_a_brutal_reload_by_sigterm(consul: Agent, build: Build, start: Start, name: str) -> None:
    """What SIGTERM is without die-on-term."""
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "die-on-term": None})
    wait_state(consul, name, "passing")
    with Watch(consul, name) as watch:
        instance.signal(signal.SIGTERM)
        reloaded(instance)
        instance.wait_log(r"registered as (?s:.*)registered as")
    assert watch.missed == 0


def test_another_port_is_taken_over(consul: Agent, build: Build, start: Start, name: str) -> None:
    """The kernel chooses the socket's port, another one at each reload, and with it the id is another one."""
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name, "http-socket": "127.0.0.1:0"})
    wait_state(consul, name, "passing")
    before = (entry(consul, name) or {})["service"]["Port"]
    with Watch(consul, name) as watch:
        instance.signal(signal.SIGHUP)
        wait_for(
            "only the new port", lambda: [item["Service"]["Port"] != before for item in consul.get(f"/v1/health/service/{name}")] == [True]
        )
    assert watch.missed == 0


def test_a_name_that_is_taken_away(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    change(instance, debian, {"consul-agent": consul.address, "master": "true"})
    wait_state(consul, name, "absent", within=5.0)
    wait_for("the reload", lambda: len(re.findall("spawned uWSGI worker 1 ", instance.text())) == 2)
    assert instance.ask() == "served"


def test_a_reload_that_fails_is_a_stop(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options: Options = {"consul-agent": consul.address, "consul-service-name": name}
    instance = start(debian, options)
    wait_state(consul, name, "passing")
    change(instance, debian, options | {"consul-service-port": "70000"})
    assert instance.wait() == 1
    wait_state(consul, name, "absent", within=1.0)


def test_a_reload_that_ends_the_instance_is_a_stop(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name, "exit-on-reload": "true"})
    wait_state(consul, name, "passing")
    instance.signal(signal.SIGHUP)
    wait_state(consul, name, "absent", within=1.0)
    instance.wait()
    assert state(consul, name) == "absent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_another_user_since_the_reload(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """The agent process from before is another user's, so the master has to tell it."""
    options: Options = {"consul-agent": consul.address, "consul-service-name": name, "master-as-root": "true", "uid": "nobody"}
    instance = start(debian, options)
    wait_state(consul, name, "passing")
    old = instance.agent_process
    with Watch(consul, name) as watch:
        change(instance, debian, options | {"uid": "daemon"})
        reloaded(instance)
        wait_for("the old agent process to end", lambda: not alive(old))
    assert watch.missed == 0
    assert "Operation not permitted" not in instance.text()

"""A service is registered when its workers accept requests, as its options say."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from polling import holds, slowness, wait_for

from ports import free_port

from .conftest import Agent, Build, Options, Start, entry, ini, note, state, usual_options, wait_state


@pytest.mark.parametrize("lazy", [False, True], ids=["prefork", "lazy"])
def test_not_before_the_workers_accept(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path, lazy: bool) -> None:
    loaded = tmp_path / "loaded"
    began = time.time()
    instance = start(
        debian,
        {"consul-agent": consul.address, "consul-service-name": name, "lazy-apps": str(lazy).lower()},
        environment={"APP_LOADS_FOR": "1.5", "APP_LOADED": str(loaded)},
    )
    wait_state(consul, name, "passing")
    found = time.time()
    assert loaded.stat().st_mtime >= began + 1.5
    assert 0 <= found - loaded.stat().st_mtime < 2 * slowness()
    assert instance.ask() == "served"


def test_found_soon_after_the_first_accepted_request(consul: Agent, build: Build, start: Start, name: str) -> None:
    instance = start(build, {"consul-agent": consul.address, "consul-service-name": name})
    wait_for("an answer", lambda: "bound to TCP" in instance.text())
    assert instance.ask() == "served"
    wait_state(consul, name, "passing", within=2.0)


def test_all_that_the_options_say(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(
        debian,
        {
            "consul-agent": consul.address,
            "consul-service-name": name,
            "consul-service-id": f'{name} "the/first" ü?#',
            "consul-service-tags": ['one, two "quoted"', "back\\slash,grün"],
            "consul-service-port": 4711,
            "consul-service-address": "127.0.0.9",
            "consul-service-meta": ["version=1=a", 'quoted="x\\y"', "empty="],
            "consul-check-ttl": "1m",
            "consul-check-deregister-after": "90s",
            "consul-consistency-mode": "stale",
        },
    )
    wait_state(consul, name, "passing")
    found = entry(consul, name)
    assert found
    service = found["service"]
    assert service["ID"] == f'{name} "the/first" ü?#'
    assert service["Tags"] == ["one", 'two "quoted"', "back\\slash", "grün"]
    assert (service["Port"], service["Address"]) == (4711, "127.0.0.9")
    meta = service["Meta"]
    assert re.fullmatch("[0-9a-f]{32}", meta.pop("uwsgi-instance"))
    assert meta.pop("uwsgi-mode") == "prefork"
    assert meta.pop("uwsgi-version").startswith("2.0.")
    assert meta.pop("uwsgi-master-pid") == str(instance.process.pid)
    assert meta == {"version": "1=a", "quoted": '"x\\y"', "empty": ""}
    assert found["check"]["Name"] == "uWSGI workers"
    assert found["check"]["Type"] == "ttl"
    assert found["check"]["Definition"].get("DeregisterCriticalServiceAfter", "1m30s") == "1m30s"
    wait_for("the note", lambda: note(consul, name) == "2/2 workers ready, 0 busy, backlog 0")


@pytest.mark.parametrize(
    "sockets",
    [
        {"http-socket": "127.0.0.1:0"},
        {"http-socket": None, "socket": "127.0.0.1:0"},
        {"http-socket": None, "socket": "[::1]:0"},
        {"http-socket": None, "socket": ["%d/unix.sock", "127.0.0.1:0"]},
    ],
    ids=["http-socket", "socket", "ipv6", "after a unix socket"],
)
def test_port_and_id_from_the_socket(consul: Agent, debian: Build, start: Start, name: str, sockets: Options) -> None:
    start(debian, {"consul-agent": consul.address, "consul-service-name": name} | sockets)
    wait_state(consul, name, "passing")
    service: dict[str, Any] = (entry(consul, name) or {})["service"]
    with socket.create_connection(("::1" if "[::1]:0" in sockets.values() else "127.0.0.1", service["Port"]), 5):
        pass
    assert service["ID"] == f"{name}-{socket.gethostname()}-{service['Port']}"
    assert service["Address"] == ""


def test_port_of_the_http_router(consul: Agent, pypi: Build, start: Start, name: str) -> None:
    start(
        pypi,
        {"consul-agent": consul.address, "consul-service-name": name, "http-socket": None, "http": "127.0.0.1:0", "socket": "127.0.0.1:0"},
    )
    wait_state(consul, name, "passing")
    port = (entry(consul, name) or {})["service"]["Port"]
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        connection.settimeout(5)
        assert b"200 OK" in connection.recv(4096)


def test_no_name_no_service(consul: Agent, debian: Build, start: Start) -> None:
    """What an Emperor gives to all its vassals does not make services of them."""
    before = consul.get("/v1/agent/services")
    instance = start(debian, {"consul-agent": consul.address, "consul-check-ttl": "5", "master": "true"})
    instance.wait_log("spawned uWSGI worker 2")
    assert instance.ask() == "served"
    assert holds(lambda: bool(consul.get("/v1/agent/services") == before), during=0.5)
    assert "[consul]" not in instance.text()


def test_an_app_that_did_not_load_is_not_registered(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name}, environment={"APP_FAILS": "1"})
    instance.wait_log("agent process started")
    assert holds(lambda: state(consul, name) == "absent", during=1.0)


def test_why_it_is_not_registered_yet(debian: Build, consul: Agent, start: Start, name: str) -> None:
    """Said once, after a few seconds."""
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name}, environment={"APP_FAILS": "1"})
    instance.wait_log(f"{name}\\S*: not registered yet: 2/2 workers ready, .* but no app is loaded", within=10.0)
    assert holds(lambda: instance.text().count("not registered yet") == 1, during=1.5)


def test_a_long_line_is_cut(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """The core writes what lies behind its buffer, such as the environment, when a line is longer than that."""
    instance = start(
        debian,
        {"consul-agent": consul.address, "consul-service-name": name, "consul-service-id": name + "x" * 20000},
        environment={"SECRET": "not-for-the-log"},
    )
    wait_for("the first update", lambda: note(consul, name).startswith("2/2 workers ready"))
    instance.signal(signal.SIGINT)
    instance.wait()
    lines = [line for line in instance.text().splitlines() if "[consul]" in line]
    assert len(lines) == 3
    assert max(map(len, lines)) < 2100
    assert "not-for-the-log" not in instance.text()
    assert state(consul, name) == "absent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the node another name")
def test_a_node_without_a_proper_name(debian: Build, start: Start, name: str) -> None:
    renamed = ["unshare", "--uts", "sh", "-c", "printf 'a\\377' > /proc/sys/kernel/hostname && exec \"$@\"", "sh"]
    instance = start(debian, {"consul-service-name": name}, wrapper=renamed)
    assert instance.wait() == 1
    assert "the node's name, which is part of it, is no UTF-8 text: give a consul-service-id" in instance.text()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"200 OK" in connection.recv(4096)
    return False


def test_on_demand(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path) -> None:
    """The Emperor hands the vassal's socket over as its stdin."""
    port = free_port()
    vassal = usual_options(build, tmp_path) | {"consul-agent": consul.address, "consul-service-name": name, "protocol": "http"}
    del vassal["http-socket"]
    vassals = tmp_path / "vassals"
    vassals.mkdir()
    (vassals / "app.ini").write_text(ini(vassal))
    (vassals / "app.ini.socket").write_text(f"127.0.0.1:{port}")
    emperor: Options = dict.fromkeys(("plugins-dir", "need-plugin", "wsgi-file", "http-socket", "processes"))
    emperor |= {"master": "true", "emperor": str(vassals), "emperor-on-demand-extension": ".socket"}
    instance = start(build, emperor)
    instance.wait_log("on demand|on-demand", within=5.0)
    assert state(consul, name) == "absent"
    wait_for("an answer", lambda: answers(port))
    wait_state(consul, name, "passing")
    assert (entry(consul, name) or {})["service"]["Port"] == port
    assert os.readlink(f"/proc/{instance.agent_process}/fd/0") == "/dev/null"


NAMED: Options = {"consul-service-name": "never-registered"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consul-consistency-mode": "eventual"}, "consul-consistency-mode = eventual: the modes are default, consistent and stale"),
        ({"consul-agent": "127.0.0.1:0"}, "consul-agent = 127.0.0.1:0: an agent is host:port"),
        ({"consul-agent": "127.0.0.1:8500,,"}, "consul-agent = : an agent is host:port"),
        ({"consul-agent": "ftp://127.0.0.1"}, "consul-agent = ftp://127.0.0.1: an agent is host:port"),
        ({"consul-agent": "http://secret@127.0.0.1:8500"}, "an agent is host:port"),
        ({"consul-agent": "127.0.0.1:8500/v1?token=x"}, "an agent is host:port"),
        ({"consul-agent": "unix://relative"}, "consul-agent = unix://relative: an agent is host:port"),
        ({"consul-agent": "::1"}, "consul-agent = ::1: an agent is host:port, [::1]:8500"),
        ({"consul-agent": "[:1]:8500"}, "consul-agent = [:1]:8500: an agent is host:port"),
        ({"consul-service-name": ""}, "consul-service-name = : it must be UTF-8 text, not empty"),
        (NAMED | {"consul-service-id": "a\x01b"}, "consul-service-id = a?b: it must be UTF-8 text"),
        (NAMED | {"consul-service-tags": "a,,b"}, "consul-service-tags = : a tag must be UTF-8 text, not empty"),
        (NAMED | {"consul-service-tags": "a,b\x07"}, "consul-service-tags = b?: a tag must be UTF-8 text"),
        (NAMED | {"consul-service-tags": "\udcff"}, "consul-service-tags = ?: a tag must be UTF-8 text"),
        (NAMED | {"consul-service-tags": "a\x9b31m"}, "consul-service-tags = a?31m: a tag must be UTF-8 text"),
        (NAMED | {"consul-service-port": "0"}, "consul-service-port = 0: a port is a number from 1 to 65535"),
        (NAMED | {"consul-service-port": "70000"}, "consul-service-port = 70000: a port is a number from 1 to 65535"),
        (NAMED | {"consul-service-port": "80x"}, "consul-service-port = 80x: a port is a number from 1 to 65535"),
        (NAMED | {"consul-service-address": "10.0.0.1/8"}, "consul-service-address = 10.0.0.1/8: it must be a host name or an IP address"),
        (NAMED | {"consul-service-address": "0.0.0.0"}, "nobody can connect to the wildcard address"),  # noqa: S104
        (NAMED | {"consul-service-meta": "no value"}, "consul-service-meta = no value: it must be key=value"),
        (NAMED | {"consul-service-meta": "consul-x=1"}, "does not start with consul-"),
        (NAMED | {"consul-service-meta": "uwsgi-instance=1"}, "does not start with consul- or uwsgi-"),
        (NAMED | {"consul-service-meta": ["a=1", "a=2"]}, "consul-service-meta = a=2: this key is given twice"),
        (NAMED | {"consul-service-meta": "a=" + "x" * 513}, "a value must be UTF-8 text of at most 512 bytes"),
        (NAMED | {"consul-service-meta": [f"k{number}=1" for number in range(61)]}, "a service has at most 60 of them"),
        (NAMED | {"consul-check-ttl": "0"}, "consul-check-ttl = 0: a time from 1s to 24h is right"),
        (NAMED | {"consul-check-ttl": "10 s"}, "consul-check-ttl = 10 s: a time from 1s to 24h is right"),
        (NAMED | {"consul-check-ttl": "-1"}, "consul-check-ttl = -1: a time from 1s to 24h is right"),
        (NAMED | {"consul-check-ttl": "99999999999999999999"}, "a time from 1s to 24h is right"),
        (NAMED | {"consul-check-deregister-after": "59s"}, "consul-check-deregister-after = 59s: a time from 1m (Consul's least)"),
        (NAMED | {"consul-timeout": "10ms"}, "consul-timeout = 10ms: a time from 100ms to 60s is right"),
        (NAMED | {"consul-token-file": "/does/not/exist"}, "readable by this instance, is right (No such file or directory)"),
        (NAMED | {"consul-token-file": "/dev/null"}, "readable by this instance, is right (the file is empty)"),
        (NAMED | {"consul-service-id": ".."}, "consul-service-id = ..: an id of dots only can't be asked for at an agent"),
        ({"consul-service-tags": "a"}, "consul-service-tags = a: it needs a consul-service-name beside it"),
        ({"consul-service-id": "a"}, "consul-service-id = a: it needs a consul-service-name beside it"),
        ({"consul-service-port": "80"}, "consul-service-port = 80: it needs a consul-service-name beside it"),
        ({"consul-service-address": "a"}, "consul-service-address = a: it needs a consul-service-name beside it"),
        ({"consul-service-meta": "a=b"}, "consul-service-meta = a=b: it needs a consul-service-name beside it"),
        (NAMED | {"http-socket": None, "socket": "%d/only.sock"}, "its port is unknown, since no http or TCP socket is bound here"),
        (NAMED | {"master": "false"}, "need the master process, so master = true is right"),
    ],
)
def test_wrong_values_stop_the_instance(debian: Build, start: Start, options: Options, message: str) -> None:
    instance = start(debian, options)
    assert instance.wait() == 1
    lines = [line for line in instance.text().splitlines() if "[consul]" in line]
    assert len(lines) == 1
    assert message in lines[0]

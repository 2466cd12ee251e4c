"""What is watched stands in the cache, where apps read it."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from polling import holds, slowness, wait_for

from ports import free_port

from .conftest import Agent, Build, Instance, Options, Start, alive, state, wait_state
from .test_consul_faults import lines, paths, recorder

Agents = Callable[..., Agent]

# Answers with the item of the key that is the query; what it read when it was imported at /import, and all keys at /keys.
APP = """
import json, os, urllib.parse, uwsgi

def read(key):
    item = uwsgi.cache_get(key, os.environ.get("WATCH_CACHE", "consul"))
    return None if item is None else item.decode()

at_import = {key: read(key) for key in json.loads(os.environ.get("WATCH_KEYS", "[]"))}
signals = []
if "WATCH_LOCALE" in os.environ:
    import locale
    locale.setlocale(locale.LC_ALL, os.environ["WATCH_LOCALE"])
if "WATCH_SIGNAL" in os.environ:
    def handle(number):
        with open(os.environ["WATCH_SIGNAL"], "a") as file:
            file.write(f"{number}\\n")
    uwsgi.register_signal(int(os.environ.get("WATCH_SIGNAL_NUMBER", "7")), "worker1", handle)

def application(environ, start_response):
    query = urllib.parse.unquote(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/import":
        answer = at_import
    elif environ["PATH_INFO"] == "/locale":
        answer = locale.format_string("%.1f", 0.5)
    elif environ["PATH_INFO"] == "/keys":
        answer = sorted(key if isinstance(key, str) else key.decode() for key in uwsgi.cache_keys(os.environ.get("WATCH_CACHE", "consul")))
    elif environ["PATH_INFO"] == "/environ":
        answer = sorted(os.environ)
    elif environ["PATH_INFO"] == "/read":
        # Reads for a while, and tells of what is no JSON.
        import time
        until, count, torn = time.monotonic() + 0.2, 0, 0
        while time.monotonic() < until:
            item = read(query)
            count += 1
            try:
                if item is not None:
                    json.loads(item)
            except ValueError:
                torn += 1
        answer = [count, torn]
    elif environ["PATH_INFO"] == "/hold":
        # Most of this time the lock of the cache is held.
        while os.path.exists("hold"):
            uwsgi.cache_get(query, "consul")
        answer = None
    else:
        answer = read(query)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


def fetch(instance: Instance, path: str, query: str = "", within: float = 20.0) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=within)
    try:
        connection.request("GET", f"{path}?{urllib.parse.quote(query, safe='')}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def item(instance: Instance, key: str) -> Any:
    """The item of a key, or None."""
    text = fetch(instance, "/", key)
    return None if text is None else json.loads(text)


def wait_item(instance: Instance, key: str, good: Callable[[Any], Any] = bool, within: float = 10.0) -> Any:
    """The item once it is there and `good`."""
    found: list[Any] = [None]

    def look() -> bool:
        found[0] = item(instance, key)
        return found[0] is not None and bool(good(found[0]))

    wait_for(f"{key} in the cache, {instance.text()[-2000:]}", look, within)
    return found[0]


def app(directory: Path) -> str:
    path = directory / "watching.py"
    path.write_text(APP)
    return str(path)


@pytest.fixture
def watching(start: Start, tmp_path: Path) -> Start:
    """Starts instances with the app above."""

    def begin(build: Build, options: Options | None = None, /, **how: Any) -> Instance:
        instance = start(build, {"wsgi-file": app(tmp_path)} | (options or {}), **how)
        instance.wait_log("bound to TCP address")
        return instance

    return begin


def register(agent: Agent, service: str, number: int = 1, status: str = "passing", node: str = "", **more: Any) -> None:
    """An instance in the catalog, on a node that no agent looks after."""
    node = node or f"node-{number}"
    agent.put(
        "/v1/catalog/register",
        {
            "Node": node,
            "Address": f"10.0.0.{number}",
            "Service": {"ID": f"{service}-{number}", "Service": service, "Port": 8000 + number} | more,
            "Check": {"CheckID": f"check-{service}-{number}", "Name": "check", "ServiceID": f"{service}-{number}", "Status": status},
        },
    )


def deregister(agent: Agent, service: str, number: int = 1) -> None:
    agent.put("/v1/catalog/deregister", {"Node": f"node-{number}", "ServiceID": f"{service}-{number}"})


def ids(found: Any) -> list[str]:
    return [instance["id"] for instance in found["instances"]]


def test_service(consul: Agent, build: Build, watching: Start, name: str) -> None:
    register(consul, name, 1, Tags=["blue"], Meta={"b": "2", "a": "1"}, Address="10.9.9.9", Weights={"Passing": 3, "Warning": 2},
             TaggedAddresses={"lan": {"Address": "10.1.1.1", "Port": 81}})  # fmt: skip
    register(consul, name, 2, "critical")
    instance = watching(build, {"consul-agent": consul.address, "consul-watch-service": name})
    found = wait_item(instance, f"service/{name}")
    assert sorted(found) == ["changed", "index", "instances", "service", "stale_since"]
    assert found["service"] == name
    assert found["index"] > 0
    assert time.time() - 60 < found["changed"] < time.time() + 0.001
    assert found["stale_since"] is None
    assert found["instances"] == [
        {
            "node": "node-1",
            "node_address": "10.0.0.1",
            "node_meta": {},
            "datacenter": "dc1",
            "service": name,
            "id": f"{name}-1",
            "address": "10.9.9.9",
            "port": 8001,
            "tags": ["blue"],
            "meta": {"a": "1", "b": "2"},
            "tagged_addresses": {"lan": {"address": "10.1.1.1", "port": 81}},
            "weights": {"passing": 3, "warning": 2},
            "status": "passing",
        }
    ]
    # A change is there at once, and so is the next one.
    for number in (3, 4, 5):
        register(consul, name, number)
        changed = time.monotonic()
        wait_item(instance, f"service/{name}", lambda found, number=number: f"{name}-{number}" in ids(found))
        assert time.monotonic() - changed < 0.5
    after = item(instance, f"service/{name}")
    assert after["index"] > found["index"]
    assert after["changed"] > found["changed"]
    for number in (1, 3, 4, 5):
        deregister(consul, name, number)
    wait_item(instance, f"service/{name}", lambda found: found["instances"] == [])


def test_kv(consul: Agent, build: Build, watching: Start, name: str) -> None:
    values = {"text": "grün".encode(), "binary": b"\xff\x00\xfe", "empty": b"", "zero": b"a\x00b", "ü/é": b"1"}
    for key, value in values.items():
        consul.put(f"/v1/kv/{urllib.parse.quote(f'{name}/{key}')}", value)
    consul.put(f"/v1/kv/{name}/flags?flags=18446744073709551615", b"x")
    instance = watching(build, {"consul-agent": consul.address, "consul-watch-kv": f"{name}/"})
    listed = wait_item(instance, f"keys/{name}/")
    assert sorted(listed) == ["changed", "index", "keys", "prefix", "stale_since"]
    assert listed["prefix"] == f"{name}/"
    assert listed["keys"] == sorted(f"{name}/{key}" for key in [*values, "flags"])
    text = item(instance, f"kv/{name}/text")
    assert text == {"key": f"{name}/text", "value": "grün", "flags": 0, "index": text["index"], "session": None}
    binary = item(instance, f"kv/{name}/binary")
    assert binary["value"] is None
    assert base64.b64decode(binary["base64"]) == values["binary"]
    assert item(instance, f"kv/{name}/empty")["value"] == ""
    assert item(instance, f"kv/{name}/zero")["value"] == "a\x00b"
    assert item(instance, f"kv/{name}/ü/é")["value"] == "1"
    assert item(instance, f"kv/{name}/flags")["flags"] == 18446744073709551615
    consul.put(f"/v1/kv/{name}/text", b"new")
    changed = time.monotonic()
    wait_item(instance, f"kv/{name}/text", lambda found: found["value"] == "new")
    assert time.monotonic() - changed < 0.5
    session = consul.put("/v1/session/create", {})["ID"]
    consul.put(f"/v1/kv/{name}/text?acquire={session}", b"held")
    wait_item(instance, f"kv/{name}/text", lambda found: found["session"] == session)
    # One is deleted, then all.
    consul.request("DELETE", f"/v1/kv/{name}/text")  # type: ignore[attr-defined]
    wait_for("the key to go", lambda: item(instance, f"kv/{name}/text") is None)
    assert f"{name}/text" not in item(instance, f"keys/{name}/")["keys"]
    consul.request("DELETE", f"/v1/kv/{name}/?recurse")  # type: ignore[attr-defined]
    wait_item(instance, f"keys/{name}/", lambda found: found["keys"] == [])
    assert fetch(instance, "/keys") == ["agent", f"keys/{name}/"]


def test_which_instances(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    register(consul, name, 1, "passing", Tags=["blue", "eu"])
    register(consul, name, 2, "warning", Tags=["blue"])
    register(consul, name, 3, "critical", Tags=["blue"])
    register(consul, name, 4, "passing", Tags=["green"], Meta={"a": "x y, z"})
    consul.put("/v1/catalog/register", {"Node": "node-1", "Address": "10.0.0.1", "SkipNodeUpdate": True,
        "Check": {"CheckID": f"_service_maintenance:{name}-5", "Name": "m", "ServiceID": f"{name}-5", "Status": "critical"},
        "Service": {"ID": f"{name}-5", "Service": name, "Port": 1}})  # fmt: skip
    condition = 'Service.Meta.a == "x y, z"'
    quoted = condition.replace('"', '\\"')
    instance = watching(
        debian,
        {
            "consul-agent": consul.address,
            "consul-watch-service": [
                f"{name},tag=blue",
                f"{name},tag=blue,tag=eu,dc=dc1",
                f"{name},status=warning",
                f"{name},status=any",
                f'{name},filter="{quoted}"',
                f"{name}-none",
            ],
        },
    )

    def found(suffix: str) -> list[str]:
        return ids(wait_item(instance, f"service/{name}{suffix}"))

    assert found("?tag=blue") == [f"{name}-1"]
    assert found("?dc=dc1&tag=blue&tag=eu") == [f"{name}-1"]
    assert found("?status=warning") == [f"{name}-{number}" for number in (1, 2, 4)]
    assert found("?status=any") == [f"{name}-{number}" for number in (5, 1, 2, 3, 4)]
    statuses = {entry["id"]: entry["status"] for entry in item(instance, f"service/{name}?status=any")["instances"]}
    assert statuses[f"{name}-5"] == "maintenance"
    assert statuses[f"{name}-3"] == "critical"
    assert found(f"?filter={condition}") == [f"{name}-4"]
    assert found("-none") == []


def test_query(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    for number in (1, 2, 3):
        register(consul, name, number)
    request(consul, "POST", "/v1/query", {"Name": name, "Service": {"Service": name, "OnlyPassing": True}})
    instance = watching(debian, {"consul-agent": consul.address, "consul-watch-query": f"{name},interval=1s"})
    found = wait_item(instance, f"query/{name}")
    assert sorted(found) == ["changed", "datacenter", "failovers", "instances", "query", "stale_since"]
    assert (found["query"], found["datacenter"], found["failovers"], found["stale_since"]) == (name, "dc1", 0, None)
    assert ids(found) == [f"{name}-{number}" for number in (1, 2, 3)]
    # Consul shuffles what it answers: that is no change.
    assert holds(lambda: bool(item(instance, f"query/{name}") == found), during=3.5)
    deregister(consul, name, 2)
    wait_item(instance, f"query/{name}", lambda found: ids(found) == [f"{name}-1", f"{name}-3"], within=2.0)


def test_agent_item_and_one_agent_after_the_other(consul_agents: Agents, debian: Build, watching: Start, name: str) -> None:
    """The first dies in the middle, the second hangs, then the first is back."""
    first, second = consul_agents(), consul_agents(node="node2")
    for number, agent in enumerate((first, second), 1):
        register(agent, name, number)
    instance = watching(
        debian, {"consul-agent": f"{first.address},{second.address}", "consul-watch-service": name, "consul-timeout": "500ms"}
    )
    wait_item(instance, f"service/{name}", lambda found: ids(found) == [f"{name}-1"])
    state = wait_item(instance, "agent")
    assert sorted(state) == ["agent", "last_contact", "since", "state"]
    assert (state["state"], state["agent"]) == ("connected", first.address)
    first.stop()
    wait_item(instance, f"service/{name}", lambda found: ids(found) == [f"{name}-2"], within=2.0)
    wait_item(instance, "agent", lambda state: state["agent"] == second.address, within=2.0)
    assert item(instance, f"service/{name}")["stale_since"] is None
    assert item(instance, "agent")["since"] == state["since"]
    first.start()
    register(first, name, 3)
    assert second.process
    second.process.send_signal(signal.SIGSTOP)
    wait_item(instance, f"service/{name}", lambda found: ids(found) == [f"{name}-3"])
    assert item(instance, "agent")["agent"] == first.address
    assert lines(instance, "does not answer") == 0
    second.process.send_signal(signal.SIGCONT)


def test_an_answer_whose_index_goes_back_is_asked_for_once_more(debian: Build, watching: Start, name: str) -> None:
    """An agent that loses its servers may answer a query that waits by 200, a lower index and nothing."""
    entry = {"Node": {"Node": "n", "Address": "192.0.2.1"}, "Service": {"ID": name, "Service": name, "Port": 1}, "Checks": []}
    waited: list[float] = []

    class Forgetful(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            waits = "index=" in self.path
            if waits:
                time.sleep(0.1)
                waited.append(time.monotonic())
            body = json.dumps([] if waits else [entry]).encode() if f"/health/service/{name}" in self.path else b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Consul-Index", "5" if waits else "100")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        instance = watching(debian, {"consul-agent": f"127.0.0.1:{server.server_port}", "consul-watch-service": name})
        assert ids(wait_item(instance, f"service/{name}")) == [name]
        assert holds(lambda: ids(item(instance, f"service/{name}")) == [name], during=3.0)
        assert len(waited) > 1
        assert len(waited) < 30, "it must not ask without a rest"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_last_known_good(consul_agents: Agents, build: Build, watching: Start, name: str, how: str) -> None:
    """The only agent is away, and comes back: as it was, or with nothing, and so with an index that goes back."""
    agent = consul_agents()
    for _ in range(50):  # the index of the next life shall be lower
        agent.put("/v1/kv/history", b"x")
    register(agent, name)
    agent.put(f"/v1/kv/{name}/key", b"value")
    instance = watching(
        build,
        {
            "consul-agent": agent.address,
            "consul-watch-service": name,
            "consul-watch-kv": f"{name}/",
            "consul-timeout": "500ms",
        },
    )
    service, keys = wait_item(instance, f"service/{name}"), wait_item(instance, f"keys/{name}/")
    assert agent.process
    agent.process.send_signal(signal.SIGSTOP if how == "stopped" else signal.SIGKILL)
    away = time.time()
    stale = wait_item(instance, f"service/{name}", lambda found: found["stale_since"], within=10.0)
    # The item's times are rounded to a thousandth of a second.
    assert away - 0.001 < stale["stale_since"] < time.time() + 0.001
    assert stale | {"stale_since": None} == service
    assert wait_item(instance, f"keys/{name}/", lambda found: found["stale_since"]) | {"stale_since": None} == keys
    assert item(instance, f"kv/{name}/key")["value"] == "value"
    contact = wait_item(instance, "agent", lambda state: state["state"] == "away")
    assert contact["last_contact"] < contact["since"]
    assert holds(lambda: bool(item(instance, f"service/{name}") == stale), during=2.0)
    if how == "stopped":
        agent.process.send_signal(signal.SIGCONT)
        healed = wait_item(instance, f"service/{name}", lambda found: found["stale_since"] is None)
        assert healed == service
    else:
        agent.process.wait()
        agent.start()
        emptied = wait_item(instance, f"service/{name}", lambda found: not found["instances"])
        assert emptied["index"] < service["index"]
        assert emptied["stale_since"] is None
        wait_item(instance, f"keys/{name}/", lambda found: found["keys"] == [])
        assert item(instance, f"kv/{name}/key") is None
    wait_item(instance, "agent", lambda state: state["state"] == "connected")
    register(agent, name, 7)
    changed = time.monotonic()
    wait_item(instance, f"service/{name}", lambda found: f"{name}-7" in ids(found))
    assert time.monotonic() - changed < 0.5
    assert lines(instance, "does not answer") == 1
    assert lines(instance, "Consul answers again") == 1


def test_no_busy_loop(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    """A service that changes all the time, and an agent that answers at once although nothing has changed."""
    with recorder(consul) as (address, seen):
        register(consul, name)
        instance = watching(debian, {"consul-agent": address, "consul-watch-service": name})
        wait_item(instance, f"service/{name}")
        before, began = paths(seen, "/v1/health/"), time.monotonic()
        number = 0
        while time.monotonic() - began < 2.0:
            register(consul, name, number := number + 1)
        elapsed = time.monotonic() - began
        asked = paths(seen, "/v1/health/") - before
        assert number > 60
        assert 4 < asked <= 20 * elapsed + 2
        wait_item(instance, f"service/{name}", lambda found: f"{name}-{number}" in ids(found))

    def same(path: str) -> tuple[int, bytes] | None:
        return (200, b"[]") if path.startswith("/v1/health/") else None

    with recorder(consul, instead=same) as (address, seen):
        watching(debian, {"consul-agent": address, "consul-watch-service": name})
        wait_for("the first", lambda: paths(seen, "/v1/health/") >= 1)
        before = paths(seen, "/v1/health/")
        assert holds(lambda: paths(seen, "/v1/health/") - before < 8, during=3.0)
        indexes = [urllib.parse.parse_qs(entry["path"]).get("index") for entry in seen if entry["path"].startswith("/v1/health/")]
        assert indexes[0] is None
        assert ["0"] not in indexes


def test_at_rest(consul_agents: Callable[..., Agent], debian: Build, watching: Start, name: str) -> None:
    """What waits does not ask: only whether there is anybody is asked, each five seconds.

    The agent is its own, since a query for a service that is not there ends whenever any other service of the datacenter changes.
    """
    with recorder(consul_agents()) as (address, seen):
        instance = watching(debian, {"consul-agent": address, "consul-watch-service": name, "consul-watch-kv": f"{name}/"})
        instance.wait_agent_process(1)
        wait_item(instance, f"keys/{name}/")
        own = ("/v1/health/", "/v1/kv/")

        def waiting() -> list[str]:
            return [entry["path"] for entry in seen if "index=" in entry["path"]]

        wait_for("the queries that wait", lambda: {path[: path.index("/", 4) + 1] for path in waiting()} == set(own))
        before, began = len(seen), time.monotonic()
        # A query waits for up to a minute: of both together, one more may come.
        assert holds(lambda: sum(entry["path"].startswith(own) for entry in seen[before:]) <= 2, during=20.0, every=0.2)
        others = [entry["path"] for entry in seen[before:] if not entry["path"].startswith(own)]
        assert set(others) == {"/v1/status/leader"}
        assert len(others) <= (time.monotonic() - began) / 5 + 2


def request(agent: Agent, method: str, path: str, body: Any = None) -> Any:
    return agent.request(method, path, body)  # type: ignore[attr-defined]


def test_consistency_and_datacenter(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    with recorder(consul) as (address, seen):
        instance = watching(
            debian,
            {
                "consul-agent": address,
                "consul-consistency-mode": "stale",
                "consul-datacenter": "dc1",
                "consul-watch-service": [name, f"{name},dc=nowhere"],
                "consul-watch-kv": f"{name}/ü b/",
            },
        )
        wait_item(instance, f"service/{name}")
        wait_item(instance, f"keys/{name}/ü b/")
        instance.wait_log(f"service/{name}\\?dc=nowhere: agent .* answers 500: No path to datacenter")
        # The fetch before the app is loaded has told of it too.
        assert holds(lambda: lines(instance, f"service/{name}?dc=nowhere: agent") == 1, during=1.0)
        asked = [urllib.parse.urlsplit(entry["path"]) for entry in seen]
        plain = [parts for parts in asked if "wait=" not in parts.query]
        assert {parts.query for parts in plain if parts.path == f"/v1/kv/{name}/%C3%BC%20b/"} == {"recurse&dc=dc1&stale"}
        assert {parts.query for parts in plain if parts.path == f"/v1/health/service/{name}"} == {
            "passing=1&dc=dc1&stale",
            "passing=1&dc=nowhere&stale",
        }


def keys_for(*keys: str) -> dict[str, str]:
    return {"WATCH_KEYS": json.dumps(keys)}


def at_import(instance: Instance) -> dict[str, Any]:
    return {key: None if text is None else json.loads(text) for key, text in fetch(instance, "/import").items()}


@pytest.mark.parametrize("lazy", [False, True])
def test_prefetch(consul: Agent, build: Build, watching: Start, name: str, lazy: bool) -> None:
    """What an app reads when it is imported is there."""
    for number in (1, 2):
        register(consul, name, number)
    consul.put(f"/v1/kv/{name}/key", b"value")
    request(consul, "POST", "/v1/query", {"Name": name, "Service": {"Service": name}})
    keys = [f"service/{name}", f"kv/{name}/key", f"keys/{name}/", f"query/{name}", "agent"]
    options: Options = {
        "consul-agent": consul.address,
        "consul-watch-service": name,
        "consul-watch-kv": f"{name}/",
        "consul-watch-query": name,
        "lazy-apps": str(lazy).lower(),
    }
    instance = watching(build, options, environment=keys_for(*keys))
    read = at_import(instance)
    assert ids(read[f"service/{name}"]) == [f"{name}-1", f"{name}-2"]
    assert read[f"kv/{name}/key"]["value"] == "value"
    assert read[f"keys/{name}/"]["keys"] == [f"{name}/key"]
    assert len(read[f"query/{name}"]["instances"]) == 2
    assert read["agent"]["state"] == "connected"
    assert "the app starts without" not in instance.text()
    # The same content is the same item: nothing has changed since.
    assert item(instance, f"service/{name}") == read[f"service/{name}"]


def test_prefetch_does_not_wait_for_ever(debian: Build, watching: Start, name: str) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        instance = watching(debian, {"consul-agent": address, "consul-timeout": "700ms", "consul-watch-service": [name, f"{name},tag=a"]})
        assert fetch(instance, "/", f"service/{name}") is None
        assert 0.7 < time.monotonic() - began < 4.0
        assert lines(instance, "the app starts without a usable answer for") == 1
        instance.wait_log(f"the app starts without a usable answer for service/{name}, service/{name}\\?tag=a \\(7")
        wait_item(instance, "agent", lambda state: state["state"] == "away" and state["last_contact"] is None)


def test_prefetch_says_why_there_is_nothing(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    def refuse(path: str) -> tuple[int, bytes] | None:
        return (403, b"Permission denied") if path.startswith("/v1/kv/") else None

    with recorder(consul, instead=refuse) as (address, _):
        instance = watching(debian, {"consul-agent": address, "consul-watch-service": name, "consul-watch-kv": [f"{name}/a", f"{name}/b"]})
        instance.wait_log(
            f"the app starts without a usable answer for keys/{name}/a, keys/{name}/b "
            rf"\(\d+ ms were waited, consul-timeout is 2000 ms\): agent {address} answers 403: Permission denied"
        )


def test_each_outage_has_its_own_reason(consul_agents: Agents, debian: Build, watching: Start, name: str) -> None:
    """The probe has found out why the first time; then another's request finds that it is over, and that it begins again."""
    agent = consul_agents()
    instance = watching(
        debian,
        {
            "consul-agent": agent.address,
            "consul-timeout": "500ms",
            "consul-watch-service": name,
            "consul-service-name": f"{name}-own",
            "consul-check-ttl": "1s",
        },
    )
    wait_state(agent, f"{name}-own", "passing")
    for number in range(1, 4):
        agent.stop()
        wait_for("the outage in the log", lambda number=number: lines(instance, "watches: agent") == 2 * number - 1)
        agent.start()
        wait_for("the end of it", lambda number=number: lines(instance, "watches: Consul answers again") == 2 * number - 1)
        wait_item(instance, f"service/{name}", lambda found: not found["stale_since"])
        assert agent.process
        agent.process.send_signal(signal.SIGSTOP)
        wait_for("the next outage in the log", lambda number=number: lines(instance, "watches: agent") == 2 * number)
        agent.process.send_signal(signal.SIGCONT)
        wait_for("the end of that", lambda number=number: lines(instance, "watches: Consul answers again") == 2 * number)
    reasons = re.findall(r"watches: agent \S+ does not answer: (.*); what is known stays", instance.text())
    assert len(reasons) == 6
    assert len(set(reasons[::2]) & set(reasons[1::2])) == 0, reasons


def sealed(records: bytes, seals: int = 15) -> list[str]:
    """Runs a command with records of an earlier life, in a file that the kernel has sealed against execution."""
    script = f"""
import ctypes, fcntl, os, sys
libc = ctypes.CDLL(None, use_errno=True)
file = libc.memfd_create(b"consul cache", 2 | 8)  # allow sealing; no execution, as vm.memfd_noexec=1 has it for all
if file < 0:
    sys.exit("memfd_create: " + os.strerror(ctypes.get_errno()))
os.write(file, {records!r})
fcntl.fcntl(file, 1033, {seals})
print("seals", fcntl.fcntl(file, 1034), flush=True)
kept = fcntl.fcntl(file, fcntl.F_DUPFD, 50)
os.environ["CONSUL_PLUGIN_CACHE"] = str(kept)
os.close(file)
os.execvp(sys.argv[1], sys.argv[1:])
"""
    return [sys.executable, "-c", script]


@pytest.mark.parametrize("complete", [True, False])
def test_handover_sealed_by_the_kernel(debian: Build, watching: Start, name: str, complete: bool) -> None:
    """One that still could be changed is refused, and nobody inherits it."""
    key = f"service/{name}".encode()
    text = json.dumps({"service": name, "index": 1}).encode()
    records = struct.pack("QQ", len(key), len(text)) + key + text
    instance = watching(
        debian,
        {"consul-agent": f"127.0.0.1:{free_port()}", "consul-watch-service": name},
        wrapper=sealed(records, 15 if complete else 2),
        environment=keys_for(f"service/{name}"),
    )
    assert instance.wait_log(r"^seals (\d+)").group(1) == ("47" if complete else "34")
    assert at_import(instance)[f"service/{name}"] == ({"service": name, "index": 1} if complete else None)
    instance.wait_agent_process(1)
    assert inherited(instance) == []


def test_first_answer_late_is_no_change(consul_agents: Agents, debian: Build, watching: Start, name: str) -> None:
    agent = consul_agents()
    agent.stop()
    instance = watching(
        debian, {"consul-agent": agent.address, "consul-timeout": "300ms", "consul-watch-service": f"{name},on-change=reload"}
    )
    assert fetch(instance, "/", f"service/{name}") is None
    agent.start()
    register(agent, name)
    # It may come before the registration, which then is a change.
    wait_item(instance, f"service/{name}")
    assert instance.text().count("has changed") <= 1


def inherited(instance: Instance) -> list[str]:
    """Files without a name that any process of the instance holds open."""
    found = []
    for pid in [instance.process.pid, *instance.workers.values(), instance.agent_process]:
        with contextlib.suppress(FileNotFoundError):
            found += [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return [entry for entry in found if "memfd:" in entry]


def test_last_known_good_over_a_reload(consul_agents: Agents, build: Build, watching: Start, name: str) -> None:
    """The reload happens while no agent answers, and some of the watches are gone after it."""
    agent = consul_agents()
    register(agent, name)
    agent.put(f"/v1/kv/{name}/key", b"value")
    agent.put(f"/v1/kv/{name}-other/key", b"value")
    keys = [f"service/{name}", f"kv/{name}/key", f"keys/{name}/", f"kv/{name}-other/key"]
    options = {
        "consul-agent": agent.address,
        "consul-timeout": "500ms",
        "processes": 1,  # one that has answered can't miss that it is told to end
        "consul-watch-service": f"{name},on-change=touch:touched",
        "consul-watch-kv": [f"{name}/", f"{name}-other/"],
    }
    instance = watching(build, options, environment=keys_for(*keys))
    before = at_import(instance)
    assert all(before.values())
    instance.wait_agent_process(1)
    agent.stop()
    wait_item(instance, f"service/{name}", lambda found: found["stale_since"])
    stale = item(instance, f"service/{name}")
    configuration = instance.directory / "uwsgi.ini"
    configuration.write_text(configuration.read_text().replace(f"consul-watch-kv = {name}-other/\n", ""))
    for life in (2, 3):
        instance.signal(signal.SIGHUP)
        instance.wait_agent_process(life)
        after = at_import(instance)
        assert after[f"service/{name}"] == stale
        assert after[f"kv/{name}/key"] == before[f"kv/{name}/key"]
        assert after[f"keys/{name}/"]["keys"] == [f"{name}/key"]
        assert after[f"kv/{name}-other/key"] is None
        assert inherited(instance) == []
        assert not [variable for variable in fetch(instance, "/environ") if "PLUGIN" in variable]
        assert fetch(instance, "/keys") == sorted(["agent", f"service/{name}", f"kv/{name}/key", f"keys/{name}/"])
    assert "the app starts without" not in instance.text()
    assert "has changed" not in instance.text()
    agent.start()  # with nothing in it
    wait_item(instance, f"service/{name}", lambda found: found["instances"] == [] and found["stale_since"] is None)
    wait_for("the key to go", lambda: item(instance, f"kv/{name}/key") is None)
    assert lines(instance, f"service/{name} has changed") == 1


def test_reload_with_consul_fetches_anew(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    register(consul, name, 1)
    instance = watching(
        debian,
        {"consul-agent": consul.address, "consul-watch-service": name, "consul-service-name": f"{name}-own"},
        environment=keys_for(f"service/{name}"),
    )
    wait_state(consul, f"{name}-own", "passing")
    before = item(instance, f"service/{name}")
    instance.signal(signal.SIGHUP)
    instance.wait_agent_process(2)
    assert at_import(instance)[f"service/{name}"] == before
    register(consul, name, 2)
    wait_item(instance, f"service/{name}", lambda found: len(found["instances"]) == 2)
    # The process from before watches no longer, and ends.
    wait_for("one agent process", lambda: len(re.findall(r"agent process started \(pid (\d+)", instance.text())) == 2)
    first = int(re.findall(r"agent process started \(pid (\d+)", instance.text())[0])
    wait_for("the old agent process to end", lambda: not alive(first))


def in_threads(work: Callable[[int], object], count: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(count)]:
            done.result()


def put_many(agent: Agent, operations: list[dict[str, Any]]) -> None:
    """In transactions of 64, Consul's most."""
    in_threads(lambda number: agent.put("/v1/txn", operations[64 * number : 64 * number + 64]), (len(operations) + 63) // 64)


def register_many(agent: Agent, name: str, count: int) -> None:
    for number in range(100):
        agent.put("/v1/catalog/register", {"Node": f"many-{number}", "Address": f"10.1.0.{number}"})
    instances = [
        {
            "Service": {
                "Verb": "set",
                "Node": f"many-{number % 100}",
                "Service": {
                    "ID": f"{name}-{number}",
                    "Service": name,
                    "Port": 10000 + number,
                    "Tags": ["blue"],
                    "Meta": {"note": "n" * 200},
                },
            }
        }
        for number in range(count)
    ]
    put_many(agent, instances)


def memory(pid: int, kind: str = "Anon") -> int:
    """kB of a process that are its own, or (`Shmem`) that the instance shares and it has touched."""
    return int(Path(f"/proc/{pid}/status").read_text().split(f"Rss{kind}:")[1].split()[0])


def test_ten_thousand_instances_and_five_megabytes(consul_agents: Agents, debian: Build, watching: Start, name: str) -> None:
    agent = consul_agents({"limits": {"txn_max_req_len": 10_000_000}})
    instance = watching(
        debian,
        {"consul-agent": agent.address, "consul-watch-service": name, "consul-watch-kv": f"{name}/", "consul-service-name": f"{name}-own"},
    )
    wait_state(agent, f"{name}-own", "passing")
    before = memory(instance.agent_process)
    register_many(agent, name, 10_000)
    value = base64.b64encode(b"x" * 512).decode()
    put_many(agent, [{"KV": {"Verb": "set", "Key": f"{name}/{number:05d}", "Value": value}} for number in range(10_000)])
    found = wait_item(instance, f"service/{name}", lambda found: len(found["instances"]) == 10_000, within=60.0)
    assert len(json.dumps(found)) > 5_000_000
    wait_item(instance, f"keys/{name}/", lambda found: len(found["keys"]) == 10_000, within=60.0)
    assert item(instance, f"kv/{name}/09999")["value"] == "x" * 512
    agent.put(f"/v1/kv/{name}/00500", b"changed")
    changed = time.monotonic()
    wait_item(instance, f"kv/{name}/00500", lambda found: found["value"] == "changed")
    assert time.monotonic() - changed < 3.0
    assert item(instance, f"service/{name}")["instances"][7777]["status"] == "passing"
    assert "not in the cache" not in instance.text()
    # What an answer needs is given back.
    wait_for("the memory to be given back", lambda: memory(instance.agent_process) - before < 2048)
    # The next life gets all of it.
    instance.signal(signal.SIGHUP)
    instance.wait_agent_process(2, within=30.0)
    assert len(item(instance, f"service/{name}")["instances"]) == 10_000
    assert item(instance, f"kv/{name}/00500")["value"] == "changed"


def test_an_unused_cache_costs_nothing(consul: Agent, build: Build, watching: Start, name: str) -> None:
    plain = watching(build, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    instance = watching(
        build,
        {
            "consul-agent": consul.address,
            "consul-service-name": f"{name}-watching",
            "consul-watch-service": name,
            "consul-watch-kv": f"{name}/",
        },
    )
    wait_state(consul, f"{name}-watching", "passing")
    wait_item(instance, f"service/{name}")

    assert memory(instance.process.pid, "Shmem") - memory(plain.process.pid, "Shmem") < 1024
    assert memory(instance.agent_process) - memory(plain.agent_process) < 512


def test_refused(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    """A cache of the user's own that is too small for some of it."""
    consul.put(f"/v1/kv/{name}/small", b"first")
    consul.put(f"/v1/kv/{name}/large", b"first")
    instance = watching(
        debian,
        {
            "cache2": "name=mine,items=20,keysize=64,blocksize=1024",
            "consul-cache": "mine",
            "consul-agent": consul.address,
            "consul-watch-kv": f"{name}/",
        },
        environment={"WATCH_CACHE": "mine"},
    )
    wait_item(instance, f"kv/{name}/large")
    assert instance.text().count('Cache "') == 1
    consul.put(f"/v1/kv/{name}/large", b"x" * 2000)
    line = instance.wait_log(f"kv/{name}/large: not in the cache, what was there before stays: .*would help").group()
    assert re.search(r"it has 2\d{3} bytes, an item 1024 at most; more blocks and bitmap=1 in cache2 = name=mine,...", line)
    consul.put(f"/v1/kv/{name}/small", b"second")
    wait_item(instance, f"kv/{name}/small", lambda found: found["value"] == "second")
    assert item(instance, f"kv/{name}/large")["value"] == "first"
    assert lines(instance, "not in the cache") == 1
    # It fits again; then comes what does not for another reason.
    consul.put(f"/v1/kv/{name}/large", b"third")
    wait_item(instance, f"kv/{name}/large", lambda found: found["value"] == "third")
    consul.put(f"/v1/kv/{name}/{'k' * 64}", b"1")
    instance.wait_log("k: not in the cache: a key has 64 bytes at most there; a greater keysize in cache2 = name=mine,... would help")
    consul.request("DELETE", f"/v1/kv/{name}/{'k' * 64}")  # type: ignore[attr-defined]
    wait_for("the list without it", lambda: len(item(instance, f"keys/{name}/")["keys"]) == 2)
    for number in range(30):
        consul.put(f"/v1/kv/{name}/{number}", b"1")
    instance.wait_log(r"for which no room is left .*; more items and blocks in cache2 = name=mine,... would help")
    assert 1 <= lines(instance, "no room is left") <= 2


def test_same_keys_are_a_mistake(consul: Agent, debian: Build, start: Start, name: str) -> None:
    def complaint(**options: Any) -> str:
        instance = start(debian, {"consul-agent": consul.address} | {key.replace("_", "-"): value for key, value in options.items()})
        assert instance.wait() == 1
        return "\n".join(line for line in instance.text().splitlines() if "[consul]" in line)

    text = complaint(consul_watch_service=["web,tag=a", "web", "web,tag=a,status=passing"])
    assert "consul-watch-service = web: another watch has the same key in the cache, service/web?tag=a" in text
    text = complaint(consul_watch_query=["web", "web,interval=2s"])
    assert "consul-watch-query = web: another watch has the same key in the cache, query/web" in text
    text = complaint(consul_watch_kv=["a/", "a/b,dc=dc2"])
    assert "consul-watch-kv = a/b: another watch has the same keys in another datacenter" in text
    text = complaint(consul_watch_kv="uwsgi/,on-change=reload", consul_election="e")
    assert "consul-watch-kv = uwsgi/: the key of consul-election lies under it" in text


def test_on_change_touch_and_signal(consul: Agent, debian: Build, watching: Start, name: str, tmp_path: Path) -> None:
    raised, touched = tmp_path / "raised", tmp_path / "touched"
    instance = watching(
        debian,
        {
            "consul-agent": consul.address,
            "consul-watch-kv": [
                f"{name}/t,on-change=touch:{touched}",
                f"{name}/s,on-change=signal:7",
                f"{name}/b,on-change=touch:/nowhere/x",
            ],
        },
        environment={"WATCH_SIGNAL": str(raised)},
    )
    wait_item(instance, f"keys/{name}/s")
    instance.wait_agent_process(1)
    wait_item(instance, "agent", lambda state: state["state"] == "connected")
    assert not touched.exists()
    consul.put(f"/v1/kv/{name}/t", b"1")
    wait_for("the file", touched.exists, within=2.0)
    first = touched.stat().st_mtime_ns
    consul.put(f"/v1/kv/{name}/t", b"2")
    wait_for("the file anew", lambda: touched.stat().st_mtime_ns > first, within=2.0)
    consul.put(f"/v1/kv/{name}/s", b"1")
    wait_for("the signal", lambda: raised.exists() and raised.read_text() == "7\n", within=4.0)
    consul.put(f"/v1/kv/{name}/b", b"1")
    instance.wait_log(f"keys/{name}/b has changed, but /nowhere/x can't be touched: No such file")
    assert lines(instance, f"keys/{name}/t has changed, {touched} is touched") == 2
    assert lines(instance, f"keys/{name}/s has changed, signal 7 is raised") == 1


def test_on_change_reload(consul: Agent, build: Build, watching: Start, name: str) -> None:
    """At once, but not again before ten seconds are over, and never without the last change."""
    consul.put(f"/v1/kv/{name}", b"0")
    instance = watching(
        build,
        {"consul-agent": consul.address, "consul-watch-kv": f"{name},on-change=reload"},
        environment=keys_for(f"kv/{name}"),
    )
    wait_item(instance, f"kv/{name}")
    instance.wait_agent_process(1)
    assert holds(lambda: "has changed" not in instance.text(), during=1.0)
    changed = time.monotonic()
    consul.put(f"/v1/kv/{name}", b"1")
    instance.wait_agent_process(2, within=5.0)
    assert time.monotonic() - changed < 5.0
    assert at_import(instance)[f"kv/{name}"]["value"] == "1"
    second = time.monotonic()
    for number in range(2, 8):
        consul.put(f"/v1/kv/{name}", str(number).encode())
        wait_item(instance, f"kv/{name}", lambda found, number=number: found["value"] == str(number))
    instance.wait_agent_process(3, within=20.0)
    assert time.monotonic() - second > 8.0
    wait_for("the last change", lambda: at_import(instance)[f"kv/{name}"]["value"] == "7")
    assert lines(instance, f"keys/{name} has changed, the instance will be reloaded") == 2
    waits = [float(seconds) for seconds in re.findall(r"the reload follows in ([0-9.]+) s, since two are at least 10 s", instance.text())]
    assert len(waits) == 1
    assert 0 < waits[0] < 10
    assert holds(lambda: instance.text().count("agent process started") == 3, during=2.0)


def test_app_with_a_decimal_comma(consul_agents: Agents, build: Build, watching: Start, name: str, tmp_path: Path) -> None:
    """The app sets its locale in the master, of which the agent process is forked."""
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")], check=True, capture_output=True)
    agent = consul_agents()
    agent.put(f"/v1/kv/{name}", b"0")
    touched = tmp_path / "touched"
    instance = watching(
        build,
        {"consul-agent": agent.address, "consul-timeout": "300ms", "consul-watch-kv": f"{name},on-change=touch:{touched}"},
        environment={"WATCH_LOCALE": "de_DE.UTF-8", "LOCPATH": str(tmp_path)},
    )
    instance.wait_agent_process(1)
    assert fetch(instance, "/locale") == "0,5"
    first = wait_item(instance, f"keys/{name}")
    agent.put(f"/v1/kv/{name}", b"1")
    after = wait_item(instance, f"keys/{name}", lambda found: found["index"] > first["index"])
    assert time.time() - 60 < first["changed"] < after["changed"] < time.time() + 0.001
    wait_for("the file", touched.exists)
    assert agent.process
    agent.process.send_signal(signal.SIGSTOP)
    stale = wait_item(instance, f"keys/{name}", lambda found: found["stale_since"])
    assert after["changed"] < stale["stale_since"] < time.time() + 0.001
    state = wait_item(instance, "agent", lambda state: state["state"] == "away")
    assert time.time() - 60 < state["last_contact"] < state["since"] < time.time()
    agent.process.send_signal(signal.SIGCONT)
    assert wait_item(instance, f"keys/{name}", lambda found: not found["stale_since"]) == after


def test_stale_is_no_change(consul_agents: Agents, debian: Build, watching: Start, name: str, tmp_path: Path) -> None:
    agent = consul_agents()
    register(agent, name)
    touched = tmp_path / "touched"
    instance = watching(
        debian, {"consul-agent": agent.address, "consul-timeout": "300ms", "consul-watch-service": f"{name},on-change=touch:{touched}"}
    )
    wait_item(instance, f"service/{name}")
    assert agent.process
    agent.process.send_signal(signal.SIGSTOP)
    wait_item(instance, f"service/{name}", lambda found: found["stale_since"])
    agent.process.send_signal(signal.SIGCONT)
    wait_item(instance, f"service/{name}", lambda found: not found["stale_since"])
    assert not touched.exists()


def test_agent_process_killed_while_it_writes(consul: Agent, build: Build, watching: Start, name: str) -> None:
    """Again and again, while a large item is replaced all the time and workers read it: nobody hangs, nothing is torn."""
    key = f"{name}/large"

    def put(number: int) -> None:
        consul.put(f"/v1/kv/{key}", f"{number}-".encode() + b"x" * 400_000)

    put(0)
    instance = watching(build, {"consul-agent": consul.address, "consul-watch-kv": f"{name}/", "processes": 3})
    wait_item(instance, f"kv/{key}")
    stop, last, results = threading.Event(), [0], []

    def write() -> None:
        while not stop.is_set():
            last[0] += 1
            put(last[0])

    def read() -> None:
        while not stop.is_set():
            results.append(fetch(instance, "/read", f"kv/{key}", within=30.0))

    threads = [threading.Thread(target=work) for work in (write, read, read)]
    for thread in threads:
        thread.start()
    try:
        for count in range(1, 6):
            instance.wait_agent_process(count, within=60.0)
            known = item(instance, f"kv/{key}")["index"]
            wait_item(instance, f"kv/{key}", lambda found, known=known: found["index"] > known, within=30.0)
            os.kill(instance.agent_process, signal.SIGKILL)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    wait_item(instance, f"kv/{key}", lambda found: found["value"].startswith(f"{last[0]}-"), within=30.0)
    assert sum(count for count, _ in results) > 100
    assert sum(torn for _, torn in results) == 0


def hangs(instance: Instance, key: str) -> bool:
    """Whether a reader waits for the lock of the cache."""
    try:
        fetch(instance, "/", key, within=0.5)
    except TimeoutError:
        return True
    return False


def test_agent_process_killed_while_it_holds_the_lock(consul: Agent, build: Build, watching: Start, name: str) -> None:
    """The core finds such locks, but by itself it can't free one that was held to write."""
    prefixes = [f"{name}/{letter}" for letter in "abcd"]
    for prefix in prefixes:
        consul.put(f"/v1/kv/{prefix}", b"x")
    instance = watching(build, {"consul-agent": consul.address, "consul-watch-kv": prefixes, "processes": 4})
    for prefix in prefixes:
        wait_item(instance, f"keys/{prefix}")
    instance.wait_agent_process(1)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for prefix in prefixes:
                consul.put(f"/v1/kv/{prefix}", f"{number}-".encode() + b"x" * 500_000)

    writer = threading.Thread(target=write)
    writer.start()
    first = instance.agent_process

    def stopped_with_the_lock() -> bool:
        os.kill(first, signal.SIGSTOP)
        if hangs(instance, f"kv/{prefixes[0]}"):
            return True
        os.kill(first, signal.SIGCONT)
        return False

    try:
        wait_for("a moment at which the lock is held", stopped_with_the_lock, within=60.0, every=0.003)
        assert hangs(instance, f"kv/{prefixes[0]}")
        os.kill(first, signal.SIGKILL)
        instance.wait_log("was holding lock cache_consul", within=5.0)
        assert item(instance, f"kv/{prefixes[0]}")["value"].endswith("x")
        instance.wait_agent_process(2)
    finally:
        stop.set()
        writer.join()
    consul.put(f"/v1/kv/{prefixes[3]}", b"last")
    wait_item(instance, f"kv/{prefixes[3]}", lambda found: found["value"] == "last")
    assert lines(instance, "does not let go") == 0


@contextlib.contextmanager
def stuck_reader(agent: Agent, instance: Instance, name: str, large: str) -> Iterator[int]:
    """A worker that is stopped while it reads the large item, and so holds the lock: nothing can be stored."""
    flag = instance.directory / "hold"
    flag.touch()
    with contextlib.closing(socket.create_connection(("127.0.0.1", instance.port))) as connection:
        connection.sendall(f"GET /hold?{urllib.parse.quote(large, safe='')} HTTP/1.0\r\n\r\n".encode())
        worker = max(instance.workers.values(), key=processor_time_soon)
        count = 0

        def stopped_with_the_lock() -> bool:
            nonlocal count
            count += 1
            os.kill(worker, signal.SIGSTOP)
            agent.put(f"/v1/kv/{name}", str(count).encode())
            until = time.monotonic() + 0.7
            while time.monotonic() < until:
                if item(instance, f"kv/{name}")["value"] == str(count):
                    os.kill(worker, signal.SIGCONT)
                    return False
                time.sleep(0.01)
            return True

        wait_for("a moment at which the lock is held", stopped_with_the_lock, within=60.0, every=0.007)
        try:
            yield worker
        finally:
            flag.unlink()
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)
        # The worker's answer, or its end.
        connection.settimeout(20.0)
        with contextlib.suppress(ConnectionError):
            while connection.recv(4096):
                pass


def processor_time_soon(pid: int) -> int:
    """What a process uses in half a second, in the kernel's ticks."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = used()
    time.sleep(0.5)
    return used() - before


def test_stuck_reader(consul: Agent, debian: Build, watching: Start, name: str, tmp_path: Path) -> None:
    """Only what is watched suffers, and nothing of that is lost: neither a key's end, nor what a change shall do."""
    touched = tmp_path / "touched"
    prefixes = [f"{name}-{letter}" for letter in "abcdefghijkl"]
    for prefix in prefixes:
        consul.put(f"/v1/kv/{prefix}", b"before")
    for part in range(10):
        register_parts(consul, f"{name}-large", part)
    instance = watching(
        debian,
        {
            "consul-agent": consul.address,
            "consul-watch-kv": [f"{prefixes[0]},on-change=touch:{touched}", *prefixes[1:], f"{name}/"],
            "consul-watch-service": f"{name}-large",
            "consul-service-name": f"{name}-own",
            "consul-check-ttl": "3s",
        },
    )
    wait_state(consul, f"{name}-own", "passing")
    consul.put(f"/v1/kv/{name}/probe", b"0")
    wait_item(instance, f"kv/{name}/probe")
    large = f"service/{name}-large"
    wait_item(instance, large)
    with stuck_reader(consul, instance, f"{name}/probe", large):
        for prefix in prefixes[:-1]:
            consul.put(f"/v1/kv/{prefix}", b"after")
        request(consul, "DELETE", f"/v1/kv/{prefixes[-1]}")
        assert holds(lambda: state(consul, f"{name}-own") == "passing", during=9.0, every=0.1)
        assert lines(instance, "does not let go") == 1
        assert not touched.exists()
    for prefix in prefixes[:-1]:
        wait_item(instance, f"kv/{prefix}", lambda found: found["value"] == "after")
    wait_for("the key to go", lambda: item(instance, f"kv/{prefixes[-1]}") is None)
    wait_for("the file", touched.exists)
    assert lines(instance, "its lock is free again") == lines(instance, "does not let go")
    with stuck_reader(consul, instance, f"{name}/probe", large):
        instance.wait_log("(?s)does not let go.*does not let go", within=15.0)
        began = time.monotonic()
        instance.signal(signal.SIGINT)
        wait_state(consul, f"{name}-own", "absent")
        assert time.monotonic() - began < 1.5 * slowness()


def register_parts(agent: Agent, name: str, part: int) -> None:
    """A tenth of a service whose item is large: to copy it takes a while."""
    for number in range(part * 50, part * 50 + 50):
        register(agent, name, number, node="parts", Meta={f"m{key}": "x" * 500 for key in range(10)})


def test_keys_go_that_no_list_had_room_for(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    keys = [f"{name}/{number:032d}" for number in range(30)]
    for key in keys[:25]:
        consul.put(f"/v1/kv/{key}", b"x")
    instance = watching(
        debian,
        {
            "cache2": "name=mine,items=60,keysize=100,blocksize=1024",
            "consul-cache": "mine",
            "consul-agent": consul.address,
            "consul-watch-kv": f"{name}/",
        },
        environment={"WATCH_CACHE": "mine"},
    )
    wait_item(instance, f"kv/{keys[24]}")
    assert item(instance, f"keys/{name}/") is None
    request(consul, "DELETE", f"/v1/kv/{keys[0]}")
    wait_for("the key to go", lambda: item(instance, f"kv/{keys[0]}") is None)
    # A list that stands, but is an older one.
    for key in keys[5:25]:
        request(consul, "DELETE", f"/v1/kv/{key}")
    wait_item(instance, f"keys/{name}/", lambda found: found["keys"] == keys[1:5])
    for key in keys[5:]:
        consul.put(f"/v1/kv/{key}", b"y")
    wait_item(instance, f"kv/{keys[29]}")
    request(consul, "DELETE", f"/v1/kv/{keys[29]}")
    wait_for("the key to go", lambda: item(instance, f"kv/{keys[29]}") is None)
    assert len(fetch(instance, "/keys")) == 2 + 28


def test_no_empty_cache_is_handed_over(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    """The agent process holds the lock, in the master's name, as the master wants to read."""
    consul.put(f"/v1/kv/{name}/large", b"x")
    instance = watching(debian, {"consul-agent": consul.address, "consul-watch-kv": f"{name}/", "processes": 2})
    wait_item(instance, f"kv/{name}/large")
    instance.wait_agent_process(1)
    first, stop = instance.agent_process, threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            consul.put(f"/v1/kv/{name}/large", f"{number}-".encode() + b"x" * 500_000)

    def stopped_with_the_lock() -> bool:
        os.kill(first, signal.SIGSTOP)
        if hangs(instance, f"kv/{name}/large"):
            return True
        os.kill(first, signal.SIGCONT)
        return False

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for("a moment at which the lock is held", stopped_with_the_lock, within=60.0, every=0.003)
    finally:
        stop.set()
        writer.join()
    try:
        # The worker that waits for the lock is one that can't end by itself.
        for worker in instance.workers.values():
            os.kill(worker, signal.SIGKILL)
        instance.signal(signal.SIGHUP)
        instance.wait_log("the cache could not be handed over", within=20.0)
    finally:
        os.kill(first, signal.SIGCONT)
    instance.wait_agent_process(2)
    wait_item(instance, f"kv/{name}/large")

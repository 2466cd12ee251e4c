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
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Agent, Build, Instance, Options, Start, alive, free_port, holds, wait_for, wait_state
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
if "WATCH_SIGNAL" in os.environ:
    def handle(number):
        with open(os.environ["WATCH_SIGNAL"], "a") as file:
            file.write(f"{number}\\n")
    uwsgi.register_signal(int(os.environ.get("WATCH_SIGNAL_NUMBER", "7")), "worker1", handle)

def application(environ, start_response):
    query = urllib.parse.unquote(environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/import":
        answer = at_import
    elif environ["PATH_INFO"] == "/keys":
        answer = sorted(key if isinstance(key, str) else key.decode() for key in uwsgi.cache_keys(os.environ.get("WATCH_CACHE", "consul")))
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
    assert time.time() - 60 < found["changed"] < time.time()
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
    assert away < stale["stale_since"] < time.time()
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
        assert 10 < asked <= 20 * elapsed + 2
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


def test_at_rest(consul: Agent, debian: Build, watching: Start, name: str) -> None:
    """What waits does not ask: only whether there is anybody is asked, each five seconds."""
    with recorder(consul) as (address, seen):
        instance = watching(debian, {"consul-agent": address, "consul-watch-service": name, "consul-watch-kv": f"{name}/"})
        wait_item(instance, f"keys/{name}/")
        wait_for("the queries that wait", lambda: sum("index=" in entry["path"] for entry in seen) >= 2)
        before = len(seen)
        assert holds(lambda: len(seen) - before <= 2, during=8.0, every=0.2)
        assert {entry["path"] for entry in seen[before:]} == {"/v1/status/leader"}


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
        assert holds(lambda: lines(instance, "No path to datacenter") == 1, during=1.0)
        asked = [urllib.parse.urlsplit(entry["path"]) for entry in seen]
        plain = [parts for parts in asked if "wait=" not in parts.query]
        assert {parts.query for parts in plain if parts.path == f"/v1/kv/{name}/%C3%BC%20b/"} == {"recurse&dc=dc1&stale"}
        assert {parts.query for parts in plain if parts.path == f"/v1/health/service/{name}"} == {
            "passing=1&dc=dc1&stale",
            "passing=1&dc=nowhere&stale",
        }

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

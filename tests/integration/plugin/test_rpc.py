"""The functions that apps call: what they do, what they refuse, and what they do when Consul does not do its part."""

from __future__ import annotations

import base64
import json
import signal
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from polling import slowness, wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.services import instance as library_instance
from ports import free_port

from ..conftest import ConsulAgent
from .conftest import Agent, Build, Start, note, state, wait_state
from .rpc import agent, begin, call, rpc_options

TOO_LONG = "is longer than 65535 bytes, the most that an RPC argument can have"


def raw(consul: Agent, key: str) -> bytes:
    """A key's value, as Consul has it."""
    return base64.b64decode(consul.get(f"/v1/kv/{key}")[0]["Value"] or "")


def has(consul: Agent, key: str) -> bool:
    return key in consul.get("/v1/kv/?keys")


@pytest.fixture
def key(consul: Agent, name: str) -> str:
    """A key that no other test uses, in a datacenter that has at least one."""
    consul.put("/v1/kv/present", b"1")
    return f"keys/{name}"


# ---- keys


def test_keys(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    assert call(app, "consul_get", key) is None
    assert call(app, "consul_set", key, "grün\n") is True
    assert raw(consul, key) == "grün\n".encode()
    entry = consul.get(f"/v1/kv/{key}")[0]
    expected = {"key": key, "value": "grün\n", "flags": 0, "index": entry["ModifyIndex"], "session": None}
    assert call(app, "consul_get", key) == expected
    assert call(app, "consul_get", key, "dc1") == expected
    assert call(app, "consul_set", key, "") is True
    assert call(app, "consul_get", key)["value"] == ""
    consul.put(f"/v1/kv/{key}?flags=18446744073709551615", b"x")
    entry = consul.get(f"/v1/kv/{key}")[0]
    rounded = call(app, "consul_get", key)
    assert (rounded["index"], rounded["value"]) == (entry["ModifyIndex"], "x")
    assert rounded["flags"] == float(entry["Flags"])
    assert call(app, "consul_del", key) is True
    assert not has(consul, key)


def test_delete_with_all_below(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address})
    for below in ("", "/a", "/a/b", "/a b"):
        assert call(app, "consul_set", key + below, "1") is True
    assert call(app, "consul_del", f"{key}/a", "false") is True
    assert [has(consul, key + below) for below in ("", "/a", "/a/b", "/a b")] == [True, False, True, True]
    assert call(app, "consul_del", f"{key}/", "true") is True
    assert [has(consul, key + below) for below in ("", "/a/b", "/a b")] == [True, False, False]


@pytest.mark.parametrize("value", [b"\0", b"a\0b\0", bytes(range(256)), b"\xff" * 65535, b"\0" * 65535])
def test_binary_values(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path, value: bytes) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    assert call(app, "consul_set", key, value) is True
    assert raw(consul, key) == value
    item = call(app, "consul_get", key)
    try:
        assert item["value"] == value.decode()
        assert "base64" not in item
    except UnicodeDecodeError:
        assert item["value"] is None
        assert item["base64"] == consul.get(f"/v1/kv/{key}")[0]["Value"]


@pytest.mark.parametrize("length", [65536, 65537, 100_000, 131_072])
def test_longer_than_an_argument(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path, length: int) -> None:
    """uWSGI hands on the length modulo 65536."""
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    assert call(app, "consul_set", key, "x" * length) == {"error": f"value {TOO_LONG}", "argument": "value"}
    assert call(app, "consul_set", "x" * length, "1") == {"error": f"name {TOO_LONG}", "argument": "name"}
    assert not has(consul, key)


def test_large_answer(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    """Only arguments are limited."""
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address})
    consul.put(f"/v1/kv/{key}", b"y" * 524_288)
    assert call(app, "consul_get", key)["value"] == "y" * 524_288


def test_compare_and_set(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address})
    assert call(app, "consul_set", key, "1", "", "0") is True
    assert call(app, "consul_set", key, "2", "", "0") is False
    index = call(app, "consul_get", key)["index"]
    assert call(app, "consul_set", key, "2", "", str(index - 1)) is False
    assert call(app, "consul_set", key, "2", "", str(index)) is True
    assert raw(consul, key) == b"2"


def test_sessions_and_locks(consul: Agent, build: Build, start: Start, key: str, name: str, tmp_path: Path) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    session = call(app, "consul_session_create", "1s", name, "node1", "serfHealth")
    other = call(app, "consul_session_create")
    found = call(app, "consul_session_info", session)
    assert found == consul.get(f"/v1/session/info/{session}")[0]
    assert (found["Name"], found["Node"], found["NodeChecks"], found["LockDelay"]) == (name, "node1", ["serfHealth"], 10**9)
    listed = {session, other}
    assert listed <= {entry["ID"] for entry in call(app, "consul_session_list")}
    assert listed <= {entry["ID"] for entry in call(app, "consul_session_node", "node1", "dc1")}
    assert call(app, "consul_session_node", "no-such-node") == []
    assert call(app, "consul_set", key, "mine", "", "", session) is True
    assert call(app, "consul_set", key, "its", "", "", other) is False
    assert call(app, "consul_get", key)["session"] == session
    assert call(app, "consul_set", key, "its", "", "", "", other) is False
    assert call(app, "consul_set", key, "free", "", "", "", session) is True
    assert call(app, "consul_get", key) | {"index": 0} == {"key": key, "value": "free", "flags": 0, "index": 0, "session": None}
    assert call(app, "consul_session_destroy", session) is True
    assert call(app, "consul_session_info", session) is None
    assert call(app, "consul_session_destroy", other) is True
    assert "invalid session" in call(app, "consul_set", key, "late", "", "", session)["error"]


# ---- services


def test_services(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    common = {"Name": name, "Meta": {"size": '"größe"'}, "Weights": {"Passing": 3, "Warning": 2}}
    tagged = {"wan": {"Address": "192.0.2.1", "Port": 80}}
    consul.put("/v1/agent/service/register", common | {"ID": f"{name}-1", "Port": 1, "Tags": ["a", "b/c"], "TaggedAddresses": tagged})
    consul.put("/v1/agent/service/register", common | {"ID": f"{name}-2", "Address": "192.0.2.7", "Tags": ["a"]})
    consul.put("/v1/agent/service/register", common | {"ID": f"{name}-3", "Tags": ["a"], "Check": {"TTL": "1m", "Status": "critical"}})
    wait_for("the catalog", lambda: len(consul.get(f"/v1/health/service/{name}")) == 3)
    assert sorted(call(app, "consul_services")[name]) == ["a", "b/c"]
    assert call(app, "consul_services", "dc1").keys() == consul.get("/v1/catalog/services").keys()
    entries = consul.get(f"/v1/health/service/{name}?passing")
    expected: list[dict[str, Any]] = [library_instance(entry, None) for entry in entries]  # type: ignore[arg-type]
    assert len(expected) == 2
    assert call(app, "consul_service", "", name) == expected
    assert [found["id"] for found in call(app, "consul_service", "b/c", name, "dc1")] == [f"{name}-1"]
    assert call(app, "consul_service", "d", name) == []
    assert call(app, "consul_service", "", f"{name}/none") == []


# ---- what is refused

WRONG: list[tuple[list[str | bytes], str]] = [
    (["consul_set", "k"], "consul_set takes 2 to 6 arguments (name, value, dc, cas, acquire, release), not 1"),
    (["consul_set", "k", "v", "", "", "", "", ""], "consul_set takes 2 to 6 arguments (name, value, dc, cas, acquire, release), not 7"),
    (["consul_services", "dc1", "dc1"], "consul_services takes 0 to 1 arguments (dc), not 2"),
    (["consul_get"], "consul_get takes 1 to 2 arguments (name, dc), not 0"),
    (["consul_get", ""], "consul_get, name = : it must not be empty, nor have a part between slashes that is empty, . or .."),
    (["consul_get", "/a"], "consul_get, name = /a: it must not be empty"),
    (["consul_get", "a/../b"], "consul_get, name = a/../b: it must not be empty"),
    (["consul_get", "a//b"], "consul_get, name = a//b: it must not be empty"),
    (["consul_get", "."], "consul_get, name = .: it must not be empty"),
    (["consul_get", b"a\0b"], "consul_get, name = a: it must be UTF-8 text without control characters"),
    (["consul_get", b"a\xff"], "consul_get, name = a?: it must be UTF-8 text without control characters"),
    (["consul_get", "a\nb"], "consul_get, name = a?b: it must be UTF-8 text without control characters"),
    (["consul_get", "k", "no-such-datacenter"], "answers 500: No path to datacenter"),
    (["consul_del", "", "true"], "consul_del, name = : it must not be empty"),
    (["consul_del", "k", "yes"], "consul_del, recurse = yes: true (or 1) and false (or 0) are right"),
    (
        ["consul_set", "k", "v", "", "-1"],
        "consul_set, cas = -1: the key's index as a number is right, or 0 for a key that must not exist yet",
    ),
    (["consul_set", "k", "v", "", "99999999999999999999"], "consul_set, cas = 99999999999999999999: the key's index"),
    (["consul_set", "k", "v", "", "1", "s"], "consul_set, acquire = s: only one of cas, acquire and release is right"),
    (["consul_set", "k", "v", "", "", "s", "s"], "consul_set, release = s: only one of cas, acquire and release is right"),
    (["consul_service", "", ""], "consul_service, name = : it must not be empty"),
    (["consul_session_create", "61s"], "consul_session_create, lock_delay = 61s: a time up to 60s is right, such as 15s, or 0"),
    (["consul_session_create", "soon"], "consul_session_create, lock_delay = soon: a time up to 60s is right, such as 15s, or 0"),
    (
        ["consul_session_create", "", "", "", "a,,b"],
        "consul_session_create, checks = a,,b: the ids of checks are right, separated by commas",
    ),
    (["consul_session_create", "", "", "no-such-node"], "answers 500"),
    (["consul_session_destroy", ""], "consul_session_destroy, id = : it must not be empty"),
    (["consul_session_info", ".."], "consul_session_info, id = ..: it must not be empty"),
    (["consul_health", "good"], "consul_health, state = good: the states are passing, warning and critical"),
    (["consul_health", ""], "consul_health, state = : the states are passing, warning and critical"),
    (["consul_health", "passing", "a\tb"], "consul_health, note = a?b: it must be UTF-8 text without control characters"),
    (["consul_health", "passing", "", "10ms"], "consul_health, ttl = 10ms: a time of 100ms or more is right, such as 30s"),
    (["consul_health", "passing"], "consul_health: this instance registers no service (consul-service-name), whose health could be told"),
]


def test_wrong_arguments(consul: Agent, build: Build, start: Start, tmp_path: Path) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address})
    for (function, *arguments), right in WRONG:
        assert isinstance(function, str)
        said = call(app, function, *arguments)
        assert right in said["error"], (function, arguments)
        assert ("argument" in said) == (" = " in right), said


def test_denied(debian: Build, start: Start, consul_agents: Callable[..., ConsulAgent], tmp_path: Path) -> None:
    token = "5e1d2f30-1111-4222-8333-abcdefabcdef"  # noqa: S105
    acl = {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": token, "agent": token}}}
    closed = ConsulAgent(tmp_path, acl, token=token)
    closed.start()
    try:
        options = {"consul-agent": closed.address}
        stranger = begin(start, debian, tmp_path, options)
        for function, *arguments in (["consul_set", "k", "v"], ["consul_get", "k"], ["consul_session_create"]):
            said = call(stranger, function, *arguments)["error"]
            assert said.startswith(f"agent {closed.address} answers 403: Permission denied")
        assert call(stranger, "consul_services") == {}
        (tmp_path / "token").write_text(token)
        friend = begin(start, debian, tmp_path, options | {"consul-token-file": str(tmp_path / "token")})
        assert call(friend, "consul_set", "k", "v") is True
        assert call(friend, "consul_get", "k")["value"] == "v"
        assert token not in friend.text()
    finally:
        closed.stop()


def send(port: int, modifier2: int, *arguments: str) -> bytes:
    """A call of a function as a stranger makes it."""
    body = b"".join(struct.pack("<H", len(argument)) + argument.encode() for argument in arguments)
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(struct.pack("<BHB", 173, len(body), modifier2) + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("threads", [1, 3])
def test_strangers_at_the_socket(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path, threads: int) -> None:
    port = free_port()
    # Debian's uWSGI takes calls from its sockets only with a plugin for it.
    plugins = [*build.plugins, "rpc", "consul"] if build.name == "debian" else ["consul"]
    options = {"need-plugin": plugins, "socket": f"127.0.0.1:{port}", "threads": threads, "processes": 1, "enable-threads": "true"}
    app = begin(start, build, tmp_path, {"consul-agent": consul.address} | options)
    refusal = "this function is for the app itself: a call that came through a socket is refused"
    if threads > 1:
        # By its own socket an app is a stranger too.
        assert call(app, "consul_set", key, "v", how=f"127.0.0.1:{port}") == {"error": refusal}
    consul.put(f"/v1/kv/{key}", b"secret")
    for modifier2 in (0, 1):
        assert json.loads(send(port, modifier2, "consul_set", key, "stolen")[0 if modifier2 else 4 :]) == {"error": refusal}
        assert b"secret" not in send(port, modifier2, "consul_get", key)
    # Also by way of a function of the app, whose author may not have thought of it.
    assert json.loads(send(port, 1, "mine", key)) == {"error": refusal}
    assert raw(consul, key) == b"secret"
    # The worker that was just asked by a stranger serves its own app, in its thread and in another one.
    assert call(app, "consul_get", key)["value"] == "secret"
    assert call(app, "consul_get", key, how="thread")["value"] == "secret"


def test_between_requests(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    """What a stranger's request left behind in a worker is not taken for the request of a handler that serves none."""
    port, ticks = free_port(), tmp_path / "ticks"
    options = {"consul-agent": consul.address, "socket": f"127.0.0.1:{port}", "need-plugin": ["python3", "rpc", "consul"], "processes": 1}
    begin(start, debian, tmp_path, options | {"master": "true"}, {"TICKS": str(ticks)})
    wait_for("a tick", ticks.exists)
    assert b"refused" in send(port, 1, "consul_get", "present")
    seen = len(ticks.read_text().splitlines())
    wait_for("two more", lambda: len(ticks.read_text().splitlines()) >= seen + 2)
    assert {json.loads(line)["value"] for line in ticks.read_text().splitlines()} == {"1"}


# ---- agents that fail


def test_dead_agent_is_passed_over(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path) -> None:
    """What was certainly not sent can be sent to the next one, whatever it is."""
    app = begin(start, build, tmp_path, {"consul-agent": f"127.0.0.1:{free_port()},{consul.address}", "processes": 1})
    assert call(app, "consul_set", key, "1", "", "0") is True
    assert call(app, "consul_get", key)["value"] == "1"
    assert isinstance(call(app, "consul_session_create"), str)


def test_socket_of_a_dead_agent(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": f"unix://{tmp_path}/none,{consul.address}", "processes": 1})
    assert call(app, "consul_set", key, "1", "", "0") is True


def test_no_agent(debian: Build, start: Start, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    app = begin(start, debian, tmp_path, {"consul-agent": address})
    said = call(app, "consul_set", "k", "v")["error"]
    assert said.startswith(f"agent {address} does not answer: ")
    assert "it may have been done" not in said


def test_hanging_agent(build: Build, start: Start, tmp_path: Path) -> None:
    with agent(None) as hangs, agent(b'[{"Key":"k","Value":null,"Flags":0,"ModifyIndex":7}]') as answers:
        options = {"consul-agent": f"{hangs.address},{answers.address}", "consul-timeout": "500ms", "processes": 1}
        app = begin(start, build, tmp_path, options)
        begun = time.monotonic()
        assert call(app, "consul_get", "k")["value"] == ""
        assert 0.4 < time.monotonic() - begun < 1.0 * slowness()
        assert (hangs.requests, answers.requests) == (["GET /v1/kv/k"], ["GET /v1/kv/k"])
        # The agent that answered last is asked first.
        call(app, "consul_get", "k")
        assert (len(hangs.requests), len(answers.requests)) == (1, 2)


def test_all_agents_hang(debian: Build, start: Start, tmp_path: Path) -> None:
    with agent(None) as one, agent(None) as other:
        options = {"consul-agent": f"{one.address},{other.address}", "consul-timeout": "500ms"}
        app = begin(start, debian, tmp_path, options)
        begun = time.monotonic()
        said = call(app, "consul_get", "k")["error"]
        assert 0.9 < time.monotonic() - begun < 1.5 * slowness()
        assert said.startswith(f"agent {other.address} does not answer: ")


def test_nothing_is_done_twice(build: Build, start: Start, tmp_path: Path) -> None:
    """An agent that took the request and did not answer may have done it."""
    with agent(None) as hangs, agent(b"true") as answers:
        options = {"consul-agent": f"{hangs.address},{answers.address}", "consul-timeout": "500ms", "processes": 1}
        app = begin(start, build, tmp_path, options)
        said = call(app, "consul_set", "k", "v", "", "5")["error"]
        assert said.startswith(f"agent {hangs.address} does not answer: ")
        assert said.endswith("; it may have been done all the same")
        assert (hangs.requests, answers.requests) == (["PUT /v1/kv/k?cas=5"], [])
        # But the next one is not lost in the same way.
        assert call(app, "consul_set", "k", "v", "", "6") is True
        assert (len(hangs.requests), answers.requests) == (1, ["PUT /v1/kv/k?cas=6"])


@pytest.mark.parametrize(
    ("arguments", "times"),
    [
        (["consul_set", "k", "v", "", "5"], 1),
        (["consul_set", "k", "v", "", "", "session"], 1),
        (["consul_set", "k", "v", "", "", "", "session"], 1),
        (["consul_session_create"], 1),
        (["consul_set", "k", "v"], 2),
        (["consul_del", "k"], 2),
        (["consul_session_destroy", "id"], 2),
    ],
)
def test_agent_closes_without_an_answer(debian: Build, start: Start, tmp_path: Path, arguments: list[str], times: int) -> None:
    """On a connection that stood open from a call before, and that libcurl would make again by itself."""
    with agent(b"[]", b"") as closes:
        app = begin(start, debian, tmp_path, {"consul-agent": closes.address, "processes": 1})
        assert call(app, "consul_session_list") == []
        said = call(app, *arguments)["error"]
        assert said.startswith(f"agent {closes.address} does not answer: ")
        assert len(closes.requests) == 1 + times, closes.requests


def test_answer_that_is_none(debian: Build, start: Start, tmp_path: Path) -> None:
    with agent(b"[{}]", b"{", b"[1]", b"7", b'{"ID":1}', b'[{"Key":"k","Value":"!","Flags":0,"ModifyIndex":1}]') as odd:
        app = begin(start, debian, tmp_path, {"consul-agent": odd.address})
        odd_calls = [["consul_get", "k"], ["consul_get", "k"], ["consul_service", "", "s"], ["consul_set", "k", "v"]]
        for function, *arguments in [*odd_calls, ["consul_session_create"], ["consul_get", "k"]]:
            assert call(app, function, *arguments) == {"error": f"agent {odd.address} answers what Consul's API does not have"}


# ---- processes and threads


def test_connections_stay_open(debian: Build, start: Start, tmp_path: Path) -> None:
    with agent(b"[]") as counting:
        app = begin(start, debian, tmp_path, {"consul-agent": counting.address, "processes": 1})
        for _ in range(20):
            assert call(app, "consul_session_list") == []
        assert (len(counting.requests), counting.open, counting.made) == (20, 1, 1)


def test_answers_are_not_waited_for_in_vain(consul: Agent, debian: Build, start: Start, key: str, tmp_path: Path) -> None:
    """One that is there before the waiting begins ends it: nothing else would."""
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address, "processes": 4})

    def took(number: int) -> float:
        begun = time.monotonic()
        call(app, "consul_set", f"{key}/{number}", "v")
        call(app, "consul_get", f"{key}/{number}")
        return time.monotonic() - begun

    with ThreadPoolExecutor(4) as pool:
        waited = [seconds for seconds in pool.map(took, range(500)) if seconds >= 1.0]
    assert len(waited) <= 2, waited  # which a crowded machine does


def test_threads(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path) -> None:
    """Each has its own connection, and its own answer."""
    app = begin(start, build, tmp_path, {"consul-agent": consul.address, "processes": 1, "threads": 8, "enable-threads": "true"})

    def set_and_get(number: int) -> bool:
        mine = f"{key}/{number}"
        return call(app, "consul_set", mine, str(number)) is True and call(app, "consul_get", mine)["value"] == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(set_and_get, range(200)))
    assert call(app, "consul_get", f"{key}/7", how="thread")["value"] == "7"


def test_threads_do_not_wait_for_each_other(debian: Build, start: Start, tmp_path: Path) -> None:
    with agent(None) as hangs:
        options = {"consul-agent": hangs.address, "consul-timeout": "1s", "processes": 1, "threads": 4, "enable-threads": "true"}
        app = begin(start, debian, tmp_path, options)
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: call(app, "consul_get", "k")["error"], range(4)))
        assert len(said) == 4
        assert time.monotonic() - begun < 2.0 * slowness()


def test_thread_that_ends_closes_its_connection(debian: Build, start: Start, tmp_path: Path) -> None:
    with agent(b"[]") as counting:
        app = begin(start, debian, tmp_path, {"consul-agent": counting.address, "processes": 1, "enable-threads": "true"})
        for _ in range(5):
            assert call(app, "consul_session_list", how="thread") == []
        wait_for("no connection", lambda: counting.open == 0)
        assert counting.made == 5


def test_fork_of_a_worker(build: Build, start: Start, tmp_path: Path) -> None:
    """It has a connection of its own: over its parent's, both would read each other's answers."""
    with agent(b"[]") as counting:
        app = begin(start, build, tmp_path, {"consul-agent": counting.address, "processes": 1})
        for how in ("", "fork", "", "fork", ""):
            assert call(app, "consul_session_list", how=how) == []
        assert counting.made == 3


def test_at_import(build: Build, start: Start, tmp_path: Path) -> None:
    """The master has loaded the app; what it leaves open its workers would share."""
    with agent(b'[{"Key":"k","Value":"MQ==","Flags":0,"ModifyIndex":7}]') as counting:
        app = begin(start, build, tmp_path, {"consul-agent": counting.address, "master": "true"}, {"BOOT_KEY": "k"})
        assert call(app, how="boot")["value"] == "1"
        assert counting.made == 1
        wait_for("no connection", lambda: counting.open == 0)


def test_lazy_apps_without_master(consul: Agent, build: Build, start: Start, key: str, tmp_path: Path) -> None:
    consul.put(f"/v1/kv/{key}", b"early")
    options = {"consul-agent": consul.address, "lazy-apps": "true", "processes": 1}
    app = begin(start, build, tmp_path, options, {"BOOT_KEY": key})
    assert call(app, how="boot")["value"] == "early"
    assert call(app, "consul_get", key)["value"] == "early"


def test_too_few_places(debian: Build, start: Start, tmp_path: Path) -> None:
    app = start(debian, rpc_options(debian, tmp_path) | {"rpc-max": 3})
    app.wait_log(r"\[consul\] rpc-max = 3: consul_get and the functions after it have no place, \d+ more are needed")


# ---- the app's own verdict


@pytest.mark.parametrize("lazy", ["false", "true"])
def test_health(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path, lazy: str) -> None:
    options = {"consul-agent": consul.address, "consul-service-name": name, "lazy-apps": lazy, "enable-threads": lazy}
    app = begin(start, build, tmp_path, options)
    wait_state(consul, name, "passing")
    assert call(app, "consul_health", "warning", "queue 80%") is True
    wait_state(consul, name, "warning", within=1.2)
    wait_for("the note", lambda: note(consul, name).startswith("2/2 workers ready"), within=1.2)
    assert note(consul, name).endswith("; app: warning, queue 80%")
    assert call(app, "consul_health", "critical", "größe", how="python") is None
    wait_state(consul, name, "critical", within=1.2)
    assert note(consul, name).endswith("; app: critical, größe")
    assert call(app, how="python", named={"state": "passing"}) is None
    wait_state(consul, name, "passing", within=1.2)
    assert note(consul, name).endswith("; app: passing")


def test_health_the_worse_counts(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    assert call(app, "consul_health", "warning", "queue 80%") is True
    wait_state(consul, name, "warning", within=1.2)
    app.signal(signal.SIGTSTP)
    wait_state(consul, name, "critical", within=1.2)
    assert "suspended" in note(consul, name)
    assert note(consul, name).endswith("; app: warning, queue 80%")
    app.signal(signal.SIGTSTP)
    wait_state(consul, name, "warning", within=3.0)


def test_health_ends(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address, "consul-service-name": name, "consul-check-ttl": "3s"})
    wait_state(consul, name, "passing")
    begun = time.monotonic()
    assert call(app, how="python", named={"state": "critical", "ttl": 2}) is None
    wait_state(consul, name, "critical", within=1.2)
    wait_state(consul, name, "passing", within=4.0)
    assert time.monotonic() - begun >= 2.0
    wait_for("its note to go", lambda: "app:" not in note(consul, name))


def test_health_wrong_in_python(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path) -> None:
    app = begin(start, build, tmp_path, {"consul-agent": consul.address, "consul-service-name": name})
    wait_state(consul, name, "passing")
    said = "consul_health, state = good: the states are passing, warning and critical"
    assert call(app, how="python", named={"state": "good"}) == {"raised": "ValueError", "text": said}
    assert call(app, how="python", named={"state": "passing", "note": "x" * 65536}) == {"raised": "ValueError", "text": f"note {TOO_LONG}"}
    said = "consul_health, ttl = soon: a time of 100ms or more is right, such as 30s, or nothing for until the next call"
    assert call(app, how="python", named={"state": "passing", "ttl": "soon"}) == {"raised": "ValueError", "text": said}
    assert state(consul, name) == "passing"


def test_health_without_a_service(consul: Agent, debian: Build, start: Start, tmp_path: Path) -> None:
    app = begin(start, debian, tmp_path, {"consul-agent": consul.address})
    said = "consul_health: this instance registers no service (consul-service-name), whose health could be told"
    assert call(app, how="python", named={"state": "passing"}) == {"raised": "RuntimeError", "text": said}

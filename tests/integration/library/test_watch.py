# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches of a real Consul: many of them on few connections, no final value missed, restored snapshots."""

from __future__ import annotations

import base64
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from polling import slowness, wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.watch import MAX_CONNECTIONS, Snapshot, Watch, watch

from .watching import Writer, connections, resident

MANY = 100


@pytest.fixture
def start() -> Iterator[Callable[..., Watch]]:
    """Makes watches; all are closed at the end."""
    made: list[Watch] = []

    def begin(address: str, path: str, decode: Callable[..., Any], params: Any = (), **options: Any) -> Watch:
        made.append(watch(Api(agents=address, timeout=20), path, params, decode, **options))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture
def prefix() -> str:
    return f"watch-{uuid.uuid4().hex[:8]}"


def value(answer: Any) -> str | None:
    return None if answer.status == 404 else base64.b64decode(answer.json()[0]["Value"] or "").decode()


def keys(answer: Any) -> dict[str, str]:
    return {} if answer.status == 404 else {one["Key"]: base64.b64decode(one["Value"] or "").decode() for one in answer.json()}


def state(answer: Any) -> list[Any]:
    """Of each instance: port, weights, tags, meta, the node's address and meta, statuses."""
    return [
        (
            one["Service"].get("Port", 0),
            one["Service"]["Weights"],
            one["Service"]["Tags"],
            one["Service"]["Meta"],
            one["Node"]["Address"],
            one["Node"]["Meta"],
            sorted(check["Status"] for check in one["Checks"]),
        )
        for one in answer.json()
    ]


def registration(name: str, port: int = 1000, **more: Any) -> dict[str, Any]:
    node = {"Node": f"node-of-{name}", "Address": "10.0.0.1", "NodeMeta": {"rack": "1"}}
    check = {"CheckID": f"check-of-{name}", "Name": "check", "ServiceID": name, "Status": "passing"}
    service = {"ID": name, "Service": name, "Port": port, "Tags": ["v1"], "Meta": {"a": "b"}, "Weights": {"Passing": 1, "Warning": 1}}
    return {**node, "Service": service, "Check": check, **more}


def test_a_hundred_services_take_ten_connections_and_all_changes_are_seen(
    consul_agents: Callable[..., Any], start: Callable[..., Watch], prefix: str
) -> None:
    agent = consul_agents()
    writer = Writer(agent.address)
    names = [f"{prefix}-{number}" for number in range(MANY)]
    for name in names:
        writer.put("/v1/catalog/register", registration(name))
    watches = {name: start(agent.address, f"/v1/health/service/{name}", state) for name in names}
    for one in watches.values():
        assert len(one.get().value) == 1
    seen: dict[str, float] = {}
    for name, one in watches.items():
        one.on_change(lambda _snapshot, name=name: seen.update({name: time.monotonic()}))
    wait_for("the first calls", lambda: len(seen) == MANY)

    def delay(name: str, wanted: Callable[[Any], bool], **registered: Any) -> float:
        begun = time.monotonic()
        writer.put("/v1/catalog/register", registration(name) | registered)
        wait_for(f"{registered} of {name}", lambda: watches[name].get().value and wanted(watches[name].get().value[0]))
        return time.monotonic() - begun

    delays, most = [], 0
    for name in names[::17]:
        service, check = registration(name)["Service"], registration(name)["Check"]
        changes: list[tuple[Callable[[Any], bool], dict[str, Any]]] = [
            (lambda one: "critical" in one[6], {"Check": check | {"Status": "critical"}}),
            (lambda one: one[6] == ["passing"], {"Check": check}),
            (lambda one: one[0] == 2000, {"Service": service | {"Port": 2000}}),
            (lambda one: one[1]["Passing"] == 7, {"Service": service | {"Weights": {"Passing": 7, "Warning": 1}}}),
            (lambda one: one[2] == ["v2"], {"Service": service | {"Tags": ["v2"]}}),
            (lambda one: one[3] == {"c": "d"}, {"Service": service | {"Meta": {"c": "d"}}}),
            (lambda one: one[4] == "10.0.0.2", {"Address": "10.0.0.2"}),
            (lambda one: one[5] == {"rack": "2"}, {"NodeMeta": {"rack": "2"}}),
        ]
        for wanted, registered in changes:
            delays.append(delay(name, wanted, **registered))
            most = max(most, connections(agent.http_port))
            time.sleep(0.3)
    # One more is the writer's.
    assert most <= MAX_CONNECTIONS + 1
    assert statistics.median(delays) < 0.1 * slowness(), delays
    # All at once: none is forgotten, whatever is skipped in between.
    for port in (3000, 3001):
        for name in names:
            writer.put("/v1/catalog/register", registration(name, port))
    wait_for("all of them", lambda: all(one.get().value[0][0] == 3001 for one in watches.values()))
    for name in names[:50]:
        writer.put("/v1/catalog/deregister", {"Node": f"node-of-{name}"})
    wait_for("those that are gone", lambda: all(not watches[name].get().value for name in names[:50]))
    assert connections(agent.http_port) <= MAX_CONNECTIONS + 1
    for one in watches.values():
        one.close()
    writer.close()
    wait_for("no connection", lambda: not connections(agent.http_port))


def test_many_keys_share_connections_and_deletes_are_seen(consul: Any, start: Callable[..., Watch], prefix: str) -> None:
    writer = Writer(consul.address)
    before = connections(consul.http_port)
    trees = {
        number: start(consul.address, f"/v1/kv/{prefix}/{number}/", keys, params=[("recurse", "1"), ("dc", "dc1")]) for number in range(60)
    }
    assert all(tree.get().value == {} for tree in trees.values())
    for number in trees:
        writer.put(f"/v1/kv/{prefix}/{number}/a/b", b"1")
        writer.put(f"/v1/kv/{prefix}/{number}/c", b"2")
    full = {number: {f"{prefix}/{number}/a/b": "1", f"{prefix}/{number}/c": "2"} for number in trees}
    wait_for("all keys", lambda: all(tree.get().value == full[number] for number, tree in trees.items()))
    assert connections(consul.http_port) - before <= MAX_CONNECTIONS
    writer.delete(f"/v1/kv/{prefix}/7/a/b")
    wait_for("the deleted key", lambda: trees[7].get().value == {f"{prefix}/7/c": "2"})
    writer.delete(f"/v1/kv/{prefix}/?recurse=1")
    wait_for("that all are gone", lambda: not any(tree.get().value for tree in trees.values()))
    writer.put(f"/v1/kv/{prefix}/59/new", b"3")
    wait_for("the key after it", lambda: trees[59].get().value == {f"{prefix}/59/new": "3"})
    writer.close()


def test_while_nothing_changes_nothing_is_done(consul_agents: Callable[..., Any], start: Callable[..., Watch], prefix: str) -> None:
    agent = consul_agents()
    watches = [start(agent.address, f"/v1/health/service/{prefix}-{number}", state) for number in range(MANY)]
    for one in watches:
        one.get()
    time.sleep(1)
    used = time.process_time()
    time.sleep(2)
    assert time.process_time() - used < 0.1


def test_no_final_value_is_missed_in_ten_thousand_changes_and_memory_stays(consul: Any, start: Callable[..., Watch], prefix: str) -> None:
    direct = start(consul.address, f"/v1/kv/{prefix}/direct", value)
    direct.get()
    shared = [start(consul.address, f"/v1/kv/{prefix}/{number}", value) for number in range(20)]
    told: dict[int, str | None] = {}
    calls = [0]

    def tell(number: int, snapshot: Snapshot) -> None:
        told[number] = snapshot.value
        calls[0] += 1

    for number, one in enumerate([direct, *shared]):
        one.on_change(lambda snapshot, number=number: tell(number, snapshot))
    used = [0, 0]

    def write(half: int, paths: list[str]) -> None:
        writer = Writer(consul.address)
        for change in range(5000):
            writer.put(f"/v1/kv/{paths[change % len(paths)]}", f"{half}-{change}".encode())
        writer.close()

    paths = [f"{prefix}/direct", *(f"{prefix}/{number}" for number in range(20))]
    for half in (0, 1):
        # Two writers, of which each has keys of its own.
        writers = [threading.Thread(target=write, args=(half, part)) for part in (paths[::2], paths[1::2])]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        wrote = {part[change % len(part)]: f"{half}-{change}" for part in (paths[::2], paths[1::2]) for change in range(5000)}
        last = [wrote[path] for path in paths]
        wait_for("the last value of each", lambda last=last: [told.get(place) for place in range(len(paths))] == last)
        assert [one.get().value for one in [direct, *shared]] == last
        used[half] = resident()
    assert used[1] - used[0] < 5_000_000
    # As many calls as changes would mean that each is asked for, without pauses.
    assert calls[0] < 10_000


def test_a_restored_snapshot_with_an_older_index_is_survived(
    consul_agents: Callable[..., Any], start: Callable[..., Watch], prefix: str
) -> None:
    agent = consul_agents()
    writer = Writer(agent.address)
    writer.put(f"/v1/kv/{prefix}/a", b"old")
    writer.put("/v1/catalog/register", registration(prefix, 1000))
    snapshot = writer.get("/v1/snapshot")
    direct = start(agent.address, f"/v1/kv/{prefix}/a", value)
    many = [start(agent.address, f"/v1/health/service/{prefix}", state, params=[("tag", ["v1"] * number)]) for number in range(12)]
    for number in range(50):
        writer.put(f"/v1/kv/{prefix}/a", f"new-{number}".encode())
        writer.put("/v1/catalog/register", registration(prefix, 2000 + number))
    wait_for("the newest", lambda: direct.get().value == "new-49" and all(one.get().value[0][0] == 2049 for one in many))
    index = direct.get().index
    writer.put("/v1/snapshot", snapshot)
    # Most see it at once. A restore just between two queries is seen at the end of the next one, which may wait for a minute.
    wait_for("the value of then", lambda: direct.get().value == "old" and all(one.get().value[0][0] == 1000 for one in many), within=100)
    assert direct.get().index < index
    # Whoever still waited for the newer index would miss this one.
    writer.put(f"/v1/kv/{prefix}/a", b"after")
    writer.put("/v1/catalog/register", registration(prefix, 3000))
    wait_for("the change after it", lambda: direct.get().value == "after" and all(one.get().value[0][0] == 3000 for one in many), within=10)
    writer.close()

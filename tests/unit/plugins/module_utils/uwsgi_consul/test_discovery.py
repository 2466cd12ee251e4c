# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`Discovery`, with agents that answer as a test says."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    Api,
    ConsulError,
    Discovery,
    Instances,
    InvalidValueError,
    NoAgentError,
    NoInstanceError,
    TooStaleError,
    uwsgi_cache,
    vassal,
    watcher,
)


def entry(name: str, port: int = 2001, status: str = "passing", weights: tuple[int, int] = (1, 1), node: str = "node1") -> dict[str, Any]:
    return {
        "Node": {"Node": node, "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": None},
        "Service": {"Service": "web", "ID": name, "Port": port, "Weights": {"Passing": weights[0], "Warning": weights[1]}},
        "Checks": [{"CheckID": "one", "Status": status}],
    }


class Catalog:
    """What a fake agent answers: the entries of each service in each datacenter, for which blocking queries wait."""

    def __init__(self, reply: Callable[..., bytes]) -> None:
        self.reply = reply
        self.entries: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.index = 10
        self.away = False
        self.changed = threading.Condition()
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    def set(self, name: str, *entries: dict[str, Any], datacenter: str = "") -> None:
        with self.changed:
            self.entries[name, datacenter] = list(entries)
            self.index += 1
            self.changed.notify_all()

    def leave(self) -> None:
        with self.changed:
            self.away = True
            self.changed.notify_all()

    def __call__(self, received: Any) -> bytes | None:
        target = urlsplit(received.target)
        params = parse_qs(target.query)
        if self.away:
            return None
        if target.path == "/v1/status/leader":
            return self.reply('"127.0.0.1:8300"')
        name = unquote(target.path.rpartition("/")[2])
        self.asked.append((name, params))
        with self.changed:
            if "index" in params:
                index = int(params["index"][0])
                self.changed.wait_for(lambda: self.index > index or self.away, float(params["wait"][0].rstrip("s")))
            if self.away:
                return None
            found = self.entries.get((name, params.get("dc", [""])[0]), [])
            if "passing" in params:
                found = [one for one in found if one["Checks"][0]["Status"] == "passing"]
            return self.reply(json.dumps(found), X_Consul_Index=str(self.index))


@pytest.fixture
def catalog(reply: Callable[..., bytes]) -> Catalog:
    return Catalog(reply)


@pytest.fixture
def discover(fake_agent: Callable[..., Any], catalog: Catalog) -> Iterator[Callable[..., Discovery]]:
    """Makes discoveries of one agent, which answers what the catalog says; all are closed at the end."""
    client = Api(agents=fake_agent(catalog).address, timeout=5)
    made: list[Discovery] = []

    def make(client: Api = client, **options: Any) -> Discovery:
        made.append(Discovery(client, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ids(instances: Instances) -> list[str]:
    return [instance["id"] for instance in instances]


def test_instances_are_read_from_memory_and_follow_the_catalog(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("b", 2), entry("a", 1), entry("c", 3, "critical"))
    discovery = discover()
    found = discovery.get("web")
    assert ids(found) == ["a", "b"]
    assert (found.stale, found.datacenter, found.age < 5) == (False, None, True)
    assert found[0]["address"] == "10.0.0.1"
    count = len(catalog.asked)
    for _ in range(100):
        discovery.get("web")
    assert len(catalog.asked) <= count + 1
    catalog.set("web", entry("d"))
    wait_for("the change", lambda: ids(discovery.get("web")) == ["d"])


def test_the_list_is_the_callers_own(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("a"))
    discovery = discover()
    discovery.get("web").clear()
    assert ids(discovery.get("web")) == ["a"]


def test_an_unknown_service_is_an_empty_list(discover: Callable[..., Discovery]) -> None:
    assert discover().get("nobody") == []


@pytest.mark.parametrize(("status", "expected"), [("passing", ["a"]), ("warning", ["a", "b"]), ("any", ["a", "b", "c"])])
def test_the_status_chooses(discover: Callable[..., Discovery], catalog: Catalog, status: str, expected: list[str]) -> None:
    catalog.set("web", entry("a", 1), entry("b", 2, "warning"), entry("c", 3, "critical"))
    assert ids(discover(status=status).get("web")) == expected
    assert ids(discover().get("web", status=status)) == expected


def test_options_reach_consul_and_can_be_overridden(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    discovery = discover(tags=["a", "b"], filter="Service.Port > 1", near="_agent")
    discovery.get("web")
    assert catalog.asked[0] == ("web", {"tag": ["a", "b"], "filter": ["Service.Port > 1"], "near": ["_agent"], "passing": ["1"]})
    discovery.get("web", tags=[], filter=None, near=None, datacenters=["dc2"])
    assert ("web", {"passing": ["1"], "dc": ["dc2"]}) in catalog.asked


def test_near_keeps_the_order_of_consul(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("c", node="n3"), entry("a", node="n1"))
    assert ids(discover(near="_agent").get("web")) == ["c", "a"]


def test_the_next_datacenter_serves_where_one_has_none(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("far"), datacenter="dc2")
    discovery = discover(datacenters=["dc1", "dc2"])
    found = discovery.get("web")
    assert (ids(found), found.datacenter) == (["far"], "dc2")
    catalog.set("web", entry("close"), datacenter="dc1")
    wait_for("the first again", lambda: discovery.get("web").datacenter == "dc1")
    catalog.set("web", datacenter="dc1")
    wait_for("the second again", lambda: discovery.get("web").datacenter == "dc2")
    catalog.set("web", datacenter="dc2")
    wait_for("none", lambda: discovery.get("web") == [])


def test_a_change_in_any_datacenter_is_told_when_it_matters(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    told: list[Instances] = []
    discovery = discover(datacenters=["dc1", "dc2"])
    discovery.on_change("web", told.append)
    wait_for("the first call", lambda: told)
    assert told == [[]]
    catalog.set("web", entry("far"), datacenter="dc2")
    wait_for("dc2", lambda: told[-1].datacenter == "dc2")
    catalog.set("web", entry("close"), datacenter="dc1")
    wait_for("dc1", lambda: told[-1].datacenter == "dc1")
    count = len(told)
    catalog.set("web", entry("unused"), datacenter="dc2")
    time.sleep(0.2)
    assert len(told) == count


def test_what_is_known_stays_while_consul_is_away_and_has_a_bound_for_who_wants_one(
    discover: Callable[..., Discovery], catalog: Catalog
) -> None:
    catalog.set("web", entry("a"))
    discovery = discover()
    discovery.get("web")
    catalog.leave()
    wait_for("that it is stale", lambda: discovery.get("web").stale)
    time.sleep(0.1)
    found = discovery.get("web", max_stale=60)
    assert ids(found) == ["a"]
    assert found.age >= 0.1
    with pytest.raises(TooStaleError, match=r"max_stale") as error:
        discovery.get("web", max_stale=0.1)
    assert error.value.age >= 0.1
    with pytest.raises(TooStaleError):
        discovery.choose("web", max_stale=0)
    catalog.away = False
    wait_for("that it is well again", lambda: not discovery.get("web").stale)
    assert ids(discovery.get("web", max_stale=0)) == ["a"]


def test_max_stale_of_a_question_makes_no_further_query(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    discovery = discover()
    for number in range(50):
        discovery.get("web", max_stale=float(number))
    assert len(discovery._services) == 1


def test_a_file_serves_a_start_at_which_consul_is_away(
    discover: Callable[..., Discovery], catalog: Catalog, tmp_path: Path, refusing: str
) -> None:
    catalog.set("web", entry("a"))
    discovery = discover(directory=tmp_path)
    assert ids(discovery.get("web")) == ["a"]
    wait_for("the file", lambda: list(tmp_path.glob("web-*.json")))
    catalog.set("web", entry("b"))
    wait_for("the change in it", lambda: b'"b"' in next(tmp_path.glob("web-*.json")).read_bytes())
    discovery.close()
    away = discover(client=Api(agents=refusing), directory=tmp_path)
    found = away.get("web")
    assert (ids(found), found.stale) == (["b"], True)
    with pytest.raises(TooStaleError):
        away.get("web", max_stale=0)
    with pytest.raises(NoAgentError):
        away.get("other")
    # Each way of asking has a file of its own.
    with pytest.raises(NoAgentError):
        away.get("web", status="any")


def test_a_file_is_not_believed_while_consul_is_there(discover: Callable[..., Discovery], catalog: Catalog, tmp_path: Path) -> None:
    catalog.set("web", entry("a"))
    with discover(directory=tmp_path) as discovery:
        discovery.get("web")
        wait_for("the file", lambda: list(tmp_path.glob("web-*.json")))
    catalog.set("web", entry("b"))
    found = discover(directory=tmp_path).get("web")
    assert (ids(found), found.stale) == (["b"], False)


def test_a_silent_agent_delays_a_start_with_a_file_but_once(
    discover: Callable[..., Discovery], catalog: Catalog, tmp_path: Path, silent: str
) -> None:
    catalog.set("web", entry("a"))
    with discover(directory=tmp_path) as discovery:
        discovery.get("web")
        wait_for("the file", lambda: list(tmp_path.glob("web-*.json")))
    away = discover(client=Api(agents=silent, timeout=30), directory=tmp_path)
    started = time.monotonic()
    for _ in range(100):
        assert ids(away.get("web")) == ["a"]
    assert time.monotonic() - started < 10


def test_choose_leaves_out_what_failed_but_never_all(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("a"), entry("b"))
    discovery = discover()
    assert {discovery.choose("web")["id"] for _ in range(10)} == {"a", "b"}
    discovery.failed(next(one for one in discovery.get("web") if one["id"] == "a"), seconds=60)
    assert {discovery.choose("web")["id"] for _ in range(10)} == {"b"}
    assert {discovery.choose("web", by="sticky", key=str(number))["id"] for number in range(50)} == {"b"}
    discovery.failed(discovery.choose("web"), seconds=60)
    assert {discovery.choose("web")["id"] for _ in range(10)} == {"a", "b"}
    assert ids(discovery.get("web")) == ["a", "b"]


def test_choose_of_nothing_says_what_there_is_none_of(discover: Callable[..., Discovery]) -> None:
    with pytest.raises(NoInstanceError, match=r"service nobody .* tags blue .* status warning in dc2"):
        discover(tags=["blue"]).choose("nobody", status="warning", datacenters=["dc2"])


def test_nearest_asks_consul_for_the_order(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("z", node="near"), entry("a", node="far"))
    assert {discover().choose("web", by="nearest")["id"] for _ in range(5)} == {"z"}


def test_wait_returns_when_there_are_enough(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    discovery = discover()
    with pytest.raises(NoInstanceError, match="did not have 1 instances in time: there were 0"):
        discovery.wait("web", timeout=0.1)
    threading.Timer(0.2, catalog.set, ["web", entry("a"), entry("b")]).start()
    assert ids(discovery.wait("web", minimum=2, timeout=20)) == ["a", "b"]


def test_wait_also_waits_for_consul(discover: Callable[..., Discovery], catalog: Catalog, refusing: str) -> None:
    with pytest.raises(NoInstanceError, match="refused"):
        discover(client=Api(agents=refusing)).wait("web", timeout=0.3)
    catalog.set("web", entry("a"))
    catalog.away = True
    threading.Timer(0.3, lambda: setattr(catalog, "away", False)).start()
    assert ids(discover().wait("web", timeout=20)) == ["a"]


def test_an_event_loop_is_not_held_up(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    async def run() -> None:
        discovery = discover()
        waiting = asyncio.ensure_future(discovery.wait_async("web", timeout=20))
        ticks = 0
        while not waiting.done() and ticks < 1000:
            ticks += 1
            if ticks == 10:
                catalog.set("web", entry("a"))
            await asyncio.sleep(0.005)
        assert ids(await waiting) == ["a"]
        assert ids(await discovery.get_async("web")) == ["a"]
        assert ids(await discovery.get_async("other")) == []
        assert (await discovery.choose_async("web", by="nearest"))["id"] == "a"

    asyncio.run(run())


def test_questions_to_an_agent_that_hangs_take_no_thread_of_the_event_loop(
    discover: Callable[..., Discovery], fake_agent: Callable[..., Any]
) -> None:
    gate = threading.Event()
    agent = fake_agent(lambda _received: b"" if gate.wait(60) else None)

    async def run() -> None:
        discovery = discover(client=Api(agents=agent.address, timeout=3))
        questions = [discovery.get_async("web"), discovery.choose_async("web"), discovery.wait_async("web", timeout=3)]
        waiting = [asyncio.ensure_future(question) for question in (*questions, *(discovery.get_async(str(n)) for n in range(100)))]
        await asyncio.sleep(0.1)
        await asyncio.get_running_loop().run_in_executor(None, int)
        assert not any(one.done() for one in waiting)
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, (NoAgentError, NoInstanceError)) for error in errors), errors

    asyncio.run(run())
    gate.set()


@pytest.mark.parametrize("datacenters", [None, ["dc1", "dc2"]], ids=["one datacenter", "two"])
def test_a_child_is_told_of_changes_though_its_parent_was_being_told_at_the_fork(
    discover: Callable[..., Discovery], catalog: Catalog, datacenters: list[str] | None
) -> None:
    busy, go_on = threading.Event(), threading.Event()
    told: list[list[str]] = []

    def slow(found: Instances) -> None:
        busy.set()
        if os.getpid() == parent:
            go_on.wait(30)
        told.append(ids(found))

    parent = os.getpid()
    discovery = discover(datacenters=datacenters)
    discovery.on_change("web", slow)
    assert busy.wait(20)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            discovery.get("web")
            os.write(write, b"x")
            wait_for("the change", lambda: ["new"] in told)
            code = 0
        finally:
            os._exit(code)
    os.read(read, 1)
    catalog.set("web", entry("new"), datacenter=datacenters[0] if datacenters else "")
    ended = os.waitpid(child, 0)[1]
    go_on.set()
    os.close(read)
    os.close(write)
    assert ended == 0


def test_names_are_fetched_at_the_same_time(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    names = [f"service-{number}" for number in range(6)]
    discover(watch=names)
    wait_for("all", lambda: {name for name, _params in catalog.asked} >= set(names))


def test_after_close_what_is_known_can_be_read_and_nothing_else(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("a"))
    discovery = discover()
    discovery.get("web")
    discovery.close()
    discovery.close()
    assert ids(discovery.get("web")) == ["a"]
    with pytest.raises(ConsulError, match="closed"):
        discovery.get("other")


@pytest.mark.parametrize(
    "options",
    [
        {"datacenters": "dc1"},
        {"datacenters": ["dc 1"]},
        {"datacenters": [None]},
        {"datacenters": 7},
        {"status": "fine"},
        {"status": ["passing"]},
        {"tags": "blue"},
        {"tags": [1]},
        {"tags": ["a\n"]},
        {"filter": 1},
        {"filter": "x" * 100000},
        {"near": ""},
        {"near": 1},
        {"max_stale": -1},
        {"max_stale": "1"},
        {"max_stale": float("nan")},
    ],
)
def test_bad_options_are_refused_before_anything_is_asked(discover: Callable[..., Discovery], catalog: Catalog, options: Any) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(options))):
        discover(**options)
    with pytest.raises(InvalidValueError, match=next(iter(options))):
        discover().get("web", **options)
    assert not catalog.asked


def test_bad_arguments_are_refused_before_anything_is_asked(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    discovery = discover()
    for name in ("", " ", "a\0", "x" * 10000, "\ud800", 7, None, b"web", ["web"], ".."):
        for function in (discovery.get, discovery.choose, discovery.wait):
            with pytest.raises(InvalidValueError, match="name"):
                function(name)  # type: ignore[operator]
        with pytest.raises(InvalidValueError, match="name"):
            discovery.on_change(name, print)  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError, match="watch"):
            discover(watch=[name])
    for options in ({"by": "luck"}, {"by": None}, {"by": "sticky"}, {"by": "sticky", "key": 7}, {"key": 7}):
        with pytest.raises(InvalidValueError):
            discovery.choose("web", **options)  # type: ignore[arg-type]
    for options in ({"minimum": -1}, {"minimum": "1"}, {"timeout": -1}, {"timeout": "1"}):
        with pytest.raises(InvalidValueError):
            discovery.wait("web", **options)  # type: ignore[arg-type]
    for instance in (None, {}, [], {"node": [], "id": []}, "web"):
        with pytest.raises(InvalidValueError, match="instance"):
            discovery.failed(instance)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="seconds"):
        discovery.failed({"node": "a", "id": "b"}, seconds=-1)
    with pytest.raises(InvalidValueError, match="callback"):
        discovery.on_change("web", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tag'"):
        discovery.get("web", tag="blue")
    for directory in ("", 7, "a\0b", b"x"):
        with pytest.raises(InvalidValueError, match="directory"):
            discover(directory=directory)
    with pytest.raises(InvalidValueError, match="watch"):
        discover(watch="web")
    assert not catalog.asked


class Cache:
    """What stands in for the plugin's cache, and for its options."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
        self.items: dict[str, Any] = {}
        self.contact(0)
        monkeypatch.setattr(uwsgi_cache, "available", lambda: True)
        monkeypatch.setattr(uwsgi_cache, "cached", self.items.get)
        monkeypatch.setattr(vassal, "settings", lambda: settings)

    def contact(self, seconds: float | None) -> None:
        """The plugin's last contact was so many seconds ago; `None`: there was none."""
        self.items["agent"] = {"state": "connected", "last_contact": None if seconds is None else time.time() - seconds}


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"service": "web", "index": 7, "changed": 1000, "stale_since": None, "instances": [{"node": "n", "id": name}], **more}


def test_in_a_worker_the_cache_is_read_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    cache = Cache(monkeypatch, Api(agents=refusing).settings)
    cache.items["service/web"] = item("a")
    cache.items["service/web?dc=dc2&tag=blue&tag=eu&status=any&filter=x"] = item("b", stale_since=time.time() - 60)
    discovery = Discovery()
    found = discovery.get("web")
    assert (ids(found), found.stale, found.age < 1, found.changed) == (["a"], False, True, 1000)
    found = discovery.get("web", datacenters=["dc2"], tags=["blue", "eu"], status="any", filter="x")
    assert (ids(found), found.stale, found.age >= 60) == (["b"], True, True)
    with pytest.raises(TooStaleError):
        discovery.get("web", datacenters=["dc2"], tags=["blue", "eu"], status="any", filter="x", max_stale=30)
    cache.items["service/web"] = item("c")
    assert ids(discovery.get("web")) == ["c"]
    # What the plugin does not watch is asked for.
    with pytest.raises(NoAgentError):
        discovery.get("other")
    discovery.close()


def test_in_a_worker_nothing_is_vouched_for_when_the_plugin_says_nothing_any_more(monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    cache = Cache(monkeypatch, Api(agents=refusing).settings)
    cache.items["service/web"] = item("a")
    discovery = Discovery()
    cache.contact(6)
    found = discovery.get("web")
    assert (found.stale, 6 <= found.age < 8) == (False, True)
    cache.contact(60)
    found = discovery.get("web")
    assert (ids(found), found.stale, 60 <= found.age < 62) == (["a"], True, True)
    for forgotten in (lambda: cache.contact(None), lambda: cache.items.pop("agent")):
        forgotten()
        assert discovery.get("web").stale
    with pytest.raises(TooStaleError):
        discovery.get("web", max_stale=30)


def test_in_a_worker_the_datacenter_of_the_plugin_is_not_written_in_keys(monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    cache = Cache(monkeypatch, Api(agents=refusing, datacenter="dc2").settings)
    cache.items["service/web"] = item("of dc2")
    assert ids(Discovery().get("web")) == ["of dc2"]
    assert ids(Discovery(datacenters=["dc2"]).get("web")) == ["of dc2"]
    with Discovery(datacenters=["dc1"]) as discovery, pytest.raises(NoAgentError):
        discovery.get("web")


def test_in_a_worker_a_client_of_another_cluster_is_asked(
    monkeypatch: pytest.MonkeyPatch, refusing: str, discover: Callable[..., Discovery], catalog: Catalog
) -> None:
    cache = Cache(monkeypatch, Api(agents=refusing).settings)
    cache.items["service/web"] = item("of the cache")
    catalog.set("web", entry("asked for"))
    assert ids(discover().get("web")) == ["asked for"]


def test_in_a_worker_what_is_no_item_of_the_plugin_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, discover: Callable[..., Discovery], catalog: Catalog
) -> None:
    discovery = discover()
    cache = Cache(monkeypatch, discovery._client.settings)
    cache.items["service/web"] = {"instances": None}
    catalog.set("web", entry("asked for"))
    with Discovery(discovery._client) as other:
        assert ids(other.get("web")) == ["asked for"]


def test_many_reads_make_no_threads(discover: Callable[..., Discovery], catalog: Catalog) -> None:
    catalog.set("web", entry("a"))
    discovery = discover()
    discovery.get("web")
    threads = threading.active_count()
    for _ in range(10000):
        discovery.get("web")
    assert threading.active_count() <= threads
    assert watcher.MAX_CONNECTIONS == 10

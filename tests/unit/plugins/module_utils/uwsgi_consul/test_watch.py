# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watches of agents that behave in every way that agents should not."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    Api,
    BadAnswerError,
    InvalidValueError,
    NoAgentError,
    PermissionDeniedError,
    async_connection,
    watcher,
)
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import watch as watch_module
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.process import PerProcess
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.watch import MAX_CONNECTIONS, Snapshot, Watch, watch

PATH = "/v1/kv/app"


def decode(answer: Any) -> Any:
    return answer.json()


class Store:
    """What a fake agent answers: a value with an index, for which blocking queries wait as Consul's do."""

    def __init__(self, reply: Callable[..., bytes]) -> None:
        self.reply, self.value, self.index = reply, 1, 10
        self.asked: list[dict[str, list[str]]] = []
        self.instead: Callable[[Any], bytes | None] | None = None
        self.restored = 0
        self.changed = threading.Condition()

    def set(self, value: Any) -> None:
        with self.changed:
            self.value, self.index = value, self.index + 1
            self.changed.notify_all()

    def restore(self, value: Any, index: int) -> None:
        """As when a snapshot is restored: the index is an older one, and whoever waits is told."""
        with self.changed:
            self.value, self.index, self.restored = value, index, self.restored + 1
            self.changed.notify_all()

    def __call__(self, received: Any) -> bytes | None:
        target = urlsplit(received.target)
        if self.instead is not None and (answer := self.instead(received)) != b"":
            return answer
        if target.path == "/v1/status/leader":
            return self.reply('"127.0.0.1:8300"')
        params = parse_qs(target.query)
        self.asked.append(params)
        with self.changed:
            if "index" in params:
                index, restored = int(params["index"][0]), self.restored
                self.changed.wait_for(lambda: self.index > index or self.restored > restored, float(params["wait"][0].rstrip("s")))
            return self.reply(json.dumps(self.value), X_Consul_Index=str(self.index))


@pytest.fixture
def store(reply: Callable[..., bytes]) -> Store:
    return Store(reply)


@pytest.fixture
def start(fake_agent: Callable[..., Any], store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    """Makes watches of one agent, which answers what the store says; all are closed at the end."""
    monkeypatch.setattr(watcher, "_RETRY", (0.05, 0.1))
    agent = fake_agent(store)
    api = Api(agents=agent.address, timeout=5)
    made: list[Watch] = []

    def begin(path: str = PATH, client: Api = api, **options: Any) -> Watch:
        made.append(watch(client, path, options.pop("params", []), options.pop("decode", decode), **options))
        return made[-1]

    begin.agent = agent  # type: ignore[attr-defined]
    yield begin
    for one in made:
        one.close()


def test_the_first_answer_is_waited_for_and_the_next_ones_come_by_themselves(start: Callable[..., Watch], store: Store) -> None:
    watched = start()
    first = watched.get()
    assert (first.value, first.index, first.stale_since) == (1, 10, None)
    assert first.age < 5
    store.set(2)
    wait_for("the change", lambda: watched.get().value == 2)
    assert watched.get().changed >= first.changed
    assert "index" not in store.asked[0]
    assert store.asked[1]["index"] == ["10"]


def test_nothing_new_is_no_change(start: Callable[..., Watch], store: Store) -> None:
    told: list[Snapshot] = []
    watched = start(on_change=told.append)
    wait_for("the first call", lambda: told)
    changed = watched.get().changed
    store.set(1)
    wait_for("the newer index", lambda: watched.get().index == 11)
    assert watched.get().changed == changed
    store.set(3)
    wait_for("the change", lambda: told[-1].value == 3)
    assert [one.value for one in told] == [1, 3]


def test_equal_watches_share_one_query_until_the_last_is_closed(start: Callable[..., Watch], store: Store) -> None:
    one, other, different = start(), start(), start(decode=lambda answer: -answer.json())
    assert (one.get().value, other.get().value, different.get().value) == (1, 1, -1)
    wait_for("both queries", lambda: len([params for params in store.asked if "index" in params]) == 2)
    assert len(store.asked) == 4
    one.close()
    one.close()
    store.set(2)
    wait_for("the change", lambda: other.get().value == 2)


def test_an_index_that_goes_back_is_forgotten(start: Callable[..., Watch], store: Store) -> None:
    watched = start()
    watched.get()
    wait_for("the query", lambda: len(store.asked) == 2)
    store.restore(5, 3)
    wait_for("the value of then", lambda: watched.get().index == 3)
    assert watched.get().value == 5
    wait_for("that it waits again", lambda: store.asked[-1].get("index") == ["3"])
    assert "index" not in store.asked[-2]
    store.set(6)
    wait_for("the change after it", lambda: watched.get().value == 6)


def test_an_agent_that_has_lost_its_servers_and_answers_with_nothing_is_not_believed(start: Callable[..., Watch], store: Store) -> None:
    told: list[Snapshot] = []
    watched = start(on_change=told.append)
    watched.get()
    wait_for("the query", lambda: len(store.asked) == 2)
    lies = [0]

    def lie(received: Any) -> bytes:
        # hashicorp/consul#20790
        if "index=" not in received.target:
            return b""
        lies[0] += 1
        return store.reply("[]", X_Consul_Index="1")

    store.instead = lie
    store.set(2)
    wait_for("some lies", lambda: lies[0] > 3)
    assert watched.get().value == 2
    store.instead = None
    store.set(3)
    wait_for("the truth", lambda: watched.get().value == 3)
    assert [] not in [one.value for one in told]


def test_streaming_agents_always_say_that_there_is_no_leader(start: Callable[..., Watch], store: Store) -> None:
    headers = {"X_Consul_KnownLeader": "false", "X_Consul_Query_Backend": "streaming", "X_Consul_Index": "5"}
    store.instead = lambda _received: store.reply("1", **headers)
    assert start().get().stale_since is None


@pytest.mark.parametrize("index", ["0", "nonsense", "-1", "99999999999999999999999"])
def test_without_an_index_to_wait_for_it_asks_now_and_then(start: Callable[..., Watch], store: Store, index: str) -> None:
    store.instead = lambda _received: store.reply(json.dumps(store.value), X_Consul_Index=index)
    watched = start()
    watched.get()
    time.sleep(0.5)
    assert len(start.agent.requests) <= 3  # type: ignore[attr-defined]
    store.value = 2
    wait_for("the change", lambda: watched.get().value == 2)


def test_an_agent_that_answers_at_once_without_news_is_not_asked_without_end(start: Callable[..., Watch], store: Store) -> None:
    store.instead = lambda _received: store.reply("1", X_Consul_Index="10")
    start().get()
    time.sleep(1)
    assert len(start.agent.requests) <= 12  # type: ignore[attr-defined]


def test_an_index_that_always_grows_is_followed_at_a_measured_pace(start: Callable[..., Watch], store: Store) -> None:
    def grow(_received: Any) -> bytes:
        store.index += 1
        return store.reply(str(store.index), X_Consul_Index=str(store.index))

    store.instead = grow
    watched = start()
    watched.get()
    time.sleep(2)
    assert len(start.agent.requests) <= 45  # type: ignore[attr-defined]


def test_a_404_is_an_answer_too(start: Callable[..., Watch], store: Store) -> None:
    store.instead = lambda _received: store.reply("", status=404)
    assert start(decode=lambda answer: answer.status).get().value == 404


def test_what_was_never_answered_is_raised_at_once_and_tried_again(
    start: Callable[..., Watch], store: Store, refusing: str, reply: Callable[..., bytes]
) -> None:
    watched = start(client=Api(agents=refusing, timeout=30))
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(NoAgentError, match="refused"):
            watched.get()
    assert time.monotonic() - started < 10
    store.instead = lambda _received: reply("denied", status=403)
    denied = start()
    with pytest.raises(PermissionDeniedError, match="denied"):
        denied.get()
    store.instead = None
    wait_for("the answer", lambda: denied.latest)
    assert denied.get().value == 1


def test_the_wait_for_the_first_answer_ends(start: Callable[..., Watch], store: Store) -> None:
    gate = threading.Event()
    store.instead = lambda _received: b"" if gate.wait(30) else None
    watched = start()
    started = time.monotonic()
    with pytest.raises(NoAgentError, match=r"no answer within 0\.2 s"):
        watched.get(timeout=0.2)
    assert time.monotonic() - started < 3
    gate.set()
    assert watched.get(timeout=20).value == 1


def test_an_error_that_is_raised_often_does_not_grow(start: Callable[..., Watch], refusing: str) -> None:
    watched = start(client=Api(agents=refusing))
    depths = []
    for _ in range(50):
        try:
            watched.get()
        except NoAgentError as error:
            depth, trace = 0, error.__traceback__
            while trace:
                depth, trace = depth + 1, trace.tb_next
            depths.append(depth)
    assert len(set(depths)) == 1


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "cut off": b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Consul-Index: 11\r\n\r\n{"a"',
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-Consul-Index: 11\r\n\r\n<garbage>",
    "deep": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX-Consul-Index: 11\r\n\r\n" + b"[" * 100000,
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://example.invalid/\r\nContent-Length: 0\r\n\r\n",
    "overload": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
    "broken": b"HTTP/1.1 500 Error\r\nContent-Length: 4\r\n\r\nboom",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_answer_leaves_what_is_known_and_says_so(start: Callable[..., Watch], store: Store, fault: str) -> None:
    watched = start()
    watched.get()
    wait_for("the query", lambda: len(store.asked) == 2)

    def broken(received: Any) -> bytes | None:
        if received.target.startswith("/v1/status"):
            return b""
        if fault in ("cut off", "no HTTP"):
            received.socket.sendall(BROKEN[fault])
            return None
        return BROKEN[fault]

    store.instead = broken
    store.set(2)
    # The query that waited is answered well; the next one is not.
    wait_for("what it says of it", lambda: watched.get().stale_since)
    assert watched.get().value in (1, 2)
    count = len(start.agent.requests)  # type: ignore[attr-defined]
    time.sleep(0.5)
    assert len(start.agent.requests) - count < 40  # type: ignore[attr-defined]
    store.instead = None
    store.set(3)
    wait_for("the new value", lambda: watched.get().value == 3)
    assert watched.get().stale_since is None


def test_an_answer_that_cannot_be_decoded_is_a_bad_answer(start: Callable[..., Watch]) -> None:
    with pytest.raises(BadAnswerError, match="ZeroDivisionError"):
        start(decode=lambda answer: answer.json() / 0).get()


def test_an_endless_answer_is_cut(start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import transport

    monkeypatch.setattr(transport._Transport, "answer_limit", 1_000_000)
    sent = [0]

    def endless(received: Any) -> bytes | None:
        if received.target.startswith("/v1/status"):
            return b""
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            received.socket.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent[0] += 65536

    store.instead = endless
    watched = start()
    with pytest.raises(NoAgentError, match="larger than"):
        watched.get()
    # What lies in the buffers of the sockets comes on top, for each of the tries.
    assert sent[0] < 100_000_000


def test_a_hanging_agent_is_noticed_by_the_probe(
    start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watcher, "_PROBE_AFTER", 0.3)
    monkeypatch.setattr(watcher, "_PROBE_LIMIT", 0.2)
    caplog.set_level(logging.INFO, "uwsgi_consul")
    watched = start()
    watched.get()
    wait_for("a sign of life", lambda: any(one.target == "/v1/status/leader" for one in start.agent.requests))  # type: ignore[attr-defined]
    assert watched.get().stale_since is None
    gate = threading.Event()
    store.instead = lambda _received: b"" if gate.wait(60) else None
    known = wait_for("that it is stale", lambda: watched.get().stale_since and watched.get())
    assert (known.value, known.stale_since) == (1, known.confirmed)
    time.sleep(1)
    store.set(2)
    gate.set()
    wait_for("the value after it", lambda: watched.get().value == 2)
    assert watched.get().stale_since is None
    # Lines for the change of state, none for each try.
    texts = [record.message for record in caplog.records]
    assert len([text for text in texts if "away" in text]) == 1
    assert len([text for text in texts if "answers again" in text]) == 1


def test_no_leader_is_as_good_as_away(start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_PROBE_AFTER", 0.1)
    watched = start()
    watched.get()
    store.instead = lambda received: store.reply('""') if received.target.startswith("/v1/status") else b""
    wait_for("that it is stale", lambda: watched.get().stale_since)
    store.instead = None
    wait_for("that it is well again", lambda: watched.get().stale_since is None)


def test_stale_reads_go_on_without_a_leader_but_nobody_vouches_for_them(
    start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_PROBE_AFTER", 0.1)
    client = Api(agents=start.agent.address, consistency="stale")  # type: ignore[attr-defined]
    watched = start(client=client)
    watched.get()
    store.instead = lambda received: store.reply('""') if received.target.startswith("/v1/status") else b""
    wait_for("that it is stale", lambda: watched.get().stale_since)
    store.set(2)
    wait_for("a change nevertheless", lambda: watched.get().value == 2)
    store.instead = None
    wait_for("that it is well again", lambda: watched.get().stale_since is None)


def test_the_age_of_a_stale_read_counts_the_time_that_its_server_lags_behind(start: Callable[..., Watch], store: Store) -> None:
    store.instead = lambda _received: store.reply("1", X_Consul_LastContact="42000", X_Consul_Index="5")
    assert start().get().age >= 42


def test_the_next_agent_is_asked_and_the_same_one_by_all(
    start: Callable[..., Watch], store: Store, fake_agent: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_PROBE_AFTER", 0.3)
    monkeypatch.setattr(watcher, "_PROBE_LIMIT", 1.0)
    gate = threading.Event()
    hangs = [False]
    first = fake_agent(lambda received: store(received) if not hangs[0] or gate.wait(60) else None)
    second = fake_agent(store)
    client = Api(agents=[first.address, second.address])
    ones = [start(f"/v1/kv/{number}", client=client) for number in range(5)]
    for one in ones:
        one.get()
    assert not second.requests
    hangs[0] = True
    wait_for("the second agent", lambda: len(second.requests) > 5)
    store.set(2)
    for one in ones:
        wait_for("the change", lambda one=one: one.get().value == 2)
        assert one.get().stale_since is None
    gate.set()


def test_agents_that_take_turns_in_failing_are_not_asked_the_more(
    start: Callable[..., Watch], store: Store, fake_agent: Callable[..., Any], reply: Callable[..., bytes]
) -> None:
    # As when each agent limits the rate of requests: what one refuses the other answers.
    def agent(refused: str) -> Any:
        return fake_agent(lambda received: reply("rate limit", status=429) if refused in received.target else store(received))

    first, second = agent("/kv/1"), agent("/kv/2")
    client = Api(agents=[first.address, second.address])
    ones = [start(f"/v1/kv/{number}", client=client) for number in range(5)]
    for one in ones:
        assert one.get(timeout=20).value == 1
    before = len(first.requests) + len(second.requests)
    time.sleep(2)
    # At most so many beginnings, of seven requests each, with a second one where the first agent refuses.
    assert len(first.requests) + len(second.requests) - before < 100
    store.set(2)
    for one in ones:
        wait_for("the change", lambda one=one: one.get().value == 2)


def test_a_failure_of_the_machine_ends_no_watch(
    start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watcher, "_PROBE_AFTER", 0.2)
    name = start.agent.address.replace("127.0.0.1", "localhost")  # type: ignore[attr-defined]
    watched = start(client=Api(agents=name, timeout=5))
    assert watched.get().value == 1

    def no_thread(*_arguments: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(async_connection, "look_up", no_thread)
    start.agent.drop()  # type: ignore[attr-defined]
    wait_for("that it is noticed", lambda: watched.get().stale_since)
    store.set(2)
    monkeypatch.undo()
    wait_for("the change", lambda: watched.get().value == 2)
    assert "can't start new thread" in caplog.text


def test_an_agent_that_ends_is_one_line_for_all_watches(
    start: Callable[..., Watch], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "uwsgi_consul")
    ones = [start(f"/v1/kv/app/{number}") for number in range(40)]
    for one in ones:
        assert one.get(timeout=60).value == 1
    caplog.clear()
    start.agent.close()  # type: ignore[attr-defined]
    wait_for("all that are stale", lambda: all(one.get().stale_since for one in ones), within=60)
    # Several more tries.
    time.sleep(0.5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Consul is away" in caplog.text


def test_what_fails_for_all_watches_is_logged_once(start: Callable[..., Watch], store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uwsgi_consul")
    ones = [start(f"/v1/kv/app/{number}") for number in range(40)]
    for one in ones:
        assert one.get(timeout=60).value == 1
    caplog.clear()
    store.instead = lambda received: b"" if "status/leader" in received.target else store.reply("ACL not found", status=403)
    store.set(2)
    wait_for("all that fail", lambda: all(one.get().stale_since for one in ones), within=60)
    assert [record.levelname for record in caplog.records].count("WARNING") <= 2
    store.instead = None
    store.set(3)
    wait_for("the change", lambda: all(one.get().value == 3 for one in ones), within=60)
    assert len(caplog.records) <= 4


def test_a_callback_that_raises_or_blocks_holds_up_nothing_else(
    start: Callable[..., Watch], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    gate, blocked, told = threading.Event(), [], []

    def block(snapshot: Snapshot) -> None:
        blocked.append(snapshot.value)
        gate.wait(60)

    def fail(snapshot: Snapshot) -> None:
        raise RuntimeError("a mistake of the app")

    watched = start(on_change=block)
    watched.on_change(fail)
    watched.on_change(lambda snapshot: told.append(snapshot.value))
    wait_for("the call that blocks", lambda: blocked == [1])
    for value in range(2, 8):
        store.set(value)
        wait_for("the change", lambda value=value: told[-1:] == [value])
    assert "a mistake of the app" in caplog.text
    assert blocked == [1]
    gate.set()
    # What came in between is left out, the last one is not.
    wait_for("the last one", lambda: blocked[-1] == 7)


def test_a_late_callback_gets_what_is_there(start: Callable[..., Watch]) -> None:
    told: list[Snapshot] = []
    watched = start()
    watched.get()
    watched.on_change(told.append)
    wait_for("the call", lambda: told)
    assert told[0].value == 1


def test_close_ends_the_query_at_once_and_all_callbacks(start: Callable[..., Watch], store: Store) -> None:
    told: list[Snapshot] = []
    watched = start(on_change=told.append)
    watched.get()
    wait_for("the query", lambda: len(store.asked) == 2)
    watched.close()
    wait_for("no connection", lambda: not open_connections(start.agent.address))  # type: ignore[attr-defined]
    count = len(told)
    store.set(2)
    time.sleep(0.2)
    assert len(told) == count
    assert watched.get().value == 1


def open_connections(address: str) -> int:
    port = f":{int(address.rpartition(':')[2]):04X}"
    with open("/proc/self/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return len([line for line in lines if line[2].endswith(port) and line[3] == "01"])


def test_any_number_of_requests_takes_few_connections_and_all_are_served(start: Callable[..., Watch], store: Store) -> None:
    # None of these can share sentinels, so they take turns.
    ones = [start(f"/v1/catalog/node/{number}") for number in range(30)]
    most = 0
    for one in ones:
        assert one.get(timeout=60).value == 1
        most = max(most, open_connections(start.agent.address))  # type: ignore[attr-defined]
    store.set(2)

    def all_changed() -> bool:
        nonlocal most
        most = max(most, open_connections(start.agent.address))  # type: ignore[attr-defined]
        return all(one.get().value == 2 for one in ones)

    wait_for("all", all_changed, within=60)
    assert most <= MAX_CONNECTIONS


def test_where_sentinels_are_refused_each_asks_for_itself(start: Callable[..., Watch], store: Store) -> None:
    store.instead = lambda received: store.reply("denied", status=403) if "keys=1" in received.target else b""
    ones = [start(f"/v1/kv/app/{number}") for number in range(20)]
    for one in ones:
        assert one.get(timeout=60).value == 1
    store.set(2)
    wait_for("all", lambda: all(one.get().value == 2 for one in ones), within=60)


def test_a_child_goes_on_by_itself_with_what_its_parent_knew(start: Callable[..., Watch], store: Store) -> None:
    watched = start(on_change=lambda _snapshot: None)
    watched.get()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            first = watched.get().value
            os.write(write, b"x")
            wait_for("the change", lambda: watched.get().value == 2)
            code = 0 if first == 1 else 2
        finally:
            os._exit(code)
    # A child that fails says nothing.
    os.close(write)
    os.read(read, 1)
    store.set(2)
    assert os.waitpid(child, 0)[1] == 0
    wait_for("the change", lambda: watched.get().value == 2)
    os.close(read)


def test_a_master_of_uwsgi_asks_once_and_its_children_go_on(
    start: Callable[..., Watch], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uwsgi:
        master = os.getpid()
        opt: ClassVar[dict[str, bytes]] = {"enable-threads": b"true"}

        def masterpid(self) -> int:
            return self.master

    monkeypatch.setattr(watch_module.vassal, "module", Uwsgi)
    monkeypatch.setattr(watch_module, "_processes", PerProcess(watch_module._Process))
    told: list[Any] = []
    before = sorted(thread.name for thread in threading.enumerate())
    watched = start(on_change=lambda snapshot: told.append(snapshot.value))
    assert watched.get().value == 1
    assert len(store.asked) == 1
    assert sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("uwsgi-consul")) == [
        name for name in before if name.startswith("uwsgi-consul")
    ]
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            first = watched.get().value
            os.write(write, b"x")
            wait_for("the change", lambda: watched.get().value == 2 and told[-1:] == [2])
            code = 0 if first == 1 else 2
        finally:
            os._exit(code)
    # A child that fails says nothing.
    os.close(write)
    os.read(read, 1)
    store.set(2)
    assert os.waitpid(child, 0)[1] == 0
    assert not told
    store.instead = lambda _received: store.reply("denied", status=403)
    with pytest.raises(PermissionDeniedError):
        start("/v1/kv/other").get()
    os.close(read)


def test_a_child_is_told_what_its_parent_was_just_being_told(start: Callable[..., Watch], store: Store) -> None:
    busy, go_on = threading.Event(), threading.Event()
    told: list[Any] = []

    def slow(snapshot: Snapshot) -> None:
        busy.set()
        if os.getpid() == parent:
            go_on.wait(30)
        told.append(snapshot.value)

    parent = os.getpid()
    watched = start(on_change=slow)
    assert busy.wait(20)
    child = os.fork()
    if not child:
        code = 1
        try:
            watched.get()
            wait_for("the call", lambda: told == [1])
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    wait_for("the call", lambda: told == [1])


def test_a_callback_that_exits_is_called_again(start: Callable[..., Watch], store: Store, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def leave(snapshot: Snapshot) -> None:
        told.append(snapshot.value)
        sys.exit(3)

    start(on_change=leave)
    wait_for("the first call", lambda: told == [1])
    wait_for("the line in the log", lambda: "SystemExit: 3" in caplog.text)
    store.set(2)
    wait_for("the next call", lambda: told == [1, 2])


def test_a_fork_in_the_middle_of_everything_locks_nobody_out(start: Callable[..., Watch], store: Store) -> None:
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            start(f"/v1/kv/{time.monotonic_ns() % 50}").close()

    watched = start()
    watched.get()
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                try:
                    watched.get()
                    watch(Api(agents=start.agent.address), "/v1/kv/new", [], decode).get(timeout=30)  # type: ignore[attr-defined]
                    os._exit(0)
                finally:
                    os._exit(1)
            deadline = time.monotonic() + 60
            while not (ended := os.waitpid(child, os.WNOHANG))[0]:
                if time.monotonic() > deadline:
                    os.kill(child, 9)
                time.sleep(0.005)
            assert ended[1] == 0
    finally:
        stop.set()
        thread.join()


def test_nothing_is_left_of_watches_that_are_closed(start: Callable[..., Watch]) -> None:
    for number in range(300):
        watched = start("/v1/kv/passing")
        watched.close()
        if number % 10 == 0:
            # Now and then one is closed just when its connection is made.
            time.sleep(0.002)

    wait_for("that all are forgotten", lambda: not watched._query.watcher._queries and not watched._query.watcher._tasks)
    time.sleep(0.2)
    count = len(start.agent.requests)  # type: ignore[attr-defined]
    time.sleep(0.5)
    assert len(start.agent.requests) == count  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "params", "function"),
    [
        ("", [], decode),
        (7, [], decode),
        ("/v1/kv/a b", [], decode),
        ("/v1/kv/a?b", [], decode),
        (PATH, 7, decode),
        (PATH, [("a",)], decode),
        (PATH, [("a", None)], decode),
        (PATH, [("a", "\ud800")], decode),
        (PATH, [("", "b")], decode),
        (PATH, [], None),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(start: Callable[..., Watch], path: str, params: Any, function: Any) -> None:
    with pytest.raises(InvalidValueError):
        start(path, params=params, decode=function)
    with pytest.raises(InvalidValueError):
        start(on_change=1)
    assert not start.agent.requests  # type: ignore[attr-defined]


def test_a_program_ends_while_it_watches(start: Callable[..., Watch]) -> None:
    code = f"""
import sys
sys.path.insert(0, "plugins/module_utils")
from uwsgi_consul import Api
from uwsgi_consul.watch import watch
print(watch(Api(agents="{start.agent.address}"), "/v1/kv/x", [], lambda answer: answer.json(), print).get().value)
"""
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")

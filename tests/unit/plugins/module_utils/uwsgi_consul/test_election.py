# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import claim
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import election as elections
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.election import Calls, Election
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConsulError, InvalidValueError

from .store import Store

KEY = "uwsgi/election/e"


@pytest.fixture
def store(reply):
    return Store(reply)


@pytest.fixture
def api(fake_agent, store):
    return Api(agents=[fake_agent(store).address], timeout=2)


def test_a_term(store, api):
    told = []
    election = Election(
        "e", client=api, on_gain=lambda token: told.append(("gain", token)), on_loss=lambda token: told.append(("loss", token))
    )
    assert (election.is_leader, election.token, election.leader()) == (False, 0, None)
    with election as entered:
        assert entered is election
        assert election.wait(10)
        token = election.token
        assert token == store.entry(KEY)["ModifyIndex"]
        leader = election.leader()
        assert leader["session"] in store.sessions
        assert (leader["node"], leader["master"]) == (socket.gethostname(), os.getpid())
        assert set(leader) == {"id", "node", "address", "port", "master", "instance", "session"}
    assert not election.is_leader
    assert election.leader() is None
    assert store.sessions == {}
    assert told == [("gain", token), ("loss", token)]


def test_a_term_of_an_event_loop(store, api):
    async def main():
        async with Election("e", client=api) as election:
            while not election.is_leader:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert store.sessions == {}


def test_the_next_one_leads_when_the_first_resigns_and_after_its_call(store, api):
    seen = []
    second = Election("e", client=api, on_gain=lambda _token: seen.append("gain"))

    def on_loss(_token):
        time.sleep(0.3)
        seen.append(second.is_leader)

    first = Election("e", client=api, on_loss=on_loss)
    first.stand()
    assert first.wait(10)
    with second:
        assert not second.wait(0.2)
        token = first.token
        first.resign()
        assert second.wait(10)
        assert second.token > token
        wait_for("the term changed", lambda: len(seen) == 2)
    assert seen == [False, "gain"]


def test_a_loss_is_followed_by_another_candidature(store, api):
    told = []
    with Election("e", client=api, on_gain=lambda token: told.append(token), on_loss=lambda token: told.append(-token)) as election:
        assert election.wait(10)
        first = election.token
        store.end_session(store.entry(KEY)["Session"])
        wait_for("the term changed", lambda: election.token > first)
        wait_for("the term changed", lambda: len(told) == 3)
        assert told == [first, -first, election.token]


def test_it_may_resign_in_its_own_call(store, api):
    election = Election("e", client=api, on_gain=lambda _token: election.resign())
    election.stand()
    wait_for("the term changed", lambda: store.entry(KEY) and not store.entry(KEY)["Session"] and not store.sessions)
    assert not election.is_leader


def test_it_stands_through_consuls_trouble(store, api, reply):
    store.fault = lambda _request: reply("No cluster leader", 500)
    with Election("e", client=api) as election:
        assert not election.wait(0.5)
        store.fault = lambda _request: reply("Permission denied", 403)
        wait_for("the term changed", lambda: "Permission denied" in str(election.trouble), 20)
        store.fault = lambda _request: None
        assert election.wait(30)
        assert election.trouble is None


def test_a_call_that_fails_stops_nothing(store, api):
    called = []

    def on_gain(token):
        called.append(token)
        raise ValueError

    with Election("e", client=api, on_gain=on_gain, on_loss=called.append) as election:
        assert election.wait(10)
    assert len(called) == 2


def test_who_does_not_stand_does_not_wait(api):
    election = Election("e", client=api)
    with pytest.raises(ConsulError, match="does not stand"):
        election.wait(1)
    election.resign()


def test_standing_twice_is_standing_once(store, api):
    with Election("e", client=api) as election:
        election.stand()
        assert election.wait(10)
        assert len(store.sessions) == 1


def test_waiting_ends_when_it_resigns(store, api):
    store.put(KEY, b"", session="another")
    election = Election("e", client=api)
    election.stand()
    threading.Timer(0.2, election.resign).start()
    assert not election.wait(30)


def test_a_child_does_not_lead(store, api):
    with Election("e", client=api) as election:
        assert election.wait(10)
        child = os.fork()
        if not child:
            led = election.is_leader or election.token
            election.resign()
            os._exit(1 if led else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert election.is_leader


def test_an_exit_frees_the_keys(store, api):
    standing = [Election(name, client=api) for name in ("e", "f")]
    for election in standing:
        election.stand()
        assert election.wait(10)
    elections._resign_at_exit()
    assert not any(election.is_leader for election in standing)
    claim._release_at_exit()
    assert store.sessions == {}


def test_an_exit_does_not_wait_for_each_election_while_the_agent_hangs(store, fake_agent):
    api = Api(agents=[fake_agent(store).address], timeout=30)
    for name in ("e", "f"):
        election = Election(name, client=api)
        election.stand()
        assert election.wait(10)
    over = threading.Event()
    store.fault = lambda _request: over.wait(60) and None
    try:
        began = time.monotonic()
        elections._resign_at_exit()
        claim._release_at_exit()
        assert time.monotonic() - began < 15
    finally:
        over.set()


def test_a_program_that_ends_and_starts_no_thread_makes_its_calls(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    calls, called = Calls(), []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    calls.add(called.append, 1)
    calls.add(called.append, 2)
    calls.finish(5)
    assert called == [1, 2]


def test_what_others_store_is_no_leader(store, api):
    election = Election("e", client=api)
    store.put(KEY, b"no JSON")
    assert election.leader() is None
    store.put(KEY, b"no JSON", session="s")
    assert election.leader() == {"session": "s"}
    store.put(KEY, b"[1]", session="s")
    assert election.leader() == {"session": "s"}


def test_calls_come_in_their_order_and_are_waited_for():
    calls, called = Calls(), []
    for number in range(20):
        calls.add(called.append, number)
    calls.finish(10)
    assert called == list(range(20))
    calls.add(lambda _number: time.sleep(10), 0)
    began = time.monotonic()
    calls.finish(0.05)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "options",
    [{"name": ""}, {"name": "a//b"}, {"name": "a\n"}, {"key": ""}, {"key": 5}, {"ttl": 1}, {"value": 1}, {"on_gain": 1}, {"on_loss": "x"}],
)
def test_arguments_that_can_not_be_right(options):
    with pytest.raises(InvalidValueError, match=r"name|key|ttl|value|on_gain|on_loss"):
        Election(**{"name": "e", **options})

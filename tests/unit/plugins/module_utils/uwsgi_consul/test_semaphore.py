# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import threading

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConflictError, InvalidValueError, LostError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.layouts import LOCK_FLAGS, SEMAPHORE_FLAGS
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.semaphore import Semaphore

from .store import Store


@pytest.fixture
def store(reply):
    return Store(reply)


@pytest.fixture
def api(fake_agent, store):
    return Api(agents=[fake_agent(store).address], timeout=2)


def listing(store):
    return json.loads(base64.b64decode(store.entry("p/.lock")["Value"]))


def holds_by(session, limit):
    return json.dumps({"Limit": limit, "Holders": {session: True}}).encode()


def test_it_lies_as_the_library_for_go_lays_it_out(store, api):
    with Semaphore("p/", 2, client=api, value="me") as semaphore:
        (session,) = store.sessions
        assert listing(store) == {"Limit": 2, "Holders": {session: True}}
        assert store.entry("p/.lock")["Flags"] == SEMAPHORE_FLAGS
        own = store.entry(f"p/{session}")
        assert (own["Session"], own["Flags"], base64.b64decode(own["Value"])) == (session, SEMAPHORE_FLAGS, b"me")
        assert semaphore.token == own["ModifyIndex"]
        assert store.sessions[session]["Behavior"] == "delete"
    assert listing(store) == {"Limit": 2, "Holders": {}}
    assert list(store.keys) == ["p/.lock"]
    assert store.sessions == {}


def test_there_are_never_more_than_the_limit(store, api):
    first, second, third = (Semaphore("p", 2, client=api) for _number in range(3))
    assert first.acquire()
    assert second.acquire()
    assert first.token < second.token
    assert not third.acquire(0)
    assert not third.acquire(0.2)
    waiting = threading.Thread(target=third.acquire)
    waiting.start()
    first.release()
    waiting.join(10)
    assert third.held
    assert third.token > second.token
    second.release()
    third.release()


def test_a_dead_holder_leaves_its_place(store, api):
    store.put("p/.lock", holds_by("dead", 1), flags=SEMAPHORE_FLAGS)
    with Semaphore("p", 1, client=api):
        assert "dead" not in listing(store)["Holders"]


def test_another_limit_is_refused(store, api):
    store.put("p/.lock", holds_by("dead", 3), flags=SEMAPHORE_FLAGS)
    with pytest.raises(ConflictError, match="its limit is 3, not 2"):
        Semaphore("p", 2, client=api).acquire()
    assert store.sessions == {}


@pytest.mark.parametrize(
    ("value", "flags"), [(b"{}", LOCK_FLAGS), (b"text", SEMAPHORE_FLAGS), (b"[]", SEMAPHORE_FLAGS), (b"{}", SEMAPHORE_FLAGS)]
)
def test_a_key_with_another_use_is_refused(store, api, value, flags):
    store.put("p/.lock", value, flags=flags)
    with pytest.raises(ConflictError, match=r"p/\.lock is there and has another use"):
        Semaphore("p", 2, client=api).acquire()


def test_a_lost_place_is_told(store, api):
    told = []
    semaphore = Semaphore("p", 1, client=api, on_lost=told.append)
    semaphore.acquire()
    store.end_session(next(iter(store.sessions)))
    assert semaphore.lost.wait(10)
    wait_for("it came to Consul", lambda: told)
    with pytest.raises(LostError):
        semaphore.release()


def test_a_list_of_holders_that_somebody_overwrites_is_a_loss(store, api):
    semaphore = Semaphore("p", 1, client=api)
    semaphore.acquire()
    store.put("p/.lock", b"something else")
    assert semaphore.lost.wait(10)
    assert "has another use" in semaphore.lost.reason
    wait_for("it came to Consul", lambda: not store.sessions)
    assert base64.b64decode(store.entry("p/.lock")["Value"]) == b"something else"


def test_the_answer_to_the_acquisition_got_lost(store, api):
    store.put("p/.lock", holds_by("other", 1), flags=SEMAPHORE_FLAGS)
    store.put("p/other", b"", session="other", flags=SEMAPHORE_FLAGS)
    store.fault = lambda request: "lose" if request == "PUT /v1/txn" and store.seen.count(request) == 0 else None
    semaphore = Semaphore("p", 1, client=api)
    waiting = threading.Thread(target=semaphore.acquire)
    waiting.start()
    wait_for("it came to Consul", lambda: store.seen)
    store.put("p/other", b"", flags=SEMAPHORE_FLAGS)
    waiting.join(10)
    assert semaphore.held
    assert store.seen.count("PUT /v1/txn") == 1
    assert semaphore.token == store.entry(f"p/{next(iter(store.sessions))}")["ModifyIndex"]
    semaphore.release()


@pytest.mark.parametrize(
    "options", [{"prefix": ""}, {"prefix": "a//"}, {"limit": 0}, {"limit": True}, {"limit": "2"}, {"limit": 10**9}, {"ttl": 5}]
)
def test_arguments_that_can_not_be_right(options):
    with pytest.raises(InvalidValueError, match=r"prefix|limit|ttl"):
        Semaphore(**{"prefix": "p", "limit": 2, **options})

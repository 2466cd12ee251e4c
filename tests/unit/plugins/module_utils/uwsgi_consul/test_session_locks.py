# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import threading
import time
import uuid

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import (
    ConflictError,
    NoAgentError,
    NotAcquiredError,
    NotFoundError,
)
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.layouts import LOCK_FLAGS
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lock import Lock
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.session_locks import SessionLock, SessionSemaphore

from .store import Store


@pytest.fixture
def store(reply):
    return Store(reply)


@pytest.fixture
def api(fake_agent, store):
    return Api(agents=[fake_agent(store).address], timeout=2)


@pytest.fixture
def session(store):
    def make(**terms):
        made = str(uuid.uuid4())
        store.sessions[made] = {"Behavior": "release", "TTL": "60s", **terms}
        return made

    return make


def value(store, key="k"):
    return base64.b64decode(store.entry(key)["Value"])


def test_a_session_holds_until_it_releases(store, api, session):
    store.put("k", b"precious", flags=LOCK_FLAGS)
    lock, one, other = SessionLock("k", client=api), session(), session()
    token = lock.acquire(one)
    assert (lock.holders(), lock.token(one), lock.token(other), lock.is_taken()) == ([one], token, 0, True)
    assert value(store) == b"precious"
    assert not Lock("k", client=api, wait=0).acquire()
    with pytest.raises(NotAcquiredError, match="the lock k could not be had within 0 s"):
        lock.acquire(other)
    assert not lock.release(other)
    # Again by the same session: it is renewed, and nothing else.
    store.seen.clear()
    assert lock.acquire(one) == token
    assert store.seen == ["GET /v1/kv/k", f"PUT /v1/session/renew/{one}"]
    assert lock.release(one)
    assert not lock.release(one)
    assert value(store) == b"precious"
    assert (store.entry("k")["Session"], store.entry("k")["Flags"]) == (None, LOCK_FLAGS)
    assert one in store.sessions


def test_a_value_is_stored_only_when_it_is_given(store, api, session):
    lock, one = SessionLock("k", client=api), session()
    first = lock.acquire(one, value="mine")
    assert lock.acquire(one) == first
    assert lock.acquire(one, value="mine") == first
    assert lock.acquire(one, value="other") > first
    assert value(store) == b"other"


def test_the_key_is_deleted_when_asked(store, api, session):
    lock, one = SessionLock("k", client=api), session()
    lock.acquire(one)
    assert lock.release(one, behavior="delete")
    assert store.entry("k") is None


def test_a_session_is_made_when_nobody_else_holds_it_and_not_before(store, api, session):
    store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)
    made = []

    def make():
        made.append(session())
        return made[0]

    lock = SessionLock("k", client=api)
    with pytest.raises(NotAcquiredError):
        lock.acquire(make, wait=0.3)
    assert not made
    releasing = threading.Timer(0.3, lambda: store.put("k", b"theirs", flags=LOCK_FLAGS))
    releasing.start()
    store.seen.clear()
    assert lock.acquire(make, wait="30s")
    releasing.join()
    assert lock.holders() == made
    # One reading, one that waits, and what acquires it.
    assert store.seen.count("GET /v1/kv/k") <= 4


def test_a_session_that_waits_is_renewed(store, api, session):
    one = session(TTL="10s")
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    lock = SessionLock("k", client=api)
    releasing = threading.Timer(4.5, lambda: store.put("k", b"", flags=LOCK_FLAGS))
    releasing.start()
    assert lock.acquire(one, wait=60)
    releasing.join()
    assert store.seen.count(f"PUT /v1/session/renew/{one}") >= 2


def test_the_lock_delay_is_waited_for(store, api, session):
    store.delayed.add("k")
    lock, one = SessionLock("k", client=api), session()
    with pytest.raises(NotAcquiredError):
        lock.acquire(one)
    threading.Timer(1, store.delayed.clear).start()
    store.seen.clear()
    assert lock.acquire(one, wait=30)
    assert store.seen.count("PUT /v1/txn") <= 8


def test_a_session_that_has_ended(store, api, session):
    lock, one = SessionLock("k", client=api), session()
    lock.acquire(one)
    store.end_session(one)
    with pytest.raises(NotFoundError):
        lock.acquire(one, wait=5)
    assert not lock.release(one)


def test_answers_that_get_lost(store, api, session):
    lock, one = SessionLock("k", client=api), session()

    def lose_first(request):
        return "lose" if request == "PUT /v1/txn" and store.seen.count(request) == 0 else None

    store.fault = lose_first
    token = lock.acquire(one, wait=10)
    assert store.seen.count("PUT /v1/txn") == 1
    assert store.entry("k")["ModifyIndex"] == token
    store.seen.clear()
    assert lock.release(one)
    assert store.seen.count("PUT /v1/txn") == 1
    assert store.entry("k")["Session"] is None


def test_an_agent_that_does_not_answer(store, api, session):
    lock, one = SessionLock("k", client=api), session()
    store.fault = lambda _request: "drop"
    with pytest.raises(NoAgentError):
        lock.acquire(one, wait=60)
    store.fault = lambda _request: None
    lock.acquire(one)
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    waiting = []

    def acquire():
        waiting.append(lock.acquire(one, wait=60))

    thread = threading.Thread(target=acquire)
    store.seen.clear()
    thread.start()
    deadline = time.monotonic() + 60
    while len(store.seen) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.fault = lambda _request: "drop"
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    time.sleep(1)
    store.put("k", b"", flags=LOCK_FLAGS)
    store.fault = lambda _request: None
    thread.join(60)
    assert waiting == [store.entry("k")["ModifyIndex"]]


def test_a_key_with_another_use_is_refused(store, api, session):
    store.put("k", b"settings", flags=7)
    lock = SessionLock("k", client=api)
    for use in (lock.is_taken, lambda: lock.acquire(session())):
        with pytest.raises(ConflictError, match="has another use"):
            use()


def test_a_semaphore(store, api, session):
    semaphore = SessionSemaphore("p/", 2, client=api)
    one, two, three = (session(Behavior="delete") for _ in range(3))
    tokens = [semaphore.acquire(each, value=b"me") for each in (one, two)]
    assert tokens[0] < tokens[1]
    assert (semaphore.holders(), semaphore.is_taken()) == ([one, two], True)
    with pytest.raises(NotAcquiredError, match="the semaphore p "):
        semaphore.acquire(three)
    assert semaphore.acquire(one, value="other") == tokens[0]
    assert semaphore.release(one)
    assert not semaphore.release(one)
    assert semaphore.acquire(three)
    assert json.loads(value(store, "p/.lock")) == {"Limit": 2, "Holders": {two: True, three: True}}
    # Who died holds no place.
    store.end_session(two)
    assert semaphore.holders() == [three]

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import threading
import time

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import background, claim, lease
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import (
    BadRequestError,
    ConflictError,
    ConsulError,
    InvalidValueError,
    LostError,
    NoAgentError,
    NotAcquiredError,
    PermissionDeniedError,
    ServerError,
)
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.layouts import LOCK_FLAGS
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lock import Lock

from .store import Store


@pytest.fixture
def store(reply):
    return Store(reply)


@pytest.fixture
def api(fake_agent, store):
    return Api(agents=[fake_agent(store).address], timeout=2)


def value(store, key="k"):
    return base64.b64decode(store.entry(key)["Value"])


def test_a_section(store, api):
    lock = Lock("k", client=api, value="me")
    assert (lock.held, lock.token, lock.lost.is_set()) == (False, 0, False)
    with lock as entered:
        assert entered is lock
        assert lock.held
        assert lock.token == store.entry("k")["ModifyIndex"]
        assert store.entry("k")["Flags"] == LOCK_FLAGS
        assert list(store.sessions) == [store.entry("k")["Session"]]
        lost = lock.lost
    assert not lock.held
    assert not lost.is_set()
    assert not lost.wait(60)
    assert store.entry("k")["Session"] is None
    assert value(store) == b"me"
    assert store.sessions == {}


def test_a_section_of_an_event_loop(store, api):
    async def main():
        async with Lock("k", client=api) as lock:
            assert lock.held
            other = Lock("k", client=api)
            assert not await other.acquire_async(0)
        assert not lock.held

    asyncio.run(main())
    assert store.sessions == {}


def test_tokens_grow_although_the_key_is_deleted_each_time(store, api):
    tokens = []
    for _number in range(3):
        with Lock("k", client=api, behavior="delete") as lock:
            tokens.append(lock.token)
        assert store.entry("k") is None
    assert tokens == sorted(set(tokens))


def test_the_value_that_is_there_stays(store, api):
    store.put("k", b"precious", flags=LOCK_FLAGS)
    with Lock("k", client=api) as lock:
        assert value(store) == b"precious"
        # The holder himself, or anybody, stores another one: Consul keeps the holder, and forgets the flags.
        store.put("k", b"new", session=store.entry("k")["Session"])
        assert lock.held
    assert value(store) == b"new"
    assert store.entry("k")["Flags"] == LOCK_FLAGS


def test_a_value_that_is_stored_in_between_is_not_overwritten(store, api):
    store.put("k", b"old", flags=LOCK_FLAGS)

    def meddle(request):
        if request == "PUT /v1/txn" and store.seen.count(request) == 0:
            store.put("k", b"new", flags=LOCK_FLAGS)

    store.fault = meddle
    with Lock("k", client=api):
        assert value(store) == b"new"
    assert value(store) == b"new"


def test_a_key_with_another_use_is_refused(store, api):
    store.put("k", b"settings", flags=7)
    with pytest.raises(ConflictError, match="has another use"):
        Lock("k", client=api).acquire()
    assert value(store) == b"settings"
    assert store.sessions == {}


def test_one_that_is_held_is_not_had_at_once(store, api):
    store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)
    assert not Lock("k", client=api, wait=0).acquire()
    began = time.monotonic()
    assert not Lock("k", client=api, value="mine").acquire(0.3)
    assert 0.29 < time.monotonic() - began < 5
    with pytest.raises(NotAcquiredError, match=r"within 0\.1 s"), Lock("k", client=api, wait=0.1):
        pass
    assert value(store) == b"theirs"
    # Who only waits needs no session.
    assert "PUT /v1/session/create" not in store.seen


def test_it_is_had_as_soon_as_it_is_free_without_being_asked_for_again_and_again(store, api):
    store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)
    lock = Lock("k", client=api)
    waiting = threading.Thread(target=lock.acquire)
    waiting.start()
    wait_for("it came to Consul", lambda: store.seen)
    time.sleep(0.3)
    assert len(store.seen) <= 2
    store.put("k", b"theirs", flags=LOCK_FLAGS)
    waiting.join(10)
    assert lock.held
    lock.release()


def test_the_lock_delay_is_waited_for_with_pauses(store, api):
    store.delayed.add("k")
    assert not Lock("k", client=api).acquire(0)
    store.seen.clear()
    lock = Lock("k", client=api)
    threading.Timer(1.5, store.delayed.clear).start()
    assert lock.acquire(30)
    assert 2 <= store.seen.count("PUT /v1/txn") <= 10
    lock.release()


def test_it_can_not_be_nested(store, api):
    lock = Lock("k", client=api)
    with lock:
        with pytest.raises(ConsulError, match="held by this object already"):
            lock.acquire()
        assert lock.held
    with lock:
        pass


def test_a_release_without_an_acquisition(api):
    lock = Lock("k", client=api)
    with pytest.raises(ConsulError, match="not held by this process"):
        lock.release()
    lock.acquire()
    assert lock.release()
    with pytest.raises(ConsulError, match="released already"):
        lock.release()


def test_a_lock_may_be_released_inside_its_section(store, api):
    with Lock("k", client=api) as lock:
        lock.release()
    assert store.sessions == {}


# Answers that get lost.


def test_the_answer_to_the_acquisition_got_lost(store, api):
    store.fault = lambda request: "lose" if request == "PUT /v1/txn" and store.seen.count(request) == 0 else None
    store.put("other", b"")
    lock = Lock("k", client=api, wait=10)
    # The first request of all that fails would be an error; here others were answered before.
    held = threading.Event()
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    threading.Thread(target=lambda: lock.acquire() and held.set()).start()
    wait_for("it came to Consul", lambda: store.seen)
    store.put("k", b"", flags=LOCK_FLAGS)
    assert held.wait(10)
    assert lock.token == store.entry("k")["ModifyIndex"]
    assert store.seen.count("PUT /v1/txn") == 1
    assert lock.release()
    assert store.sessions == {}


def test_an_acquisition_that_fails_releases_what_it_may_have_got(store, api):
    store.fault = lambda request: "lose" if request == "PUT /v1/txn" and store.seen.count(request) == 0 else None
    with pytest.raises(NoAgentError, match="answer got lost"):
        Lock("k", client=api).acquire()
    assert store.sessions == {}
    assert store.entry("k")["Session"] is None


def test_the_answer_to_the_release_got_lost(store, api):
    lock = Lock("k", client=api)
    lock.acquire()
    store.fault = lambda request: "lose" if request == "PUT /v1/txn" and store.seen.count(request) == 1 else None
    assert lock.release()
    assert store.entry("k")["Session"] is None


def test_consul_fails_at_first(store, api, reply, refusing):
    with pytest.raises(NoAgentError):
        Lock("k", client=Api(agents=[refusing], timeout=1)).acquire()
    store.fault = lambda request: reply("Missing check 'service:x' registration", 500) if "create" in request else None
    with pytest.raises(ServerError, match="Missing check"):
        Lock("k", client=api, service_checks=["service:x"]).acquire()


def test_consul_fails_for_a_while(store, api, reply):
    store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)
    lock = Lock("k", client=api)
    waiting = threading.Thread(target=lock.acquire)
    waiting.start()
    wait_for("it came to Consul", lambda: store.seen)
    store.fault = lambda _request: "drop"
    store.put("k", b"theirs", flags=LOCK_FLAGS)
    time.sleep(0.5)
    store.fault = lambda _request: None
    waiting.join(20)
    assert lock.held
    lock.release()


def test_consul_fails_until_the_time_is_up(store, api):
    store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)
    lock = Lock("k", client=api)

    def fail():
        wait_for("it came to Consul", lambda: len(store.seen) == 2)
        store.fault = lambda _request: "drop"
        store.put("k", b"theirs", session="another", flags=LOCK_FLAGS)

    threading.Thread(target=fail).start()
    with pytest.raises(NoAgentError):
        lock.acquire(1.5)


def test_a_release_that_consul_does_not_answer(store, api):
    lock = Lock("k", client=api)
    lock.acquire()
    store.fault = lambda _request: "drop"
    began = time.monotonic()
    assert not lock.release()
    # All of the client's time-out is made use of, whatever the pauses between the tries were.
    assert 2 <= time.monotonic() - began < 20
    assert not lock.held


def test_a_token_that_may_not(store, api, reply):
    refusal = {"Results": None, "Errors": [{"OpIndex": 0, "What": "Permission denied: token with AccessorID 'x' lacks permission"}]}
    store.fault = lambda request: reply(json.dumps(refusal), 409) if request == "PUT /v1/txn" else None
    with pytest.raises(PermissionDeniedError, match="key:write"):
        Lock("k", client=api).acquire()
    assert store.sessions == {}


def test_a_refusal_that_nobody_knows(store, api, reply):
    store.fault = lambda request: reply(json.dumps({"Errors": [{"What": "the moon is full"}]}), 409) if "txn" in request else None
    with pytest.raises(BadRequestError, match="the moon is full"):
        Lock("k", client=api).acquire()


def test_a_release_at_an_agent_that_hangs(store, api):
    lock = Lock("k", client=api)
    lock.acquire()
    store.fault = lambda _request: time.sleep(30)
    began = time.monotonic()
    assert not lock.release()
    assert time.monotonic() - began < 15


def test_a_cancellation_that_is_swallowed_stops_nothing(store, api, monkeypatch):
    wait, swallowed = claim.Reading._wait, []

    async def swallow(reading, index):
        # What asyncio.wait_for does before Python 3.12, if what it waits for is done in that moment.
        while True:
            try:
                return await wait(reading, index)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(index)

    monkeypatch.setattr(claim.Reading, "_wait", swallow)
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    assert not Lock("k", client=api).acquire(0.3)
    wait_for("it came to Consul", lambda: swallowed and not claim._here.get().claims)


# Losses.


def test_the_end_of_the_session_is_told_at_once(store, api):
    told = []
    lock = Lock("k", client=api, on_lost=told.append)
    lock.acquire()
    lost, token = lock.lost, lock.token
    # Long before its next renewal.
    store.end_session(store.entry("k")["Session"])
    assert lost.wait(4)
    assert not lock.held
    wait_for("it came to Consul", lambda: told)
    assert told == [lost.reason]
    with pytest.raises(LostError, match="was lost before it was released") as caught:
        lock.release()
    assert caught.value.token == token
    # And it can be had again.
    with lock:
        assert lock.token > token
        assert lost.is_set()
        assert not lock.lost.is_set()


def test_a_loss_while_the_machine_was_suspended_is_told_when_it_goes_on(store, api, monkeypatch):
    told = []
    # Its next renewal is far off.
    lock = Lock("k", client=api, ttl=100, lock_delay=60, on_lost=told.append)
    lock.acquire()
    monkeypatch.setattr(lease, "now", lambda clock=lease.now: clock() + 200)
    wait_for("it came to Consul", lambda: told)
    assert not lock.held


def test_what_can_not_be_told_is_lost_all_the_same(store, api, monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "uwsgi-consul-lost":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lock = Lock("k", client=api, on_lost=lambda _reason: None)
    lock.acquire()
    monkeypatch.setattr(lease, "now", lambda clock=lease.now: clock() + 200)
    assert not lock.held
    monkeypatch.undo()
    wait_for("it came to Consul", lambda: not claim._here.get().claims)
    assert store.sessions == {}


def test_a_child_does_not_wait_for_what_nobody_would_tell_it(api, store, monkeypatch):
    child = os.getpid() + 1
    with Lock("k", client=api) as lock:
        lost = lock.lost
        monkeypatch.setattr(os, "getpid", lambda: child)
        with pytest.raises(ConsulError, match="by this process"):
            lost.wait(5)
        monkeypatch.undo()


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_a_lease_that_is_over_before_it_begins_is_not_tried_without_a_pause(store, api, seconds):
    assert not Lock("k", client=api, lock_delay=0.0001).acquire(seconds)
    wait_for("it came to Consul", lambda: not store.sessions)
    assert 0 < store.seen.count("PUT /v1/session/create") < 30


def test_a_section_whose_lock_was_lost_does_not_end_in_silence(store, api):
    def work(error=None):
        with Lock("k", client=api) as lock:
            store.end_session(store.entry("k")["Session"])
            lock.lost.wait(10)
            if error:
                raise error

    with pytest.raises(LostError):
        work()
    # What went wrong inside says more.
    with pytest.raises(KeyError):
        work(KeyError())


def test_a_lock_that_was_taken_away_is_lost_though_nobody_told_yet(store, api):
    lock = Lock("k", client=api)
    lock.acquire()
    store.put("k", b"", session="another", flags=LOCK_FLAGS)
    with pytest.raises(LostError):
        lock.release()
    assert store.entry("k")["Session"] == "another"


def test_a_lock_that_is_not_renewed_is_lost_by_the_clock(store, api, reply):
    # A lock delay of 2 s makes a lease of 1.8 s.
    lock = Lock("k", client=api, lock_delay=2)
    lock.acquire()
    time.sleep(2.2)
    assert lock.held
    store.fault = lambda _request: reply("No cluster leader", 500)
    began = time.monotonic()
    assert lock.lost.wait(10)
    assert time.monotonic() - began < 6
    assert "could not be renewed for 1.8 s" in lock.lost.reason
    store.fault = lambda _request: None
    # Its session ends, so that others get it after the lock delay.
    wait_for("it came to Consul", lambda: not store.sessions)


def test_a_session_that_consul_forgot_while_it_waited(store, api):
    store.put("k", b"", flags=LOCK_FLAGS)

    def forget(request):
        if request == "PUT /v1/txn" and store.seen.count(request) == 0:
            store.sessions.clear()

    store.fault = forget
    with Lock("k", client=api) as lock:
        assert store.entry("k")["Session"] in store.sessions
        assert lock.held


# Interruptions, forks, exits.


@pytest.mark.parametrize("slow", ["", "PUT /v1/session/create", "PUT /v1/txn"])
def test_an_interrupted_wait_leaves_no_session(store, api, slow):
    if not slow:
        store.delayed.add("k")
    store.fault = lambda request: time.sleep(0.4) if request == slow else None

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    lock = Lock("k", client=api)

    def acquire():
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        lock.acquire()

    try:
        with pytest.raises(KeyboardInterrupt):
            acquire()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert store.sessions == {}
    assert store.entry("k") is None or store.entry("k")["Session"] is None
    assert not lock.held
    store.delayed.clear()
    with lock:
        pass


def test_a_cancelled_wait_leaves_no_session(store, api):
    store.delayed.add("k")

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Lock("k", client=api).acquire_async(), 0.3)

    asyncio.run(main())
    wait_for("it came to Consul", lambda: "PUT /v1/session/create" in store.seen and not store.sessions)


def test_a_child_does_not_hold_its_parents_lock(store, api):
    lock = Lock("k", client=api)
    with lock:
        child = os.fork()
        if not child:
            code = 0
            try:
                with pytest.raises(ConsulError, match="not held by this process"):
                    lock.release()
                lock.__exit__(None, None, None)
                assert (lock.held, lock.token) == (False, 0)
                # It contends like everybody else.
                assert not lock.acquire(0)
            except BaseException:
                code = 1
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert lock.held
        assert store.entry("k")["Session"] in store.sessions
    assert store.sessions == {}


def test_the_exit_of_a_child_without_hooks_releases_nothing(store, api, monkeypatch):
    """uWSGI forks its workers without the hooks of Python."""
    with Lock("k", client=api) as lock:
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert not lock.held
        claim._release_at_exit()
        monkeypatch.undo()
        assert lock.held
        assert store.entry("k")["Session"] in store.sessions


def test_a_waiter_in_the_background_itself_is_refused(api):
    async def main():
        Lock("k", client=api).acquire()

    with pytest.raises(RuntimeError, match="await the coroutine"):
        background.run(main())


# Arguments.


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""},
        {"key": "/k"},
        {"key": "a//b"},
        {"key": None},
        {"key": "k\n"},
        {"client": "127.0.0.1"},
        {"value": 5},
        {"value": b"x" * 400000},
        {"ttl": 1},
        {"lock_delay": 61},
        {"behavior": "keep"},
        {"wait": -1},
        {"wait": "5"},
        {"name": ""},
        {"node_checks": "serfHealth"},
        {"service_checks": [None]},
        {"on_lost": "call me"},
    ],
)
def test_arguments_that_can_not_be_right(options):
    with pytest.raises(InvalidValueError, match=r"key|client|value|ttl|lock_delay|behavior|wait|name|node_checks|service_checks|on_lost"):
        Lock(**{"key": "k", **options})


def test_a_timeout_that_can_not_be_right(store, api):
    for timeout in (-1, float("nan"), "5", 1e30):
        with pytest.raises(InvalidValueError, match="timeout"):
            Lock("k", client=api).acquire(timeout)
    assert store.seen == []

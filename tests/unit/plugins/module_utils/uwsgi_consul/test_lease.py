# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import lease as lease_module
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConsulError, InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lease import Lease, Lost, Terms


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    times = [1000.0]
    monkeypatch.setattr(lease_module, "now", lambda: times[0])
    return times


def test_the_lease_is_shorter_than_what_protects_it():
    assert Terms.judge("n", 15, 15).lease == pytest.approx(13.5)
    assert Terms.judge("n", "1m", "10s").lease == pytest.approx(9)
    assert Terms.judge("n", 10, 60).lease == pytest.approx(9)
    # Without a lock delay the TTL alone protects.
    assert Terms.judge("n", 10, 0).lease == pytest.approx(9)


def test_a_session_has_no_checks_unless_they_are_given():
    body = json.loads(Terms.judge("n", 10.5, 0).body())
    assert body == {"Name": "n", "TTL": "10500ms", "LockDelay": "0s", "Behavior": "release", "NodeChecks": [], "ServiceChecks": []}
    body = json.loads(Terms.judge("n", 10, 1, "delete", ["serfHealth"], ["service:a"]).body())
    assert (body["NodeChecks"], body["ServiceChecks"], body["Behavior"]) == (["serfHealth"], [{"ID": "service:a"}], "delete")


@pytest.mark.parametrize(
    "terms",
    [
        ("", 15, 15),
        ("n\n", 15, 15),
        ("n", 9.9, 15),
        ("n", 86401, 15),
        ("n", "soon", 15),
        ("n", float("nan"), 15),
        ("n", 15, -1),
        ("n", 15, 61),
        ("n", 15, 15, "keep"),
        ("n", 15, 15, "release", "serfHealth"),
        ("n", 15, 15, "release", [""]),
        ("n", 15, 15, "release", (), 5),
    ],
)
def test_terms_that_can_not_be_right(terms):
    with pytest.raises(InvalidValueError):
        Terms.judge(*terms)


def test_a_lease_counts_from_when_the_proof_was_sent(clock):
    lease = Lease(9)
    assert not lease.is_valid()
    assert not lease.ended
    assert lease.prove(995.0)
    assert lease.left == pytest.approx(4)
    clock[0] = 1003.999
    assert lease.is_valid()
    assert lease.prove(1003.0)
    # An older proof takes nothing away.
    assert lease.prove(996.0)
    assert lease.left == pytest.approx(8.001)
    clock[0] = 1012.0
    assert not lease.is_valid()
    assert lease.lost
    assert "could not be renewed for 9 s" in lease.reason


def test_a_lease_that_has_ended_never_begins_again(clock):
    lease = Lease(9)
    lease.prove(1000.0)
    clock[0] = 1009.0
    # The answer to a request from before a long pause.
    assert not lease.prove(1005.0)
    assert not lease.prove(1009.0)
    assert not lease.is_valid()
    clock[0] = 1001.0
    assert not lease.is_valid()
    assert not lease.give_back()


def test_a_lease_that_is_given_back_is_not_lost(clock):
    lease = Lease(9)
    lease.prove(1000.0)
    assert lease.give_back()
    assert not lease.give_back()
    lease.lose("too late")
    clock[0] = 2000.0
    assert not lease.is_valid()
    assert not lease.lost
    assert lease.ended


def test_listeners_are_told_once_and_at_once():
    lease = Lease(9)
    lease.prove(lease_module.now())
    told = []
    lease.listen(lambda: told.append(1))
    forgotten = lambda: told.append("forgotten")  # noqa: E731
    lease.listen(forgotten)
    lease.forget(forgotten)
    lease.lose("gone")
    lease.lose("again")
    lease.listen(lambda: told.append(2))
    assert told == [1, 2]
    assert lease.reason == "gone"


def test_lost_waits_by_its_own_clock():
    lease = Lease(1)
    lost = Lost(lease)
    lease.prove(lease_module.now())
    assert not lost.wait(0.01)
    assert not lost.is_set()
    # Nobody tells it: that the time is up is enough.
    began = time.monotonic()
    assert lost.wait()
    assert time.monotonic() - began < 5
    assert lost.is_set()
    assert lost.reason


def test_lost_can_be_awaited_in_any_event_loop():
    lease = Lease(30)
    lease.prove(lease_module.now())

    async def main():
        threading.Timer(0.05, lease.lose, ["gone"]).start()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Lost(lease)._wait(), 0.001)
        return await Lost(lease)

    assert asyncio.run(main())
    other = Lease(30)
    other.prove(lease_module.now())

    async def released():
        threading.Timer(0.05, other.give_back).start()
        return await Lost(other)

    assert not asyncio.run(released())


def test_nothing_that_was_never_acquired_can_be_lost():
    assert not Lost().is_set()
    with pytest.raises(ConsulError, match="nothing has been acquired"):
        Lost().wait(1)


def test_a_child_has_no_lease_even_while_a_thread_of_its_parent_looks():
    lease = Lease(30)
    lease.prove(lease_module.now())
    with lease._lock:
        child = os.fork()
        if not child:
            os._exit(1 if lease.is_valid() or lease.give_back() else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert lease.is_valid()


def test_a_signal_handler_may_ask():
    lease = Lease(30)
    lease.prove(lease_module.now())
    asked = []
    before = signal.signal(signal.SIGUSR1, lambda *_: asked.append(lease.is_valid()))
    try:
        with lease._lock:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked == [True]


def test_the_clock_goes_on_while_the_process_is_stopped():
    read, write = os.pipe()
    child = os.fork()
    if not child:
        lease = Lease(1)
        lease.prove(lease_module.now())
        os.write(write, b"1" if lease.is_valid() else b"0")
        os.kill(os.getpid(), signal.SIGSTOP)
        os.write(write, b"1" if lease.is_valid() else b"0")
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    time.sleep(1.1)
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    assert os.read(read, 2) == b"10"
    os.close(read)
    os.close(write)

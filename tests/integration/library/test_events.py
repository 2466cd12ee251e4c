# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events of a real Consul: fired, listed, followed."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, BadRequestError, Events, NoAgentError, RequestError


@pytest.fixture
def name():
    return f"event-{uuid.uuid4().hex[:8]}"


def gather(following, count, seconds=30):
    """The next events, as many as are wanted, without waiting for more."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += following.poll(1)
    return found


def test_what_is_fired_is_listed(consul, name):
    events = Events(Api(agents=[consul.address]))
    following = events.follow(name)
    fired = events.fire(name, "välue")
    assert (fired["name"], fired["payload"], fired["node_filter"]) == (name, "välue".encode(), "")
    events.fire(name, b"\x00\xff", node=consul.node)
    events.fire(name, b"of other nodes", node="no-such-node")
    events.fire(name)
    assert sorted(one["payload"] for one in gather(following, 3)) == [b"", b"\x00\xff", "välue".encode()]
    listed = events.list(name)
    assert {one["id"] for one in listed} >= {fired["id"]}
    assert len(listed) == 3
    assert {one["id"] for one in listed} <= {one["id"] for one in events.list()}
    assert events.list("no-such-event") == []


def test_what_is_too_large_is_refused_by_consul_with_its_limit(consul, name):
    with pytest.raises(BadRequestError, match=r"max size: \d+ bytes"):
        Events(Api(agents=[consul.address])).fire(name, "x" * 450)


def test_a_filter_that_is_no_expression_is_refused_by_consul(consul, name):
    with pytest.raises(RequestError, match="regexp"):
        Events(Api(agents=[consul.address])).fire(name, node="(")


def test_following_gives_each_event_once_whoever_fires_it(consul, name):
    events = Events(Api(agents=[consul.address]))
    events.fire(name, "before")
    wait_for("the event arrives", lambda: events.list(name))
    following = events.follow(name)
    assert following.poll(0) == []
    wanted = [str(number).encode() for number in range(60)]

    def fire(part):
        for payload in part:
            events.fire(name, payload)
            events.fire(f"{name}-other", payload)

    threads = [threading.Thread(target=fire, args=(wanted[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    found = [next(following)["payload"] for _ in wanted]
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(wanted)
    assert following.poll(0.2) == []


def test_waiting_ends_with_the_event_and_not_with_the_time(consul, name):
    events = Events(Api(agents=[consul.address]))
    following = events.follow(name)
    started = time.monotonic()
    assert following.poll(1) == []
    assert time.monotonic() - started >= 0.9
    threading.Timer(0.5, events.fire, args=(name,)).start()
    started = time.monotonic()
    assert len(following.poll(300)) == 1
    assert time.monotonic() - started < 60


def test_following_goes_on_after_the_agent_was_away(consul_agents, name):
    agent = consul_agents()
    client = Api(agents=[agent.address], timeout=2)
    events = Events(client)
    following = events.follow()
    events.fire(name, "1")
    assert [one["payload"] for one in gather(following, 1)] == [b"1"]
    agent.stop()
    with pytest.raises(NoAgentError):
        following.poll(1)
    agent.start()
    events.fire(name, "2")
    assert [one["payload"] for one in gather(following, 1)] == [b"2"]

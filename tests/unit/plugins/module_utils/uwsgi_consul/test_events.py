# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events: what is sent, and what following makes of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Events, errors


def item(number, name="deploy"):
    return {
        "ID": f"id-{number}",
        "Name": name,
        "Payload": "eA==",
        "NodeFilter": "",
        "ServiceFilter": "",
        "TagFilter": "",
        "Version": 1,
        "LTime": number,
    }


@pytest.fixture
def make(fake_agent, reply):
    """Events of an agent that gives each answer, numbers of events and an index, in turn; and the agent."""

    def of(*answers):
        left = [
            reply(json.dumps([item(number) for number in numbers]), X_Consul_Index=str(index)) if isinstance(numbers, list) else numbers
            for numbers, index in answers
        ]
        agent = fake_agent(lambda _received: left.pop(0) if left else None)
        return Events(Api(agents=[agent.address], timeout=5)), agent

    return of


def test_firing(make, reply):
    events, agent = make((reply(json.dumps(item(0))), 0))
    fired = events.fire("a b/c", "é", node="web.*", service="shop", tag="v[12]")
    assert (agent.requests[0].method, agent.requests[0].body) == ("PUT", "é".encode())
    assert agent.requests[0].target == "/v1/event/fire/a%20b%2Fc?node=web.%2A&service=shop&tag=v%5B12%5D"
    assert fired == {"id": "id-0", "name": "deploy", "payload": b"x", "node_filter": "", "service_filter": "", "tag_filter": "", "ltime": 0}


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("", {}, "name"),
        ("a\nb", {}, "name"),
        (7, {}, "name"),
        ("n", {"payload": "x" * 512}, "payload"),
        ("n", {"payload": "é" * 256}, "payload"),
        ("n", {"payload": 7}, "payload"),
        ("n", {"payload": bytearray(2)}, "payload"),
        ("n", {"payload": "\ud800"}, "payload"),
        ("n" * 512, {"payload": "x"}, "payload"),
        ("n", {"node": ""}, "node"),
        ("n", {"service": 7}, "service"),
        ("n", {"tag": "v2"}, "tag"),
    ],
)
def test_what_no_consul_would_take_is_refused_before_anything_is_sent(make, name, options, what):
    events, agent = make()
    with pytest.raises(errors.InvalidValueError, match=f"^{what}: "):
        events.fire(name, **options)
    assert not agent.requests


def test_following_gives_what_is_new_whatever_the_index_does(make):
    # The index is a checksum: of 64 bits, and not growing.
    most = 2**64 - 1
    events, agent = make(([1, 2], most), ([1, 2, 3], 9), ([1, 2, 3, 4, 5], most - 5), ([5, 6], 7))
    following = events.follow("deploy")
    assert [[one["ltime"] for one in following.poll(30)] for _ in range(3)] == [[3], [4, 5], [6]]
    assert [one.target for one in agent.requests] == [
        "/v1/event/list?name=deploy",
        f"/v1/event/list?name=deploy&index={most}&wait=30s",
        "/v1/event/list?name=deploy&index=9&wait=30s",
        f"/v1/event/list?name=deploy&index={most - 5}&wait=30s",
    ]


def test_an_agent_that_was_restarted_or_another_one_gives_nothing_twice(make):
    events, agent = make(([1, 2], 5), ([], 1), ([2, 3], 6), ([1, 2, 3, 4], 8))
    following = events.follow()
    assert [[one["ltime"] for one in following.poll()] for _ in range(3)] == [[], [3], [4]]
    assert "index=1&" in agent.requests[2].target


def test_iterating_goes_on_until_there_is_one_and_after_an_error(make, reply):
    events, _agent = make(([1], 5), ([1], 5), ([1, 2, 3], 6), (reply("no leader", 400), 0), ([3, 4], 7))
    following = iter(events.follow())
    assert [next(following)["ltime"], next(following)["ltime"]] == [2, 3]
    with pytest.raises(errors.BadRequestError):
        next(following)
    assert next(following)["ltime"] == 4


def test_an_answer_that_cannot_be_read_loses_nothing(make, reply):
    events, _agent = make(([1], 5), (reply("[7]"), 0), (reply(json.dumps([item(2)]), X_Consul_Index="x"), 0), ([1, 2], 6))
    following = events.follow()
    for _ in range(2):
        with pytest.raises(errors.BadAnswerError):
            following.poll()
    assert [one["ltime"] for one in following.poll()] == [2]


def test_no_time_to_wait_asks_without_waiting(make):
    events, agent = make(([], 1), ([1], 2))
    assert len(events.follow().poll(0)) == 1
    assert agent.requests[1].target == "/v1/event/list"


def test_memory_is_bounded(make, monkeypatch):
    module = __import__(Events.__module__, fromlist=["_REMEMBERED"])
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    events, _agent = make(([1, 2], 1), ([1, 2, 3, 4, 5], 2), ([4, 5, 6], 3))
    following = events.follow()
    assert [len(following.poll()) for _ in range(2)] == [3, 1]
    assert list(following._known) == ["id-4", "id-5", "id-6"]


@pytest.mark.parametrize("wait", [-1, 601, None, "10s", float("nan")])
def test_waits_that_cannot_be_are_refused(make, wait):
    events, agent = make(([], 1))
    following = events.follow()
    with pytest.raises(errors.InvalidValueError, match=r"^wait: "):
        following.poll(wait)
    assert len(agent.requests) == 1


@pytest.mark.parametrize("body", ["null", "7", "[7]", "[{}]", '[{"ID": "a", "Name": "n", "Payload": "!", "LTime": 1}]'])
def test_an_answer_of_another_shape_is_a_bad_answer(make, reply, body):
    events, _agent = make((reply(body), 0))
    with pytest.raises(errors.BadAnswerError):
        events.list()

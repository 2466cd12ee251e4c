# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions: what is sent, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Sessions, errors

ID = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"


@pytest.fixture
def make(fake_agent, reply):
    def of(answer):
        agent = fake_agent(reply(json.dumps(answer)))
        return Sessions(Api(agents=[agent.address]), datacenter="dc2"), agent

    return of


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({}, {}),
        ({"name": "n", "node": "web1"}, {"Name": "n", "Node": "web1"}),
        ({"lock_delay": 0, "ttl": 10}, {"LockDelay": "0s", "TTL": "10s"}),
        ({"lock_delay": "1m", "ttl": "24h"}, {"LockDelay": "60s", "TTL": "86400s"}),
        ({"lock_delay": 0.25, "ttl": 10.5}, {"LockDelay": "250ms", "TTL": "10500ms"}),
        ({"behavior": "delete"}, {"Behavior": "delete"}),
        ({"checks": ["a"]}, {"Checks": ["a"]}),
        ({"node_checks": (), "service_checks": iter(["a"])}, {"NodeChecks": [], "ServiceChecks": [{"ID": "a"}]}),
    ],
)
def test_what_is_given_is_sent_and_nothing_else(make, options, body):
    sessions, agent = make({"ID": ID})
    assert sessions.create(**options) == ID
    assert (agent.requests[0].method, agent.requests[0].target) == ("PUT", "/v1/session/create?dc=dc2")
    assert json.loads(agent.requests[0].body) == {"Behavior": "release", **body}


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 9.999},
        {"ttl": 86401},
        {"ttl": 0},
        {"ttl": "10"},
        {"lock_delay": -1},
        {"lock_delay": 60.1},
        {"lock_delay": "61s"},
        {"behavior": "keep"},
        {"name": 7},
        {"node": ""},
        {"checks": "serfHealth"},
        {"node_checks": [""]},
        {"service_checks": {"a": 1, 7: 2}},
    ],
)
def test_what_consul_would_not_take_is_refused_before_anything_is_sent(make, options):
    sessions, agent = make({"ID": ID})
    (what,) = options
    with pytest.raises(errors.InvalidValueError, match=f"^{what}: "):
        sessions.create(**options)
    assert not agent.requests


def test_a_session_of_an_old_consul(make):
    old = {"ID": ID, "Name": "", "Node": "n", "Checks": ["serfHealth"], "LockDelay": 15_000_000_000, "Behavior": "release", "TTL": ""}
    sessions, agent = make([{**old, "CreateIndex": 3, "ModifyIndex": 4}])
    assert sessions.node("a b/c") == [
        {
            "id": ID,
            "name": "",
            "node": "n",
            "lock_delay": 15.0,
            "ttl": None,
            "behavior": "release",
            "node_checks": ["serfHealth"],
            "service_checks": [],
            "create_index": 3,
            "modify_index": 4,
        }
    ]
    assert agent.requests[0].target == "/v1/session/node/a%20b%2Fc?dc=dc2"


@pytest.mark.parametrize("call", ["destroy", "renew", "info"])
@pytest.mark.parametrize("session_id", ["", "x", None, 7, ID + "/..", f"{ID}\n"])
def test_what_is_no_session_is_refused(make, call, session_id):
    sessions, agent = make([])
    with pytest.raises(errors.InvalidValueError, match=r"^session_id: "):
        getattr(sessions, call)(session_id)
    assert not agent.requests


@pytest.mark.parametrize("answer", [7, {"a": 1}, [7], [{}], [{"ID": ID, "Node": "n", "LockDelay": "x"}]])
@pytest.mark.parametrize("call", ["list", "renew", "create"])
def test_an_answer_of_another_shape_is_a_bad_answer(make, call, answer):
    sessions, _agent = make(answer)
    with pytest.raises(errors.BadAnswerError):
        getattr(sessions, call)(*([ID] if call == "renew" else []))

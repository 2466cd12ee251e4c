# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
import time

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError, PermissionDeniedError, ServerError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.waiting import Waiting

from .store import Store


@pytest.fixture
def store(reply):
    return Store(reply)


@pytest.fixture
def waiting(fake_agent, store):
    return Waiting(Api(agents=[fake_agent(store).address], timeout=2))


def later(seconds, function):
    timer = threading.Timer(seconds, function)
    timer.start()
    return timer


def test_nothing_is_polled(store, waiting):
    store.put("other", b"")
    later(1, lambda: store.put("k", b"secret"))
    looks = []
    look = waiting.key("k", wait="1h", on_look=looks.append)
    assert look.fulfilled
    assert look.found["key"] == "k"
    assert "value" not in look.found
    assert [one.said for one in looks] == ["there is no key k", "the key k is there"]
    assert store.seen == ["GET /v1/kv/k"] * 2


def test_one_look(store, waiting):
    assert not waiting.key("k", wait=0).fulfilled
    assert waiting.key("k", absent=True, wait=0).fulfilled
    assert store.seen == ["GET /v1/kv/k"] * 2


def test_the_time_is_up(store, waiting):
    store.put("k", b"secret")
    began = time.monotonic()
    look = waiting.key("k", "other", wait=0.5)
    assert 0.5 <= time.monotonic() - began < 10
    assert (look.fulfilled, look.said) == (False, "the key k has another value")


def test_trouble_is_waited_out(store, waiting, reply):
    faults = ["drop", reply("No cluster leader", 500), reply("Permission denied", 403)]
    store.fault = lambda _request: faults.pop(0) if faults else None
    store.put("k", b"")
    looks = []
    assert waiting.key("k", wait=60, on_look=looks.append).fulfilled
    assert looks[0].said.startswith("Consul can't be asked: ")
    store.fault = lambda _request: "drop"
    with pytest.raises(NoAgentError):
        waiting.key("k", wait=0.5)
    with pytest.raises(NoAgentError):
        waiting.key("k", wait=0)


def test_trouble_that_does_not_pass(store, waiting, reply):
    store.fault = lambda _request: reply("Permission denied", 403)
    with pytest.raises(PermissionDeniedError):
        waiting.key("k", wait=60)
    store.fault = lambda _request: reply("rpc error making call: Failed to create boolean expression evaluator", 500)
    with pytest.raises(ServerError):
        waiting.service("web", filter="x", wait=60)


def test_an_agent_that_is_about_to_stop_is_not_asked_a_thousand_times(store, waiting, reply):
    store.fault = lambda _request: reply("[]", 200, X_Consul_Index="7")
    assert not waiting.key("k", wait=1.2).fulfilled
    assert len(store.seen) <= 4


def entry(name, status, node="n1"):
    return {
        "Node": {"Node": node, "Address": "10.0.0.1"},
        "Service": {"ID": name, "Service": "web", "Port": 80},
        "Checks": [{"CheckID": "x", "Status": status}],
    }


def test_instances(store, waiting, reply):
    found = [entry("web-1", "passing"), *(entry(f"web-{number}", "critical", "n2") for number in range(2, 9))]
    store.fault = lambda _request: reply(json.dumps(found), 200)
    look = waiting.service("web", 2, wait=0)
    assert not look.fulfilled
    assert look.said == (
        "of service web, 1 of 8 instances are passing, and 2 should be (web-2 of n2: critical, web-3 of n2: critical, "
        "web-4 of n2: critical, web-5 of n2: critical, web-6 of n2: critical, and 2 more)"
    )
    assert [one["id"] for one in look.found] == ["web-1"]
    assert waiting.service("web", 8, status="any", wait=0).fulfilled
    assert waiting.service("web", 2, absent=True, wait=0).fulfilled
    store.fault = lambda _request: reply("[]", 200)
    assert waiting.service("web", wait=0).said == "service web has no instance, and 1 should be passing"


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], "node n has no check, or is not known"),
        ([("serfHealth", "passing", ""), ("web", "critical", "web-1")], "node n is passing"),
        ([("serfHealth", "critical", "")], "node n is critical"),
        ([("serfHealth", "passing", ""), ("_node_maintenance", "critical", "")], "node n is maintenance"),
    ],
)
def test_a_node(store, waiting, reply, checks, said):
    found = [{"CheckID": name, "Name": name, "Status": status, "Output": "", "ServiceID": service} for name, status, service in checks]
    store.fault = lambda _request: reply(json.dumps(found), 200)
    look = waiting.node("n", wait=0)
    assert (look.fulfilled, look.said) == (said == "node n is passing", said)


def test_a_leader(store, waiting, reply):
    answers = {"GET /v1/status/leader": [reply('""'), reply('"10.0.0.1:8300"')]}
    store.fault = lambda request: answers[request].pop(0) if request in answers else reply("[]")
    looks = []
    assert waiting.leader(wait=60, on_look=looks.append).found == "10.0.0.1:8300"
    assert [one.said for one in looks] == ["there is no leader", "the leader is 10.0.0.1:8300"]

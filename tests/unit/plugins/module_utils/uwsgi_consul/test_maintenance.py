# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance: whose it is, and what changed."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Maintenance, errors


@pytest.fixture
def make(fake_agent, reply):
    def of(*answers):
        left = [answer if isinstance(answer, bytes) else reply(json.dumps(answer)) for answer in answers]
        agent = fake_agent(lambda _received: left.pop(0) if left else None)
        return Maintenance(Api(agents=[agent.address])), agent

    return of


def checks(*ids):
    return {check_id: {"Notes": f"why {check_id}"} for check_id in ids}


def test_the_reason_is_a_parameter_and_the_id_one_segment(make, reply):
    maintenance, agent = make({}, reply(""), checks("_service_maintenance:a b/c"))
    assert maintenance.enable("a b/c", reason="x & y") == {
        "enabled": True,
        "reason": "why _service_maintenance:a b/c",
        "changed": True,
    }
    assert agent.requests[1].target == "/v1/agent/service/maintenance/a%20b%2Fc?enable=true&reason=x+%26+y"


def test_nothing_changes_when_it_is_so_already(make, reply):
    for enabled in (True, False):
        state = checks("_node_maintenance", "other") if enabled else checks("_service_maintenance:web")
        maintenance, agent = make(state, reply(""), state)
        assert (maintenance.enable() if enabled else maintenance.disable())["changed"] is False
        assert agent.requests[1].target == f"/v1/agent/maintenance?enable={str(enabled).lower()}"


def test_another_reason_while_it_goes_on(make, reply):
    on, other = checks("_service_maintenance:web"), {"_service_maintenance:web": {"Notes": "new"}}
    done = reply("")
    maintenance, agent = make(on, done, on, done, on, done, {}, {}, done, other, done)
    assert maintenance.change("web", reason="new") == {"enabled": True, "reason": "new", "changed": False}
    changes = [(one.target, json.loads(one.body or b"{}").get("Status")) for one in agent.requests if one.method == "PUT"]
    assert changes[1:] == [
        ("/v1/agent/check/register", "critical"),
        ("/v1/agent/service/maintenance/web?enable=false", None),
        ("/v1/agent/service/maintenance/web?enable=true&reason=new", None),
        ("/v1/agent/check/deregister/uwsgi-consul-maintenance%3Aweb", None),
    ]


def test_an_agent_among_several_is_not_left_to_chance():
    with pytest.raises(errors.InvalidValueError, match="maintenance belongs to one agent, and the client has 2"):
        Maintenance(Api(agents=["127.0.0.1:1", "127.0.0.1:2"]))


@pytest.mark.parametrize(("service_id", "reason"), [("", ""), (7, ""), ("a\n", ""), (None, 7), (None, "x" * 513), (None, None)])
def test_what_is_wrong_is_refused_before_anything_is_sent(make, service_id, reason):
    maintenance, agent = make()
    with pytest.raises(errors.InvalidValueError, match=r"^(service_id|reason): "):
        maintenance.enable(service_id, reason=reason)
    assert not agent.requests


@pytest.mark.parametrize("answer", [None, 7, [1], {"_node_maintenance": {}}, {"_node_maintenance": 7}])
def test_an_answer_of_another_shape_is_a_bad_answer(make, answer):
    maintenance, _agent = make(answer)
    with pytest.raises(errors.BadAnswerError):
        maintenance.state()

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raft and autopilot: what is sent, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Operator, errors

AUTOPILOT = {
    "CleanupDeadServers": True,
    "LastContactThreshold": "200ms",
    "MaxTrailingLogs": 250,
    "MinQuorum": 0,
    "ServerStabilizationTime": "10s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": False,
    "UpgradeVersionTag": "",
    "CreateIndex": 4,
    "ModifyIndex": 9,
}
PEER = {"ID": "i", "Node": "n", "Address": "a:1", "Leader": True, "ProtocolVersion": "3", "Voter": True}


@pytest.fixture
def make(fake_agent, reply):
    def of(*answers):
        waiting = [answer if isinstance(answer, bytes) else reply(json.dumps(answer)) for answer in answers]
        agent = fake_agent(lambda _received: waiting.pop(0) if len(waiting) > 1 else waiting[0])
        return Operator(Api(agents=[agent.address]), datacenter="dc2"), agent

    return of


def test_servers_by_name(make):
    operator, agent = make({"Servers": [{**PEER, "Node": "z", "Leader": False}, PEER], "Index": 0})
    assert [one["node"] for one in operator.servers()] == ["n", "z"]
    assert operator.servers()[0] == {"id": "i", "node": "n", "address": "a:1", "leader": True, "voter": True, "protocol_version": 3}
    assert agent.requests[0].target == "/v1/operator/raft/configuration?dc=dc2"


def test_fields_are_set_and_the_others_stay(make):
    operator, agent = make(AUTOPILOT, True)
    operator.configure(last_contact_threshold="0.5s", min_quorum=3, cleanup_dead_servers=False)
    assert agent.requests[1].target == "/v1/operator/autopilot/configuration?cas=9&dc=dc2"
    sent = json.loads(agent.requests[1].body)
    assert sent == {**AUTOPILOT, "LastContactThreshold": "500ms", "MinQuorum": 3, "CleanupDeadServers": False}


def test_a_change_of_somebody_else_is_not_overwritten(make):
    operator, agent = make(AUTOPILOT, False)
    with pytest.raises(errors.ConflictError, match="somebody else"):
        operator.configure(index=7, min_quorum=3)
    assert "cas=7" in agent.requests[1].target


def test_of_an_old_consul(make):
    old = {name: value for name, value in AUTOPILOT.items() if name != "MinQuorum"}
    assert make(old)[0].autopilot()["min_quorum"] == 0


def test_a_field_that_nobody_knows(make):
    operator, agent = make(AUTOPILOT)
    with pytest.raises(errors.InvalidValueError, match="'quorum' is none of last_contact_threshold"):
        operator.configure(quorum=3)
    assert not agent.requests


def test_leadership(make, reply):
    operator, agent = make({"Success": True})
    operator.transfer_leadership()
    operator.transfer_leadership("i d")
    assert [one.target for one in agent.requests] == [
        "/v1/operator/raft/transfer-leader?dc=dc2",
        "/v1/operator/raft/transfer-leader?id=i+d&dc=dc2",
    ]
    operator, _agent = make(reply("", 404))
    with pytest.raises(errors.ConflictError, match=r"this Consul can't transfer leadership.*Releases before 1\.15"):
        operator.transfer_leadership("i")


def test_peers_are_removed(make, reply):
    operator, agent = make(reply(""))
    operator.remove("i")
    assert (agent.requests[0].method, agent.requests[0].target) == ("DELETE", "/v1/operator/raft/peer?id=i&dc=dc2")
    with pytest.raises(errors.NotFoundError, match="was not found in the Raft configuration"):
        make(reply('id "i" was not found in the Raft configuration', 500))[0].remove("i")


def test_a_cluster_in_trouble_says_so_at_once(make, reply):
    server = {"ID": "i", "Name": "n", "Address": "a:1", "SerfStatus": "failed", "Version": "1.22.7", "Leader": False, "LastContact": "-1ns"}
    server = {**server, "LastTerm": 0, "LastIndex": 0, "Healthy": False, "Voter": True, "StableSince": "2026-01-01T00:00:00Z"}
    operator, agent = make(reply(json.dumps({"Healthy": False, "FailureTolerance": 0, "Servers": [server]}), 429))
    found = operator.health()
    assert (found["healthy"], found["servers"][0]["serf_status"], found["servers"][0]["last_contact"]) == (False, "failed", None)
    assert len(agent.requests) == 1


@pytest.mark.parametrize("answer", [[], {}, {"Servers": [{}]}, None])
def test_no_answer_of_consul(make, answer):
    with pytest.raises(errors.BadAnswerError):
        make(answer)[0].servers()

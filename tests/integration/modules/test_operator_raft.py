# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_operator_raft` with a real Consul: three servers that elect each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.operator import Operator
from ports import free_port

UNKNOWN = "00000000-0000-0000-0000-000000000007"


@pytest.fixture
def servers(consul_agents):
    """Three servers, all of them voters, and the options of the module, which asks any of them."""
    gossip = [free_port() for _ in range(3)]
    # All at once: one that joins later waits ten seconds for its vote.
    config = {
        "bootstrap": False,
        "bootstrap_expect": 3,
        "retry_join": [f"127.0.0.1:{port}" for port in gossip],
        "retry_interval": "1s",
        # A busy machine is no reason to elect another leader, nor to call a server unhealthy.
        "performance": {"raft_multiplier": 3},
        # It would remove the dead one before the module does.
        "autopilot": {"server_stabilization_time": "100ms", "last_contact_threshold": "10s", "cleanup_dead_servers": False},
    }

    def start(number):
        return consul_agents({**config, "ports": {"serf_lan": gossip[number - 1]}}, node=f"server{number}", persistent=True)

    with ThreadPoolExecutor(3) as threads:
        agents = list(threads.map(start, (1, 2, 3)))
    wait_for(
        "the servers agree", lambda: [one["Voter"] for one in agents[0].get("/v1/operator/raft/configuration")["Servers"]] == [True] * 3
    )
    # Autopilot's own opinion is what the module asks.
    wait_for("the servers agree", lambda: agents[0].get("/v1/operator/autopilot/health")["FailureTolerance"] == 1)
    return agents, {"agents": [agent.address for agent in agents], "token": None}


def test_leadership_and_peers(ensure, keeps, module, fails, servers):
    agents, options = servers
    found = keeps("consul_operator_raft", **options)
    assert [one["node"] for one in found["servers"]] == ["server1", "server2", "server3"]
    assert (found["health"]["healthy"], found["health"]["failure_tolerance"]) == (True, 1)
    first = module("consul_operator_raft", leader="server1", **options)
    assert first.get("leader") == "server1", first

    # By name, then by id; what leads already stays.
    done = ensure("consul_operator_raft", leader="server2", **options)
    assert done["leader"] == "server2"
    assert done["diff"]["before"]["leader"] == "server1"
    assert agents[2].get("/v1/status/leader") == f"127.0.0.1:{agents[1].server_port}"
    third = next(one["id"] for one in done["servers"] if one["node"] == "server3")
    ensure("consul_operator_raft", leader=third, **options)
    keeps("consul_operator_raft", leader=f"127.0.0.1:{agents[2].server_port}", **options)
    # Whoever may.
    keeps("consul_operator_raft", not_leader=["server1", "server2"], **options)
    assert ensure("consul_operator_raft", not_leader=["server3", "server2"], **options)["leader"] == "server1"

    assert "server3" in fails("consul_operator_raft", absent_peers=["server3"], **options)
    assert "absent_peers: server1 is the leader" in fails("consul_operator_raft", absent_peers=["server1"], force=True, **options)
    keeps("consul_operator_raft", absent_peers=["server9"], **options)
    agents[2].process.kill()
    agents[2].process.wait()
    wait_for(
        "the servers agree", lambda: next(one for one in agents[0].get("/v1/agent/members") if one["Name"] == "server3")["Status"] == 4
    )
    wait_for(
        "the servers agree",
        lambda: "failed" in [one["serf_status"] for one in module("consul_operator_raft", **options)["health"]["servers"]],
    )
    done = ensure("consul_operator_raft", absent_peers=[third], **options)
    assert [one["node"] for one in done["servers"]] == ["server1", "server2"]
    # Two of two are needed from now on, and both are there.
    assert done["leader"] == "server1"


def test_autopilot(ensure, keeps, module, consul_agents, monkeypatch):
    options = {"agents": [consul_agents().address], "token": None}
    settings = {"last_contact_threshold": "500ms", "min_quorum": 3, "cleanup_dead_servers": False}
    done = ensure("consul_operator_raft", autopilot=settings, **options)
    assert done["diff"]["before"]["autopilot"]["last_contact_threshold"] == 0.2
    assert (done["autopilot"]["last_contact_threshold"], done["autopilot"]["min_quorum"]) == (0.5, 3)
    # What is not given stays, and a duration is one however it is written.
    assert done["autopilot"]["max_trailing_logs"] == 250
    keeps("consul_operator_raft", autopilot={"last_contact_threshold": "0.5s"}, **options)
    ensure("consul_operator_raft", autopilot={"server_stabilization_time": "1m"}, **options)
    assert module("consul_operator_raft", **options)["autopilot"]["min_quorum"] == 3

    def lost(_self):
        raise NoAgentError("the answer got lost")

    # What was set before a failure is told.
    monkeypatch.setattr(Operator, "health", lost)
    failed = module("consul_operator_raft", autopilot={"min_quorum": 0}, **options)
    assert (failed["failed"], failed["changed"]) == (True, True)


def test_as_an_administrator_of_another_datacenter(keeps, module):
    found = keeps("consul_operator_raft", datacenter="dc2", leader="node2")
    assert (found["leader"], len(found["servers"])) == ("node2", 1)
    refused = module("consul_operator_raft", token=UNKNOWN)
    assert refused["failed"]
    assert refused["status"] == 403


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"leader": "nobody"}, "leader: nobody is no server. Servers are node1"),
        ({"leader": "a\nb"}, "leader: 'a\\nb' is no name"),
        ({"not_leader": [""]}, "not_leader: '' is no name"),
        ({"not_leader": ["node1"]}, "not_leader: there is no other healthy server that could lead"),
        ({"leader": "node1", "not_leader": ["node1"]}, "mutually exclusive"),
        ({"absent_peers": ["node1"]}, "absent_peers: node1 is the leader"),
        ({"absent_peers": ["a\x00"]}, "absent_peers: 'a\\x00' is no name"),
        ({"autopilot": {"last_contact_threshold": "soon"}}, "last_contact_threshold: 'soon' is no duration"),
        ({"autopilot": {"min_quorum": -1}}, "min_quorum: -1 is no whole number"),
        ({"autopilot": {"max_trailing_logs": -1}}, "max_trailing_logs: -1 is no whole number"),
        ({"autopilot": {"server_stabilization_time": "-1s"}}, "server_stabilization_time: '-1s' is no duration"),
        ({"autopilot": {"upgrade_version_tag": "x" * 600}}, "upgrade_version_tag: is 600 characters long"),
        ({"autopilot": {"redundancy_zone_tag": "x" * 600}}, "redundancy_zone_tag: is 600 characters long"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_operator_raft", **params)


def test_the_oldest_consul(ensure, keeps, fails, consul_oldest):
    options = {"agents": [consul_oldest.address], "token": None}
    keeps("consul_operator_raft", leader="node1", **options)
    ensure("consul_operator_raft", autopilot={"max_trailing_logs": 500}, **options)
    assert "no other healthy server" in fails("consul_operator_raft", not_leader=["node1"], **options)

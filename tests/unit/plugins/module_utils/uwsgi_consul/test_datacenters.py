# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Datacenters: how few requests, and what becomes of one that can't be reached."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Datacenters, errors


def entry(node, datacenter, address, status="passing"):
    return {
        "Node": {"ID": f"id-{node}", "Node": node, "Address": address, "Datacenter": datacenter},
        "Service": {"Address": "", "Port": 8300, "Meta": {"version": "1.22.7"}},
        "Checks": [{"Status": status}],
    }


ANSWERS = {
    "/v1/catalog/datacenters": ["dc1", "dc2"],
    "/v1/agent/members?wan=1": [{"Name": "a.dc1", "Status": 1}, {"Name": "b.dc1", "Status": 4}, {"Name": "c.dc2", "Status": 4}],
    "/v1/status/leader?dc=dc1": "[2001:db8::1]:8300",
    "/v1/health/service/consul?dc=dc1": [entry("b", "dc1", "192.0.2.2", "critical"), entry("a", "dc1", "2001:db8::1")],
    "/v1/catalog/nodes?dc=dc1": [{"Node": "a", "ID": "id-a", "Address": "2001:db8::1", "Meta": {}}],
}


@pytest.fixture
def make(fake_agent, reply):
    def of(answers):
        def answer(received):
            if received.target not in answers:
                return reply("No path to datacenter", 500)
            found = answers[received.target]
            return found if isinstance(found, bytes) else reply(json.dumps(found))

        agent = fake_agent(answer)
        return Datacenters(Api(agents=[agent.address])), agent

    return of


def test_all(make):
    datacenters, agent = make(ANSWERS)
    near, far = datacenters.describe()
    assert (near["name"], near["reachable"], near["leader"], near["problem"]) == ("dc1", True, "a", "")
    assert [(one["node"], one["address"], one["leader"], one["healthy"], one["wan_status"]) for one in near["servers"]] == [
        ("a", "[2001:db8::1]:8300", True, True, "alive"),
        ("b", "192.0.2.2:8300", False, False, "failed"),
    ]
    assert (far["name"], far["reachable"], far["leader"], far["problem"]) == ("dc2", False, None, "500 No path to datacenter")
    assert [(one["node"], one["wan_status"], one["version"]) for one in far["servers"]] == [("c", "failed", None)]
    # Two for all, two for dc1, and the one that dc2 did not answer.
    assert len(agent.requests) == 5


def test_one_with_its_nodes(make):
    datacenters, agent = make(ANSWERS)
    (near,) = datacenters.describe(["dc1"], nodes=True)
    assert near["nodes"] == [{"node": "a", "id": "id-a", "address": "2001:db8::1"}]
    assert len(agent.requests) == 4


def test_a_refusal_is_no_trouble_of_the_network(make, reply):
    datacenters, _agent = make({**ANSWERS, "/v1/status/leader?dc=dc1": reply("Permission denied", 403)})
    with pytest.raises(errors.PermissionDeniedError):
        datacenters.describe()


def test_servers_that_may_not_be_seen_are_not_taken_for_none(make):
    datacenters, _agent = make({**ANSWERS, "/v1/health/service/consul?dc=dc1": []})
    with pytest.raises(errors.PermissionDeniedError, match=r"dc1 answers, and shows none of its servers\. The token needs node:read"):
        datacenters.describe()


@pytest.mark.parametrize("answer", [[{}], 7, [{"Node": {}}]])
def test_no_answer_of_consul(make, answer):
    datacenters, _agent = make({**ANSWERS, "/v1/health/service/consul?dc=dc1": answer})
    assert "not what Consul's API promises" in datacenters.describe(["dc1"])[0]["problem"]


def test_own(make):
    assert make({"/v1/agent/self": {"Config": {"Datacenter": "dc7"}}})[0].own() == "dc7"

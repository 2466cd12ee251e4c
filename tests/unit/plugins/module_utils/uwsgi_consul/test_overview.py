# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole datacenter, from answers of the API."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, BadAnswerError, InvalidValueError, Overview, ServerError

NODES = "/v1/internal/ui/nodes"


def check(check_id, status="passing", service_id=""):
    return {"CheckID": check_id, "Name": f"name of {check_id}", "Status": status, "ServiceID": service_id}


def node(name="web1", checks=(), services=(), **fields):
    return {
        "Node": name,
        "Address": "10.0.0.1",
        "Meta": None,
        "TaggedAddresses": None,
        "Checks": list(checks),
        "Services": list(services),
        **fields,
    }


def service(service_id="web", **fields):
    return {"Service": "web", "ID": service_id, "Address": "", "Tags": None, "Meta": None, **fields}


@pytest.fixture
def overview(fake_agent, reply):
    """An overview whose agent answers *data* for the nodes; with the agent, which knows what it was asked."""

    def make(data, datacenter="dc1", **answered):
        def answer(received):
            if received.target.startswith("/v1/catalog/node/"):
                return reply(json.dumps({"Node": {"Node": "a", "Datacenter": "home"}, "Services": {}}))
            return reply(data if isinstance(data, str) else json.dumps(data), **answered)

        agent = fake_agent(answer)
        return Overview(Api(agents=[agent.address]), datacenter=datacenter), agent

    return make


def test_a_node_with_all_that_it_has(overview):
    entry = node(
        "web1",
        [check("serfHealth"), check("c2", "warning", "web-2"), check("c1", "passing", "web-1")],
        [service("web-2", Port=81), service("web-1", Address="10.9.9.9", Port=80, Tags=["a"], Meta={"tier": "gold"})],
        ID="some-id",
        Meta={"rack": "r1"},
        TaggedAddresses={"wan": "192.0.2.1"},
    )
    asked, agent = overview([entry])
    assert asked.nodes() == [
        {
            "name": "web1",
            "id": "some-id",
            "datacenter": "dc1",
            "address": "10.0.0.1",
            "tagged_addresses": {"wan": "192.0.2.1"},
            "meta": {"rack": "r1"},
            "status": "passing",
            "checks": [
                {"id": "c1", "name": "name of c1", "status": "passing", "service_id": "web-1"},
                {"id": "c2", "name": "name of c2", "status": "warning", "service_id": "web-2"},
                {"id": "serfHealth", "name": "name of serfHealth", "status": "passing", "service_id": ""},
            ],
            "services": [
                {
                    "name": "web",
                    "id": "web-1",
                    "address": "10.9.9.9",
                    "port": 80,
                    "tags": ["a"],
                    "meta": {"tier": "gold"},
                    "status": "passing",
                },
                {"name": "web", "id": "web-2", "address": "10.0.0.1", "port": 81, "tags": [], "meta": {}, "status": "warning"},
            ],
        }
    ]
    assert [one.target for one in agent.requests] == [f"{NODES}?dc=dc1"]


@pytest.mark.parametrize(
    ("checks", "of_node", "of_service"),
    [
        ([], "passing", "passing"),
        ([check("a", "warning")], "warning", "passing"),
        ([check("a", "critical"), check("b", "warning", "web")], "critical", "warning"),
        ([check("_node_maintenance", "critical")], "maintenance", "passing"),
        ([check("_service_maintenance:web", "critical", "web")], "passing", "maintenance"),
        ([check("a", "critical", "another")], "passing", "passing"),
    ],
)
def test_the_status_of_a_node_is_that_of_its_own_checks(overview, checks, of_node, of_service):
    (found,) = overview([node(checks=checks, services=[service()])])[0].nodes()
    assert (found["status"], found["services"][0]["status"]) == (of_node, of_service)


def test_nodes_are_sorted_and_those_of_peers_left_out(overview):
    asked, _agent = overview([node("b"), node("c", PeerName="abroad"), node("a")])
    assert [one["name"] for one in asked.nodes()] == ["a", "b"]


def test_the_agents_own_datacenter_is_named_by_one_of_its_nodes(overview):
    asked, agent = overview([node("a b"), node("c")], datacenter=None)
    assert {one["datacenter"] for one in asked.nodes()} == {"home"}
    assert [one.target for one in agent.requests] == [NODES, "/v1/catalog/node/a%20b"]


def test_no_nodes_at_all(overview):
    asked, agent = overview([], datacenter=None)
    assert asked.nodes() == []
    assert len(agent.requests) == 1


def test_a_filter_is_consuls(overview):
    asked, agent = overview([])
    asked.nodes(filter='Meta.rack == "r1"')
    assert agent.requests[0].target == f"{NODES}?filter=Meta.rack+%3D%3D+%22r1%22&dc=dc1"


def test_a_wrong_filter_is_a_wrong_value_and_no_trouble_of_the_server(overview):
    asked, _agent = overview('Failed to create boolean expression evaluator: Selector "Bad" is not valid', status=500)
    with pytest.raises(InvalidValueError, match=r"""^filter: 'Bad == 1' is no filter of nodes: Selector "Bad" is not valid$"""):
        asked.nodes(filter="Bad == 1")


def test_other_trouble_stays_what_it_is(overview):
    with pytest.raises(ServerError, match="No path to datacenter"):
        overview("No path to datacenter", status=500)[0].nodes()


def test_what_the_token_may_not_see_is_told(overview):
    said = []
    asked, _agent = overview([], X_Consul_Results_Filtered_By_ACLs="true")
    asked.nodes(warn=said.append)
    assert len(said) == 1
    assert said[0].startswith("Consul left out nodes, services or checks that the token has no permission to see")
    overview([])[0].nodes(warn=said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    "data", ["{}x", "{}", "[1]", '[{"Node": "a"}]', '[{"Node": "a", "Address": "b", "Checks": [{}], "Services": []}]', "7"]
)
def test_an_answer_that_is_none(overview, data):
    with pytest.raises(BadAnswerError):
        assert overview(data)[0].nodes()


def test_datacenters(overview):
    assert overview(["dc2", "dc1"], datacenter=None)[0].datacenters() == ["dc1", "dc2"]


@pytest.mark.parametrize("data", ["{", "7", "[1]", '[""]'])
def test_an_answer_that_names_no_datacenters(overview, data):
    with pytest.raises(BadAnswerError):
        overview(data, datacenter=None)[0].datacenters()

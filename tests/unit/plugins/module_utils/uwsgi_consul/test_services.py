# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances and services, from answers of the API."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Client, errors, services


def entry(node="web1", service_id="web-1", port=2001, checks=("passing",), **service):
    return {
        "Node": {"Node": node, "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": None},
        "Service": {"Service": "web", "ID": service_id, "Address": "", "Port": port, "Tags": None, "Meta": None, **service},
        "Checks": [{"CheckID": f"check{number}", "Status": status} for number, status in enumerate(checks)],
    }


@pytest.fixture
def ask(fake_agent, reply):
    """Calls a function with a client whose agent answers *data*; gives the result and the request's target."""

    def call(function, data, *arguments, headers=None, **options):
        agent = fake_agent(reply(data if isinstance(data, str) else json.dumps(data), **(headers or {})))
        result = function(Client(agents=[agent.address]), *arguments, **options)
        return result, agent.requests[0].target

    return call


def test_an_instance_is_a_plain_mapping(ask):
    full = entry(
        Address="10.0.0.9",
        Tags=["v2"],
        Meta={"tier": "gold"},
        Weights={"Passing": 10, "Warning": 1},
        TaggedAddresses={"lan_ipv4": {"Address": "10.0.0.9", "Port": 2001}},
    )
    found, target = ask(services.instances, [full], "web")
    assert target == "/v1/health/service/web?passing=1"
    assert found == [
        {
            "node": "web1",
            "node_address": "10.0.0.1",
            "node_meta": {},
            "datacenter": "dc1",
            "service": "web",
            "id": "web-1",
            "address": "10.0.0.9",
            "port": 2001,
            "tags": ["v2"],
            "meta": {"tier": "gold"},
            "tagged_addresses": {"lan_ipv4": {"address": "10.0.0.9", "port": 2001}},
            "weights": {"passing": 10, "warning": 1},
            "status": "passing",
        }
    ]


def test_what_a_registration_left_out_has_its_default(ask):
    bare = entry()
    del bare["Service"]["Port"], bare["Service"]["Address"]
    (found,), _target = ask(services.instances, [bare], "web")
    assert {name: found[name] for name in ("address", "port", "tags", "meta", "weights", "tagged_addresses")} == {
        "address": "10.0.0.1",
        "port": 0,
        "tags": [],
        "meta": {},
        "weights": {"passing": 1, "warning": 1},
        "tagged_addresses": {},
    }


def test_every_option_becomes_a_parameter(ask):
    _found, target = ask(
        services.instances, [], "a b", tags=["v2", "x y"], status="any", near="_agent", filter='a == "b"', datacenter="dc2"
    )
    assert target == "/v1/health/service/a%20b?tag=v2&tag=x+y&near=_agent&filter=a+%3D%3D+%22b%22&dc=dc2"


def test_the_order_is_by_node_port_and_id_unless_near_gives_one(ask):
    data = [entry("web2"), entry("web1", "b", 9), entry("web1", "a", 10), entry("web1", "a", 9)]
    names = [
        [(one["node"], one["port"], one["id"]) for one in ask(services.instances, data, "web", near=near)[0]] for near in (None, "web2")
    ]
    assert names[0] == [("web1", 9, "a"), ("web1", 9, "b"), ("web1", 10, "a"), ("web2", 2001, "web-1")]
    assert names[1] == [("web2", 2001, "web-1"), ("web1", 9, "b"), ("web1", 10, "a"), ("web1", 9, "a")]


@pytest.mark.parametrize(
    ("status", "found"),
    [("passing", ["passing"]), ("warning", ["passing", "warning"]), ("any", ["passing", "warning", "critical", "maintenance"])],
)
def test_which_statuses_are_found(ask, status, found):
    maintenance = entry("n4", checks=["critical"])
    maintenance["Checks"][0]["CheckID"] = "_service_maintenance:web-1"
    data = [entry("n1", checks=[]), entry("n2", checks=["passing", "warning"]), entry("n3", checks=["warning", "critical"]), maintenance]
    assert [one["status"] for one in ask(services.instances, data, "web", status=status)[0]] == found


def test_a_node_in_maintenance_is_in_maintenance():
    checks = [{"CheckID": "x", "Status": "passing"}, {"CheckID": "_node_maintenance", "Status": "critical"}]
    assert services.worst_status(checks) == "maintenance"


def test_an_unknown_status_is_refused_before_anything_is_sent(fake_agent):
    agent = fake_agent()
    with pytest.raises(errors.InvalidValueError, match="status: 'healthy' is none of passing, warning, any"):
        services.instances(Client(agents=[agent.address]), "web", status="healthy")
    assert not agent.requests


def test_services_are_sorted_with_their_tags(ask):
    assert ask(services.services, {"web": ["v2", "a"], "consul": []}, datacenter="dc2") == (
        [{"name": "consul", "tags": []}, {"name": "web", "tags": ["a", "v2"]}],
        "/v1/catalog/services?dc=dc2",
    )


@pytest.mark.parametrize(("function", "arguments", "data"), [(services.instances, ["web"], []), (services.services, [], {})])
def test_a_result_that_acls_cut_is_told(ask, function, arguments, data):
    told = []
    ask(function, data, *arguments, warn=told.append)
    assert not told
    ask(function, data, *arguments, headers={"X_Consul_Results_Filtered_By_ACLs": "true"}, warn=told.append)
    assert len(told) == 1
    assert "the token has no permission to see" in told[0]


@pytest.mark.parametrize(
    "data", ["", "null", "7", '"x"', "{}", "[1]", "[{}]", '[{"Node": {}}]', '[{"Node": 1, "Service": 2, "Checks": 3}]']
)
def test_an_answer_of_another_shape_is_a_bad_answer(ask, data):
    with pytest.raises(errors.BadAnswerError):
        ask(services.instances, data, "web")


@pytest.mark.parametrize("data", ["null", "[]", "[{}]"])
def test_a_catalog_of_another_shape_is_a_bad_answer(ask, data):
    with pytest.raises(errors.BadAnswerError):
        ask(services.services, data)


def filtering(reply, *, able):
    """What an agent answers, one that can filter services or one that does not know how."""

    def answer(received):
        nothing = able and "ServiceName" in received.target
        return reply("{}" if nothing else '{"web": []}')

    return answer


def test_services_are_filtered_by_the_servers(fake_agent, reply):
    agent = fake_agent(filtering(reply, able=True))
    assert services.services(Client(agents=[agent.address]), filter="ServiceMeta.tier == gold") == [{"name": "web", "tags": []}]
    assert agent.requests[0].target == "/v1/catalog/services?filter=ServiceMeta.tier+%3D%3D+gold"


def test_servers_that_ignore_a_filter_are_found_out(fake_agent, reply):
    agent = fake_agent(filtering(reply, able=False))
    with pytest.raises(errors.InvalidValueError, match=r"^filter: this release of Consul can't filter its services"):
        services.services(Client(agents=[agent.address]), filter="ServiceMeta.tier == gold")

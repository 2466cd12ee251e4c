# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an agent has registered, and the catalog: what is sent, and what becomes of answers of all releases."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Catalog, Registry, checks, definitions, errors


@pytest.fixture
def make(fake_agent, reply):
    def of(made, *answers):
        left = [answer if isinstance(answer, bytes) else reply(json.dumps(answer)) for answer in answers]
        agent = fake_agent(lambda _received: left.pop(0) if left else None)
        return made(Api(agents=[agent.address])), agent

    return of


def sent(agent, number=-1):
    return json.loads(agent.requests[number].body)


CHECK = {"Node": "n", "CheckID": "c", "Name": "c", "Status": "passing", "Output": "", "Notes": "", "ServiceID": "", "ServiceName": ""}


def test_a_service_is_sent_in_the_names_of_the_api(make, reply):
    registry, agent = make(Registry, reply(""))
    registry.register(
        {
            "name": "web",
            "port": 80,
            "checks": [{"ttl": "90s", "name": None}, {"tcp": "a:1", "interval": 60}],
            "connect": {"sidecar_service": {"proxy": {"local_service_port": 80, "config": {"a_b": {"c_d": 1}}}}},
        },
        mark="this",
    )
    mark = {"uwsgi-consul-definition": "this"}
    assert agent.requests[0].target == "/v1/agent/service/register"
    assert sent(agent) == {
        "ID": "web",
        "Name": "web",
        "Port": 80,
        "Tags": [],
        "Meta": mark,
        "Checks": [
            {"CheckID": "service:web", "Name": "Service 'web' check", "TTL": "90s"},
            {"CheckID": "service:web:2", "Name": "Service 'web' check", "TCP": "a:1", "Interval": "60s"},
        ],
        "Connect": {"SidecarService": {"Meta": mark, "Proxy": {"LocalServicePort": 80, "Config": {"a_b": {"c_d": 1}}}}},
    }


def test_a_check_of_its_own_has_its_id_under_another_name(make, reply):
    registry, agent = make(Registry, reply(""))
    registry.register_check({"id": "c 1", "ttl": "10s"}, service_id="web")
    assert sent(agent) == {"ID": "c 1", "Name": "c 1", "TTL": "10s", "ServiceID": "web"}


def test_what_is_not_there_is_told(make, reply):
    registry, agent = make(
        Registry, reply("", 404), reply("no such thing, does not have associated TTL", 500), reply("x does not exist", 500)
    )
    registry.deregister("a b/c")
    assert agent.requests[0].target == "/v1/agent/service/deregister/a%20b%2Fc"
    with pytest.raises(errors.NotFoundError, match="the agent has no TTL check c"):
        registry.update_check("c", "passing")
    with pytest.raises(errors.NotFoundError, match="the agent has no service x"):
        registry.register_check({"id": "c", "ttl": "10s"}, service_id="x")


def test_an_agent_that_is_too_old_is_found_without_changing_anything(make, reply):
    registry, agent = make(Registry, reply('json: unknown field "UDP"', 400), reply("Missing service name", 400))
    old = {"name": "old", "checks": [{"ttl": "10s"}]}
    new = {"name": "new", "checks": [{"udp": "a:1", "interval": "10s"}]}
    with pytest.raises(errors.BadRequestError, match="too old for UDP, and nothing was changed"):
        registry.understand([old, new])
    assert sent(agent)["Name"] == sent(agent)["ID"] == ""
    registry.understand([new])
    registry.understand([old], [{"id": "c", "ttl": "10s"}])
    assert len(agent.requests) == 2


def test_what_releases_tell_or_leave_out(make):
    registry, _agent = make(
        Registry,
        {
            "old": CHECK,
            "new": {**CHECK, "Type": "http", "Interval": "1m30s", "Timeout": ""},
            "catalog": {**CHECK, "Interval": "", "Definition": {"Interval": "30s"}},
        },
        {"web": {"ID": "web", "Service": "web", "Tags": None, "Meta": None, "Weights": {"Passing": 2, "Warning": 1}}},
    )
    found = registry.checks()
    assert {name: (one["type"], one["interval"], one["timeout"]) for name, one in found.items()} == {
        "old": ("", None, None),
        "new": ("http", 90.0, 0.0),
        "catalog": ("", 30.0, None),
    }
    web = registry.services()["web"]
    assert (web["port"], web["tags"], web["meta"], web["weights"]) == (0, [], {}, {"passing": 2, "warning": 1})


@pytest.mark.parametrize("answer", [7, [1], {"a": 7}, {"a": {}}])
@pytest.mark.parametrize("method", ["services", "checks"])
def test_an_answer_of_another_shape_is_a_bad_answer(make, answer, method):
    registry, _agent = make(Registry, answer)
    with pytest.raises(errors.BadAnswerError):
        getattr(registry, method)()


def test_nodes_and_what_they_have(make):
    node = {"ID": "i", "Node": "b", "Address": "192.0.2.1", "Meta": None, "TaggedAddresses": None}
    catalog, agent = make(
        Catalog, [node, {**node, "Node": "a"}], {"Node": node, "Services": {"web": {"ID": "web", "Service": "web"}}}, None, [CHECK]
    )
    assert [one["name"] for one in catalog.nodes(filter='Meta.a == "b"', meta={"rack": "7"})] == ["a", "b"]
    assert agent.requests[0].target == "/v1/catalog/nodes?filter=Meta.a+%3D%3D+%22b%22&node-meta=rack%3A7"
    assert list(catalog.node("a b")["services"]) == ["web"]
    assert agent.requests[1].target == "/v1/catalog/node/a%20b"
    assert catalog.node("none") is None
    assert [(one["node"], one["id"]) for one in catalog.checks()] == [("n", "c")]


def test_the_datacenter_of_a_deregistration_stands_in_its_body(fake_agent, reply):
    agent = fake_agent(reply("true"))
    Catalog(Api(agents=[agent.address]), datacenter="dc2").deregister("n", service_id="web")
    assert sent(agent) == {"Node": "n", "ServiceID": "web", "Datacenter": "dc2"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"http": "http://a:80/", "interval": "1m", "timeout": 0.5}, {"HTTP": "http://a:80/", "Interval": "60s", "Timeout": "500ms"}),
        ({"args": ["/bin/x", ""], "interval": 10}, {"Args": ["/bin/x", ""], "Interval": "10s"}),
        ({"alias_service": "a", "alias_node": "n"}, {"AliasService": "a", "AliasNode": "n"}),
        ({"grpc": "a:1/s", "grpc_use_tls": True, "interval": 1}, {"GRPC": "a:1/s", "GRPCUseTLS": True, "Interval": "1s"}),
        ({"h2ping": "[::1]:1", "interval": 1, "header": None}, {"H2PING": "[::1]:1", "Interval": "1s"}),
        ({"ttl": "10s", "deregister_critical_service_after": "0s"}, {"TTL": "10s", "DeregisterCriticalServiceAfter": "0s"}),
    ],
)
def test_a_check_in_consuls_terms(given, expected):
    assert checks.define(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"meta": {"uwsgi-consul-definition": "x"}}, "meta: uwsgi-consul-definition is what tells"),
        ({"checks": {"ttl": "1s"}}, "checks: .* is no list of checks"),
        ({"checks": [{"ttl": "1s"}, 7]}, r"checks\[1\]: check: 7 is no mapping"),
        (
            {"checks": [{"failures_before_warning": 2, "tcp": "a:1", "interval": 1}]},
            r"checks\[0\]: failures_before_warning: 2 is more than",
        ),
        ({"proxy": {"a b": 1}}, "proxy: 'a b' is no name of a field"),
        ({"proxy": {"upstreams": [{"b-c": 1}]}}, "proxy: upstreams: 'b-c' is no name of a field"),
        ({"kind": "web"}, "kind: 'web' is none of"),
        ({"enable_tag_override": 1}, "enable_tag_override: 1 is neither"),
        ({"port": None, "name": None}, "name: is missing"),
    ],
)
def test_what_is_wrong_with_a_service_is_said(given, message):
    with pytest.raises(errors.InvalidValueError, match=f"^{message}"):
        definitions.service({"name": "web", **given})

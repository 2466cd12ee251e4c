# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mesh: what is asked, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConsulError, Mesh, errors


def proxy(service="shop", service_id="shop-1", *upstreams):
    return {
        "Kind": "connect-proxy",
        "Proxy": {"DestinationServiceName": service, "DestinationServiceID": service_id, "Upstreams": list(upstreams) or None},
    }


@pytest.fixture
def make(fake_agent, reply):
    def of(answer):
        agent = fake_agent(answer if isinstance(answer, bytes) else reply(json.dumps(answer)))
        return Mesh(Api(agents=[agent.address])), agent

    return of


def test_a_listener_has_loopback_unless_it_says_another_address(make):
    data = {"web": {"Service": "web"}, "p": proxy("shop", "", {"DestinationName": "db", "LocalBindPort": 9191})}
    mesh, agent = make(data)
    assert mesh.address("db") == ("127.0.0.1", 9191)
    assert agent.requests[0].target == "/v1/agent/services"


def test_an_upstream_without_a_listener_has_no_address(make):
    mesh, _agent = make({"p": proxy("shop", "shop-1", {"DestinationName": "db"})})
    with pytest.raises(ConsulError, match="listens for its upstream db at no port of its own"):
        mesh.address("db")


def test_the_id_counts_before_the_name(make):
    data = {
        "1": proxy("shop", "web", {"DestinationName": "db", "LocalBindPort": 1}),
        "2": proxy("web", "web-1", {"DestinationName": "db", "LocalBindPort": 2}),
    }
    mesh, _agent = make(data)
    assert mesh.address("db", service="web")[1] == 1


def test_a_sidecar_without_upstreams_is_told(make):
    mesh, _agent = make({"p": proxy()})
    with pytest.raises(ConsulError, match=r"has no upstream db\. Its registration has: none"):
        mesh.address("db")


def test_an_agent_among_several_is_not_left_to_chance():
    with pytest.raises(errors.InvalidValueError, match="a sidecar proxy belongs to one agent"):
        Mesh(Api(agents=["127.0.0.1:1", "127.0.0.1:2"])).address("db")


def test_intentions_of_a_datacenter(fake_agent, reply):
    agent = fake_agent(reply('{"Allowed": true}'))
    assert Mesh(Api(agents=[agent.address]), datacenter="dc2").allowed("a b", "c&d") is True
    assert agent.requests[0].target == "/v1/connect/intentions/check?source=a+b&destination=c%26d&dc=dc2"


def test_another_error_of_the_server_stays_as_it_is(make, reply):
    mesh, _agent = make(reply("broken", 500))
    with pytest.raises(errors.ServerError, match=r"500 broken$"):
        mesh.allowed("a", "b")


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda mesh: mesh.address(""), "upstream"),
        (lambda mesh: mesh.address(7), "upstream"),
        (lambda mesh: mesh.address("db", service=""), "service"),
        (lambda mesh: mesh.address("db", datacenter="d c"), "datacenter"),
        (lambda mesh: mesh.upstreams(7), "service"),
        (lambda mesh: mesh.allowed("*", "b"), "source"),
        (lambda mesh: mesh.allowed("a", "*"), "destination"),
        (lambda mesh: mesh.allowed("a", None), "destination"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(make, call, what):
    mesh, agent = make({})
    with pytest.raises(errors.InvalidValueError, match=f"^{what}: "):
        call(mesh)
    assert not agent.requests


@pytest.mark.parametrize("answer", [None, 7, [1], {"a": 7}, {"a": {"Kind": "connect-proxy"}}, {"a": proxy("a", "b", {"LocalBindPort": 1})}])
def test_an_answer_of_another_shape_is_a_bad_answer(make, answer):
    mesh, _agent = make(answer)
    with pytest.raises(errors.BadAnswerError):
        mesh.upstreams()
    with pytest.raises(errors.BadAnswerError):
        mesh.allowed("a", "b")

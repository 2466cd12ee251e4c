# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upstreams of registered sidecar proxies, and intentions, with a real Consul."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConsulError, Mesh, ServerError


def sidecar(name, service_id, *upstreams):
    return {"Name": name, "ID": service_id, "Port": 80, "Connect": {"SidecarService": {"Proxy": {"Upstreams": list(upstreams)}}}}


@pytest.fixture
def agent(consul_agents):
    return consul_agents()


@pytest.fixture
def mesh(agent):
    return Mesh(Api(agents=[agent.address]))


def test_the_address_of_an_upstream(agent, mesh):
    with pytest.raises(ConsulError, match=r"no registration of a sidecar proxy\. There are proxies of: no service"):
        mesh.address("db")
    agent.put(
        "/v1/agent/service/register",
        sidecar(
            "shop",
            "shop-1",
            {"DestinationName": "db", "LocalBindPort": 9191},
            {"DestinationName": "db", "LocalBindPort": 9192, "LocalBindAddress": "127.0.0.5", "Datacenter": "dc2"},
            {"DestinationName": "cache", "LocalBindPort": 9193},
            {"DestinationName": "geo", "DestinationType": "prepared_query", "LocalBindSocketPath": "/run/geo.sock"},
        ),
    )
    assert mesh.address("cache") == ("127.0.0.1", 9193)
    assert mesh.address("db", datacenter="dc2") == ("127.0.0.5", 9192)
    with pytest.raises(ConsulError, match=r"has 2 upstreams db\. Give the datacenter of one of: db in its own datacenter, db in dc2, "):
        mesh.address("db")
    with pytest.raises(ConsulError, match=r"no upstream queue\. Its registration has: db in "):
        mesh.address("queue")
    with pytest.raises(ConsulError, match=r"at the unix socket /run/geo\.sock"):
        mesh.address("geo")
    assert mesh.upstreams()[3] == {
        "name": "geo",
        "type": "prepared_query",
        "datacenter": None,
        "address": "127.0.0.1",
        "port": 0,
        "socket": "/run/geo.sock",
    }


def test_which_of_several_sidecars(agent, mesh):
    for name, number, port in (("shop", 1, 9191), ("shop", 2, 9192), ("office", 1, 9193)):
        upstream = {"DestinationName": "db", "LocalBindPort": port}
        agent.put("/v1/agent/service/register", sidecar(name, f"{name}-{number}", upstream))
    assert mesh.address("db", service="office") == ("127.0.0.1", 9193)
    assert mesh.address("db", service="shop-2") == ("127.0.0.1", 9192)
    everyone = r"office \(id office-1\), shop \(id shop-1\), shop \(id shop-2\)"
    with pytest.raises(ConsulError, match=rf"3 registrations of a sidecar proxy\. Give the service's id; there are proxies of: {everyone}"):
        mesh.address("db")
    with pytest.raises(ConsulError, match=rf"2 registrations of a sidecar proxy of service shop\. Give the service's id; .*{everyone}"):
        mesh.address("db", service="shop")
    with pytest.raises(ConsulError, match=rf"no registration of a sidecar proxy of service web\. There are proxies of: {everyone}"):
        mesh.address("db", service="web")


def test_intentions(agent, mesh):
    assert mesh.allowed("shop", "db") is True
    agent.put("/v1/config", {"Kind": "service-intentions", "Name": "db", "Sources": [{"Name": "shop", "Action": "deny"}]})
    assert mesh.allowed("shop", "db") is False
    assert mesh.allowed("office", "db") is True


def test_an_intention_about_requests_is_a_no(agent, mesh):
    agent.put("/v1/config", {"Kind": "service-defaults", "Name": "db", "Protocol": "http"})
    rule = {"Action": "allow", "HTTP": {"PathPrefix": "/"}}
    agent.put("/v1/config", {"Kind": "service-intentions", "Name": "db", "Sources": [{"Name": "shop", "Permissions": [rule]}]})
    assert mesh.allowed("shop", "db") is False


def test_connect_that_is_off_is_told(consul_agents):
    agent = consul_agents({"connect": {"enabled": False}})
    with pytest.raises(ServerError, match=r"Connect is off in that datacenter: its servers need connect \{ enabled = true \}"):
        Mesh(Api(agents=[agent.address])).allowed("shop", "db")

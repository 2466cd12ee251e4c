# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance of a real agent's node and services."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Maintenance, NotFoundError, services


@pytest.fixture
def service(consul):
    name = f"maintenance-{uuid.uuid4().hex[:8]}"
    for number in (1, 2):
        consul.put("/v1/agent/service/register", {"Name": name, "ID": f"{name}/{number}", "Port": number})
    yield name
    for number in (1, 2):
        consul.put(f"/v1/agent/service/deregister/{name}%2F{number}")


def test_a_service_goes_and_comes_back(consul, service):
    client = Api(agents=[consul.address])
    maintenance = Maintenance(client)
    first = f"{service}/1"
    assert first not in maintenance.state()["services"]
    assert maintenance.disable(first) == {"enabled": False, "reason": "", "changed": False}
    assert maintenance.enable(first, reason="new disks & more") == {"enabled": True, "reason": "new disks & more", "changed": True}
    # The reason stays.
    assert maintenance.enable(first, reason="other") == {"enabled": True, "reason": "new disks & more", "changed": False}
    assert maintenance.state()["services"][first] == {"enabled": True, "reason": "new disks & more"}
    assert [one["port"] for one in services.instances(client, service)] == [2]
    assert [one["status"] for one in services.instances(client, service, status="any")] == ["maintenance", "passing"]
    assert maintenance.disable(first) == {"enabled": False, "reason": "", "changed": True}
    assert [one["port"] for one in services.instances(client, service)] == [1, 2]


def test_a_node_and_its_services_are_apart(consul_agents):
    agent = consul_agents()
    agent.put("/v1/agent/service/register", {"Name": "web", "ID": "web-1"})
    client = Api(agents=[agent.address])
    maintenance = Maintenance(client)
    maintenance.enable("web-1", reason="slow")
    enabled = maintenance.enable()
    assert (enabled["enabled"], enabled["changed"]) == (True, True)
    assert enabled["reason"]
    assert maintenance.state() == {
        "node": {"enabled": True, "reason": enabled["reason"]},
        "services": {"web-1": {"enabled": True, "reason": "slow"}},
    }
    assert maintenance.disable()["changed"] is True
    assert maintenance.disable()["changed"] is False
    assert services.instances(client, "web") == []


@pytest.mark.parametrize("switch", ["enable", "disable"])
def test_an_unknown_service_is_an_error(consul, switch):
    with pytest.raises(NotFoundError, match="no-such-service"):
        getattr(Maintenance(Api(agents=[consul.address])), switch)("no-such-service")

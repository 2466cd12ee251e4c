# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_sweep`, `consul_service_info` and `consul_node_info` with a real Consul."""

from __future__ import annotations

import json

import pytest
from polling import wait_for


@pytest.fixture
def sweep(consul_agents, tmp_path, module):
    """An agent of its own with a service that is dead through it, and two on a machine without an agent; and what asks for them."""
    agent = consul_agents()
    state = tmp_path / "state.json"
    agent.put("/v1/agent/service/register", {"Name": "local", "Check": {"TTL": "1h"}})
    agent.put("/v1/agent/service/register", {"Name": "well", "Check": {"TTL": "1h", "Status": "passing"}})
    for name in ("web-1", "web-2"):
        check = {"CheckID": name, "Name": name, "ServiceID": name, "Status": "critical", "Output": "gone"}
        service = {"ID": name, "Service": "web", "Port": 80}
        agent.put("/v1/catalog/register", {"Node": "machine", "Address": "192.0.2.1", "Service": service, "Check": check})
    options = {"agents": [agent.address], "token": None, "threshold": "60s", "state_file": str(state), "fraction": 1}

    def age(seconds=61):
        """Lets what was seen be older than it is."""
        seen = json.loads(state.read_text())
        seen["checks"] = [[node, check, since - seconds, index] for node, check, since, index in seen["checks"]]
        state.write_text(json.dumps(seen))

    wait_for("the catalog has it", lambda: _is_critical(agent, "local"))
    return agent, options, age


def test_what_is_dead_is_reported_and_removed(sweep, module, ensure, keeps):
    agent, options, age = sweep
    # Nothing is dead at the first look.
    assert keeps("consul_sweep", **options)["found"] == []
    age()
    reported = keeps("consul_sweep", **options, state="reported")["found"]
    assert [(one["node"], one["id"], one["by"], one["removed"]) for one in reported] == [
        ("machine", "web-1", "catalog", False),
        ("machine", "web-2", "catalog", False),
        ("node1", "local", "agent", False),
    ]
    assert [one["id"] for one in module("consul_sweep", **options, services=["we*"], state="reported")["found"]] == ["web-1", "web-2"]
    done = ensure("consul_sweep", **options)
    assert [(one["id"], one["removed"]) for one in done["found"]] == [("web-1", True), ("web-2", True), ("local", True)]
    assert set(agent.get("/v1/agent/services")) == {"well"}
    assert agent.get("/v1/catalog/node/machine")["Services"] == {}


def test_too_many_at_once_are_more_likely_cut_off(sweep, module):
    agent, options, age = sweep
    module("consul_sweep", **options)
    age()
    for check in (True, False):
        result = module("consul_sweep", check=check, **options | {"limit": 2})
        assert "3 of 4 instances are to be removed, more than limit=2" in result["msg"]
        assert len(result["found"]) == 3
    assert "local" in agent.get("/v1/agent/services")


def test_one_whose_agent_is_not_known_stays(datacenters, consul_agents, module, keeps, ensure, tmp_path):
    server = consul_agents(node="server")
    join = {"server": True, "bootstrap": False, "retry_join": [f"127.0.0.1:{server.serf_lan_port}"]}
    other = consul_agents(join, node="other", persistent=True)
    other.put("/v1/agent/service/register", {"Name": "far", "Check": {"TTL": "1h"}})
    wait_for("the catalog has it", lambda: _is_critical(server, "far"))
    options = {"agents": [server.address], "token": None, "threshold": "1s", "state_file": str(tmp_path / "s"), "strict": False}
    wait_for("the catalog has it", lambda: module("consul_sweep", **options, state="reported")["found"])
    found = keeps("consul_sweep", **options)["found"]
    assert [(one["id"], one["removed"]) for one in found] == [("far", False)]
    assert "its node is alive, and its agent" in found[0]["problem"]
    ensure("consul_sweep", **options, node_agents={"other": other.address})
    assert other.get("/v1/agent/services") == {}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"threshold": "soon"}, "threshold: 'soon' is no duration"),
        ({"threshold": "0s"}, "threshold: '0s' is no duration at least 1 s"),
        ({"state_file": " "}, "state_file: ' ' is no name"),
        ({"limit": 0}, "limit: 0 is no whole number from 1"),
        ({"fraction": 2}, "fraction: 2.0 is no number from 0 to 1"),
        ({"services": [" "]}, "services: ' ' is no name"),
        ({"node_agents": {"a": 7}}, "node_agents: a: 7 is no name"),
    ],
)
def test_bad_input(fails, tmp_path, params, expected):
    assert expected in fails("consul_sweep", **{"threshold": "1h", "state_file": str(tmp_path / "state"), **params})


def test_services_and_nodes_are_found(module, keeps, fails, datacenters, consul_oldest):
    for number, status in ((1, "passing"), (2, "critical")):
        service = {"name": "info-web", "id": f"info-{number}", "port": 8000 + number, "tags": [f"v{number}"], "meta": {"team": "blue"}}
        module("consul_service", **service, checks=[{"ttl": "1h", "status": status}])

    def ids(**options):
        return [one["id"] for one in keeps("consul_service_info", name="info-web", **options)["instances"]]

    wait_for("the catalog has it", lambda: ids() == ["info-1", "info-2"])
    assert ids(status="passing") == ["info-1"]
    assert ids(tags=["v2"]) == ["info-2"]
    assert ids(filter="Service.Port == 8002") == ["info-2"]
    assert set(ids(near="_agent")) == {"info-1", "info-2"}
    assert keeps("consul_service_info", name="info-none")["instances"] == []
    assert {"name": "info-web", "tags": ["v1", "v2"]} in keeps("consul_service_info")["services"]
    assert [one["name"] for one in keeps("consul_service_info", filter='ServiceMeta.team == "blue"')["services"]] == ["info-web"]
    assert "consul" in [one["name"] for one in keeps("consul_service_info", datacenter="dc2")["services"]]
    assert "tags: is of instances" in fails("consul_service_info", tags=["a"])

    nodes = {one["name"]: one for one in keeps("consul_node_info")["nodes"]}
    assert nodes["node1"]["status"] == "passing"
    assert [one["name"] for one in keeps("consul_node_info", datacenter="dc2")["nodes"]] == ["node2"]
    assert keeps("consul_node_info", filter='Node == "none"')["nodes"] == []
    assert [one["name"] for one in keeps("consul_node_info", filter='Node == "node1"', near="_agent")["nodes"]] == ["node1"]
    (node,) = keeps("consul_node_info", name="node1")["nodes"]
    assert {"info-1", "info-2"} <= {one["id"] for one in node["services"]}
    assert {"serfHealth", "service:info-1"} <= {one["id"] for one in node["checks"]}
    assert keeps("consul_node_info", name="none")["nodes"] == []
    for number in (1, 2):
        module("consul_service", name=f"info-{number}", state="absent")

    old = {"agents": [consul_oldest.address], "token": None}
    assert {"name": "consul", "tags": []} in keeps("consul_service_info", **old)["services"]
    assert "can't filter its services" in fails("consul_service_info", filter='ServiceName == "x"', **old)
    assert keeps("consul_node_info", filter='Node == "node1"', **old)["nodes"][0]["status"] == "passing"
    assert keeps("consul_node_info", name="none", **old)["nodes"] == []


def _is_critical(agent, service_id):
    return any(check["ServiceID"] == service_id for check in agent.get("/v1/health/state/critical"))

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweeper with real agents: what it removes stays away, and what lives stays."""

from __future__ import annotations

import time
import uuid

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConsulError, Sweeper, sweeper

MANAGEMENT = str(uuid.uuid4())


@pytest.fixture
def server(consul_agents):
    return consul_agents(node="server")


@pytest.fixture
def other(consul_agents, server, tmp_path):
    """A second node of the datacenter, with an agent that is no server."""
    client = {"server": False, "bootstrap": False, "data_dir": str(tmp_path / "data"), "retry_join": [f"127.0.0.1:{server.serf_lan_port}"]}
    return consul_agents(client, node="other")


@pytest.fixture
def clock(monkeypatch):
    """Moves the sweeper's clock on."""
    ahead = [0.0]
    real = time.time
    monkeypatch.setattr(sweeper.time, "time", lambda: real() + ahead[0])

    def move(seconds):
        ahead[0] += seconds

    return move


def register(agent, name, status="critical"):
    checks = [{"CheckID": f"check-{name}", "TTL": "24h", "Status": status}] if status else []
    agent.put("/v1/agent/service/register", {"Name": name, "ID": f"{name}-1", "Port": 1, "Checks": checks})


def names(agent):
    return sorted(agent.get("/v1/catalog/services"))


def listed(agent, *wanted):
    """Waits until the catalog has these checks."""
    wait_for(
        "the catalog has it",
        lambda: {f"check-{name}" for name in wanted} <= {check["CheckID"] for check in agent.get("/v1/health/state/any")},
    )


def test_what_is_critical_for_long_is_removed_through_its_agent(server, clock):
    for name, status in (("dead", "critical"), ("alive", "passing"), ("warned", "warning"), ("bare", None)):
        register(server, name, status)
    listed(server, "dead", "alive", "warned")
    sweep = Sweeper(Api(agents=[server.address]))
    # However long it was critical before, it counts from the first look on.
    assert sweep.find(3600) == []
    clock(3599)
    assert sweep.find("1h") == []
    clock(2)
    (found,) = sweep.find("1h")
    assert (found["node"], found["service"], found["id"], found["check"], found["by"]) == (
        "server",
        "dead",
        "dead-1",
        "check-dead",
        "agent",
    )
    assert 3600 < found["seconds"] < 3700
    (dry,) = sweep.sweep("1h")
    assert (dry["removed"], dry["problem"]) == (False, "dry run")
    assert "dead" in names(server)
    (removed,) = sweep.sweep("1h", dry_run=False)
    assert (removed["id"], removed["removed"], removed["problem"]) == ("dead-1", True, "")
    # Gone at the agent, so that it can't come back.
    assert "dead-1" not in server.get("/v1/agent/services")
    wait_for("the catalog has it", lambda: names(server) == ["alive", "bare", "consul", "warned"])
    assert sweep.sweep("1h", dry_run=False) == []


def test_what_was_passing_in_between_counts_anew(server, clock):
    register(server, "flaps")
    listed(server, "flaps")
    strict, lenient = Sweeper(Api(agents=[server.address])), Sweeper(Api(agents=[server.address]), strict=False)
    assert strict.find(60) == lenient.find(60) == []
    clock(100)
    for call in ("pass", "fail"):
        server.put(f"/v1/agent/check/{call}/check-flaps")
        status = "passing" if call == "pass" else "critical"
        wait_for("the catalog has it", lambda status=status: server.get(f"/v1/health/state/{status}?filter=CheckID==%22check-flaps%22"))
    assert strict.find(60) == []
    assert [one["id"] for one in lenient.find(60)] == ["flaps-1"]
    clock(61)
    assert [one["id"] for one in strict.find(60)] == ["flaps-1"]


def test_what_was_seen_is_kept_between_runs(server, clock, tmp_path):
    register(server, "dead")
    listed(server, "dead")
    state = str(tmp_path / "sweeper.json")
    assert Sweeper(Api(agents=[server.address]), state=state).find(60) == []
    clock(61)
    assert [one["id"] for one in Sweeper(Api(agents=[server.address]), state=state).find(60)] == ["dead-1"]
    assert [path.name for path in tmp_path.glob("*sweeper*")] == ["sweeper.json"]
    with pytest.raises(ConsulError, match="is of datacenter None"):
        Sweeper(Api(agents=[server.address]), datacenter="dc1", state=state).find(60)


def test_maintenance_and_the_servers_own_service_are_left_alone(server, clock):
    register(server, "dead")
    register(server, "tended")
    server.put("/v1/agent/check/register", {"Name": "of consul", "ID": "check-consul", "ServiceID": "", "TTL": "24h", "Status": "critical"})
    server.put("/v1/agent/service/maintenance/tended-1?enable=true")
    listed(server, "dead", "tended", "consul")
    sweep = Sweeper(Api(agents=[server.address]))
    sweep.find(60)
    clock(61)
    assert [one["id"] for one in sweep.find(60)] == ["dead-1"]
    assert sweep.find(60, services=["t*", "alive"]) == []
    server.put("/v1/agent/maintenance?enable=true")
    wait_for("the catalog has it", lambda: server.get("/v1/health/state/critical?filter=CheckID==%22_node_maintenance%22"))
    assert sweep.find(60) == []


def test_too_many_at_once_are_not_removed(server, clock):
    for number in range(4):
        register(server, f"web{number}", "critical" if number else "passing")
    listed(server, *(f"web{number}" for number in range(4)))
    sweep = Sweeper(Api(agents=[server.address]))
    sweep.find(60)
    clock(61)
    for limits in ({"limit": 2, "fraction": 1}, {"limit": 10, "fraction": 0.7}):
        with pytest.raises(ConsulError, match="3 of 4 instances are to be removed"):
            sweep.sweep(60, dry_run=False, **limits)
    assert len(names(server)) == 5
    assert all(one["removed"] for one in sweep.sweep(60, dry_run=False, fraction=0.75))


def test_a_living_node_needs_its_agent_and_a_failed_one_does_not(server, other, clock):
    for name in ("first", "second"):
        register(other, name)
    register(other, "bare", None)
    listed(server, "first", "second")
    wait_for("the catalog has it", lambda: "bare" in names(server))
    client = Api(agents=[server.address])
    sweep = Sweeper(client)
    sweep.find(60)
    clock(61)
    for done in sweep.sweep(60, dry_run=False, fraction=1):
        assert (done["by"], done["removed"]) == ("agent", False)
        assert "its agent, which alone can remove it for good, is not known" in done["problem"]
    told = {"server": server.address, "other": other.address}
    mistaken = Sweeper(client, agent=lambda _node: server.address)
    mistaken.find(60)
    knowing = Sweeper(client, agent=told.get)
    knowing.find(60)
    clock(61)
    assert "is that of node server in dc1" in mistaken.sweep(60, dry_run=False, services=["first"])[0]["problem"]
    (done,) = knowing.sweep(60, dry_run=False, services=["first"])
    assert (done["removed"], done["problem"]) == (True, "")
    assert "first-1" not in other.get("/v1/agent/services")
    wait_for("the catalog has it", lambda: names(server) == ["bare", "consul", "second"])

    other.process.kill()
    wait_for("the catalog has it", lambda: server.get("/v1/health/state/critical?filter=CheckID==%22serfHealth%22"))
    knowing.find(60)
    clock(61)
    done = knowing.sweep(60, dry_run=False, limit=2, fraction=1)
    assert [(one["id"], one["by"], one["removed"]) for one in done] == [("bare-1", "catalog", True), ("second-1", "catalog", True)]
    assert {one["id"]: one["check"] for one in done} == {"bare-1": "serfHealth", "second-1": "check-second"}
    assert names(server) == ["consul"]


def test_a_node_without_an_agent_is_swept_in_the_catalog(server, clock):
    service = {"Service": "far", "ID": "far-1", "Port": 1}
    check = {"CheckID": "check-far", "Name": "far", "ServiceID": "far-1", "Status": "critical"}
    server.put("/v1/catalog/register", {"Node": "external", "Address": "10.0.0.1", "Service": service, "Check": check})
    sweep = Sweeper(Api(agents=[server.address]))
    sweep.find(60)
    clock(61)
    (done,) = sweep.sweep(60, dry_run=False)
    assert (done["node"], done["by"], done["removed"]) == ("external", "catalog", True)
    assert "far" not in names(server)


def test_a_token_sweeps_what_it_may_see_and_a_living_node_is_never_taken_for_another(consul_agents, clock):
    tokens = {"initial_management": MANAGEMENT, "agent": MANAGEMENT}
    agent = consul_agents({"acl": {"enabled": True, "default_policy": "deny", "tokens": tokens}}, node="server", token=MANAGEMENT)
    for name in ("mine", "theirs"):
        register(agent, name)
    listed(agent, "mine", "theirs")

    def sweeper_with(name, rules):
        agent.put("/v1/acl/policy", {"Name": name, "Rules": rules})
        made = agent.put("/v1/acl/token", {"Policies": [{"Name": name}]})
        return Sweeper(Api(agents=[agent.address], token=made["SecretID"]))

    reading = 'agent_prefix "" { policy = "read" } service "mine" { policy = "%s" }'
    without_nodes = sweeper_with("without-nodes", reading % "write")
    reader = sweeper_with("reader", reading % "read" + ' node_prefix "" { policy = "read" }')
    writer = sweeper_with("writer", reading % "write" + ' node_prefix "" { policy = "read" }')
    assert [one.find(60) for one in (reader, writer)] == [[], []]
    clock(61)
    # Who sees nothing at all would take everything for healthy.
    with pytest.raises(ConsulError, match="Consul shows no check at all") as blind:
        without_nodes.find(60)
    assert "node:read and service:read" in str(blind.value)
    (refused,) = reader.sweep(60, dry_run=False)
    assert (refused["id"], refused["by"], refused["removed"]) == ("mine-1", "agent", False)
    assert "Permission denied" in refused["problem"]
    (done,) = writer.sweep(60, dry_run=False)
    assert (done["id"], done["by"], done["removed"]) == ("mine-1", "agent", True)
    wait_for("the catalog has it", lambda: names(agent) == ["consul", "theirs"])


@pytest.mark.parametrize("given", ["sweeper", "client"])
def test_another_datacenter_is_swept_and_not_this_one(consul_agents, clock, given):
    here, there = consul_agents(node="east", datacenter="east"), consul_agents(node="west", datacenter="west")
    there.put(f"/v1/agent/join/127.0.0.1:{here.serf_wan_port}?wan=1")
    wait_for("the catalog has it", lambda: len(here.get("/v1/catalog/datacenters")) == 2)
    service = {"Service": "far", "ID": "far-1", "Port": 1}
    check = {"CheckID": "check-far", "Name": "far", "ServiceID": "far-1", "Status": "critical"}
    for agent in (here, there):
        agent.put("/v1/catalog/register", {"Node": "external", "Address": "10.0.0.1", "Service": service, "Check": check})
    wait_for("the catalog has it", lambda: "far" in here.get("/v1/catalog/services?dc=west"))
    client = Api(agents=[here.address], datacenter="west" if given == "client" else None)
    sweep = Sweeper(client, datacenter="west" if given == "sweeper" else None)
    sweep.find(60)
    clock(61)
    (done,) = sweep.sweep(60, dry_run=False)
    assert (done["removed"], done["problem"]) == (True, "")
    assert (names(here), names(there)) == (["consul", "far"], ["consul"])

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepared queries of a real Consul, with failover to another real datacenter."""

from __future__ import annotations

import uuid

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    Api,
    NotFoundError,
    PermissionDeniedError,
    Queries,
    ServerError,
)

NO_SUCH_ID = "00000000-0000-4000-8000-000000000000"
MANAGEMENT = str(uuid.uuid4())
SECRET = str(uuid.uuid4())


@pytest.fixture
def queries(consul):
    return Queries(Api(agents=[consul.address]))


@pytest.fixture
def name(consul):
    return f"query-{uuid.uuid4().hex[:8]}"


def register(agent, name, port, **more):
    agent.put("/v1/agent/service/register", {"Name": name, "ID": f"{name}-{port}", "Port": port, **more})


def test_failover_to_another_datacenter_is_told(consul_agents):
    first = consul_agents(node="east", datacenter="east")
    second = consul_agents(node="west", datacenter="west")
    second.put(f"/v1/agent/join/127.0.0.1:{first.serf_wan_port}?wan=1")
    wait_for("the catalog has it", lambda: set(first.get("/v1/catalog/datacenters")) == {"east", "west"})
    register(first, "shop", 1001)
    register(second, "shop", 2001)
    queries = Queries(Api(agents=[first.address]))
    queries.create("shop", "shop", failover={"datacenters": ["nowhere", "west"]}, dns_ttl=15)
    queries.create("shop-here", "shop")

    found = queries.execute("shop")
    assert (found["service"], found["datacenter"], found["failovers"], found["dns_ttl"]) == ("shop", "east", 0, 15.0)
    assert [(one["datacenter"], one["node"], one["port"]) for one in found["instances"]] == [("east", "east", 1001)]

    first.put("/v1/agent/service/deregister/shop-1001")
    found = wait_for("the catalog has it", lambda: (answer := queries.execute("shop", near="_agent", limit=1))["failovers"] and answer)
    assert (found["datacenter"], found["failovers"]) == ("west", 1)
    assert [(one["datacenter"], one["node"], one["address"], one["port"]) for one in found["instances"]] == [
        ("west", "west", "127.0.0.1", 2001)
    ]
    assert queries.execute("shop-here")["instances"] == []

    # A query belongs to its datacenter, and can be executed from another one.
    elsewhere = Queries(Api(agents=[second.address]))
    with pytest.raises(NotFoundError):
        elsewhere.execute("shop")
    assert elsewhere.execute("shop", datacenter="east")["datacenter"] == "west"
    assert elsewhere.list() == []
    assert [one["name"] for one in Queries(elsewhere.client, datacenter="east").list()] == ["shop", "shop-here"]

    second.put("/v1/agent/service/deregister/shop-2001")
    nothing = wait_for("the catalog has it", lambda: not (answer := queries.execute("shop"))["instances"] and answer)
    assert (nothing["datacenter"], nothing["failovers"]) == ("west", 1)


def test_what_is_defined_is_what_is_there(queries, name, consul):
    query_id = queries.create(
        name,
        "web",
        failover={"nearest_n": 2, "datacenters": ["dc9"]},
        tags=["v2", "!old"],
        only_passing=True,
        near="_agent",
        ignore_check_ids=["disk"],
        node_meta={"rack": "a"},
        service_meta={"tier": "gold"},
        connect=True,
        dns_ttl="1m30s",
    )
    found = queries.get(name)
    assert {key: value for key, value in found.items() if not key.endswith("_index")} == {
        "id": query_id,
        "name": name,
        "service": "web",
        "failover": {"nearest_n": 2, "datacenters": ["dc9"], "targets": []},
        "tags": ["v2", "!old"],
        "only_passing": True,
        "near": "_agent",
        "ignore_check_ids": ["disk"],
        "node_meta": {"rack": "a"},
        "service_meta": {"tier": "gold"},
        "connect": True,
        "dns_ttl": 90.0,
        "template": None,
        "session": None,
        "has_token": False,
    }
    assert queries.get(query_id) == found
    assert found in queries.list()
    queries.update(query_id, "web", failover={"targets": [{"datacenter": "dc2"}, {"peer": "far"}]})
    changed = queries.get(name)
    assert changed["failover"] == {"nearest_n": 0, "datacenters": [], "targets": [{"datacenter": "dc2"}, {"peer": "far"}]}
    assert (changed["id"], changed["tags"], changed["dns_ttl"]) == (query_id, [], None)
    assert queries.delete(name) is True
    assert queries.delete(name) is queries.delete(query_id) is False
    assert queries.get(name) is queries.get(query_id) is None
    with pytest.raises(NotFoundError):
        queries.update(name, "web")
    with pytest.raises(NotFoundError):
        queries.execute(name)
    with pytest.raises(NotFoundError):
        queries.explain(NO_SUCH_ID)


def test_a_name_is_taken_once_and_ensure_says_what_it_changed(queries, name):
    assert queries.ensure(name, "web", tags=["a", "b"], dns_ttl=10) is True
    assert queries.ensure(name, "web", tags=["b", "a"], dns_ttl="10s") is False
    query_id = queries.get(name)["id"]
    assert queries.ensure(name, "web", tags=["a"], dns_ttl=10) is True
    assert queries.ensure(name, "web", tags=["a"], dns_ttl=10) is False
    assert queries.get(name)["id"] == query_id
    with pytest.raises(ServerError, match="aliases an existing query"):
        queries.create(name, "web")


def test_no_query_is_a_template_unless_it_is_made_one(queries, name, consul):
    queries.create(name, "web")
    with pytest.raises(NotFoundError):
        queries.execute(f"{name}-and-more")
    prefix = f"{name}/"
    queries.create(
        prefix, "web-${match(1)}", tags=["${match(2)}"], template={"regexp": f"^{prefix}(.*?)-?(x?)$", "remove_empty_tags": True}
    )
    explained = queries.explain(f"{prefix}front-x")
    assert (explained["service"], explained["tags"]) == ("web-front", ["x"])
    assert queries.explain(f"{prefix}front")["tags"] == []
    assert queries.get(prefix)["template"] == {"type": "name_prefix_match", "regexp": f"^{prefix}(.*?)-?(x?)$", "remove_empty_tags": True}


def test_the_callers_near_counts_before_that_of_the_query(queries, name, consul):
    nodes = [f"{name}-{letter}" for letter in "abc"]
    for position, node in enumerate(nodes):
        consul.put("/v1/catalog/register", {"Node": node, "Address": "127.0.0.9", "Service": {"Service": name, "Port": 1}})
        coordinate = {"Vec": [position / 10, *[0.0] * 7], "Error": 0.1, "Adjustment": 0.0, "Height": 0.00001}
        consul.put("/v1/coordinate/update", {"Node": node, "Coord": coordinate})
    wait_for("the catalog has it", lambda: {one["Node"] for one in consul.get("/v1/coordinate/nodes")} >= set(nodes))
    queries.create(name, name, near=nodes[2])
    for near, order in ((None, nodes[::-1]), (nodes[0], nodes), (nodes[2], nodes[::-1])):
        for _again in range(3):
            assert [one["node"] for one in queries.execute(name, near=near)["instances"]] == order
    assert [one["node"] for one in queries.execute(name, near=nodes[0], limit=1)["instances"]] == nodes[:1]
    assert len(queries.execute(name, near="_agent")["instances"]) == 3


def test_warning_instances_are_found_and_critical_ones_are_not(queries, name, consul):
    for port, status in enumerate(("passing", "warning", "critical"), 1):
        register(consul, name, port, Check={"TTL": "10m", "Status": status})
    queries.create(name, name)
    assert sorted(one["status"] for one in queries.execute(name)["instances"]) == ["passing", "warning"]
    queries.update(name, name, only_passing=True)
    assert [one["status"] for one in queries.execute(name)["instances"]] == ["passing"]


def test_a_query_ends_with_its_session(queries, name, consul):
    session = consul.put("/v1/session/create", {"Name": name})["ID"]
    queries.create(name, "web", session=session)
    assert queries.get(name)["session"] == session
    consul.put(f"/v1/session/destroy/{session}")
    assert wait_for("the catalog has it", lambda: queries.get(name) is None)


def test_a_token_of_a_query_is_kept_out_of_sight(consul_agents, name):
    agent = consul_agents(
        {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": MANAGEMENT}}}, token=MANAGEMENT
    )
    rules = 'query_prefix "" { policy = "write" }'
    agent.put("/v1/acl/policy", {"Name": "queries", "Rules": rules})
    agent.put("/v1/acl/token", {"SecretID": SECRET, "Policies": [{"Name": "queries"}]})
    manager, other = (Queries(Api(agents=[agent.address], token=token)) for token in (MANAGEMENT, SECRET))
    assert manager.ensure(name, "web", token=SECRET) is True
    assert manager.ensure(name, "web", token=SECRET) is False
    assert manager.ensure(name, "web", token=MANAGEMENT) is True
    found = manager.get(name)
    assert found["has_token"] is True
    assert MANAGEMENT not in repr(found) + repr(manager)
    # Who may not see the token can't tell whether it is right.
    assert other.ensure(name, "web", token=MANAGEMENT) is True
    with pytest.raises(PermissionDeniedError):
        Queries(Api(agents=[agent.address])).create("unseen", "web")
    with pytest.raises((PermissionDeniedError, NotFoundError)):
        Queries(Api(agents=[agent.address])).ensure(name, "web")

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_datacenter_info` with a real Consul."""

from __future__ import annotations

import pytest
from polling import wait_for

UNKNOWN = "00000000-0000-0000-0000-000000000007"


def test_datacenters(keeps, datacenters):
    found = keeps("consul_datacenter_info")["datacenters"]
    assert sorted((one["name"], one["leader"], one["reachable"]) for one in found) == [("dc1", "node1", True), ("dc2", "node2", True)]
    near = next(one for one in found if one["name"] == "dc1")
    version = datacenters.dc1.get("/v1/agent/self")["Config"]["Version"]
    assert near["servers"] == [
        {
            "node": "node1",
            "id": datacenters.dc1.get("/v1/agent/self")["Config"]["NodeID"],
            "address": f"127.0.0.1:{datacenters.dc1.server_port}",
            "version": version,
            "leader": True,
            "healthy": True,
            "wan_status": "alive",
        }
    ]
    assert "nodes" not in near


def test_one_with_its_nodes(keeps):
    (found,) = keeps("consul_datacenter_info", datacenter="dc2", nodes=True)["datacenters"]
    assert "node2" in [node["node"] for node in found["nodes"]]


def test_one_that_is_gone(keeps, module, fails, consul_agents):
    near = consul_agents({"retry_join_wan": []}, node="near")
    far = consul_agents({"retry_join_wan": [f"127.0.0.1:{near.serf_wan_port}"]}, node="far", datacenter="dc2")
    options = {"agents": [near.address], "token": None, "timeout": 5}

    def of_far():
        return {one["name"]: one for one in module("consul_datacenter_info", **options)["datacenters"]}.get("dc2")

    wait_for("dc2 has a leader", lambda: (of_far() or {}).get("leader"), every=0.1)
    far.process.kill()
    far.process.wait()
    gone = of_far()
    assert (gone["reachable"], gone["leader"]) == (False, None)
    assert gone["problem"]
    assert [one["node"] for one in gone["servers"]] == ["far"]
    # A name that nobody knows is none that can be reached either.
    assert not module("consul_datacenter_info", datacenter="dc9", **options)["datacenters"][0]["reachable"]


@pytest.mark.parametrize(("params", "expected"), [({"datacenter": "d c"}, "datacenter: 'd c' is no name of a datacenter")])
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_datacenter_info", **params)


def test_who_may_not_look(module):
    refused = module("consul_datacenter_info", token=UNKNOWN)
    assert refused["failed"]
    assert refused["status"] == 403
    refused = module("consul_datacenter_info", token="anonymous")  # noqa: S106
    assert "The token needs node:read" in refused["msg"]


def test_the_oldest_consul(keeps, consul_oldest):
    (found,) = keeps("consul_datacenter_info", agents=[consul_oldest.address], token=None, nodes=True)["datacenters"]
    assert (found["leader"], found["servers"][0]["version"]) == ("node1", "1.8.7")

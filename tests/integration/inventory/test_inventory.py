# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory as `ansible-inventory` and `ansible` read it, from two real datacenters and from the oldest Consul."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import plays
from ansible_collections.uwsgi.consul.plugins.inventory import consul as plugin

ROOT = Path(__file__).parents[3]


def external(node, datacenter, address="192.0.2.1", **fields):
    """A node of the catalog without an agent, with a service and its check."""
    service = {"ID": "inventory-shop-1", "Service": "inventory-shop", "Tags": ["v2"], "Port": 8080, "Meta": {"tier": "gold"}}
    check = {"CheckID": "shop", "Name": "shop", "Status": "warning", "ServiceID": "inventory-shop-1"}
    return {"Node": node, "Datacenter": datacenter, "Address": address, "Service": service, "Check": check, **fields}


@pytest.fixture
def run(tmp_path):
    """Runs one of Ansible's commands on an inventory of that configuration; gives what it printed."""

    def call(config, *arguments, tool="ansible-inventory", code=0, **environment):
        source = tmp_path / "test.consul.yml"
        source.write_text(config if isinstance(config, str) else yaml.safe_dump({"plugin": "uwsgi.consul.consul", **config}))
        own = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", **environment}
        done = plays.run(tool, "-i", str(source), *(arguments or ["--list"]), folder=tmp_path, own=own)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr
        return done

    return call


def data(done):
    """What `--list` printed, texts as they are."""
    return json.loads(done.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))


@pytest.fixture(scope="module")
def nodes(datacenters):
    """A node of the same name in both datacenters, and one whose words are a trap."""
    first = external("inventory1", "dc1", TaggedAddresses={"wan": "198.51.100.1"}, NodeMeta={"rack": "r1"})
    datacenters.dc1.put("/v1/catalog/register", first)
    datacenters.dc2.put("/v1/catalog/register", external("inventory1", "dc2", "192.0.2.2"))
    trap = "{{ lookup('ansible.builtin.pipe', 'touch caught') }}"
    datacenters.dc1.put("/v1/catalog/register", external("inventory2", "dc1", NodeMeta={"rack": trap}))
    yield trap
    for agent, name in ((datacenters.dc1, "inventory1"), (datacenters.dc1, "inventory2"), (datacenters.dc2, "inventory1")):
        agent.put("/v1/catalog/deregister", {"Node": name, "Datacenter": agent.datacenter})


def test_all_datacenters_with_acls_and_tls(run, datacenters, nodes):
    done = run(
        {
            **datacenters.options(),
            "datacenters": ["*"],
            "filter": '"inventory-shop" in Services.Service',
            "hostname": "{node}.{datacenter}",
            "addresses": ["wan"],
            "group_by": ["datacenter", "service", "tag", "health", "meta"],
            "strict": True,
            "compose": {"ports": "consul_node.services | map(attribute='port') | list"},
            "groups": {"gold": "'gold' in (consul_node.services | map(attribute='meta.tier'))"},
            "keyed_groups": [{"prefix": "rack", "key": "consul_node.meta.rack | default('none')"}],
        }
    )
    found = data(done)
    variables = found["_meta"]["hostvars"]
    assert sorted(variables) == ["inventory1.dc1", "inventory1.dc2", "inventory2.dc1"]
    assert {host: one["ansible_host"] for host, one in variables.items()} == {
        "inventory1.dc1": "198.51.100.1",
        "inventory1.dc2": "192.0.2.2",
        "inventory2.dc1": "192.0.2.1",
    }
    assert variables["inventory1.dc1"]["ports"] == [8080]
    assert variables["inventory1.dc1"]["consul_node"]["services"] == [
        {
            "name": "inventory-shop",
            "id": "inventory-shop-1",
            "address": "192.0.2.1",
            "port": 8080,
            "tags": ["v2"],
            "meta": {"tier": "gold"},
            "status": "warning",
        }
    ]
    assert variables["inventory1.dc2"]["consul_node"]["datacenter"] == "dc2"
    everyone = sorted(variables)
    for group in ("consul_service_inventory_shop", "consul_tag_v2", "consul_health_passing", "gold"):
        assert sorted(found[group]["hosts"]) == everyone
    assert found["consul_datacenter_dc2"]["hosts"] == ["inventory1.dc2"]
    assert found["consul_meta_rack_r1"]["hosts"] == found["rack_r1"]["hosts"] == ["inventory1.dc1"]
    assert found["rack_none"]["hosts"] == ["inventory1.dc2"]
    assert datacenters.token not in done.stdout + done.stderr


def test_words_of_consul_are_no_templates(run, datacenters, nodes, tmp_path):
    config = {**datacenters.options(), "filter": 'Node == "inventory2"', "compose": {"said": "'rack ' ~ consul_node.meta.rack"}}
    message = "{{ said }}, {{ consul_node.meta.rack }}, {{ hostvars.inventory2.said }}"
    done = run(config, "all", "-c", "local", "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": message}), tool="ansible")
    assert not (tmp_path / "caught").exists()
    assert " ".join(done.stdout.split()).count("touch caught") == 3


def test_the_same_name_in_two_datacenters_is_an_error(run, datacenters, nodes):
    config = {**datacenters.options(), "datacenters": ["dc1", "dc2"], "services": ["inventory-*"]}
    done = run(config, code=1)
    said = " ".join(done.stderr.split())
    assert "hostname: 'inventory1' would be both node 'inventory1' of datacenter dc1 and node 'inventory1' of datacenter dc2" in said
    assert datacenters.token not in done.stdout + done.stderr


def test_a_datacenter_that_is_away(run, datacenters):
    config = {**datacenters.options(), "datacenters": ["dc1", "nowhere"], "filter": 'Node == "node1"'}
    assert "500 No path to datacenter" in " ".join(run(config, code=1).stderr.split())
    done = run({**config, "unreachable": "warn"})
    assert list(data(done)["_meta"]["hostvars"]) == ["node1"]
    assert "Datacenter nowhere is left out of the inventory" in " ".join(done.stderr.split())


def test_the_first_example(run, datacenters):
    found = data(run(plugin.EXAMPLES.split("---\n")[0], **datacenters.environment()))
    assert "node1" in found["consul_datacenter_dc1"]["hosts"]
    assert "node1" in found["consul_service_consul"]["hosts"]


def test_a_wrong_filter(run, datacenters):
    done = run({**datacenters.options(), "filter": "Bad == 1"}, code=1)
    assert "filter: 'Bad == 1' is no filter of nodes: Selector \"Bad\" is not valid" in " ".join(done.stderr.split())


def test_the_oldest_consul(run, consul_oldest):
    consul_oldest.put("/v1/catalog/register", external("inventory1", "dc1", NodeMeta={"rack": "r1"}))
    try:
        found = data(run({"agents": [consul_oldest.address], "filter": 'Meta.rack == "r1"'}))
    finally:
        consul_oldest.put("/v1/catalog/deregister", {"Node": "inventory1", "Datacenter": "dc1"})
    assert found["consul_service_inventory_shop"]["hosts"] == ["inventory1"]
    assert found["_meta"]["hostvars"]["inventory1"]["consul_node"]["meta"] == {"rack": "r1"}
    assert found["consul_datacenter_dc1"]["hosts"] == ["inventory1"]


def test_what_a_token_may_not_see_is_left_out_with_a_warning(run, datacenters, nodes):
    agent, name = datacenters.dc1, "inventory-reader"
    policy = agent.put("/v1/acl/policy", {"Name": name, "Rules": 'node_prefix "inventory1" { policy = "read" }'})
    token = agent.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}], "Description": name})
    done = run(
        {**datacenters.options(), "token": "{{ lookup('ansible.builtin.env', 'READER') }}", "group_by": ["service"]},
        READER=token["SecretID"],
    )
    found = data(done)
    assert list(found["_meta"]["hostvars"]) == ["inventory1"]
    assert "consul_service_inventory_shop" not in found
    assert "Consul left out nodes, services or checks that the token has no permission to see" in " ".join(done.stderr.split())
    assert token["SecretID"] not in done.stdout + done.stderr
    agent.request("DELETE", f"/v1/acl/token/{token['AccessorID']}")
    agent.request("DELETE", f"/v1/acl/policy/{policy['ID']}")

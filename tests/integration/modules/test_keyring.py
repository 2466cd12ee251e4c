# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_keyring` with a real Consul: two datacenters, and a client agent, that go on hearing each other."""

from __future__ import annotations

import json
import os

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.keyring import fingerprint, new_key

UNKNOWN = "00000000-0000-0000-0000-000000000007"


@pytest.fixture
def gossip(consul_agents):
    """A server and a client in dc1 and a server in dc2; the key that they have, and the module's options."""
    key = new_key()
    server = consul_agents({"encrypt": key}, node="server")
    join = {"encrypt": key, "server": False, "retry_join": [f"127.0.0.1:{server.serf_lan_port}"], "retry_interval": "1s"}
    join["leave_on_terminate"] = False
    # A -dev agent is a server, whatever its configuration says.
    client = consul_agents({**join, "bootstrap": False}, node="client", persistent=True)
    far = consul_agents({"encrypt": key, "retry_join_wan": [f"127.0.0.1:{server.serf_wan_port}"]}, node="far", datacenter="dc2")
    joined = [("dc1", False, 2), ("dc1", True, 2), ("dc2", False, 1)]
    wait_for(
        "all agents know each other",
        lambda: sorted((ring["Datacenter"], ring["WAN"], ring["NumNodes"]) for ring in server.get("/v1/operator/keyring")) == joined,
    )
    return [server, client, far], key, {"agents": [client.address], "token": None}


def held(agents):
    """The keys of all agents with which of them is the primary one, as Consul itself says it."""
    rings = agents[0].get("/v1/operator/keyring")
    return {key for ring in rings for key in ring["Keys"]}, {key for ring in rings for key in ring["PrimaryKeys"]}


def test_a_rotation(ensure, keeps, module, fails, gossip):
    agents, old, options = gossip
    listed = keeps("consul_keyring", **options)["rings"]
    assert [(ring["datacenter"], ring["wan"], ring["nodes"]) for ring in listed] == [("dc1", True, 2), ("dc1", False, 2), ("dc2", False, 1)]
    assert all(ring["keys"] == ring["primary_keys"] == {fingerprint(old): ring["nodes"]} for ring in listed)
    assert len(keeps("consul_keyring", local_only=True, **options)["rings"]) == 1

    new = new_key()
    done = ensure("consul_keyring", primary=new, purge=True, **options)
    assert held(agents) == ({new}, {new})
    assert done["diff"]["after"]["dc1"] == {"primary": {fingerprint(new): "2 of 2"}, "keys": {fingerprint(new): "2 of 2"}}
    for key in (old, new):
        assert key not in json.dumps(done | {"invocation": None})
    # All agents still hear each other.
    wait_for(
        "all agents know each other",
        lambda: {one["Status"] for pool in ("", "?wan=1") for one in agents[0].get(f"/v1/agent/members{pool}")} == {1},
    )

    # In steps, and an old one is refused while it is in use.
    ensure("consul_keyring", keys=[old], **options)
    assert held(agents) == ({old, new}, {new})
    message = fails("consul_keyring", keys=[new], state="absent", **options)
    assert f"keys: the key {fingerprint(new)} is the primary one" in message
    assert fingerprint(new) in fails("consul_keyring", keys=[old], purge=True, **options)
    ensure("consul_keyring", primary=old, relay_factor=1, **options)
    ensure("consul_keyring", keys=[new], state="absent", **options)
    keeps("consul_keyring", keys=[new], state="absent", **options)
    assert held(agents) == ({old}, {old})


def test_administrators_of_two_datacenters(keeps, module):
    assert {ring["datacenter"] for ring in keeps("consul_keyring")["rings"]} == {"dc1", "dc2"}
    refused = module("consul_keyring", token=UNKNOWN)
    assert refused["failed"]
    assert refused["status"] == 403


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"primary": "c2VjcmV0"}, "primary: it is no key: 16, 24 or 32 bytes in base64"),
        ({"primary": "secret!"}, "primary: it is no key"),
        ({"primary": ""}, "primary: it is no key"),
        ({"keys": ["c2VjcmV0"]}, "keys: it is no key"),
        ({"state": "absent"}, "state is absent but all of the following are missing: keys"),
        ({"purge": True}, "any of the following are missing: primary, keys"),
        ({"relay_factor": 6}, "relay_factor: 6 is no whole number from 0 to 5"),
        ({"wait": "soon"}, "wait: 'soon' is no duration"),
        ({"local_only": True, "primary": new_key()}, "local_only: a change reaches all agents"),
    ],
)
def test_bad_input(fails, params, expected):
    message = fails("consul_keyring", **params)
    assert expected in message
    assert "c2VjcmV0" not in message
    assert "secret!" not in message


def test_without_encryption(fails, consul):
    message = fails("consul_keyring", agents=[consul.address], token=None)
    assert "gossip is not encrypted" in message


def test_the_oldest_consul(ensure, consul_agents):
    old, new = new_key(), new_key()
    agent = consul_agents({"encrypt": old}, binary=os.environ["CONSUL_OLDEST_BIN"])
    ensure("consul_keyring", primary=new, purge=True, agents=[agent.address], token=None)
    assert held([agent]) == ({new}, {new})

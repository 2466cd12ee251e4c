# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_acl_bootstrap` and `consul_agent_token`, each with agents of its own."""

# ruff: noqa: S106
from __future__ import annotations

import json
import os
import stat
import uuid

import pytest

# Whoever has no token may look, else nobody could tell when such an agent is ready.
NEW = {"acl": {"enabled": True, "default_policy": "allow"}}


@pytest.fixture(params=["", "CONSUL_OLDEST_BIN"], ids=["newest", "oldest"])
def unbootstrapped(request, consul_agents):
    return consul_agents(NEW, binary=os.environ[request.param] if request.param else "")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "bootstrap.token"


def of(agent, **options):
    return {"agents": [agent.address], "token": None, **options}


def test_bootstrap_stores_its_secret_first(unbootstrapped, ensure, keeps, module, file):
    agent = of(unbootstrapped)
    made = ensure("consul_acl_bootstrap", secret_file=str(file), **agent)
    secret = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in str(made)
    self = unbootstrapped.get("/v1/acl/token/self", token=secret)
    assert [one["Name"] for one in self["Policies"]] == ["global-management"]
    # No other token that may do everything is left over.
    tokens = unbootstrapped.get("/v1/acl/tokens", token=secret)
    assert [one["AccessorID"] for one in tokens if one.get("Policies")] == [made["token"]["accessor_id"]]
    # The secret can be known by any option; a file that is lost is written again.
    keeps("consul_acl_bootstrap", **of(unbootstrapped, token=secret))
    keeps("consul_acl_bootstrap", bootstrap_secret=secret, **agent)
    file.unlink()
    ensure("consul_acl_bootstrap", bootstrap_secret=secret, secret_file=str(file), **agent)


def test_a_lost_token(consul_agents, module, file, tmp_path):
    agent = consul_agents(NEW, persistent=True)
    made = module("consul_acl_bootstrap", return_secret=True, **of(agent))
    assert agent.get("/v1/acl/token/self", token=made["token"]["secret_id"])
    for params in ({}, {"secret_file": str(file)}, {"bootstrap_secret": str(uuid.uuid4())}, {"token": str(uuid.uuid4())}):
        for check in (True, False):
            failed = module("consul_acl_bootstrap", check=check, **{**of(agent), **params})
            assert "ACLs were bootstrapped before" in failed["msg"]
            assert "acl-bootstrap-reset" in failed["msg"]
            assert not failed["changed"]
    assert not file.exists()
    index = failed["msg"].split("reset index ")[1].split(")")[0]
    assert f"write {index} into the file acl-bootstrap-reset" in failed["msg"]
    # As the message says.
    (tmp_path / "data-node1" / "acl-bootstrap-reset").write_text(index)
    assert module("consul_acl_bootstrap", secret_file=str(file), **of(agent))["changed"]
    assert agent.get("/v1/acl/token/self", token=file.read_text().strip())


def test_bad_input_of_a_bootstrap(fails, module, datacenters, consul, file):
    assert "bootstrap_secret: is no UUID" in fails("consul_acl_bootstrap", bootstrap_secret="x")
    assert "can't be written" in fails("consul_acl_bootstrap", secret_file="/no/where")
    module("consul_acl_policy", name="acl-small")
    small = module("consul_acl_token", description="acl small", policies=["acl-small"], return_secret=True)["token"]["secret_id"]
    assert "has no policy global-management" in fails("consul_acl_bootstrap", token=small)
    for check in (True, False):
        assert "ACLs are switched off" in module("consul_acl_bootstrap", check=check, secret_file=str(file), **of(consul))["msg"]
    assert not file.exists()


@pytest.fixture(params=["", "CONSUL_OLDEST_BIN"], ids=["newest", "oldest"])
def persisting(request, consul_agents, tmp_path):
    token = str(uuid.uuid4())
    name = "master" if request.param else "initial_management"
    acl = {"enabled": True, "default_policy": "deny", "enable_token_persistence": True, "tokens": {name: token}}
    agent = consul_agents(
        {"acl": acl, "data_dir": str(tmp_path / "data")}, token=token, binary=os.environ[request.param] if request.param else ""
    )
    return agent, of(agent, token=token)


def test_tokens_of_an_agent_that_keeps_them_are_compared_exactly(persisting, ensure, keeps, tmp_path):
    _agent, options = persisting
    tokens = {kind: str(uuid.uuid4()) for kind in ("default", "agent", "agent_recovery", "replication")}
    result = ensure("consul_agent_token", **tokens, **options)
    assert not any(token in str(result) for token in tokens.values())
    kept = json.loads((tmp_path / "data" / "acl-tokens.json").read_text())
    assert sorted(kept.values()) == sorted(tokens.values())
    changed = ensure("consul_agent_token", **tokens | {"agent": str(uuid.uuid4())}, **options)
    assert changed["diff"]["before"] == {
        "default": "as wanted",
        "agent": "another one",
        "agent_recovery": "as wanted",
        "replication": "as wanted",
    }
    ensure("consul_agent_token", default="", **options)
    keeps("consul_agent_token", default="", replication=tokens["replication"], **options)


def test_what_can_be_known_of_an_agent_that_keeps_nothing(module, ensure, keeps, datacenters):
    default = module("consul_acl_token", description="acl default", return_secret=True, secret_id=None)["token"]["secret_id"]
    try:
        ensure("consul_agent_token", default=default)
        ensure("consul_agent_token", default=datacenters.token)
        ensure("consul_agent_token", default="")
        ensure("consul_agent_token", agent_recovery=str(uuid.uuid4()))
        # What can't be known is set again, and said to be.
        for _ in range(2):
            result = module("consul_agent_token", agent=datacenters.token, default="")
            assert result["changed"]
            assert result["unknown"] == ["agent"]
            assert result["diff"] == {"before": {"agent": "unknown", "default": "none"}, "after": {"agent": "as wanted", "default": "none"}}
    finally:
        datacenters.dc1.put("/v1/agent/token/default", {"Token": ""})
        datacenters.dc1.put("/v1/agent/token/agent", {"Token": datacenters.token})
        datacenters.dc1.put("/v1/agent/token/agent_recovery", {"Token": ""})


def test_bad_input_of_an_agents_tokens(fails, module, oldest_with_acls):
    assert "agent: holds a character" in fails("consul_agent_token", agent="a b")
    assert "one of the following is required: default, agent" in fails("consul_agent_token")
    assert "belongs to one agent, and the client has 2" in fails("consul_agent_token", agent="x", agents=["127.0.0.1:1", "127.0.0.1:2"])
    failed = module("consul_agent_token", dns="x", **of(oldest_with_acls, token=oldest_with_acls.token))
    assert "the agent has no token for dns. It is of an older release" in failed["msg"]

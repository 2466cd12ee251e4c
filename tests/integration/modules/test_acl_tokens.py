# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_acl_token` and `consul_acl_token_info` with a real Consul, and where secrets go."""

from __future__ import annotations

import os
import stat
import uuid

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils import _secret_file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "secret"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_known_by_its_description(ensure, keeps, module, datacenters):
    ids = {name: module("consul_acl_policy", name=f"acl-token-{name}")["policy"]["id"] for name in "ab"}
    module("consul_acl_role", name="acl-token")
    token = {
        "description": "acl mark",
        "policies": ["acl-token-b", "acl-token-a"],
        "roles": ["acl-token"],
        "service_identities": [{"service_name": "web", "datacenters": ["dc2", "dc1"]}, {"service_name": "api"}],
        "node_identities": [{"node_name": "n2", "datacenter": "dc1"}, {"node_name": "n1", "datacenter": "dc1"}],
        "templated_policies": [{"template_name": "builtin/service", "template_variables": {"name": "x"}}],
    }
    made = ensure("consul_acl_token", **token)["token"]
    assert "secret_id" not in made
    # In another order, by other names.
    keeps("consul_acl_token", **{name: value[::-1] if isinstance(value, list) else value for name, value in token.items()})
    assert keeps("consul_acl_token", description="acl mark", policies=[ids["a"], {"name": "acl-token-b"}])["token"] == made
    changed = ensure("consul_acl_token", accessor_id=made["accessor_id"], policies=[ids["a"]], description="acl other")
    assert changed["diff"]["after"]["policies"] == ["acl-token-a"]
    assert changed["token"]["service_identities"] == made["service_identities"]
    ensure("consul_acl_token", description="acl other", state="absent")
    keeps("consul_acl_token", accessor_id=made["accessor_id"], state="absent")


def test_several_of_one_description_are_told(fails, module, datacenters, ensure):
    first, second = (datacenters.dc1.put("/v1/acl/token", {"Description": "acl twice"})["AccessorID"] for _ in range(2))
    for state in ("present", "absent"):
        message = fails("consul_acl_token", description="acl twice", state=state)
        assert "2 tokens have the description 'acl twice'" in message
        assert first in message
        assert second in message
    ensure("consul_acl_token", accessor_id=first, state="absent")
    ensure("consul_acl_token", description="acl twice", state="absent")


def test_an_accessor_that_is_given_is_the_tokens(ensure, keeps):
    accessor = str(uuid.uuid4())
    assert ensure("consul_acl_token", accessor_id=accessor, policies=["global-management"])["token"]["accessor_id"] == accessor
    keeps("consul_acl_token", accessor_id=accessor, policies=["00000000-0000-0000-0000-000000000001"])
    ensure("consul_acl_token", accessor_id=accessor, state="absent")


def test_a_secret_is_returned_when_it_is_made_and_asked_for(module, datacenters):
    secret = module("consul_acl_token", description="acl returned", return_secret=True)["token"]["secret_id"]
    assert datacenters.dc1.get("/v1/acl/token/self", token=secret)["Description"] == "acl returned"
    assert secret not in str(module("consul_acl_token", description="acl returned", return_secret=True))
    assert secret not in str(module("consul_acl_token_info", description="acl returned"))
    assert secret not in str(module("consul_acl_token", description="acl returned", return_secret=True, policies=["global-management"]))


def test_a_secret_that_is_given_is_not_shown(ensure, keeps, fails, datacenters):
    secret = str(uuid.uuid4())
    made = ensure("consul_acl_token", description="acl given", secret_id=secret)
    assert secret not in str(made)
    assert datacenters.dc1.get("/v1/acl/token/self", token=secret)["AccessorID"] == made["token"]["accessor_id"]
    assert secret not in str(keeps("consul_acl_token", secret_id=secret))
    other = str(uuid.uuid4())
    message = fails("consul_acl_token", accessor_id=made["token"]["accessor_id"], secret_id=other)
    assert "has another secret" in message
    assert other not in message
    ensure("consul_acl_token", secret_id=secret, state="absent")


def test_a_secret_goes_into_a_file_of_ones_own(ensure, keeps, datacenters, file, module):
    old_mask = os.umask(0)
    try:
        made = ensure("consul_acl_token", description="acl file", secret_file=str(file))
    finally:
        os.umask(old_mask)
    secret = file.read_text().strip()
    assert mode(file) == 0o600
    assert secret not in str(made)
    assert list(file.parent.iterdir()) == [file]
    assert datacenters.dc1.get("/v1/acl/token/self", token=secret)["AccessorID"] == made["token"]["accessor_id"]
    # The file is the mark as well.
    keeps("consul_acl_token", secret_file=str(file))
    ensure("consul_acl_token", secret_file=str(file), description="acl file renamed")
    # A file that is lost is written again.
    file.unlink()
    ensure("consul_acl_token", description="acl file renamed", secret_file=str(file))
    assert file.read_text().strip() == secret
    ensure("consul_acl_token", secret_file=str(file), state="absent")
    assert not file.exists()
    assert keeps("consul_acl_token_info", description="acl file renamed")["tokens"] == []


def test_a_run_that_was_interrupted_is_gone_on_with(ensure, datacenters, file):
    secret = str(uuid.uuid4())
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    ensure("consul_acl_token", description="acl interrupted", secret_file=str(file))
    assert datacenters.dc1.get("/v1/acl/token/self", token=secret)["Description"] == "acl interrupted"


def test_no_token_is_made_when_its_secret_can_not_be_stored(module, datacenters, file, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_secret_file.os, "fsync", full)
    failed = module("consul_acl_token", description="acl full", secret_file=str(file))
    assert "No space left on device" in failed["msg"]
    assert list(file.parent.iterdir()) == []
    assert not [one for one in datacenters.dc1.get("/v1/acl/tokens") if one["Description"] == "acl full"]


def test_no_file_is_left_when_consul_refuses_the_token(module, file):
    assert (
        "No such ACL policy"
        in module("consul_acl_token", description="acl refused", policies=["acl-nowhere"], secret_file=str(file))["msg"]
    )
    assert list(file.parent.iterdir()) == []


def test_what_the_group_of_a_file_may_do_stays(ensure, keeps, module, file):
    module("consul_acl_token", description="acl group", secret_file=str(file))
    secret = file.read_text()
    file.chmod(0o640)
    kept = keeps("consul_acl_token", description="acl group", secret_file=str(file))
    assert "0640" not in str(kept.get("warnings"))
    file.write_text(f"{uuid.uuid4()}\n")
    ensure("consul_acl_token", description="acl group", secret_file=str(file))
    assert (file.read_text(), mode(file)) == (secret, 0o640)
    ensure("consul_acl_token", description="acl group", secret_file=str(file), state="absent")


def test_a_file_that_others_can_read_is_told(module, file):
    module("consul_acl_token", description="acl wide", secret_file=str(file))
    file.chmod(0o644)
    assert any("0644" in str(warning) for warning in module("consul_acl_token", description="acl wide", secret_file=str(file))["warnings"])


def test_a_file_of_anything_else_is_left_alone(fails, module, file, tmp_path):
    file.write_text("password of something else")
    assert "holds something else" in fails("consul_acl_token", description="acl else", secret_file=str(file))
    assert "holds something else" in fails("consul_acl_token", secret_file=str(file), state="absent")
    assert file.read_text() == "password of something else"
    assert "can't be written" in fails("consul_acl_token", description="acl else", secret_file=str(tmp_path / "no" / "where"))
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in fails("consul_acl_token", description="acl else", secret_file=str(tmp_path / "pipe"))
    other = tmp_path / "other"
    module("consul_acl_token", description="acl else", secret_file=str(other))
    accessor = module("consul_acl_token", description="acl third")["token"]["accessor_id"]
    assert "is the secret of another token" in fails("consul_acl_token", accessor_id=accessor, secret_file=str(other))
    assert "is another secret" in fails("consul_acl_token", secret_id=str(uuid.uuid4()), secret_file=str(other))


def test_a_secret_that_may_not_be_seen(module, datacenters, file, fails):
    module("consul_acl_policy", name="acl-reader", rules='acl = "read"')
    reader = module("consul_acl_token", description="acl reader", policies=["acl-reader"], return_secret=True)["token"]["secret_id"]
    module("consul_acl_token", description="acl hidden")
    assert "needs acl:write to see it" in fails("consul_acl_token", description="acl hidden", secret_file=str(file), token=reader)
    failed = module("consul_acl_token", description="acl hidden", policies=[], roles=["x"], token=reader)
    assert "acl:write" in failed["msg"]
    assert reader not in str(failed)
    assert module("consul_acl_token_info", own=True, token=reader)["tokens"][0]["description"] == "acl reader"


def test_what_consul_can_not_change(module, fails, keeps):
    module("consul_acl_token", description="acl fixed", expiration_ttl="90m", local=True)
    keeps("consul_acl_token", description="acl fixed", expiration_ttl="1h30m", local=True)
    ends = keeps("consul_acl_token", description="acl fixed")["token"]["expiration_time"]
    keeps("consul_acl_token", description="acl fixed", expiration_time=ends)
    assert f"ends at {ends}" in fails("consul_acl_token", description="acl fixed", expiration_ttl="2h")
    assert f"ends at {ends}" in fails("consul_acl_token", description="acl fixed", expiration_time="2030-01-01T00:00:00Z")
    assert "is local" in fails("consul_acl_token", description="acl fixed", local=False)
    module("consul_acl_token", description="acl endless")
    assert "has no end" in fails("consul_acl_token", description="acl endless", expiration_ttl="2h")
    assert module("consul_acl_token", description="acl fixed", policies=["global-management"])["changed"]


def test_in_a_datacenter_that_follows_the_primary_one(ensure, module, file):
    """It knows of a change a moment later; a run after that must find nothing to do all the same."""
    ensure("consul_acl_token", description="acl far", datacenter="dc2", secret_file=str(file))
    ensure("consul_acl_token", description="acl far", datacenter="dc2", policies=["global-management"])
    assert len(module("consul_acl_token_info", description="acl far")["tokens"]) == 1
    ensure("consul_acl_token", secret_file=str(file), state="absent", datacenter="dc2")


def test_a_local_token_is_made_where_the_agent_is(ensure, module, fails, file, datacenters):
    """Consul makes it there whatever datacenter it is asked for, and without a word."""
    token = {"description": "acl local", "local": True, "datacenter": "dc2"}
    assert "in the datacenter of the agent that is asked, dc1" in fails("consul_acl_token", **token)
    near = datacenters.options(datacenters.dc2)
    ensure("consul_acl_token", **token, **near, secret_file=str(file))
    assert module("consul_acl_token_info", description="acl local")["tokens"] == []
    assert "in the datacenter of the agent that is asked, dc1" in fails(
        "consul_acl_token", description="acl local", datacenter="dc2", state="absent"
    )
    ensure("consul_acl_token", secret_file=str(file), state="absent", **near)


def test_what_may_be_done_without_a_token(ensure, module, consul_agents):
    """The anonymous token has an accessor ID that everybody knows."""
    secret = str(uuid.uuid4())
    agent = consul_agents({"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": secret}}}, token=secret)
    options = {"agents": [agent.address], "token": secret, "accessor_id": "00000000-0000-0000-0000-000000000002"}
    module("consul_acl_policy", name="anonymous", rules='node_prefix "" { policy = "read" }', agents=[agent.address], token=secret)
    ensure("consul_acl_token", policies=["anonymous"], **options)
    ensure("consul_acl_token", policies=[], **options)
    failed = module("consul_acl_token", state="absent", **options)
    assert "not permitted on the anonymous token" in failed["msg"]


def test_tokens_are_found(module, keeps):
    module("consul_acl_policy", name="acl-find")
    module("consul_acl_role", name="acl-find")
    made = module(
        "consul_acl_token",
        description="acl find",
        policies=["acl-find"],
        roles=["acl-find"],
        service_identities=[{"service_name": "acl-find"}],
    )["token"]
    for by in ({"policy": "acl-find"}, {"role": "acl-find"}, {"service_name": "acl-find"}, {"accessor_id": made["accessor_id"]}):
        assert keeps("consul_acl_token_info", **by)["tokens"] == [made]
    for by in (
        {"policy": "acl-nothing"},
        {"auth_method": "acl-nothing"},
        {"accessor_id": str(uuid.uuid4())},
        {"service_name": "acl-nothing"},
    ):
        assert keeps("consul_acl_token_info", **by)["tokens"] == []
    assert made in keeps("consul_acl_token_info")["tokens"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "one of the following is required: description, accessor_id, secret_id, secret_file"),
        ({"description": ""}, "description: '' is no name"),
        ({"accessor_id": "x"}, "accessor_id: 'x' is no id"),
        ({"secret_id": "x"}, "secret_id: is no UUID"),
        ({"description": "x", "expiration_ttl": "10s"}, "expiration_ttl: '10s' is no duration from 60"),
        ({"description": "x", "expiration_ttl": "soon"}, "expiration_ttl: 'soon' is no duration"),
        ({"description": "x", "expiration_time": "tomorrow"}, "expiration_time: 'tomorrow' is no time such as"),
        ({"description": "x", "expiration_time": "2030-01-01T00:00:00Z", "expiration_ttl": "1h"}, "mutually exclusive"),
        ({"description": "x", "policies": [[]]}, "policies: [] is no name"),
        ({"description": "x", "roles": [7]}, "roles: 7 is no name"),
        ({"description": "x", "local": True, "service_identities": [{"service_name": "a", "datacenters": ["dc1"]}]}, "have no datacenters"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_acl_token", **params)


def test_the_oldest_consul(ensure, module, oldest_with_acls, file):
    agent = {"agents": [oldest_with_acls.address], "token": oldest_with_acls.token}
    ensure("consul_acl_token", description="old", policies=["global-management"], secret_file=str(file), **agent)
    assert oldest_with_acls.get("/v1/acl/token/self", token=file.read_text().strip())["Description"] == "old"
    ensure("consul_acl_token", description="old", service_identities=[{"service_name": "web"}], **agent)
    assert len(module("consul_acl_token_info", service_name="web", **agent)["tokens"]) == 1
    file.unlink()
    ensure("consul_acl_token", description="old", secret_file=str(file), **agent)
    ensure("consul_acl_token", secret_file=str(file), state="absent", **agent)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, roles, auth methods and binding rules with a real Consul."""

# ruff: noqa: S106
from __future__ import annotations

import subprocess

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.acl import Policies, Roles

RULES = 'key_prefix "app/" { policy = "write" }\n'


def test_a_policy_is_made_changed_and_removed(ensure, keeps, datacenters):
    made = ensure("consul_acl_policy", name="acl-policy", rules=RULES, description="d", valid_datacenters=["dc2", "dc1"])["policy"]
    assert datacenters.dc1.get("/v1/acl/policy/name/acl-policy")["Rules"] == RULES
    assert keeps("consul_acl_policy", name="acl-policy", valid_datacenters=["dc1", "dc2"])["policy"] == made
    # What is left out stays as it is.
    changed = ensure("consul_acl_policy", name="acl-policy", rules="")
    assert changed["policy"] == {**made, "rules": "", "modify_index": changed["policy"]["modify_index"]}
    assert changed["diff"]["before"] == {"name": "acl-policy", "description": "d", "rules": RULES, "valid_datacenters": ["dc1", "dc2"]}
    ensure("consul_acl_policy", name="acl-policy", valid_datacenters=[])
    ensure("consul_acl_policy", name="acl-policy", state="absent")


def test_rules_are_compared_as_text_and_judged_by_consul(module, ensure):
    ensure("consul_acl_policy", name="acl-rules", rules=RULES)
    ensure("consul_acl_policy", name="acl-rules", rules=RULES.replace(" { ", "  { "))
    assert module("consul_acl_policy", check=True, name="acl-wrong", rules="key {")["changed"]
    failed = module("consul_acl_policy", name="acl-wrong", rules="key {")
    assert "Failed to parse ACL rules" in failed["msg"]
    assert not failed["changed"]


def test_in_a_datacenter_that_follows_the_primary_one(ensure):
    """It knows of a change a moment later; a run after that must find nothing to do all the same."""
    ensure("consul_acl_policy", name="acl-far", rules=RULES, datacenter="dc2")
    ensure("consul_acl_policy", name="acl-far", rules="", datacenter="dc2")
    ensure("consul_acl_role", name="acl-far", policies=["acl-far"], datacenter="dc2")
    ensure("consul_acl_role", name="acl-far", state="absent", datacenter="dc2")
    ensure("consul_acl_policy", name="acl-far", state="absent", datacenter="dc2")


def test_a_role_with_policies_by_name_is_not_changed_for_ever(ensure, keeps, module):
    ids = {name: module("consul_acl_policy", name=f"acl-role-{name}")["policy"]["id"] for name in "ab"}
    role = {
        "name": "acl-role",
        "policies": ["acl-role-b", {"name": "acl-role-a"}],
        "service_identities": [{"service_name": "web"}, {"service_name": "api", "datacenters": ["dc2", "dc1"]}],
        "node_identities": [{"node_name": "n2", "datacenter": "dc1"}, {"node_name": "n1", "datacenter": "dc1"}],
        "templated_policies": [{"template_name": "builtin/service", "template_variables": {"name": "x"}}, {"template_name": "builtin/dns"}],
    }
    made = ensure("consul_acl_role", **role)["role"]
    assert {one["name"] for one in made["policies"]} == {"acl-role-a", "acl-role-b"}
    keeps("consul_acl_role", **{name: value[::-1] if isinstance(value, list) else value for name, value in role.items()})
    keeps("consul_acl_role", name="acl-role", policies=[ids["a"], {"id": ids["b"]}])
    keeps("consul_acl_role", name="acl-role", policies=["acl-role-a", ids["a"], "acl-role-b"])
    changed = ensure("consul_acl_role", name="acl-role", policies=[ids["b"]])
    assert changed["diff"]["after"]["policies"] == ["acl-role-b"]
    assert changed["role"]["service_identities"] == made["service_identities"]
    ensure(
        "consul_acl_role", name="acl-role", policies=[ids["b"], ids["a"]], service_identities=[], node_identities=[], templated_policies=[]
    )
    ensure("consul_acl_role", name="acl-role", state="absent")


def test_a_template_without_variables_crashes_no_server(ensure, datacenters):
    """As it would where Consul is asked without any: the other datacenter's server reads them as soon as it follows."""
    ensure("consul_acl_role", name="acl-template", templated_policies=[{"template_name": "builtin/dns"}], datacenter="dc2")
    ensure("consul_acl_token", description="acl template", templated_policies=[{"template_name": "builtin/dns"}], datacenter="dc2")
    ensure("consul_acl_token", description="acl template", state="absent", datacenter="dc2")
    ensure("consul_acl_role", name="acl-template", state="absent", datacenter="dc2")
    assert datacenters.dc2.process.poll() is None


@pytest.mark.parametrize(("name", "things"), [("consul_acl_policy", Policies), ("consul_acl_role", Roles)])
@pytest.mark.parametrize("other", ["the same", "another"])
def test_one_that_another_host_makes_at_the_same_time(module, monkeypatch, name, things, other):
    named, asked = things.named, []

    def late(self, wanted):
        """Looks, and then the other host makes it before this one does."""
        asked.append(wanted)
        found = named(self, wanted)
        if len(asked) == 1:
            self.create(name=wanted, description=other)
        return found

    monkeypatch.setattr(things, "named", late)
    done = module(name, name="acl-race", description="the same")
    assert not done.get("failed"), done
    assert (done["changed"], len(asked)) == (other == "another", 2)
    assert done[name.rpartition("_")[2]]["description"] == "the same"
    module(name, name="acl-race", state="absent")


def test_a_policy_that_is_missing_is_named(module):
    failed = module("consul_acl_role", name="acl-none", policies=["acl-missing"])
    assert 'No such ACL policy with name "acl-missing"' in failed["msg"]


@pytest.fixture(scope="module")
def public_key(tmp_path_factory):
    key = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    return subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout"], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def config(public_key):
    return {"JWTValidationPubKeys": [public_key], "BoundIssuer": "builds", "ClaimMappings": {"project": "project"}}


@pytest.mark.parametrize("ttl", ["30m", "1h", "90m", "1h30m0s", "0s"])
def test_an_auth_method_with_a_ttl_is_not_changed_for_ever(ensure, keeps, config, ttl):
    made = ensure("consul_acl_auth_method", same=False, name="acl-ttl", type="jwt", max_token_ttl=ttl, config=config)["auth_method"]
    assert made["max_token_ttl"] == {"30m": 1800, "1h": 3600, "90m": 5400, "1h30m0s": 5400, "0s": 0}[ttl]
    if made["max_token_ttl"] == 5400:
        keeps("consul_acl_auth_method", name="acl-ttl", max_token_ttl="5400s")
    ensure("consul_acl_auth_method", name="acl-ttl", state="absent")


def test_an_auth_method_is_changed(ensure, keeps, fails, config):
    ensure("consul_acl_auth_method", same=False, name="acl-method", type="jwt", config=config)
    ensure("consul_acl_auth_method", name="acl-method", description="d", display_name="x", token_locality="global", max_token_ttl="1h")
    ensure("consul_acl_auth_method", name="acl-method", config={**config, "BoundIssuer": "other"})
    ensure("consul_acl_auth_method", name="acl-method", max_token_ttl="0s")
    ensure("consul_acl_auth_method", name="acl-method", token_name_format="x-${auth_method_name}")
    assert "type 'jwt', and the task wants 'kubernetes'" in fails("consul_acl_auth_method", name="acl-method", type="kubernetes")
    ensure("consul_acl_auth_method", name="acl-method", state="absent")
    assert "type: is required" in fails("consul_acl_auth_method", name="acl-method")


def test_the_secrets_of_an_auth_method_are_not_shown(ensure, module, keeps, fails, datacenters, tmp_path):
    certificate = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=a"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    secrets = [f"eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.{end}" for end in ("c2ln", "c2lnMg")]
    given = {"name": "acl-secret", "type": "kubernetes", "config": {"Host": "https://127.0.0.1:1", "CACert": certificate}}
    for secret in secrets:
        result = ensure("consul_acl_auth_method", same=False, **given, secret_config={"ServiceAccountJWT": secret})
        assert secret not in str(result)
        assert datacenters.dc1.get("/v1/acl/auth-method/acl-secret")["Config"]["ServiceAccountJWT"] == secret
    assert not any(
        secret in str(module("consul_acl_auth_method", name="acl-secret", description=text)) for text in "ab" for secret in secrets
    )
    # What is secret stays when only the rest is given, and the other way round.
    ensure("consul_acl_auth_method", name="acl-secret", config={**given["config"], "Host": "https://127.0.0.1:2"})
    ensure("consul_acl_auth_method", name="acl-secret", secret_config={"ServiceAccountJWT": secrets[0]})
    there = datacenters.dc1.get("/v1/acl/auth-method/acl-secret")["Config"]
    assert (there["Host"], there["ServiceAccountJWT"]) == ("https://127.0.0.1:2", secrets[0])
    assert "ServiceAccountJWT is a secret" in fails("consul_acl_auth_method", **{**given, "config": {"ServiceAccountJWT": "x"}})
    assert not any(secret in str(ensure("consul_acl_auth_method", name="acl-secret", state="absent")) for secret in secrets[:1])


def test_a_binding_rule_is_known_by_its_description(ensure, keeps, fails, module, config, datacenters):
    module("consul_acl_auth_method", name="acl-rules", type="jwt", config=config)
    rule = {"auth_method": "acl-rules", "description": "the mark", "bind_type": "service", "bind_name": "${value.project}"}
    made = ensure("consul_acl_binding_rule", **rule)["binding_rule"]
    ensure("consul_acl_binding_rule", auth_method="acl-rules", description="the mark", selector='value.project == "a"')
    ensure("consul_acl_binding_rule", id=made["id"], bind_type="templated-policy", bind_name="builtin/service", bind_vars={"name": "web"})
    ensure("consul_acl_binding_rule", auth_method="acl-rules", description="another", bind_type="node", bind_name="n")
    found = datacenters.dc1.get("/v1/acl/binding-rules?authmethod=acl-rules")
    assert {one["Description"] for one in found} == {"the mark", "another"}
    second = datacenters.dc1.put(
        "/v1/acl/binding-rule", {"AuthMethod": "acl-rules", "Description": "the mark", "BindType": "node", "BindName": "m"}
    )
    message = fails("consul_acl_binding_rule", auth_method="acl-rules", description="the mark", state="absent")
    assert "2 binding rules have the description 'the mark'" in message
    assert second["ID"] in message
    ensure("consul_acl_binding_rule", id=second["ID"], state="absent")
    ensure("consul_acl_binding_rule", auth_method="acl-rules", description="the mark", state="absent")
    keeps("consul_acl_binding_rule", id=made["id"], state="absent")
    ensure("consul_acl_auth_method", name="acl-rules", state="absent")


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("policy", {"name": "a b"}, "name: 'a b' is no name. It has letters, digits, - and _"),
        ("policy", {"name": "x" * 129}, "is no name"),
        ("policy", {"name": "x", "valid_datacenters": ["a b"]}, "valid_datacenters: 'a b' is no name of a datacenter"),
        ("policy", {}, "missing required arguments: name"),
        ("role", {"name": "a/b"}, "name: 'a/b' is no name"),
        ("role", {"name": "x", "policies": [{"Name": "a"}]}, "policies: 'Name' is none of name, id"),
        ("role", {"name": "x", "policies": [{}]}, "policies: {} has neither name nor id"),
        ("role", {"name": "x", "policies": [{"id": "a"}]}, "policies id: 'a' is no id"),
        ("role", {"name": "x", "service_identities": [{"service_name": "a"}, {"service_name": "a"}]}, "a is there twice"),
        ("role", {"name": "x", "service_identities": [{"service_name": ""}]}, "service_identities service_name: '' is no name"),
        ("role", {"name": "x", "node_identities": [{"node_name": "a", "datacenter": "b c"}]}, "node_identities datacenter: 'b c'"),
        (
            "role",
            {"name": "x", "templated_policies": [{"template_name": "a", "template_variables": {"x": "y"}}]},
            "Supported parameters include: name",
        ),
        ("auth_method", {"name": "a b", "type": "jwt"}, "name: 'a b' is no name"),
        ("auth_method", {"name": "a", "type": "jwt", "max_token_ttl": "soon"}, "max_token_ttl: 'soon' is no duration"),
        ("auth_method", {"name": "a", "type": "jwt", "token_locality": "here"}, "value of token_locality must be one of: local, global"),
        ("binding_rule", {"auth_method": "a"}, "one of the following is required: id, description"),
        ("binding_rule", {"description": "a"}, "missing parameter(s) required by 'description': auth_method"),
        ("auth_method", {"name": "a", "type": "jwt", "datacenter": "dc2"}, "in the datacenter of the agent that is asked, dc1"),
        (
            "binding_rule",
            {"auth_method": "a", "description": "x", "datacenter": "dc2"},
            "in the datacenter of the agent that is asked, dc1",
        ),
        ("binding_rule", {"auth_method": "a", "description": ""}, "description: '' is no name"),
        ("binding_rule", {"id": "x"}, "id: 'x' is no id"),
        ("binding_rule", {"auth_method": "acl-none", "description": "a"}, "bind_type: is required"),
    ],
)
def test_bad_input(fails, name, params, expected):
    assert expected in fails(f"consul_acl_{name}", **params)


def test_the_oldest_consul(ensure, module, oldest_with_acls, config):
    agent = {"agents": [oldest_with_acls.address], "token": oldest_with_acls.token}
    ensure("consul_acl_policy", name="old", rules=RULES, **agent)
    ensure("consul_acl_role", name="old", policies=["old"], service_identities=[{"service_name": "web"}], **agent)
    failed = module("consul_acl_role", name="old", templated_policies=[{"template_name": "builtin/dns"}], **agent)
    assert "That Consul is too old for TemplatedPolicies" in failed["msg"]
    ensure("consul_acl_auth_method", name="old", type="jwt", config=config, max_token_ttl="1h", **agent)
    ensure("consul_acl_binding_rule", auth_method="old", description="x", bind_type="role", bind_name="old", **agent)
    ensure("consul_acl_binding_rule", auth_method="old", description="x", state="absent", **agent)
    for name in ("auth_method", "role", "policy"):
        ensure(f"consul_acl_{name}", name="old", state="absent", **agent)
    wrong = module("consul_acl_policy", name="old", **{**agent, "token": "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"})
    assert "Consul does not know the token" in wrong["msg"]
    anonymous = module("consul_acl_policy", name="old", **{**agent, "token": None})
    assert "acl:read" in anonymous["msg"]

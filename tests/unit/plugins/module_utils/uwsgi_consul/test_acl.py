# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access control: what is sent, and what is made of answers."""

# ruff: noqa: S106
from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    AgentTokens,
    Api,
    AuthMethods,
    BindingRules,
    Policies,
    Replication,
    Roles,
    Tokens,
    acl,
    errors,
)

ID, OTHER = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab", "8e2d8a31-9f0c-4a7b-bb3c-0123456789ac"
INDEXES = {"CreateIndex": 3, "ModifyIndex": 4}
TOKEN = {"AccessorID": ID, "SecretID": OTHER, "Description": "d", "Local": False, "CreateTime": "2026-01-01T00:00:00Z", **INDEXES}


@pytest.fixture
def make(fake_agent, reply):
    def of(kind, *answers, **options):
        """An object whose agent gives these answers, one after the other; a status in place of one is an error."""
        left = list(answers)

        def answer(_received):
            one = left.pop(0)
            return reply(one[1], status=one[0]) if isinstance(one, tuple) else reply(json.dumps(one))

        agent = fake_agent(answer)
        return kind(Api(agents=[agent.address], token="tok3n", **options)), agent

    return of


def test_a_policy(make):
    item = {"ID": ID, "Name": "a/b", "Description": "", "Rules": "r", "Hash": "x", **INDEXES}
    policies, agent = make(Policies, item, item, {**item, "Datacenters": ["dc1"]}, True, [item])
    shape = {"id": ID, "name": "a/b", "description": "", "rules": "r", "valid_datacenters": [], "create_index": 3, "modify_index": 4}
    assert policies.named("a/b") == shape
    assert policies.create(name="a/b", rules="r", valid_datacenters=["dc2", "dc1"]) == shape
    assert policies.update(ID, name="a/b")["valid_datacenters"] == ["dc1"]
    assert policies.delete(ID) is True
    assert policies.list() == [shape]
    assert [(one.method, one.target) for one in agent.requests] == [
        ("GET", "/v1/acl/policy/name/a%2Fb"),
        ("PUT", "/v1/acl/policy"),
        ("PUT", f"/v1/acl/policy/{ID}"),
        ("DELETE", f"/v1/acl/policy/{ID}"),
        ("GET", "/v1/acl/policies"),
    ]
    assert json.loads(agent.requests[1].body) == {"Name": "a/b", "Rules": "r", "Description": "", "Datacenters": ["dc1", "dc2"]}


def test_what_is_missing_is_told_from_a_token_that_is(make):
    assert make(Policies, (404, "Requested policy does not exist: ACL not found"))[0].get(ID) is None
    assert make(Tokens, (403, "token does not exist: ACL not found"))[0].get(ID) is None
    # Old releases say the same of both.
    assert make(Policies, (403, "ACL not found"), TOKEN)[0].named("a") is None
    unknown, agent = make(Policies, (403, "ACL not found"), (403, "ACL not found"))
    with pytest.raises(errors.PermissionDeniedError, match="does not know the token"):
        unknown.named("a")
    assert [one.target for one in agent.requests] == ["/v1/acl/policy/name/a", "/v1/acl/token/self"]
    with pytest.raises(errors.PermissionDeniedError, match="make the first one"):
        make(Policies, (403, "ACL system must be bootstrapped before: ACL not found"))[0].named("a")


def test_a_role_has_its_parts_in_one_order(make):
    item = {
        "ID": ID,
        "Name": "r",
        "Description": "",
        "Policies": [{"ID": ID, "Name": "b"}, {"ID": OTHER, "Name": "a"}],
        "ServiceIdentities": [{"ServiceName": "b", "Datacenters": ["dc2", "dc1"]}, {"ServiceName": "a"}],
        "NodeIdentities": [{"NodeName": "b", "Datacenter": "dc1"}, {"NodeName": "a", "Datacenter": "dc1"}],
        "TemplatedPolicies": [{"TemplateID": ID, "TemplateName": "builtin/service", "TemplateVariables": {"name": "x"}}],
        **INDEXES,
    }
    roles, agent = make(Roles, item)
    made = roles.create(
        name="r",
        policies=["a", ID, {"name": "b"}, {"id": OTHER}, "a"],
        service_identities=[{"service_name": "a", "datacenters": None}],
        templated_policies=[{"template_name": "builtin/service", "template_variables": {"name": "x"}}],
    )
    assert [one["name"] for one in made["policies"]] == ["a", "b"]
    assert made["service_identities"] == [{"service_name": "a", "datacenters": []}, {"service_name": "b", "datacenters": ["dc1", "dc2"]}]
    assert [one["node_name"] for one in made["node_identities"]] == ["a", "b"]
    assert made["templated_policies"] == [{"template_name": "builtin/service", "template_variables": {"name": "x"}, "datacenters": []}]
    body = json.loads(agent.requests[0].body)
    assert body["Policies"] == [{"Name": "a"}, {"ID": ID}, {"Name": "b"}, {"ID": OTHER}]
    assert body["ServiceIdentities"] == [{"ServiceName": "a"}]
    assert body["TemplatedPolicies"] == [{"TemplateName": "builtin/service", "TemplateVariables": {"Name": "x"}}]
    # Releases that do not know it refuse the very name.
    assert "TemplatedPolicies" not in acl.role_terms(name="r")


def test_what_a_release_does_not_know_is_said(make):
    roles, _agent = make(Roles, (400, 'Bad request: Role decoding failed: json: unknown field "TemplatedPolicies"'))
    with pytest.raises(errors.BadRequestError, match="too old for TemplatedPolicies"):
        roles.create(name="r", templated_policies=[{"template_name": "builtin/dns"}])


def test_a_secret_that_is_hidden_is_none(make):
    tokens, _agent = make(Tokens, {**TOKEN, "SecretID": "<hidden>"}, TOKEN)
    assert tokens.get(ID)["secret_id"] is None
    assert tokens.get(ID)["secret_id"] == OTHER


def test_the_token_of_a_secret(make):
    tokens, agent = make(Tokens, TOKEN, (403, "token does not exist: ACL not found"), TOKEN)
    assert tokens.own(OTHER)["accessor_id"] == ID
    assert tokens.own(OTHER) is None
    assert tokens.own()["accessor_id"] == ID
    assert [one.headers["x-consul-token"] for one in agent.requests] == [OTHER, OTHER, "tok3n"]


def test_a_local_token_is_made_in_the_agents_datacenter_only(make):
    tokens, agent = make(Tokens, {"Config": {"Datacenter": "dc1"}}, datacenter="dc2")
    with pytest.raises(errors.InvalidValueError, match="in the datacenter of the agent that is asked, dc1"):
        tokens.create(local=True)
    assert [one.method for one in agent.requests] == ["GET"]
    near, agent = make(AuthMethods, {"Config": {"Datacenter": "dc2"}}, {"Name": "a", "Type": "jwt", **INDEXES}, datacenter="dc2")
    assert near.create(name="a", type="jwt")["name"] == "a"


def test_bootstrap_of_a_release_that_chooses_the_secret(make):
    wanted = {**TOKEN, "AccessorID": OTHER, "SecretID": ID}
    tokens, agent = make(Tokens, TOKEN, wanted, True)
    assert tokens.bootstrap(ID)["secret_id"] == ID
    assert [(one.method, one.target, one.headers["x-consul-token"]) for one in agent.requests] == [
        ("PUT", "/v1/acl/bootstrap", "tok3n"),
        ("PUT", "/v1/acl/token", OTHER),
        ("DELETE", f"/v1/acl/token/{ID}", ID),
    ]


def test_a_second_bootstrap_says_what_to_do(make):
    tokens, _agent = make(Tokens, (403, "Permission denied: ACL bootstrap no longer allowed (reset index: 21)"))
    with pytest.raises(errors.ConflictError, match="write 21 into the file acl-bootstrap-reset"):
        tokens.bootstrap()


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ((403, "ACL system must be bootstrapped before: ACL not found"), False),
        ((403, "ACL not found"), True),
        ((404, ""), None),
        ((301, ""), None),
    ],
)
def test_whether_it_was_bootstrapped(make, answer, known):
    tokens, agent = make(Tokens, answer)
    assert tokens.bootstrapped() is known
    assert agent.requests[0].method == "GET"


def test_the_time_to_live_of_an_auth_method(make):
    methods, agent = make(AuthMethods, *({"Name": "a", "Type": "jwt", "MaxTokenTTL": ttl, **INDEXES} for ttl in ("1h30m0s", "0s", 0)))
    assert methods.create(name="a", type="jwt", max_token_ttl="90m")["max_token_ttl"] == 5400
    assert [methods.get("a")["max_token_ttl"] for _ in range(2)] == [0, 0]
    assert json.loads(agent.requests[0].body)["MaxTokenTTL"] == "5400s"


def test_binding_rules_of_an_auth_method(make):
    item = {
        "ID": ID,
        "AuthMethod": "a",
        "BindType": "node",
        "BindName": "b",
        "Description": "",
        "Selector": "",
        "BindVars": None,
        **INDEXES,
    }
    rules, agent = make(BindingRules, [item])
    assert rules.of("a")[0]["bind_vars"] == {}
    assert agent.requests[0].target == "/v1/acl/binding-rules?authmethod=a"


def test_replication(make):
    item = {
        "Enabled": True,
        "Running": True,
        "SourceDatacenter": "dc1",
        "ReplicationType": "tokens",
        "ReplicatedIndex": 7,
        "LastSuccess": "2026-01-01T00:00:00Z",
        "LastError": "0001-01-01T00:00:00Z",
    }
    status = make(Replication, item)[0].status()
    assert (status["type"], status["last_success"], status["last_error"]) == ("tokens", "2026-01-01T00:00:00Z", None)


def test_the_tokens_of_an_agent(make):
    agent_tokens, agent = make(AgentTokens, (404, 'Token "agent_recovery" is unknown'), None, (404, 'Token "dns" is unknown'))
    agent_tokens.set("agent_recovery", "a")
    with pytest.raises(errors.NotFoundError, match="no token for dns"):
        agent_tokens.set("dns", "")
    assert [one.target.rpartition("/")[2] for one in agent.requests] == ["agent_recovery", "agent_master", "dns"]


@pytest.mark.parametrize(
    ("debug", "path"),
    [
        ({"ACLTokens": {"EnablePersistence": True, "DataDir": "/d"}}, "/d/acl-tokens.json"),
        ({"ACLTokens": {"EnablePersistence": False, "DataDir": "/d"}, "DataDir": "/d"}, None),
        ({"ACLEnableTokenPersistence": True, "DataDir": "/d"}, "/d/acl-tokens.json"),
    ],
)
def test_where_an_agent_keeps_its_tokens(make, debug, path):
    assert make(AgentTokens, {"DebugConfig": debug})[0].persisted_in() == path


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:01Z", (1, 0)),
        ("1970-01-01T01:00:00.5+01:00", (0, 500_000_000)),
        ("2026-11-21T20:28:41.588392912Z", (1795292921, 588392912)),
    ],
)
def test_moments(text, moment):
    assert acl.moment(text, "x") == moment

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_query` and `consul_query_info` with a real Consul."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.queries import Queries

FULL = {
    "service": "query-shop",
    "failover": {"nearest_n": 2, "datacenters": ["dc2"]},
    "tags": ["v2", "!old"],
    "only_passing": True,
    "near": "_agent",
    "ignore_check_ids": ["disk", "cpu"],
    "node_meta": {"rack": "a"},
    "service_meta": {"tier": "gold"},
    "connect": True,
    "dns_ttl": "90s",
}


@pytest.fixture
def session(datacenters):
    made = datacenters.dc1.put("/v1/session/create", {"Name": "query"})["ID"]
    yield made
    datacenters.dc1.put(f"/v1/session/destroy/{made}")


def test_a_query_with_everything(ensure, keeps, module, session):
    full = {"name": "query-full", **FULL, "session": session}
    (made,) = ensure("consul_query", **full)["queries"]
    assert (made["dns_ttl"], made["failover"]["nearest_n"], made["session"]) == (90.0, 2, session)
    keeps("consul_query", **full | {"tags": ["!old", "v2"], "ignore_check_ids": ["cpu", "disk"], "dns_ttl": "1m30s"})
    # What is left out has its default again, whichever it is.
    for name in set(FULL) - {"service"}:
        less = {option: value for option, value in full.items() if option != name}
        assert module("consul_query", check=True, **less)["changed"], name
    (plain,) = ensure("consul_query", name="query-full", service="query-shop")["queries"]
    assert (plain["id"], plain["connect"], plain["tags"], plain["session"]) == (made["id"], False, [], None)
    assert module("consul_query_info", id=made["id"])["queries"] == module("consul_query_info", name="query-full")["queries"] == [plain]
    ensure("consul_query", id=made["id"], name="query-renamed", service="query-shop")
    ensure("consul_query", id=made["id"], state="absent")
    keeps("consul_query", id=made["id"], state="absent")
    assert module("consul_query_info", name="query-renamed")["queries"] == []


def test_several_and_targets(ensure, keeps, module):
    targets = {"targets": [{"datacenter": "dc2"}, {"peer": "query-peer"}]}
    several = [{"name": "query-1", "service": "a"}, {"name": "query-2", "service": "b", "failover": targets}]
    made = ensure("consul_query", queries=several)["queries"]
    assert [one["name"] for one in made] == ["query-1", "query-2"]
    keeps("consul_query", queries=several[::-1])
    several[0]["service"] = "c"
    done = ensure("consul_query", queries=several)
    assert list(done["diff"]["before"]) == ["query-1"]
    ensure("consul_query", queries=[{"name": "query-1"}, {"id": made[1]["id"]}, {"name": "query-nothing"}], state="absent")


@pytest.mark.parametrize("other", ["a", "b"])
def test_one_that_another_host_makes_at_the_same_time(module, monkeypatch, other):
    definitions, asked = Queries.definitions, []

    def late(self):
        """Looks, and then the other host makes it before this one does."""
        asked.append(self)
        found = definitions(self)
        if len(asked) == 1:
            self.create("query-race", other)
        return found

    monkeypatch.setattr(Queries, "definitions", late)
    done = module("consul_query", name="query-race", service="a")
    assert not done.get("failed"), done
    assert (done["changed"], [one["service"] for one in done["queries"]]) == (other == "b", ["a"])
    module("consul_query", name="query-race", state="absent")


def test_a_failure_in_a_list_says_of_which_query_and_what_was_done(module):
    template = {"type": "name_prefix_match", "regexp": "("}
    queries = [{"name": "query-right", "service": "a"}, {"name": "query-wrong-", "service": "a", "template": template}]
    failed = module("consul_query", queries=queries)
    assert "query query-wrong-: 500" in failed["msg"]
    assert (failed["changed"], failed["written"]) == (True, ["query-right"])
    module("consul_query", name="query-right", state="absent")


def test_it_finds_a_service_of_another_datacenter(ensure, module, datacenters):
    datacenters.dc2.put("/v1/agent/service/register", {"Name": "query-far", "ID": "query-far-1", "Port": 8080})
    ensure("consul_query", name="query-far", service="query-far", failover={"datacenters": ["dc2"]})
    ensure("consul_query", name="query-geo-", service="${match(1)}", template={"regexp": "^query-geo-(.*)$"}, failover={"nearest_n": 1})
    for name in ("query-far", "query-geo-query-far"):
        found = module("consul_query_info", name=name, execute=True, explain=True)
        assert [(one["port"], one["datacenter"]) for one in found["found"]["instances"]] == [(8080, "dc2")]
        assert (found["found"]["failovers"], found["explained"]["service"]) == (1, "query-far")
    ensure("consul_query", queries=[{"name": "query-far"}, {"name": "query-geo-"}], state="absent")
    datacenters.dc2.put("/v1/agent/service/deregister/query-far-1")


def test_the_token_of_a_query(ensure, keeps, module, datacenters):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    made = ensure("consul_query", name="query-secret", service="a", query_token=first)
    assert made["queries"][0]["has_token"] is True
    changed = ensure("consul_query", name="query-secret", service="a", query_token=second)
    assert [changed["diff"][side]["query-secret"]["token"] for side in ("before", "after")] == ["(a token)", "(another token)"]
    rule = 'query_prefix "query-" { policy = "write" }'
    datacenters.dc1.put("/v1/acl/policy", {"Name": "query-writer", "Rules": rule})
    token = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"Name": "query-writer"}]})["SecretID"]
    # Who may not see it changes nothing, and is told so.
    kept = module("consul_query", name="query-secret", service="a", query_token=first, token=token)
    assert not kept["changed"]
    assert "is not known" in str(kept["warnings"])
    assert all(secret not in str(result) for secret in (first, second) for result in (made, changed, kept))
    ensure("consul_query", name="query-secret", service="a")
    ensure("consul_query", name="query-secret", state="absent")


def test_one_that_the_token_may_not_see(module, datacenters, capfd):
    module("consul_query", name="query-unseen", service="a")
    datacenters.dc1.put("/v1/acl/policy", {"Name": "query-nothing", "Rules": 'query "query-unseen" { policy = "deny" }'})
    token = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"Name": "query-nothing"}]})["SecretID"]
    result = module("consul_query", name="query-unseen", service="a", token=token)
    assert result["failed"]
    assert "403" in result["msg"] or "query:read" in result["msg"]
    kept, found = (
        module(name, name="query-unseen", token=token, **more)
        for name, more in (("consul_query", {"state": "absent"}), ("consul_query_info", {}))
    )
    # Where Ansible's controller was loaded in this process before, warnings are printed instead.
    told = f"{kept.get('warnings')}{found.get('warnings')}{capfd.readouterr().err}"
    assert "a query that shall be absent may be there all the same (query:read)" in told
    assert "there may be more queries (query:read)" in told
    module("consul_query", name="query-unseen", state="absent")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "", "service": "a"}, "name: '' is no name"),
        ({"name": "a"}, "service"),
        ({"name": "a", "service": "a", "dns_ttl": "soon"}, "dns_ttl: 'soon' is no duration such as 10s"),
        ({"name": "a", "service": "a", "near": " "}, "near: ' ' is no name"),
        ({"name": "a", "service": "a", "session": "x"}, "session: 'x' is no id of a session"),
        ({"name": "a", "service": "a", "node_meta": {"rack": 1}}, "node_meta 'rack': 1 is no text"),
        ({"name": "a", "service": "a", "failover": {"nearest_n": -1}}, "failover nearest_n: -1 is no whole number"),
        ({"name": "a", "service": "a", "failover": {"nearest_n": 1, "targets": [{"peer": "a"}]}}, "failover: give targets, or nearest_n"),
        ({"name": "a", "service": "a", "failover": {"targets": [{}]}}, "failover targets: a target needs a datacenter or a peer"),
        ({"name": "a", "service": "a", "query_token": "a b"}, "query_token: "),
        ({"id": "x", "service": "a"}, "id: 'x' is no id"),
        ({"id": str(uuid.UUID(int=0)), "name": "a", "service": "a"}, "id: there is no prepared query"),
        ({"queries": [{"name": "a", "service": "a"}, {"name": "a", "service": "a"}]}, "queries: a is given twice"),
        ({"queries": [{"name": "a"}]}, "queries[0]: service"),
        ({"queries": [{"service": "a"}]}, "one of the following is required: name, id found in queries"),
        ({}, "one of the following is required: name, id, queries"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_query", **params)


def test_an_unknown_query_is_not_executed(fails):
    assert "Query not found" in fails("consul_query_info", name="query-unknown", execute=True)


def test_the_oldest_consul(ensure, fails, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_query", name="query-oldest", **{**FULL, "failover": {"nearest_n": 1}}, **agent)
    message = fails("consul_query", name="query-oldest", service="a", failover={"targets": [{"datacenter": "dc2"}]}, **agent)
    assert "failover: this Consul knows no targets" in message
    assert "1.14" in message
    ensure("consul_query", name="query-oldest", state="absent", **agent)

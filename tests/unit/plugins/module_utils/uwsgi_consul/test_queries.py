# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepared queries: what is sent, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Queries, errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.queries import define

ID = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"
SECRET = "3f1b0c6e-secret-of-the-test"  # noqa: S105


def item(name="q", service="web", **more):
    return {"ID": ID, "Name": name, "Service": {"Service": service}, "CreateIndex": 1, "ModifyIndex": 2, **more}


def found(**more):
    return {"Service": "web", "Nodes": [], "DNS": {"TTL": ""}, "Datacenter": "dc1", "Failovers": 0, **more}


@pytest.fixture
def make(fake_agent, reply):
    """Queries of an agent that gives each answer in turn; and the agent."""

    def of(*answers):
        left = [answer if isinstance(answer, bytes) else reply(json.dumps(answer)) for answer in answers]
        agent = fake_agent(lambda _received: left.pop(0) if left else None)
        return Queries(Api(agents=[agent.address])), agent

    return of


def test_a_definition_holds_what_was_given_and_no_template():
    assert define("q", "web") == {"Name": "q", "Service": {"Service": "web", "Tags": [], "OnlyPassing": False}}
    assert define("q", "web", failover={"nearest_n": 2}, dns_ttl=1.5, session=ID, token=SECRET, template={}) == {
        "Name": "q",
        "Service": {"Service": "web", "Tags": [], "OnlyPassing": False, "Failover": {"NearestN": 2, "Datacenters": []}},
        "DNS": {"TTL": "1500ms"},
        "Session": ID,
        "Token": SECRET,
        "Template": {"Type": "name_prefix_match", "Regexp": "", "RemoveEmptyTags": False},
    }
    assert define("", "web", template={})["Name"] == ""


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"name": ""}, "name: '' is no name"),
        ({"name": ID}, "name: .* has the form of an id"),
        ({"service": ""}, "service: '' is no name"),
        ({"tags": "v2"}, "tags: 'v2' is no list of names"),
        ({"tags": ["a", 7]}, "tags: 7 is no name"),
        ({"tags": 7}, "tags: 7 is no list"),
        ({"only_passing": 1}, "only_passing: 1 is neither"),
        ({"near": ""}, "near: '' is no name"),
        ({"ignore_check_ids": None}, "ignore_check_ids: None is no list"),
        ({"node_meta": ["a"]}, "node_meta: .* is no mapping"),
        ({"service_meta": {"tier": 1}}, "service_meta 'tier': 1 is no text"),
        ({"connect": "yes"}, "connect: 'yes' is neither"),
        ({"dns_ttl": "soon"}, "dns_ttl: 'soon' is no duration"),
        ({"dns_ttl": -1}, "dns_ttl: -1 is no duration"),
        ({"session": "x"}, "session: 'x' is no id"),
        ({"failover": ["dc2"]}, "failover: .* is no mapping with nearest_n, datacenters, targets"),
        ({"failover": {"nearest": 1}}, "failover: 'nearest' is none of nearest_n, datacenters, targets"),
        ({"failover": {"nearest_n": -1}}, "failover nearest_n: -1 is no whole number"),
        ({"failover": {"datacenters": "dc2"}}, "failover datacenters: 'dc2' is no list"),
        ({"failover": {"datacenters": ["d c"]}}, "failover datacenters: 'd c' is no name of a datacenter"),
        ({"failover": {"targets": {"datacenter": "dc2"}}}, "failover targets: .* is no list of targets"),
        ({"failover": {"targets": ["dc2"]}}, "failover targets: 'dc2' is no mapping"),
        ({"failover": {"targets": [{}]}}, "failover targets: a target needs a datacenter or a peer"),
        ({"failover": {"targets": [{"peer": "a"}], "nearest_n": 1}}, "give targets, or nearest_n and datacenters, not both"),
        ({"template": True}, "template: True is no mapping"),
        ({"template": {"type": "regexp"}}, "template type: 'regexp' is none of name_prefix_match"),
        ({"template": {"regexp": 7}}, "template regexp: 7 is no text"),
        ({"template": {"remove_empty_tags": None}}, "template remove_empty_tags: None is neither"),
    ],
)
def test_what_cannot_be_defined_is_refused_before_anything_is_sent(make, definition, problem):
    queries, agent = make()
    given = {"name": "q", "service": "web", **definition}
    for call in (queries.create, queries.ensure):
        with pytest.raises(errors.InvalidValueError, match=problem):
            call(**given)
    if "name" not in definition:
        with pytest.raises(errors.InvalidValueError, match=problem):
            queries.update("q", **{name: value for name, value in given.items() if name != "name"})
    assert not agent.requests


@pytest.mark.parametrize("token", ["", 7, SECRET + "\n", f"{SECRET} x", SECRET * 1000])
def test_a_bad_token_is_refused_and_not_shown(make, token):
    queries, agent = make()
    with pytest.raises(errors.InvalidValueError, match=r"^token: ") as caught:
        queries.create("q", "web", token=token)
    assert SECRET not in str(caught.value)
    assert not agent.requests


def test_an_update_keeps_the_name_and_writes_all(make):
    queries, agent = make([item(name="shop")], {})
    queries.update(ID, "web", tags=["a"])
    assert [(one.method, one.target) for one in agent.requests] == [("GET", f"/v1/query/{ID}"), ("PUT", f"/v1/query/{ID}")]
    assert json.loads(agent.requests[1].body) == define("shop", "web", tags=["a"])


@pytest.mark.parametrize("definition", [{"tags": ["b", "a"]}, {"dns_ttl": 10}, {"failover": {"nearest_n": 1}}, {"token": SECRET}])
def test_ensure_writes_what_differs_and_nothing_else(make, definition):
    same = item(**{key: value for key, value in define("q", "web", **definition).items() if key != "Name"})
    queries, agent = make([item(), same], [item(), same])
    same["Name"] = "q"
    assert queries.ensure("q", "web") is False
    assert [one.method for one in agent.requests] == ["GET", "GET"]
    queries, agent = make([same], [same])
    assert queries.ensure("q", "web", **definition) is False
    queries, agent = make([item()], [item()], {})
    assert queries.ensure("q", "web", **definition) is True
    assert json.loads(agent.requests[-1].body) == define("q", "web", **definition)


def test_ensure_meets_somebody_who_makes_the_same_query(make, reply):
    queries, agent = make([], reply("raft apply failed: name 'q' aliases an existing query name", 500), [item()])
    assert queries.ensure("q", "web") is False
    assert [one.method for one in agent.requests] == ["GET", "POST", "GET"]


def test_ensure_says_so_when_the_query_is_there_and_cannot_be_seen(make, reply):
    queries, _agent = make([], reply("name 'q' aliases an existing query name", 500), [])
    with pytest.raises(errors.NotFoundError, match="there is a query q, and the token may not see it"):
        queries.ensure("q", "web")


def test_a_hidden_token_is_no_token_that_is_known(make):
    hidden = {**item(), "Token": "<hidden>"}
    queries, _agent = make([hidden], [hidden], {})
    assert queries.ensure("q", "web", token=SECRET) is True
    queries, _agent = make([hidden])
    assert queries.get("q")["has_token"] is True


def test_what_is_found_elsewhere_is_told(make):
    node = {"Node": "n2", "Address": "10.0.0.2", "Datacenter": "dc2", "Meta": None}
    entry = {"Node": node, "Service": {"Service": "web", "ID": "web-1", "Tags": None, "Port": 80}, "Checks": None}
    queries, agent = make(found(Nodes=[entry], DNS={"TTL": "1m"}, Datacenter="dc2", Failovers=2, ResultsFilteredByACLs=True))
    answer = queries.execute("a b/c", near="_agent", limit=3, datacenter="dc1")
    assert agent.requests[0].target == "/v1/query/a%20b%2Fc/execute?near=_agent&limit=3&dc=dc1"
    (instance,) = answer.pop("instances")
    assert (instance["node"], instance["datacenter"], instance["status"]) == ("n2", "dc2", "passing")
    assert answer == {"service": "web", "datacenter": "dc2", "failovers": 2, "dns_ttl": 60.0, "filtered_by_acls": True}


def test_nothing_found_is_an_empty_list(make):
    queries, agent = make(found(Nodes=None))
    assert queries.execute("q") == {
        "service": "web",
        "instances": [],
        "datacenter": "dc1",
        "failovers": 0,
        "dns_ttl": None,
        "filtered_by_acls": False,
    }
    assert agent.requests[0].target == "/v1/query/q/execute"


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda queries: queries.execute("q"), found(Nodes=[{}])),
        (lambda queries: queries.execute("q"), found(Nodes=[7])),
        (lambda queries: queries.execute("q"), found(DNS=None)),
        (lambda queries: queries.execute("q"), found(DNS={"TTL": "soon"})),
        (lambda queries: queries.execute("q"), []),
        (lambda queries: queries.list(), [{}]),
        (lambda queries: queries.list(), 7),
        (lambda queries: queries.get("q"), [{"Name": "q", "Service": 7}]),
        (lambda queries: queries.get(ID), []),
        (lambda queries: queries.explain("q"), {}),
        (lambda queries: queries.create("q", "web"), {}),
    ],
)
def test_an_answer_of_another_shape_is_a_bad_answer(make, call, answer):
    queries, _agent = make(answer)
    with pytest.raises(errors.BadAnswerError):
        call(queries)

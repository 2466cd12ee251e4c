# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_session` and `consul_session_info` with a real Consul."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.sessions import Sessions


def test_a_session_is_made_once_found_by_its_name_and_removed(ensure, keeps, module, datacenters):
    terms = {"name": "module-once", "ttl": "90s", "lock_delay": "1s", "behavior": "delete"}
    made = ensure("consul_session", **terms)["session"]
    assert (made["ttl"], made["lock_delay"], made["behavior"], made["node"]) == (90, 1, "delete", "node1")
    assert keeps("consul_session", **terms | {"ttl": "1m30s"})["session"]["id"] == made["id"]
    assert keeps("consul_session_info", name="module-once")["sessions"] == [made]
    assert keeps("consul_session_info", id=made["id"])["sessions"] == [made]
    assert made in keeps("consul_session_info", node="node1")["sessions"]
    ensure("consul_session", name="module-once", state="absent")
    assert datacenters.dc1.get(f"/v1/session/info/{made['id']}") == []


def test_a_new_one_each_run_when_asked(module, ensure):
    ids = {module("consul_session", name="module-many", unique=False)["session"]["id"] for _ in range(2)}
    assert len(ids) == 2
    # The oldest is used from then on.
    assert module("consul_session", name="module-many")["session"]["id"] in ids
    ensure("consul_session", id=ids.pop(), state="absent")
    ensure("consul_session", name="module-many", state="absent")
    assert module("consul_session_info", name="module-many")["sessions"] == []


def test_one_in_another_datacenter(ensure, module, datacenters):
    made = ensure("consul_session", name="module-far", datacenter="dc2", node="node2", node_checks=[])["session"]
    assert (made["node"], made["node_checks"]) == ("node2", [])
    assert module("consul_session_info", name="module-far")["sessions"] == []
    ensure("consul_session", name="module-far", state="absent", datacenter="dc2")
    # The agent's own node is of dc1.
    assert "give the name of one there" in module("consul_session", name="module-far", datacenter="dc2")["msg"]


def test_other_terms_are_no_reason_to_end_its_locks(module, fails):
    module("consul_session", name="module-terms", ttl="30s")
    message = fails("consul_session", name="module-terms", ttl="60s")
    assert "has ttl 30.0, and the task wants 60.0" in message
    assert "state=absent" in message


def test_bad_terms_are_told_although_there_is_such_a_session(module, fails):
    module("consul_session", name="module-judged", ttl="30s")
    assert "ttl: '5s' is no duration" in fails("consul_session", name="module-judged", ttl="5s")
    assert "name: 'a\\nb' is no name" in fails("consul_session_info", name="a\nb")


def test_two_runs_at_once_make_one_session(module, datacenters, monkeypatch):
    made = []
    create = Sessions.create

    def first_another(sessions, name, **terms):
        """What another run does between this one's look and its creation."""
        made.append(create(sessions, name, **terms))
        return create(sessions, name, **terms)

    monkeypatch.setattr(Sessions, "create", first_another)
    result = module("consul_session", name="module-race", ttl="30s")
    assert not result["changed"]
    assert result["session"]["id"] == made[0]
    assert [one["id"] for one in module("consul_session_info", name="module-race")["sessions"]] == made


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "x", "ttl": "5s"}, "ttl: '5s' is no duration from 10 to 86400 s"),
        ({"name": "x", "ttl": "soon"}, "ttl: 'soon' is no duration such as 10s"),
        ({"name": "x", "lock_delay": "61s"}, "lock_delay: '61s' is no duration from 0 to 60 s"),
        ({"name": "a\nb"}, "name: 'a\\nb' is no name"),
        ({"id": "x", "state": "absent"}, "id: 'x' is no id of a session"),
        ({"name": "x", "agents": ["http://a b"]}, "agents: 'http://a b' is no address"),
        ({}, "any of the following are missing: name, id"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_session", **params)


def test_the_oldest_consul(ensure, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_session", name="module-oldest", ttl="30s", **agent)
    ensure("consul_session", name="module-oldest", state="absent", **agent)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intentions: how they are put into a destination's config entry, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Intentions, errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.intentions import define, judge_old, merged, of_entry, without

FOUND = {
    "kind": "service-intentions",
    "name": "db",
    "sources": [{"name": "b", "action": "allow", "description": "kept"}, {"name": "a", "action": "deny", "peer": "p"}],
    "meta": {"k": "v"},
    "modify_index": 7,
}


def test_one_is_put_beside_the_others_or_in_its_own_place():
    wanted = define("a", "db", action="allow")
    made = merged(FOUND, "db", [wanted])
    assert made["sources"][:2] == FOUND["sources"]
    assert made["sources"][2] == {"name": "a", "type": "consul", "description": "", "action": "allow"}
    assert made["meta"] == {"k": "v"}
    again = merged(made, "db", [define("b", "db", permissions=[{"Action": "deny", "HTTP": {"PathExact": "/"}}], meta={})])
    assert again["sources"][0]["permissions"] == [{"action": "deny", "http": {"path_exact": "/"}}]
    assert "action" not in again["sources"][0]
    assert (len(again["sources"]), again["meta"]) == (3, {})
    assert [one["name"] for one in merged(FOUND, "db", [wanted], alone=True)["sources"]] == ["a"]
    assert merged(None, "db", [wanted]) == {"kind": "service-intentions", "name": "db", "sources": [made["sources"][2]]}
    # What was found stays as it was.
    assert len(FOUND["sources"]) == 2


def test_one_is_taken_out_and_the_entry_with_the_last():
    assert without(None, [{"source": "a", "source_peer": None}]) is None
    left = without(FOUND, [{"source": "a", "source_peer": None}, {"source": "b", "source_peer": None}])
    assert [one["name"] for one in left["sources"]] == ["a"]
    assert without(left, [{"source": "a", "source_peer": "p"}]) is None


def test_those_of_an_entry_can_be_defined_again():
    for one in of_entry(FOUND):
        assert define(**one) == one


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"action": "allow", "permissions": [{"action": "deny"}]}, "action: a to db needs an action or permissions"),
        ({}, "action: a to db needs an action"),
        ({"permissions": []}, "action: a to db needs an action"),
        ({"action": "Allow"}, "action: 'Allow' is none of allow, deny"),
        ({"permissions": "allow"}, "permissions: 'allow' is no list"),
        ({"permissions": ["allow"]}, "permissions: 'allow' is no mapping"),
    ],
)
def test_what_cannot_be_right(given, message):
    with pytest.raises(errors.InvalidValueError, match=message):
        define("a", "db", **given)


@pytest.mark.parametrize("given", [{"permissions": [{"action": "allow"}]}, {"action": "allow", "source_peer": "p"}])
def test_what_older_ones_do_not_have(given):
    with pytest.raises(errors.InvalidValueError, match=r": Consul before 1\.9 has intentions with an action only"):
        judge_old(define("a", "db", **given))


def test_all_are_listed(fake_agent, reply):
    items = [
        {"SourceName": "*", "DestinationName": "db", "Action": "deny", "Precedence": 8},
        {"ID": "x", "SourceName": "a", "DestinationName": "db", "Permissions": [{"Action": "allow"}], "Precedence": 9, "SourcePeer": "p"},
    ]
    agent = fake_agent(reply(json.dumps(items)))
    found = Intentions(Api(agents=[agent.address])).list()
    assert [(one["id"], one["source"], one["source_peer"], one["action"]) for one in found] == [
        ("x", "a", "p", None),
        (None, "*", None, "deny"),
    ]
    assert found[0]["permissions"] == [{"action": "allow"}]
    agent = fake_agent(reply(json.dumps([{}])))
    with pytest.raises(errors.BadAnswerError):
        Intentions(Api(agents=[agent.address])).list()

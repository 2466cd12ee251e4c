# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and values, from answers of the API."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Client, errors, kv


def item(key, value="dg=="):
    return {"Key": key, "Value": value, "Flags": 4, "CreateIndex": 1, "ModifyIndex": 2, "LockIndex": 0}


def test_an_entry(fake_agent, reply):
    agent = fake_agent(reply(json.dumps([item("app/a b?é")])))
    assert kv.get(Client(agents=[agent.address]), "app/a b?é", datacenter="dc2") == {
        "key": "app/a b?é",
        "value": b"v",
        "flags": 4,
        "session": None,
        "create_index": 1,
        "modify_index": 2,
        "lock_index": 0,
    }
    assert agent.requests[0].target == "/v1/kv/app/a%20b%3F%C3%A9?dc=dc2"


def test_an_empty_value_is_no_missing_one(fake_agent, reply):
    assert kv.get(Client(agents=[fake_agent(reply(json.dumps([item("k", None)]))).address]), "k")["value"] == b""


def test_a_missing_key_and_an_empty_prefix(fake_agent, reply):
    client = Client(agents=[fake_agent(reply("", 404)).address])
    assert kv.get(client, "none") is None
    assert kv.tree(client, "none/") == []


@pytest.mark.parametrize(("prefix", "target"), [("app/", "/v1/kv/app/?recurse=1"), ("", "/v1/kv/?recurse=1")])
def test_a_tree_is_sorted(fake_agent, reply, prefix, target):
    agent = fake_agent(reply(json.dumps([item("app/b"), item("app/a")])))
    assert [entry["key"] for entry in kv.tree(Client(agents=[agent.address]), prefix)] == ["app/a", "app/b"]
    assert agent.requests[0].target == target


@pytest.mark.parametrize("key", ["", "/app", "a//b", "a/../b", "..", "a/.", "a\nb", "a\x00", None, 7])
def test_keys_that_consul_cannot_address_are_refused_before_anything_is_sent(fake_agent, key):
    agent = fake_agent()
    with pytest.raises(errors.InvalidValueError, match=r"^key: "):
        kv.get(Client(agents=[agent.address]), key)
    assert not agent.requests


@pytest.mark.parametrize("key", ["a..b", ".hidden", "a/..b/c.", "folder/", "%41", "a+b"])
def test_keys_that_only_look_odd_are_fine(fake_agent, reply, key):
    assert kv.get(Client(agents=[fake_agent(reply(json.dumps([item(key)]))).address]), key)["key"] == key


@pytest.mark.parametrize("body", ["null", "7", "[7]", "[{}]", '[{"Key": "a", "Value": "!", "Flags": 0}]', json.dumps([item("a", "%%")])])
def test_an_answer_of_another_shape_is_a_bad_answer(fake_agent, reply, body):
    with pytest.raises(errors.BadAnswerError):
        kv.get(Client(agents=[fake_agent(reply(body)).address]), "a")

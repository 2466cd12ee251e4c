# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`KV`: what it sends, and what it makes of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import errors, keys
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api, AsyncApi
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transactions import Operation

SESSION = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"


def item(key, value="dg==", **fields):
    return {"Key": key, "Value": value, "Flags": 4, "CreateIndex": 1, "ModifyIndex": 2, "LockIndex": 0, **fields}


@pytest.fixture
def kv(fake_agent):
    """Makes a `KV` of an agent that answers so, and that agent."""

    def make(answer=b"", **options):
        agent = fake_agent(answer) if answer else fake_agent()
        return KV(Api(agents=[agent.address]), **options), agent

    return make


def test_an_entry(kv, reply):
    store, agent = kv(reply(json.dumps([item("app/a b?é")])), datacenter="dc2")
    assert store.get("app/a b?é") == {
        "key": "app/a b?é",
        "value": b"v",
        "flags": 4,
        "session": None,
        "create_index": 1,
        "modify_index": 2,
        "lock_index": 0,
    }
    assert agent.requests[0].target == "/v1/kv/app/a%20b%3F%C3%A9?dc=dc2"
    assert store.get("app/a b?é", consistency="stale")
    assert agent.requests[1].target.endswith("&stale=1")


def test_an_empty_value_is_no_missing_one(kv, reply):
    assert kv(reply(json.dumps([item("k", None)])))[0].get("k")["value"] == b""


def test_a_web_server_without_such_a_page_is_no_consul_without_such_a_key(kv):
    store, _agent = kv(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found")
    for call in (lambda: store.get("a"), lambda: store.tree("a/"), lambda: store.keys("a/")):
        with pytest.raises(errors.BadAnswerError, match="what answers there is no agent"):
            call()


def test_what_is_not_there(kv, reply):
    store, _agent = kv(reply("", 404))
    assert store.get("none") is None
    assert store.tree("none/") == []
    assert store.keys("none/") == []
    assert store.mapping("none") == {}


@pytest.mark.parametrize(("prefix", "target"), [("app/", "/v1/kv/app/?recurse=1"), ("", "/v1/kv/?recurse=1")])
def test_a_tree_is_sorted(kv, reply, prefix, target):
    store, agent = kv(reply(json.dumps([item("app/b"), item("app/a")])))
    assert [entry["key"] for entry in store.tree(prefix)] == ["app/a", "app/b"]
    assert agent.requests[0].target == target


def test_keys(kv, reply):
    store, agent = kv(reply('["app/b", "app/a/"]'))
    assert store.keys("app/") == store.keys("app/", "/") == ["app/a/", "app/b"]
    assert [received.target for received in agent.requests] == ["/v1/kv/app/?keys=1", "/v1/kv/app/?keys=1&separator=%2F"]


@pytest.mark.parametrize(
    ("arguments", "options", "target", "body"),
    [
        (("a", "é"), {}, "/v1/kv/a", "é".encode()),
        (("a", b"\xff\x00"), {"flags": 2**64 - 1}, "/v1/kv/a?flags=18446744073709551615", b"\xff\x00"),
        (("a", ""), {"cas": 0}, "/v1/kv/a?cas=0", b""),
        (("a", "v"), {"acquire": SESSION}, f"/v1/kv/a?acquire={SESSION}", b"v"),
        (("a", "v"), {"release": SESSION, "flags": 7}, f"/v1/kv/a?release={SESSION}&flags=7", b"v"),
        (("a", b"x" * keys.LARGEST_VALUE), {}, "/v1/kv/a", b"x" * keys.LARGEST_VALUE),
    ],
)
def test_a_write(kv, reply, arguments, options, target, body):
    store, agent = kv(reply("true"))
    assert store.set(*arguments, **options) is True
    assert [(received.method, received.target, received.body) for received in agent.requests] == [("PUT", target, body)]


@pytest.mark.parametrize(
    ("arguments", "options", "target"),
    [
        (("a",), {}, "/v1/kv/a"),
        (("a",), {"cas": 7}, "/v1/kv/a?cas=7"),
        (("a/",), {"recurse": True}, "/v1/kv/a/?recurse=1"),
        (("",), {"recurse": True, "everything": True}, "/v1/kv/?recurse=1"),
    ],
)
def test_a_deletion(kv, reply, arguments, options, target):
    store, agent = kv(reply("true"))
    assert store.delete(*arguments, **options) is True
    assert [(received.method, received.target) for received in agent.requests] == [("DELETE", target)]


def test_a_condition_that_does_not_hold(kv, reply):
    store, _agent = kv(reply("false"))
    assert store.set("a", "v", cas=1) is False
    assert store.delete("a", cas=1) is False


def test_a_write_whose_answer_gets_lost_is_not_sent_again(kv):
    store, agent = kv(lambda _received: None)
    for write in (lambda: store.set("a", "v"), lambda: store.delete("a")):
        with pytest.raises(errors.NoAgentError, match="it is not known whether it was done"):
            write()
    assert len(agent.requests) == 2


@pytest.mark.parametrize(
    "key",
    ["", "/app", "a//b", "a/../b", "..", "a/.", "a\nb", "a\x00", None, 7, b"a", "\ud800", " a", "a ", "a\u00a0", "a\u200bb", "k" * 65537],
)
def test_keys_that_consul_cannot_address_are_refused_before_anything_is_sent(kv, key):
    store, agent = kv()
    for call in (store.get, store.delete, lambda key: store.set(key, "v"), lambda key: store.update(key, len)):
        with pytest.raises(errors.InvalidValueError, match=r"^key: ") as refused:
            call(key)
        assert len(str(refused.value)) < 400
    if key != "":
        for call in (store.tree, store.keys):
            with pytest.raises(errors.InvalidValueError, match=r"^prefix: "):
                call(key)
    assert not agent.requests


@pytest.mark.parametrize("key", ["a..b", ".hidden", "a/..b/c.", "folder/", "%41", "a+b", "a b/ c", "\u00e9\U0001f600"])
def test_keys_that_only_look_odd_are_fine(kv, reply, key):
    assert kv(reply(json.dumps([item(key)])))[0].get(key)["key"] == key


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kv: kv.set("a", None), r"^value: is neither text nor bytes but of type NoneType$"),
        (lambda kv: kv.set("a", {"secret": 1}), r"^value: is neither text nor bytes but of type dict$"),
        (lambda kv: kv.set("a", "\ud800"), r"^value: holds half a character"),
        (lambda kv: kv.set("a", b"x" * (keys.LARGEST_VALUE + 1)), r"^value: has 524289 bytes, and Consul stores 524288 at most$"),
        (lambda kv: kv.set("a", "v", flags=-1), r"^flags: -1 is no whole number"),
        (lambda kv: kv.set("a", "v", flags=2**64), r"^flags: "),
        (lambda kv: kv.set("a", "v", cas="1"), r"^cas: '1' is no whole number"),
        (lambda kv: kv.set("a", "v", acquire="me"), r"^acquire: 'me' is no id of a session"),
        (lambda kv: kv.set("a", "v", cas=1, release=SESSION), r"^cas and release: give one of them, not both$"),
        (lambda kv: kv.delete("", recurse=True), r"^key: is empty, which means the whole store"),
        (lambda kv: kv.delete("a", recurse=True, everything=True), r"^everything: is for the empty prefix only"),
        (lambda kv: kv.delete("a", cas=0), r"^cas: 0 is no whole number from 1"),
        (lambda kv: kv.delete("a", recurse=True, cas=1), r"^cas: is of no use with recurse"),
        (lambda kv: kv.delete("a", recurse=1), r"^recurse: 1 is neither True nor False"),
        (lambda kv: kv.keys("a", ""), r"^separator: is empty"),
        (lambda kv: kv.update("a", "no function"), r"^function: 'no function' is no function"),
        (lambda kv: kv.update("a", len, timeout=0), r"^timeout: "),
        (lambda kv: kv.update("a", len, receipts="/x"), r"^receipts: "),
        (lambda kv: kv.mapping(7), r"^folder: 7 is no key"),
        (lambda kv: kv.mapping("a", encoding="base64"), r"^encoding: 'base64' is no encoding of text"),
        (lambda kv: kv.mapping("a", encoding="a\0b"), r"^encoding: "),
        (lambda kv: kv.mapping("a", encoding="undefined"), r"^encoding: "),
        (lambda kv: kv.mapping("a", encoding=7), r"^encoding: "),
        (lambda kv: kv.set_mapping("a", {"b/c": "1"}), r"^mapping: 'b/c' in 'a/' is no name"),
        (lambda kv: kv.get("a", consistency="never"), r"^consistency: 'never' is none of"),
    ],
)
def test_what_can_not_be_right_is_refused_before_anything_is_sent(kv, call, message):
    store, agent = kv()
    with pytest.raises(errors.InvalidValueError, match=message):
        call(store)
    assert not agent.requests


def test_a_client_that_is_none(fake_agent):
    for wrong in (7, "127.0.0.1", AsyncApi(agents=[fake_agent().address])):
        with pytest.raises(errors.InvalidValueError, match=r"^client: "):
            KV(wrong)
    with pytest.raises(errors.InvalidValueError, match=r"^datacenter: "):
        KV(Api(), datacenter="a b")


def test_a_client_from_the_environment(fake_agent, reply, monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", fake_agent(reply(json.dumps([item("a")]))).address)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "the-secret")
    store = KV()
    assert store.get("a")["value"] == b"v"
    assert "the-secret" not in repr(store)


@pytest.mark.parametrize("body", ["null", "7", "[7]", "[{}]", '[{"Key": "a", "Value": "!", "Flags": 0}]', json.dumps([item("a", "%%")])])
def test_an_answer_of_another_shape_is_a_bad_answer(kv, reply, body):
    store, _agent = kv(reply(body))
    calls = [store.get, store.tree, lambda key: store.set(key, "v"), store.delete]
    for call in calls if body != "[]" else calls[2:]:
        with pytest.raises(errors.BadAnswerError):
            call("a")
    if body != "[]":
        with pytest.raises(errors.BadAnswerError):
            store.keys("a")


# ---- folders as mappings --------------------------------------------------------------------------------------------------


def entries(**values):
    return [{"key": key.replace("__", "/"), "value": value.encode()} for key, value in sorted(values.items())]


def test_a_folder_as_a_mapping_and_back():
    found = entries(app__a="1", app__db__host="h", app__db__port="5", app__new__="")
    nested = {"a": "1", "db": {"host": "h", "port": "5"}, "new": {}}
    assert keys.nested(found, "app/") == nested
    assert keys.nested(found, "app/", None)["a"] == b"1"
    assert keys.flat(nested, "app/") == {one["key"]: one["value"] for one in found}
    assert keys.nested(entries(app__=""), "app/") == {}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (entries(app__db="x", app__db__host="h"), r"^app/db: is a key and a folder at the same time"),
        (entries(app__db="x", app__db__=""), r"^app/db: is a key and a folder at the same time"),
        (entries(app__db__a__b="x", app__db__a="h"), r"^app/db/a: is a key and a folder at the same time"),
        (list(reversed(entries(app__db="x", app__db__host="h"))), r"^app/db: is a key and a folder at the same time"),
        (entries(app__db__="x"), r"^app/db/: is a folder that has a value of its own"),
        ([{"key": "app/a", "value": b"\xff\x00"}], r"^the value of app/a is not UTF-8 text$"),
    ],
)
def test_what_a_mapping_can_not_hold(found, message):
    with pytest.raises(errors.InvalidValueError, match=message):
        keys.nested(found, "app/")


def test_mappings_that_are_no_folders():
    endless = {}
    endless["again"] = endless
    for wrong in (None, [], {"": "1"}, {7: "1"}, {"a": 1}, {"a": None}, {"..": "1"}, {"a": {"b\n": "1"}}, endless):
        with pytest.raises(errors.InvalidValueError):
            keys.flat(wrong)


def test_a_mapping_is_written_in_one_transaction(kv, reply):
    store, agent = kv(lambda _received: reply(json.dumps({"Results": [{"KV": item(key)} for key in ("app/a/c", "app/b")], "Errors": None})))
    assert store.set_mapping("app", {"b": b"2", "a": {"c": "1"}}) == 2
    assert [(one["KV"]["Verb"], one["KV"]["Key"]) for one in json.loads(agent.requests[0].body)] == [("set", "app/a/c"), ("set", "app/b")]


def answering(reply, *answers):
    """Answers in turn: the results of a transaction, or the reasons of its operations' refusals."""
    left = list(answers)

    def answer(_received):
        given = left.pop(0)
        if isinstance(given, dict):
            errors = [{"OpIndex": place, "What": reason} for place, reason in given.items()]
            return reply(json.dumps({"Results": None, "Errors": errors}), 409)
        return reply(json.dumps({"Results": [{"KV": one} for one in given], "Errors": None}))

    return answer


def verbs(agent):
    return [[(one["KV"]["Verb"], one["KV"]["Key"]) for one in json.loads(received.body)] for received in agent.requests]


NONE = {"Flags": 0, "CreateIndex": 0, "ModifyIndex": 0, "LockIndex": 0}


def test_many_keys_by_one_request(kv, reply):
    store, agent = kv(answering(reply, [item("a"), {**NONE, "Key": "b", "Value": None}]), datacenter="dc2")
    found = store.get_many(["a", "b", "a"], consistency="stale")
    assert found["a"]["value"] == b"v"
    assert found["b"] is None
    assert verbs(agent) == [[("get-or-empty", "a"), ("get-or-empty", "b")]]
    assert agent.requests[0].target == "/v1/txn?dc=dc2&stale=1"


def test_one_of_many_is_read_as_it_is_alone(kv, reply):
    store, agent = kv(reply(json.dumps([item("a")])))
    assert store.get_many(["a"])["a"]["value"] == b"v"
    assert agent.requests[0].target == "/v1/kv/a"


@pytest.mark.parametrize("reason", ['unknown KV verb "get-or-empty"', "Permission denied"])
def test_many_keys_of_an_old_consul(kv, reply, reason):
    store, agent = kv(answering(reply, {0: reason, 1: reason}, {1: 'key "b" doesn\'t exist'}, [item("a"), item("c")]))
    found = store.get_many(["a", "b", "c"])
    assert (found["a"]["key"], found["b"], found["c"]["key"]) == ("a", None, "c")
    assert verbs(agent)[1:] == [[("get", "a"), ("get", "b"), ("get", "c")], [("get", "a"), ("get", "c")]]


def test_what_an_old_consul_refuses_for_another_reason_is_no_missing_key(kv, reply):
    store, _agent = kv(answering(reply, {0: "x"}, {0: 'key "a" doesn\'t exist', 1: "out of order"}))
    with pytest.raises(errors.BadRequestError, match="out of order"):
        store.get_many(["a", "b"])


def test_keys_that_consul_leaves_out_may_not_be_read(kv, reply):
    store, _agent = kv(answering(reply, [item("a"), item("c")]))
    with pytest.raises(errors.PermissionDeniedError, match=r"Consul left out b; nothing was done\. The token needs key:read for b"):
        store.get_many(["a", "b", "c"])


def test_a_key_that_is_left_out_is_not_taken_from_a_tree(kv, reply):
    store, _agent = kv(answering(reply, [item("t/1"), item("t/2")]))
    with pytest.raises(errors.PermissionDeniedError, match="key:read for b"):
        store.transaction([Operation.get("b"), Operation.get_tree("t/")])


def test_an_answer_for_another_key_is_none(kv, reply):
    store, _agent = kv(answering(reply, [item("b"), item("a")]))
    with pytest.raises(errors.BadAnswerError):
        store.get_many(["a", "b"])


def test_the_permissions_that_a_transaction_lacks_are_named(kv, reply):
    store, _agent = kv(answering(reply, {0: "Permission denied", 1: "Permission denied"}))
    with pytest.raises(errors.PermissionDeniedError, match="The token needs key:write for a, key:read for b"):
        store.transaction([Operation.set("a", ""), Operation.check_not_exists("b")])

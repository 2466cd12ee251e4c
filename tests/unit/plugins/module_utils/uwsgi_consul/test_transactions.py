# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Operations, how they are packed into requests, and what becomes of answers and failures."""

from __future__ import annotations

import base64
import json

import consul
import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Client, errors, transactions
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transactions import Operation, TransactionError

SESSION = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"


def result(key, value=None, index=2):
    return {"KV": {"Key": key, "Value": value, "Flags": 0, "CreateIndex": index, "ModifyIndex": index, "LockIndex": 0}}


def accepted(received):
    """The results of an agent that takes everything, for operations that write."""
    asked = [one["KV"] for one in json.loads(received.body)]
    return {"Results": [result(one["Key"]) for one in asked if one["Verb"] != "delete"], "Errors": None}


@pytest.fixture
def store(fake_agent, reply):
    """Makes a `KV` of an agent that answers transactions by a function's mapping, or bytes; and that agent."""

    def make(answer):
        def given(received):
            said = answer(received)
            return said if said is None or isinstance(said, bytes) else reply(json.dumps(said), 409 if said.get("Errors") else 200)

        agent = fake_agent(given)
        return KV(Api(agents=[agent.address])), agent

    return make


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        (Operation.set("é", "ü", flags=3), {"Verb": "set", "Key": "é", "Value": "w7w=", "Flags": 3}),
        (Operation.cas("a", b"", 0), {"Verb": "cas", "Key": "a", "Value": "", "Flags": 0, "Index": 0}),
        (Operation.lock("a", "v", SESSION), {"Verb": "lock", "Key": "a", "Value": "dg==", "Flags": 0, "Session": SESSION}),
        (Operation.unlock("a", "v", SESSION), {"Verb": "unlock", "Key": "a", "Value": "dg==", "Flags": 0, "Session": SESSION}),
        (Operation.get("a"), {"Verb": "get", "Key": "a"}),
        (Operation.get_or_empty("a"), {"Verb": "get-or-empty", "Key": "a"}),
        (Operation.get_tree("a/"), {"Verb": "get-tree", "Key": "a/"}),
        (Operation.check_index("a", 7), {"Verb": "check-index", "Key": "a", "Index": 7}),
        (Operation.check_session("a", SESSION), {"Verb": "check-session", "Key": "a", "Session": SESSION}),
        (Operation.check_not_exists("a"), {"Verb": "check-not-exists", "Key": "a"}),
        (Operation.delete("a"), {"Verb": "delete", "Key": "a"}),
        (Operation.delete_tree("a/"), {"Verb": "delete-tree", "Key": "a/"}),
        (Operation.delete_cas("a", 7), {"Verb": "delete-cas", "Key": "a", "Index": 7}),
    ],
)
def test_what_is_sent_for_each_verb(operation, sent):
    assert json.loads(operation.encoded()) == {"KV": sent}
    fields = {name: value for name, value in vars(operation).items() if value is not None}
    assert Operation.of(fields) == operation == Operation.of(operation)


def test_every_verb_has_a_method():
    assert all(callable(getattr(Operation, verb.replace("-", "_"))) for verb in transactions.VERBS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "None is neither an Operation nor a mapping"),
        ("set a", "is neither an Operation nor a mapping"),
        ({"verb": "set", "value": "v"}, "lacks verb or key"),
        ({"verb": "set", "key": "a", "value": "v", "colour": 1}, "has 'colour'"),
        ({"verb": "get", "key": "a", 7: 1}, "has 7"),
        ({"verb": "put", "key": "a"}, "verb: 'put' is none of set, cas"),
        ({"verb": ["set"], "key": "a"}, "verb: "),
        ({"verb": "get", "key": ""}, "key: '' is no key"),
        ({"verb": "delete-tree", "key": ""}, "key: '' is no key"),
        ({"verb": "set", "key": "a"}, "value: is missing, set of 'a' needs it"),
        ({"verb": "cas", "key": "a", "value": "v"}, "index: is missing"),
        ({"verb": "get", "key": "a", "value": "v"}, "value: is of no use for get of 'a'"),
        ({"verb": "set", "key": "a", "value": 7}, "value of 'a': is neither text nor bytes but of type int"),
        ({"verb": "set", "key": "a", "value": b"x" * 524289}, "value of 'a': has 524289 bytes"),
        ({"verb": "set", "key": "a", "value": b"x" * 400000}, "the value of 'a' is too large for a transaction"),
        ({"verb": "set", "key": "a", "value": "v", "flags": -1}, "flags: "),
        ({"verb": "check-index", "key": "a", "index": 0}, "index: 0 is no whole number from 1"),
        ({"verb": "lock", "key": "a", "value": "v", "session": "me"}, "session: 'me' is no id"),
    ],
)
def test_an_operation_that_can_not_be_right_is_named_before_anything_is_sent(store, given, message):
    kv, agent = store(accepted)
    with pytest.raises(errors.InvalidValueError) as refused:
        kv.transaction([Operation.get("fine"), given], split=True)
    assert message in str(refused.value)
    assert str(refused.value).startswith("operation 1: ")
    assert not agent.requests


@pytest.mark.parametrize("operations", [None, 7, "get a", {"verb": "get", "key": "a"}])
def test_what_is_no_list(store, operations):
    with pytest.raises(errors.InvalidValueError, match=r"^operations: .* is no list of operations$"):
        store(accepted)[0].transaction(operations)


def test_values_are_not_shown():
    assert "sesame" not in repr(Operation.set("a", "sesame")) + repr(transactions.requests([Operation.set("a", "sesame")], False))


def test_none_is_none(store):
    kv, agent = store(accepted)
    assert kv.transaction([]) == []
    assert not agent.requests


# ---- packing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([Operation.delete(f"a{number}") for number in range(65)], "65 are more than the 64 of a transaction"),
        ([Operation.set(f"a{number}", b"x" * 100000) for number in range(4)], "they need more than the 524288 bytes"),
        ([Operation.get_tree("a/"), Operation.get_tree("b/")], "more than one get-tree"),
    ],
)
def test_too_much_for_one_transaction_is_refused_unless_told_to_split(operations, message):
    with pytest.raises(errors.InvalidValueError, match=message) as refused:
        transactions.requests(operations, False)
    assert "split=True" in refused.value.advice
    assert len(transactions.requests(operations, True)) == 2


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 129, 1000])
def test_packed_by_count(count):
    packed = transactions.requests((Operation.delete(f"a{number}") for number in range(count)), True)
    assert [request.first for request in packed] == list(range(0, count, 64))
    assert [json.loads(request.body)[0]["KV"]["Key"] for request in packed] == [f"a{first}" for first in range(0, count, 64)]
    assert sum(len(json.loads(request.body)) for request in packed) == count


def test_packed_by_size_to_the_last_byte():
    alone = Operation.set("key", b"").encoded()
    room = transactions.LARGEST_REQUEST - 2 - len(alone)
    fits = Operation.set("key", b"x" * (room // 4 * 3))
    [request] = transactions.requests([fits], False)
    rest = transactions.LARGEST_REQUEST - len(request.body)
    assert 0 <= rest < 4
    smaller = Operation.set("key", b"x" * (room // 4 * 3 - 90))
    left = transactions.LARGEST_REQUEST - len(transactions.requests([smaller], False)[0].body) - 1
    empty = len(Operation.delete("k").encoded()) - 1
    filler = Operation.delete("k" * (left - empty))
    [request] = transactions.requests([smaller, filler], False)
    assert len(request.body) == transactions.LARGEST_REQUEST
    assert len(transactions.requests([smaller, Operation.delete("k" * (left - empty + 1))], True)) == 2


def test_every_request_is_within_the_limits_and_the_order_stays():
    operations = [Operation.set(f"a{number}", b"x" * (number * 977 % 90000)) for number in range(300)]
    packed = transactions.requests(operations, True)
    assert [operation for request in packed for operation in request.operations] == operations
    for position, request in enumerate(packed[:-1]):
        following = packed[position + 1]
        assert len(request.body) <= transactions.LARGEST_REQUEST
        # Packed well: the first of the next one would not have fitted.
        full = len(request.operations) == transactions.MOST_OPERATIONS
        assert full or len(request.body) + 1 + len(following.operations[0].encoded()) > transactions.LARGEST_REQUEST


# ---- results --------------------------------------------------------------------------------------------------------------


def test_each_operation_has_its_result(store):
    value = base64.b64encode(b"v").decode()
    answer = [result("a"), result("t/1", value), result("t/2", value), result("b", value), result("none", None, 0), result("c")]
    kv, agent = store(lambda _received: {"Results": answer, "Errors": None})
    written, tree, nothing, read, missing, deleted, checked = kv.transaction(
        [
            Operation.set("a", "v"),
            Operation.get_tree("t/"),
            Operation.check_not_exists("nix"),
            Operation.get("b"),
            Operation.get_or_empty("none"),
            Operation.delete("d"),
            Operation.check_index("c", 2),
        ]
    )
    assert [entry["key"] for entry in tree] == ["t/1", "t/2"]
    assert (read["key"], read["value"]) == ("b", b"v")
    assert (written["key"], "value" in written) == ("a", False)
    assert (checked["key"], "value" in checked) == ("c", False)
    assert nothing is missing is deleted is None
    assert [(received.method, received.target) for received in agent.requests] == [("PUT", "/v1/txn")]


@pytest.mark.parametrize("results", [None, [], [result("a")] * 3, [{"Node": {}}], [{"KV": {"Key": "a"}}], 7])
def test_an_answer_of_another_shape(store, results):
    kv, _agent = store(lambda _received: {"Results": results, "Errors": None})
    with pytest.raises(errors.BadAnswerError) as bad:
        kv.transaction([Operation.set("a", "1"), Operation.set("b", "2")])
    assert isinstance(bad.value, TransactionError)
    assert (bad.value.done, bad.value.unknown) == (0, 2)


# ---- failures -------------------------------------------------------------------------------------------------------------


def refusal(*failures):
    return {"Results": None, "Errors": [{"OpIndex": index, "What": reason} for index, reason in failures]}


def test_a_refused_transaction_names_its_operations(store):
    kv, _agent = store(lambda _received: refusal((0, "index is stale"), (1, 'key "b" exists')))
    with pytest.raises(errors.BadRequestError) as refused:
        kv.transaction([Operation.cas("a", "1", 3), Operation.check_not_exists("b")])
    error = refused.value
    assert isinstance(error, TransactionError)
    assert [vars(failure) for failure in error.failures] == [
        {"index": 0, "verb": "cas", "key": "a", "reason": "index is stale"},
        {"index": 1, "verb": "check-not-exists", "key": "b", "reason": 'key "b" exists'},
    ]
    assert (error.done, error.unknown, error.results, error.status) == (0, 0, (), 409)
    assert "operation 0 (cas a): index is stale" in str(error)
    assert "nothing was done" in str(error)


def test_a_token_without_the_permission(store):
    kv, _agent = store(lambda _received: refusal((0, "Permission denied: token lacks permission 'key:write' on \"a\"")))
    with pytest.raises(errors.PermissionDeniedError, match="key:write") as denied:
        kv.transaction([Operation.set("a", "1")])
    assert isinstance(denied.value, TransactionError)


def test_what_was_done_before_one_of_several_transactions_was_refused(store):
    kv, agent = store(lambda received: refusal((1, "no")) if b'"a129"' in received.body else accepted(received))
    with pytest.raises(TransactionError) as refused:
        kv.transaction([Operation.set(f"a{number}", "v") for number in range(200)], split=True)
    error = refused.value
    assert [(failure.index, failure.key) for failure in error.failures] == [(129, "a129")]
    assert (error.done, error.unknown) == (128, 0)
    assert [entry["key"] for entry in error.results] == [f"a{number}" for number in range(128)]
    assert "the first 128 of 200 operations were done, the others not" in str(error)
    # It is the last one.
    assert len(agent.requests) == 3


def test_what_may_have_been_done_when_an_answer_got_lost(store):
    kv, agent = store(lambda received: None if b'"a64"' in received.body else accepted(received))
    with pytest.raises(errors.NoAgentError) as lost:
        kv.transaction([Operation.set(f"a{number}", "v") for number in range(200)], split=True)
    error = lost.value
    assert isinstance(error, TransactionError)
    assert (error.done, error.unknown, error.failures, len(error.results)) == (64, 64, (), 64)
    assert "that was operation 64 to 127 of 200" in str(error)
    assert type(error.__cause__) is errors.NoAgentError
    assert len(agent.requests) == 2


@pytest.mark.parametrize(
    ("status", "text", "kind", "unknown"),
    [
        (500, "rpc error making call: EOF", errors.ServerError, 1),
        (500, "No cluster leader", errors.ServerError, 0),
        (429, "rate limit", errors.ServerError, 0),
        (403, "ACL not found", errors.PermissionDeniedError, 0),
        (413, "too large", errors.BadRequestError, 0),
    ],
)
def test_other_errors_keep_their_class(fake_agent, reply, status, text, kind, unknown):
    kv = KV(Api(agents=[fake_agent(reply(text, status)).address]))
    with pytest.raises(kind) as failed:
        kv.transaction([Operation.set("a", "1")])
    assert isinstance(failed.value, TransactionError)
    assert (failed.value.done, failed.value.unknown, failed.value.status) == (0, unknown, status)


def test_an_agent_that_can_not_be_reached_did_nothing(refusing):
    with pytest.raises(errors.NoAgentError) as failed:
        KV(Api(agents=[refusing])).transaction([Operation.set("a", "1")])
    assert (failed.value.done, failed.value.unknown) == (0, 0)


def test_through_a_client_it_is_the_librarys_error_as_well(refusing, fake_agent, reply):
    with pytest.raises(consul.ConsulException) as failed:
        KV(Client(agents=[refusing])).transaction([Operation.set("a", "1")])
    assert isinstance(failed.value, TransactionError)
    assert isinstance(failed.value, errors.NoAgentError)
    with pytest.raises(consul.ACLPermissionDenied) as denied:
        KV(Client(agents=[fake_agent(reply("no", 403)).address])).transaction([Operation.set("a", "1")])
    assert isinstance(denied.value, TransactionError)
    assert denied.value.status == 403


def test_only_what_reads_is_asked_of_another_agent(store):
    silent = store(lambda _received: None)[1]
    other = store(lambda _received: {"Results": [result("a", "dg==")], "Errors": None})[1]
    agents = [silent.address, other.address]
    assert KV(Api(agents=agents)).transaction([Operation.get("a")])[0]["value"] == b"v"
    with pytest.raises(errors.NoAgentError):
        KV(Api(agents=agents)).transaction([Operation.get("a"), Operation.set("a", "v")])
    assert (len(silent.requests), len(other.requests)) == (2, 1)

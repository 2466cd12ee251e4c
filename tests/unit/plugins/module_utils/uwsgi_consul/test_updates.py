# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`KV.update` with an agent whose answers get lost, come late or tell of trouble."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConflictError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.updates import OutcomeUnknownError


class Store:
    """Keys as Consul holds them, and for the writes to come what happens to each: functions of the store, or `None`."""

    def __init__(self, fake_agent, reply):
        self.keys, self.index, self.plan, self.reads = {}, 10, [], 0
        self.late = []
        self._reply = reply
        self.agent = fake_agent(self.answer)
        self.kv = KV(Api(agents=[self.agent.address], timeout=5))

    def put(self, key, value, flags=0):
        self.index += 1
        self.keys[key] = (value, flags, self.index)

    def value(self, key):
        return self.keys[key][0] if key in self.keys else None

    @property
    def writes(self):
        return [received for received in self.agent.requests if received.method == "PUT"]

    def answer(self, received):
        parts = urlsplit(received.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        key = unquote(parts.path[len("/v1/kv/") :])
        if received.method == "GET":
            self.reads += 1
            return self._read(key)
        if received.method == "DELETE":
            self.keys.pop(key, None)
            return self._reply("true")
        write = self._transaction(json.loads(received.body)) if parts.path == "/v1/txn" else self._cas(key, query, received.body)
        happens = self.plan.pop(0) if self.plan else None
        return happens(self, write) if happens else write()

    def _read(self, key):
        if key not in self.keys:
            return self._reply("", 404)
        value, flags, index = self.keys[key]
        found = {"Key": key, "Value": base64.b64encode(value).decode(), "Flags": flags, "LockIndex": 0, "CreateIndex": 1}
        return self._reply(json.dumps([{**found, "ModifyIndex": index}]))

    def _cas(self, key, query, body):
        def write():
            if int(query["cas"]) != (self.keys[key][2] if key in self.keys else 0):
                return self._reply("false")
            self.put(key, body, int(query.get("flags", 0)))
            return self._reply("true")

        return write

    def _transaction(self, operations):
        def write():
            check, cas, receipt = (one["KV"] for one in operations)
            assert (check["Verb"], cas["Verb"], receipt["Verb"]) == ("check-not-exists", "cas", "set")
            refused = []
            if check["Key"] in self.keys:
                refused.append({"OpIndex": 0, "What": "exists"})
            if cas["Index"] != (self.keys[cas["Key"]][2] if cas["Key"] in self.keys else 0):
                refused.append({"OpIndex": 1, "What": "index is stale"})
            if refused:
                return self._reply(json.dumps({"Results": None, "Errors": refused}), 409)
            self.put(cas["Key"], base64.b64decode(cas["Value"]), cas["Flags"])
            self.put(receipt["Key"], base64.b64decode(receipt["Value"]))
            entry = {"Value": None, "Flags": 0, "LockIndex": 0, "CreateIndex": 1, "ModifyIndex": self.index}
            return self._reply(json.dumps({"Results": [{"KV": {**entry, "Key": key["Key"]}} for key in (cas, receipt)], "Errors": None}))

        return write


# What may happen to a write.


def done_but_lost(_store, write):
    write()


def not_done_and_lost(_store, _write):
    return None


def on_its_way(store, write):
    """The answer gets lost while the write is still on its way: the test lets it arrive."""
    store.late.append(write)


def forestalled(value):
    def happens(store, write):
        store.put("n", value)
        return write()

    return happens


def lost_and_then_changed(done, value):
    def happens(store, write):
        if done:
            write()
        if value is None:
            store.keys.pop("n", None)
        else:
            store.put("n", value)

    return happens


def trouble(status, text, done=False):
    def happens(store, write):
        if done:
            write()
        return store._reply(text, status)

    return happens


@pytest.fixture
def store(fake_agent, reply):
    return Store(fake_agent, reply)


class Increment:
    """A function that is no use to repeat: what it makes differs from what it gets."""

    def __init__(self):
        self.got = []

    def __call__(self, value):
        self.got.append(value)
        return str(int(value or 0) + 1)


@pytest.fixture(params=[None, "receipts"], ids=["alone", "receipts"])
def receipts(request):
    return request.param


def test_an_update(store, receipts):
    store.put("n", b"5", flags=7)
    assert store.kv.update("n", Increment(), receipts=receipts) == b"6"
    assert store.keys["n"][:2] == (b"6", 7)
    assert list(store.keys) == ["n"]
    assert store.kv.update("n", Increment(), flags=0, receipts=receipts) == b"7"
    assert store.keys["n"][:2] == (b"7", 0)


def test_a_key_that_is_not_there_is_created(store, receipts):
    function = Increment()
    assert store.kv.update("n", function, receipts=receipts) == b"1"
    assert (function.got, store.value("n")) == ([None], b"1")


def test_a_function_that_leaves_the_key_as_it_is(store, receipts):
    assert store.kv.update("n", lambda value: None, receipts=receipts) is None
    store.put("n", b"5")
    assert store.kv.update("n", lambda value: None, receipts=receipts) == b"5"
    assert not store.writes


def test_what_the_function_raises_comes_out(store, receipts):
    with pytest.raises(ZeroDivisionError):
        store.kv.update("n", lambda value: 1 / 0, receipts=receipts)
    with pytest.raises(errors.InvalidValueError, match=r"^what the function returned: is neither text nor bytes but of type int$"):
        store.kv.update("n", lambda value: 7, receipts=receipts)
    assert not store.writes


def test_others_who_are_faster(store, receipts):
    store.put("n", b"5")
    store.plan = [forestalled(b"10"), forestalled(b"20"), lambda store, write: (store.keys.pop("n"), write())[1]]
    function = Increment()
    assert store.kv.update("n", function, receipts=receipts) == b"1"
    assert function.got == [b"5", b"10", b"20", None]


def test_a_value_that_was_changed_and_changed_back_is_seen(store, receipts):
    store.put("n", b"5")
    store.plan = [lambda store, write: (store.put("n", b"6"), store.put("n", b"5"), write())[2]]
    function = Increment()
    assert store.kv.update("n", function, receipts=receipts) == b"6"
    assert function.got == [b"5", b"5"]


def test_others_who_are_faster_all_the_time(store, receipts):
    store.put("n", b"5")
    store.plan = [forestalled(b"10")] * 1000
    with pytest.raises(ConflictError, match=r"^n: was changed by others before each of \d+ writes in 0.3 s$"):
        store.kv.update("n", Increment(), timeout=0.3, receipts=receipts)
    assert store.value("n") == b"10"


# ---- lost answers ---------------------------------------------------------------------------------------------------------


def test_a_lost_write_that_was_not_done_is_done_once(store):
    store.put("n", b"5")
    store.plan = [not_done_and_lost, not_done_and_lost]
    function = Increment()
    assert store.kv.update("n", function) == b"6"
    # The same write again: the function is not asked for another value.
    assert function.got == [b"5"]
    assert [received.body for received in store.writes] == [b"6"] * 3
    assert store.value("n") == b"6"


def test_a_lost_write_that_arrives_late_is_done_once(store, receipts):
    store.put("n", b"5")
    store.plan = [on_its_way]
    assert store.kv.update("n", Increment(), receipts=receipts) == b"6"
    store.late[0]()
    assert store.value("n") == b"6"


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("value", [b"6", b"7", None])
def test_a_lost_write_after_which_the_key_was_changed_is_not_known(store, done, value):
    store.put("n", b"5")
    store.plan = [lost_and_then_changed(done, value)]
    with pytest.raises(OutcomeUnknownError, match="the key was changed since") as unknown:
        store.kv.update("n", Increment())
    assert isinstance(unknown.value, errors.NoAgentError)
    assert isinstance(unknown.value.__cause__, errors.NoAgentError)
    assert len(store.writes) == 1
    assert store.value("n") == value


@pytest.mark.parametrize("value", [b"6", b"70", None])
def test_with_a_receipt_it_is_known(store, value):
    for done in (True, False):
        store.keys.clear()
        store.put("n", b"5")
        store.plan = [lost_and_then_changed(done, value)]
        new = store.kv.update("n", Increment(), receipts="receipts/")
        if done:
            assert (new, store.value("n")) == (b"6", value)
        else:
            assert new == store.value("n") == str(int(value or 0) + 1).encode()
        assert set(store.keys) <= {"n"}


def test_a_lost_write_that_was_done_is_known_by_its_receipt(store):
    store.put("n", b"5")
    store.plan = [done_but_lost]
    function = Increment()
    assert store.kv.update("n", function, receipts="receipts") == b"6"
    assert function.got == [b"5"]
    assert list(store.keys) == ["n"]
    # The first write may be one that came through late, after another one was refused.
    store.plan = [on_its_way, lambda store, write: (store.late[0](), write())[1]]
    assert store.kv.update("n", function, receipts="receipts") == b"7"
    assert store.value("n") == b"7"
    assert list(store.keys) == ["n"]


def test_the_receipt_of_a_lost_creation_stays_for_it_may_arrive_whenever_the_key_is_deleted(store):
    store.plan = [on_its_way]
    assert store.kv.update("n", Increment(), receipts="receipts") == b"1"
    assert [key.split("/")[0] for key in store.keys] == ["n", "receipts"]
    del store.keys["n"]
    store.late[0]()
    assert store.value("n") is None


@pytest.mark.parametrize(
    ("status", "text", "may_be_done"),
    [(500, "rpc error making call: EOF", True), (503, "", True), (500, "No cluster leader", False), (429, "rate limit", False)],
)
def test_trouble_that_passes(store, status, text, may_be_done):
    store.put("n", b"5")
    store.plan = [trouble(status, text)]
    assert store.kv.update("n", Increment()) == b"6"
    store.plan = [lambda store, write: (store.put("n", b"9"), trouble(status, text)(store, write))[1]]
    if may_be_done:
        with pytest.raises(OutcomeUnknownError):
            store.kv.update("n", Increment())
    else:
        assert store.kv.update("n", Increment()) == b"10"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [(500, "No path to datacenter", errors.ServerError), (403, "Permission denied", errors.PermissionDeniedError)],
)
def test_trouble_that_stays_is_raised_at_once(store, receipts, status, text, kind):
    store.plan = [trouble(status, text)]
    with pytest.raises(kind):
        store.kv.update("n", Increment(), receipts=receipts)
    assert len(store.writes) == 1


def test_a_token_that_may_not_write_receipts(store, reply):
    denied = {"Results": None, "Errors": [{"OpIndex": 2, "What": "Permission denied: token lacks permission 'key:write'"}]}
    store.plan = [lambda _store, _write: reply(json.dumps(denied), 409)]
    with pytest.raises(errors.PermissionDeniedError, match="operation 2 "):
        store.kv.update("n", Increment(), receipts="receipts")


def test_the_time_is_bounded(refusing, silent, store, receipts):
    started = time.monotonic()
    with pytest.raises(errors.NoAgentError, match="refused"):
        KV(Api(agents=[refusing])).update("n", Increment(), timeout=0.4, receipts=receipts)
    with pytest.raises(errors.NoAgentError, match="no answer in time"):
        KV(Api(agents=[silent])).update("n", Increment(), timeout=0.4, receipts=receipts)
    store.put("n", b"5")
    store.plan = [not_done_and_lost] * 1000
    with pytest.raises(OutcomeUnknownError, match=r"did not become known in 0\.4 s"):
        store.kv.update("n", Increment(), timeout=0.4, receipts=receipts)
    assert time.monotonic() - started < 20

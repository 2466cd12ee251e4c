# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_kv` and `consul_kv_info` with a real Consul."""

from __future__ import annotations

import base64
import json
import urllib.error
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transport import Transport
from modules import run_module


@pytest.fixture
def entries(datacenters):
    """The entries below a prefix, by key, as Consul itself has them."""

    def read(prefix, datacenter="dc1"):
        try:
            found = datacenters.dc1.get(f"/v1/kv/{quote(prefix)}?recurse=1&dc={datacenter}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            found = []
        return {entry["Key"]: {**entry, "Value": base64.b64decode(entry["Value"] or "")} for entry in found}

    return read


@pytest.fixture
def values(entries):
    return lambda prefix, **options: {key: entry["Value"] for key, entry in entries(prefix, **options).items()}


@pytest.fixture
def requests(monkeypatch):
    """What was asked of Consul, as method and path; `act` is called before each request, to do what a stranger does."""

    class Asked(list):
        act = staticmethod(lambda _request: None)

    asked = Asked()
    send = Api.request

    def request(self, method, path, *arguments, **options):
        said = f"{method} {path}"
        asked.append(said)
        asked.act(said)
        return send(self, method, path, *arguments, **options)

    monkeypatch.setattr(Api, "request", request)
    return asked


@pytest.fixture
def session(datacenters):
    made = []

    def make():
        made.append(datacenters.dc1.put("/v1/session/create", {"LockDelay": "0s"})["ID"])
        return made[-1]

    yield make
    for one in made:
        datacenters.dc1.put(f"/v1/session/destroy/{one}")


@pytest.fixture
def token(datacenters):
    """Makes a token with these rules; gives its secret."""

    @contextmanager
    def make(rules):
        policy = datacenters.dc1.put("/v1/acl/policy", {"Name": "kv-module-test", "Rules": rules})
        made = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}], "Local": True})
        try:
            yield made["SecretID"]
        finally:
            datacenters.dc1.request("DELETE", f"/v1/acl/token/{made['AccessorID']}")
            datacenters.dc1.request("DELETE", f"/v1/acl/policy/{policy['ID']}")

    return make


def test_one_key(ensure, keeps, values):
    made = ensure("consul_kv", key="kvm-one/colour", value="blue")
    assert (made["written"], made["deleted"], made["diff"]["after"]) == (["kvm-one/colour"], [], {"kvm-one/colour": "blue"})
    assert values("kvm-one/") == {"kvm-one/colour": b"blue"}
    assert keeps("consul_kv", key="kvm-one/colour", value="blue")["indexes"] == made["indexes"]
    ensure("consul_kv", key="kvm-one/colour", value="green")
    gone = ensure("consul_kv", key="kvm-one/colour", state="absent")
    assert (gone["written"], gone["deleted"], gone["indexes"]) == ([], ["kvm-one/colour"], {})
    assert values("kvm-one/") == {}


def test_an_empty_value_is_a_value(ensure, keeps, values):
    ensure("consul_kv", key="kvm-empty", value="")
    assert values("kvm-empty") == {"kvm-empty": b""}
    assert keeps("consul_kv_info", keys=["kvm-empty"])["entries"][0]["value"] == ""
    ensure("consul_kv", key="kvm-empty", value="x")
    ensure("consul_kv", key="kvm-empty", value="")


def test_flags_alone_are_a_change_and_stay_where_none_are_given(ensure, keeps, entries):
    ensure("consul_kv", key="kvm-flags", value="a", flags=7)
    ensure("consul_kv", key="kvm-flags", value="b")
    assert entries("kvm-flags")["kvm-flags"]["Flags"] == 7
    done = ensure("consul_kv", key="kvm-flags", value="b", flags=2**64 - 1)
    assert done["diff"]["before"] == {"kvm-flags": {"value": "b", "flags": 7}}
    ensure("consul_kv", key="kvm-flags", value="b", flags=0)
    keeps("consul_kv", key="kvm-flags", value="b")


def test_another_datacenter_is_compared_by_itself(ensure, keeps, values):
    ensure("consul_kv", key="kvm-where", value="here")
    ensure("consul_kv", key="kvm-where", value="here", datacenter="dc2")
    ensure("consul_kv", key="kvm-where", value="there", datacenter="dc2")
    keeps("consul_kv", key="kvm-where", value="here")
    assert values("kvm-where") == {"kvm-where": b"here"}
    assert values("kvm-where", datacenter="dc2") == {"kvm-where": b"there"}
    assert keeps("consul_kv_info", keys=["kvm-where"], datacenter="dc2")["entries"][0]["value"] == "there"


def test_what_yaml_takes_for_something_else_is_stored_as_json(ensure, keeps, values):
    given = {"on": True, "port": 8080, "part": 0.5, "list": ["a", 1], "dict": {"ä": None}, "text": "True", "date": "2016-05-09"}
    ensure("consul_kv", prefix="kvm-yaml", values=given)
    assert values("kvm-yaml/") == {
        "kvm-yaml/on": b"true",
        "kvm-yaml/port": b"8080",
        "kvm-yaml/part": b"0.5",
        "kvm-yaml/list": b'["a",1]',
        "kvm-yaml/dict": '{"ä":null}'.encode(),
        "kvm-yaml/text": b"True",
        "kvm-yaml/date": b"2016-05-09",
    }
    keeps("consul_kv", key="kvm-yaml/on", value="true")


def test_bytes_in_base64(ensure, keeps, values, fails):
    ensure("consul_kv", key="kvm-bytes", value=base64.b64encode(b"\xff\x00" * 60).decode(), encoding="base64")
    assert values("kvm-bytes") == {"kvm-bytes": b"\xff\x00" * 60}
    # As the command base64 prints it, in lines.
    keeps("consul_kv", key="kvm-bytes", value=base64.encodebytes(b"\xff\x00" * 60).decode(), encoding="base64")
    read = keeps("consul_kv_info", keys=["kvm-bytes"], encoding="base64")["entries"][0]["value"]
    assert base64.b64decode(read) == b"\xff\x00" * 60
    assert "kvm-bytes is not UTF-8 text. Read it with encoding=base64" in fails("consul_kv_info", keys=["kvm-bytes"])
    # A text that looks like what a diff shows of bytes is another value.
    ensure("consul_kv", key="kvm-bytes", value='{"base64":"/wA="}')


@pytest.mark.parametrize("key", ["a b/ü€ ?&#%+", "kvm-odd/100%/a,b;c=d", "kvm-odd/[x]{y}|\\^`\"'<>", "kvm-odd/folder/"])
def test_odd_keys(ensure, keeps, key):
    ensure("consul_kv", key=key, value="odd")
    assert keeps("consul_kv_info", keys=[key])["entries"][0]["key"] == key
    ensure("consul_kv", keys=[key], state="absent")


def test_a_tree_and_what_is_purged(ensure, keeps, values, datacenters):
    tree = {"colour": "blue", "debug": False, "db": {"host": "db1", "port": 5432}, "empty": {}}
    datacenters.dc1.put("/v1/kv/kvm-trees/neighbour", b"stays")
    ensure("consul_kv", prefix="kvm-tree", tree=tree)
    wanted = {
        "kvm-tree/colour": b"blue",
        "kvm-tree/debug": b"false",
        "kvm-tree/db/host": b"db1",
        "kvm-tree/db/port": b"5432",
        "kvm-tree/empty/": b"",
    }
    assert values("kvm-tree/") == wanted
    read = keeps("consul_kv_info", tree="kvm-tree")["tree"]
    assert read == {"colour": "blue", "debug": "false", "db": {"host": "db1", "port": "5432"}, "empty": {}}
    keeps("consul_kv", prefix="kvm-tree", tree=read, purge=True)
    datacenters.dc1.put("/v1/kv/kvm-tree/db/old", b"1")
    keeps("consul_kv", prefix="kvm-tree/", tree=tree)
    purged = ensure("consul_kv", prefix="kvm-tree/", tree=tree | {"colour": "red"}, purge=True)
    assert (purged["written"], purged["deleted"]) == (["kvm-tree/colour"], ["kvm-tree/db/old"])
    assert values("kvm-tree/") == wanted | {"kvm-tree/colour": b"red"}
    assert ensure("consul_kv", prefix="kvm-tree", purge=True, state="absent")["deleted"] == sorted(wanted)
    assert values("kvm-tree") == {"kvm-trees/neighbour": b"stays"}


@pytest.mark.parametrize("content", ['{"a": {"b": 1}, "8080": "x"}', "a:\n  b: 1\n8080: x\n"])
def test_a_file(ensure, values, tmp_path, content):
    (tmp_path / "settings").write_text(content)
    ensure("consul_kv", prefix="kvm-file", file=str(tmp_path / "settings"), purge=True)
    assert values("kvm-file/") == {"kvm-file/a/b": b"1", "kvm-file/8080": b"x"}
    ensure("consul_kv", prefix="kvm-file", purge=True, state="absent")


def test_each_key_with_its_own_terms(ensure, keeps, entries):
    given = [
        {"key": "text", "value": 17, "flags": 42},
        {"key": "bytes", "value": "/w==", "encoding": "base64", "cas": 0},
        {"key": "none", "value": "", "flags": 0},
    ]
    ensure("consul_kv", prefix="kvm-terms", entries=given, flags=3)
    found = entries("kvm-terms/")
    assert [(found[f"kvm-terms/{name}"]["Value"], found[f"kvm-terms/{name}"]["Flags"]) for name in ("text", "bytes", "none")] == [
        (b"17", 42),
        (b"\xff", 3),
        (b"", 0),
    ]
    keeps("consul_kv", prefix="kvm-terms", entries=given)


def test_a_thousand_keys_by_few_requests(module, keeps, values, requests):
    given = {f"{number:04}": f"value {number}" for number in range(1000)}
    terms = {"prefix": "kvm-many", "values": given}
    made = module("consul_kv", **terms)
    assert made["changed"]
    assert len(made["indexes"]) == len(made["written"]) == 1000
    assert requests == ["GET /v1/kv/kvm-many/"] + ["PUT /v1/txn"] * 16
    requests.clear()
    assert not module("consul_kv", **terms)["changed"]
    assert requests == ["GET /v1/kv/kvm-many/"]
    requests.clear()
    # Without a prefix there is no folder to read, so the keys are.
    whole = {f"kvm-many/{name}": value for name, value in given.items()}
    assert not module("consul_kv", values=whole)["changed"]
    assert requests == ["PUT /v1/txn"] * 16
    requests.clear()
    changed = module("consul_kv", **terms | {"values": given | {"0000": "new", "0999": "new"}})
    assert changed["written"] == ["kvm-many/0000", "kvm-many/0999"]
    assert len(requests) == 2
    requests.clear()
    assert len(module("consul_kv", prefix="kvm-many", purge=True, state="absent")["deleted"]) == 1000
    assert len(requests) == 17
    assert values("kvm-many/") == {}


def test_a_few_keys_of_a_folder_do_not_read_all_of_it(module, requests):
    module("consul_kv", prefix="kvm-few", values={"a": "1", "b": "2"})
    assert requests == ["PUT /v1/txn", "PUT /v1/txn"]


def test_large_values(ensure, fails, values, module):
    large = "x" * (512 * 1024)
    done = ensure("consul_kv", values={"kvm-large/a": large, "kvm-large/b": "small"})
    assert (sorted(done["written"]), list(done["indexes"])) == (["kvm-large/a", "kvm-large/b"], ["kvm-large/b"])
    assert done["diff"]["after"]["kvm-large/a"]["bytes"] == 512 * 1024
    assert values("kvm-large/a") == {"kvm-large/a": large.encode()}
    assert "value of 'kvm-large/c': has 524289 bytes, and Consul stores 524288 at most" in fails(
        "consul_kv", values={"kvm-large/b": "new", "kvm-large/c": large + "x"}
    )
    # Too much for one transaction together, though not one by one.
    ensure("consul_kv", values={f"kvm-large/{number}": str(number) * 300_000 for number in range(3)})
    ensure("consul_kv", values={"kvm-large/a": large[1:], "kvm-large/b": "small"})
    # Bound to what was read, as all others.
    assert len(module("consul_kv", prefix="kvm-large", purge=True, state="absent")["deleted"]) == 5


def test_all_together_or_not_at_all(ensure, fails, values):
    many = {f"kvm-atomic/{number}": "x" for number in range(65)}
    message = fails("consul_kv", values=many, atomic=True)
    assert "65 changes can't be done together or not at all: operations: 65 are more than the 64 of a transaction" in message
    assert "too large for a transaction" in fails("consul_kv", key="kvm-atomic/large", value="x" * 400_000, atomic=True)
    assert values("kvm-atomic/") == {}
    ensure("consul_kv", values=dict(list(many.items())[:64]), atomic=True)
    # Only changes count.
    ensure("consul_kv", values=many, atomic=True)


def test_cas(ensure, keeps, fails, values, datacenters):
    index = ensure("consul_kv", key="kvm-cas", value="a", cas=0)["indexes"]["kvm-cas"]
    assert f"kvm-cas: has index {index}, and cas wants that there is no such key" in fails("consul_kv", key="kvm-cas", value="b", cas=0)
    message = fails("consul_kv", key="kvm-cas", value="b", cas=index + 1)
    assert f"kvm-cas: has index {index}, and cas wants index {index + 1}" in message
    assert f"has index {index}" in fails("consul_kv", key="kvm-cas", state="absent", cas=index + 1)
    assert values("kvm-cas") == {"kvm-cas": b"a"}
    index = ensure("consul_kv", key="kvm-cas", value="b", cas=index)["indexes"]["kvm-cas"]
    ensure("consul_kv", entries=[{"key": "kvm-cas", "cas": index}], state="absent")
    assert "does not exist, and cas wants index 7" in fails("consul_kv", key="kvm-cas", value="b", cas=7)


def test_keys_that_exist_are_left_where_told(ensure, values):
    ensure("consul_kv", key="kvm-seed/a", value="mine")
    done = ensure("consul_kv", prefix="kvm-seed", values={"a": "default", "b": "default"}, overwrite=False)
    assert done["written"] == ["kvm-seed/b"]
    assert values("kvm-seed/") == {"kvm-seed/a": b"mine", "kvm-seed/b": b"default"}


def test_locks_with_an_unchanged_value_and_without_one(ensure, keeps, fails, entries, session):
    mine, other = session(), session()
    ensure("consul_kv", key="kvm-lock", value="precious", flags=5)
    ensure("consul_kv", key="kvm-lock", value="precious", state="acquire", session=mine)
    held = entries("kvm-lock")["kvm-lock"]
    assert (held["Session"], held["Value"], held["Flags"]) == (mine, b"precious", 5)
    assert f"kvm-lock: is held by session {mine}" in fails("consul_kv", key="kvm-lock", state="acquire", session=other)
    # Not held by that session, so it is given back already; what can't be written is told.
    keeps("consul_kv", key="kvm-lock", state="release", session=other)
    assert "so the value was not written" in fails("consul_kv", key="kvm-lock", value="x", state="release", session=other)
    done = ensure("consul_kv", key="kvm-lock", state="release", session=mine)
    assert done["diff"]["after"] == {"kvm-lock": {"value": "precious", "flags": 5}}
    free = entries("kvm-lock")["kvm-lock"]
    assert (free.get("Session"), free["Value"], free["Flags"]) == (None, b"precious", 5)
    ensure("consul_kv", key="kvm-lock", state="acquire", session=other)
    ensure("consul_kv", key="kvm-lock", value="new", state="release", session=other)
    assert entries("kvm-lock")["kvm-lock"]["Value"] == b"new"


def test_several_locks_are_acquired_together_or_not_at_all(ensure, fails, entries, session):
    mine, other = session(), session()
    ensure("consul_kv", key="kvm-locks/b", state="acquire", session=other)
    assert "kvm-locks/b: is held by" in fails("consul_kv", keys=["kvm-locks/a", "kvm-locks/b"], state="acquire", session=mine)
    assert list(entries("kvm-locks/")) == ["kvm-locks/b"]
    ensure("consul_kv", key="kvm-locks/b", state="release", session=other)
    ensure("consul_kv", keys=["kvm-locks/a", "kvm-locks/b"], state="acquire", session=mine)
    assert {entry["Session"] for entry in entries("kvm-locks/").values()} == {mine}
    message = fails("consul_kv", keys=[f"kvm-locks/{number}" for number in range(33)], state="acquire", session=mine)
    assert "33 changes can't be done together" in message


def test_purge_leaves_locks(ensure, module, values, session):
    ensure("consul_kv", key="kvm-held/leader", state="acquire", session=session())
    ensure("consul_kv", key="kvm-held/old", value="x")
    result = module("consul_kv", prefix="kvm-held", purge=True, state="absent")
    assert result["deleted"] == ["kvm-held/old"]
    assert "purge left keys that a session holds" in str(result["warnings"])
    assert list(values("kvm-held/")) == ["kvm-held/leader"]


def test_what_others_write_meanwhile_is_seen(module, datacenters, values, requests):
    def stranger(request):
        if request == "PUT /v1/txn" and requests.count(request) == 1:
            datacenters.dc1.put("/v1/kv/kvm-race/a", b"stranger")

    requests.act = stranger
    done = module("consul_kv", prefix="kvm-race", tree={"a": "mine", "b": "mine"}, purge=True)
    assert done["diff"] == {
        "before": {"kvm-race/a": "stranger"},
        "after": {"kvm-race/a": "mine", "kvm-race/b": "mine"},
    }
    assert requests == ["GET /v1/kv/kvm-race/", "PUT /v1/txn"] * 2
    requests.clear()

    def stubborn(request):
        if request == "PUT /v1/txn":
            datacenters.dc1.put("/v1/kv/kvm-race/old", str(len(requests)).encode())

    datacenters.dc1.put("/v1/kv/kvm-race/old", b"0")
    requests.act = stubborn
    failed = module("consul_kv", prefix="kvm-race", purge=True, state="absent")
    assert failed["failed"]
    assert not failed["changed"]
    assert "others changed these keys between reading and writing, 5 times: kvm-race/a, kvm-race/b, kvm-race/old" in failed["msg"]
    assert set(values("kvm-race/")) == {"kvm-race/a", "kvm-race/b", "kvm-race/old"}


def test_a_value_that_others_write_meanwhile_counts_for_cas(module, datacenters, requests):
    requests.act = lambda request: request == "PUT /v1/txn" and datacenters.dc1.put("/v1/kv/kvm-race-cas", b"stranger")
    failed = module("consul_kv", key="kvm-race-cas", value="mine", cas=0)
    assert "cas wants that there is no such key" in failed["msg"]
    assert not failed["changed"]


def test_a_failure_in_the_midst_tells_what_was_written(module, values, token):
    given = {f"{number:03}": "x" for number in range(130)}
    with token('key_prefix "kvm-denied/" { policy = "write" }\nkey "kvm-denied/100" { policy = "read" }') as secret:
        failed = module("consul_kv", prefix="kvm-denied", values=given, token=secret)
    assert failed["failed"]
    assert failed["changed"]
    assert failed["written"] == [f"kvm-denied/{number:03}" for number in range(64)] == sorted(values("kvm-denied/"))
    assert "operation 100 (cas kvm-denied/100): Permission denied" in failed["msg"]
    assert "the first 64 of 130 operations were done, the others not" in failed["msg"]
    assert "The token needs key:write for kvm-denied/100" in failed["msg"]


def test_a_key_that_may_not_be_read(fails, token):
    with token('key_prefix "kvm-unread/" { policy = "read" }\nkey "kvm-unread/b" { policy = "deny" }') as secret:
        message = fails("consul_kv", keys=["kvm-unread/a", "kvm-unread/b"], value="x", token=secret)
        assert "The token needs key:read for kvm-unread/b" in message
        assert "key:read" in fails("consul_kv_info", keys=["kvm-unread/a", "kvm-unread/b"], token=secret)
        assert "key:read" in fails("consul_kv_info", keys=["kvm-unread/b"], token=secret)


def test_a_purge_that_may_not_see_all_keys_says_so(ensure, module, token):
    ensure("consul_kv", values={"kvm-hidden/a": "x", "kvm-hidden/b": "x"})
    with token('key_prefix "kvm-hidden/" { policy = "write" }\nkey "kvm-hidden/b" { policy = "deny" }') as secret:
        done = module("consul_kv", prefix="kvm-hidden", purge=True, state="absent", token=secret)
        assert done["deleted"] == ["kvm-hidden/a"]
        assert "purge knows only of keys that it may read (key:read)" in str(done["warnings"])
        for found in (
            module("consul_kv_info", prefixes=["kvm-hidden/"], token=secret),
            module("consul_kv_info", prefixes=["kvm-hidden/"], names_only=True, token=secret),
        ):
            assert "there may be more keys (key:read)" in str(found["warnings"])
    assert module("consul_kv", prefix="kvm-hidden", purge=True, state="absent")["deleted"] == ["kvm-hidden/b"]


def test_an_answer_that_got_lost_is_told(module, requests):
    def lose(request):
        if requests.count("PUT /v1/txn") == 2 and request == "PUT /v1/txn":
            raise NoAgentError("the answer got lost", asked=request, agent="127.0.0.1:1")

    requests.act = lose
    failed = module("consul_kv", values={"kvm-lost/a": "x", "kvm-lost/b": "x"})
    assert (failed["unknown"], failed["written"], failed["changed"]) == (["kvm-lost/a", "kvm-lost/b"], [], False)


def test_reading(ensure, keeps, requests):
    ensure("consul_kv", prefix="kvm-info", tree={"a": "1", "apple": "2", "folder": {"b": "3"}})
    requests.clear()
    found = keeps("consul_kv_info", keys=["kvm-info/a", "kvm-info/nix"], prefixes=["kvm-info/folder/", "kvm-info/app"])
    assert requests == ["PUT /v1/txn", "GET /v1/kv/kvm-info/folder/", "GET /v1/kv/kvm-info/app"] * 2
    assert [(entry["key"], entry["value"]) for entry in found["entries"]] == [
        ("kvm-info/a", "1"),
        ("kvm-info/apple", "2"),
        ("kvm-info/folder/b", "3"),
    ]
    assert found["missing"] == ["kvm-info/nix"]
    names = keeps("consul_kv_info", prefixes=["kvm-info/"], names_only=True, separator="/")["names"]
    assert names == ["kvm-info/a", "kvm-info/apple", "kvm-info/folder/"]
    assert keeps("consul_kv_info", tree="kvm-info/nix")["tree"] == {}
    ensure("consul_kv", key="kvm-info/a/b", value="both")
    assert keeps("consul_kv_info", prefixes=["kvm-info/a"])["entries"][1]["key"] == "kvm-info/a/b"


def test_a_folder_that_is_a_key_as_well_is_no_dictionary(ensure, fails):
    ensure("consul_kv", values={"kvm-both/a": "1", "kvm-both/a/b": "2"})
    assert "kvm-both/a: is a key and a folder at the same time" in fails("consul_kv_info", tree="kvm-both")


def test_consistency_is_asked_for(module, monkeypatch):
    sent, send = [], Transport.send

    def record(self, request, *more):
        sent.append(str(request))
        return send(self, request, *more)

    monkeypatch.setattr(Transport, "send", record)
    module("consul_kv_info", keys=["a", "b"], consistency="stale", datacenter="dc2")
    assert sent == ["PUT /v1/txn?dc=dc2&stale=1"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "one of key, keys, values, entries, tree, file is missing"),
        ({"key": "a", "values": {"a": 1}}, "mutually exclusive"),
        ({"key": "a"}, "value: is missing for 'a'"),
        ({"key": "/a", "value": "x"}, "key: '/a' must not start with a slash"),
        ({"key": "", "value": "x"}, "key: '' is no key"),
        ({"key": "a//b", "value": "x"}, "key: 'a//b' has an empty segment"),
        ({"key": "a", "prefix": "p/../q", "value": "x"}, "prefix: 'p/../q'"),
        ({"key": "a\nb", "value": "x"}, "holds a control character"),
        ({"key": "a", "value": "x", "flags": -1}, "flags: -1 is no whole number"),
        ({"key": "a", "value": "x", "flags": 2**64}, "flags: 18446744073709551616 is no whole number"),
        ({"key": "a", "value": "x", "cas": -1}, "cas: -1 is no whole number"),
        ({"key": "a", "value": "x", "encoding": "base64"}, "value of 'a': is not in base64"),
        ({"key": "a", "value": 7, "encoding": "base64"}, "value of 'a': is not in base64"),
        ({"values": {"a": "x"}, "value": "y"}, "value: is for key and keys only"),
        ({"values": {"a": "x", "b": None}}, "value: is missing for 'b'"),
        ({"entries": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, "a: is given twice"),
        ({"entries": [{"value": "1"}]}, "missing required arguments: key"),
        ({"tree": {"a": {"b": None}}}, "value of 'a/b': is null"),
        ({"tree": {"a/b": "x"}}, "tree: 'a/b' is no name. A name is a text without a slash; quote one that YAML takes for something else"),
        ({"file": "/nowhere/settings.yml"}, "file: /nowhere/settings.yml can't be read: No such file or directory"),
        ({"prefix": "", "purge": True, "tree": {}}, "prefix: is empty, so purge would delete keys of the whole store"),
        ({"prefix": "a", "purge": True, "everything": True, "tree": {}}, "everything: is for the empty prefix only"),
        ({"key": "a", "value": "x", "everything": True}, "everything: is of use with purge=true only"),
        ({"values": {"a": "x"}, "purge": True}, "purge: needs prefix"),
        ({"key": "a", "prefix": "p", "purge": True, "state": "absent"}, "so no key can be given"),
        ({"prefix": "p", "state": "absent"}, "one of key, keys, values, entries, tree, file is missing"),
        ({"key": "a", "state": "acquire"}, "session"),
        ({"key": "a", "state": "acquire", "session": "x"}, "session: 'x' is no id of a session"),
        ({"key": "a", "value": "x", "session": "x"}, "session: is of use with state=acquire and state=release only"),
    ],
)
def test_bad_input(fails, requests, params, expected):
    message = fails("consul_kv", **params)
    assert expected in message
    assert requests == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[1]", "file: list is no mapping"),
        (b"a: [", "is neither JSON nor YAML, line"),
        (b"\xff", "can't be read: it is no UTF-8 text"),
        (b"on: x", "file: True is no name. A name is a text without a slash; quote one that YAML takes for something else"),
        (b"a: &a\n  b: *a\n", "nested deeper than 100 folders, or holds itself"),
    ],
)
def test_bad_files(fails, tmp_path, content, expected):
    (tmp_path / "settings.yml").write_bytes(content)
    assert expected in fails("consul_kv", file=str(tmp_path / "settings.yml"))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"keys": ["/a"]}, "keys: '/a' must not start with a slash"),
        ({"prefixes": ["/a"]}, "prefixes: '/a' must not start"),
        ({"prefixes": ["a"], "separator": "/"}, "separator: is of use with names_only=true only"),
        ({"prefixes": ["a"], "separator": "", "names_only": True}, "separator: is empty"),
        ({"tree": "/a"}, "tree: '/a' must not start"),
        ({}, "one of keys, prefixes, tree is missing"),
        ({"names_only": True}, "prefixes: is missing"),
        ({"names_only": True, "prefixes": ["a"], "keys": ["a"]}, "keys: is of no use with names_only=true"),
        ({"names_only": True, "prefixes": ["a"], "tree": "a"}, "mutually exclusive"),
    ],
)
def test_bad_input_for_reading(fails, params, expected):
    assert expected in fails("consul_kv_info", **params)


def test_the_whole_store_is_purged_only_when_that_is_said(consul_agents):
    agent = consul_agents()
    kv = KV(Api(agents=[agent.address]))
    kv.set("a", "1")
    kv.set("b/c", "2")
    # No HTTP path leads to it, so it can be made by a transaction only.
    odd = json.dumps([{"KV": {"Verb": "set", "Key": "odd//key", "Value": ""}}]).encode()
    agent.put("/v1/txn", odd)
    result = run_module("consul_kv", prefix="", purge=True, everything=True, tree={"a": "1"}, agents=[agent.address])
    assert result["deleted"] == ["b/c"]
    assert "odd//key" in str(result["warnings"])
    assert kv.keys("") == ["a", "odd//key"]


def test_the_oldest_consul(ensure, keeps, fails, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    given = {f"{number:03}": f"{number}" for number in range(70)}
    ensure("consul_kv", prefix="kvm-old", values=given, **agent)
    ensure("consul_kv", values={"kvm-old/000": "new", "kvm-old/nix": "new"}, **agent)
    found = keeps("consul_kv_info", keys=[f"kvm-old/{number:03}" for number in range(75)], **agent)
    assert (len(found["entries"]), found["missing"]) == (70, [f"kvm-old/{number:03}" for number in range(70, 75)])
    session = consul_oldest.put("/v1/session/create", {"LockDelay": "0s"})["ID"]
    ensure("consul_kv", key="kvm-old/lock", state="acquire", session=session, **agent)
    ensure("consul_kv", key="kvm-old/lock", state="release", session=session, **agent)
    assert "has index" in fails("consul_kv", key="kvm-old/lock", value="x", cas=1, **agent)
    ensure("consul_kv", prefix="kvm-old", purge=True, state="absent", **agent)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys as a task wants them: what is stored for a value, and what is planned for what was found."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils import _kv, _kv_values
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConflictError, InvalidValueError, NotAcquiredError

MINE, OTHER = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab", "8e2d8a31-9f0c-4a7b-bb3c-0123456789ac"
OPTIONS = {
    **dict.fromkeys(("key", "keys", "values", "entries", "tree", "file", "value", "flags", "cas", "prefix", "session")),
    **dict.fromkeys(("purge", "everything", "atomic"), False),
    "overwrite": True,
    "state": "present",
    "encoding": "text",
}


def entry(key, value=b"old", flags=0, session=None, index=7):
    return {"key": key, "value": value, "flags": flags, "session": session, "modify_index": index}


def planned(found=(), **params):
    """The steps for a task, as (verb, key, index) of each operation, and its warnings."""
    options, warnings = OPTIONS | params, []
    wanted = _kv.wanted_keys(options)
    steps = list(_kv.plan(options, wanted, {one["key"]: one for one in found}, warnings.append))
    return [[(one.verb, one.key, one.index) for one in step.operations] for step in steps], warnings


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("", b""),
        ("ü", "ü".encode()),
        ("True", b"True"),
        (b"\xff", b"\xff"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (2**70, str(2**70).encode()),
        (0.5, b"0.5"),
        (["a", 1, None, True], b'["a",1,null,true]'),
        ({"ü": {"x": []}}, '{"ü":{"x":[]}}'.encode()),
        (datetime.date(2026, 5, 9), b"2026-05-09"),
        (datetime.datetime(2026, 5, 9, 1, 2, 3, tzinfo=datetime.timezone.utc), b"2026-05-09T01:02:03+00:00"),
        ([datetime.date(2026, 5, 9)], b'["2026-05-09"]'),
    ],
)
def test_what_is_stored(value, stored):
    assert _kv_values.stored(value, "text", "value") == stored


@pytest.mark.parametrize(
    ("value", "encoding", "expected"),
    [
        (None, "text", "is null"),
        (float("nan"), "text", "can't be written as JSON"),
        ({1: {2, 3}}, "text", "can't be written as JSON"),
        ("\ud800", "text", "holds half a character"),
        ("x" * 524289, "text", "has 524289 bytes"),
        ("é", "base64", "is not in base64"),
        ("YQ", "base64", "is not in base64"),
        (None, "base64", "is not in base64"),
        (["YQ=="], "base64", "is not in base64"),
    ],
)
def test_what_is_refused_without_being_shown(value, encoding, expected):
    with pytest.raises(InvalidValueError, match=f"^value of 'a': {expected}") as caught:
        _kv_values.stored(value, encoding, "value of 'a'")
    assert "YQ" not in str(caught.value)


def test_base64_may_have_lines():
    assert _kv_values.stored("/w\n A=\n", "base64", "value") == b"\xff\x00"


def test_only_what_differs_is_written_and_what_is_not_given_stays():
    found = [entry("a", b"1"), entry("b", b"2", flags=5), entry("d", b"4")]
    given = [{"key": "a", "value": 1}, {"key": "b", "value": "new"}, {"key": "c", "value": "3"}, {"key": "d", "value": "4", "flags": 1}]
    wanted = [{**dict.fromkeys(("flags", "cas", "encoding")), **one} for one in given]
    assert planned(found, entries=wanted)[0] == [[("cas", "b", 7)], [("cas", "c", 0)], [("cas", "d", 7)]]
    assert planned(found, values={"a": "x", "c": "x"}, overwrite=False)[0] == [[("cas", "c", 0)]]


def test_what_is_purged_comes_last():
    found = [entry("p/a"), entry("p/lock", session=MINE), entry("p//odd"), entry("p/z", b"old")]
    steps, warnings = planned(found, prefix="p", purge=True, tree={"z": "new"})
    assert steps == [[("cas", "p/z", 7)], [("delete-cas", "p/a", 7)]]
    assert warnings == [
        "purge left keys that a session holds, for they are locks: p/lock",
        "purge left keys that Consul's HTTP API can't address: p//odd",
    ]


def test_deletion():
    assert planned([entry("a")], keys=["a", "b"], state="absent")[0] == [[("delete-cas", "a", 7)]]
    # A value, as of a task whose state is a variable, is not looked at.
    assert planned([entry("a")], key="a", value="x", state="absent")[0] == [[("delete-cas", "a", 7)]]


@pytest.mark.parametrize(
    ("found", "params", "steps"),
    [
        ([], {}, [[("check-not-exists", "a", None), ("lock", "a", None)]]),
        ([entry("a")], {}, [[("check-index", "a", 7), ("lock", "a", None)]]),
        ([entry("a")], {"value": "old"}, [[("check-index", "a", 7), ("lock", "a", None)]]),
        ([entry("a", session=MINE)], {}, []),
        ([entry("a", session=MINE)], {"value": "old"}, []),
        ([entry("a", session=MINE)], {"value": "new"}, [[("check-index", "a", 7), ("lock", "a", None)]]),
        ([entry("a", session=MINE)], {"flags": 3}, [[("check-index", "a", 7), ("lock", "a", None)]]),
    ],
)
def test_acquire(found, params, steps):
    assert planned(found, key="a", state="acquire", session=MINE, **params)[0] == steps


@pytest.mark.parametrize(
    ("found", "params", "steps"),
    [
        ([], {}, []),
        ([entry("a")], {}, []),
        ([entry("a")], {"value": "old"}, []),
        ([entry("a", session=OTHER)], {}, []),
        ([entry("a", session=MINE)], {}, [[("check-index", "a", 7), ("unlock", "a", None)]]),
        ([entry("a", session=MINE)], {"value": "new"}, [[("check-index", "a", 7), ("unlock", "a", None)]]),
    ],
)
def test_release(found, params, steps):
    assert planned(found, key="a", state="release", session=MINE, **params)[0] == steps


def test_a_lock_keeps_value_and_flags_unless_they_are_given():
    for state, held in (("acquire", None), ("release", MINE)):
        options = OPTIONS | {"key": "a", "state": state, "session": MINE}
        (step,) = _kv.plan(options, _kv.wanted_keys(options), {"a": entry("a", b"\xff", 9, held)}, print)
        assert (step.operations[1].value, step.operations[1].flags) == (b"\xff", 9)


def test_locks_of_others():
    with pytest.raises(NotAcquiredError, match=f"a: is held by session {OTHER}"):
        planned([entry("a", session=OTHER)], key="a", state="acquire", session=MINE)
    for found, holder in (([], "nobody"), ([entry("a")], "nobody"), ([entry("a", session=OTHER)], f"session {OTHER}")):
        with pytest.raises(ConflictError, match=f"a: is held by {holder}, so the value was not written"):
            planned(found, key="a", value="x", state="release", session=MINE)


@pytest.mark.parametrize("state", ["present", "absent", "acquire", "release"])
def test_cas_is_a_condition_of_every_change(state):
    session = {"session": MINE} if state in ("acquire", "release") else {}
    found = [entry("a", session=MINE if state == "release" else None)]
    with pytest.raises(ConflictError, match="a: has index 7, and cas wants index 8"):
        planned(found, key="a", value="new", state=state, cas=8, **session)
    assert planned(found, key="a", value="new", state=state, cas=7, **session)[0]


def test_cas_does_not_matter_where_nothing_changes():
    assert planned([entry("a")], key="a", value="old", cas=8)[0] == []
    assert planned([], key="a", state="absent", cas=8)[0] == []


@pytest.mark.parametrize(
    ("value", "flags", "session", "shown"),
    [
        (b"x", 0, None, "x"),
        (b"", 0, None, ""),
        (b"\xff", 0, None, {"base64": "/w=="}),
        (b"x", 7, MINE, {"value": "x", "flags": 7, "session": MINE}),
        (b"x" * 65536, 0, None, "x" * 65536),
    ],
)
def test_what_a_diff_shows(value, flags, session, shown):
    assert _kv.described(value, flags, session) == shown


def test_large_values_of_one_size_are_told_apart_in_a_diff():
    first, second = (_kv.described(sign * 65537, 0, None) for sign in (b"x", b"y"))
    assert first["bytes"] == second["bytes"] == 65537
    assert first != second

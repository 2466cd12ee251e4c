# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`Config`: what becomes of the snapshots that its watch hands it."""

from __future__ import annotations

import datetime
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, Dict, FrozenSet, List, Literal, Optional, Sequence, Tuple  # noqa: UP035 - what users of Python 3.8 write

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import config, errors, kv

FOLDER = "app/"


def tree(values):
    """The entries of a folder, from text or bytes by name."""
    return [{"key": FOLDER + name, "value": one if isinstance(one, bytes) else one.encode()} for name, one in sorted(values.items())]


class FakeWatch:
    """A watch whose answers are the test's."""

    def __init__(self, values, on_change):
        self.on_change, self.closed = on_change, False
        self.latest = None if values is None else SimpleNamespace(value=tree(values))

    def get(self, timeout=None):
        if self.latest is None:
            raise errors.NoAgentError(f"no answer within {timeout:g} s")
        return self.latest

    def close(self):
        self.closed = True

    def put(self, **values):
        self.latest = SimpleNamespace(value=tree(values))
        self.on_change(self.latest)


@pytest.fixture
def make(monkeypatch):
    """Makes a `Config` of a shape, with what stands in the folder first, and the watch that it follows."""

    def make(shape, first=None, **options):
        made = []

        def watch(self, key, on_change=None, *, recurse=False):
            assert (key, recurse) == (FOLDER, True)
            made.append(FakeWatch(first, on_change))
            return made[0]

        monkeypatch.setattr(kv.KV, "watch", watch)
        return config.Config(shape, "app", **options), made[0]

    return make


class Colour(Enum):
    RED = "red"
    DEEP_BLUE = "blue"


@dataclass(frozen=True)
class Database:
    host: str
    port: int = 5432


@dataclass(frozen=True)
class Settings:
    name: str
    size: int = 4
    ratio: float = 0.5
    debug: bool = False
    colour: Colour = Colour.RED
    level: Literal["low", "high", 3] = "low"
    pause: datetime.timedelta = datetime.timedelta(seconds=30)
    raw: bytes = b""
    limit: Optional[int] = None  # noqa: UP045
    hosts: List[str] = field(default_factory=list)  # noqa: UP006
    pair: Tuple[int, str] = (0, "")  # noqa: UP006
    tags: FrozenSet[str] = frozenset()  # noqa: UP006
    waits: Sequence[datetime.timedelta] = ()
    weights: Dict[str, float] = field(default_factory=dict)  # noqa: UP006
    anything: Any = None
    database: Optional[Database] = None  # noqa: UP045
    replicas: List[Database] = field(default_factory=list)  # noqa: UP006

    def validate(self):
        if self.size > 100:
            raise ValueError(f"size {self.size} is more than 100, for {self.name}")


def test_every_type(make):
    made, _watch = make(
        Settings,
        {
            "name": " the app\n",
            "size": " 12\n",
            "ratio": "1e-3",
            "debug": "Yes",
            "colour": "DEEP_BLUE",
            "level": "3",
            "pause": "1m30s",
            "raw": b"\xff\x00",
            "limit": "",
            "hosts": '["a", "\u00e9"]',
            "pair": '[7, "x"]',
            "tags": '["a", "b", "a"]',
            "waits": '["1s", "1.5h"]',
            "weights": '{"a": 1, "b": 0.5}',
            "anything": "some text",
            "database/host": "db",
            "database/port": "1",
            "replicas": '[{"host": "r1"}, {"host": "r2", "port": 2}]',
            "of another app": "x",
        },
    )
    assert made.current == Settings(
        name=" the app\n",
        size=12,
        ratio=0.001,
        debug=True,
        colour=Colour.DEEP_BLUE,
        level=3,
        pause=datetime.timedelta(seconds=90),
        raw=b"\xff\x00",
        limit=None,
        hosts=["a", "\u00e9"],
        pair=(7, "x"),
        tags=frozenset("ab"),
        waits=(datetime.timedelta(seconds=1), datetime.timedelta(hours=1.5)),
        weights={"a": 1.0, "b": 0.5},
        anything="some text",
        database=Database("db", 1),
        replicas=[Database("r1"), Database("r2", 2)],
    )
    assert isinstance(made.current.weights["a"], float)
    assert made.problem is None


def test_what_is_missing_has_its_default(make):
    assert make(Settings, {"name": "x", "": "", "empty/": ""})[0].current == Settings("x")


def test_a_nested_dataclass_as_one_key_or_as_a_folder(make):
    for keys in ({"database": '{"host": "db", "port": 1}'}, {"database/host": "db", "database/port": "1", "database/": ""}):
        assert make(Settings, {"name": "x", **keys})[0].current.database == Database("db", 1)


def test_a_required_folder_that_is_missing_tells_its_fields(make):
    @dataclass
    class Inner:
        a: int
        b: int = 2

    @dataclass
    class Outer:
        inner: Inner
        whole: Optional[Inner]  # noqa: UP045

    Outer.__annotations__.update(inner=Inner, whole=Optional[Inner])  # noqa: UP045
    with pytest.raises(config.ConfigError) as refused:
        make(Outer, {})
    assert refused.value.problems == {"app/inner/a": "is missing"}
    assert make(Outer, {"inner/a": "1"})[0].current == Outer(Inner(1), None)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("name", b"\xff", "is not UTF-8 text"),
        ("size", "sesame", "is no whole number"),
        ("size", "1_000", "is no whole number"),
        ("size", "\u0663", "is no whole number"),
        ("size", "9" * 5000, "is no whole number"),
        ("ratio", "nan", "is no number"),
        ("ratio", "1e999", "is no number"),
        ("ratio", "sesame", "is no number"),
        ("debug", "sesame", "is neither true nor false"),
        ("colour", "sesame", "is none of red, blue"),
        ("level", "sesame", "is none of low, high, 3"),
        ("pause", "30", "is no duration such as 10s or 1m30s"),
        ("pause", "9" * 30 + "h", "is no duration such as 10s or 1m30s"),
        ("limit", "sesame", "is no whole number"),
        ("hosts", "sesame", "is no JSON (line 1, column 1)"),
        ("hosts", '{"sesame": 1}', "is no list"),
        ("hosts", '["a", 7]', "[1] is no text"),
        ("hosts", "[" * 100000, "is no JSON"),
        ("pair", "[1]", "has 1 elements instead of 2"),
        ("pair", '["sesame", "x"]', "[0] is no whole number"),
        ("weights", "[]", "is no JSON object"),
        ("weights", '{"sesame": "sesame"}', "(value 1) is no number"),
        ("weights", '{"a": NaN}', "is no JSON"),
        ("weights", f'{{"a": {"9" * 400}}}', "(value 1) is no number"),
        ("database", "[]", "is no JSON object"),
        ("database", "{}", ".host is missing"),
        ("database", '{"host": "sesame", "port": true}', ".port is no whole number"),
        ("replicas", '[{"host": "a"}, {"port": 1}]', "[1].host is missing"),
        ("replicas", '[{"host": "a", "port": "sesame"}]', "[0].port is no whole number"),
    ],
)
def test_a_bad_value_is_told_by_key_and_not_shown(make, caplog, name, value, problem):
    with pytest.raises(config.ConfigError) as refused:
        make(Settings, {"name": "x", name: value})
    assert refused.value.problems == {f"app/{name}": problem}
    assert f"app/{name}: {problem}" in str(refused.value)
    assert "sesame" not in str(refused.value) + caplog.text
    assert len(str(refused.value)) < 300


def test_all_that_is_wrong_is_told_at_once(make):
    with pytest.raises(config.ConfigError) as refused:
        make(Settings, {"size": "x", "database": "{}", "database/host": "h", "replicas": "7", "unknown": "", "a/b": "1"}, strict=True)
    assert refused.value.problems == {
        "app/name": "is missing",
        "app/size": "is no whole number",
        "app/database": "is a key and a folder at the same time",
        "app/database/host": "is none of the settings",
        "app/replicas": "is no list",
        "app/unknown": "is none of the settings",
        "app/a/b": "is none of the settings",
    }


def test_a_bad_change_leaves_the_last_value_in_force_and_is_told_once(make, caplog):
    changes, problems = [], []
    made, watch = make(Settings, {"name": "one"}, on_change=lambda new, old: changes.append((new, old)), on_problem=problems.append)
    first = made.current
    assert changes == [(Settings("one"), None)]
    for _again in range(3):
        watch.put(name="two", size="x")
    assert made.current is first
    assert [problem.problems for problem in problems] == [{"app/size": "is no whole number"}]
    assert made.problem is problems[0]
    assert [record.name for record in caplog.records] == ["uwsgi_consul.config"]
    assert "the last one stays in force" in caplog.text
    watch.put(name="two", size="y")
    assert len(problems) == 2
    watch.put(name="two", size="5")
    assert made.current == Settings("two", 5)
    assert made.problem is None
    assert changes[1:] == [(Settings("two", 5), first)]


def test_a_change_of_keys_that_changes_no_setting_is_no_change(make):
    changes = []
    made, watch = make(Settings, {"name": "one"}, on_change=lambda new, old: changes.append(new))
    watch.put(name="one", other="x")
    watch.put(name="one", size="4")
    assert changes == [made.current]


def test_a_judgement_of_the_apps_own_is_told_in_its_words_without_values(make):
    made, watch = make(Settings, {"name": "sesame"})
    watch.put(name="sesame", size="101")
    assert made.problem.problems == {"app/": "size 101 is more than 100, for (value)"}

    @dataclass
    class Strict:
        password: str

        def __post_init__(self):
            if len(self.password) < 12:
                raise ValueError(f"{self.password!r} is too short")

    with pytest.raises(config.ConfigError) as refused:
        make(Strict, {"password": "sesame"})
    assert refused.value.problems == {"app/": "'(value)' is too short"}


def test_a_value_that_counts_until_there_is_something_right(make):
    initial = Settings("initial")
    made, watch = make(Settings, None, initial=initial)
    assert made.current is initial
    watch.put(size="1")
    assert made.current is initial
    assert made.problem.problems == {"app/name": "is missing"}
    watch.put(name="one")
    assert made.current == Settings("one")


def test_without_one_there_must_be_an_answer(make):
    with pytest.raises(errors.NoAgentError, match="no answer within 3 s"):
        make(Settings, None, timeout=3)


def test_a_mapping_of_names_to_converters(make):
    def even(text):
        if int(text) % 2:
            raise ValueError(f"{text} is odd")
        return int(text)

    shape = {"size": int, "debug": (bool, False), "db/host": str, "even": (even, 0), "hosts": (List[str], ()), "none": Optional[int]}  # noqa: UP006, UP045
    made, watch = make(shape, {"size": "3", "db/host": "h", "even": "4"})
    assert isinstance(made.current, Mapping)
    assert made.current == {"size": 3, "debug": False, "db/host": "h", "even": 4, "hosts": (), "none": None}
    with pytest.raises(TypeError):
        made.current["size"] = 4
    watch.put(size="3", even="12345")
    assert made.problem.problems == {"app/db/host": "is missing", "app/even": "(value) is odd"}


@dataclass
class Endless:
    inner: Optional[Endless] = None  # noqa: UP045


@dataclass
class Odd:
    number: complex = 0j


@pytest.mark.parametrize(
    "shape", [None, 7, int, "Settings", {}, {"a": 7}, {"": int}, {"a": (int,)}, {"/a": int}, Endless, Odd, Settings("x")]
)
def test_a_shape_that_can_not_be_read_is_refused_before_anything_is_asked(shape):
    with pytest.raises(errors.InvalidValueError, match=r"^shape: ") as refused:
        config.Config(shape, "app")
    assert len(str(refused.value)) < 400


def test_other_arguments_that_can_not_be_right(make):
    for wrong in ({"timeout": 0}, {"strict": "yes"}, {"on_change": 7}, {"on_problem": 7}, {"client": 7}, {"datacenter": ""}):
        with pytest.raises(errors.InvalidValueError):
            make(Settings, {"name": "x"}, **wrong)
    with pytest.raises(errors.InvalidValueError, match=r"^folder: "):
        config.Config(Settings, "/app")


def test_readers_see_all_of_one_moment(make):
    @dataclass(frozen=True)
    class Pair:
        a: int
        b: int

    made, watch = make(Pair, {"a": "0", "b": "0"})
    torn, done = [], threading.Event()

    def read():
        while not done.is_set():
            now = made.current
            if now.a != now.b:
                torn.append(now)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(300):
        watch.put(a=str(number), b=str(number))
    done.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert made.current == Pair(299, 299)


def test_a_callback_that_fails_is_logged_and_hinders_nothing(make, caplog):
    made, watch = make(Settings, {"name": "one"})
    seen = []
    made.on_change(lambda new, old: 1 / 0)
    end = made.on_change(lambda new, old: seen.append(new.name))
    watch.put(name="two")
    end()
    end()
    watch.put(name="three")
    assert seen == ["two"]
    assert made.current.name == "three"
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_values_are_not_shown(make):
    assert repr(make(Settings, {"name": "sesame"})[0]) == "Config(Settings, 'app/')"


def test_a_closed_one_keeps_its_value(make):
    with make(Settings, {"name": "one"})[0] as made:
        watch = made._watch
    assert watch.closed
    assert made.current.name == "one"


def test_a_child_goes_on_from_what_its_parent_knew_even_when_that_was_changing(make):
    made, watch = make(Settings, {"name": "one"})
    made.on_change(lambda new, old: made.current)
    # A thread that holds the lock while the process is forked, and has not applied what it was called for.
    watch.latest = SimpleNamespace(value=tree({"name": "two"}))
    held, release = threading.Event(), threading.Event()

    def hold():
        with made._locks.get():
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if not child:
        os._exit(0 if made.current.name == "two" and made.apply(tree({"name": "three"})) and made.current.name == "three" else 1)
    release.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert made.current.name == "one"

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`Config` and `KV.watch`, as keys change in a real Consul."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.config import Config, ConfigError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transactions import Operation
from ports import free_port

# Seconds that a change may take to be seen on a crowded machine; it takes a few milliseconds on a quiet one.
SEEN = 30


@dataclass(frozen=True)
class Database:
    host: str
    port: int = 5432


@dataclass(frozen=True)
class Settings:
    database: Database
    pool_size: int = 4
    pause: timedelta = timedelta(seconds=30)
    hosts: list[str] = field(default_factory=list)

    def validate(self):
        if self.pool_size < 1:
            raise ValueError("pool_size must be 1 or more")


@dataclass(frozen=True)
class Pair:
    a: int
    b: int


@pytest.fixture
def api(consul):
    with Api(agents=[consul.address]) as made:
        yield made


@pytest.fixture
def kv(api):
    return KV(api)


@pytest.fixture
def folder(kv):
    name = f"config-{uuid.uuid4().hex[:8]}/"
    yield name
    kv.delete(name, recurse=True)


def test_settings_follow_their_keys(api, kv, folder, caplog):
    kv.set_mapping(folder, {"database": {"host": "db1"}, "pool_size": "8", "hosts": '["a", "b"]', "pause": "1m30s"})
    changes, problems = queue.Queue(), queue.Queue()
    with Config(Settings, folder, client=api, on_problem=problems.put) as config:
        config.on_change(lambda new, old: changes.put((new, old)))
        first = config.current
        assert first == Settings(Database("db1"), 8, timedelta(seconds=90), ["a", "b"])
        kv.transaction([Operation.set(f"{folder}pool_size", "9"), Operation.set(f"{folder}database/port", "1")])
        second = Settings(Database("db1", 1), 9, timedelta(seconds=90), ["a", "b"])
        assert changes.get(timeout=SEEN) == (second, first)
        assert config.current == second
        for key, value, problem in (
            ("pool_size", "many", {f"{folder}pool_size": "is no whole number"}),
            ("pool_size", "0", {folder: "pool_size must be 1 or more"}),
            ("hosts", '["a"', {f"{folder}hosts": "is no JSON (line 1, column 5)"}),
        ):
            kv.set(folder + key, value)
            told = problems.get(timeout=SEEN)
            assert told.problems == problem
            assert config.current == second
            assert config.problem is told
        kv.delete(f"{folder}database/", recurse=True)
        assert problems.get(timeout=SEEN).problems.keys() == {f"{folder}hosts", f"{folder}database/host"}
        kv.set_mapping(folder, {"database": {"host": "db2"}, "pool_size": "7", "hosts": "[]"})
        assert changes.get(timeout=SEEN) == (Settings(Database("db2"), 7, timedelta(seconds=90), []), second)
        assert config.problem is None
    assert len([record for record in caplog.records if record.name == "uwsgi_consul.config"]) == 4
    kv.set(f"{folder}pool_size", "1")
    time.sleep(0.3)
    assert changes.empty()


def test_without_right_settings_there_is_none(api, kv, folder):
    with pytest.raises(ConfigError) as missing:
        Config(Settings, folder, client=api)
    assert missing.value.problems == {f"{folder}database/host": "is missing"}
    initial = Settings(Database("none"))
    with Config(Settings, folder, client=api, initial=initial) as config:
        assert config.current is initial
        kv.set(f"{folder}database", '{"host": "db", "port": 7}')
        wait_for("the change is seen", lambda: config.current == Settings(Database("db", 7)))


def test_without_an_agent_there_are_the_initial_ones():
    api = Api(agents=[f"127.0.0.1:{free_port()}"])
    with pytest.raises(errors.NoAgentError):
        Config(Settings, "app", client=api, timeout=5)
    initial = Settings(Database("none"))
    with Config(Settings, "app", client=api, initial=initial) as config:
        assert config.current is initial


def test_readers_see_all_of_one_transaction(api, kv, folder):
    kv.set_mapping(folder, {"a": "0", "b": "0"})
    torn, done = [], threading.Event()
    with Config(Pair, folder, client=api) as config:

        def read():
            while not done.wait(0.0005):
                now = config.current
                if now.a != now.b:
                    torn.append(now)

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(1, 101):
            kv.transaction([Operation.set(f"{folder}{name}", str(number)) for name in "ab"])
        wait_for("the change is seen", lambda: config.current == Pair(100, 100))
        done.set()
        reader.join()
    assert not torn


def test_a_child_follows_as_its_parent_does(api, kv, folder):
    kv.set(f"{folder}n", "1")
    with Config({"n": int}, folder, client=api) as config:
        assert config.current == {"n": 1}
        child = os.fork()
        if not child:
            deadline = time.monotonic() + SEEN
            while config.current != {"n": 2} and time.monotonic() < deadline:
                time.sleep(0.01)
            os._exit(0 if config.current == {"n": 2} else 1)
        time.sleep(0.2)
        kv.set(f"{folder}n", "2")
        assert os.waitpid(child, 0)[1] == 0
        wait_for("the change is seen", lambda: config.current == {"n": 2})


def test_settings_outlive_an_agent_that_is_restarted_without_them(consul_agents):
    agent = consul_agents()
    api = Api(agents=[agent.address])
    kv = KV(api)
    kv.set("app/n", "1")
    with Config({"n": int}, "app", client=api) as config:
        assert config.stale_since is None
        agent.stop()
        wait_for("the change is seen", lambda: config.stale_since is not None)
        assert config.current == {"n": 1}
        # A -dev agent has forgotten everything.
        agent.start()
        wait_for("the change is seen", lambda: config.problem is not None)
        assert config.current == {"n": 1}
        kv.set("app/n", "2")
        wait_for("the change is seen", lambda: config.current == {"n": 2})
        assert config.problem is config.stale_since is None


def test_a_key_and_a_prefix_are_watched(kv, folder):
    seen, trees = queue.Queue(), queue.Queue()
    with kv.watch(f"{folder}a", seen.put) as one, kv.watch(folder, trees.put, recurse=True) as all_keys:
        assert one.get().value is None
        assert all_keys.get().value == []
        kv.set(f"{folder}a", "1")
        kv.set(f"{folder}b", "2")

        def keys_and_values(snapshot):
            return [(entry["key"], entry["value"]) for entry in snapshot.value]

        wait_for("the change is seen", lambda: one.get().value and one.get().value["value"] == b"1")
        wait_for("the change is seen", lambda: keys_and_values(all_keys.get()) == [(f"{folder}a", b"1"), (f"{folder}b", b"2")])
        kv.delete(f"{folder}a")
        wait_for("the change is seen", lambda: one.get().value is None)
        assert seen.get(timeout=SEEN).value is None
        assert seen.get(timeout=SEEN).value["key"] == f"{folder}a"


def test_a_watch_of_another_datacenter_is_asked_there(consul, api):
    with KV(api, datacenter="dc9").watch("a") as watch, pytest.raises(errors.ServerError, match="No path to datacenter"):
        watch.get(timeout=20)

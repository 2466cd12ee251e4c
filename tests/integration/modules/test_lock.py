# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_lock` with a real Consul: alone, against apps and `consul lock`, and in two runs of ansible-playbook at once."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from polling import wait_for

import plays
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.layouts import LOCK_FLAGS
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.lock import Lock

ROOT = Path(__file__).parents[3]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def entry(agent, key):
    (found,) = agent.get(f"/v1/kv/{key}")
    return {**found, "Value": base64.b64decode(found["Value"] or "").decode()}


@pytest.fixture
def api(datacenters):
    return Api(**datacenters.options())


def test_a_lock_is_held_over_several_tasks_and_keeps_the_value(ensure, keeps, module, datacenters):
    agent = datacenters.dc1
    agent.put(f"/v1/kv/module-lock/a?flags={LOCK_FLAGS}", b"precious")
    held = ensure("consul_lock", key="module-lock/a", holder="run 1", ttl="90s", lock_delay="1s")
    there = entry(agent, "module-lock/a")
    assert (there["Session"], there["Flags"], there["Value"]) == (held["session"], LOCK_FLAGS, "precious")
    assert there["ModifyIndex"] == held["token"]
    (session,) = module("consul_session_info", id=held["session"])["sessions"]
    assert (session["name"], session["ttl"], session["lock_delay"]) == ("Lock module-lock/a of run 1", 90, 1)
    assert session["node_checks"] == []
    # A later task knows it by its session as well, and has the same token.
    renewed = keeps("consul_lock", key="module-lock/a", session=held["session"])
    assert (renewed["session"], renewed["token"]) == (held["session"], held["token"])
    released = ensure("consul_lock", key="module-lock/a", session=held["session"], state="released")
    assert released["diff"] == {"before": {"held_by": "Lock module-lock/a of run 1"}, "after": ""}
    there = entry(agent, "module-lock/a")
    assert (there.get("Session"), there["Flags"], there["Value"]) == (None, LOCK_FLAGS, "precious")
    assert module("consul_session_info", id=held["session"])["sessions"] == []
    keeps("consul_lock", key="module-lock/a", holder="run 1", state="released")
    # No lock delay after a release.
    again = ensure("consul_lock", key="module-lock/a", holder="run 2", wait="0")
    assert again["token"] > held["token"]
    ensure("consul_lock", key="module-lock/a", holder="run 2", state="released")


def test_a_value_is_stored_when_it_is_given(ensure, keeps, datacenters):
    agent = datacenters.dc1
    held = ensure("consul_lock", key="module-lock/value", holder="x", value="first")
    assert entry(agent, "module-lock/value")["Value"] == "first"
    changed = ensure("consul_lock", key="module-lock/value", holder="x", value="second")
    assert changed["diff"]["before"]["value"] == "first"
    assert changed["session"] == held["session"]
    keeps("consul_lock", key="module-lock/value", holder="x")
    ensure("consul_lock", key="module-lock/value", holder="x", state="released")
    assert entry(agent, "module-lock/value")["Value"] == "second"


def test_a_key_that_is_to_be_deleted_goes_with_the_release(ensure, datacenters):
    ensure("consul_lock", key="module-lock/gone", holder="x", behavior="delete")
    ensure("consul_lock", key="module-lock/gone", holder="x", state="released")
    assert "module-lock/gone" not in datacenters.dc1.get("/v1/kv/?keys=1")


def test_others_are_kept_out_and_told_by_whom(module, fails):
    held = module("consul_lock", key="module-lock/others")
    message = fails("consul_lock", key="module-lock/others", wait="0")
    assert f"it is held by session {held['session']} (Lock module-lock/others, Ansible on " in message
    result = module("consul_lock", key="module-lock/others", wait="1")
    assert result["failed"]
    assert "could not be had within 1 s" in result["msg"]
    assert [one["id"] for one in result["holders"]] == [held["session"]]
    # Check mode does not wait.
    began = time.monotonic()
    assert module("consul_lock", check=True, key="module-lock/others", wait="1h")["changed"]
    assert time.monotonic() - began < 60
    # It is not another's to release, and no session is left of those who waited.
    assert "is not this task's" in fails("consul_lock", key="module-lock/others", holder="thief", state="released")
    named = [one for one in module("consul_session_info")["sessions"] if "module-lock/others" in one["name"]]
    assert [one["id"] for one in named] == [held["session"]]
    module("consul_lock", key="module-lock/others", session=held["session"], state="released")


def test_a_whole_section_in_check_mode(module, fails, datacenters):
    lock = {"key": "module-lock/check"}
    session = module("consul_lock", check=True, **lock)["session"]
    renewed = module("consul_lock", check=True, session=session, **lock)
    assert (renewed["changed"], renewed["session"], renewed["token"]) == (False, "", 0)
    assert module("consul_lock", check=True, session=session, state="released", **lock)["changed"]
    assert "session: '' is no id" in module("consul_lock", session=session, **lock)["msg"]
    assert "module-lock/check" not in datacenters.dc1.get("/v1/kv/?keys=1")


def test_who_waits_gets_it_as_soon_as_it_is_released(module, api):
    lock = Lock("module-lock/wait", client=api)
    lock.acquire()
    releasing = threading.Timer(1, lock.release)
    releasing.start()
    result = module("consul_lock", key="module-lock/wait", holder="second", wait="60s")
    releasing.join()
    assert result["changed"], result
    module("consul_lock", key="module-lock/wait", holder="second", state="released")


def test_a_session_of_ones_own_holds_several_and_stays(ensure, module, keeps):
    session = module("consul_session", name="module-lock-own", ttl="60s", lock_delay="0s")["session"]["id"]
    for key in ("module-lock/one", "module-lock/two"):
        ensure("consul_lock", key=key, session=session)
    ensure("consul_lock", key="module-lock/one", session=session, state="released")
    keeps("consul_lock", key="module-lock/two", session=session)
    ensure("consul_lock", key="module-lock/two", session=session, state="released")
    ensure("consul_session", name="module-lock-own", state="absent")
    message = module("consul_lock", key="module-lock/two", session=session)["msg"]
    assert f"session {session} has ended, and what it held is lost" in message


def test_an_app_and_a_play_keep_each_other_out(module, api):
    lock = Lock("module-lock/app", client=api, lock_delay=1)
    with lock:
        result = module("consul_lock", key="module-lock/app", wait="0")
        assert "(Lock module-lock/app, of node node1)" in result["msg"]
    held = module("consul_lock", key="module-lock/app", wait="10")
    assert held["token"] > lock.token
    assert not Lock("module-lock/app", client=api, wait=0).acquire()
    module("consul_lock", key="module-lock/app", session=held["session"], state="released")
    with lock:
        assert lock.token > held["token"]


def test_a_lock_that_was_lost_is_told(module, fails):
    held = module("consul_lock", key="module-lock/lost", lock_delay="0s")
    module("consul_session", id=held["session"], state="absent")
    assert "has ended, and what it held is lost" in fails("consul_lock", key="module-lock/lost", session=held["session"])
    other = module("consul_lock", key="module-lock/lost", lock_delay="0s", wait="10s")
    message = fails("consul_lock", key="module-lock/lost", session=held["session"], state="released")
    assert f"held by session {other['session']}" in message
    module("consul_lock", key="module-lock/lost", session=other["session"], state="released")


def test_a_key_of_another_use_is_refused(fails, datacenters):
    datacenters.dc1.put("/v1/kv/module-lock/used", b"settings")
    assert "it has another use" in fails("consul_lock", key="module-lock/used")
    assert entry(datacenters.dc1, "module-lock/used")["Value"] == "settings"


def test_in_another_datacenter(ensure, datacenters):
    ensure("consul_lock", key="module-lock/far", holder="x", datacenter="dc2", node="node2")
    assert datacenters.dc2.get("/v1/kv/module-lock/far")[0]["Session"]
    ensure("consul_lock", key="module-lock/far", holder="x", datacenter="dc2", state="released")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"key": "/a"}, "key: '/a' must not start with a slash"),
        ({"ttl": "5s"}, "ttl: '5s' is no duration from 10 to 86400 s"),
        ({"lock_delay": "2m"}, "lock_delay: '2m' is no duration from 0 to 60 s"),
        ({"wait": "soon"}, "wait: 'soon' is no time to wait"),
        ({"wait": "-1"}, "wait: '-1' is no time to wait"),
        ({"session": "x"}, "session: 'x' is no id of a session"),
        ({"session": UNKNOWN}, f"session {UNKNOWN} has ended"),
        ({"holder": "a\nb"}, "holder: 'a\\nb' is no name"),
        ({"value": "x" * 400_000}, "value: has 400000 bytes"),
        ({"node": " "}, "node: ' ' is no name"),
        ({"state": "released"}, "any of the following are missing: session, holder"),
        ({"session": UNKNOWN, "holder": "x"}, "mutually exclusive: session|holder"),
        ({"agents": ["http://a b"]}, "agents: 'http://a b' is no address"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_lock", **{"key": "module-lock/bad", **params})


def test_a_token_that_may_not(module, datacenters):
    agent = datacenters.dc1

    def refused(rules):
        policies = [{"ID": agent.put("/v1/acl/policy", {"Name": f"module-lock-{len(rules)}", "Rules": rules})["ID"]}]
        token = agent.put("/v1/acl/token", {"Policies": policies})["SecretID"]
        message = module("consul_lock", key="module-lock/acl", wait="0", token=token)["msg"]
        assert token not in message
        return message

    assert "lacks permission 'key:read'" in refused("")
    assert "lacks permission 'session:write'" in refused('key_prefix "module-lock/" { policy = "write" }')
    message = refused('key_prefix "module-lock/" { policy = "read" } session_prefix "" { policy = "write" }')
    assert "The token needs key:write for the lock module-lock/acl" in message
    assert not [one for one in agent.get("/v1/session/list") if "module-lock/acl" in one["Name"]]


def test_the_oldest_consul(ensure, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_lock", key="module-lock/oldest", holder="x", value="v", **agent)
    ensure("consul_lock", key="module-lock/oldest", holder="x", state="released", **agent)


def test_consul_is_restarted_while_one_waits(consul_agents, module):
    agent = consul_agents(persistent=True)
    options = {"agents": [agent.address], "token": None, "key": "restart"}
    session = agent.put("/v1/session/create", {"TTL": "1h", "NodeChecks": [], "LockDelay": "0s"})["ID"]
    assert agent.put(f"/v1/kv/restart?acquire={session}&flags={LOCK_FLAGS}", b"theirs")

    def meddle():
        time.sleep(1)
        agent.stop()
        agent.start()
        agent.put(f"/v1/kv/restart?release={session}&flags={LOCK_FLAGS}", b"theirs")

    meddling = threading.Thread(target=meddle)
    meddling.start()
    result = module("consul_lock", **options, wait="120s")
    meddling.join()
    assert result.get("changed"), result
    assert entry(agent, "restart")["Value"] == "theirs"


# Runs of ansible-playbook.

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - block:
        - uwsgi.consul.consul_lock:
            key: module-lock/play
            wait: 5m
            ttl: 10s
            lock_delay: 0s
          register: lock
        - ansible.builtin.shell: "echo begin {run} >> {file}; sleep {seconds}; echo end {run} >> {file}"
      always:
        - uwsgi.consul.consul_lock:
            key: module-lock/play
            session: "{{{{ lock.session }}}}"
            state: released
          when: lock.session is defined
"""


@pytest.fixture
def play(consul, tmp_path):
    processes = []

    def start(run, seconds):
        playbook = tmp_path / f"{run}.yml"
        playbook.write_text(PLAY.format(run=run, seconds=seconds, file=tmp_path / "sections"))
        assert yaml.safe_load(playbook.read_text())
        command, environ = [plays.program("ansible-playbook"), str(playbook)], plays.environment({"CONSUL_HTTP_ADDR": consul.address})
        with (tmp_path / f"{run}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def sections(path):
    return path.read_text().splitlines() if path.exists() else []


def test_two_plays_at_once_never_overlap(play, tmp_path):
    runs = [play(run, 0.5) for run in ("a", "b")]
    for run in runs:
        assert run.wait(120) == 0, "".join(log.read_text() for log in tmp_path.glob("*.log"))
    lines = sections(tmp_path / "sections")
    assert sorted(lines) == ["begin a", "begin b", "end a", "end b"]
    assert [line.split()[0] for line in lines] == ["begin", "end", "begin", "end"]
    assert lines[0].split()[1] == lines[1].split()[1]


def test_a_play_that_is_killed_leaves_the_lock_to_its_ttl(play, consul, tmp_path):
    first = play("a", 600)
    wait_for("the first section", lambda: sections(tmp_path / "sections"))
    second = play("b", 0)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    session = consul.get("/v1/kv/module-lock/play")[0]["Session"]
    (found,) = consul.get(f"/v1/session/info/{session}")
    assert (found["TTL"], found["LockDelay"], found["NodeChecks"]) == ("10s", 0, [])
    assert sections(tmp_path / "sections") == ["begin a"]
    # As Consul does up to 20 s later.
    consul.put(f"/v1/session/destroy/{session}")
    assert second.wait(240) == 0, (tmp_path / "b.log").read_text()
    assert sections(tmp_path / "sections") == ["begin a", "begin b", "end b"]
    assert "Session" not in consul.get("/v1/kv/module-lock/play")[0]
    assert "module-lock/play" not in json.dumps(consul.get("/v1/session/list"))

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_semaphore` with a real Consul: alone, and beside an app and `consul lock -n`."""

from __future__ import annotations

import base64
import json
import subprocess
import threading

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.semaphore import Semaphore

from ..conftest import consul_binary


def holders(agent, prefix):
    (found,) = agent.get(f"/v1/kv/{prefix}/.lock")
    return list(json.loads(base64.b64decode(found["Value"]))["Holders"] or {})


@pytest.fixture
def place(module):
    def call(prefix, limit=2, **options):
        return module("consul_semaphore", prefix=f"module-places/{prefix}", limit=limit, **options)

    return call


def test_a_place_is_held_over_several_tasks(ensure, keeps, datacenters):
    agent = datacenters.dc1
    semaphore = {"prefix": "module-places/a", "limit": 2}
    first = ensure("consul_semaphore", **semaphore, holder="web1", value="web1")
    second = ensure("consul_semaphore", **semaphore, holder="web2")
    assert sorted(holders(agent, "module-places/a")) == sorted([first["session"], second["session"]])
    (own,) = agent.get(f"/v1/kv/module-places/a/{first['session']}")
    assert (own["Session"], base64.b64decode(own["Value"]), own["ModifyIndex"]) == (first["session"], b"web1", first["token"])
    assert keeps("consul_semaphore", **semaphore, session=first["session"])["token"] == first["token"]
    ensure("consul_semaphore", **semaphore, holder="web1", state="released")
    assert holders(agent, "module-places/a") == [second["session"]]
    # It has no place, and the other one's is no hindrance.
    keeps("consul_semaphore", **semaphore, holder="web1", state="released")
    ensure("consul_semaphore", **semaphore, session=second["session"], state="released")
    assert agent.get("/v1/kv/module-places/a/?keys=1") == ["module-places/a/.lock"]
    assert not [one for one in agent.get("/v1/session/list") if "module-places/a" in one["Name"]]


def test_no_more_than_the_limit(place, datacenters):
    held = [place("limit")["session"] for _ in range(2)]
    refused = place("limit", wait="0")
    assert refused["failed"]
    assert all(session in refused["msg"] for session in held)
    assert [one["id"] for one in refused["holders"]] == sorted(held, key=holders(datacenters.dc1, "module-places/limit").index)
    assert place("limit", check=True, wait="0")["msg"] == refused["msg"]
    place("limit", session=held.pop(), state="released")
    held.append(place("limit", wait="0")["session"])
    for session in held:
        place("limit", session=session, state="released")


def test_an_app_and_a_play_share_its_places(place, datacenters):
    api = Api(**datacenters.options())
    app = Semaphore("module-places/shared", 2, client=api)
    with app:
        held = place("shared", wait="0")
        assert held["changed"], held
        assert not Semaphore("module-places/shared", 2, client=api, wait=0).acquire()
        assert place("shared", wait="0")["failed"]
        releasing = threading.Timer(0.5, app.release)
        releasing.start()
        second = place("shared", wait="60")
        releasing.join()
    assert second["changed"], second
    for one in (held, second):
        place("shared", session=one["session"], state="released")


def test_the_command_lock_shares_them_too(consul, place):
    options = {"agents": [consul.address], "token": None}
    held = [place("command", **options)["session"] for _ in range(2)]

    def run(timeout):
        command = [consul_binary(), "lock", f"-http-addr=http://{consul.address}", "-n=2", f"-timeout={timeout}", "module-places/command"]
        return subprocess.run([*command, "true"], capture_output=True, text=True, timeout=120, check=False)

    assert run("1s").returncode == 1
    place("command", session=held[0], state="released", **options)
    done = run("60s")
    assert done.returncode == 0, done.stderr
    place("command", session=held[1], state="released", **options)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"prefix": "/a"}, "prefix: '/a' must not start with a slash"),
        ({"limit": 0}, "limit: 0 is no whole number from 1"),
        ({"ttl": "1"}, "ttl: '1' is no duration"),
        ({"wait": "x"}, "wait: 'x' is no time to wait"),
        ({"session": "x"}, "session: 'x' is no id of a session"),
        ({"holder": ""}, "holder: '' is no name"),
        ({"value": "x" * 400_000}, "value: has 400000 bytes"),
        ({"state": "released"}, "any of the following are missing: session, holder"),
        ({"limit": "many"}, "unable to convert to int"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_semaphore", **{"prefix": "module-places/bad", "limit": 1, **params})


def test_another_limit_is_refused(place, fails):
    held = place("limits", limit=3)
    assert "its limit is 3, not 4" in fails("consul_semaphore", prefix="module-places/limits", limit=4)
    place("limits", limit=3, session=held["session"], state="released")


def test_the_oldest_consul(ensure, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_semaphore", prefix="module-places/oldest", limit=1, holder="x", **agent)
    ensure("consul_semaphore", prefix="module-places/oldest", limit=1, holder="x", state="released", **agent)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rotation of gossip's keys where agents are slow, or fail: no step begins before the one before it is done everywhere."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ServerError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.keyring import fingerprint, new_key
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.wire import Headers
from modules import run_module

OLD, NEW = new_key(), new_key()


class Agents:
    """Three agents, of which the last one does what it is asked at the second time only, or never."""

    def __init__(self, deaf: int = 1) -> None:
        self.deaf = deaf
        self.keys = [{OLD}, {OLD}, {OLD}]
        self.primary = [OLD, OLD, OLD]
        self.changes: list[tuple[str, str]] = []

    def request(self, _api, method, path, params=(), body=None, **_options):
        if method == "GET":
            counted = {key: sum(key in keys for keys in self.keys) for key in set().union(*self.keys)}
            primary = {key: self.primary.count(key) for key in set(self.primary)}
            ring = {"WAN": False, "Datacenter": "dc1", "Keys": counted, "PrimaryKeys": primary, "NumNodes": 3}
            return Answer(200, Headers(), json.dumps([ring]).encode(), f"GET {path}", "agent")
        key = json.loads(body)["Key"]
        self.changes.append((method, key))
        hears = self.changes.count((method, key)) > self.deaf
        for number in range(3 if hears else 2):
            # What would cut an agent off from the others.
            assert method != "PUT" or all(key in keys for keys in self.keys)
            assert method != "DELETE" or key not in self.primary
            if method == "PUT":
                self.primary[number] = key
            else:
                (self.keys[number].add if method == "POST" else self.keys[number].discard)(key)
        if not hears:
            raise ServerError(f"500 1/3 nodes reported failure: {key}", answer=f"1/3 nodes reported failure: {key}")
        return Answer(200, Headers(), b"", f"{method} {path}", "agent")


@pytest.fixture
def agents(monkeypatch):
    found = Agents()
    monkeypatch.setattr(Api, "request", lambda api, *arguments, **options: found.request(api, *arguments, **options))
    return found


def test_a_slow_agent_is_waited_for(agents):
    result = run_module("consul_keyring", primary=NEW, purge=True)
    assert result["changed"], result
    assert (agents.keys, agents.primary) == ([{NEW}] * 3, [NEW] * 3)
    assert agents.changes == [("POST", NEW)] * 2 + [("PUT", NEW)] * 2 + [("DELETE", OLD)] * 2
    assert result["diff"]["before"]["dc1"] == {"primary": {fingerprint(OLD): "3 of 3"}, "keys": {fingerprint(OLD): "3 of 3"}}


def test_an_agent_that_never_does_it_ends_the_rotation_where_it_is_safe(agents):
    agents.deaf = 1000
    result = run_module("consul_keyring", primary=NEW, purge=True, wait="1s")
    assert result["failed"]
    assert result["changed"]
    assert f"install of the key {fingerprint(NEW)}: not every agent of dc1 has done it after 1 s" in result["msg"]
    assert "1/3 nodes reported failure" in result["msg"]
    assert {method for method, _key in agents.changes} == {"POST"}
    assert result["rings"][0]["keys"] == {fingerprint(OLD): 3, fingerprint(NEW): 2}
    for key in (OLD, NEW):
        assert key not in json.dumps(result)


def test_what_an_interrupted_run_left_is_completed(agents):
    agents.keys[0].add(NEW)
    assert run_module("consul_keyring", check=True, primary=NEW)["diff"]["before"]["dc1"]["keys"][fingerprint(NEW)] == "1 of 3"
    run_module("consul_keyring", primary=NEW)
    assert (agents.keys, agents.primary) == ([{OLD, NEW}] * 3, [NEW] * 3)
    assert not run_module("consul_keyring", primary=NEW)["changed"]

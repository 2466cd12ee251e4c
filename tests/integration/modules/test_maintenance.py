# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_maintenance` with a real Consul."""

from __future__ import annotations

import threading

import pytest


@pytest.fixture
def own(consul_agents):
    """An agent of the test's own, since the maintenance of a node is everybody's."""
    return consul_agents()


def test_of_a_node_and_of_a_service(ensure, keeps, own):
    agent = {"agents": [own.address], "token": None}
    own.put("/v1/agent/service/register", {"Name": "web", "ID": "web-1"})
    for of in ({}, {"service_id": "web-1"}):
        keeps("consul_maintenance", state="disabled", **of, **agent)
        assert ensure("consul_maintenance", reason="deploy of 2.1", **of, **agent)["enabled"]
        # Without a reason, the one that there is stands.
        keeps("consul_maintenance", **of, **agent)
        assert own.get("/v1/health/service/web?passing=1") == []
        ensure("consul_maintenance", reason="deploy of 2.2", **of, **agent)
        assert [check["Notes"] for check in own.get("/v1/agent/checks").values()] == ["deploy of 2.2"]
        assert not ensure("consul_maintenance", state="disabled", **of, **agent)["enabled"]
        ensure("consul_maintenance", **of, **agent)
        ensure("consul_maintenance", state="disabled", **of, **agent)
    assert own.get("/v1/agent/checks") == {}


def test_nobody_gets_traffic_while_the_reason_changes(module, own):
    own.put("/v1/agent/service/register", {"Name": "web"})
    agent = {"agents": [own.address], "token": None, "service_id": "web"}
    module("consul_maintenance", reason="0", **agent)
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            seen.append(own.get("/v1/agent/health/service/id/web")["AggregatedStatus"])

    looking = threading.Thread(target=look)
    original, own.get = own.get, lambda path: _get_any_status(own, path)
    looking.start()
    try:
        for number in range(10):
            assert module("consul_maintenance", reason=str(number), **agent).get("failed") is None
    finally:
        over.set()
        looking.join()
        own.get = original
    assert seen
    assert set(seen) <= {"maintenance", "critical"}


def _get_any_status(agent, path):
    """The answer of an endpoint whose status of HTTP is the service's."""
    import json
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://{agent.address}{path}", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


def test_a_service_that_there_is_not(fails):
    for state in ("enabled", "disabled"):
        assert "the agent has no service maintenance-none" in fails("consul_maintenance", service_id="maintenance-none", state=state)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"service_id": "a\nb"}, "service_id: 'a\\nb' is no name"),
        ({"reason": "x" * 600}, "reason: is 600 characters long"),
        ({"state": "present"}, "value of state must be one of: enabled, disabled"),
        ({"agents": ["127.0.0.1:1", "127.0.0.1:2"]}, "maintenance belongs to one agent"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_maintenance", **params)


def test_the_oldest_consul(ensure, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    for reason in ("a", "b"):
        ensure("consul_maintenance", reason=reason, **agent)
    ensure("consul_maintenance", state="disabled", **agent)

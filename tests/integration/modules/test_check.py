# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_check` with a real Consul."""

from __future__ import annotations

import pytest


@pytest.fixture
def check(datacenters):
    return lambda check_id: datacenters.dc1.get("/v1/agent/checks").get(check_id)


def test_a_check_of_the_node_is_registered_once(ensure, keeps, check):
    terms = {"id": "check-node", "name": "Of the node", "notes": "why", "tcp": "127.0.0.1:1", "interval": "90s"}
    assert ensure("consul_check", **terms)["checks"] == [{"id": "check-node", "result": "created"}]
    assert (check("check-node")["Name"], check("check-node")["ServiceID"], check("check-node")["Type"]) == ("Of the node", "", "tcp")
    keeps("consul_check", **terms | {"interval": "1m30s"})
    for change in (
        {"tcp": "127.0.0.1:2"},
        {"interval": "2m"},
        {"notes": None},
        {"failures_before_critical": 3},
        {"name": "other"},
        {"check_timeout": "3s"},
    ):
        ensure("consul_check", **terms | change)
    ensure("consul_check", id="check-node", state="absent")
    assert check("check-node") is None


def test_what_a_ttl_check_is_told_is_a_change_only_when_it_is_news(ensure, keeps, module, check):
    module("consul_check", id="check-ttl", ttl="1h")
    assert check("check-ttl")["Status"] == "critical"
    for told in ({"status": "passing", "output": "all well"}, {"status": "warning", "output": "so so"}, {"status": "warning"}):
        ensure("consul_check", id="check-ttl", **told)
        assert (check("check-ttl")["Status"], check("check-ttl")["Output"]) == (told["status"], told.get("output", ""))
    # With its definition beside it, and both at once.
    ensure("consul_check", id="check-ttl", ttl="1h", status="passing", output="fine")
    ensure("consul_check", id="check-ttl", ttl="2h", status="critical")
    # Without a status it keeps the one that it has.
    ensure("consul_check", id="check-ttl", ttl="3h")
    assert check("check-ttl")["Status"] == "critical"
    ensure("consul_check", name="check-ttl", state="absent")


def test_checks_of_a_service_stay_when_the_service_changes(module, ensure, keeps, check):
    module("consul_service", name="check-service", checks=[{"ttl": "1h"}])
    both = [
        {"id": "check-one", "service_id": "check-service", "http": "http://127.0.0.1:1/", "interval": "60s"},
        {"id": "check-two", "service_id": "check-service", "ttl": "1h", "status": "passing"},
    ]
    both[0]["secret_header"] = {"Authorization": "Bearer very-secret"}
    assert "very-secret" not in str(ensure("consul_check", checks=both))
    assert ensure("consul_check", checks=[both[0] | {"secret_header": {"Authorization": "x"}}])["checks"][0]["result"] == "updated"
    module("consul_check", checks=both)
    keeps("consul_service", name="check-service", checks=[{"ttl": "1h"}])
    module("consul_service", name="check-service", port=80, checks=[{"ttl": "1h"}])
    assert check("check-two")["Status"] == "passing"
    keeps("consul_check", checks=both)
    ensure("consul_check", checks=[{"id": "check-one"}, {"id": "check-two"}, {"id": "check-none"}], state="absent")
    module("consul_service", name="check-service", state="absent")


def test_what_can_not_be_told(module, fails):
    assert "the agent has no check check-none" in fails("consul_check", id="check-none", status="passing")
    module("consul_check", id="check-tcp", tcp="127.0.0.1:1", interval="60s")
    assert "check-tcp is of type tcp, and only a TTL check" in fails("consul_check", id="check-tcp", status="passing")
    module("consul_check", id="check-tcp", state="absent")
    assert "nowhere" in module("consul_check", id="check-x", ttl="1h", service_id="nowhere")["msg"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "one of the following is required: id, name, checks"),
        ({"id": "x"}, "check x is of no kind, such as ttl, and has no status"),
        ({"id": "x", "interval": "10s"}, "a check is one of ttl, http"),
        ({"id": "x", "ttl": "1h", "output": "x"}, "output: goes with the status of a TTL check"),
        ({"id": "x", "tcp": "a:1", "interval": "10s", "status": "passing", "output": "x"}, "output: goes with the status"),
        ({"id": "a\nb", "ttl": "1h"}, "id: 'a\\nb' is no name"),
        ({"checks": [{"ttl": "1h"}]}, "checks[0]: name: None is no name"),
        ({"id": "x", "ttl": "1h", "service_id": " "}, "service_id: ' ' is no name"),
        ({"id": "x", "ttl": "1h", "agents": ["127.0.0.1:1", "127.0.0.1:2"]}, "a registration belongs to one agent"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_check", **params)


def test_what_was_done_before_a_failure_is_told(module):
    # Agents of this system know no services of the operating system.
    several = [{"id": "check-first", "ttl": "1h"}, {"id": "check-second", "os_service": "x", "interval": "10s"}]
    result = module("consul_check", checks=several)
    assert result["failed"]
    assert result["changed"]
    assert result["done"] == [{"id": "check-first", "result": "created"}]
    assert "check check-second: 500" in result["msg"]
    assert "done" not in module("consul_check", checks=several, state="absent")


def test_the_oldest_consul(ensure, fails, module, consul_oldest):
    own = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_check", id="check-old", ttl="1h", status="passing", output="x", **own)
    ensure("consul_check", id="check-old", status="warning", **own)
    several = [{"id": "check-new", "ttl": "1h"}, {"id": "check-newer", "udp": "a:1", "interval": "60s"}]
    assert "too old for UDP, and nothing was changed" in fails("consul_check", checks=several, **own)
    assert "nowhere" in module("consul_check", id="check-x", ttl="1h", service_id="nowhere", **own)["msg"]
    ensure("consul_check", id="check-old", state="absent", **own)

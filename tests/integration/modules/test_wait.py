# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_wait` with a real Consul, which changes, is restarted, and is away."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest


@contextlib.contextmanager
def meanwhile(*steps, after=0.5):
    """Does the steps one after the other in the background; an error of theirs is the test's."""
    errors = []

    def run():
        try:
            for step in steps:
                time.sleep(after)
                step()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert not errors


def came_true(result):
    assert not result.get("failed"), result
    assert not result["changed"]
    assert result["fulfilled"]
    assert "diff" not in result
    return result


def register(agent, number, status="passing", *tags):
    service = {"Name": "module-wait", "ID": f"module-wait-{number}", "Port": 80, "Tags": tags}
    agent.put("/v1/agent/service/register", {**service, "Check": {"TTL": "1h", "Status": status, "CheckID": f"module-wait-{number}"}})


def test_a_leader(module, datacenters):
    for options in ({}, {"datacenter": "dc2"}, {"token": "", "wait_timeout": "0"}):
        found = came_true(module("consul_wait", leader=True, **options))["found"]
        agent = datacenters.dc2 if "datacenter" in options else datacenters.dc1
        assert found == f"127.0.0.1:{agent.server_port}"


def test_instances_of_a_service(module, datacenters):
    agent = datacenters.dc1
    register(agent, 1, "passing", "v2")
    register(agent, 2, "critical", "v2")
    register(agent, 3, "passing", "v1")
    try:
        wanted = {"service": "module-wait", "tags": ["v2"], "count": 2}
        failed = module("consul_wait", wait_timeout="0", **wanted)
        assert failed["failed"]
        said = "of service module-wait, 1 of 2 instances are passing, and 2 should be (module-wait-2 of node1: critical)"
        assert failed["msg"] == f"it did not come true within 0 s: {said}"
        assert failed["fulfilled"] is False
        looked = module("consul_wait", check=True, **wanted)
        assert (looked["fulfilled"], looked["changed"], "failed" in looked) == (False, False, False)
        with meanwhile(lambda: agent.put("/v1/agent/check/pass/module-wait-2")):
            result = came_true(module("consul_wait", wait_timeout="60s", **wanted))
        assert [one["id"] for one in result["found"]] == ["module-wait-1", "module-wait-2"]
        assert [one["said"] for one in result["progress"]] == [
            said,
            "of service module-wait, 2 of 2 instances are passing, and 2 should be",
        ]
        assert 0.4 < result["progress"][1]["after"] <= result["elapsed"]
        came_true(module("consul_wait", service="module-wait", filter="Service.Port == 80", status="any", count=3, wait_timeout="0"))
        assert module("consul_wait", service="module-wait", filter="Service.Port == 81", wait_timeout="0")["failed"]
        with meanwhile(lambda: agent.put("/v1/agent/service/deregister/module-wait-3")):
            came_true(module("consul_wait", service="module-wait", tags=["v1"], status="any", state="absent", wait_timeout="60s"))
    finally:
        for number in (1, 2, 3):
            with contextlib.suppress(OSError):
                agent.put(f"/v1/agent/service/deregister/module-wait-{number}")


def test_a_key(module, datacenters):
    agent = datacenters.dc1
    with meanwhile(lambda: agent.put("/v1/kv/module-wait/key", b"first"), lambda: agent.put("/v1/kv/module-wait/key", b"wanted")):
        result = came_true(module("consul_wait", key="module-wait/key", value="wanted", wait_timeout="60"))
    assert [one["said"] for one in result["progress"]] == [
        "there is no key module-wait/key",
        "the key module-wait/key has another value",
        "the key module-wait/key has that value",
    ]
    assert result["found"]["key"] == "module-wait/key"
    assert "first" not in str(result)
    came_true(module("consul_wait", key="module-wait/key", wait_timeout="0"))
    came_true(module("consul_wait", key="module-wait/key", value="other", state="absent", wait_timeout="0"))
    with meanwhile(lambda: agent.request("DELETE", "/v1/kv/module-wait/key")):
        came_true(module("consul_wait", key="module-wait/key", state="absent", wait_timeout="60"))
    began = time.monotonic()
    assert module("consul_wait", key="module-wait/key", wait_timeout="1")["failed"]
    assert time.monotonic() - began >= 1


def test_a_node(module, datacenters):
    agent = datacenters.dc1
    came_true(module("consul_wait", node="node1", wait_timeout="0"))
    came_true(module("consul_wait", node="node2", datacenter="dc2", wait_timeout="0"))
    node = {"Node": "module-wait", "Address": "127.0.0.9"}
    check = {"CheckID": "up", "Name": "up", "Status": "critical"}
    with meanwhile(
        lambda: agent.put("/v1/catalog/register", {**node, "Check": check}),
        lambda: agent.put("/v1/catalog/register", {**node, "Check": {**check, "Status": "passing"}}),
    ):
        result = came_true(module("consul_wait", node="module-wait", wait_timeout="60s"))
    assert result["found"] == [{"id": "up", "name": "up", "status": "passing", "output": ""}]
    assert result["progress"][0]["said"] == "node module-wait has no check, or is not known"
    with meanwhile(lambda: agent.put("/v1/catalog/deregister", node)):
        came_true(module("consul_wait", node="module-wait", status="any", state="absent", wait_timeout="60s"))


def test_consul_is_restarted_meanwhile(module, consul_agents):
    agent = consul_agents(persistent=True)
    options = {"agents": [agent.address], "token": None, "key": "late", "wait_timeout": "120s"}
    with meanwhile(agent.stop, agent.start, lambda: agent.put("/v1/kv/late", b"")):
        result = came_true(module("consul_wait", **options))
    assert any(one["said"].startswith("Consul can't be asked: ") for one in result["progress"])
    agent.stop()
    with meanwhile(agent.start, after=1):
        came_true(module("consul_wait", agents=[agent.address], token=None, leader=True, wait_timeout="120s"))
    agent.stop()
    failed = module("consul_wait", agents=[agent.address], token=None, leader=True, wait_timeout="1")
    assert "no Consul agent answered" in failed["msg"]
    assert failed["progress"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "one of the following is required: leader, service, key, node"),
        ({"leader": True, "key": "a"}, "mutually exclusive: leader|service|key|node"),
        ({"leader": False}, "leader: only the presence of one can be waited for"),
        ({"leader": True, "state": "absent"}, "leader: only the presence of one can be waited for"),
        ({"service": "a\nb"}, "service: 'a\\nb' is no name"),
        ({"service": "web", "count": 0}, "count: 0 is no whole number from 1"),
        ({"service": "web", "tags": [""]}, "tags: '' is no name"),
        ({"key": "a", "tags": ["b"]}, "tags: is of instances, and so goes with service"),
        ({"node": "a", "count": 2}, "count: is of instances, and so goes with service"),
        ({"service": "web", "value": "x"}, "missing parameter(s) required by 'value': key"),
        ({"service": "web", "filter": "no such thing"}, "Failed to create boolean expression"),
        ({"key": "/a"}, "key: '/a' must not start with a slash"),
        ({"key": "a", "wait_timeout": "soon"}, "wait_timeout: 'soon' is no time to wait"),
        ({"node": " "}, "node: ' ' is no name"),
        ({"key": "a", "agents": ["http://a b"]}, "agents: 'http://a b' is no address"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_wait", **params)


def test_a_token_that_may_not(module, datacenters):
    token = datacenters.dc1.put("/v1/acl/token", {})["SecretID"]
    message = module("consul_wait", key="module-wait/acl", token=token, wait_timeout="60s")["msg"]
    assert "lacks permission 'key:read'" in message
    assert token not in message


def test_the_oldest_consul(module, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None, "wait_timeout": "30s"}
    came_true(module("consul_wait", leader=True, **agent))
    came_true(module("consul_wait", service="consul", **agent))
    came_true(module("consul_wait", node="node1", **agent))
    came_true(module("consul_wait", key="module-wait/none", state="absent", **agent))

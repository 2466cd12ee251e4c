# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_event` with a real Consul."""

from __future__ import annotations

import base64

import pytest
from polling import wait_for


def received(agent, name, count):
    def look():
        found = agent.get(f"/v1/event/list?name={name}")
        return found if len(found) >= count else None

    return wait_for("the events arrive", look)


def test_each_run_fires_another_one(module, datacenters):
    datacenters.dc1.put("/v1/agent/service/register", {"Name": "module-event"})
    event = {"name": "module-event", "payload": "4711 é", "service": "^module-e"}
    foreseen = module("consul_event", check=True, **event)
    assert foreseen["changed"]
    assert foreseen["diff"]["after"] == event
    fired = [module("consul_event", **event) for _ in range(2)]
    assert all(one["diff"] == foreseen["diff"] for one in fired)
    found = received(datacenters.dc1, "module-event", 2)
    assert sorted(one["ID"] for one in found) == sorted(one["event"]["id"] for one in fired)
    assert base64.b64decode(found[0]["Payload"]).decode() == fired[0]["event"]["payload"] == "4711 é"
    assert found[0]["ServiceFilter"] == fired[0]["event"]["service_filter"] == "^module-e"
    datacenters.dc1.put("/v1/agent/service/deregister/module-event")


def test_one_in_another_datacenter(module, datacenters):
    assert module("consul_event", name="module-event-far", datacenter="dc2")["changed"]
    received(datacenters.dc2, "module-event-far", 1)
    assert datacenters.dc1.get("/v1/event/list?name=module-event-far") == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": ""}, "name: '' is no name"),
        ({"payload": "x" * 600}, "payload: with the name it has 601 bytes, and an event may have 512"),
        ({"node": "a\nb"}, "node: 'a\\nb' is no name"),
        ({"tag": "x"}, "missing parameter(s) required by 'tag': service"),
        ({"name": None}, "missing required arguments: name"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_event", **{"name": "e", **params})


def test_the_oldest_consul(module, consul_oldest):
    assert module("consul_event", name="module-event", agents=[consul_oldest.address], token=None)["changed"]
    received(consul_oldest, "module-event", 1)

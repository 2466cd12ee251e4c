# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_intention` with a real Consul, and with one that has intentions of another kind."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Intentions
from modules import run_module


def allow(source, destination, **more):
    return {"source": source, "destination": destination, "action": "allow", **more}


def test_one_leaves_the_others_of_its_destination(ensure, keeps, datacenters):
    given = {"Name": "intent-b", "Action": "allow", "Description": "there before"}
    datacenters.dc1.put("/v1/config", {"Kind": "service-intentions", "Name": "intent-db", "Meta": {"a": "b"}, "Sources": [given]})
    (made,) = ensure("consul_intention", **allow("intent-a", "intent-db", description="x"))["intentions"]
    assert made == {**allow("intent-a", "intent-db"), "source_peer": None, "permissions": [], "description": "x", "meta": {"a": "b"}}
    ensure("consul_intention", source="intent-a", destination="intent-db", action="deny")
    keeps("consul_intention", source="intent-a", destination="intent-db", action="deny", meta={"a": "b"})
    sources = datacenters.dc1.get("/v1/config/service-intentions/intent-db")["Sources"]
    assert [(one["Name"], one["Action"], one.get("Description")) for one in sources] == [
        ("intent-b", "allow", "there before"),
        ("intent-a", "deny", None),
    ]
    ensure("consul_intention", source="intent-b", destination="intent-db", state="absent")
    ensure("consul_intention", source="intent-a", destination="intent-db", state="absent")
    keeps("consul_intention", source="intent-a", destination="intent-db", state="absent")
    assert not [one for one in datacenters.dc1.get("/v1/config/service-intentions") if one["Name"] == "intent-db"]


def test_several_of_several_destinations_and_nobody_else(ensure, keeps, datacenters):
    several = [allow(f"intent-{letter}", f"intent-{number}") for number in "12" for letter in "ab"]
    several.append({"source": "intent-far", "source_peer": "intent-peer", "destination": "intent-1", "action": "deny"})
    several.append({"source": "*", "destination": "intent-1", "action": "deny"})
    assert len(ensure("consul_intention", intentions=several, meta=None)["intentions"]) == 6
    keeps("consul_intention", intentions=several[::-1])
    keeps("consul_intention", intentions=several[:1])
    left = ensure("consul_intention", intentions=several[:1], purge=True)["intentions"]
    assert [one["source"] for one in left] == ["intent-a"]
    assert len(datacenters.dc1.get("/v1/config/service-intentions/intent-2")["Sources"]) == 2
    ensure("consul_intention", intentions=[{"source": one["source"], "destination": one["destination"]} for one in several], state="absent")


def test_permissions(ensure, keeps, module):
    module("consul_config_entry", kind="service-defaults", name="intent-http", definition={"protocol": "http"})
    http = {"path_prefix": "/api", "methods": ["get"], "header": [{"name": "x-a", "present": True}]}
    given = {"source": "intent-a", "destination": "intent-http"}
    made = ensure("consul_intention", **given, permissions=[{"action": "allow", "http": http}])["intentions"]
    assert made[0]["permissions"] == [{"action": "allow", "http": {**http, "methods": ["GET"]}}]
    keeps("consul_intention", **given, permissions=[{"Action": "allow", "HTTP": {**http, "methods": ["GET"]}}])
    ensure("consul_intention", **given, action="allow")
    ensure("consul_intention", **given, state="absent")


def test_nothing_is_lost_when_many_write_at_once(datacenters):
    letters = "abcdefgh"
    results = []

    def write(letter):
        # In-process modules share standard output, so the library stands for them here.
        api = Api(agents=[datacenters.dc1.address], token=datacenters.token, timeout=60)
        results.append(Intentions(api).ensure(f"intent-{letter}", "intent-busy", action="allow"))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in letters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    sources = datacenters.dc1.get("/v1/config/service-intentions/intent-busy")["Sources"]
    assert sorted(one["Name"] for one in sources) == [f"intent-{letter}" for letter in letters]
    intentions = Intentions(Api(agents=[datacenters.dc1.address], token=datacenters.token))
    assert [intentions.remove(f"intent-{letter}", "intent-busy") for letter in letters] == [True] * 8
    assert intentions.remove("intent-a", "intent-busy") is False


def test_the_primary_datacenter_counts(ensure, datacenters):
    ensure("consul_intention", **allow("intent-a", "intent-primary"), **datacenters.options(datacenters.dc2))
    ensure("consul_intention", source="intent-a", destination="intent-primary", state="absent", datacenter="dc2")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (allow("", "x"), "source: '' is no name"),
        (allow("a", "x", permissions=[{"action": "allow"}]), "action: a to x needs an action or permissions, and one of them only"),
        ({"intentions": [allow("a", "x"), allow("a", "x")]}, "intentions[1]: a to x is given twice"),
        ({"intentions": [{"destination": "x"}]}, "intentions[0]: source: None is no name"),
        (
            {"intentions": [allow("a", "x", meta={"a": "1"}), allow("b", "x", meta={"a": "2"})]},
            "intentions[1]: meta: is another than before",
        ),
        ({"intentions": [{"source": "a", "destination": "x"}]}, "intentions[0]: action: a to x needs an action or permissions"),
        (allow("a", "x", action=None, permissions=[{"action": "maybe"}]), "Action"),
        (allow("a", "x", action=None, permissions=[{"action": "allow", "https": {}}]), "Consul knows no field"),
        ({"source": "a", "destination": "x", "state": "absent", "purge": True}, "purge: removes what the task does not list"),
        ({"source": "a"}, "destination"),
        ({}, "one of the following is required: source, intentions"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_intention", **params)


def test_without_permission(fails, datacenters):
    rule = 'service "intent-x" { policy = "read" } agent_prefix "" { policy = "read" }'
    datacenters.dc1.put("/v1/acl/policy", {"Name": "intent-reader", "Rules": rule})
    token = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"Name": "intent-reader"}]})["SecretID"]
    message = fails("consul_intention", **allow("a", "intent-x"), token=token)
    assert "403" in message
    assert "The token needs that permission" in message


def test_the_oldest_consul(ensure, keeps, fails, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    ensure("consul_intention", **allow("intent-a", "intent-old", description="x", meta={"a": "b"}), **agent)
    keeps("consul_intention", **allow("intent-a", "intent-old", description="x"), **agent)
    ensure("consul_intention", source="intent-a", destination="intent-old", action="deny", **agent)
    (found,) = consul_oldest.get("/v1/connect/intentions")
    assert (found["Action"], found["Description"], found["Meta"]) == ("deny", "", {"a": "b"})
    ensure("consul_intention", intentions=[allow("intent-b", "intent-old")], purge=True, **agent)
    assert [one["SourceName"] for one in consul_oldest.get("/v1/connect/intentions")] == ["intent-b"]
    message = fails("consul_intention", source="a", destination="intent-old", permissions=[{"action": "allow"}], **agent)
    assert "permissions: Consul before 1.9 has intentions with an action only" in message
    assert "source_peer: Consul before 1.9" in fails("consul_intention", **allow("a", "b", source_peer="x"), **agent)
    ensure("consul_intention", source="intent-b", destination="intent-old", state="absent", **agent)
    assert consul_oldest.get("/v1/connect/intentions") == []
    assert run_module("consul_intention", source="intent-b", destination="intent-old", state="absent", **agent)["intentions"] == []

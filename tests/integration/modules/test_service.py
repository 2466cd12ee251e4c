# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_service` with a real Consul: what it registers, that a second run finds nothing to do, and whose services it lets be."""

from __future__ import annotations

import pytest

EVERY_CHECK = [
    {
        "http": "http://127.0.0.1:1/health",
        "method": "POST",
        "header": {"X-A": ["1", "2"], "X-B": "3"},
        "secret_header": {"Authorization": "Bearer very-secret-value"},
        "body": "{}",
        "interval": "90s",
        "timeout": "1500ms",
        "success_before_passing": 2,
        "failures_before_warning": 2,
        "failures_before_critical": 3,
        "deregister_critical_service_after": "2h",
        "disable_redirects": True,
        "tls_server_name": "x",
        "tls_skip_verify": True,
        "output_max_size": 100,
    },
    {"id": "own-id", "name": "port", "notes": "n", "tcp": "127.0.0.1:1", "tcp_use_tls": True, "interval": "1m"},
    {"udp": "127.0.0.1:1", "interval": "60s"},
    {"grpc": "127.0.0.1:1/health", "grpc_use_tls": True, "interval": "60s"},
    {"h2ping": "127.0.0.1:1", "h2ping_use_tls": False, "interval": "60s"},
    {"ttl": "1h", "status": "passing"},
    {"args": ["/bin/true", "a b"], "interval": "60s"},
    {"alias_service": "module-other"},
]
FULL = {
    "name": "module-full",
    "id": "module-full-1",
    "address": "192.0.2.1",
    "port": 8080,
    "tags": ["b", "a"],
    "meta": {"version": 2.5, "on": True, "text": "x"},
    "weights": {"passing": 10, "warning": 2},
    "tagged_addresses": {"wan": {"address": "192.0.2.2", "port": 80}},
    "checks": EVERY_CHECK,
}


@pytest.fixture
def agent(datacenters):
    return datacenters.dc1


@pytest.fixture
def checks_of(agent):
    return lambda service_id: {
        check_id: check for check_id, check in agent.get("/v1/agent/checks").items() if check["ServiceID"] == service_id
    }


def test_a_service_with_every_kind_of_check(ensure, keeps, module, agent, checks_of):
    assert ensure("consul_service", **FULL)["services"] == [{"id": "module-full-1", "name": "module-full", "result": "created"}]
    there = agent.get("/v1/agent/service/module-full-1")
    assert (there["Port"], there["Weights"]) == (8080, {"Passing": 10, "Warning": 2})
    assert {key: there["Meta"][key] for key in FULL["meta"]} == {"version": "2.5", "on": "true", "text": "x"}
    assert {check["Type"] for check in checks_of("module-full-1").values()} == {
        *("http", "tcp", "udp", "grpc", "h2ping", "ttl", "script", "alias"),
    }
    # The same, written in another way.
    keeps("consul_service", **FULL | {"tags": ["a", "b"], "meta": {"version": "2.5", "on": "true", "text": "x"}})
    other = [EVERY_CHECK[0] | {"interval": "1m30s", "deregister_critical_service_after": "120m"}, *EVERY_CHECK[1:]]
    keeps("consul_service", **FULL | {"checks": other})
    ensure("consul_service", id="module-full-1", state="absent")
    assert checks_of("module-full-1") == {}


@pytest.mark.parametrize(
    "change",
    [
        {"port": 8081},
        {"address": "192.0.2.9"},
        {"tags": []},
        {"meta": {}},
        {"weights": {"passing": 1}},
        {"tagged_addresses": {}},
        {"enable_tag_override": True},
        {"connect": {"native": True}},
        {"checks": []},
        {"checks": EVERY_CHECK[1:]},
        *({"checks": [EVERY_CHECK[0] | one, *EVERY_CHECK[1:]]} for one in (
            {"http": "http://127.0.0.1:1/other"}, {"interval": "91s"}, {"timeout": "1s"}, {"body": "x"}, {"method": "GET"},
            {"header": {}}, {"secret_header": {"Authorization": "other"}}, {"success_before_passing": 1}, {"notes": "x"},
            {"deregister_critical_service_after": "3h"}, {"tls_skip_verify": False}, {"tcp": "127.0.0.1:1", "http": None},
        )),
    ],
)  # fmt: skip
def test_every_part_that_changes_is_seen(module, ensure, change):
    module("consul_service", **FULL)
    before = {key: value for key, value in FULL.items() if key not in change}
    done = ensure("consul_service", **{**before, **change})
    assert done["services"][0]["result"] == "updated"
    assert "very-secret-value" not in str(done)


def test_what_others_changed_is_put_right(module, ensure, agent):
    service = {"name": "module-drift", "port": 80, "checks": [{"ttl": "1h"}]}
    for change in (
        lambda: agent.put("/v1/agent/check/deregister/service:module-drift"),
        lambda: agent.put("/v1/agent/check/register", {"Name": "extra", "ServiceID": "module-drift", "TTL": "1h"}),
        lambda: agent.put("/v1/agent/service/register", {"Name": "module-drift", "Port": 80, "Check": {"TTL": "1h"}}),
        lambda: agent.put("/v1/agent/service/register", {"Name": "module-drift", "Port": 81}),
    ):
        module("consul_service", **service)
        change()
        ensure("consul_service", **service)
    ensure("consul_service", name="module-drift", state="absent")


def test_a_check_keeps_its_status_and_a_service_its_maintenance(module, ensure, agent, checks_of):
    service = {"name": "module-kept", "checks": [{"ttl": "1h"}, {"id": "second", "ttl": "1h"}]}
    module("consul_service", **service)
    agent.put("/v1/agent/check/update/service:module-kept", {"Status": "warning", "Output": "so so"})
    agent.put("/v1/agent/service/maintenance/module-kept?enable=true&reason=deploy")
    module("consul_service", **service | {"port": 81})
    # One check goes, the other one and the maintenance stay.
    ensure("consul_service", name="module-kept", port=82, checks=[{"ttl": "1h"}])
    found = checks_of("module-kept")
    assert set(found) == {"service:module-kept", "_service_maintenance:module-kept"}
    assert (found["service:module-kept"]["Status"], found["service:module-kept"]["Output"]) == ("warning", "so so")
    module("consul_service", name="module-kept", state="absent")


def test_the_status_that_a_check_begins_with_is_no_change_later(module, keeps, checks_of):
    module("consul_service", name="module-begin", checks=[{"ttl": "1h", "status": "passing"}])
    assert checks_of("module-begin")["service:module-begin"]["Status"] == "passing"
    keeps("consul_service", name="module-begin", checks=[{"ttl": "1h", "status": "critical"}])
    module("consul_service", name="module-begin", state="absent")


def test_tags_that_others_may_change_stay_changed(module, keeps, ensure, agent, datacenters):
    service = {"name": "module-override", "tags": ["own"], "enable_tag_override": True}
    module("consul_service", **service)
    entry = agent.get("/v1/catalog/node/node1")["Services"]["module-override"]
    body = {"Node": "node1", "SkipNodeUpdate": True, "Service": entry | {"Tags": ["others"]}}
    agent.put("/v1/catalog/register", body)
    keeps("consul_service", **service)
    agent.put(
        "/v1/agent/service/register", {"Name": "module-override", "Tags": ["others"], "EnableTagOverride": True, "Meta": entry["Meta"]}
    )
    keeps("consul_service", **service)
    ensure("consul_service", **service | {"tags": ["new"]})
    module("consul_service", name="module-override", state="absent")


def test_a_sidecar_comes_and_goes_with_its_service(module, ensure, keeps, agent):
    upstream = {"destination_name": "db", "local_bind_port": 19191}
    service = {"name": "module-mesh", "port": 9090}
    sidecar = {"connect": {"sidecar_service": {"proxy": {"upstreams": [upstream], "config": {"a_b": 1}}}}}
    ensure("consul_service", **service, **sidecar)
    proxy = agent.get("/v1/agent/service/module-mesh-sidecar-proxy")["Proxy"]
    assert proxy["Upstreams"][0]["LocalBindPort"] == 19191
    assert proxy["Config"]["a_b"] == 1
    changed = {"connect": {"sidecar_service": {"proxy": {"upstreams": [upstream | {"local_bind_port": 19192}]}}}}
    ensure("consul_service", **service, **changed)
    # Somebody removed it.
    agent.put("/v1/agent/service/deregister/module-mesh-sidecar-proxy")
    ensure("consul_service", **service, **changed)
    ensure("consul_service", **service)
    assert "module-mesh-sidecar-proxy" not in agent.get("/v1/agent/services")
    own = {"name": "module-mesh-proxy", "kind": "connect-proxy", "port": 21900}
    ensure("consul_service", **own, proxy={"destination_service_name": "module-mesh", "upstreams": [upstream]})
    ensure("consul_service", **own, proxy={"destination_service_name": "module-mesh"})
    for name in ("module-mesh", "module-mesh-proxy"):
        ensure("consul_service", name=name, state="absent")


def test_many_in_one_task_and_only_its_own_are_purged(consul_agents, module, ensure, keeps):
    agent = consul_agents()
    own = {"agents": [agent.address], "token": None}
    agent.put("/v1/agent/service/register", {"Name": "others"})
    agent.put("/v1/agent/service/register", {"Name": "running", "Meta": {"uwsgi-instance": "nonce"}})
    services = [{"name": "many", "id": f"many-{number}", "port": 8000 + number, "checks": [{"ttl": "1h"}]} for number in range(20)]
    services[0]["connect"] = {"sidecar_service": {}}
    services[0]["checks"] = [{"alias_node": "node1"}]
    done = ensure("consul_service", services=services, purge=True, **own)
    assert {one["result"] for one in done["services"]} == {"created"}
    done = ensure("consul_service", services=[services[0], services[1] | {"port": 9000}], purge=True, **own)
    assert [one["result"] for one in done["services"]] == ["unchanged", "updated"] + ["removed"] * 18
    assert set(agent.get("/v1/agent/services")) == {"others", "running", "many-0", "many-0-sidecar-proxy", "many-1"}
    ensure("consul_service", services=[], purge=True, **own)
    assert set(agent.get("/v1/agent/services")) == {"others", "running"}


@pytest.mark.parametrize("oldest", [False, True])
def test_a_check_that_moves_between_services_stays(consul_oldest, ensure, module, oldest):
    own = {"agents": [consul_oldest.address], "token": None} if oldest else {}
    moving = {"checks": [{"id": "module-moving", "ttl": "1h"}]}
    one, other = {"name": "module-one"}, {"name": "module-other"}
    ensure("consul_service", services=[one | moving, other], **own)
    ensure("consul_service", services=[other | moving, one], **own)
    ensure("consul_service", services=[one | moving, other], **own)
    for service in (one, other):
        module("consul_service", **service, state="absent", **own)


@pytest.mark.parametrize("node", [{}, {"node": "module-machine", "node_address": "192.0.2.7"}])
def test_a_check_belongs_to_one_service(ensure, fails, module, node):
    checks = {"checks": [{"id": "module-port", "tcp": "127.0.0.1:1", "interval": "60s"}]}
    one, other = {"name": "module-one", **checks}, {"name": "module-other", **checks}
    assert "services module-one and module-other both have a check of the id 'module-port'" in fails(
        "consul_service", services=[one, other], **node
    )
    module("consul_service", **one, **node)
    assert "service module-other: there is a check module-port already, of service module-one" in fails("consul_service", **other, **node)
    ensure("consul_service", services=[other], purge=True, **node)
    module("consul_service", services=[], purge=True, **node)


def test_an_instance_that_registered_itself_is_not_taken_over_silently(module, fails, ensure, agent):
    agent.put("/v1/agent/service/register", {"Name": "module-running", "Meta": {"uwsgi-instance": "nonce"}})
    for state in ("present", "absent"):
        assert "was registered by a running instance itself" in fails("consul_service", name="module-running", state=state)
    ensure("consul_service", name="module-running", force=True)
    ensure("consul_service", name="module-running", state="absent")


def test_without_an_agent_in_the_catalog(module, ensure, keeps, fails, agent):
    node = {"node": "module-machine", "node_address": "192.0.2.7", "node_meta": {"rack": 7}}
    services = [
        {"name": "module-db", "port": 5432, "tags": ["b", "a"], "checks": [{"tcp": "192.0.2.7:5432", "interval": "30s"}]},
        {"name": "module-web", "checks": [{"http": "http://192.0.2.7/", "interval": "30s"}, {"tcp": "192.0.2.7:80", "interval": "30s"}]},
    ]
    ensure("consul_service", services=services, **node)
    entries = agent.get("/v1/health/service/module-db?passing=1")
    assert [(entry["Node"]["Address"], entry["Node"]["Meta"]["rack"], entry["Service"]["Port"]) for entry in entries] == [
        ("192.0.2.7", "7", 5432)
    ]
    definition = next(check for check in entries[0]["Checks"] if check["CheckID"] == "service:module-db")["Definition"]
    assert (definition["TCP"], definition["Interval"]) == ("192.0.2.7:5432", "30s")
    keeps("consul_service", services=services[::-1], **node)
    ensure("consul_service", services=services, **node | {"node_address": "192.0.2.8"})
    agent.put("/v1/catalog/register", {
        "Node": "module-machine", "Address": "192.0.2.8", "SkipNodeUpdate": True,
        "Check": {"Node": "module-machine", "CheckID": "service:module-web", "ServiceID": "module-web", "Name": "x", "Status": "warning"},
    })  # fmt: skip
    services[1]["checks"] = services[1]["checks"][:1]
    ensure("consul_service", services=services, **node | {"node_address": "192.0.2.8"})
    checks = {check["CheckID"]: check for check in agent.get("/v1/health/node/module-machine")}
    assert set(checks) == {"service:module-db", "service:module-web"}
    assert checks["service:module-web"]["Status"] == "warning"
    ensure("consul_service", services=services[:1], purge=True, **node | {"node_address": "192.0.2.8"})
    assert set(agent.get("/v1/catalog/node/module-machine")["Services"]) == {"module-db"}
    ensure("consul_service", services=[{"id": "module-db"}], state="absent", node="module-machine")
    assert agent.get("/v1/catalog/node/module-machine") is None
    far = {"name": "module-db", "node": "module-machine", "datacenter": "dc2"}
    ensure("consul_service", **far, node_address="192.0.2.7")
    assert agent.get("/v1/catalog/node/module-machine?dc=dc2")["Services"]["module-db"]
    assert agent.get("/v1/catalog/node/module-machine") is None
    ensure("consul_service", **far, state="absent")
    assert agent.get("/v1/catalog/node/module-machine?dc=dc2") is None
    assert "has an agent" in fails("consul_service", name="x", node="node1", node_address="127.0.0.1")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "one of the following is required: name, id, services"),
        ({"id": "x"}, "name: is missing"),
        ({"name": "x", "node_address": "192.0.2.1"}, "missing parameter(s) required by 'node_address': node"),
        ({"name": "x", "node_meta": {"a": "b"}}, "missing parameter(s) required by 'node_meta': node"),
        ({"name": "a\nb"}, "name: 'a\\nb' is no name"),
        ({"name": "x", "services": []}, "mutually exclusive: name|services"),
        ({"services": [{"name": "a"}, {"name": "b", "id": "a"}]}, "services[1]: id: 'a' is given twice"),
        ({"services": [{"name": "a"}, {"port": 1}]}, "services[1]: name: is missing"),
        ({"name": "x", "port": 0}, "port: 0 is no whole number from 1 to 65535"),
        ({"name": "x", "address": "0.0.0.0"}, "address: 0.0.0.0 is where a server listens"),  # noqa: S104
        ({"name": "x", "meta": {"a b": "c"}}, "meta: 'a b' is no key"),
        ({"name": "x", "meta": {"uwsgi-instance": "c"}}, "uwsgi-instance is what tells whose a registration is"),
        ({"name": "x", "meta": {"uwsgi-consul-definition": "c"}}, "meta: uwsgi-consul-definition is"),
        ({"name": "x", "weights": {"passing": 0}}, "weights: passing: 0 is no whole number"),
        ({"name": "x", "tagged_addresses": {"wan": "a"}}, "tagged_addresses: 'a' is no mapping"),
        ({"name": "x", "checks": [{}]}, "checks[0]: a check is one of ttl, http"),
        ({"name": "x", "checks": [{"ttl": "1m"}, {"tcp": "a:1"}]}, "checks[1]: interval: is missing for a check by tcp"),
        ({"name": "x", "checks": [{"ttl": "soon"}]}, "checks[0]: ttl: 'soon' is no duration"),
        ({"name": "x", "checks": [{"ttl": "1m", "interval": "1s"}]}, "checks[0]: interval: is of no use for a check by ttl"),
        ({"name": "x", "checks": [{"tcp": "a", "interval": "1s"}]}, "checks[0]: tcp: 'a' is no address such as"),
        ({"name": "x", "checks": [{"tcp": "a:1", "interval": "10ms"}]}, "checks[0]: interval: '10ms' is no duration from 1"),
        ({"name": "x", "checks": [{"ttl": "1m", "deregister_critical_service_after": "5s"}]}, "is less than the 60 s"),
        ({"name": "x", "checks": [{"id": "a", "ttl": "1m"}, {"id": "a", "ttl": "1m"}]}, "two of them have the same id"),
        ({"name": "x", "connect": {"sidecar": {}}}, "connect: 'sidecar' is none of native, sidecar_service"),
        ({"name": "x", "proxy": {"a-b": 1}}, "proxy: 'a-b' is no name of a field"),
        ({"name": "x", "node": "y"}, "node_address: is missing"),
        ({"name": "x", "node": "y", "node_address": "z", "checks": [{"ttl": "1m"}]}, "may be by http or tcp"),
        ({"name": "x", "agents": ["127.0.0.1:1", "127.0.0.1:2"]}, "a registration belongs to one agent"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_service", **params)


def test_the_id_is_enough_to_remove_one(module, ensure, keeps):
    module("consul_service", services=[{"name": "module-named", "id": "module-1"}, {"name": "module-named", "id": "module-2"}])
    ensure("consul_service", id="module-1", state="absent")
    ensure("consul_service", services=[{"id": "module-1"}, {"id": "module-2"}], state="absent")
    keeps("consul_service", id="module-2", state="absent")


def test_a_permission_that_is_missing_is_named(module):
    message = module("consul_service", name="module-denied", token="anonymous")["msg"]  # noqa: S106
    assert 'service:write\' on "module-denied"' in message


def test_what_was_done_before_a_failure_is_told(module, agent):
    # Agents of this system know no services of the operating system.
    broken = [{"name": "module-first"}, {"name": "module-second", "checks": [{"os_service": "x", "interval": "10s"}]}]
    result = module("consul_service", services=broken)
    assert result["failed"]
    assert result["changed"]
    assert result["done"] == [{"id": "module-first", "result": "created"}]
    assert "service module-second: 500" in result["msg"]
    assert "agents on Windows" in result["msg"]
    module("consul_service", name="module-first", state="absent")
    module("consul_service", name="module-second", state="absent")


def test_the_oldest_consul(ensure, fails, consul_oldest):
    own = {"agents": [consul_oldest.address], "token": None}
    old = [{"http": "http://127.0.0.1:1/", "header": {"a": "b"}, "interval": "60s"}, {"ttl": "1h", "status": "passing"}]
    services = [{"name": "module-old", "port": 80, "checks": old, "connect": {"sidecar_service": {"port": 21500}}}]
    ensure("consul_service", services=services, **own)
    ensure("consul_service", services=[services[0] | {"checks": [old[0] | {"interval": "61s"}, old[1]]}], **own)
    for newer, field in (({"udp": "a:1"}, "UDP"), ({"h2ping": "a:1"}, "H2PING"), ({"os_service": "a"}, "OSService")):
        several = [{"name": "module-new"}, {"name": "module-newer", "checks": [{**newer, "interval": "60s"}]}]
        assert f"this agent's Consul is too old for {field}, and nothing was changed" in fails("consul_service", services=several, **own)
    ensure("consul_service", services=[], purge=True, **own)
    node = {"node": "old-machine", "node_address": "192.0.2.9"}
    ensure("consul_service", name="module-old", checks=[{"tcp": "a:1", "interval": "60s"}], **node, **own)
    ensure("consul_service", name="module-old", state="absent", node="old-machine", **own)
    assert consul_oldest.get("/v1/agent/services") == {}

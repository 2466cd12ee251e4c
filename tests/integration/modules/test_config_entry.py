# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_config_entry` and `consul_config_entry_info` with a real Consul."""

from __future__ import annotations

import subprocess

import pytest
from polling import wait_for

import plays
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConfigEntries
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.config_entries import canonical


def http(*names):
    return [{"kind": "service-defaults", "name": name, "protocol": "http"} for name in names]


# One entry of each kind, with as many fields as it has: what it takes for granted, the entry, the same in another spelling, and
# another one that differs by a field that is left out.
FULL = {
    "service-defaults": {
        "name": "entry-a",
        "Protocol": "HTTP",
        "Mode": "transparent",
        "mesh_gateway": {"mode": "local"},
        "expose": {"paths": [{"path": "/health", "local_path_port": 8080, "listener_port": 21500, "protocol": "http"}]},
        "upstream_config": {
            "defaults": {"limits": {"max_connections": 0, "max_pending_requests": 5}, "connect_timeout_ms": 500},
            "overrides": [
                {"name": "db", "passive_health_check": {"interval": "10s", "max_failures": 3, "enforcing_consecutive_5xx": 0}},
                {"name": "cache", "protocol": "TCP"},
            ],
        },
        "max_inbound_connections": 100,
        "envoy_extensions": [
            {"name": "builtin/lua", "arguments": {"ProxyType": "connect-proxy", "Listener": "inbound", "Script": "x", "List": [1]}}
        ],
        "max_request_headers_kb": 96,
        "meta": {"Owner": "shop", "owner": "office"},
    },
    "proxy-defaults": {
        "Config": {"local_connect_timeout_ms": 1000, "handshake_timeout_ms": 10000.0, "envoy_extra": ["one"], "nested": {"a": [1, 2]}},
        "access_logs": {"enabled": True, "type": "stdout"},
        "mode": "direct",
    },
    "mesh": {"tls": {"incoming": {"tls_min_version": "TLSv1_2"}}, "allow_enabling_permissive_mutual_tls": True},
    "service-resolver": {
        "name": "entry-http",
        "default_subset": "v1",
        "subsets": {"v1": {"filter": "Service.Meta.version == v1"}, "v2": {"only_passing": True}, "empty": {}},
        "failover": {"*": {"datacenters": ["dc2"]}},
        "connect_timeout": "1m30s",
        "load_balancer": {
            "policy": "ring_hash",
            "ring_hash_config": {"minimum_ring_size": 1024},
            "hash_policies": [{"field": "cookie", "field_value": "c", "cookie_config": {"ttl": "90s", "path": "/"}}],
        },
    },
    "service-splitter": {
        "name": "entry-http",
        "splits": [{"weight": 66.667, "service": "entry-http"}, {"weight": 33.333, "service": "entry-more"}],
    },
    "service-router": {
        "name": "entry-http",
        "routes": [
            {
                "match": {"http": {"path_prefix": "/api", "methods": ["get", "PUT"], "header": [{"name": "x-debug", "present": True}]}},
                "destination": {
                    "service": "entry-http",
                    "request_timeout": "30s",
                    "num_retries": 3,
                    "retry_on_status_codes": [503],
                    "request_headers": {"set": {"X-Is_Set": "yes"}, "remove": ["x-gone"]},
                },
            }
        ],
    },
    "service-intentions": {
        "name": "entry-http",
        "sources": [
            {"name": "*", "action": "deny"},
            {"name": "entry-b", "permissions": [{"action": "allow", "http": {"path_exact": "/a", "methods": ["get"]}}]},
            {"name": "entry-c", "action": "allow", "description": "c"},
        ],
    },
    "ingress-gateway": {
        "name": "entry-in",
        "tls": {"enabled": True, "tls_min_version": "TLSv1_2"},
        "defaults": {"max_connections": 100, "passive_health_check": {"interval": 1000000000}},
        "listeners": [
            {"port": 8081, "services": [{"name": "entry-tcp"}]},
            {"port": 8080, "protocol": "http", "services": [{"name": "entry-http", "hosts": ["a.example"], "max_connections": 7}]},
        ],
    },
    "terminating-gateway": {"name": "entry-out", "services": [{"name": "entry-db", "ca_file": "/ca.pem", "sni": "db"}, {"name": "*"}]},
    "exported-services": {"services": [{"name": "entry-a", "consumers": [{"peer_name": "other"}]}]},
    "jwt-provider": {
        "name": "entry-jwt",
        "issuer": "me",
        "audiences": ["a"],
        "json_web_key_set": {"remote": {"uri": "https://a.example/jwks", "cache_duration": "1h", "fetch_asynchronously": True}},
        "locations": [{"header": {"name": "Authorization", "value_prefix": "Bearer "}}],
        "forwarding": {"header_name": "x-jwt"},
    },
    "api-gateway": {"name": "entry-api", "listeners": [{"name": "one", "port": 9090, "protocol": "HTTP", "hostname": "*.example"}]},
    "http-route": {
        "name": "entry-route",
        "parents": [{"name": "entry-api", "section_name": "one"}],
        "hostnames": ["a.example"],
        "rules": [
            {
                "filters": {"url_rewrite": {"path": "/b"}, "timeout_filter": {"request_timeout": "5s"}, "headers": [{"set": {"A_b": "c"}}]},
                "matches": [{"method": "get", "headers": [{"match": "exact", "name": "x", "value": "y"}]}],
                "services": [{"name": "entry-http", "weight": 2}],
            }
        ],
    },
    "tcp-route": {"name": "entry-tcp-route", "parents": [{"name": "entry-api-tcp"}], "services": [{"name": "entry-tcp"}]},
    "file-system-certificate": {"name": "entry-file", "certificate": "/cert.pem", "private_key": "/key.pem"},
}


def camel(value, verbatim=False):
    """The same in Consul's spelling."""
    if isinstance(value, dict):
        spelled = {}
        for key, one in value.items():
            free = key in ("meta", "set", "config", "Config", "arguments")
            name = key if verbatim else "".join(part[:1].upper() + part[1:] for part in key.split("_")).replace("PeerName", "Peer")
            inner = {k: camel(v) for k, v in one.items()} if key in ("subsets", "failover") else one if free else camel(one)
            spelled[name] = inner
        return spelled
    return [camel(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def protocols(datacenters):
    for entry in http("entry-http", "entry-more"):
        datacenters.dc1.put("/v1/config", entry)
    yield
    for kind in ("http-route", "api-gateway", "service-intentions", "service-router", "service-splitter", "service-resolver"):
        for entry in datacenters.dc1.get(f"/v1/config/{kind}"):
            datacenters.dc1.request("DELETE", f"/v1/config/{kind}/{entry['Name']}")


@pytest.mark.parametrize("kind", FULL)
def test_every_kind(kind, protocols, ensure, keeps, module):
    full = {"kind": kind, **FULL[kind]}
    made = ensure("consul_config_entry", entries=[full])["entries"]
    keeps("consul_config_entry", entries=[camel(full)])
    # What is read can be written.
    found = module("consul_config_entry_info", kind=kind, name=made[0]["name"])["entries"]
    # Consul itself changes the status of gateways and routes, and with it the index.
    assert [canonical(one) for one in found] == [canonical(one) for one in made]
    keeps("consul_config_entry", entries=found)
    # A field that is left out is removed, whichever it is.
    for field in [field for field in FULL[kind] if field not in ("name", "kind")]:
        less = {name: value for name, value in full.items() if name != field}
        result = module("consul_config_entry", check=True, entries=[less])
        assert result.get("failed") or result["changed"], field
    ensure("consul_config_entry", entries=[{"kind": kind, "name": made[0]["name"]}], state="absent")
    assert module("consul_config_entry_info", kind=kind, name=made[0]["name"])["entries"] == []


def test_what_was_asked_for_in_other_words_is_no_change(ensure, keeps, module, datacenters):
    ensure("consul_config_entry", kind="proxy-defaults", definition={"config": {"a": 1, "b": True}, "meta": {"A_b": "c"}})
    # Only what Consul can tell apart is a change: texts for numbers are not, in what it looks into.
    keeps("consul_config_entry", kind="proxy-defaults", name="global", definition={"Config": {"a": 1.0, "b": True}, "Meta": {"A_b": "c"}})
    for config in ({"a": "1", "b": True}, {"a": True, "b": True}, {"a": 1, "b": 1}, {"a": 1}, {"A": 1, "b": True}):
        assert ensure("consul_config_entry", kind="proxy-defaults", definition={"config": config})["diff"]["before"]
    assert module("consul_config_entry", check=True, kind="proxy-defaults", definition={"config": config, "meta": {"ab": "c"}})["changed"]
    ensure("consul_config_entry", kind="proxy-defaults", state="absent")
    given = {"max_inbound_connections": "{{ 7 }}".strip("{ }"), "expose": {"checks": "True"}}
    ensure("consul_config_entry", kind="service-defaults", name="entry-words", definition=given)
    ensure("consul_config_entry", kind="service-defaults", name="entry-words", definition=given | {"max_inbound_connections": 8})
    keeps(
        "consul_config_entry",
        kind="service-defaults",
        name="entry-words",
        definition={"MaxInboundConnections": 8.0, "expose": {"checks": True}},
    )
    ensure("consul_config_entry", kind="service-defaults", name="entry-words", state="absent")


def test_several_in_their_order_and_removed_in_the_reverse_one(ensure, module, datacenters):
    router = {"kind": "service-router", "name": "entry-first", "routes": []}
    several = [*http("entry-first"), router]
    # The other way round the router would be refused by its service's protocol.
    refused = module("consul_config_entry", entries=several[::-1])
    assert 'service-router entry-first: 500 discovery chain "entry-first" uses a protocol "tcp"' in refused["msg"]
    assert not refused["changed"]
    made = ensure("consul_config_entry", entries=several)
    assert [one["kind"] for one in made["entries"]] == ["service-defaults", "service-router"]
    refused = module("consul_config_entry", entries=several[:1], state="absent")
    assert refused["failed"], "a router needs its service's protocol"
    # What was done before a failure is told.
    half = module("consul_config_entry", entries=[*http("entry-half"), several[0] | {"protocol": "tcp"}])
    assert (half["failed"], half["changed"]) == (True, True)
    assert [one["name"] for one in half["entries"]] == ["entry-half", "entry-first"]
    assert half["entries"][1]["protocol"] == "http"
    ensure("consul_config_entry", entries=[*several, *http("entry-half")], state="absent")


def test_many_take_few_requests(module, datacenters, monkeypatch):
    asked = []
    request = Api.request
    monkeypatch.setattr(
        Api, "request", lambda self, method, path, *rest, **more: asked.append(method) or request(self, method, path, *rest, **more)
    )
    many = http(*(f"entry-many-{number}" for number in range(40)))
    module("consul_config_entry", entries=many)
    asked.clear()
    assert not module("consul_config_entry", entries=many)["changed"]
    assert asked == ["GET", "GET"]
    assert len(module("consul_config_entry_info", kind="service-defaults", filter='Name contains "entry-many-"')["entries"]) == 40
    module("consul_config_entry", entries=many, state="absent")


def test_only_if_nobody_else_changed_it(ensure, keeps, fails, module):
    given = {"kind": "service-defaults", "name": "entry-cas"}
    (made,) = ensure("consul_config_entry", **given, definition={"protocol": "http"}, cas=0)["entries"]
    message = fails("consul_config_entry", **given, definition={"protocol": "grpc"}, cas=0)
    assert f"cas: service-defaults entry-cas has modify_index {made['modify_index']}, and the task wants to change the one of 0" in message
    # What is as wanted already needs no index.
    keeps("consul_config_entry", **given, definition={"protocol": "http"}, cas=0)
    ensure("consul_config_entry", **given, definition={"protocol": "grpc"}, cas=made["modify_index"])
    assert "has modify_index" in fails("consul_config_entry", **given, state="absent", cas=made["modify_index"])
    ensure("consul_config_entry", **given, state="absent")
    assert "does not exist" in fails("consul_config_entry", **given, definition={}, cas=5)


def test_somebody_else_who_writes_at_the_same_time_is_seen(module, datacenters, monkeypatch):
    others = ["tcp", "grpc"]
    apply = ConfigEntries.apply

    def late(self, entry, **options):
        if others and options["cas"] < 2**62:
            datacenters.dc1.put("/v1/config", http("entry-race")[0] | {"protocol": others.pop()})
        return apply(self, entry, **options)

    monkeypatch.setattr(ConfigEntries, "apply", late)
    done = module("consul_config_entry", kind="service-defaults", name="entry-race", definition={"protocol": "http"})
    assert done["changed"]
    assert '"protocol": "tcp"' in done["diff"]["before"]
    assert done["entries"][0]["protocol"] == "http"
    monkeypatch.undo()
    module("consul_config_entry", kind="service-defaults", name="entry-race", state="absent")


def test_the_primary_datacenter_counts(ensure, module, datacenters):
    far = datacenters.options(datacenters.dc2)
    ensure("consul_config_entry", entries=http("entry-primary"), **far)
    ensure("consul_config_entry", entries=[http("entry-primary")[0] | {"protocol": "grpc"}], datacenter="dc2", **far)
    assert datacenters.dc1.get("/v1/config/service-defaults/entry-primary")["Protocol"] == "grpc"
    ensure("consul_config_entry", entries=http("entry-primary"), state="absent", datacenter="dc2")


def test_a_private_key_is_not_shown(ensure, module, tmp_path):
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key",
            "-out",
            "cert",
            "-days",
            "2",
            "-subj",
            "/CN=entry.example",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    key = (tmp_path / "key").read_text()
    definition = {"certificate": (tmp_path / "cert").read_text(), "private_key": key}
    given = {"kind": "inline-certificate", "name": "entry-inline"}
    results = [
        ensure("consul_config_entry", **given, definition=definition),
        module("consul_config_entry_info", **given),
        module("consul_config_entry", check=True, **given, definition={**definition, "private_key": key + "\n"}),
        module("consul_config_entry", entries=[{**given, "certificate": "none", "PrivateKey": key}]),
        module("consul_config_entry", check=True, **given, state="absent"),
    ]
    assert results[0]["entries"][0]["private_key"].startswith("sha256:")
    assert results[2]["changed"]
    assert results[3]["failed"]
    for line in key.splitlines()[1:-1]:
        assert all(line not in str(result) for result in results)
    # Nor by Ansible itself, whatever it is asked to tell, nor in the log of the host.
    play = f"""
- hosts: localhost
  gather_facts: false
  tasks:
    - uwsgi.consul.consul_config_entry:
        kind: inline-certificate
        name: entry-inline
        definition:
          certificate: "{{{{ lookup('ansible.builtin.file', '{tmp_path}/cert') }}}}"
          private_key: "{{{{ lookup('ansible.builtin.file', '{tmp_path}/key') }}}}"
        agents: [127.0.0.1:1]
        timeout: 0.1
      ignore_errors: true
"""
    (tmp_path / "play.yml").write_text(play)
    done = plays.run("ansible-playbook", "-vvv", "--diff", "play.yml", folder=tmp_path, own={})
    assert "did not answer" in done.stdout or "127.0.0.1:1" in done.stdout, done.stdout
    assert not [line for line in key.splitlines()[1:-1] if line in done.stdout + done.stderr]
    ensure("consul_config_entry", **given, state="absent")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"kind": "service-default", "name": "x"}, "kind: 'service-default' is no kind of config entry that Consul knows. Is it misspelt"),
        ({"kind": "control-plane-request-limit", "name": "x"}, "or of its enterprise edition?"),
        ({"kind": "service-defaults"}, "kind or name: entry name: None is no name"),
        (
            {"kind": "service-defaults", "name": "x", "definition": {"protokol": "http"}},
            "service-defaults x: Consul knows no field Protokol",
        ),
        (
            {"kind": "service-router", "name": "x", "definition": {"routes": [{"match": {"http": {"path": "/"}}}]}},
            "service-router x: Consul knows no field Routes[0].Match.HTTP.Path",
        ),
        ({"kind": "proxy-defaults", "name": "x", "definition": {"mode": "direct"}}, 'only "global" is supported'),
        (
            {"kind": "service-defaults", "name": "x", "definition": {"meta": {"a": 1}}},
            "definition: entry meta: 'a' is 1, which is no text",
        ),
        ({"kind": "service-defaults", "name": "x", "definition": {"mode": "a", "Mode": "b"}}, "has one field twice, mode and Mode"),
        ({"kind": "service-defaults", "name": "x", "definition": {"Name": "y"}}, "definition: its Name is another than name"),
        ({"kind": "service-resolver", "name": "x", "definition": {"connect_timeout": "soon"}}, "service-resolver x: 400 "),
        ({"entries": [{"kind": "mesh"}, {"name": "x"}]}, "entries[1]: entry: has no kind"),
        ({"entries": [*http("x"), *http("x")]}, "entries: service-defaults x is given twice"),
        ({"entries": http("x"), "kind": "mesh"}, "mutually exclusive"),
        ({}, "one of the following is required: kind, entries"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_config_entry", **params)


@pytest.mark.parametrize("bad", [{"kind": "nothing"}, {"kind": "service-router"}, {"protokol": "http"}, {"protocol": 1, "meta": {"a": 1}}])
def test_one_that_is_right_is_not_written_before_one_that_is_not(fails, datacenters, bad):
    fails("consul_config_entry", entries=[*http("entry-right"), {**http("entry-wrong")[0], **bad, "routes": [7]}])
    assert not [one for one in datacenters.dc1.get("/v1/config/service-defaults") if one["Name"] == "entry-right"]


def test_filters(module, fails):
    module("consul_config_entry", entries=http("entry-filter"))
    for given, expected in (
        ({"filter": 'Name == "entry-filter"'}, ["entry-filter"]),
        ({"filter": 'Name == "no"'}, []),
        ({"name": "no"}, []),
    ):
        assert [one["name"] for one in module("consul_config_entry_info", kind="service-defaults", **given)["entries"]] == expected
    assert "filtering not supported" in fails("consul_config_entry_info", kind="mesh", filter="Name == x")
    assert "no kind of config entry" in fails("consul_config_entry_info", kind="meshes")
    module("consul_config_entry", entries=http("entry-filter"), state="absent")


def test_without_permission(fails, datacenters):
    rule = 'service "entry-x" { policy = "read" } agent_prefix "" { policy = "read" }'
    datacenters.dc1.put("/v1/acl/policy", {"Name": "entry-reader", "Rules": rule})
    token = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"Name": "entry-reader"}]})["SecretID"]
    message = fails("consul_config_entry", entries=http("entry-x"), token=token)
    assert "403" in message
    assert "The token needs that permission" in message


def test_without_permission_to_ask_for_the_primary_datacenter(module, datacenters):
    datacenters.dc1.put("/v1/acl/policy", {"Name": "entry-writer", "Rules": 'service "entry-w" { policy = "write" }'})
    token = datacenters.dc1.put("/v1/acl/token", {"Policies": [{"Name": "entry-writer"}]})["SecretID"]
    assert module("consul_config_entry", entries=http("entry-w"), token=token)["changed"]
    wait_for(
        "dc2 knows what was made in dc1",
        lambda: datacenters.dc2.get("/v1/acl/token/self", token) and datacenters.dc2.get("/v1/config/service-defaults/entry-w", token),
    )
    wanted = [http("entry-w")[0] | {"protocol": "grpc"}]
    refused = module("consul_config_entry", entries=wanted, timeout=4, **{**datacenters.options(datacenters.dc2), "token": token})
    assert "In a secondary datacenter no index fits" in refused["msg"]
    assert module("consul_config_entry", entries=wanted, token=token, state="absent")["changed"]


def test_the_oldest_consul(ensure, keeps, fails, consul_oldest):
    agent = {"agents": [consul_oldest.address], "token": None}
    entries = [
        {**http("entry-old")[0], "mesh_gateway": {"mode": "local"}},
        {"kind": "proxy-defaults", "config": {"a": 1, "b": ["one"]}},
        {"kind": "service-resolver", "name": "entry-old", "connect_timeout": "90s", "subsets": {"v1": {"only_passing": True}}},
        {"kind": "service-splitter", "name": "entry-old", "splits": [{"weight": 100, "service_subset": "v1"}]},
        {"kind": "service-router", "name": "entry-old", "routes": [{"match": {"http": {"path_prefix": "/", "methods": ["get"]}}}]},
        {"kind": "ingress-gateway", "name": "entry-old-in", "listeners": [{"port": 80, "services": [{"name": "entry-old-tcp"}]}]},
        {"kind": "terminating-gateway", "name": "entry-old-out", "services": [{"name": "entry-old-db", "ca_file": "/ca.pem"}]},
    ]
    ensure("consul_config_entry", entries=entries, **agent)
    keeps("consul_config_entry", entries=camel(entries), **agent)
    ensure("consul_config_entry", entries=entries, state="absent", **agent)
    message = fails("consul_config_entry", kind="mesh", definition={}, **agent)
    assert "kind: 'mesh' is no kind of config entry that Consul knows. Is it misspelt, or of a newer Consul" in message
    message = fails("consul_config_entry", kind="service-defaults", name="x", definition={"max_inbound_connections": 1}, **agent)
    assert (
        "service-defaults x: Consul knows no field MaxInboundConnections. Is it misspelt, at another place, or of a newer Consul?"
        in message
    )
    assert "filter: this Consul has no filters" in fails("consul_config_entry_info", kind="service-defaults", filter="Name == x", **agent)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_config_entry` and `consul_config_entry_info` with a real Consul."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


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
    "service-splitter": {"name": "entry-http", "splits": [{"weight": 66.667, "service": "entry-http"}, {"weight": 33.333, "service": "entry-more"}]},
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
            free = key in ("meta", "set", "Config", "arguments")
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
    assert found == made
    keeps("consul_config_entry", entries=found)
    # A field that is left out is removed, whichever it is.
    for field in [field for field in FULL[kind] if field not in ("name", "kind")]:
        less = {name: value for name, value in full.items() if name != field}
        result = module("consul_config_entry", check=True, entries=[less])
        assert result.get("failed") or result["changed"], field
    ensure("consul_config_entry", entries=[{"kind": kind, "name": made[0]["name"]}], state="absent")
    assert module("consul_config_entry_info", kind=kind, name=made[0]["name"])["entries"] == []

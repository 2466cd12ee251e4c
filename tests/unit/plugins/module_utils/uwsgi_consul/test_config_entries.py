# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Config entries: how they are written down and compared, what is sent, and what is made of answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConfigEntries, errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.config_entries import (
    UnknownKindError,
    alike,
    canonical,
    identity,
    plain,
    sent,
)


def item(kind="service-defaults", name="web", index=7, **fields):
    return {"Kind": kind, "Name": name, **fields, "CreateIndex": 1, "ModifyIndex": index}


@pytest.fixture
def make(fake_agent, reply):
    """Entries of an agent that gives each answer in turn; and the agent."""

    def of(*answers, **options):
        left = [answer if isinstance(answer, bytes) else reply(json.dumps(answer)) for answer in answers]
        agent = fake_agent(lambda _received: left.pop(0) if left else None)
        return ConfigEntries(Api(agents=[agent.address], timeout=1, **options)), agent

    return of


def entry(kind="service-defaults", **fields):
    return {"kind": kind, "name": "web", **fields}


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (entry(protocol="http"), {"Protocol": "http"}),
        (entry(MeshGateway={"Mode": "local"}), {"MeshGateway": {"Mode": "local"}}),
        (entry(upstream_config={"overrides": [{"connect_timeout_ms": 5}]}), {"UpstreamConfig": {"Overrides": [{"ConnectTimeoutMs": 5}]}}),
        (entry(meta={"a_b": "c"}, config={"a_b": {"C_d": 1}}), {"Meta": {"a_b": "c"}, "Config": {"a_b": {"C_d": 1}}}),
        (
            entry("service-resolver", subsets={"v_1": {"only_passing": True}}),
            {"Kind": "service-resolver", "Subsets": {"v_1": {"OnlyPassing": True}}},
        ),
        (
            entry("exported-services", services=[{"consumers": [{"peer_name": "a"}]}]),
            {"Kind": "exported-services", "Services": [{"Consumers": [{"Peer": "a"}]}]},
        ),
        (entry(hash=1, create_index=1, ModifyIndex=2, status={}), {}),
        (
            entry("service-intentions", sources=[{"name": "a", "precedence": 9, "legacy_id": "x", "legacy_meta": {}}]),
            {"Kind": "service-intentions", "Sources": [{"Name": "a"}]},
        ),
        (
            entry("service-intentions", sources=[{"name": "a", "legacy_meta": {"a": "b"}}]),
            {"Kind": "service-intentions", "Sources": [{"Name": "a", "LegacyMeta": {"a": "b"}}]},
        ),
    ],
)
def test_what_is_sent(given, body):
    assert sent(given) == {"Kind": "service-defaults", "Name": "web", **body}


def test_what_there_is_one_of_needs_no_name():
    assert [identity({"Kind": kind})[1] for kind in ("proxy-defaults", "mesh", "exported-services")] == ["global", "mesh", "default"]
    assert sent({"kind": "mesh"}) == {"Kind": "mesh"}


def test_what_is_read_is_in_snake_case_and_the_keys_of_users_as_they_are():
    names = ["CAFile", "ExternalSNI", "EnforcingConsecutive5xx", "JSONWebKeySet", "MaxRequestHeadersKB", "TLSMinVersion", "URLRewrite"]
    snake = ["ca_file", "external_sni", "enforcing_consecutive_5xx", "json_web_key_set", "max_request_headers_kb", "tls_min_version"]
    assert list(plain(item(**dict.fromkeys(names, 1)))) == ["kind", "name", *snake, "url_rewrite", "create_index", "modify_index"]
    found = item("service-resolver", Subsets={"V1": {"OnlyPassing": True}}, Meta={"CamelKey": "x"})
    assert plain(found)["subsets"] == {"V1": {"only_passing": True}}
    assert plain(found)["meta"] == {"CamelKey": "x"}
    assert plain({"Kind": "mesh", "CreateIndex": 1, "ModifyIndex": 2})["name"] == "mesh"


SAME = [
    (entry(), entry(Protocol="", TransparentProxy={}, MeshGateway={}, Expose={}, Hash=7, CreateIndex=1, ModifyIndex=2)),
    (entry(protocol="HTTP"), entry(Protocol="http")),
    (entry(local_connect_timeout_ms="500", expose={"checks": "True"}), entry(LocalConnectTimeoutMs=500, Expose={"Checks": True})),
    (entry("service-resolver", connect_timeout="90s"), entry("service-resolver", ConnectTimeout="1m30s")),
    (entry("service-resolver", connect_timeout=5 * 10**9), entry("service-resolver", ConnectTimeout="5s")),
    (
        entry("ingress-gateway", listeners=[{"port": 1}]),
        entry("ingress-gateway", Listeners=[{"Port": 1, "Protocol": "tcp", "Services": None}]),
    ),
    (entry("service-splitter", splits=[{"weight": 33.333}]), entry("service-splitter", Splits=[{"Weight": 33.33}])),
    (
        entry("service-router", routes=[{"destination": {"retry_on": "5xx"}}]),
        entry("service-router", Routes=[{"Destination": {"RetryOn": ["5xx"]}}]),
    ),
    (
        entry("service-intentions", sources=[{"name": "b", "action": "allow"}, {"name": "a", "action": "deny"}]),
        entry(
            "service-intentions",
            Sources=[
                {"Name": "a", "Action": "deny", "Precedence": 9, "Type": "consul", "LegacyID": "x"},
                {"Name": "b", "Action": "allow", "Precedence": 9, "Type": "consul"},
            ],
        ),
    ),
    (entry("proxy-defaults", config={"a": [1], "b": [{"c": [2]}]}), entry("proxy-defaults", Config={"a": 1, "b": {"c": 2}})),
    (entry("proxy-defaults", config={"a": {"b": [1]}}), entry("proxy-defaults", Config={"a": {"b": [1.0]}})),
    (entry(namespace="default"), entry()),
]
OTHER = [
    (entry(protocol="grpc"), entry(protocol="http")),
    (entry(), entry(MaxInboundConnections=1)),
    (entry(max_inbound_connections=1), entry()),
    (entry(meta={"a_b": "c"}), entry(Meta={"aB": "c"})),
    (entry(meta={"a": "1m"}), entry(Meta={"a": "60s"})),
    (entry(meta={"protocol": "HTTP"}), entry(Meta={"protocol": "http"})),
    # 0 is a limit, and no limit is none.
    (entry(upstream_config={"defaults": {"limits": {"max_connections": 0}}}), entry(UpstreamConfig={"Defaults": {"Limits": {}}})),
    (entry(upstream_config={"defaults": {}}), entry(UpstreamConfig={"Defaults": {"PassiveHealthCheck": {"EnforcingConsecutive5xx": 0}}})),
    (entry("service-resolver", subsets={"v1": {}}), entry("service-resolver", Subsets={"v1": {}, "v2": {}})),
    (entry("service-resolver", connect_timeout="5s"), entry("service-resolver", ConnectTimeout="5.5s")),
    (entry("ingress-gateway", listeners=[{"port": 1}]), entry("ingress-gateway", Listeners=[{"Port": 1, "Protocol": "http"}])),
    (entry("jwt-provider"), entry("jwt-provider", ClockSkewSeconds=31)),
    (entry("service-router", routes=[{}, {"match": {"http": {"path_exact": "/"}}}]), entry("service-router", Routes=[{"Match": {}}])),
    (entry("proxy-defaults", config={"a": 1}), entry("proxy-defaults", Config={"a": True})),
    (entry("proxy-defaults", config={"a": 1}), entry("proxy-defaults", Config={"a": "1"})),
    (entry("proxy-defaults", config={"a": {"b": [1]}}), entry("proxy-defaults", Config={"a": {"b": 1}})),
    (
        entry("service-intentions", sources=[{"name": "a", "action": "allow"}]),
        entry("service-intentions", Sources=[{"Name": "a", "Action": "allow", "Peer": "p"}]),
    ),
    (None, entry()),
    (entry(), None),
]


@pytest.mark.parametrize(("wanted", "found"), SAME)
def test_what_is_the_same_to_consul(wanted, found):
    assert alike(wanted, found)
    # What was compared once can be compared again.
    assert alike(canonical(wanted), canonical(found))


@pytest.mark.parametrize(("wanted", "found"), OTHER)
def test_what_is_another_thing(wanted, found):
    assert not alike(wanted, found)


def test_what_is_deeply_nested_is_refused():
    deep: dict = {}
    for _level in range(100_000):
        deep = {"a": deep}
    with pytest.raises(errors.InvalidValueError, match=r"nested too deeply|holds something that JSON can't"):
        sent(entry(x=deep))


def test_ensure_writes_what_differs_on_the_index_that_was_read(make):
    entries, agent = make(item(Protocol="tcp"), True, item(Protocol="http", index=8))
    assert entries.ensure(entry(protocol="http")) is True
    assert [(one.method, one.target) for one in agent.requests] == [
        ("GET", "/v1/config/service-defaults/web"),
        ("PUT", "/v1/config?cas=7"),
        ("GET", "/v1/config/service-defaults/web"),
    ]
    assert json.loads(agent.requests[1].body) == {"Kind": "service-defaults", "Name": "web", "Protocol": "http"}
    entries, agent = make(item(Protocol="http"))
    assert entries.ensure(entry(protocol="http")) is False


def test_ensure_reads_anew_when_somebody_else_was_faster(make, reply):
    entries, agent = make(reply("", 404), False, item(Protocol="tcp"), False, item(Protocol="http", index=9))
    assert entries.ensure(entry(protocol="http")) is False
    assert [one.target for one in agent.requests if one.method == "PUT"] == ["/v1/config?cas=0", "/v1/config?cas=7"]


def test_a_server_that_keeps_it_as_it_was_has_changed_nothing(make):
    entries, _agent = make(item(New=1), True, item(New=1))
    assert entries.ensure(entry()) is False


def test_an_index_that_never_fits_is_told(make):
    answers = [item(), False] * 200
    entries, _agent = make(*answers)
    with pytest.raises(errors.ConflictError, match=r"was changed by others before each of \d+ writes.*In a secondary datacenter"):
        entries.ensure(entry(protocol="http"))


def test_deleting(make):
    entries, agent = make({}, True, False)
    assert entries.delete("service-defaults", "a b/c") is True
    assert entries.delete("service-defaults", "web", cas=7) is True
    assert entries.delete("service-defaults", "web", cas=8) is False
    assert [one.target for one in agent.requests] == [
        "/v1/config/service-defaults/a%20b%2Fc",
        "/v1/config/service-defaults/web?cas=7",
        "/v1/config/service-defaults/web?cas=8",
    ]


def test_the_primary_datacenter_is_asked_for(make, reply):
    for answer, expected in (
        ({"Config": {"PrimaryDatacenter": "dc1"}}, "dc1"),
        ({"Config": {}, "DebugConfig": {"PrimaryDatacenter": "dc3"}}, "dc3"),
        ({"Config": {}}, None),
        (reply("Permission denied", 403), None),
    ):
        entries, _agent = make(answer)
        assert entries.in_primary().datacenter == expected


def test_what_consul_does_not_know(make, reply):
    entries, _agent = make(reply("invalid config entry kind: a", 500), reply("Request decoding failed: invalid config entry kind: a", 400))
    with pytest.raises(UnknownKindError, match="kind: 'a' is no kind of config entry that Consul knows"):
        entries.get("a", "b")
    with pytest.raises(UnknownKindError, match="kind: 'a' is no kind"):
        entries.apply({"kind": "a", "name": "b"})
    entries, _agent = make(
        reply('2 errors occurred:\n\t* invalid config key "B"\n\t* invalid config key "A[0].C"\n', 400), reply("no", 400)
    )
    with pytest.raises(errors.InvalidValueError, match=r"service-defaults web: Consul knows no field A\[0\]\.C, B\. Is it misspelt"):
        entries.judge(entry())
    with pytest.raises(errors.BadRequestError):
        entries.judge(entry())


def test_a_filter_that_the_server_would_ignore_is_refused(make, reply):
    entries, agent = make([], reply("Failed to create boolean expression evaluator", 500), [], [])
    assert entries.list("service-defaults", filter="Name == a") == []
    assert agent.requests[1].target == "/v1/config/service-defaults?filter=%28"
    with pytest.raises(errors.InvalidValueError, match="filter: this Consul has no filters"):
        entries.list("service-defaults", filter="Name == a")


@pytest.mark.parametrize("answer", [7, [7], {"Kind": "a"}, [{}], {"Kind": "a", "Name": "b", "ModifyIndex": "x"}])
def test_an_answer_of_another_shape_is_a_bad_answer(make, answer):
    entries, _agent = make(answer)
    with pytest.raises(errors.BadAnswerError):
        entries.list("a") if isinstance(answer, list) else entries.get("a", "b")

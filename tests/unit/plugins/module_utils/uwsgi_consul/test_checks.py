# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of a service, as Consul's API wants them."""

from __future__ import annotations

import re

import consul
import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import checks
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError

URL = "http://127.0.0.1:8000/health"


@pytest.mark.parametrize(
    ("check", "definition"),
    [
        (checks.ttl(), {"TTL": "10s"}),
        (
            checks.ttl(1.5, name="beat", notes="by the app", id="beat"),
            {"TTL": "1500ms", "Name": "beat", "Notes": "by the app", "CheckID": "beat"},
        ),
        (checks.ttl("1m30s", deregister_after=0), {"TTL": "90s", "DeregisterCriticalServiceAfter": "0s"}),
        (checks.http(URL), {"HTTP": URL, "Interval": "10s"}),
        (
            checks.http(URL, interval=5, timeout="500ms", method="POST", headers={"A": "b", "C": ["d", "e"]}, body="x", status="passing"),
            {
                "HTTP": URL,
                "Interval": "5s",
                "Timeout": "500ms",
                "Method": "POST",
                "Header": {"A": ["b"], "C": ["d", "e"]},
                "Body": "x",
                "Status": "passing",
            },
        ),
        (
            checks.http("https://[::1]/", tls_server_name="app", validate_certs=False, deregister_after="10m"),
            {
                "HTTP": "https://[::1]/",
                "Interval": "10s",
                "TLSServerName": "app",
                "TLSSkipVerify": True,
                "DeregisterCriticalServiceAfter": "600s",
            },
        ),
        (
            checks.tcp("[::1]:80", success_before_passing=2, failures_before_warning=1, failures_before_critical=3),
            {"TCP": "[::1]:80", "Interval": "10s", "SuccessBeforePassing": 2, "FailuresBeforeWarning": 1, "FailuresBeforeCritical": 3},
        ),
        (checks.grpc("app:50051/shop", use_tls=True), {"GRPC": "app:50051/shop", "Interval": "10s", "GRPCUseTLS": True}),
    ],
)
def test_each_kind_is_as_the_api_has_it(check, definition):
    assert check == definition
    assert checks.definitions(check, "web", 0) == [{"CheckID": "service:web", **definition}]


def test_those_of_python_consul2_are_taken():
    made = [
        consul.Check.http("http://app/", "10s", timeout="2s", deregister="90s", header={"x": ["a"]}, tls_skip_verify=True),
        consul.Check.tcp("app", 80, "5s"),
        consul.Check.ttl("30s"),
        consul.Check.grpc("app:50051", "10s"),
        consul.Check.script(["/bin/true"], "10s"),
    ]
    after = {"DeregisterCriticalServiceAfter": "120s"}
    assert checks.definitions(made, "web", 120) == [
        {
            "CheckID": "service:web",
            "HTTP": "http://app/",
            "Interval": "10s",
            "Timeout": "2s",
            "DeregisterCriticalServiceAfter": "90s",
            "Header": {"x": ["a"]},
            "TLSSkipVerify": True,
        },
        {"CheckID": "service:web:2", "TCP": "app:80", "Interval": "5s", **after},
        {"CheckID": "service:web:3", "TTL": "30s", **after},
        {"CheckID": "service:web:4", "GRPC": "app:50051", "Interval": "10s", **after},
        {"CheckID": "service:web:5", "Args": ["/bin/true"], "Interval": "10s", **after},
    ]


def test_what_a_newer_consul_knows_is_left_to_it():
    assert checks.definitions([{"TTL": "1s", "Novelty": 1}], "web", 0) == [{"CheckID": "service:web", "TTL": "1s", "Novelty": 1}]
    assert checks.definitions((), "web", 90) == []
    assert checks.definitions([{"AliasService": "other"}], "web", 0)[0]["AliasService"] == "other"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: checks.ttl(0), "ttl: 0"),
        (lambda: checks.ttl("soon"), "ttl: 'soon'"),
        (lambda: checks.ttl(failures_before_critical=3), "failures_before_critical: is of no use"),
        (lambda: checks.ttl(deregister_after=30), "deregister_after: 30 is less than the 60 s"),
        (lambda: checks.ttl(status="good"), "status: 'good'"),
        (lambda: checks.http("ftp://app/"), "url:"),
        (lambda: checks.http("http://app:x/"), "url:"),
        (lambda: checks.http("http:///path"), "url:"),
        (lambda: checks.http(None), "url:"),
        (lambda: checks.http(URL, interval=0.1), "interval: 0.1"),
        (lambda: checks.http(URL, timeout=-1), "timeout: -1"),
        (lambda: checks.http(URL, headers=["a"]), "headers:"),
        (lambda: checks.http(URL, headers={"Authorization": "secret\n"}), "the value of 'Authorization'"),
        (lambda: checks.http(URL, body=b"x"), "body:"),
        (lambda: checks.http(URL, validate_certs="no"), "validate_certs:"),
        (lambda: checks.http(URL, failures_before_critical=-1), "failures_before_critical: -1"),
        (lambda: checks.tcp("127.0.0.1"), "address:"),
        (lambda: checks.tcp("127.0.0.1:0"), "address:"),
        (lambda: checks.tcp("127.0.0.1:70000"), "address:"),
        (lambda: checks.tcp("user@host:80"), "address:"),
        (lambda: checks.tcp("host:80/path"), "address:"),
        (lambda: checks.grpc("/service"), "target:"),
        (lambda: checks.definitions("ttl", "web", 0), "checks: 'ttl'"),
        (lambda: checks.definitions(7, "web", 0), "checks: 7"),
        (lambda: checks.definitions([None], "web", 0), "checks: None is no check"),
        (lambda: checks.definitions([{1: 2}], "web", 0), "is no check"),
        (lambda: checks.definitions([{}], "web", 0), "none of them"),
        (lambda: checks.definitions([{"TTL": "1s", "HTTP": URL}], "web", 0), "TTL and HTTP"),
        (lambda: checks.definitions([{"HTTP": URL}], "web", 0), "needs an Interval"),
        (lambda: checks.definitions([{"ttl": "1 s"}], "web", 0), "checks: TTL: '1 s'"),
        (lambda: checks.definitions([{"TTL": 1, "CheckID": ""}], "web", 0), "CheckID"),
        (lambda: checks.definitions([{"TTL": 1, "Notes": object()}], "web", 0), "no JSON"),
        (lambda: checks.definitions([checks.ttl(id="a"), checks.ttl(id="a")], "web", 0), "the same id"),
    ],
)
def test_what_can_not_be_right_is_told(make, said):
    with pytest.raises(InvalidValueError, match=re.escape(said)) as raised:
        make()
    assert "secret" not in str(raised.value)

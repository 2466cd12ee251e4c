# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent, and what becomes of an answer's status."""

from __future__ import annotations

from email.message import Message

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import errors, protocol
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer, build_request, check
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings


def settings(**options):
    return Settings.resolve(environ={}, **options)


def answer(status=200, content=b"[]", **headers):
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return Answer(status, message, content, "GET /v1/x", "web1:8500")


@pytest.mark.parametrize("mode", ["consistent", "stale"])
@pytest.mark.parametrize("path", ["/v1/health/service/web", "/v1/health/node/n", "/v1/catalog/services", "/v1/kv/k", "/v1/query/q/execute"])
def test_datacenter_and_consistency_stand_on_every_read(mode, path):
    assert build_request(settings(datacenter="dc2", consistency=mode), "GET", path).target == f"{path}?dc=dc2&{mode}=1"


@pytest.mark.parametrize(
    ("call", "query"),
    [
        ({"params": [("dc", "dc3")]}, "?dc=dc3&stale=1"),
        ({"params": [("consistent", "1")]}, "?consistent=1&dc=dc2"),
        ({"consistency": "default"}, "?dc=dc2"),
        ({"consistency": "consistent"}, "?dc=dc2&consistent=1"),
    ],
)
def test_what_the_call_says_counts_before_the_settings(call, query):
    assert build_request(settings(datacenter="dc2", consistency="stale"), "GET", "/v1/kv/k", **call).target == f"/v1/kv/k{query}"


def test_a_write_has_a_datacenter_and_no_consistency():
    request = build_request(settings(datacenter="dc2", consistency="stale"), "PUT", "/v1/kv/k", body="é")
    assert (request.target, request.body, request.idempotent) == ("/v1/kv/k?dc=dc2", "é".encode(), False)


def test_what_the_agent_itself_holds_has_neither():
    assert build_request(settings(datacenter="dc2", consistency="stale"), "GET", "/v1/agent/services").target == "/v1/agent/services"


def test_parameters_are_quoted_and_may_be_repeated():
    target = build_request(settings(), "GET", "/v1/health/service/web", [("tag", "a b"), ("tag", "c&d"), ("filter", 'x == "é"')]).target
    assert target == "/v1/health/service/web?tag=a+b&tag=c%26d&filter=x+%3D%3D+%22%C3%A9%22"


@pytest.mark.parametrize("path", ["", "v1/kv", "/v1/kv/a b", "/v1/kv/a?token=x", "/v1/kv/a#b", "/v1/kv/a\r\nX: y", "/v1/é"])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(errors.InvalidValueError):
        build_request(settings(), "GET", path)


def test_a_token_of_the_call_is_checked_as_well():
    assert build_request(settings(token="one"), "GET", "/v1/kv/k", token="two").token == "two"  # noqa: S106, S105
    with pytest.raises(errors.InvalidValueError) as caught:
        build_request(settings(), "GET", "/v1/kv/k", token="s3cret\r\nX: y")  # noqa: S106
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("10s", 10), ("1m30s", 90), ("1.5h", 5400), ("100ms", 0.1), ("0s", 0)])
def test_durations(text, value):
    assert protocol.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "10 s", "1d", "10s\n"])
def test_durations_that_are_none(text):
    with pytest.raises(errors.InvalidValueError):
        protocol.seconds(text)


@pytest.mark.parametrize(
    ("params", "hold"),
    [({}, 0), ({"wait": "10s"}, 0), ({"index": 1, "wait": "16s"}, 17), ({"index": 1}, 318.75), ({"index": 1, "wait": "1h"}, 637.5)],
)
def test_the_hold_of_a_blocking_query(params, hold):
    assert protocol.hold_of(params) == hold


@pytest.mark.parametrize(("name", "quoted"), [("web", "web"), ("a/b", "a%2Fb"), ("a b?", "a%20b%3F"), ("é", "%C3%A9")])
def test_names_become_one_segment(name, quoted):
    assert protocol.segment(name, "service") == quoted


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a\nb", "a\x00", None, 7, ["web"]])
def test_names_that_are_none(name):
    with pytest.raises(errors.InvalidValueError, match=r"^service: "):
        protocol.segment(name, "service")


@pytest.mark.parametrize(
    ("status", "text", "kind", "said"),
    [
        (400, "Missing name", errors.BadRequestError, "GET /v1/x of web1:8500: 400 Missing name"),
        (409, "conflict", errors.BadRequestError, "409 conflict"),
        (401, "ACL support disabled", errors.PermissionDeniedError, "ACLs are switched off"),
        (403, "Permission denied: lacks 'service:read'", errors.PermissionDeniedError, "No token was given: give one with that permission"),
        (403, "A token is used implicitly.", errors.PermissionDeniedError, "is used implicitly. No token was given"),
        (403, "ACL not found", errors.PermissionDeniedError, "does not know the agent's own default one"),
        (403, "ACL system must be bootstrapped: ACL not found", errors.PermissionDeniedError, "make the first one"),
        (404, "", errors.NotFoundError, "404"),
        (429, "slow down", errors.ServerError, "429 slow down"),
        (500, "No cluster leader", errors.ServerError, "has no leader"),
        (500, "No path to datacenter", errors.ServerError, "Is the datacenter's name right"),
        (307, "", errors.BadAnswerError, "answered by a redirect (307), which is never followed"),
    ],
)
def test_a_status_becomes_an_error_that_says_what_to_do(status, text, kind, said):
    request = build_request(settings(), "GET", "/v1/x")
    with pytest.raises(kind) as caught:
        check(answer(status, text.encode()), request)
    assert said in str(caught.value)
    assert getattr(caught.value, "status", status) == status


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/v1/kv/a", "key:read"),
        ("PUT", "/v1/kv/a", "key:write"),
        ("PUT", "/v1/txn", "key:write"),
        ("GET", "/v1/acl/policy/name/acl", "acl:read"),
        ("PUT", "/v1/acl/token", "acl:write"),
        ("PUT", "/v1/agent/token/agent", "agent:write"),
        ("GET", "/v1/agent/self", "agent:read"),
        ("PUT", "/v1/agent/service/register", "service:write"),
        ("GET", "/v1/agent/services", "service:read"),
        ("PUT", "/v1/catalog/register", "node:write, and service:write"),
        ("GET", "/v1/health/service/web", "service:read and node:read"),
        ("PUT", "/v1/session/create", "session:write"),
        ("GET", "/v1/session/list", "session:read"),
        ("PUT", "/v1/event/fire/x", "event:write"),
        ("GET", "/v1/query/x/execute", "query:read"),
        ("GET", "/v1/operator/raft/configuration", "operator:read"),
        ("GET", "/v1/snapshot", "acl:write"),
        ("PUT", "/v1/config", "the permission of its kind, such as service:write"),
        ("GET", "/v1/config/service-defaults/web", "the permission of its kind, such as service:read"),
        ("GET", "/v1/unheard-of", "that permission"),
    ],
)
@pytest.mark.parametrize("token", [None, "known"])
def test_a_bare_refusal_of_an_old_release_names_the_permission(method, path, needed, token):
    request = build_request(settings(token=token), method, path)
    with pytest.raises(errors.PermissionDeniedError) as caught:
        check(answer(403, b"Permission denied"), request)
    assert needed in caught.value.advice
    assert ("No token was given" in caught.value.advice) == (token is None)


def test_the_permission_of_a_write_on_a_condition_is_named_as_well():
    with pytest.raises(errors.PermissionDeniedError, match="needs the permission of its kind, such as service:write"):
        check(answer(403, b"Permission denied"), build_request(settings(token="known"), "PUT", "/v1/config", [("cas", 0)]))  # noqa: S106


@pytest.mark.parametrize(
    ("method", "said", "needed"),
    [("GET", b"Reading keyring denied by ACLs", "keyring:read"), ("POST", b"Modifying keyring denied due to ACLs", "keyring:write")],
)
def test_an_old_release_refuses_the_keyring_by_an_error_of_the_server(method, said, needed):
    with pytest.raises(errors.PermissionDeniedError, match=f"needs the permission {needed}"):
        check(answer(500, said), build_request(settings(token="known"), method, "/v1/operator/keyring"))  # noqa: S106


def test_an_unknown_token_and_none_are_told_apart():
    for token, said in (("gone", "has it expired"), (None, "No token was given")):
        with pytest.raises(errors.PermissionDeniedError, match=said):
            check(answer(403, b"ACL not found"), build_request(settings(token=token), "GET", "/v1/kv/k"))


def test_a_status_that_is_allowed_is_no_error():
    assert check(answer(404), build_request(settings(), "GET", "/v1/x"), allow=(404,)).status == 404


def test_the_token_of_an_answer_is_not_repeated():
    request = build_request(settings(token="s3cret"), "GET", "/v1/x")  # noqa: S106
    with pytest.raises(errors.PermissionDeniedError) as caught:
        check(answer(403, b"token s3cret lacks permission 'key:read'"), request)
    assert "s3cret" not in str(caught.value) + repr(vars(caught.value)) + repr(request)
    assert "The token needs that permission" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1, 2", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_a_bad_answer(content):
    with pytest.raises(errors.BadAnswerError, match=r"^GET /v1/x of web1:8500: the answer is no JSON"):
        answer(content=content).json()


def test_headers_are_found_whatever_their_case():
    assert answer(x_consul_results_filtered_by_acls="true").filtered_by_acls
    assert not answer().filtered_by_acls


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0s"), (15, "15s"), (1.5, "1500ms"), (0.0004, "0s"), (86400, "86400s"), (10.123456, "10123ms")]
)
def test_seconds_as_consul_reads_them(number, text):
    assert protocol.duration(number) == text
    assert protocol.seconds(text) == pytest.approx(number, abs=0.001)


def test_a_token_is_refused_in_an_address():
    with pytest.raises(errors.InvalidValueError, match="must not stand in an address") as caught:
        build_request(Settings.resolve(environ={}), "GET", "/v1/kv/a", [("token", "s3cret")])
    assert "s3cret" not in str(caught.value)

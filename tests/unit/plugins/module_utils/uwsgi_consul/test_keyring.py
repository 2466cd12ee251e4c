# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keyring: what is sent, and that no key is ever told."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, Keyring, errors
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.keyring import check_key, fingerprint, new_key

KEY = "cGl9SWd8VEnUYUx0gnSqV6LkVzNcTl8GZqzXEoyJ3SE="
RING = {"WAN": False, "Datacenter": "dc1", "Segment": "", "Keys": {KEY: 3}, "PrimaryKeys": {KEY: 3}, "NumNodes": 3}


@pytest.fixture
def make(fake_agent, reply):
    def of(body, status=200):
        agent = fake_agent(reply(body if isinstance(body, str) else json.dumps(body), status))
        return Keyring(Api(agents=[agent.address])), agent

    return of


def test_rings(make):
    keyring, agent = make([RING, {**RING, "WAN": True, "PrimaryKeys": None}])
    assert keyring.list(local_only=True, relay_factor=2) == [
        {"wan": True, "datacenter": "dc1", "segment": "", "nodes": 3, "keys": {KEY: 3}, "primary_keys": {}},
        {"wan": False, "datacenter": "dc1", "segment": "", "nodes": 3, "keys": {KEY: 3}, "primary_keys": {KEY: 3}},
    ]
    assert agent.requests[0].target == "/v1/operator/keyring?relay-factor=2&local-only=1"


def test_changes(make):
    keyring, agent = make("")
    keyring.install(KEY, relay_factor=5)
    keyring.use(KEY)
    keyring.remove(KEY)
    assert [(one.method, one.target) for one in agent.requests] == [
        ("POST", "/v1/operator/keyring?relay-factor=5"),
        ("PUT", "/v1/operator/keyring"),
        ("DELETE", "/v1/operator/keyring"),
    ]
    assert {one.body for one in agent.requests} == {json.dumps({"Key": KEY}).encode()}


def test_without_encryption(make):
    keyring, _agent = make("2 errors: Keyring is empty (encryption not enabled)", 500)
    with pytest.raises(errors.ConflictError, match=r"gossip is not encrypted.*encrypt of every agent"):
        keyring.list()


@pytest.mark.parametrize("bad", ["", "secret", "c2VjcmV0", KEY[:-4], f"{KEY}\n", b"a" * 44, None, 7])
def test_no_key_is_told_in_an_error(make, bad):
    keyring, agent = make("")
    for change in (keyring.install, keyring.use, keyring.remove):
        with pytest.raises(errors.InvalidValueError, match=r"^key: it is no key: 16, 24 or 32 bytes in base64") as caught:
            change(bad)
        assert not bad or str(bad) not in str(caught.value)
    assert not agent.requests


def test_keys():
    assert len({new_key() for _ in range(10)}) == 10
    assert check_key(new_key())
    assert check_key("MDEyMzQ1Njc4OWFiY2RlZg==")
    assert fingerprint(KEY) == fingerprint(KEY) != fingerprint(new_key())
    assert KEY[:8] not in fingerprint(KEY)

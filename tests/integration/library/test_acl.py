# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access control by the library, with a real Consul: the guide's example, and refusals that say what is missing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils import uwsgi_consul
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import KV, Api, Policies, Replication, Tokens, errors

GUIDE = Path(__file__).parents[3] / "docs/guide/ansible-acls.md"


@pytest.fixture
def api(datacenters):
    return Api(**datacenters.options())


def test_the_guides_example(datacenters, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uwsgi_consul", uwsgi_consul)
    for name, value in datacenters.environment().items():
        monkeypatch.setenv(name, value)
    (code,) = re.findall(r"```py\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    scope = {}
    exec(code, scope)  # noqa: S102
    accessor, ends = capsys.readouterr().out.split()
    assert scope["tokens"].get(accessor)["expiration_time"] == ends
    assert scope["tokens"].delete(accessor) is True
    assert scope["tokens"].delete(accessor) is False
    assert scope["policies"].delete(scope["policies"].named("shop-keys")["id"]) is True


def test_a_clone_may_do_the_same_with_another_secret(api):
    tokens = Tokens(api)
    first = tokens.create(description="library acl", service_identities=[{"service_name": "web"}])
    second = tokens.clone(first["accessor_id"], "library acl 2")
    assert second["service_identities"] == first["service_identities"]
    assert second["secret_id"] != first["secret_id"]
    assert {one["description"] for one in tokens.select(service_name="web")} >= {"library acl", "library acl 2"}


def test_replication_of_a_datacenter_that_follows(datacenters):
    status = Replication(Api(**datacenters.options(datacenters.dc2))).status()
    assert (status["running"], status["source_datacenter"], status["type"]) == (True, "dc1", "tokens")
    assert status["last_success"]


def test_a_refusal_names_the_permission_and_no_token(datacenters, api):
    token = Tokens(api).create(description="library weak", policies=[])["secret_id"]
    options = datacenters.options()
    for given, said in (
        ({"token": token}, r"lacks permission 'key:write'.* The token needs that permission"),
        ({"token": ""}, r"anonymous token lacks permission 'key:write'.* No token was given: give one with that permission by token"),
        ({"token": "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"}, r"ACL not found\. Consul does not know the token"),
    ):
        with pytest.raises(errors.PermissionDeniedError, match=said) as caught:
            KV(Api(**{**options, **given})).set("library/acl", "x")
        assert not given["token"] or given["token"] not in str(caught.value) + repr(vars(caught.value))
        with pytest.raises(errors.PermissionDeniedError):
            Policies(Api(**{**options, **given})).list()

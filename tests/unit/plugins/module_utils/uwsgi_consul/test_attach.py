# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of the functions in the module `uwsgi`: their names and parameters, and when cache or agent answers."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import types

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import InvalidValueError, NoAgentError, vassal

PACKAGE = "ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul"
# The list of the draft "uWSGI Consul integration".
DRAFT = {
    "consul_services": ["dc"],
    "consul_service": ["tag", "name", "dc"],
    "consul_set": ["name", "value", "dc", "cas", "acquire", "release"],
    "consul_get": ["name", "dc"],
    "consul_del": ["name", "recurse", "dc"],
    "consul_session_create": ["lock_delay", "name", "node", "checks"],
    "consul_session_destroy": ["id"],
    "consul_session_info": ["id", "dc"],
    "consul_session_node": ["node", "dc"],
    "consul_session_list": ["dc"],
}
WEB = [{"id": "web-1", "tags": ["Blue", "v1"]}, {"id": "web-2", "tags": []}]


@pytest.fixture
def uwsgi(monkeypatch, refusing):
    """The module as uWSGI has it, with a cache that a test fills; its agent answers nobody."""
    items = {}
    module = types.ModuleType("uwsgi")
    module.cache_get = lambda key, name: items.get(key) if name == "consul" else None
    module.consul_options = {"consul-agent": [refusing]}
    module.items = items
    monkeypatch.setattr(vassal, "_found", module)
    monkeypatch.setattr(vassal, "_looked", True)
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.attach", raising=False)
    importlib.import_module(f"{PACKAGE}.attach")
    yield module
    sys.modules.pop(f"{PACKAGE}.attach", None)


def put(uwsgi, key, item):
    uwsgi.items[key] = json.dumps(item).encode()


def test_outside_of_uwsgi_the_import_says_what_to_do(monkeypatch):
    monkeypatch.setattr(vassal, "_looked", False)
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.attach", raising=False)
    with pytest.raises(ImportError, match=r"import = uwsgi_consul\.attach") as caught:
        importlib.import_module(f"{PACKAGE}.attach")
    assert caught.value.name == "uwsgi"


def test_names_and_order_of_parameters_are_the_drafts_and_all_may_be_left_out(uwsgi):
    for name, parameters in DRAFT.items():
        signature = inspect.signature(getattr(uwsgi, name))
        assert list(signature.parameters) == parameters
        assert all(parameter.default is None for parameter in signature.parameters.values())


def test_a_service_of_the_cache(uwsgi):
    put(uwsgi, "service/web", {"instances": WEB})
    put(uwsgi, "service/web?dc=dc2&tag=v1", {"instances": WEB[:1]})
    found = uwsgi.consul_service(None, "web")
    assert found == WEB
    # What the app does to its list is nothing to the next one who asks.
    found[0]["id"] = found[1]["tags"] = "changed"
    assert uwsgi.consul_service(name="web") == WEB
    assert uwsgi.consul_service("blue", "web") == WEB[:1]
    assert uwsgi.consul_service("v", "web") == []
    assert uwsgi.consul_service("v1", "web", "dc2") == WEB[:1]
    for tag, datacenter in (("v2", "dc2"), (None, "dc2"), (None, "dc1")):
        with pytest.raises(NoAgentError):
            uwsgi.consul_service(tag, "web", datacenter)


def test_the_datacenter_of_the_options_needs_no_name(uwsgi):
    uwsgi.consul_options["consul-datacenter"] = ["dc2"]
    put(uwsgi, "service/web", {"instances": WEB})
    put(uwsgi, "service/api?dc=dc2", {"instances": []})
    assert uwsgi.consul_service(name="web", dc="dc2") == uwsgi.consul_service(name="web") == WEB
    assert uwsgi.consul_service(name="api") == []
    with pytest.raises(NoAgentError):
        uwsgi.consul_service(name="web", dc="dc1")


def test_a_key_of_the_cache_and_one_that_is_known_not_to_be_there(uwsgi):
    uwsgi.consul_options["consul-watch-kv"] = ["app/", "other/,dc=dc2"]
    entry = {"key": "app/a", "value": "1", "flags": 0, "index": 7, "session": None}
    put(uwsgi, "kv/app/a", entry)
    put(uwsgi, "keys/app/", {"keys": ["app/a", "app/new"]})
    put(uwsgi, "kv/other/a", {**entry, "key": "other/a"})
    assert uwsgi.consul_get("app/a") == entry
    assert uwsgi.consul_get("app/b") is None
    assert uwsgi.consul_get("other/a", "dc2") == {**entry, "key": "other/a"}
    # One that the list has and the cache not yet; one of another datacenter; one that nothing is known of.
    for key, datacenter in (("app/new", None), ("app/a", "dc2"), ("other/a", None), ("other/b", "dc2"), ("else", None)):
        with pytest.raises(NoAgentError):
            uwsgi.consul_get(key, datacenter)


def test_the_agent_answers_in_the_caches_shape(uwsgi, fake_agent, reply):
    item = {"Key": "a", "Value": "/w==", "Flags": 3, "CreateIndex": 1, "ModifyIndex": 5, "LockIndex": 0}
    agent = fake_agent(reply(json.dumps([item])))
    uwsgi.consul_options["consul-agent"] = [agent.address]
    assert uwsgi.consul_get("a", "dc2") == {"key": "a", "value": None, "flags": 3, "index": 5, "session": None, "base64": "/w=="}
    assert agent.requests[0].target == "/v1/kv/a?dc=dc2"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(name, []) for name in DRAFT if name not in ("consul_services", "consul_session_create", "consul_session_list")]
    + [
        ("consul_services", ["d c"]),
        ("consul_service", ["a\nb", "web"]),
        ("consul_service", [None, "web", 7]),
        ("consul_set", ["key", 7]),
        ("consul_set", ["key", "value", None, 1.5]),
        ("consul_get", ["a//b"]),
        ("consul_get", [7]),
        ("consul_del", ["key", "true"]),
        ("consul_session_create", ["1h"]),
        ("consul_session_create", [None, None, None, ["a", 7]]),
        ("consul_session_destroy", ["x/y"]),
        ("consul_session_node", ["\x00"]),
        ("consul_session_list", ["/"]),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(uwsgi, function, arguments):
    with pytest.raises(InvalidValueError):
        getattr(uwsgi, function)(*arguments)

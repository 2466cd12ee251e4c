# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookups on their own: options, results and what is asked of Consul; Ansible's side is tested with a real one."""

from __future__ import annotations

import json
from email.message import Message
from importlib import import_module

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.plugin_utils import _lookup

PLUGINS = "ansible_collections.uwsgi.consul.plugins"


class Client:
    """Answers paths from a table and remembers what was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def request(self, method, path, params=(), **_options):
        self.asked.append((method, path, list(params)))
        status, data = (200, self.answers[path]) if path in self.answers else (404, [])
        return Answer(status, Message(), json.dumps(data).encode(), f"{method} {path}", "a:1")


def load(name):
    """The lookup, with its documented options, without Ansible's loader."""
    module = import_module(f"{PLUGINS}.lookup.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = documentation["options"]
    for fragment in documentation["extends_documentation_fragment"]:
        _namespace, _collection, group, *variation = fragment.split(".")
        text = getattr(import_module(f"{PLUGINS}.doc_fragments.{group}").ModuleDocFragment, "PLUGINS" if variation else "DOCUMENTATION")
        for option, parts in yaml.safe_load(text)["options"].items():
            options[option] = options.get(option, {}) | parts
    constants.config.initialize_plugin_configuration_definitions("lookup", name, options)
    plugin = module.LookupModule()
    plugin._load_name = name
    return plugin


@pytest.fixture
def run(monkeypatch):
    """Runs a lookup against a table of answers; gives its result and what it asked."""

    def call(name, terms, answers, **options):
        client = Client(answers)
        monkeypatch.setattr(_lookup, "_client_for", lambda _settings: client)
        return load(name).run(terms, variables={}, **options), client.asked

    return call


def instance(service, node="web1", port=2001, address="10.0.0.1", status="passing"):
    return {
        "Node": {"Node": node, "Address": address, "Datacenter": "dc1"},
        "Service": {"Service": service, "ID": f"{service}-{port}", "Address": "", "Port": port},
        "Checks": [{"CheckID": "c", "Status": status}],
    }


WEB = {"/v1/health/service/web": [instance("web", "web2"), instance("web", "web1")], "/v1/health/service/none": []}


def test_instances_term_by_term(run):
    answers = {**WEB, "/v1/health/service/db": [instance("db", "db1")]}
    found, _asked = run("consul_service", ["web", "db"], answers)
    assert [(one["service"], one["node"]) for one in found] == [("web", "web1"), ("web", "web2"), ("db", "db1")]


def test_an_unknown_service_is_an_empty_list(run):
    assert run("consul_service", ["none"], WEB)[0] == []


@pytest.mark.parametrize(
    ("status", "kind"), [("passing", "passing instance"), ("warning", "passing or warning instance"), ("any", "instance")]
)
def test_an_empty_result_is_an_error_when_asked_for(run, status, kind):
    with pytest.raises(AnsibleLookupError, match=f"^service none has no {kind} that matches"):
        run("consul_service", ["web", "none"], WEB, fail_on_empty=True, status=status)


def test_the_options_are_passed(run):
    options = {"tags": ["v2", "x"], "status": "any", "near": "_agent", "filter": "a == b"}
    _found, asked = run("consul_service", ["web"], WEB, **options)
    assert asked == [
        ("GET", "/v1/health/service/web", [("tag", "v2"), ("tag", "x"), ("near", "_agent"), ("filter", "a == b")]),
    ]


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"format": "address:port"}, ["10.0.0.1:2001", "[fd00::1]:2001", "10.0.0.1"]),
        ({"format": "url"}, ["http://10.0.0.1:2001", "http://[fd00::1]:2001", "http://10.0.0.1"]),
        ({"format": "url", "scheme": "redis"}, ["redis://10.0.0.1:2001", "redis://[fd00::1]:2001", "redis://10.0.0.1"]),
    ],
)
def test_formats(run, options, texts):
    instances = [instance("web", "n1"), instance("web", "n2", address="fd00::1"), instance("web", "n3", port=0)]
    assert run("consul_service", ["web"], {"/v1/health/service/web": instances}, **options)[0] == texts


@pytest.mark.parametrize("options", [{"status": "healthy"}, {"format": "xml"}, {"consistency": "eventual"}, {"timeout": "soon"}])
def test_choices_and_types_are_checked(run, options):
    with pytest.raises(AnsibleError, match=next(iter(options))):
        run("consul_service", ["web"], WEB, **options)


SERVICES = {"/v1/catalog/services": {"web-b": ["x"], "web-a": [], "consul": []}}


@pytest.mark.parametrize(
    ("terms", "names"),
    [([], ["consul", "web-a", "web-b"]), (["web-*"], ["web-a", "web-b"]), (["*-a", "consul"], ["consul", "web-a"]), (["WEB-*"], [])],
)
def test_names_of_services(run, terms, names):
    assert run("consul_services", terms, SERVICES)[0] == names
    assert [one["name"] for one in run("consul_services", terms, SERVICES, with_tags=True)[0]] == names


def test_services_with_their_tags(run):
    assert run("consul_services", ["web-b"], SERVICES, with_tags=True)[0] == [{"name": "web-b", "tags": ["x"]}]


def item(key, value):
    return {"Key": key, "Value": value, "Flags": 7, "CreateIndex": 1, "ModifyIndex": 1, "LockIndex": 0}


KEYS = {
    "/v1/kv/a%20b": [item("a b", "Ymx1ZQ==")],
    "/v1/kv/empty": [item("empty", None)],
    "/v1/kv/binary": [item("binary", "//4=")],
    "/v1/kv/app/": [item("app/b", "Mg=="), item("app/a", "MQ==")],
}


def test_values(run):
    assert run("consul_kv", ["a b", "empty"], KEYS)[0] == ["blue", ""]


def test_a_missing_key_is_an_error_that_names_it(run):
    with pytest.raises(AnsibleLookupError, match=r"^key nix does not exist in Consul's key/value store"):
        run("consul_kv", ["a b", "nix"], KEYS)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"default": "red"}, ["blue", "red"]),
        ({"default": ""}, ["blue", ""]),
        ({"default": 0}, ["blue", 0]),
        ({"fail_on_missing": False}, ["blue"]),
    ],
)
def test_a_key_that_may_be_missing(run, options, values):
    assert run("consul_kv", ["a b", "nix"], KEYS, **options)[0] == values


def test_a_default_does_not_replace_an_empty_value(run):
    assert run("consul_kv", ["empty"], KEYS, default="red")[0] == [""]


def test_a_tree(run):
    found, asked = run("consul_kv", ["app/"], KEYS, recurse=True)
    assert found == [{"key": "app/a", "value": "1", "flags": 7}, {"key": "app/b", "value": "2", "flags": 7}]
    assert asked == [("GET", "/v1/kv/app/", [("recurse", "1")])]


def test_an_empty_prefix_is_an_error_unless_told(run):
    with pytest.raises(AnsibleLookupError, match=r"^prefix nix/ does not exist"):
        run("consul_kv", ["nix/"], KEYS, recurse=True)
    assert run("consul_kv", ["nix/"], KEYS, recurse=True, fail_on_missing=False)[0] == []


def test_bytes(run):
    with pytest.raises(AnsibleLookupError, match=r"the value of binary is not UTF-8 text\. Read it with encoding=base64"):
        run("consul_kv", ["binary"], KEYS)
    assert run("consul_kv", ["binary"], KEYS, encoding="base64")[0] == ["//4="]


@pytest.mark.parametrize("name", ["consul_service", "consul_kv"])
@pytest.mark.parametrize("term", ["", None, 7, "\n"])
def test_terms_that_are_no_names(run, name, term):
    with pytest.raises(AnsibleLookupError, match=r"^(service|key): "):
        run(name, [term], {})


def session(number, name, node="web1"):
    return {
        "ID": f"00000000-0000-0000-0000-00000000000{number}",
        "Name": name,
        "Node": node,
        "LockDelay": 0,
        "Behavior": "release",
        "CreateIndex": number,
        "ModifyIndex": number,
    }


SESSIONS = {"/v1/session/list": [session(2, "b"), session(1, "a"), session(3, "b")], "/v1/session/node/web1": [session(1, "a")]}


@pytest.mark.parametrize(
    ("terms", "options", "numbers"),
    [
        ([], {}, [1, 2, 3]),
        (["b"], {}, [2, 3]),
        (["b", session(1, "")["ID"], "a", "b"], {}, [2, 3, 1]),
        (["none"], {}, []),
        ([], {"node": "web1"}, [1]),
        (["b"], {"node": "web1"}, []),
    ],
)
def test_sessions(run, terms, options, numbers):
    found, asked = run("consul_session", terms, SESSIONS, **options)
    assert [one["create_index"] for one in found] == numbers
    assert len(asked) == 1


@pytest.mark.parametrize("terms", [["a", "none"], ["a\nb"]])
def test_a_session_that_can_not_be_had(run, terms):
    with pytest.raises(AnsibleLookupError, match=r"no session none|is no name"):
        run("consul_session", terms, SESSIONS, fail_on_missing=True)

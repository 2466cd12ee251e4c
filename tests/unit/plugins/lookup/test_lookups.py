# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookups on their own: options, results and what is asked of Consul; Ansible's side is tested with a real one."""

from __future__ import annotations

import json
from email.message import Message
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import documented
import pytest
from ansible import constants
from ansible.errors import AnsibleError, AnsibleLookupError

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.plugin_utils import _lookup

PLUGINS = "ansible_collections.uwsgi.consul.plugins"
LOOKUPS = Path(__file__).parents[4] / "plugins/lookup"


class Client:
    """Answers paths from a table and remembers what was asked."""

    settings = Settings()

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def request(self, method, path, params=(), body=None, **_options):
        self.asked.append((method, path, list(params)))
        if path == "/v1/txn":
            keys = [one["KV"]["Key"] for one in json.loads(body)]
            found = [(self.answers.get(f"/v1/kv/{quote(key)}") or [item(key, None, 0)])[0] for key in keys]
            status, data = 200, {"Results": [{"KV": one} for one in found], "Errors": None}
        else:
            status, data = (200, self.answers[path]) if path in self.answers else (404, [])
        return Answer(status, Message(), json.dumps(data).encode(), f"{method} {path}", "a:1")


def load(name):
    """The lookup, with its documented options, without Ansible's loader."""
    module = import_module(f"{PLUGINS}.lookup.{name}")
    constants.config.initialize_plugin_configuration_definitions("lookup", name, documented.options("lookup", name))
    plugin = module.LookupModule()
    plugin._load_name = name
    return plugin


@pytest.fixture
def run(monkeypatch):
    """Runs a lookup against a table of answers; gives its result and what it asked."""

    def call(name, terms, answers, **options):
        client = Client(answers)
        monkeypatch.setattr(_lookup, "_api_for", lambda _settings, _seconds: client)
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


@pytest.mark.parametrize("status", ["passing", "warning", "any"])
def test_an_empty_result_is_an_error_when_asked_for(run, status):
    with pytest.raises(AnsibleLookupError, match=r"^service none has no instance, and 1 should be "):
        run("consul_service", ["web", "none"], WEB, fail_on_empty=True, status=status)


def test_the_options_are_passed(run):
    options = {"tags": ["v2", "x"], "status": "any", "near": "_agent", "filter": "a == b"}
    _found, ((method, path, params),) = run("consul_service", ["web"], WEB, **options)
    assert (method, path) == ("GET", "/v1/health/service/web")
    assert sorted(params) == [("filter", "a == b"), ("near", "_agent"), ("tag", "v2"), ("tag", "x")]


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_instances": 3}, "of service web, 2 of 2 instances are passing, and 3 should be"),
        ({"min_instances": 3, "wait": 0.01}, "of service web, 2 of 2 instances are passing, and 3 should be, after 0.01 s"),
        ({"wait": -1}, "wait: -1 is no duration"),
        ({"wait": "soon"}, "wait: 'soon' is no duration"),
        ({"min_instances": -1}, "min_instances: -1 is no whole number"),
    ],
)
def test_too_few_instances_are_an_error_when_told(run, options, message):
    with pytest.raises(AnsibleLookupError, match=f"^{message}"):
        run("consul_service", ["web"], WEB, **options)


def test_enough_instances_are_not_waited_for(run):
    found, asked = run("consul_service", ["web"], WEB, wait=60, min_instances=2)
    assert len(found) == 2
    assert len(asked) == 1


def test_waiting_for_none_is_waiting_for_one(run):
    with pytest.raises(AnsibleLookupError, match=r"^service none has no instance, and 1 should be passing, after 0.01 s"):
        run("consul_service", ["none"], WEB, wait=0.01)


def test_what_waits_shares_no_answers(run):
    plugin = load("consul_service")
    for wait, share in ((None, True), (0, True), (5, False), ("1m30s", False)):
        plugin.set_options(direct={"wait": wait})
        assert plugin.may_share() is share


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


@pytest.mark.parametrize(("tags", "names"), [(["x"], ["web-b"]), (["x", "y"], []), ([], ["consul", "web-a", "web-b"])])
def test_services_by_tags(run, tags, names):
    assert run("consul_services", [], SERVICES, tags=tags)[0] == names


def item(key, value, index=1):
    return {"Key": key, "Value": value, "Flags": 7, "CreateIndex": index, "ModifyIndex": index, "LockIndex": 0}


KEYS = {
    "/v1/kv/a%20b": [item("a b", "Ymx1ZQ==")],
    "/v1/kv/empty": [item("empty", None)],
    "/v1/kv/binary": [item("binary", "//4=")],
    "/v1/kv/app/": [item("app/b", "Mg=="), item("app/a", "MQ==")],
}


def test_values(run):
    found, asked = run("consul_kv", ["a b", "empty", "a b"], KEYS)
    assert found == ["blue", "", "blue"]
    assert asked == [("PUT", "/v1/txn", [])]
    assert run("consul_kv", ["a b"], KEYS)[1] == [("GET", "/v1/kv/a%20b", [])]


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


def node(name, status="passing", **fields):
    checks = [{"CheckID": "serfHealth", "Name": "Serf", "Status": status, "ServiceID": ""}]
    services = [{"ID": "web-1", "Service": "web", "Port": 80}]
    return {"Node": name, "Address": "10.0.0.1", "Checks": checks, "Services": services, **fields}


NODES = {
    "/v1/internal/ui/nodes": [node("web2"), node("web1"), node("db1", "critical")],
    "/v1/catalog/node/web2": {"Node": {"Datacenter": "dc1"}},
}


@pytest.mark.parametrize(
    ("terms", "options", "names"),
    [
        ([], {}, ["db1", "web1", "web2"]),
        (["web*"], {}, ["web1", "web2"]),
        (["web2", "db?"], {}, ["db1", "web2"]),
        (["nix"], {}, []),
        ([], {"status": "warning"}, ["web1", "web2"]),
        (["web1"], {"fail_on_empty": True}, ["web1"]),
    ],
)
def test_nodes(run, terms, options, names):
    found, asked = run("consul_node", terms, NODES, **options)
    assert [one["name"] for one in found] == names
    assert asked[0] == ("GET", "/v1/internal/ui/nodes", [])
    # All nodes in one request, and one for the name of the datacenter.
    assert len(asked) == 2
    assert all((one["datacenter"], one["services"][0]["name"]) == ("dc1", "web") for one in found)


@pytest.mark.parametrize(("terms", "options"), [(["web1", "nix*"], {}), (["db1"], {"status": "passing"})])
def test_missing_nodes_are_an_error_when_told(run, terms, options):
    with pytest.raises(AnsibleLookupError, match=f"^Consul's catalog has no such node: {terms[-1]}".replace("*", "[*]")):
        run("consul_node", terms, NODES, fail_on_empty=True, **options)


def test_a_filter_of_nodes_is_passed(run):
    _found, asked = run("consul_node", [], NODES, filter="Meta.rack == r1")
    assert asked[0][2] == [("filter", "Meta.rack == r1")]


@pytest.mark.parametrize("name", ["consul_service", "consul_services", "consul_node", "consul_kv"])
@pytest.mark.parametrize("term", ["", None, 7, "\n"])
def test_terms_that_are_no_names(run, name, term):
    with pytest.raises(AnsibleLookupError, match=r"^(service|node|keys): "):
        run(name, [term], {**SERVICES, **NODES})


@pytest.mark.parametrize("name", sorted(path.stem for path in LOOKUPS.glob("consul_*.py")))
def test_documentation(name):
    """All lookups have the same ways to Consul."""
    documentation = documented.documentation("lookup", name)
    groups = [f"uwsgi.consul.{group}" for group in ("connection", "token", "tls")]
    assert documentation["name"] == name
    fragments = set(documentation["extends_documentation_fragment"])
    assert fragments == {
        *groups,
        *(f"{group}.plugins" for group in groups),
        "uwsgi.consul.cache",
    }


JSON = {
    "/v1/kv/j": [item("j", "eyJhIjogW3RydWVdfQ==")],  # {"a": [true]}
    "/v1/kv/y": [item("y", "YTogeWVz")],  # a: yes
    "/v1/kv/no": [item("no", "c2VjcmV0OiBb")],  # secret: [
    "/v1/kv/f/": [item("f/j", "eyJhIjogW3RydWVdfQ=="), item("f/d/n", "Nw=="), item("f/d/", None)],
    "/v1/kv/both/": [item("both/a", "e30="), item("both/a/b", "Nw==")],  # {} and 7
}


def test_values_that_are_decoded(run):
    assert run("consul_kv", ["j"], JSON, decode="json")[0] == [{"a": [True]}]
    assert run("consul_kv", ["y", "nix"], JSON, decode="yaml", default="{}")[0] == [{"a": True}, "{}"]
    assert run("consul_kv", ["f/"], {"/v1/kv/f/": JSON["/v1/kv/f/"][:2]}, recurse=True, decode="json")[0] == [
        {"key": "f/d/n", "value": 7, "flags": 7},
        {"key": "f/j", "value": {"a": [True]}, "flags": 7},
    ]


@pytest.mark.parametrize("decode", ["json", "yaml"])
def test_what_cant_be_decoded_is_not_shown(run, decode):
    with pytest.raises(AnsibleLookupError, match=f"^the value of no is no {decode.upper()}$"):
        run("consul_kv", ["no"], JSON, decode=decode)


def test_a_folder_as_a_dictionary(run):
    assert run("consul_kv", ["f", "f/"], JSON, tree=True)[0] == [{"j": '{"a": [true]}', "d": {"n": "7"}}] * 2
    assert run("consul_kv", ["f"], JSON, tree=True, decode="json")[0] == [{"j": {"a": [True]}, "d": {"n": 7}}]
    # A value that is a dictionary when it is decoded is no folder.
    with pytest.raises(AnsibleLookupError, match="both/a: is a key and a folder at the same time"):
        run("consul_kv", ["both"], JSON, tree=True, decode="json")


def test_a_folder_in_which_nothing_is(run):
    with pytest.raises(AnsibleLookupError, match=r"^folder nix does not exist"):
        run("consul_kv", ["nix"], JSON, tree=True)
    assert run("consul_kv", ["nix"], JSON, tree=True, fail_on_missing=False)[0] == [{}]
    assert run("consul_kv", ["nix", "f"], JSON, tree=True, default={"a": 1})[0][0] == {"a": 1}


def test_names(run):
    found, asked = run("consul_kv", ["f/"], {"/v1/kv/f/": ["f/j", "f/d/"]}, keys_only=True, separator="/")
    assert found == ["f/d/", "f/j"]
    assert asked == [("GET", "/v1/kv/f/", [("keys", "1"), ("separator", "/")])]
    with pytest.raises(AnsibleLookupError, match=r"^prefix nix/ does not exist"):
        run("consul_kv", ["nix/"], JSON, keys_only=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"recurse": True, "tree": True}, "recurse and tree: give one of them"),
        ({"separator": "/"}, "separator: is of use with keys_only=true only"),
        ({"decode": "json", "encoding": "base64"}, "decode: is of use with encoding=text only"),
    ],
)
def test_options_that_do_not_fit_together(run, options, expected):
    with pytest.raises(AnsibleLookupError, match=expected):
        run("consul_kv", ["f"], JSON, **options)


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

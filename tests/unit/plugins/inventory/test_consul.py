# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin without Consul: options, hosts, groups, the cache and what is asked."""

from __future__ import annotations

import json
import re
from email.message import Message
from pathlib import Path

import documented
import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.uwsgi.consul.plugins.inventory import consul
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError, ServerError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.plugin_utils import _inventory

NODES = "/v1/internal/ui/nodes"


class Api:
    """Answers for datacenters from a table, in which an error is raised; remembers what was asked."""

    def __init__(self, table, settings):
        self.table, self.settings, self.asked = table, settings, []

    def __call__(self, settings):
        self.settings = settings
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def request(self, method, path, params=(), **_options):
        dc = dict(params).get("dc")
        self.asked.append((path, *([dc] if dc else [])))
        data = sorted(self.table) if path == "/v1/catalog/datacenters" else self.table[dc or self.settings.datacenter or "dc1"]
        if path.startswith("/v1/catalog/node/"):
            data = {"Node": {"Datacenter": "dc1"}}
        if isinstance(data, Exception):
            raise data
        return Answer(200, Message(), json.dumps(data).encode(), f"{method} {path}", "a:1")


def node(name, address="10.0.0.1", status="passing", services=(), **fields):
    """services: names, each with its tags and the status of its check."""
    checks = [{"CheckID": "serfHealth", "Name": "n", "Status": status, "ServiceID": ""}]
    entries = []
    for service, (tags, state) in dict(services).items():
        entries.append({"Service": service, "ID": service, "Address": "", "Port": 80, "Tags": tags, "Meta": None})
        checks.append({"CheckID": f"c-{service}", "Name": "n", "Status": state, "ServiceID": service})
    return {"Node": name, "ID": "", "Address": address, "Checks": checks, "Services": entries, "Meta": {}, "TaggedAddresses": {}, **fields}


ONE = {
    "dc1": [node("web1", "10.0.0.1", services={"web": (["v2"], "passing")}), node("db1", "10.0.0.2", "critical", {"db": ([], "warning")})]
}
TWO = {**ONE, "dc2": [node("web2", "10.2.0.1", Meta={"rack": "r-1"})]}


def load():
    """The plugin with its documented options, without Ansible's loader."""
    options = documented.options("inventory", "consul")
    constants.config.initialize_plugin_configuration_definitions("inventory", "uwsgi.consul.consul", options)
    plugin = consul.InventoryModule()
    plugin._load_name = plugin.ansible_name = "uwsgi.consul.consul"
    plugin._redirected_names = None
    return plugin


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def parse(monkeypatch, tmp_path):
    """Parses a configuration against a table of datacenters; gives the inventory, with what was asked and the warnings."""

    def call(table=ONE, **config):
        api, said = Api(table, None), []
        monkeypatch.setattr(_inventory, "Api", api)
        plugin, inventory, path = load(), InventoryData(), tmp_path / "consul.yml"
        monkeypatch.setattr(plugin.display, "warning", said.append)
        path.write_text(yaml.safe_dump({"plugin": "uwsgi.consul.consul", **config}))
        plugin.parse(inventory, DataLoader(), str(path))
        if config.get("cache"):
            plugin.update_cache_if_changed()
        inventory.asked, inventory.said = api.asked, said
        return inventory

    return call


def test_examples_and_guide_name_options_that_there_are():
    guide = (Path(__file__).parents[4] / "docs/guide/ansible-inventory.md").read_text()
    blocks = consul.EXAMPLES.split("---\n") + re.findall(r"```(?:ini|yaml)\n(.*?)```", guide, re.DOTALL)
    table = guide.partition("## What you want")[2].partition("##")[0]
    cells = [cell for row in table.splitlines() for cell in re.findall(r"`([a-z_]+: [^`]+)`", row)]
    assert len(blocks) > 6
    assert len(cells) > 10
    known = set(load().option_definitions)
    for text in [*blocks, *cells]:
        assert set(yaml.safe_load(text)) <= known, text


def groups(inventory):
    named = {name: sorted(host.name for host in group.hosts) for name, group in inventory.groups.items()}
    return {name: hosts for name, hosts in named.items() if name not in ("all", "ungrouped")}


@pytest.mark.parametrize(
    ("name", "good"),
    [("consul.yml", True), ("prod.consul.yaml", True), ("my_consul.yml", True), ("consul.json", False), ("hosts.yml", False)],
)
def test_files_are_known_by_their_names(tmp_path, name, good):
    (tmp_path / name).write_text("plugin: uwsgi.consul.consul\n")
    assert load().verify_file(str(tmp_path / name)) is good


def test_a_file_that_is_not_there(tmp_path):
    assert load().verify_file(str(tmp_path / "consul.yml")) is False


def test_hosts_and_groups_of_the_agents_own_datacenter(parse):
    inventory = parse()
    assert groups(inventory) == {
        "consul_datacenter_dc1": ["db1", "web1"],
        "consul_health_critical": ["db1"],
        "consul_health_passing": ["web1"],
        "consul_service_db": ["db1"],
        "consul_service_web": ["web1"],
        "consul_tag_v2": ["web1"],
    }
    assert inventory.asked == [(NODES,), ("/v1/catalog/node/web1",)]
    variables = inventory.hosts["web1"].vars
    assert variables["ansible_host"] == "10.0.0.1"
    assert variables["consul_node"]["services"][0]["tags"] == ["v2"]
    assert not inventory.said


def test_all_datacenters_take_one_request_each(parse):
    inventory = parse(TWO, datacenters=["*"])
    assert sorted(inventory.hosts) == ["db1", "web1", "web2"]
    assert sorted(inventory.asked) == [("/v1/catalog/datacenters",), (NODES, "dc1"), (NODES, "dc2")]


@pytest.mark.parametrize(
    ("datacenters", "asked"),
    [
        (["dc2"], [(NODES, "dc2")]),
        (["dc2", "dc1", "dc2"], [(NODES, "dc1"), (NODES, "dc2")]),
        (["*2"], [("/v1/catalog/datacenters",), (NODES, "dc2")]),
    ],
)
def test_some_datacenters(parse, datacenters, asked):
    assert sorted(parse(TWO, datacenters=datacenters).asked) == asked


def test_the_datacenter_of_the_connection(parse):
    inventory = parse(TWO, datacenter="dc2")
    assert list(inventory.hosts) == ["web2"]
    assert inventory.hosts["web2"].vars["consul_node"]["datacenter"] == "dc2"


def test_groups_are_chosen_and_named(parse):
    inventory = parse(TWO, datacenters=["dc2"], group_by=["meta", "datacenter"], group_prefix="")
    assert groups(inventory) == {"datacenter_dc2": ["web2"], "meta_rack_r_1": ["web2"]}


def test_names_that_become_the_same_are_told(parse):
    both = {"dc1": [node("a", services={"web-x": ([], "passing")}), node("b", services={"web.x": ([], "passing")})]}
    inventory = parse(both, group_by=["service"])
    assert groups(inventory) == {"consul_service_web_x": ["a", "b"]}
    assert inventory.said == [
        "Group consul_service_web_x holds the hosts of 'service web-x' and of 'service web.x': their names become the same"
    ]


def test_only_what_is_well(parse):
    table = {
        "dc1": [
            node("a", services={"web": (["x"], "passing")}),
            node("b", services={"web": (["x"], "critical")}),
            node("c", status="warning"),
        ]
    }
    assert groups(parse(table, status="passing", group_by=["service", "tag"])) == {"consul_service_web": ["a"], "consul_tag_x": ["a"]}
    assert sorted(parse(table, status="passing").hosts) == ["a", "b"]
    assert sorted(parse(table, status="passing", services=["web"]).hosts) == ["a"]
    assert sorted(parse(table, status="warning").hosts) == ["a", "b", "c"]


def test_only_nodes_with_a_service_or_with_metadata(parse):
    assert list(parse(services=["w*", "x"]).hosts) == ["web1"]
    table = {"dc1": [node("a", Meta={"canary": "true", "n": "1"}), node("b", Meta={"canary": "false", "n": "1"})]}
    assert list(parse(table, node_meta={"canary": True, "n": 1}).hosts) == ["a"]
    assert list(parse(table, node_meta={"other": "1"}).hosts) == []


@pytest.mark.parametrize(
    ("addresses", "chosen"), [([], "10.0.0.1"), (["wan"], "192.0.2.1"), (["lan_ipv6", "wan"], "fd00::1"), (["nix"], "10.0.0.1")]
)
def test_the_address_of_a_host(parse, addresses, chosen):
    table = {"dc1": [node("a", TaggedAddresses={"wan": "192.0.2.1", "lan_ipv6": "fd00::1"})]}
    assert parse(table, addresses=addresses).hosts["a"].vars["ansible_host"] == chosen


SAME = {"dc1": [node("web1", "10.0.0.1")], "dc2": [node("web1", "10.2.0.1")]}


def test_two_nodes_are_never_one_host(parse):
    with pytest.raises(AnsibleParserError) as caught:
        parse(SAME, datacenters=["*"])
    assert str(caught.value) == (
        "hostname: 'web1' would be both node 'web1' of datacenter dc1 and node 'web1' of datacenter dc2. "
        "Give a hostname that tells them apart, such as {node}.{datacenter}"
    )
    assert sorted(parse(SAME, datacenters=["*"], hostname="{node}.{datacenter}.example.org").hosts) == [
        "web1.dc1.example.org",
        "web1.dc2.example.org",
    ]
    assert sorted(parse(SAME, datacenters=["*"], hostname="{address}").hosts) == ["10.0.0.1", "10.2.0.1"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"datacentres": ["dc1"]}, "datacentres: no such option. The options are addresses, agents, "),
        ({"hostname": "web"}, "hostname: 'web' is no name of a node. Give text with {node}"),
        ({"hostname": "{name}"}, "hostname: '{name}' is no name of a node"),
        ({"hostname": ""}, "hostname: '' is no name of a node"),
        ({"datacenters": ["dc 1"]}, "datacenters: 'dc 1' is no name of a datacenter"),
        ({"datacenters": ["eu-*"]}, "datacenters: eu-* matches none of dc1"),
        ({"agents": ["web1:port"]}, "agents: 'web1:port' is no address"),
        ({"token": "two words"}, "token: holds a character"),
        ({"filter": "x" * 70000}, "filter: is 70000 characters long"),
    ],
)
def test_bad_options_are_errors(parse, config, message):
    with pytest.raises(AnsibleParserError) as caught:
        parse(**config)
    assert message in str(caught.value)
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    "config", [{"unreachable": "skip"}, {"status": "healthy"}, {"group_by": ["colour"]}, {"node_meta": [1]}, {"timeout": "soon"}]
)
def test_choices_and_types_are_checked(parse, config):
    with pytest.raises(AnsibleError, match=next(iter(config))):
        parse(**config)


AWAY = ServerError("500 No path to datacenter", asked=f"GET {NODES}?dc=dc2", status=500)


@pytest.mark.parametrize("error", [AWAY, NoAgentError("no Consul agent answered (time-out 10 s)", asked="GET x")])
def test_a_datacenter_that_is_away(parse, error):
    table = {**ONE, "dc2": error}
    with pytest.raises(AnsibleParserError, match=re.escape(str(error))):
        parse(table, datacenters=["*"])
    inventory = parse(table, datacenters=["*"], unreachable="warn")
    assert sorted(inventory.hosts) == ["db1", "web1"]
    assert inventory.said == [f"Datacenter dc2 is left out of the inventory: {error}"]
    with pytest.raises(AnsibleParserError):
        parse(table, datacenters=["dc2"], unreachable="warn")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("{{ 1 }}", "10.0.0.1"),
        ("../x", "10.0.0.1"),
        ("a b", "10.0.0.1"),
        ("-x", "10.0.0.1"),
        ("a\n", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("a", "-oProxyCommand=x"),
        ("a", "10.0.0.1 x"),
        ("a", "{{ 1 }}"),
        ("a", ""),
    ],
)
def test_what_is_no_host_is_left_out(parse, name, address):
    inventory = parse({"dc1": [node(name, address), node("good")]}, datacenters=["dc1"])
    assert list(inventory.hosts) == ["good"]
    assert len(inventory.said) == 1
    assert inventory.said[0].startswith(f"node {name!r} of datacenter dc1 is left out of the inventory: a host can't have the name")


@pytest.mark.parametrize("name", ["all", "ungrouped", "gold", "consul_service_web"])
def test_no_host_stands_for_a_group(parse, name):
    table = {"dc1": [node(name, services={"web": ([], "passing")}), node("good", services={"web": ([], "passing")})]}
    inventory = parse(table, groups={"gold": "true"})
    assert list(inventory.hosts) == ["good"]
    assert inventory.said == [f"Host {name} of datacenter dc1 is left out of the inventory: a group has its name"]


def test_templates_of_the_configuration(parse):
    inventory = parse(
        TWO,
        datacenters=["*"],
        strict=True,
        compose={"where": "consul_node.datacenter ~ '!'"},
        groups={"passing": "consul_node.status == 'passing'"},
        keyed_groups=[{"prefix": "rack", "key": "consul_node.meta.rack | default('none')"}],
        group_by=[],
    )
    assert groups(inventory) == {"passing": ["web1", "web2"], "rack_none": ["db1", "web1"], "rack_r_1": ["web2"]}
    assert inventory.hosts["web2"].vars["where"] == "dc2!"


def test_strict(parse):
    assert "x" not in parse(compose={"x": "nothing.at.all"}).hosts["web1"].vars
    with pytest.raises(AnsibleError, match="Could not set x for host"):
        parse(compose={"x": "nothing.at.all"}, strict=True)


def test_an_expression_that_fails_for_one_host_leaves_none_of_them(parse, monkeypatch):
    inventory = InventoryData()
    inventory.add_host("other", "ungrouped")
    monkeypatch.setattr(f"{__name__}.InventoryData", lambda: inventory)
    with pytest.raises(AnsibleError, match="web1"):
        parse(TWO, datacenters=["*"], compose={"x": "{'web1': consul_node.meta.rack, 'db1': 1}[consul_node.name]"}, strict=True)
    assert set(inventory.hosts) == {"other"}
    assert groups(inventory) == {name: [] for name in groups(inventory)}


def test_the_connections_options_may_be_templates(parse, monkeypatch):
    monkeypatch.setenv("DATACENTER", "dc2")
    # The words of who runs Ansible, so a template of theirs is one.
    template = "{{ lookup('env', 'DATACENTER') }}"
    assert list(parse(TWO, datacenter=template).hosts) == ["web2"]


@pytest.fixture
def kept(tmp_path):
    place = tmp_path / "cache"
    return {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(place), "datacenters": ["dc1"]}


def test_the_cache(parse, kept):
    secret = {"token": "a-secret-token"}
    first = parse(**kept, **secret)
    assert first.asked
    second = parse(**kept, **secret, compose={"x": "'{{' ~ consul_node.name"})
    assert not second.asked
    assert groups(first) == groups(second)
    assert second.hosts["web1"].vars["x"] == "{{web1"
    for file in Path(kept["cache_connection"]).iterdir():
        assert "a-secret-token" not in file.name + file.read_text()


@pytest.mark.parametrize("other", [{"datacenters": ["dc2"]}, {"filter": 'Node == "web1"'}, {"agents": ["b:1"]}, {"consistency": "stale"}])
def test_the_cache_of_another_question_is_not_used(parse, kept, other):
    parse(TWO, **kept)
    assert parse(TWO, **{**kept, **other}).asked


def test_a_refresh_asks_anew_and_is_kept(monkeypatch, tmp_path, kept):
    path = tmp_path / "consul.yml"
    path.write_text(yaml.safe_dump({"plugin": "uwsgi.consul.consul", **kept}))
    new = {"dc1": [node("new")]}
    for cache, table, hosts in (
        (True, ONE, ["db1", "web1"]),
        (True, new, ["db1", "web1"]),
        (False, new, ["new"]),
        (True, ONE, ["new"]),
    ):
        monkeypatch.setattr(_inventory, "Api", Api(table, None))
        plugin, inventory = load(), InventoryData()
        plugin.parse(inventory, DataLoader(), str(path), cache)
        plugin.update_cache_if_changed()
        assert sorted(inventory.hosts) == hosts


def test_an_answer_that_lacks_a_datacenter_is_not_kept(parse, kept):
    kept = {**kept, "datacenters": ["dc1", "dc2"], "unreachable": "warn"}
    parse({**ONE, "dc2": AWAY}, **kept)
    assert sorted(parse(TWO, **kept).hosts) == ["db1", "web1", "web2"]

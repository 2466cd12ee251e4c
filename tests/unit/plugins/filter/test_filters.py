"""The roles' filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.filter import (
    consul_servers_by_datacenter,
    consul_upstreams,
    interface_address,
    uwsgi_config,
    vassal_files,
)

FACTS: dict[str, Any] = {
    "interfaces": ["lo", "eth0", "br-lan", "wg0", "down0"],
    "lo": {"ipv4": {"address": "127.0.0.1"}},
    "eth0": {"ipv4": {"address": "192.0.2.11"}, "ipv6": [{"address": "2001:db8::11"}]},
    "br_lan": {"ipv4": {"address": "192.0.2.12"}},
    "wg0": {"ipv6": [{"address": "2001:db8::1"}]},
    "down0": {},
}


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::2", "2001:db8::2"),
        ("eth0", "192.0.2.11"),
        ("br-lan", "192.0.2.12"),
        ("wg0", "2001:db8::1"),
        ("lo", "127.0.0.1"),
    ],
)
def test_interface_address(value: str, address: str) -> None:
    assert interface_address.interface_address(value, FACTS) == address


@pytest.mark.parametrize(
    ("value", "message"),
    [("eth9", r"bind is 'eth9': give an IP address, or one of .*br-lan, down0, eth0"), ("down0", "without an address"), ("", "bind is ''")],
)
def test_interface_address_says_what_is_wrong(value: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        interface_address.interface_address(value, FACTS, "bind")


def test_consul_servers_by_datacenter() -> None:
    hostvars = {
        "a": {"consul_datacenter": "dc1", "ansible_host": "192.0.2.1"},
        "b": {"consul_datacenter": "dc1", "ansible_host": "192.0.2.2", "consul_join_address": "10.0.0.2"},
        "c": {"consul_datacenter": "dc2"},
        "d": {},
    }
    servers = consul_servers_by_datacenter.consul_servers_by_datacenter(["a", "b", "c", "d"], hostvars, "dc9", "a")
    assert servers == {
        "dc9": [{"host": "a", "address": "192.0.2.1"}, {"host": "d", "address": "d"}],
        "dc1": [{"host": "b", "address": "10.0.0.2"}],
        "dc2": [{"host": "c", "address": "c"}],
    }


def test_vassal_files_reports_as_a_filter_does() -> None:
    with pytest.raises(AnsibleFilterError, match=r"vassals\[0\] \(a\).options is empty"):
        vassal_files.vassal_files([{"name": "a"}], [])


def instance(node: str = "web1", **fields: Any) -> dict[str, Any]:
    return {
        "node": node,
        "id": "shop-1",
        "address": "10.0.0.1",
        "port": 2001,
        "status": "passing",
        "weights": {"passing": 10, "warning": 1},
        **fields,
    }


upstreams = consul_upstreams.FilterModule().filters()["consul_upstreams"]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("nginx", "server 10.0.0.1:2001 weight=10;"),
        ("haproxy", "server web1-shop-1 10.0.0.1:2001 weight 10"),
        ("plain", "10.0.0.1:2001 10"),
    ],
)
def test_a_server(form: str, line: str) -> None:
    assert upstreams([instance()], form) == [line]


def test_nginx_is_what_is_written_by_default() -> None:
    assert upstreams([instance()]) == upstreams([instance()], "nginx")
    assert upstreams([]) == []


@pytest.mark.parametrize(
    ("fields", "weights"),
    [
        ({"status": "warning"}, ["1"]),
        ({"status": "warning", "weights": {"passing": 10, "warning": 0}}, []),
        ({"weights": {"passing": 3}}, ["3"]),
        ({"status": "warning", "weights": {"passing": 3}}, ["1"]),
        ({"weights": None}, ["1"]),
        ({"status": "critical"}, []),
        ({"status": "maintenance"}, []),
        ({"status": "something new"}, []),
        # What gets no requests is not judged.
        ({"status": "critical", "address": "-", "port": 0}, []),
    ],
)
def test_who_gets_how_many_requests(fields: dict[str, Any], weights: list[str]) -> None:
    assert [line.split()[1] for line in upstreams([instance(**fields)], "plain")] == weights


def test_the_order_stays() -> None:
    instances = [instance(port=3), instance(port=1), instance(port=2, status="critical"), instance(port=2)]
    assert upstreams(instances, "plain") == ["10.0.0.1:3 10", "10.0.0.1:1 10", "10.0.0.1:2 10"]


@pytest.mark.parametrize(
    ("address", "written"),
    [("fd00::1", "[fd00::1]:2001"), ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:2001"), ("web1.example.org", "web1.example.org:2001")],
)
def test_addresses(address: str, written: str) -> None:
    assert upstreams([instance(address=address)]) == [f"server {written} weight=10;"]


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1; return 200",
        "10.0.0.1\n",
        "a b",
        "a{",
        "a}",
        "a#",
        "$host",
        "unix",
        "UNIX",
        "unix:/run/x",
        "-a",
        "",
        None,
        7,
        "é",
        "fe80::1%eth0",
        "[::1]",
        "a/b",
        "a:80",
        "a'",
        'a"',
        "a\\",
        "x" * 300,
        "{{ 1 }}",
        "ipv4@10.0.0.1",
    ],
)
@pytest.mark.parametrize("form", ["nginx", "haproxy", "plain"])
def test_an_address_that_is_more_is_refused(address: Any, form: str) -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"^address of 'shop-1' on node 'web1': .* is neither an IP address nor the name of a host"
    ):
        upstreams([instance(address=address)], form)


@pytest.mark.parametrize("port", [0, -1, 65536, "80", "80;", None, True, 80.0])
def test_a_port_that_is_none(port: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^port of 'shop-1' on node 'web1': .* is no port"):
        upstreams([instance(port=port)])


@pytest.mark.parametrize("weight", ["10", -1, 65536, True, 1.5, "1; x"])
def test_a_weight_that_is_none(weight: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^weights of 'shop-1' on node 'web1'"):
        upstreams([instance(weights={"passing": weight})])


def test_names_for_haproxy_are_plain_and_unique_and_stay() -> None:
    instances = [instance("a b\n", id="x;y"), instance("web", id="a/1"), instance("web", id="a_1"), instance(id=None)]
    names = [line.split()[1] for line in upstreams(instances, "haproxy")]
    assert names[0] == "a_b_-x_y"
    assert names[3] == "web1-"
    assert names[1].startswith("web-a_1-")
    assert len(set(names)) == 4
    # The order changes no name.
    assert [line.split()[1] for line in upstreams([instances[2], instances[1]], "haproxy")] == [names[2], names[1]]


@pytest.mark.parametrize(("weights", "written"), [((65535, 1), ["256", "1"]), ((512, 256), ["256", "128"]), ((256, 1), ["256", "1"])])
def test_haproxy_takes_small_weights_only(weights: tuple[int, int], written: list[str]) -> None:
    instances = [instance(f"n{weight}", weights={"passing": weight}) for weight in weights]
    assert [line.rpartition(" ")[2] for line in upstreams(instances, "haproxy")] == written


def test_options_of_every_line() -> None:
    assert upstreams([instance()], options=" max_fails=2 fail_timeout=5s ") == [
        "server 10.0.0.1:2001 weight=10 max_fails=2 fail_timeout=5s;"
    ]
    assert upstreams([instance()], "haproxy", options="check") == ["server web1-shop-1 10.0.0.1:2001 weight 10 check"]


@pytest.mark.parametrize("options", ["a;", "a\nb", "{", "a # b", 7, None])
def test_options_that_are_more(options: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^options: "):
        upstreams([instance()], options=options)


@pytest.mark.parametrize("given", ["10.0.0.1:80", None, {"node": "a"}, 7, ["10.0.0.1:80"], [{"node": "a"}], [None]])
def test_what_are_no_instances(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"Give what the lookup uwsgi\.consul\.consul_service returns"):
        upstreams(given)


def test_a_format_that_is_none() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^format: 'apache' is none of nginx, haproxy, plain"):
        upstreams([instance()], "apache")


config = uwsgi_config.FilterModule().filters()["uwsgi_config"]


def test_a_configuration() -> None:
    assert config({"http-socket": ":1", "master": True, "env": ["A=1", "B=2"], "plugin": "python3"}) == (
        "[uwsgi]\nplugin = python3\nhttp-socket = :1\nmaster = true\nenv = A=1\nenv = B=2\n"
    )
    assert json.loads(config({"env": ["A=1", "B=2"], "processes": 4}, "json")) == {"uwsgi": {"env": ["A=1", "B=2"], "processes": "4"}}


def test_literal_values() -> None:
    assert config({"procname": "%n of 100%"}, literal=True) == "[uwsgi]\nprocname = %%n of 100%%\n"
    assert config({"procname": "%n of 100%%"}) == "[uwsgi]\nprocname = %n of 100%%\n"


@pytest.mark.parametrize(
    ("options", "settings", "message"),
    [
        ({"procname": "100%"}, {}, r'options.procname is "100%": uWSGI takes a percent sign and what follows'),
        ({"procname": '%"'}, {"format": "json"}, "a magic variable: write %% for one"),
        ({"procname": "50% off"}, {}, "a magic variable"),
        ({"procname": "%%%"}, {}, "a magic variable"),
        ({"procname": "@(exec://id)"}, {"literal": True}, r"give text that has no '@\('"),
        ({"procname": "a\nexec-asap = id"}, {}, "give a value of one line"),
        ({"a b": "x"}, {}, "give the name of a uWSGI option"),
        ({"procname": ""}, {"format": "xml"}, "uWSGI reads 1 from XML"),
        ({"procname": "a # b"}, {"format": "yml"}, "not every uWSGI reads this from YAML"),
        ({"procname": {"a": 1}}, {}, "give a string, a number or a boolean"),
        ({}, {}, "options is empty"),
        ("procname = a", {}, "give a list"),
        ({"procname": "a"}, {"format": "toml"}, 'format is "toml": give one of ini, yml, xml, json'),
        ({"procname": "a"}, {"literal": "yes"}, "literal is 'yes': give true or false"),
        ({f"env{number}": "x" * 1000 for number in range(70)}, {}, "uWSGI takes 65535"),
    ],
)
def test_what_uwsgi_would_read_otherwise(options: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        config(options, **settings)

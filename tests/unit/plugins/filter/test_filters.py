"""The roles' filters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.filter import consul_servers_by_datacenter, interface_address, vassal_files

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

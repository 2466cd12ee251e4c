"""From an inventory to the lab that it describes, and what is said of one that describes none."""

from __future__ import annotations

import ipaddress
import shutil
from pathlib import Path
from typing import Any

import pytest
from labkit import plan
from labkit.console import LabError
from labkit.plan import Host, Publish

DEMO = Path(__file__).parents[3] / "molecule" / "demo" / "inventory"


def hostvars(**hosts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {"lab_name": "test", **values} for name, values in hosts.items()}


def fault_of(**hosts: dict[str, Any]) -> str:
    with pytest.raises(LabError) as caught:
        plan.from_hostvars(hostvars(**hosts), "hosts.yml")
    return str(caught.value)


def test_a_host_has_defaults_and_what_its_variables_say() -> None:
    lab = plan.from_hostvars(
        hostvars(
            plain={"ansible_host": "10.9.8.11"},
            other={"ansible_host": "10.9.8.12", "lab_image": "trixie", "lab_init": "sshd", "lab_publish": ["127.0.0.1:8500:8500"]},
        ),
        "hosts.yml",
    )
    assert lab.name == "test"
    assert lab.subnet == ipaddress.IPv4Network("10.9.8.0/24")
    assert lab.hosts == (
        Host("plain", "10.9.8.11", "bookworm", "systemd", ()),
        Host("other", "10.9.8.12", "trixie", "sshd", (Publish("127.0.0.1", 8500, 8500),)),
    )
    assert (lab.network, lab.container(lab.hosts[0])) == ("lab_test", "lab_test_plain")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "web: ansible_host is ''"),
        ({"ansible_host": "web.example.org"}, "web: ansible_host is 'web.example.org'"),
        ({"ansible_host": "8.8.8.8"}, "8.8.8.8 is not a private address"),
        ({"ansible_host": "10.9.8.1"}, "10.9.8.1 is the network's own"),
        ({"ansible_host": "10.9.8.255"}, "10.9.8.255 is the network's own"),
        ({"ansible_host": "10.9.8.7", "lab_image": "sid"}, "lab_image is 'sid': it can be bookworm or trixie"),
        ({"ansible_host": "10.9.8.7", "lab_init": "runit"}, "lab_init is 'runit': it can be systemd or sshd"),
        ({"ansible_host": "10.9.8.7", "lab_publish": ["8500"]}, "'8500' is no published port"),
        ({"ansible_host": "10.9.8.7", "lab_publish": "1:70000"}, "'1:70000' is no published port"),
        ({"ansible_host": "10.9.8.7", "lab_name": "Not_a_name"}, "lab_name is 'Not_a_name'"),
        ({"ansible_host": "10.9.8.7", "lab_name": ""}, "lab_name is ''"),
    ],
)
def test_a_wrong_value_is_named_with_its_host_and_variable(values: dict[str, Any], says: str) -> None:
    assert says in fault_of(web=values)


def test_hosts_must_agree() -> None:
    assert "10.9.8.7 is also a's address" in fault_of(a={"ansible_host": "10.9.8.7"}, b={"ansible_host": "10.9.8.7"})
    assert "several networks" in fault_of(a={"ansible_host": "10.9.8.7"}, b={"ansible_host": "10.9.9.7"})
    assert "'one' and 'two'" in fault_of(
        a={"ansible_host": "10.9.8.7", "lab_name": "one"}, b={"ansible_host": "10.9.8.8", "lab_name": "two"}
    )


@pytest.mark.parametrize(("first", "second", "clash"), [("1:1", "127.0.0.1:1:1", True), ("127.0.0.1:1:1", "127.0.0.2:1:1", False)])
def test_a_port_is_published_once(first: str, second: str, clash: bool) -> None:
    hosts = hostvars(a={"ansible_host": "10.9.8.7", "lab_publish": [first]}, b={"ansible_host": "10.9.8.8", "lab_publish": [second]})
    if clash:
        with pytest.raises(LabError, match="port 1 is also published for a"):
            plan.from_hostvars(hosts, "hosts.yml")
    else:
        plan.from_hostvars(hosts, "hosts.yml")


def test_all_faults_are_told_at_once() -> None:
    said = fault_of(a={"ansible_host": "10.9.8.7", "lab_image": "x"}, b={"ansible_host": "y"})
    assert "lab_image is 'x'" in said
    assert "ansible_host is 'y'" in said


def test_an_inventory_without_hosts() -> None:
    assert "it has no host" in fault_of()


def test_some_hosts_by_name() -> None:
    lab = plan.from_hostvars(hostvars(a={"ansible_host": "10.9.8.7"}, b={"ansible_host": "10.9.8.8"}), "hosts.yml")
    assert [host.name for host in lab.only(["b"])] == ["b"]
    assert lab.only([]) == lab.hosts
    with pytest.raises(LabError, match=r"No such host in the lab test: c\. It has a, b"):
        lab.only(["a", "c"])


def test_the_demo_is_a_lab() -> None:
    lab = plan.read(DEMO)
    assert lab.name == "demo"
    assert {host.name for host in lab.hosts} == {"consul1", "consul2", "web1", "web2", "web3"}
    assert [str(publish) for host in lab.only(["consul1", "consul2"]) for publish in host.publish] == [
        "127.0.0.1:8500:8500",
        "127.0.0.1:8501:8500",
    ]


def test_variables_of_groups_count(tmp_path: Path) -> None:
    shutil.copy(DEMO / "hosts.yml", tmp_path)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "uwsgi_hosts.yml").write_text("lab_image: trixie\n")
    assert {host.name for host in plan.read(tmp_path).hosts if host.image == "trixie"} == {"web1", "web2", "web3"}


def test_a_folder_without_inventory_and_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"hosts\.yml does not exist"):
        plan.read(tmp_path)
    (tmp_path / "hosts.yml").write_text("all: [what")
    with pytest.raises(LabError, match="Ansible cannot read the inventory"):
        plan.read(tmp_path)

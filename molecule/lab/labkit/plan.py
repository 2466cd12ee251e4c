"""From an ordinary static inventory to the lab that it describes."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import LabError

SUITES = ("bookworm", "trixie")
INITS = ("systemd", "sshd")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class Publish:
    """A port of a host that this machine passes on, written as `[address:]port:port_of_the_host`."""

    address: str
    port: int
    target: int

    @classmethod
    def parse(cls, text: str) -> Publish:
        match = re.fullmatch(r"(?:([0-9.]+):)?(\d+):(\d+)", text)
        if not match or not all(0 < int(port) < 65536 for port in match.groups()[1:]):
            raise ValueError(f"{text!r} is no published port: write it as 127.0.0.1:8500:8500 (address, port here, port of the host)")
        return cls(match[1] or "0.0.0.0", int(match[2]), int(match[3]))  # noqa: S104

    def __str__(self) -> str:
        return f"{self.address}:{self.port}:{self.target}"


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    image: str = "bookworm"
    init: str = "systemd"
    publish: tuple[Publish, ...] = ()


@dataclass(frozen=True)
class Lab:
    name: str
    subnet: ipaddress.IPv4Network
    hosts: tuple[Host, ...]

    @property
    def network(self) -> str:
        return f"lab_{self.name}"

    def container(self, host: Host) -> str:
        return f"lab_{self.name}_{host.name}"

    def only(self, names: Sequence[str]) -> tuple[Host, ...]:
        known = {host.name: host for host in self.hosts}
        if unknown := [name for name in names if name not in known]:
            raise LabError(f"No such host in the lab {self.name}: {', '.join(unknown)}. It has {', '.join(known)}.")
        return tuple(known[name] for name in names) if names else self.hosts


def read(directory: Path) -> Lab:
    """Ask Ansible itself, so that group variables count here exactly as they count for a playbook."""
    hosts_file = directory / "hosts.yml"
    if not hosts_file.is_file():
        raise LabError(f"{hosts_file} does not exist: give the folder of an inventory, such as molecule/demo/inventory.")
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(directory), "--list"]
    environment = {**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} does not exist: run `make venv`, then use .venv/bin/python.") from error
    if result.returncode != 0:
        raise LabError(f"Ansible cannot read the inventory {directory}:\n{result.stderr.strip()}")
    return from_hostvars(json.loads(result.stdout)["_meta"]["hostvars"], str(hosts_file))


def from_hostvars(hostvars: Mapping[str, Mapping[str, Any]], source: str) -> Lab:
    """Every fault is listed at once, each with the host and the variable to mend."""
    faults: list[str] = []
    hosts = tuple(host for name, values in hostvars.items() if (host := _host(name, values, faults)))
    name = _lab_name(hostvars, faults)
    subnet = _subnet(hosts, faults)
    faults += _clashes(hosts)
    if not hostvars:
        faults.append("it has no host")
    if faults or subnet is None:
        raise LabError(f"{source} does not describe a lab:\n" + "\n".join(f"    {fault}" for fault in faults))
    return Lab(name, subnet, hosts)


def _host(name: str, values: Mapping[str, Any], faults: list[str]) -> Host | None:
    before = len(faults)
    if not _NAME.fullmatch(name):
        faults.append(f"{name}: a host's name has lower case letters, digits and dashes")
    address = str(values.get("ansible_host", ""))
    try:
        if not ipaddress.IPv4Address(address).is_private:
            faults.append(f"{name}: ansible_host {address} is not a private address: choose one of 10.0.0.0/8")
    except ValueError:
        faults.append(f"{name}: ansible_host is {address!r}: give the host a static address such as 10.201.10.11")
    image, init = str(values.get("lab_image", "bookworm")), str(values.get("lab_init", "systemd"))
    if image not in SUITES:
        faults.append(f"{name}: lab_image is {image!r}: it can be {' or '.join(SUITES)}")
    if init not in INITS:
        faults.append(f"{name}: lab_init is {init!r}: it can be {' or '.join(INITS)}")
    publish: list[Publish] = []
    published = values.get("lab_publish", [])
    for text in published if isinstance(published, list) else [published]:
        try:
            publish.append(Publish.parse(str(text)))
        except ValueError as error:
            faults.append(f"{name}: lab_publish: {error}")
    return Host(name, address, image, init, tuple(publish)) if len(faults) == before else None


def _lab_name(hostvars: Mapping[str, Mapping[str, Any]], faults: list[str]) -> str:
    names = {str(values.get("lab_name", "")) for values in hostvars.values()}
    if len(names) == 1 and _NAME.fullmatch(name := next(iter(names))):
        return name
    if hostvars:
        faults.append(f"lab_name is {' and '.join(map(repr, sorted(names)))}: give all hosts one, in the variables of the group all")
    return ""


def _subnet(hosts: Sequence[Host], faults: list[str]) -> ipaddress.IPv4Network | None:
    subnets = sorted({ipaddress.IPv4Network(f"{host.address}/24", strict=False) for host in hosts})
    if len(subnets) > 1:
        faults.append(f"the hosts' addresses lie in several networks ({', '.join(map(str, subnets))}): put all into one /24")
    return subnets[0] if len(subnets) == 1 else None


def _clashes(hosts: Sequence[Host]) -> list[str]:
    faults: list[str] = []
    addresses: dict[str, str] = {}
    ports: dict[int, tuple[Publish, str]] = {}
    for host in hosts:
        if host.address.rpartition(".")[2] in ("0", "1", "255"):
            faults.append(
                f"{host.name}: {host.address} is the network's own (.0, the gateway .1, or the broadcast address): choose another"
            )
        if (other := addresses.setdefault(host.address, host.name)) != host.name:
            faults.append(f"{host.name}: {host.address} is also {other}'s address")
        for publish in host.publish:
            first, owner = ports.setdefault(publish.port, (publish, host.name))
            if first is not publish and (first.address == publish.address or "0.0.0.0" in (first.address, publish.address)):  # noqa: S104
                faults.append(f"{host.name}: lab_publish {publish}: port {publish.port} is also published for {owner}")
    return faults

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: consul_servers_by_datacenter
short_description: The Consul servers of an inventory, by datacenter
version_added: 0.1.0
author: the uwsgi.consul authors
description:
  - Sorts hosts by their C(consul_datacenter), with the address under which each is joined.
  - The address is the host's C(consul_join_address), else its C(ansible_host), else its name in the inventory.
options:
  _input:
    description: Names of hosts, such as C(groups['consul_servers']).
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
  datacenter:
    description: The datacenter of the host that asks, whose name may come from a play or a role rather than from the inventory.
    type: str
    required: true
  host:
    description: The name of the host that asks.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the servers of every datacenter
  ansible.builtin.debug:
    msg: "{{ groups['consul_servers'] | uwsgi.consul.consul_servers_by_datacenter(hostvars, 'dc1', inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: For each datacenter the servers, in the order of the input.
  type: dict
  sample:
    dc1:
      - host: consul1
        address: 192.0.2.11
"""

from collections.abc import Iterable, Mapping
from typing import Any


def consul_servers_by_datacenter(
    hosts: Iterable[str], hostvars: Mapping[str, Any], datacenter: str, host: str
) -> dict[str, list[dict[str, str]]]:
    servers: dict[str, list[dict[str, str]]] = {}
    for name in hosts:
        known = hostvars[name]
        # A server without a datacenter of its own in the inventory gets, like the host that asks, what play and role say.
        its_datacenter = datacenter if name == host else str(known.get("consul_datacenter", datacenter))
        address = known.get("consul_join_address") or known.get("ansible_host") or name
        servers.setdefault(its_datacenter, []).append({"host": name, "address": str(address)})
    return servers


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"consul_servers_by_datacenter": consul_servers_by_datacenter}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: interface_address
short_description: The address that an address or an interface's name stands for
version_added: 0.1.0
author: the uwsgi.consul authors
description:
  - Gives an IP address back as it is, and the first address of an interface for its name, IPv4 before IPv6.
  - Anything else is an error that names the interfaces the host has.
options:
  _input:
    description: An IP address, or the name of an interface.
    type: str
    required: true
  facts:
    description: The host's C(ansible_facts).
    type: dict
    required: true
  variable:
    description: The name of the variable that an error is about.
    type: str
    default: the value
"""

EXAMPLES = r"""
- name: Show the address of an interface
  ansible.builtin.debug:
    msg: "{{ 'eth0' | uwsgi.consul.interface_address(ansible_facts) }}"
"""

RETURN = r"""
_value:
  description: The IP address.
  type: str
  sample: 192.0.2.11
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def interface_address(value: str, facts: Mapping[str, Any], variable: str = "the value") -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    # Facts name an interface with underscores, and tell its real name beside it.
    fact = facts.get(str(value).replace("-", "_").replace(".", "_").replace(":", "_"))
    if isinstance(fact, Mapping):
        for family in (fact.get("ipv4"), *fact.get("ipv6", [])):
            if family and family.get("address"):
                return str(family["address"])
        raise AnsibleFilterError(f"{variable} is {value!r}, an interface without an address: give an address, or another interface")
    known = ", ".join(sorted(facts.get("interfaces", []))) or "unknown: no facts were gathered"
    raise AnsibleFilterError(f"{variable} is {value!r}: give an IP address, or one of the host's interfaces ({known})")


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"interface_address": interface_address}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: consul_passing
short_description: Whether instances, nodes or checks of Consul are passing
version_added: 0.1.0
author: The uwsgi.consul authors (@uwsgi)
description:
  - Whether what Consul says of an instance, a node or a check is that it is passing. For a list, whether it is so for each of them.
  - An empty list is not passing, since a service without instances serves nobody.
options:
  _input:
    description:
      - A dictionary with C(status), such as P(uwsgi.consul.consul_service#lookup) and P(uwsgi.consul.consul#inventory) give, or a list
        of them.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Go on only when every instance is passing
  ansible.builtin.assert:
    that: query('uwsgi.consul.consul_service', 'billing', status='any') is uwsgi.consul.consul_passing

- name: Name the instances that are not
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_service', 'billing', status='any') | reject('uwsgi.consul.consul_passing') | map(attribute='id') }}"
"""

RETURN = r"""
_value:
  description: Whether it is passing.
  type: bool
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.arguments import shown


def consul_passing(value: Any) -> bool:
    items = value if isinstance(value, (list, tuple)) else [value]
    for item in items:
        if not isinstance(item, Mapping) or "status" not in item:
            raise AnsibleFilterError(f"{shown(item)} has no status: give an instance, a node or a check of Consul, or a list of them")
    return bool(items) and all(item["status"] == "passing" for item in items)


class TestModule:
    def tests(self) -> dict[str, Any]:
        return {"consul_passing": consul_passing}

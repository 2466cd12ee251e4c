#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_node_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists the nodes of a datacenter, or all that one has
description:
  - Without O(name), returns the nodes with their status. With it, returns that node with its services and checks.
  - It costs two requests, however many nodes there are.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: Only the node of this name.
    type: str
  filter:
    description: Only nodes that match this expression of Consul's filter language, such as V(Meta.rack == "7").
    type: str
  meta:
    description: Only nodes whose metadata has this.
    type: dict
  near:
    description: Sorts the nodes by the round trip time from this one; V(_agent) is that of the agent that is asked. By name otherwise.
    type: str
seealso:
  - module: uwsgi.consul.consul_service_info
  - name: Catalog endpoint of Consul's API
    description: Where the data comes from, and the fields that a filter may name.
    link: https://developer.hashicorp.com/consul/api-docs/catalog#list-nodes
"""

EXAMPLES = r"""
- name: All nodes
  uwsgi.consul.consul_node_info:
  register: all

- name: Stop when one of them has failed
  ansible.builtin.assert:
    that: all.nodes | rejectattr('status', 'in', ['passing', 'maintenance', none]) | length == 0

- name: All that a node has
  uwsgi.consul.consul_node_info:
    name: "{{ all.nodes[0].name }}"

- name: Nodes of two racks
  uwsgi.consul.consul_node_info:
    filter: Meta.rack == "7" or Meta.rack == "8"
"""

RETURN = r"""
nodes:
  description: The nodes. One that does not exist is no error.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 1d6c2b1e-5f3f-4c4b-9c55-5f2f5d6d0c11
      name: web1
      address: 192.0.2.1
      datacenter: dc1
      meta: {rack: "7"}
      tagged_addresses: {lan: 192.0.2.1}
      status: passing
  contains:
    id:
      description: ID of the node; empty for one without an agent.
      type: str
    name:
      description: Name of the node.
      type: str
    address:
      description: Address of the node.
      type: str
    datacenter:
      description: Its datacenter.
      type: str
    meta:
      description: Its metadata.
      type: dict
    tagged_addresses:
      description: Its other addresses.
      type: dict
    status:
      description: V(passing), V(critical) or V(maintenance); none for one without an agent.
      type: str
    services:
      description: Its services, with O(name).
      type: list
      elements: dict
    checks:
      description: Its checks and those of its services, with O(name).
      type: list
      elements: dict
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _catalog
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _catalog.find_nodes,
        {"name": {"type": "str"}, "filter": {"type": "str"}, "meta": {"type": "dict"}, "near": {"type": "str"}},
        mutually_exclusive=[("name", "filter"), ("name", "meta"), ("name", "near")],
    )


if __name__ == "__main__":
    main()

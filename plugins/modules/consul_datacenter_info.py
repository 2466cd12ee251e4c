#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_datacenter_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Datacenters with their leaders and servers
description:
  - Returns the datacenters that an agent knows, the nearest first. For each it says whether it can be reached, who leads, and which servers
    it has, with their versions and their health.
  - Takes two requests for all of them, and two for each datacenter. With O(nodes) it is one more for each.
  - One that can't be reached is no error.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  nodes:
    description: Whether the nodes of each datacenter are listed as well.
    type: bool
    default: false
notes:
  - With O(datacenter) only that one is returned.
  - The token needs C(agent:read) for the agent that is asked, C(node:read) and C(service:read) for C(consul). The task
    fails where it may see no server at all.
  - A client agent does not know what gossip over WAN says of servers. Ask a server for that.
seealso:
  - module: uwsgi.consul.consul_operator_raft
  - name: Catalog endpoint of Consul's API
    description: Where the names come from.
    link: https://developer.hashicorp.com/consul/api-docs/catalog#list-datacenters
"""

EXAMPLES = r"""
- name: All datacenters
  uwsgi.consul.consul_datacenter_info:
  register: found

- name: Each has a leader, and can be reached from here
  ansible.builtin.assert:
    that: found.datacenters | rejectattr('leader') | length == 0

- name: One of them with its nodes
  uwsgi.consul.consul_datacenter_info:
    datacenter: dc2
    nodes: true
"""

RETURN = r"""
datacenters:
  description:
    - The datacenters. C(leader) is null where there is none, C(problem) says why one can't be reached.
    - Of its servers, C(healthy) is what gossip within the datacenter says, C(wan_status) what gossip among datacenters says. The latter is
      V(alive), V(failed), V(left) or V(leaving), and null when the agent that was asked is no server.
    - C(nodes) is there when O(nodes) is true.
  returned: success
  type: list
  elements: dict
  sample:
    - name: dc1
      reachable: true
      problem: ""
      leader: server1
      servers:
        - node: server1
          id: bbea7ddf-42c4-4c44-73fb-a2080efa157c
          address: 192.0.2.11:8300
          version: 1.22.7
          leader: true
          healthy: true
          wan_status: alive
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _datacenters
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(_datacenters.find, {"nodes": {"type": "bool", "default": False}})


if __name__ == "__main__":
    main()

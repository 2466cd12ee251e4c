#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_operator_raft
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Servers of a datacenter, their leader and autopilot
description:
  - Has a server lead, or not lead, removes servers that are gone from Raft, and sets autopilot's configuration.
  - Returns the servers and what autopilot thinks of them. Without an option that is all.
  - What several options ask for is done in this order, peers, leader, autopilot.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  leader:
    description:
      - The server that shall lead, by its node's name, its ID or its address.
      - Needs Consul 1.15 or later when it is not the leader already.
    type: str
  not_leader:
    description:
      - Servers that shall not lead, such as one that is about to be restarted. When one of them leads, another healthy one gets to.
      - Needs Consul 1.15 or later when one of them leads.
    type: list
    elements: str
  absent_peers:
    description:
      - Servers that shall be no peers of Raft, by node's name, ID or address. One that is none already is no error.
      - A server that is alive is refused without O(force=true), the leader always.
    type: list
    elements: str
  force:
    description: Whether O(absent_peers) may remove a server that is alive. It goes on running, without a voice.
    type: bool
    default: false
  autopilot:
    description: Fields of autopilot's configuration. Those that are not given stay as they are.
    type: dict
    suboptions:
      cleanup_dead_servers:
        description: Whether dead servers are removed when a new one joins.
        type: bool
      last_contact_threshold:
        description: A server that did not hear from the leader for that long is unhealthy, such as V(200ms).
        type: str
      max_trailing_logs:
        description: A server that is that many entries of the log behind is unhealthy.
        type: int
      min_quorum:
        description: Dead servers are not removed when fewer than that many would be left. V(0) sets no limit.
        type: int
      server_stabilization_time:
        description: A new server must be healthy for that long before it becomes a voter, such as V(10s).
        type: str
      disable_upgrade_migration:
        description: Whether new servers of a later version do not take over. Only Consul Enterprise makes use of it.
        type: bool
      redundancy_zone_tag:
        description: The key of the node's metadata that has its zone. Only Consul Enterprise makes use of it.
        type: str
      upgrade_version_tag:
        description: The key of the node's metadata that has its version. Only Consul Enterprise makes use of it.
        type: str
notes:
  - The token needs C(operator:read), and for changes C(operator:write).
seealso:
  - module: uwsgi.consul.consul_datacenter_info
  - name: Raft endpoint of Consul's API
    description: What is asked for peers and leadership.
    link: https://developer.hashicorp.com/consul/api-docs/operator/raft
  - name: Autopilot endpoint of Consul's API
    description: What autopilot's settings mean.
    link: https://developer.hashicorp.com/consul/api-docs/operator/autopilot
"""

EXAMPLES = r"""
- name: Who leads, and is everybody well?
  uwsgi.consul.consul_operator_raft:
  register: raft

- name: Go on only while one server may be lost, or there is one only
  ansible.builtin.assert:
    that: raft.health.failure_tolerance > 0 or raft.servers | length == 1

- name: Time for slow disks
  uwsgi.consul.consul_operator_raft:
    autopilot:
      last_contact_threshold: 500ms
      server_stabilization_time: 20s

- name: Another server leads while this one is away
  uwsgi.consul.consul_operator_raft:
    not_leader: [server3]

- name: A server that will not come back is no peer any more
  uwsgi.consul.consul_operator_raft:
    absent_peers: [server9]
"""

RETURN = r"""
servers:
  description: The peers of Raft, by name, as they are after the task.
  returned: success
  type: list
  elements: dict
  sample:
    - id: bbea7ddf-42c4-4c44-73fb-a2080efa157c
      node: server1
      address: 192.0.2.11:8300
      leader: true
      voter: true
      protocol_version: 3
leader:
  description: The node of the server that leads. Null when none does just now.
  returned: success
  type: str
  sample: server1
autopilot:
  description: Autopilot's configuration after the task. Durations are seconds.
  returned: success
  type: dict
  sample:
    cleanup_dead_servers: true
    disable_upgrade_migration: false
    last_contact_threshold: 0.2
    max_trailing_logs: 250
    min_quorum: 0
    modify_index: 4
    redundancy_zone_tag: ""
    server_stabilization_time: 10.0
    upgrade_version_tag: ""
health:
  description: What autopilot thinks of the servers. C(failure_tolerance) is how many of them may be lost without an outage.
  returned: success
  type: dict
  sample:
    healthy: true
    failure_tolerance: 0
    servers:
      - id: bbea7ddf-42c4-4c44-73fb-a2080efa157c
        node: server1
        address: 192.0.2.11:8300
        serf_status: alive
        version: 1.22.7
        leader: true
        voter: true
        healthy: true
        stable_since: "2026-11-21T18:57:43Z"
        last_contact: 0.0
        last_index: 17
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _operator_raft
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _operator_raft.manage,
        {
            "leader": {"type": "str"},
            "not_leader": {"type": "list", "elements": "str"},
            "absent_peers": {"type": "list", "elements": "str"},
            "force": {"type": "bool", "default": False},
            "autopilot": {
                "type": "dict",
                "options": {
                    "cleanup_dead_servers": {"type": "bool"},
                    "last_contact_threshold": {"type": "str"},
                    "max_trailing_logs": {"type": "int"},
                    "min_quorum": {"type": "int"},
                    "server_stabilization_time": {"type": "str"},
                    "disable_upgrade_migration": {"type": "bool"},
                    "redundancy_zone_tag": {"type": "str"},
                    "upgrade_version_tag": {"type": "str"},
                },
            },
        },
        mutually_exclusive=[("leader", "not_leader")],
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_sweep
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Finds and removes services that have been critical for long
description:
  - Finds instances of services that are critical for longer than a threshold, in the whole datacenter, and removes them.
    Registrations without C(deregister_critical_service_after) stay for ever otherwise.
  - Consul does not know since when a service is critical. So the module remembers what it saw in O(state_file), and an instance
    counts from the first run that saw it critical. Let it run regularly.
  - An instance of a node that lives is removed through its agent, since agents bring back what only the catalog forgot. One of a node
    that failed, or that never had an agent, is removed from the catalog.
  - The service C(consul), and what is in maintenance, are never touched.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  threshold:
    description: How long an instance must have been critical, such as V(72h); at least one second.
    type: str
    required: true
  state_file:
    description:
      - File on the host that runs the module, which keeps what was seen between runs. Each datacenter needs its own.
      - It is written in check mode, too, for it is the memory of what was seen, and changes nothing else.
    type: path
    required: true
  services:
    description: Names of services, or patterns such as V(web-*). All by default.
    type: list
    elements: str
    default: ['*']
  state:
    description:
      - V(absent) removes them.
      - V(reported) only tells which there are.
    type: str
    choices: [absent, reported]
    default: absent
  node_agents:
    description:
      - Addresses of the agents of other nodes, by the nodes' names, as for O(agents).
      - Without that of its node, an instance of a node that lives is reported, and stays.
    type: dict
  limit:
    description: When more instances than that are due, the task fails and none is removed. So many are more likely cut off than dead.
    type: int
    default: 10
  fraction:
    description: The same, as a part of all instances that have checks. One may always go.
    type: float
    default: 0.5
  strict:
    description:
      - Whether any change of a check's record, such as its output, starts its time again, since it may have been passing in between.
      - With V(false), being critical at every look is enough. Let the looks be close together then.
    type: bool
    default: true
seealso:
  - module: uwsgi.consul.consul_service
  - name: Health endpoint of Consul's API
    description: Where the status comes from.
    link: https://developer.hashicorp.com/consul/api-docs/health
"""

EXAMPLES = r"""
- name: Tell what has been critical for three days
  uwsgi.consul.consul_sweep:
    threshold: 72h
    state_file: "{{ playbook_dir }}/sweep.json"
    state: reported
  register: dead

- name: Remove it, but nothing of the databases
  uwsgi.consul.consul_sweep:
    threshold: 72h
    state_file: "{{ playbook_dir }}/sweep.json"
    services: ["web-*", "shop"]
    node_agents:
      web1: web1.example.org:8500
      web2: https://web2.example.org:8501
"""

RETURN = r"""
found:
  description: The instances that are due, sorted by node and ID.
  returned: success, or when there are too many
  type: list
  elements: dict
  sample:
    - node: web1
      service: web
      id: web-1
      check: service:web-1
      since: 1790000000.0
      seconds: 260000.0
      output: connection refused
      by: agent
      removed: true
      problem: ""
  contains:
    node:
      description: Name of the node.
      type: str
    service:
      description: Name of the service.
      type: str
    id:
      description: ID of the instance.
      type: str
    check:
      description: ID of the check that is critical the longest.
      type: str
    since:
      description: When a run first saw that, in seconds since 1970.
      type: float
    seconds:
      description: How long ago that is.
      type: float
    output:
      description: Output of the check.
      type: str
    by:
      description: V(agent) or V(catalog), through which it is removed.
      type: str
    removed:
      description: Whether it was removed.
      type: bool
    problem:
      description: Why not; V(dry run) for one that only was not to be removed now.
      type: str
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _sweep
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _sweep.manage,
        {
            "threshold": {"type": "str", "required": True},
            "state_file": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "default": ["*"]},
            "state": {"type": "str", "choices": ["absent", "reported"], "default": "absent"},
            "node_agents": {"type": "dict"},
            "limit": {"type": "int", "default": 10},
            "fraction": {"type": "float", "default": 0.5},
            "strict": {"type": "bool", "default": True},
        },
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_agent_token
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Gives an agent the tokens that it itself uses
description:
  - Sets the tokens that one agent uses for its own work. Run it on each host, or with O(agents) naming one agent.
  - The agent keeps them over a restart only with C(enable_token_persistence) in its configuration.
  - Consul never shows these tokens. The module knows whether one is right when the agent keeps its tokens in a file and the
    task runs on the agent's host as a user who may read it. Without that file, it knows O(default) by what the agent answers to
    a request without a token, and O(agent_recovery) by trying it.
  - A token of which nothing can be known is set in each run, counts as changed, and stands in RV(unknown).
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  default:
    description:
      - What the agent uses for requests that come without a token.
      - An empty text takes it away.
    type: str
  agent:
    description:
      - What the agent uses for its own work, such as bringing its node and its checks to the catalog.
      - An empty text takes it away.
    type: str
  agent_recovery:
    description:
      - What lets somebody in to the agent itself while no server can be reached. It is no token of the ACLs, any text will do.
      - An empty text takes it away.
    type: str
  replication:
    description:
      - What a server of another datacenter uses to follow the ACLs of the primary one.
      - An empty text takes it away.
    type: str
  config_file_service_registration:
    description:
      - What the agent uses to register services of its configuration files, of Consul 1.15 and later.
      - An empty text takes it away.
    type: str
  dns:
    description:
      - What the agent uses to answer DNS, of Consul 1.18 and later.
      - An empty text takes it away.
    type: str
notes:
  - The token that asks needs C(agent:write) for the node.
seealso:
  - module: uwsgi.consul.consul_acl_token
  - module: uwsgi.consul.consul_acl_bootstrap
  - name: Agent endpoint of Consul's API
    description: How an agent is given its tokens.
    link: https://developer.hashicorp.com/consul/api-docs/agent#update-acl-tokens
"""

EXAMPLES = r"""
- name: A token for the agent of this host
  uwsgi.consul.consul_acl_token:
    description: "agent of {{ inventory_hostname }}"
    node_identities:
      - node_name: node1
        datacenter: dc1
    secret_file: "{{ workspace }}/agent.token"

- name: The agent uses it
  uwsgi.consul.consul_agent_token:
    agent: "{{ lookup('ansible.builtin.file', workspace ~ '/agent.token') }}"
"""

RETURN = r"""
unknown:
  description: Those of which nothing could be known, so that they were set. In check mode, those that would be.
  returned: success
  type: list
  elements: str
  sample: [replication]
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _agent_tokens
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _agent_tokens.manage,
        {
            "default": {"type": "str", "no_log": True},
            "agent": {"type": "str", "no_log": True},
            "agent_recovery": {"type": "str", "no_log": True},
            "replication": {"type": "str", "no_log": True},
            "config_file_service_registration": {"type": "str", "no_log": True},
            "dns": {"type": "str", "no_log": True},
        },
        required_one_of=[("default", "agent", "agent_recovery", "replication", "config_file_service_registration", "dns")],
    )


if __name__ == "__main__":
    main()

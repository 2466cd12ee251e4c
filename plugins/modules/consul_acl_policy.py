#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_policy
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Manages policies of Consul's ACLs
description:
  - Makes, changes and removes a policy, which is known by its name.
  - What a task leaves out stays as it is, and has Consul's default in what is made.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: Name of the policy. It has letters, digits, V(-) and V(_).
    type: str
    required: true
  rules:
    description:
      - The rules, in HCL or JSON. They are compared as the text that they are, so another order or indent is a change.
      - Consul alone can tell whether they are right, so rules that it does not understand are refused when the task really
        runs, not in check mode.
    type: str
  description:
    description: What the policy is for.
    type: str
  valid_datacenters:
    description: Names of the datacenters where it is valid. An empty list, which is Consul's default, means all.
    type: list
    elements: str
  state:
    description: V(present) makes or changes it, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Consul can't remove its own policies, and a role or token loses a policy that is removed.
seealso:
  - module: uwsgi.consul.consul_acl_role
  - module: uwsgi.consul.consul_acl_token
  - name: Policy endpoint of Consul's API
    description: What a policy is asked for by.
    link: https://developer.hashicorp.com/consul/api-docs/acl/policies
"""

EXAMPLES = r"""
- name: What the deployment may do
  uwsgi.consul.consul_acl_policy:
    name: deploy
    description: Deployments from the build server
    rules: |
      key_prefix "app/" { policy = "write" }
      session_prefix "" { policy = "write" }

- name: A policy from a file beside the playbook, valid in one datacenter
  uwsgi.consul.consul_acl_policy:
    name: monitoring
    rules: "{{ lookup('ansible.builtin.file', 'monitoring.hcl') }}"
    valid_datacenters: [dc1]

- name: Remove it
  uwsgi.consul.consul_acl_policy:
    name: monitoring
    state: absent
"""

RETURN = r"""
policy:
  description: The policy, with O(state=present). In check mode, the one that is there already.
  returned: when there is one
  type: dict
  sample:
    id: 5f9d9b2e-2e2f-4b77-8c4c-1d6b0f6f3a11
    name: deploy
    description: Deployments from the build server
    rules: key_prefix "app/" { policy = "write" }
    valid_datacenters: []
    create_index: 117
    modify_index: 117
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _acl.manage_policy,
        {
            "name": {"type": "str", "required": True},
            "rules": {"type": "str"},
            "description": {"type": "str"},
            "valid_datacenters": {"type": "list", "elements": "str"},
            "state": STATE,
        },
    )


if __name__ == "__main__":
    main()

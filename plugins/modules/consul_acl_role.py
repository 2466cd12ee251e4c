#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_role
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Manages roles of Consul's ACLs
description:
  - Makes, changes and removes a role, which is known by its name.
  - What a task leaves out stays as it is, and has Consul's default in what is made.
  - The order of its policies and identities counts for nothing.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
  - uwsgi.consul.acl_grants
options:
  name:
    description: Name of the role. It has letters, digits, V(-) and V(_).
    type: str
    required: true
  description:
    description: What the role is for.
    type: str
  state:
    description: V(present) makes or changes it, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: uwsgi.consul.consul_acl_policy
  - module: uwsgi.consul.consul_acl_token
  - name: Role endpoint of Consul's API
    description: What a role is asked for by.
    link: https://developer.hashicorp.com/consul/api-docs/acl/roles
"""

EXAMPLES = r"""
- name: The policy of the role
  uwsgi.consul.consul_acl_policy:
    name: shop-keys
    rules: key_prefix "shop/" { policy = "read" }

- name: What every instance of the shop may do
  uwsgi.consul.consul_acl_role:
    name: shop
    description: Instances of the shop
    policies: [shop-keys]
    service_identities:
      - service_name: shop
      - service_name: shop-admin
        datacenters: [dc1]

- name: Remove it
  uwsgi.consul.consul_acl_role:
    name: shop
    state: absent
"""

RETURN = r"""
role:
  description: The role, with O(state=present). In check mode, the one that is there already.
  returned: when there is one
  type: dict
  sample:
    id: 1a0c1b4f-7d5e-4c53-b5a9-3f2e7f0c9d21
    name: shop
    description: Instances of the shop
    policies:
      - id: 5f9d9b2e-2e2f-4b77-8c4c-1d6b0f6f3a11
        name: shop-keys
    service_identities:
      - service_name: shop
        datacenters: []
    node_identities: []
    templated_policies: []
    create_index: 118
    modify_index: 118
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl
from ansible_collections.uwsgi.consul.plugins.module_utils._acl_options import GRANTS
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _acl.manage_role,
        {
            "name": {"type": "str", "required": True},
            "description": {"type": "str"},
            **GRANTS,
            "state": STATE,
        },
    )


if __name__ == "__main__":
    main()

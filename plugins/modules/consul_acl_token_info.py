#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_token_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists tokens of Consul's ACLs, without their secrets
description:
  - Returns tokens of a datacenter, the oldest first, and never a secret.
  - Consul has no C(filter) expressions for tokens. What it can look for are policies, roles, auth methods and services.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  accessor_id:
    description: Only the token of this accessor ID.
    type: str
  own:
    description: Only the token that the task itself asks with. This needs no permission.
    type: bool
    default: false
  description:
    description: Only tokens of exactly this description.
    type: str
  policy:
    description: Only tokens with this policy, given by name or ID. Those that have it by a role are not among them.
    type: str
  role:
    description: Only tokens with this role, given by name or ID.
    type: str
  auth_method:
    description: Only tokens that this auth method made.
    type: str
  service_name:
    description: Only tokens with the identity of this service.
    type: str
seealso:
  - module: uwsgi.consul.consul_acl_token
  - name: Token endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/acl/tokens
"""

EXAMPLES = r"""
- name: Who may do everything
  uwsgi.consul.consul_acl_token_info:
    policy: global-management
  register: found

- name: What this task's own token may do
  uwsgi.consul.consul_acl_token_info:
    own: true
  register: mine
"""

RETURN = r"""
tokens:
  description: The tokens. One that does not exist is no error.
  returned: success
  type: list
  elements: dict
  sample:
    - accessor_id: 6a1253d2-1785-24fd-91c2-f8e78c745511
      description: shop on web1
      policies: []
      roles:
        - id: 1a0c1b4f-7d5e-4c53-b5a9-3f2e7f0c9d21
          name: shop
      service_identities: []
      node_identities: []
      templated_policies: []
      local: false
      auth_method: null
      expiration_time: null
      create_time: "2026-01-01T12:00:00.123456789Z"
      create_index: 119
      modify_index: 119
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl_tokens
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _acl_tokens.find,
        {
            "accessor_id": {"type": "str"},
            "own": {"type": "bool", "default": False},
            "description": {"type": "str"},
            "policy": {"type": "str"},
            "role": {"type": "str"},
            "auth_method": {"type": "str"},
            "service_name": {"type": "str"},
        },
        mutually_exclusive=[("accessor_id", name) for name in ("description", "policy", "role", "auth_method", "service_name")],
    )


if __name__ == "__main__":
    main()

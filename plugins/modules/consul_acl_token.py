#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_token
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Manages tokens of Consul's ACLs, and keeps their secrets secret
description:
  - Makes, changes and removes a token. It is made once, however often the task runs.
  - A token has no name. It is known by O(accessor_id), else by its secret (O(secret_id), or what O(secret_file) holds), else by
    O(description), which is then the mark of one token. When several have that description, the task fails and tells their
    accessor IDs.
  - The secret goes where the task says, and nowhere else.
  - What a task leaves out stays as it is, and has Consul's default in what is made.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
  - uwsgi.consul.acl_grants
options:
  description:
    description: What the token is for, and the mark by which it is found again when nothing else is given.
    type: str
  accessor_id:
    description: The UUID by which the token is known. One that is given and not there yet becomes that of the new token.
    type: str
  secret_id:
    description:
      - The secret, a UUID, for one that is kept elsewhere, such as in a vault. Consul can't change it later.
    type: str
  secret_file:
    description:
      - File on the target that shall hold the secret. It is made such that only its owner can read it (mode 0600), at every moment. Its
        directory must exist.
      - Owner and group that it is given later stay, and so does the permission of its group to read it. A file that others can read, or
        its group can write, gets a warning.
      - The secret is in the file before the token is made, so it can't be lost. When the task is interrupted, its next run
        goes on from there.
      - For a token that is there already, and a file that is not, Consul is asked for the secret, which needs the
        permission C(acl:write).
      - With O(state=absent) the file is removed, too.
    type: path
  return_secret:
    description: Whether the result has the secret of a token that this run makes. Give the task C(no_log) then, for Ansible shows results.
    type: bool
    default: false
  roles:
    description: Roles, in the same form as O(policies).
    type: list
    elements: raw
  local:
    description:
      - Whether the token is valid in its datacenter only, and goes on working there without the primary one.
      - Consul can't change it later. By default it is not local.
    type: bool
  expiration_ttl:
    description: How long the token lives, such as V(24h); from V(1m) on. Consul can't change it later.
    type: str
  expiration_time:
    description: When the token ends, such as V(2030-01-01T00:00:00Z). Consul can't change it later.
    type: str
  state:
    description: V(present) makes or changes it, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - The tasks of several hosts that run at the same time with the same O(description) can each make a token. Give each host a
    description of its own, or use C(run_once).
seealso:
  - module: uwsgi.consul.consul_acl_token_info
  - module: uwsgi.consul.consul_acl_role
  - module: uwsgi.consul.consul_agent_token
  - name: Token endpoint of Consul's API
    description: What a token is asked for by.
    link: https://developer.hashicorp.com/consul/api-docs/acl/tokens
"""

EXAMPLES = r"""
- name: A token for the shop on each host, its secret in a file there
  uwsgi.consul.consul_acl_token:
    description: "shop on {{ inventory_hostname }}"
    service_identities:
      - service_name: shop
    secret_file: "{{ workspace }}/shop.token"

- name: A token that ends by itself, and whose secret a later task needs
  uwsgi.consul.consul_acl_token:
    description: tonight
    policies: [global-management]
    expiration_ttl: 8h
    return_secret: true
  register: tonight
  no_log: true

- name: Remove the one, and its file
  uwsgi.consul.consul_acl_token:
    secret_file: "{{ workspace }}/shop.token"
    state: absent

- name: Remove the other
  uwsgi.consul.consul_acl_token:
    description: tonight
    state: absent
"""

RETURN = r"""
token:
  description:
    - The token, with O(state=present). In check mode, the one that is there already.
    - It has C(secret_id) only when this run made the token and O(return_secret=true).
  returned: when there is one
  type: dict
  sample:
    accessor_id: 6a1253d2-1785-24fd-91c2-f8e78c745511
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
from ansible_collections.uwsgi.consul.plugins.module_utils._acl_options import GRANTS
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _acl_tokens.manage,
        {
            "description": {"type": "str"},
            "accessor_id": {"type": "str"},
            "secret_id": {"type": "str", "no_log": True},
            "secret_file": {"type": "path", "no_log": False},
            "return_secret": {"type": "bool", "default": False, "no_log": False},
            **GRANTS,
            "roles": {"type": "list", "elements": "raw"},
            "local": {"type": "bool"},
            "expiration_ttl": {"type": "str"},
            "expiration_time": {"type": "str"},
            "state": STATE,
        },
        mutually_exclusive=[("expiration_ttl", "expiration_time")],
        required_one_of=[("description", "accessor_id", "secret_id", "secret_file")],
    )


if __name__ == "__main__":
    main()

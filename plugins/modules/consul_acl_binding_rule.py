#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_binding_rule
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Manages binding rules of Consul's ACLs
description:
  - Makes, changes and removes a binding rule, which says what those may do who log in by an auth method.
  - A binding rule has no name. It is known by O(id), or by its O(description), which is then the mark of one rule of the auth
    method. When several have that description, the task fails and tells their IDs.
  - What a task leaves out stays as it is, and has Consul's default in what is made.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  auth_method:
    description: Name of the auth method. Consul can't change it later.
    type: str
  description:
    description: What the rule is for, and the mark by which it is found again.
    type: str
  id:
    description: ID of a rule that is there already, instead of its description.
    type: str
  bind_type:
    description:
      - What O(bind_name) names. V(policy) is of Consul 1.15 and later, V(templated-policy) of 1.17 and later.
      - Required for a rule that is not there yet.
    type: str
    choices: [service, node, role, policy, templated-policy]
  bind_name:
    description:
      - Name that is bound. It may hold what the auth method knows of who logs in, such as V(${serviceaccount.name}).
      - Required for a rule that is not there yet.
    type: str
  bind_vars:
    description: Variables of a templated policy.
    type: dict
    suboptions:
      name:
        description: Name of the service, node or key that the template is for.
        type: str
  selector:
    description: Which logins the rule is for, as an expression. All by default.
    type: str
  state:
    description: V(present) makes or changes it, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: uwsgi.consul.consul_acl_auth_method
  - name: Binding rule endpoint of Consul's API
    description: What a binding rule is asked for by.
    link: https://developer.hashicorp.com/consul/api-docs/acl/binding-rules
"""

EXAMPLES = r"""
- name: Who logs in for the shop is the shop
  uwsgi.consul.consul_acl_binding_rule:
    auth_method: builds
    description: the shop's builds
    bind_type: service
    bind_name: shop
    selector: value.project == "shop"

- name: Remove it
  uwsgi.consul.consul_acl_binding_rule:
    auth_method: builds
    description: the shop's builds
    state: absent
"""

RETURN = r"""
binding_rule:
  description: The binding rule, with O(state=present). In check mode, the one that is there already.
  returned: when there is one
  type: dict
  sample:
    id: 0f6f4b8e-3c7e-4a50-9a53-6e1f2f0d7c11
    auth_method: builds
    bind_type: service
    bind_name: shop
    description: the shop's builds
    selector: value.project == "shop"
    bind_vars: {}
    create_index: 121
    modify_index: 121
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _acl.manage_binding_rule,
        {
            "auth_method": {"type": "str"},
            "description": {"type": "str"},
            "id": {"type": "str"},
            "bind_type": {"type": "str", "choices": ["service", "node", "role", "policy", "templated-policy"]},
            "bind_name": {"type": "str"},
            "bind_vars": {"type": "dict", "options": {"name": {"type": "str"}}},
            "selector": {"type": "str"},
            "state": STATE,
        },
        required_one_of=[("id", "description")],
        required_by={"description": ["auth_method"]},
    )


if __name__ == "__main__":
    main()

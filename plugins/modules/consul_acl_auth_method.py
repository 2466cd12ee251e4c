#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_auth_method
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Manages auth methods of Consul's ACLs
description:
  - Makes, changes and removes an auth method, which is known by its name. By one, workloads get tokens for an identity that
    another system vouches for.
  - What a task leaves out stays as it is, and has Consul's default in what is made.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: Name of the auth method. It has letters, digits, V(-) and V(_).
    type: str
    required: true
  type:
    description:
      - Type of the auth method, such as V(jwt), V(kubernetes) or V(aws-iam). Consul can't change it later.
      - Required for one that is not there yet.
    type: str
  description:
    description: What the auth method is for.
    type: str
  display_name:
    description: Its name for people.
    type: str
  max_token_ttl:
    description:
      - How long the tokens that it makes live at most, such as V(30m). V(0s), which is Consul's default, means without an end.
      - However it is written, V(90m) and V(1h30m) are the same.
    type: str
  token_locality:
    description: Where the tokens that it makes are valid, in its datacenter or everywhere. Consul's default is V(local).
    type: str
    choices: [local, global]
  token_name_format:
    description: How the tokens that it makes are described, of Consul 1.20 and later.
    type: str
  config:
    description:
      - Its configuration in Consul's own terms, which depend on O(type). It is given as a whole.
      - Secrets (C(ServiceAccountJWT), C(OIDCClientSecret), C(OIDCClientAssertion)) are refused here, since Ansible would show them.
    type: dict
  secret_config:
    description: That part of the configuration that is secret.
    type: dict
  state:
    description: V(present) makes or changes it, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Removing an auth method removes all tokens that it made.
seealso:
  - module: uwsgi.consul.consul_acl_binding_rule
  - name: Auth method endpoint of Consul's API
    description: What an auth method is asked for by, with what each type is configured by.
    link: https://developer.hashicorp.com/consul/api-docs/acl/auth-methods
"""

EXAMPLES = r"""
- name: Workloads with a JWT of the build system
  uwsgi.consul.consul_acl_auth_method:
    name: builds
    type: jwt
    max_token_ttl: 30m
    config:
      BoundIssuer: builds
      BoundAudiences: [consul]
      JWTValidationPubKeys: ["{{ lookup('ansible.builtin.file', 'builds.pem') }}"]
      ClaimMappings:
        project: project

- name: Remove it
  uwsgi.consul.consul_acl_auth_method:
    name: builds
    state: absent
"""

RETURN = r"""
auth_method:
  description: The auth method, with O(state=present) and without its secrets. In check mode, the one that is there already.
  returned: when there is one
  type: dict
  sample:
    name: builds
    type: jwt
    description: ""
    display_name: ""
    max_token_ttl: 1800.0
    token_locality: local
    token_name_format: ${auth_method_type}-${auth_method_name}
    config:
      BoundIssuer: builds
    create_index: 120
    modify_index: 120
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _acl.manage_auth_method,
        {
            "name": {"type": "str", "required": True},
            "type": {"type": "str"},
            "description": {"type": "str"},
            "display_name": {"type": "str"},
            "max_token_ttl": {"type": "str", "no_log": False},
            "token_locality": {"type": "str", "no_log": False, "choices": ["local", "global"]},
            "token_name_format": {"type": "str", "no_log": False},
            "config": {"type": "dict"},
            "secret_config": {"type": "dict", "no_log": True},
            "state": STATE,
        },
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_acl_bootstrap
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Makes the first token of Consul's ACLs
description:
  - Makes the first token, which may do everything, once. When it was made before, the task verifies that its secret is known
    and valid, and changes nothing.
  - The secret is known from O(bootstrap_secret), else from O(secret_file), else from O(token) or O(token_file).
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  bootstrap_secret:
    description:
      - The secret that the token shall have, a UUID, for one that is kept elsewhere, such as in a vault.
      - Consul itself chooses one in releases before 1.14. There the module makes a token with this one, and removes the first.
    type: str
  secret_file:
    description:
      - File on the target that shall hold the secret. It is made such that only its owner can read it (mode 0600), at every moment. Its
        directory must exist.
      - Owner and group that it is given later stay, and so does the permission of its group to read it. A file that others can read, or
        its group can write, gets a warning.
      - The secret is in the file before Consul is asked, so it can't be lost.
    type: path
  return_secret:
    description: Whether the result has the secret of a token that this run makes. Give the task C(no_log) then, for Ansible shows results.
    type: bool
    default: false
notes:
  - Run it on one host of the primary datacenter, or with C(run_once).
  - When the token is lost, the task fails with the reset index. Write it into the file C(acl-bootstrap-reset) in the data
    directory of the leader, and run the task again.
  - Releases before 1.17 do not say whether they were bootstrapped. Check mode takes them for not bootstrapped when no token is known.
seealso:
  - module: uwsgi.consul.consul_acl_token
  - module: uwsgi.consul.consul_agent_token
  - name: Bootstrap endpoint of Consul's API
    description: How the first token is asked for.
    link: https://developer.hashicorp.com/consul/api-docs/acl#bootstrap-acls
"""

EXAMPLES = r"""
- name: The first token, its secret in a file on the first server
  uwsgi.consul.consul_acl_bootstrap:
    secret_file: "{{ workspace }}/bootstrap.token"
  run_once: true

- name: A policy, made with it
  uwsgi.consul.consul_acl_policy:
    name: first
    rules: key_prefix "" { policy = "read" }
    token_file: "{{ workspace }}/bootstrap.token"
  run_once: true
"""

RETURN = r"""
token:
  description:
    - The token. In check mode, the one that is known already.
    - It has C(secret_id) only when this run made the token and O(return_secret=true).
  returned: when there is one
  type: dict
  sample:
    accessor_id: 6a1253d2-1785-24fd-91c2-f8e78c745511
    description: Bootstrap Token (Global Management)
    policies:
      - id: 00000000-0000-0000-0000-000000000001
        name: global-management
    roles: []
    service_identities: []
    node_identities: []
    templated_policies: []
    local: false
    auth_method: null
    expiration_time: null
    create_time: "2026-01-01T12:00:00.123456789Z"
    create_index: 21
    modify_index: 21
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _acl_tokens
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _acl_tokens.bootstrap,
        {
            "bootstrap_secret": {"type": "str", "no_log": True},
            "secret_file": {"type": "path", "no_log": False},
            "return_secret": {"type": "bool", "default": False, "no_log": False},
        },
    )


if __name__ == "__main__":
    main()

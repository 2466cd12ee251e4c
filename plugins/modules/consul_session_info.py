#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_session_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists sessions
description:
  - Returns sessions of a datacenter, the oldest first.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  id:
    description: Only the session of this ID.
    type: str
  node:
    description: Only sessions of this node.
    type: str
  name:
    description: Only sessions of this name.
    type: str
seealso:
  - module: uwsgi.consul.consul_session
  - name: Session endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/session
"""

EXAMPLES = r"""
- name: All sessions of the datacenter
  uwsgi.consul.consul_session_info:
  register: found

- name: Those of deployments
  uwsgi.consul.consul_session_info:
    name: deploy
"""

RETURN = r"""
sessions:
  description: The sessions. One that does not exist is no error.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
      name: deploy
      node: web1
      ttl: 60.0
      lock_delay: 0.0
      behavior: release
      node_checks: [serfHealth]
      service_checks: []
      create_index: 117
      modify_index: 117
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _sessions
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _sessions.find,
        {"id": {"type": "str"}, "node": {"type": "str"}, "name": {"type": "str"}},
        mutually_exclusive=[("id", "node"), ("id", "name")],
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_intention
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Says which service may connect to which in the mesh
description:
  - Makes and removes intentions, one or many in a task, and leaves all others alone.
  - Consul keeps all intentions of a destination together, as a config entry of kind C(service-intentions). It is written once,
    and only if nobody else changed it meanwhile, else it is read anew.
  - Consul before 1.9 keeps each by itself, and has O(action) only. That is done as well.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  <<: &intention
    source:
      description: The service that connects. V(*) stands for every service that has no intention of its own.
      type: str
    destination:
      description: The service that is connected to, or V(*).
      type: str
    source_peer:
      description: The cluster peer that the source is imported from.
      type: str
    action:
      description: Whether the source may connect. Exactly one of this and O(permissions) is needed with O(state=present).
      type: str
      choices: [allow, deny]
    permissions:
      description:
        - What the source may ask of a destination that speaks HTTP. The first that fits a request decides.
        - Each has C(action), C(allow) or C(deny), and C(http) with C(path_exact), C(path_prefix) or C(path_regex), C(methods) and
          C(header), as Consul documents them.
      type: list
      elements: dict
    description:
      description: What it is for. Empty by default.
      type: str
    meta:
      description:
        - Metadata. Since Consul 1.9 there is one for all intentions of a destination. It stays as it is unless given.
      type: dict
  intentions:
    description: Several intentions. The options of each are those that stand at the top of a task for one.
    type: list
    elements: dict
    suboptions:
      <<: *intention
  state:
    description: V(present) makes or changes the intentions, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - Whether intentions of other sources with one of the destinations are removed, so that those of the task are all there are.
    type: bool
    default: false
notes:
  - Without an intention, a connection is allowed or denied as the agents' default policy says.
  - Consul writes intentions in its primary datacenter and copies them to the others, whatever O(datacenter) is.
seealso:
  - module: uwsgi.consul.consul_config_entry
  - name: Service intentions
    description: What an intention can say, and which one counts.
    link: https://developer.hashicorp.com/consul/docs/reference/config-entry/service-intentions
"""

EXAMPLES = r"""
- name: The shop may connect to its database
  uwsgi.consul.consul_intention:
    source: shop
    destination: database
    action: allow
    description: Orders

- name: These may connect to the API, and nobody else
  uwsgi.consul.consul_intention:
    intentions:
      - {source: shop, destination: api, action: allow}
      - {source: office, destination: api, action: allow}
      - {source: "*", destination: api, action: deny}
    purge: true

- name: The API speaks HTTP
  uwsgi.consul.consul_config_entry:
    kind: service-defaults
    name: api
    definition:
      protocol: http

- name: The shop may only read from it
  uwsgi.consul.consul_intention:
    source: shop
    destination: api
    permissions:
      - action: allow
        http:
          path_prefix: /
          methods: [GET, HEAD]

- name: Remove one
  uwsgi.consul.consul_intention:
    source: shop
    destination: database
    state: absent
"""

RETURN = r"""
intentions:
  description:
    - The intentions of the task that there are then, or would be in check mode.
    - With O(purge=true), all of their destinations.
  returned: success
  type: list
  elements: dict
  sample:
    - source: shop
      destination: database
      source_peer: null
      action: allow
      permissions: []
      description: Orders
      meta: {}
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _intentions
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _intentions.manage,
        {
            **_intentions.OPTIONS,
            "intentions": {"type": "list", "elements": "dict", "options": _intentions.OPTIONS},
            "state": STATE,
            "purge": {"type": "bool", "default": False},
        },
        mutually_exclusive=[(name, "intentions") for name in _intentions.OPTIONS],
        required_one_of=[("source", "intentions")],
        required_together=[("source", "destination")],
        required_if=[("state", "present", ("action", "permissions", "intentions"), True)],
    )


if __name__ == "__main__":
    main()

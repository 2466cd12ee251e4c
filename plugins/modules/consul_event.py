#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_event
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Fires a user event
description:
  - Sends a short message to the agents of a datacenter, which pass it on by gossip and run what watches for it.
  - An event may arrive late, out of order, or never. What must not get lost belongs into the key/value store.
  - Each run fires another event, so a task of it is always C(changed).
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: Name of the event.
    type: str
    required: true
  payload:
    description:
      - What the event says. Name and payload may have 512 bytes together, and newer agents take less.
      - All agents of the datacenter can read it, so it is no place for secrets.
    type: str
    default: ''
  node:
    description: A regular expression. Only agents of nodes with such a name act upon the event.
    type: str
  service:
    description: A regular expression. Only agents with a service of such a name act upon the event.
    type: str
  tag:
    description: A regular expression. Only agents whose O(service) has such a tag act upon the event.
    type: str
notes:
  - The token needs C(event:write) on the name.
seealso:
  - name: Event endpoint of Consul's API
    description: What an event is fired by.
    link: https://developer.hashicorp.com/consul/api-docs/event
"""

EXAMPLES = r"""
- name: Tell all agents with the service web that a release is there
  uwsgi.consul.consul_event:
    name: release
    payload: "4711"
    service: ^web$
"""

RETURN = r"""
event:
  description: The event, outside of check mode.
  returned: success
  type: dict
  sample:
    id: b54fe110-7af5-cafc-d1fb-afc8ba432b1c
    name: release
    payload: "4711"
    node_filter: ""
    service_filter: ^web$
    tag_filter: ""
    ltime: 0
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _events
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _events.fire,
        {
            "name": {"type": "str", "required": True},
            "payload": {"type": "str", "default": ""},
            "node": {"type": "str"},
            "service": {"type": "str"},
            "tag": {"type": "str"},
        },
        required_by={"tag": ("service",)},
    )


if __name__ == "__main__":
    main()

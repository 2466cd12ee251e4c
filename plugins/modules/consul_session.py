#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_session
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Makes and removes sessions, which hold Consul's locks
description:
  - Makes a session once, however often the task runs, and finds it again by its name.
  - A session that is found has its TTL begun anew. That is no change.
  - To hold a lock over several tasks or plays, M(uwsgi.consul.consul_lock) does everything at once.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description:
      - Name of the session. Consul itself allows several of one name.
      - Required unless O(unique=false) or O(id) is given.
    type: str
  id:
    description: ID of the session to remove, with O(state=absent), instead of O(name).
    type: str
  state:
    description:
      - V(present) makes the session.
      - V(absent) removes it, or all sessions of that name. Its locks end as O(behavior) says.
    type: str
    choices: [present, absent]
    default: present
  unique:
    description:
      - Whether a session of that name is used when there is one. With several, the oldest is.
      - With V(false), each run makes another one.
    type: bool
    default: true
  node:
    description: Name of the node that the session belongs to, and ends with. That of the agent that is asked by default.
    type: str
  ttl:
    description:
      - The session ends when it was not renewed for that long, such as V(30s); from V(10s) to V(24h).
      - Consul may take up to twice that time. Without it, the session does not end by time.
    type: str
  lock_delay:
    description:
      - For how long nobody gets the locks that the session held when it ended, such as V(15s); up to V(60s).
      - Consul's default is 15 seconds.
    type: str
  behavior:
    description:
      - What becomes of the keys that it holds when it ends. V(release) lets go of them, V(delete) deletes them.
      - Consul's default is V(release).
    type: str
    choices: [release, delete]
  node_checks:
    description:
      - IDs of checks of the node. The session ends when one of them becomes critical.
      - By default the node's C(serfHealth). An empty list means none, and the session outlives its node.
    type: list
    elements: str
  service_checks:
    description: IDs of checks of services on the node. The session ends when one of them becomes critical.
    type: list
    elements: str
notes:
  - Consul can't change a session. When the one that is found has other terms than the task gives, the task fails.
seealso:
  - module: uwsgi.consul.consul_session_info
  - name: Session endpoint of Consul's API
    description: What a session is asked for by.
    link: https://developer.hashicorp.com/consul/api-docs/session
"""

EXAMPLES = r"""
- name: A session for the locks of a deployment, made once
  uwsgi.consul.consul_session:
    name: deploy
    ttl: 60s
    lock_delay: 0s
  register: deploy

- name: A new session in each run, whose keys are deleted with it
  uwsgi.consul.consul_session:
    name: scratch
    unique: false
    behavior: delete
    ttl: 5m
  register: scratch

- name: Remove the one by its name
  uwsgi.consul.consul_session:
    name: deploy
    state: absent

- name: Remove the other one by its ID
  uwsgi.consul.consul_session:
    id: "{{ scratch.session.id }}"
    state: absent
  when: scratch is not skipped
"""

RETURN = r"""
session:
  description: The session, with O(state=present) and outside of check mode.
  returned: success
  type: dict
  sample:
    id: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
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
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _sessions.manage,
        {
            "name": {"type": "str"},
            "id": {"type": "str"},
            "state": STATE,
            "unique": {"type": "bool", "default": True},
            "node": {"type": "str"},
            "ttl": {"type": "str"},
            "lock_delay": {"type": "str"},
            "behavior": {"type": "str", "choices": ["release", "delete"]},
            "node_checks": {"type": "list", "elements": "str"},
            "service_checks": {"type": "list", "elements": "str"},
        },
        mutually_exclusive=[("name", "id")],
        required_if=[("unique", True, ("name", "id"), True), ("state", "absent", ("name", "id"), True)],
    )


if __name__ == "__main__":
    main()

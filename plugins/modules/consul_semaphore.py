#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_semaphore
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Holds one of a limited number of places over several tasks or plays
description:
  - Acquires a place of a semaphore, waits for one if all are taken, and releases it in a later task or play.
  - At most O(limit) hold one at a time.
  - C(consul lock -n) and programs with the C(Semaphore) of the library C(uwsgi_consul) hold places of the same semaphores.
  - A place is held by a session. The module makes one and returns its ID, by which later tasks renew or release the place.
  - Nothing renews the session between two tasks. It ends when O(ttl) has passed since the last task that renewed it.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  prefix:
    description:
      - Under which the keys of the semaphore lie. C(PREFIX/.lock) says who holds it and the limit, and each holder has a key of its own.
      - Keys that have another use are refused.
    type: str
    required: true
  limit:
    description: How many places there are. It is the same for all. Another one than is there is refused.
    type: int
    required: true
  state:
    description:
      - V(held) acquires a place. When the O(session) or O(holder) has one, it is renewed, which is no change.
      - V(released) releases it, and removes the session that this module made for it. Without a place it is no change.
    type: str
    choices: [held, released]
    default: held
  session:
    description:
      - ID of the session that holds the place, as an earlier task returned it, or one of M(uwsgi.consul.consul_session), made with
        C(behavior=delete).
      - When it has ended, O(state=held) fails, for others may have had the place since.
    type: str
  holder:
    description:
      - A name for who holds the place, by which it is found again without an ID, also in another run of the playbook.
      - All who give the same name are one holder with one place. For a place of each host, take its name and what no other run has.
      - Without O(session) and O(holder), each task is a holder of its own.
    type: str
  value:
    description: What the holder's own key says, for people, from when the place is acquired.
    type: str
  wait:
    description:
      - For how long to wait for a place, in seconds or as a duration such as V(30m). V(0) tries once.
      - Who waits has one request open at the agent, and is told at once when a place is free. Consul may be restarted meanwhile.
      - Check mode does not wait. It fails only where V(0) would.
    type: str
    default: 5m
  ttl:
    description:
      - The session that the module makes ends when it was not renewed for that long, such as V(1h); from V(10s) to V(24h).
      - Make it longer than the longest stretch between two tasks that acquire or renew the place.
      - When a run dies, its place is taken for up to twice that time.
    type: str
    default: 10m
  node:
    description:
      - Name of the node that the session belongs to. That of the agent that is asked by default.
      - Needed with another O(datacenter), where that agent is not.
    type: str
notes:
  - O(ttl) and O(node) count when a session is made, not where there is one.
  - The token needs C(key:write) on all keys under the prefix and C(session:write) on the node.
seealso:
  - module: uwsgi.consul.consul_lock
  - name: Sessions and distributed locks
    description: How Consul's locks work.
    link: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

EXAMPLES = r"""
- name: At most two hosts at a time, whichever playbook they are in
  block:
    - name: Acquire a place
      uwsgi.consul.consul_semaphore:
        prefix: restarts/my-app
        limit: 2
        value: "{{ inventory_hostname }}"
        wait: 1h
      register: place

    - name: Do what only two may do at a time
      ansible.builtin.debug:
        msg: At most one other host restarts now.
  always:
    - name: Release the place
      uwsgi.consul.consul_semaphore:
        prefix: restarts/my-app
        limit: 2
        session: "{{ place.session }}"
        state: released
      when: place.session is defined
"""

RETURN = r"""
session:
  description: ID of the session that holds the place.
  returned: with O(state=held), outside of check mode
  type: str
  sample: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
token:
  description: The fencing token. It is larger than that of every holder of the same place before.
  returned: with O(state=held), outside of check mode
  type: int
  sample: 4711
holders:
  description: The sessions that hold the places instead, as RV(uwsgi.consul.consul_session_info#module:sessions) has them, five at most.
  returned: when no place could be had
  type: list
  elements: dict
  sample:
    - id: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
      name: Semaphore restarts/my-app, Ansible on web1
      node: web1
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _locks
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _locks.semaphore,
        {
            "prefix": {"type": "str", "required": True},
            "limit": {"type": "int", "required": True},
            "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
            "session": {"type": "str"},
            "holder": {"type": "str"},
            "value": {"type": "str"},
            "wait": {"type": "str", "default": "5m"},
            "ttl": {"type": "str", "default": "10m"},
            "node": {"type": "str"},
        },
        mutually_exclusive=[("session", "holder")],
        required_if=[("state", "released", ("session", "holder"), True)],
    )


if __name__ == "__main__":
    main()

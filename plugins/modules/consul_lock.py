#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_lock
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Holds a lock over several tasks or plays
description:
  - Acquires a lock on a key, waits for it if others hold it, and releases it in a later task or play.
  - C(consul lock) and programs with the C(Lock) of the library C(uwsgi_consul) hold the same locks, so each keeps the others out.
  - A lock is held by a session. The module makes one and returns its ID, by which later tasks renew or release the lock.
  - Nothing renews the session between two tasks. It ends when O(ttl) has passed since the last task that renewed it.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  key:
    description:
      - The key that is locked. C(consul lock PREFIX) locks C(PREFIX/.lock).
      - A key that has another use is refused. It stays after the release, for the next holder.
    type: str
    required: true
  state:
    description:
      - V(held) acquires the lock. When the O(session) or O(holder) has it, it is renewed, which is no change.
      - V(released) releases it, and removes the session that this module made for it. It is no change where nobody holds
        the lock, and it fails where somebody else does, for then it has been lost.
    type: str
    choices: [held, released]
    default: held
  session:
    description:
      - ID of the session that holds the lock, as an earlier task returned it, or one of M(uwsgi.consul.consul_session).
      - When it has ended, O(state=held) fails, for others may have held the lock since.
    type: str
  holder:
    description:
      - A name for who holds the lock, by which it is found again without an ID, also in another run of the playbook.
      - All who give the same name are the same holder and do not keep each other out. So take what no other run has, such as
        the number of a pipeline.
      - Without O(session) and O(holder), each task is a holder of its own.
    type: str
  value:
    description:
      - What the key says from then on. Whatever it says stays unless this is given, also when the lock is released.
      - Consul's key/value store holds no secrets well, and diff mode shows it.
    type: str
  wait:
    description:
      - For how long to wait for others, in seconds or as a duration such as V(30m). V(0) tries once.
      - Who waits has one request open at the agent, and is told at once when the lock is free. Consul may be restarted meanwhile.
      - Check mode does not wait. It fails only where V(0) would.
    type: str
    default: 5m
  ttl:
    description:
      - The session that the module makes ends when it was not renewed for that long, such as V(1h); from V(10s) to V(24h).
      - Make it longer than the longest stretch between two tasks that acquire or renew the lock.
      - When a run dies, others wait for up to twice that time, and then for O(lock_delay).
    type: str
    default: 10m
  lock_delay:
    description: For how long nobody gets the lock after a session that ended without a release; from V(0s) to V(60s).
    type: str
    default: 15s
  behavior:
    description:
      - What becomes of the key in the end, whether by a release or with the session. V(release) leaves it, V(delete) deletes it.
    type: str
    choices: [release, delete]
    default: release
  node:
    description:
      - Name of the node that the session belongs to. That of the agent that is asked by default.
      - Needed with another O(datacenter), where that agent is not.
    type: str
notes:
  - O(ttl), O(lock_delay), O(behavior) and O(node) count when a session is made, not where there is one.
  - The token needs C(key:write) on the key and C(session:write) on the node.
seealso:
  - module: uwsgi.consul.consul_semaphore
  - module: uwsgi.consul.consul_session
  - name: Sessions and distributed locks
    description: How Consul's locks work.
    link: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

EXAMPLES = r"""
- name: Hold a lock while a block runs, and release it whatever happens
  block:
    - name: Acquire the lock
      uwsgi.consul.consul_lock:
        key: deploy/my-app
        wait: 30m
        ttl: 20m
      register: lock

    - name: Do what only one may do at a time
      ansible.builtin.debug:
        msg: "Nobody else deploys now. The fencing token is {{ lock.token | default('') }}."

    - name: Renew it before the next long step, or fail if it was lost
      uwsgi.consul.consul_lock:
        key: deploy/my-app
        session: "{{ lock.session }}"
      when: lock.session is defined
  always:
    - name: Release the lock
      uwsgi.consul.consul_lock:
        key: deploy/my-app
        session: "{{ lock.session }}"
        state: released
      when: lock.session is defined

- name: Hold a lock that a later run of the same pipeline finds again
  uwsgi.consul.consul_lock:
    key: release/my-app
    holder: pipeline-4711
    ttl: 24h

- name: Release it there
  uwsgi.consul.consul_lock:
    key: release/my-app
    holder: pipeline-4711
    state: released
"""

RETURN = r"""
session:
  description: ID of the session that holds the lock.
  returned: with O(state=held), outside of check mode
  type: str
  sample: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
token:
  description: The fencing token. It is larger than that of every holder before.
  returned: with O(state=held), outside of check mode
  type: int
  sample: 4711
holders:
  description: The sessions that hold the lock instead, as RV(uwsgi.consul.consul_session_info#module:sessions) has them.
  returned: when the lock could not be had or released
  type: list
  elements: dict
  sample:
    - id: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
      name: Lock deploy/my-app, Ansible on ci1
      node: web1
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _locks
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _locks.lock,
        {
            # Not a secret, whatever its name.
            "key": {"type": "str", "required": True, "no_log": False},
            "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
            "session": {"type": "str"},
            "holder": {"type": "str"},
            "value": {"type": "str"},
            "wait": {"type": "str", "default": "5m"},
            "ttl": {"type": "str", "default": "10m"},
            "lock_delay": {"type": "str", "default": "15s"},
            "behavior": {"type": "str", "choices": ["release", "delete"], "default": "release"},
            "node": {"type": "str"},
        },
        mutually_exclusive=[("session", "holder")],
        required_if=[("state", "released", ("session", "holder"), True)],
    )


if __name__ == "__main__":
    main()

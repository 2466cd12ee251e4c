#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_snapshot
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Saves, verifies and restores snapshots of a datacenter
description:
  - Saves all that the servers of a datacenter hold into a file, or puts such a file in the place of it.
  - What arrives is verified by the checksums in it before it gets the file's name, so a good file is never replaced by a part of one.
  - The file holds every secret of the cluster. It is readable for its owner only.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  path:
    description:
      - The file. Its folder must exist.
      - It is on the host on which the task runs.
    type: path
    required: true
  state:
    description:
      - V(saved) saves a snapshot into O(path), and is a change each time unless O(max_age) is given.
      - V(verified) only reads the file, and fails when it is no good snapshot.
      - V(restored) verifies the file and restores it. B(All that the datacenter's servers hold is lost.) That is a change each time.
    type: str
    choices: [saved, verified, restored]
    default: saved
  max_age:
    description:
      - With O(state=saved), a good snapshot in O(path) that is not older than that is kept, such as V(1h).
      - Its age is that of the file.
    type: str
  confirm:
    description:
      - With O(state=restored), the name of the datacenter whose data is replaced. The task fails when it is another one that would be.
    type: str
  transfer_timeout:
    description: For how long the file may travel, such as V(30m). O(timeout) is for the other requests.
    type: str
    default: 10m
notes:
  - The token must be one for management, as the built-in policy C(global-management) has it.
  - With O(consistency=stale) any server gives a snapshot, also when there is no leader.
seealso:
  - name: Snapshot endpoint of Consul's API
    description: What is asked for it.
    link: https://developer.hashicorp.com/consul/api-docs/snapshot
"""

EXAMPLES = r"""
- name: A backup, of which one per hour is enough
  uwsgi.consul.consul_snapshot:
    path: "{{ workspace }}/consul.snap"
    max_age: 1h

- name: A backup of each day, kept by its date
  uwsgi.consul.consul_snapshot:
    path: "{{ workspace }}/consul-{{ now(utc=true, fmt='%Y-%m-%d') }}.snap"
  register: backup

- name: What was saved is good, and says from when it is
  uwsgi.consul.consul_snapshot:
    path: "{{ workspace }}/consul.snap"
    state: verified

- name: Back to what was saved
  uwsgi.consul.consul_snapshot:
    path: "{{ workspace }}/consul.snap"
    state: restored
    confirm: dc1
"""

RETURN = r"""
snapshot:
  description:
    - What is in the file. C(index) and C(term) are those of Raft, C(checksum) is the SHA-256 of the file, C(state_size) the size of the
      state in it.
    - Not returned in check mode when one would be saved.
  returned: success
  type: dict
  sample:
    path: /var/backups/consul/consul.snap
    size: 3141
    checksum: 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4
    state_size: 5943
    id: 2-17-1795287468456
    index: 17
    term: 2
    version: 1
    servers: [bbea7ddf-42c4-4c44-73fb-a2080efa157c]
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _snapshots
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _snapshots.manage,
        {
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["saved", "verified", "restored"], "default": "saved"},
            "max_age": {"type": "str"},
            "confirm": {"type": "str"},
            "transfer_timeout": {"type": "str", "default": "10m"},
        },
        required_if=[("state", "restored", ("confirm",))],
    )


if __name__ == "__main__":
    main()

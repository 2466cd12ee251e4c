#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_keyring
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Keys that encrypt gossip, and their rotation
description:
  - Brings keys to all agents of all datacenters, has them encrypt by one, and removes others.
  - The order is always the safe one. A key is installed everywhere, then used everywhere, then others are removed. Each step begins when
    every agent has confirmed the one before.
  - Keys are shown nowhere. Results and differences have their fingerprints, the beginning of a key's SHA-256.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  primary:
    description: The key that all agents encrypt by, 16, 24 or 32 bytes in base64 as C(consul keygen) makes them.
    type: str
  keys:
    description: More keys that all agents can read, or with O(state=absent) those that shall be gone.
    type: list
    elements: str
  state:
    description:
      - V(present) installs the keys and uses O(primary).
      - V(absent) removes O(keys), none of which may be the primary one.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description: Whether all other keys than O(primary) and O(keys) are removed in the end.
    type: bool
    default: false
  wait:
    description: For how long each step is tried until every agent has confirmed it, such as V(60s).
    type: str
    default: 60s
  relay_factor:
    description: Through how many other agents each one answers as well, from V(0) to V(5), for networks that lose packets.
    type: int
    default: 0
  local_only:
    description: Whether only the keys of the server that is asked are listed, without a question to any other. Only to read.
    type: bool
    default: false
notes:
  - The token needs C(keyring:read), and for changes C(keyring:write).
  - An agent that is away during a rotation does not get the key, and does not come back with the old one. Bring all back before.
  - Agents keep their keys in C(serf/local.keyring) and C(serf/remote.keyring) of their data folder, and take C(encrypt) of their
    configuration only when those are missing. Change the configuration all the same, for agents that come new.
seealso:
  - name: Keyring endpoint of Consul's API
    description: What is asked for it.
    link: https://developer.hashicorp.com/consul/api-docs/operator/keyring
"""

EXAMPLES = r"""
- name: Which keys are there?
  uwsgi.consul.consul_keyring:
  register: gossip

- name: A new key in the place of all others
  uwsgi.consul.consul_keyring:
    primary: "{{ consul_encrypt }}"
    purge: true

- name: In two steps, of which the first one is installed long before it is used
  uwsgi.consul.consul_keyring:
    keys:
      - "{{ consul_encrypt_next }}"

- name: The second step
  uwsgi.consul.consul_keyring:
    primary: "{{ consul_encrypt_next }}"

- name: The old one is not needed any more
  uwsgi.consul.consul_keyring:
    keys:
      - "{{ consul_encrypt }}"
    state: absent
"""

RETURN = r"""
rings:
  description:
    - The rings of keys after the task, that of the servers over WAN and that of the agents of each datacenter.
    - C(keys) and C(primary_keys) have, by the key's fingerprint, how many of the ring's C(nodes) know it and encrypt by it.
  returned: success
  type: list
  elements: dict
  sample:
    - wan: false
      datacenter: dc1
      segment: ""
      nodes: 3
      keys: {"sha256:1f0c8f0a3b7d": 3}
      primary_keys: {"sha256:1f0c8f0a3b7d": 3}
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _keyring
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _keyring.manage,
        {
            "primary": {"type": "str", "no_log": True},
            "keys": {"type": "list", "elements": "str", "no_log": True},
            "state": STATE,
            "purge": {"type": "bool", "default": False},
            "wait": {"type": "str", "default": "60s"},
            "relay_factor": {"type": "int", "default": 0},
            "local_only": {"type": "bool", "default": False},
        },
        required_if=[("state", "absent", ("keys",)), ("purge", True, ("primary", "keys"), True)],
    )


if __name__ == "__main__":
    main()

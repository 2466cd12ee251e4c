#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_kv_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Reads keys of Consul's key/value store
description:
  - Returns keys with their values, flags and indexes, from any number of keys and prefixes in one task.
  - Reads up to 64 keys by one request, and each prefix by one.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  keys:
    description: Keys to read. One that does not exist is no error.
    type: list
    elements: str
    default: []
  prefixes:
    description:
      - Prefixes; all keys that start with one of them are read. An empty one means the whole store.
      - Consul compares characters, so V(app) finds C(apple) as well. End a prefix with a slash to read a folder.
    type: list
    elements: str
    default: []
  names_only:
    description: Whether only the names of the keys under O(prefixes) are read, and no values.
    type: bool
    default: false
  separator:
    description:
      - With O(names_only), names are cut after its first occurrence behind the prefix, and each is listed once. With V(/) these are
        the keys of a folder, and its folders with a slash at their end.
    type: str
  tree:
    description: A folder to return as a nested dictionary in RV(tree). An empty one means the whole store.
    type: str
  encoding:
    description:
      - How values are returned. V(text) decodes them as UTF-8, and it is an error when one is not.
      - V(base64) returns the bytes in base64, for the P(ansible.builtin.b64decode#filter) filter or for M(uwsgi.consul.consul_kv).
    type: str
    choices: [text, base64]
    default: text
notes:
  - Consul leaves out keys under a prefix that the token may not read. Consul 1.11 and later say so, which becomes a warning.
    A single key that it may not read is an error.
seealso:
  - module: uwsgi.consul.consul_kv
  - plugin: uwsgi.consul.consul_kv
    plugin_type: lookup
  - name: KV endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/kv
"""

EXAMPLES = r"""
- name: Two keys, and all of a folder
  uwsgi.consul.consul_kv_info:
    keys: [shop/colour, mail/relay]
    prefixes: [shop/database/]
  register: found

- name: Print them
  ansible.builtin.debug:
    msg: "{{ found.entries | items2dict }}, and {{ found.missing | length }} are missing"

- name: What is in a folder
  uwsgi.consul.consul_kv_info:
    prefixes: [shop/]
    names_only: true
    separator: /

- name: A folder as a dictionary
  uwsgi.consul.consul_kv_info:
    tree: shop
  register: shop

- name: Print one of its values
  ansible.builtin.debug:
    msg: "{{ shop.tree.database.host }}"
"""

RETURN = r"""
entries:
  description: The keys that exist, sorted.
  returned: success, without O(names_only)
  type: list
  elements: dict
  sample:
    - key: shop/colour
      value: blue
      flags: 0
      session: null
      create_index: 114
      modify_index: 117
      lock_index: 0
missing:
  description: Those of O(keys) that do not exist.
  returned: success, without O(names_only)
  type: list
  elements: str
  sample: [mail/relay]
names:
  description: The names of the keys, sorted.
  returned: success, with O(names_only)
  type: list
  elements: str
  sample: [shop/colour, shop/database/]
tree:
  description: The folder O(tree) as a nested dictionary, empty where nothing is.
  returned: success, with O(tree)
  type: dict
  sample: {colour: blue, database: {host: db1, port: '5432'}}
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _kv
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _kv.find,
        {
            # Keys are no secrets, whatever Ansible thinks of the word.
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "prefixes": {"type": "list", "elements": "str", "default": []},
            "names_only": {"type": "bool", "default": False},
            "separator": {"type": "str"},
            "tree": {"type": "str"},
            "encoding": {"type": "str", "choices": ["text", "base64"], "default": "text"},
        },
        mutually_exclusive=[("names_only", "tree")],
    )


if __name__ == "__main__":
    main()

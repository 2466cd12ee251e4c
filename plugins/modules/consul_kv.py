#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_kv
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Writes and deletes keys of Consul's key/value store
description:
  - Writes one key, many, or a whole folder; deletes keys, and those of a folder that are not listed.
  - Reads and writes up to 64 keys by one request, and writes only those whose value or flags differ.
  - Each write is bound to what was read. Where others change the same keys at that moment, the task reads again, up to 5 times,
    and then fails.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  key:
    description:
      - The key. It starts with no slash, and is used as it stands, with spaces and all.
      - How keys are given is one of O(key), O(keys), O(values), O(entries), O(tree) and O(file).
    type: str
  value:
    description:
      - The value of O(key), or of each of O(keys). Required with O(state=present); an empty one is V('').
      - Text is stored as it stands, in UTF-8. What YAML takes for something else is stored as JSON without spaces, so V(true) and
        V(yes) become C(true), V(8080) becomes C(8080), and a list C(["a","b"]). Null is refused. This is so for O(values), O(entries),
        O(tree) and O(file), too. Quote a value in YAML to have its very text.
    type: raw
  keys:
    description: Several keys, to be deleted, acquired, released, or given the same O(value).
    type: list
    elements: str
  values:
    description: Values by key. A dictionary as a value is stored as JSON.
    type: dict
  entries:
    description: Several keys, each with terms of its own.
    type: list
    elements: dict
    suboptions:
      key:
        description: The key.
        type: str
        required: true
      value:
        description: Its value, as O(value).
        type: raw
      flags:
        description: Its flags. Those of the task unless given.
        type: int
      cas:
        description: The index that it must have, as O(cas).
        type: int
      encoding:
        description: How its value is given, as O(encoding). That of the task unless given.
        type: str
        choices: [text, base64]
  tree:
    description:
      - A nested dictionary. A dictionary in it is a folder, so C(host) in C(database) is the key C(database/host).
      - An empty dictionary makes an empty folder, as Consul's UI does.
    type: dict
  file:
    description:
      - A file of JSON or YAML that holds a nested dictionary as O(tree), on the host that the task runs on. For YAML that host
        needs PyYAML.
      - For a file of the controller give O(tree) with the P(ansible.builtin.file#lookup) lookup and the
        P(ansible.builtin.from_yaml#filter) filter.
    type: path
  prefix:
    description:
      - The folder that the keys are in. It stands in front of each of them, with a slash between, also where none is given.
    type: str
  purge:
    description:
      - Whether the other keys of the folder O(prefix) are deleted. With O(state=absent), and then without any keys given, all of the
        folder are.
      - Keys that a session holds are locks, so they are left, with a warning.
    type: bool
    default: false
  everything:
    description: Must be V(true) to purge the whole store, which is O(purge=true) with an empty O(prefix).
    type: bool
    default: false
  state:
    description:
      - V(present) writes the keys, and V(absent) deletes them.
      - V(acquire) makes O(session) hold the keys, and fails when another session does. V(release) gives them back; a key that
        the session does not hold is no error. Both leave the value as it is where none is given. Several keys are acquired
        together or not at all, up to 32.
      - To wait for a lock, and to have its session made, use M(uwsgi.consul.consul_lock).
    type: str
    choices: [present, absent, acquire, release]
    default: present
  session:
    description: ID of the session. Required with O(state=acquire) and O(state=release).
    type: str
  flags:
    description:
      - A number of 64 bits that Consul keeps with each key, for the user's own use.
      - Unless given, a key keeps those that it has. New keys have V(0).
    type: int
  cas:
    description:
      - The C(modify_index) that the key must have, else the task fails and says which it has. V(0) means that there must be no such key.
      - It is a condition of changing the key. Where the key is already as wanted, there is nothing to do, whatever its index.
    type: int
  overwrite:
    description: Whether keys that exist are given the value. With V(false) only those that are missing are written.
    type: bool
    default: true
  encoding:
    description:
      - How values are given. With V(base64) they are the bytes that the text stands for, such as those of the
        P(ansible.builtin.b64encode#filter) filter or of M(ansible.builtin.slurp).
    type: str
    choices: [text, base64]
    default: text
  atomic:
    description:
      - Whether all changes are done together or not at all. The task fails before it changes anything when one transaction can't
        hold them, which has at most 64 operations and 512 KiB; values count four thirds of their size.
      - With V(false), more become several transactions, one after the other. Values that no transaction can hold are written alone.
    type: bool
    default: false
notes:
  - A value has 512 KiB at most.
  - When a task fails on its way, RV(written), RV(deleted) and RV(unknown) say what was done until then. It can simply be run again.
  - O(purge) knows only of keys that the token may read. Consul 1.11 and later tell a token when there are others, which
    becomes a warning.
  - Diff mode shows values. Give C(no_log) or C(diff=false) to a task with secrets.
seealso:
  - module: uwsgi.consul.consul_kv_info
  - plugin: uwsgi.consul.consul_kv
    plugin_type: lookup
  - name: KV endpoint of Consul's API
    description: What keys, flags and indexes are.
    link: https://developer.hashicorp.com/consul/api-docs/kv
"""

EXAMPLES = r"""
- name: One key
  uwsgi.consul.consul_kv:
    key: shop/colour
    value: blue

- name: All settings of an app, and no others in its folder
  uwsgi.consul.consul_kv:
    prefix: shop
    purge: true
    tree:
      colour: blue
      debug: false
      database:
        host: db1
        port: 5432

- name: The same from a file of the controller
  uwsgi.consul.consul_kv:
    prefix: shop
    purge: true
    tree: "{{ lookup('ansible.builtin.file', 'settings.yml') | from_yaml }}"

- name: Many keys in another way, all together or not at all
  uwsgi.consul.consul_kv:
    values:
      shop/colour: green
      shop/database/host: db2
    atomic: true
  register: shop

- name: Change a key unless somebody else did meanwhile
  uwsgi.consul.consul_kv:
    key: shop/colour
    value: red
    cas: "{{ shop.indexes['shop/colour'] }}"
  when: not ansible_check_mode

- name: Defaults, for those keys only that nobody has set
  uwsgi.consul.consul_kv:
    prefix: shop
    overwrite: false
    values:
      colour: grey
      language: en

- name: A file that is no text, and a key with flags
  uwsgi.consul.consul_kv:
    prefix: shop
    entries:
      - key: logo
        value: iVBORw0KGgo=
        encoding: base64
      - key: stock
        value: 17
        flags: 42

- name: Delete two keys
  uwsgi.consul.consul_kv:
    keys: [shop/logo, shop/stock]
    state: absent

- name: Delete a folder
  uwsgi.consul.consul_kv:
    prefix: shop
    purge: true
    state: absent
"""

RETURN = r"""
written:
  description: The keys that were written, acquired or released, or would be in check mode. Also returned with a failure.
  returned: always
  type: list
  elements: str
  sample: [shop/colour]
deleted:
  description: The keys that were deleted, or would be in check mode. Also returned with a failure.
  returned: always
  type: list
  elements: str
  sample: [shop/old]
unknown:
  description: Keys of which it is not known whether they were changed, for Consul's answer got lost.
  returned: failure, when there are such
  type: list
  elements: str
  sample: [shop/colour]
indexes:
  description:
    - The C(modify_index) of each key that the task gives, for O(cas). Keys that do not exist have none, nor have those whose
      value was too large for a transaction when they were written.
  returned: always
  type: dict
  sample: {shop/colour: 117}
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _kv
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    # Keys are no secrets, whatever Ansible thinks of the word.
    terms = {
        "value": {"type": "raw"},
        "flags": {"type": "int"},
        "cas": {"type": "int"},
    }
    encodings = ["text", "base64"]
    run(
        _kv.manage,
        {
            "key": {"type": "str", "no_log": False},
            "keys": {"type": "list", "elements": "str", "no_log": False},
            "values": {"type": "dict"},
            "entries": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "key": {"type": "str", "required": True, "no_log": False},
                    "encoding": {"type": "str", "choices": encodings},
                    **terms,
                },
            },
            "tree": {"type": "dict"},
            "file": {"type": "path"},
            "prefix": {"type": "str"},
            "purge": {"type": "bool", "default": False},
            "everything": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent", "acquire", "release"], "default": "present"},
            "session": {"type": "str"},
            "overwrite": {"type": "bool", "default": True},
            "encoding": {"type": "str", "choices": encodings, "default": "text"},
            "atomic": {"type": "bool", "default": False},
            **terms,
        },
        mutually_exclusive=[_kv.FORMS],
        required_if=[("state", "acquire", ("session",)), ("state", "release", ("session",))],
    )


if __name__ == "__main__":
    main()

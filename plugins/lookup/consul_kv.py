# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_kv
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Reads values of Consul's key/value store
description:
  - Returns the value of each key, or all keys with their values under each prefix.
  - A key that does not exist is an error, for an empty value would end up in a configuration file unseen. Give O(default)
    or O(fail_on_missing=false) where it may be missing.
extends_documentation_fragment:
  - uwsgi.consul.connection
  - uwsgi.consul.connection.plugins
  - uwsgi.consul.token
  - uwsgi.consul.token.plugins
  - uwsgi.consul.tls
  - uwsgi.consul.tls.plugins
  - uwsgi.consul.cache
options:
  _terms:
    description:
      - Keys, without a slash in front. They are used as they stand, with spaces and all.
      - With O(recurse), prefixes. An empty one means the whole store.
    type: list
    elements: str
    required: true
  recurse:
    description:
      - Whether the terms are prefixes, and all keys that begin with one of them are returned, with their values.
      - Consul compares characters, so V(app) finds C(apple) as well. End a prefix with a slash to read a folder.
    type: bool
    default: false
  default:
    description: Returned in place of the value of a key that does not exist. It has no effect with O(recurse).
    type: raw
  fail_on_missing:
    description:
      - Whether a key that does not exist, or a prefix without a key, is an error.
      - When V(false), it is left out of the result.
    type: bool
    default: true
  encoding:
    description:
      - How values are returned. V(text) decodes them as UTF-8, and it is an error when one is not.
      - V(base64) returns the bytes in base64, for the P(ansible.builtin.b64decode#filter) filter or for modules that take it.
    type: str
    choices: [text, base64]
    default: text
notes:
  - C(lookup) gives the value itself for one key, and joins several by commas. Use C(query) for a list of values.
    With O(recurse) both return a list.
seealso:
  - name: KV endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/kv#read-key
"""

EXAMPLES = r"""
- name: Print a value
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_kv', 'app/database url') }}"

- name: Print a value, or what stands for it while the key does not exist
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_kv', 'app/colour', default='blue') }}"

- name: Print all settings of an app as a dictionary by key
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_kv', 'app/', recurse=true) | items2dict }}"

- name: Decode a value that is JSON, read from another datacenter
  ansible.builtin.debug:
    msg: "{{ (lookup('uwsgi.consul.consul_kv', 'app/limits', datacenter='dc2') | from_json).requests }}"
"""

RETURN = r"""
_raw:
  description:
    - The value of each key, in the order of the terms.
    - With O(recurse), a dictionary with C(key), C(value) and C(flags) for each key, sorted by key.
  type: list
  elements: raw
  sample: [blue]
"""

import base64
from typing import Any

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError, NotFoundError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup, as_list


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        if self.get_option("recurse"):
            return as_list([entry for prefix in terms for entry in self._tree(api, prefix)])
        return [value for key in terms for value in self._value(api, key)]

    def _value(self, api: Api, key: str) -> list[Any]:
        entry = KV(api).get(key)
        if entry:
            return [self._decode(entry)]
        if self.get_option("default") is not None:
            return [self.get_option("default")]
        return self._missing(f"key {key}")

    def _tree(self, api: Api, prefix: str) -> list[Any]:
        entries = KV(api).tree(prefix)
        if not entries:
            return self._missing(f"prefix {prefix}")
        return [{"key": entry["key"], "value": self._decode(entry), "flags": entry["flags"]} for entry in entries]

    def _missing(self, what: str) -> list[Any]:
        if self.get_option("fail_on_missing"):
            raise NotFoundError(
                f"{what} does not exist in Consul's key/value store",
                advice="Give default or fail_on_missing=false if it may be missing; a token without key:read sees no key either",
            )
        return []

    def _decode(self, entry: dict[str, Any]) -> str:
        if self.get_option("encoding") == "base64":
            return base64.b64encode(entry["value"]).decode()
        try:
            return str(entry["value"], "utf-8")
        except UnicodeDecodeError:
            raise InvalidValueError(f"the value of {entry['key']} is not UTF-8 text", advice="Read it with encoding=base64") from None

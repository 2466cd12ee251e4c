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
  - Returns the value of each key, all keys with their values under each prefix, their names alone, or folders as dictionaries.
  - Up to 64 keys are read by one request, and each prefix by one.
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
      - With O(recurse) and O(keys_only), prefixes. An empty one means the whole store.
      - With O(tree), folders, with or without a slash at their end.
    type: list
    elements: str
    required: true
  recurse:
    description:
      - Whether the terms are prefixes, and all keys that begin with one of them are returned, with their values.
      - Consul compares characters, so V(app) finds C(apple) as well. End a prefix with a slash to read a folder.
    type: bool
    default: false
  keys_only:
    description: Whether the terms are prefixes, and the names of the keys that begin with one of them are returned, without reading values.
    type: bool
    default: false
  separator:
    description:
      - With O(keys_only), names are cut after its first occurrence behind the prefix, and each is listed once. With V(/) these are
        the keys of a folder, and its folders with a slash at their end.
    type: str
  tree:
    description:
      - Whether the terms are folders, and each is returned as a nested dictionary.
      - It is an error when a name is a key and a folder at the same time. O(recurse) reads such.
    type: bool
    default: false
  default:
    description:
      - Returned in place of the value of a key that does not exist, or of a folder with O(tree) in which nothing is.
        It is returned as it stands, whatever O(decode) says.
      - It has no effect with O(recurse) and O(keys_only).
    type: raw
  fail_on_missing:
    description:
      - Whether a key that does not exist, or a prefix or folder without a key, is an error.
      - When V(false), it is left out of the result. With O(tree) it is an empty dictionary.
    type: bool
    default: true
  decode:
    description:
      - Whether values are decoded, and as what. It is an error when one can't be.
      - With V(yaml), C(yes) is a boolean and C(010) a number, as in Ansible's files.
    type: str
    choices: [none, json, yaml]
    default: none
  encoding:
    description:
      - How values are returned. V(text) decodes them as UTF-8, and it is an error when one is not.
      - V(base64) returns the bytes in base64, for the P(ansible.builtin.b64decode#filter) filter or for modules that take it.
    type: str
    choices: [text, base64]
    default: text
notes:
  - C(lookup) gives the value itself for one key, and joins several by commas. Use C(query) for a list of values or of names.
    With O(recurse) both return a list.
  - A key that the token may not read is an error. Under a prefix Consul leaves out such keys. Consul 1.11 and later say so,
    which becomes a warning.
seealso:
  - module: uwsgi.consul.consul_kv
  - module: uwsgi.consul.consul_kv_info
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

- name: Print a setting from a folder that was read as a dictionary
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_kv', 'app', tree=true).colour }}"

- name: Print what is in a folder
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_kv', 'app/', keys_only=true, separator='/') }}"

- name: Decode a value that is JSON, read from another datacenter
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_kv', 'app/limits', decode='json', datacenter='dc2').requests }}"
"""

RETURN = r"""
_raw:
  description:
    - The value of each key, in the order of the terms.
    - With O(recurse), a dictionary with C(key), C(value) and C(flags) for each key, sorted by key.
    - With O(keys_only), the names of the keys, sorted. With O(tree), a dictionary for each term.
  type: list
  elements: raw
  sample: [blue]
"""

import json
from typing import Any

import yaml
from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils import _kv_values
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError, NotFoundError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup, as_list

display = Display()


class _TellingKV(KV):
    """Tells when keys were left out, for a default in their place would end up in a configuration file unseen."""

    def _read(self, path: str, *terms: Any, **more: Any) -> Answer:
        answer = super()._read(path, *terms, **more)
        if answer.filtered_by_acls:
            display.warning(f"Consul left out keys that the token has no permission to see ({answer.asked})")
        return answer


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        kv = _TellingKV(api)
        shape = self._shape()
        if shape == "recurse":
            return as_list([entry for prefix in terms for entry in self._entries(kv, prefix)])
        if shape == "keys_only":
            return [name for prefix in terms for name in self._names(kv, prefix)]
        if shape == "tree":
            return [self._tree(kv, folder) for folder in terms]
        found = kv.get_many(terms)
        return [value for key in terms for value in self._value(key, found[key])]

    def _shape(self) -> str:
        """Which of the options that say what the terms are is set; they exclude each other."""
        shapes = [option for option in ("recurse", "keys_only", "tree") if self.get_option(option)]
        if len(shapes) > 1:
            raise InvalidValueError(f"{shapes[0]} and {shapes[1]}: give one of them, not both")
        if self.get_option("separator") is not None and shapes != ["keys_only"]:
            raise InvalidValueError("separator: is of use with keys_only=true only")
        if self.get_option("decode") != "none" and self.get_option("encoding") != "text":
            raise InvalidValueError("decode: is of use with encoding=text only")
        return shapes[0] if shapes else ""

    def _value(self, key: str, entry: dict[str, Any] | None) -> list[Any]:
        if entry:
            return [self._decoded(entry)]
        default = self.get_option("default")
        return self._missing(f"key {key}") if default is None else [default]

    def _entries(self, kv: KV, prefix: str) -> list[Any]:
        found = kv.tree(prefix) or self._missing(f"prefix {prefix}")
        return [{"key": entry["key"], "value": self._decoded(entry), "flags": entry["flags"]} for entry in found]

    def _names(self, kv: KV, prefix: str) -> list[Any]:
        return kv.keys(prefix, self.get_option("separator")) or self._missing(f"prefix {prefix}")

    def _tree(self, kv: KV, folder: str) -> Any:
        found = _kv_values.tree(kv, folder, "folder", self._decoded)
        if not found:
            default = self.get_option("default")
            if default is not None:
                return default
            self._missing(f"folder {folder}")
        return found

    def _missing(self, what: str) -> list[Any]:
        if self.get_option("fail_on_missing"):
            raise NotFoundError(
                f"{what} does not exist in Consul's key/value store",
                advice="Give default or fail_on_missing=false if it may be missing; a token without key:read sees no key either",
            )
        return []

    def _decoded(self, entry: dict[str, Any]) -> Any:
        value = _kv_values.text(entry, self.get_option("encoding"))
        decode = self.get_option("decode")
        if decode == "none":
            return value
        try:
            return json.loads(value) if decode == "json" else yaml.safe_load(value)
        except (ValueError, RecursionError, yaml.YAMLError):
            # Not a word of why, for that shows the value, which may be a secret.
            raise InvalidValueError(f"the value of {entry['key']} is no {decode.upper()}") from None

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: uwsgi_config
short_description: Options of uWSGI as a configuration file
version_added: 0.1.0
author: The uwsgi.consul authors (@uwsgi)
description:
  - Writes options of uWSGI as a file that uWSGI reads back exactly as they were given.
  - What no uWSGI, or not every one, would read so in that format is an error that names the option and says what to do.
  - Plugins are loaded first, since uWSGI knows their options only then.
positional: format
options:
  _input:
    description:
      - The options. A list as value repeats the option, V(true) and V(false) are written as such.
      - A list of such mappings keeps the order of options that are repeated between others.
    type: raw
    required: true
  format:
    description:
      - The file's format.
      - YAML takes plain values only, since uWSGI has two parsers for it, of which one knows no quotes.
    type: str
    choices: [ini, yml, xml, json]
    default: ini
  literal:
    description:
      - Whether values are taken literally.
      - When V(false), C(%n), C($(HOME\)) and C(@(...\)) mean to uWSGI what its documentation says, and C(%%) is a percent sign.
      - When V(true), a percent sign is one, and what uWSGI would replace by something else is refused. Set it for values from others, since
        C(@(exec://...\)) runs a command.
    type: bool
    default: false
seealso:
  - plugin: uwsgi.consul.vassal_files
    plugin_type: filter
    description: The files of whole vassals, with their registration in Consul.
  - name: Configuring uWSGI
    description: The formats.
    link: https://uwsgi-docs.readthedocs.io/en/latest/Configuration.html
"""

EXAMPLES = r"""
- name: Write an app's configuration
  ansible.builtin.copy:
    dest: shop.ini
    mode: "0644"
    content: "{{ options | uwsgi.consul.uwsgi_config }}"
  vars:
    options:
      need-plugin: [python3, consul]
      http-socket: ":8080"
      master: true
      processes: 4
      env: [LANG=C.UTF-8, GREETING=hello]

- name: Show the same as JSON, with values that come from somebody else
  ansible.builtin.debug:
    msg: "{{ {'env': 'DISCOUNT=10%', 'processes': 4} | uwsgi.consul.uwsgi_config('json', literal=true) }}"
"""

RETURN = r"""
_value:
  description: The content of the file.
  type: str
  sample: "[uwsgi]\nhttp-socket = :8080\nmaster = true\n"
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.plugin_utils._vassals import VassalError, config


def uwsgi_config(options: Any, format: str = "ini", literal: bool = False) -> str:  # noqa: A002 - as lookups call it
    if not isinstance(literal, bool):
        raise AnsibleFilterError(f"literal is {literal!r}: give true or false")
    try:
        return config(options, format, literal)
    except VassalError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"uwsgi_config": uwsgi_config}

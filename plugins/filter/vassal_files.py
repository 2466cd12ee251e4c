# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: vassal_files
short_description: The files of a host's vassals
version_added: 0.1.0
author: the uwsgi.consul authors
description:
  - Checks a list of vassals as the role C(vassal) takes it, and renders those that belong on a host.
  - An error names the variable, its value and what would be right.
options:
  _input:
    description: The vassals; see the role's documentation.
    type: list
    elements: dict
    required: true
  groups:
    description: The host's C(group_names).
    type: list
    elements: str
    required: true
  defaults:
    description: Options that a vassal has unless it names them itself.
    type: dict
    default: {}
  agents:
    description: The Consul agents of a vassal that registers a service and names none.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what would be written on this host
  ansible.builtin.debug:
    msg: "{{ vassals | uwsgi.consul.vassal_files(group_names) }}"
  vars:
    vassals:
      - name: hello
        options:
          http-socket: ":8080"
          wsgi-file: /srv/hello/app.py
        consul:
          service_name: hello
          service_port: 8080
"""

RETURN = r"""
_value:
  description: The files.
  type: list
  elements: dict
  sample:
    - name: hello
      file: hello.ini
      state: present
      secret: false
      content: "[uwsgi]\nneed-plugin = consul\nconsul-service-name = hello\n"
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.plugin_utils._vassals import VassalError
from ansible_collections.uwsgi.consul.plugins.plugin_utils._vassals import vassal_files as files


def vassal_files(
    vassals: Any, groups: Iterable[str], defaults: Mapping[str, Any] | None = None, agents: Sequence[str] = ()
) -> list[dict[str, Any]]:
    try:
        return files(vassals, groups, defaults or {}, agents)
    except VassalError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"vassal_files": vassal_files}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_session
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Finds sessions, which hold Consul's locks
description:
  - Returns the sessions of a datacenter, all of them or those with an ID, a name or a node, the oldest first.
  - A session that does not exist is no error unless O(fail_on_missing) is set.
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
      - IDs or names of sessions. Several sessions may have one name.
      - All sessions by default.
    type: list
    elements: str
  node:
    description: Only sessions of this node.
    type: str
  fail_on_missing:
    description: Whether it is an error when there is no session for a term, or none at all without terms.
    type: bool
    default: false
notes:
  - C(lookup) would give the dictionary itself in place of a list of one.
    This plugin returns a list to C(lookup) and C(query) alike, however many sessions there are.
seealso:
  - module: uwsgi.consul.consul_session_info
  - name: Session endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/session
"""

EXAMPLES = r"""
- name: Print who holds sessions, and on which node
  ansible.builtin.debug:
    msg: "{{ item.name }} of {{ item.node }}"
  loop: "{{ query('uwsgi.consul.consul_session') }}"

- name: Print whether a deployment goes on anywhere
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_session', 'deploy') | length > 0 }}"

- name: Print the sessions of one node
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_session', node='node1') | map(attribute='id') }}"
"""

RETURN = r"""
_raw:
  description:
    - The sessions, each once, in the order of the terms and the oldest first.
    - Durations are in seconds. C(ttl) is none for a session that does not end by time.
  type: list
  elements: dict
  sample:
    - id: 8f2dbb6c-6a3f-4c2e-a4f4-0a2b1a9c3f3d
      name: deploy
      node: web1
      ttl: 60.0
      lock_delay: 0.0
      behavior: release
      node_checks: [serfHealth]
      service_checks: []
      create_index: 117
      modify_index: 117
"""

from typing import Any

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import arguments
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NotFoundError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.sessions import Session, Sessions, oldest_first
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup, as_list


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        names = [arguments.name(term, "_terms") for term in terms]
        there = self._all(Sessions(api))
        if not names:
            return as_list(self._found(there))
        found = [one for name in names for one in self._found([one for one in there if name in (one["id"], one["name"])], name)]
        return as_list(list({one["id"]: one for one in found}.values()))

    def _all(self, sessions: Sessions) -> list[Session]:
        """All that may be meant, in one request however many terms there are."""
        node = self.get_option("node")
        return oldest_first(sessions.list() if node is None else sessions.node(node))

    def _found(self, sessions: list[Session], name: str = "at all") -> list[Session]:
        if not sessions and self.get_option("fail_on_missing"):
            raise NotFoundError(f"there is no session {name}", advice="Has it ended, and may the token see it (session:read)?")
        return sessions

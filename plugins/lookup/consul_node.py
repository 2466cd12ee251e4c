# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_node
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Finds the nodes of a datacenter
description:
  - Returns nodes with their addresses, metadata, services and checks, sorted by name, in one request however many there are.
  - Nodes are those that Consul's catalog has, with and without an agent. To make hosts of them, use the inventory plugin.
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
    description: Names or shell patterns, such as V(web-*). Only nodes whose name matches one of them. All nodes by default.
    type: list
    elements: str
  status:
    description:
      - The worst status that a node may have. Its own checks count, and not those of its services.
      - With V(any), nodes that are critical or in maintenance are returned, too.
    type: str
    choices: [passing, warning, any]
    default: any
  filter:
    description:
      - Only nodes that match this expression of Consul's filter language, about C(Node), C(Address), C(Meta),
        C(TaggedAddresses), C(Services) and C(Checks), such as V(Meta.rack == "r1").
    type: str
  fail_on_empty:
    description: Whether it is an error when no node matches a term, or when there is no node at all.
    type: bool
    default: false
notes:
  - This plugin returns a list to C(lookup) and C(query) alike, however many nodes there are.
seealso:
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Catalog endpoint of Consul's API
    description: What the fields mean.
    link: https://developer.hashicorp.com/consul/api-docs/catalog
"""

EXAMPLES = r"""
- name: Print the address of each node
  ansible.builtin.debug:
    msg: "{{ item.name }} {{ item.address }}"
  loop: "{{ query('uwsgi.consul.consul_node') }}"

- name: Print the names of the healthy nodes of another datacenter
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_node', datacenter='dc2', status='passing') | map(attribute='name') }}"

- name: Print the services of one node, which must be there
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_node', 'web1', fail_on_empty=true)[0].services | map(attribute='name') }}"

- name: Print the nodes of a rack
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_node', 'web*', filter='Meta.rack == \"r1\"') | map(attribute='name') }}"
"""

RETURN = r"""
_raw:
  description: The nodes.
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
      sample: web1
    id:
      description: ID of the node, empty for one that was registered without.
      type: str
      sample: 40e4a748-2192-161a-0510-9bf59fe950b5
    datacenter:
      description: Datacenter of the node.
      type: str
      sample: dc1
    address:
      description: Address of the node.
      type: str
      sample: 192.0.2.21
    tagged_addresses:
      description: Further addresses by name.
      type: dict
      sample: {lan: 192.0.2.21, wan: 198.51.100.21}
    meta:
      description: Metadata of the node.
      type: dict
      sample: {rack: r1}
    status:
      description: V(passing), V(warning), V(critical) or V(maintenance), the worst of the node's own checks.
      type: str
      sample: passing
    services:
      description:
        - The services on the node, sorted by ID, each with RV(ignore:name), RV(ignore:id), RV(ignore:address), RV(ignore:port),
          RV(ignore:tags), RV(ignore:meta) and RV(ignore:status), the worst of the service's own checks.
      type: list
      elements: dict
      sample: [{name: web, id: web-8080, address: 192.0.2.21, port: 8080, tags: [v2], meta: {}, status: passing}]
    checks:
      description:
        - The checks of the node and its services, sorted by ID, each with RV(ignore:id), RV(ignore:name), RV(ignore:status) and
          RV(ignore:service_id), which is empty for a check of the node itself.
      type: list
      elements: dict
      sample: [{id: serfHealth, name: Serf Health Status, status: passing, service_id: ""}]
"""

from typing import Any

from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NotFoundError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.overview import Overview
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.services import STATUSES
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup, as_list, named

display = Display()


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        nodes = Overview(api).nodes(filter=self.get_option("filter"), warn=display.warning)
        nodes = [node for node in nodes if node["status"] in STATUSES[self.get_option("status")]]
        if self.get_option("fail_on_empty"):
            for pattern in terms or ["*"]:
                if not named(nodes, [pattern], "node"):
                    raise NotFoundError(f"Consul's catalog has no such node: {pattern}", advice="May the token see it (node:read)?")
        return as_list(named(nodes, terms, "node"))

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_query
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Finds instances by prepared queries
description:
  - Executes prepared queries, and returns the instances that they find, from another datacenter where the query says so.
  - Critical instances are never among them. Those with a warning are, unless the query says otherwise.
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
    description: Names or IDs of the queries. A name may be one that a template answers for.
    type: list
    elements: str
    required: true
  near:
    description:
      - Sorts the instances by the round trip time from this node, in place of what the query says. V(_agent) is the node of the
        agent that is asked.
      - It also leaves the instances in that order, whatever O(sort) is.
    type: str
  sort:
    description:
      - Whether the instances of a query are sorted by datacenter, node, port and ID, so that a rendered file changes only with them.
      - With V(false), the order is that of the query, which may say from where the nearest come first. Otherwise Consul shuffles them.
    type: bool
    default: true
  limit:
    description: Returns so many instances of each query at most.
    type: int
  format:
    description:
      - V(dict) returns each instance as a dictionary.
      - V(address:port) and V(url) return strings, such as V(10.0.0.1:2001) and V(http://10.0.0.1:2001); a URL has the scheme
        of O(scheme). An instance without port is then its address alone.
    type: str
    choices: [dict, 'address:port', url]
    default: dict
  scheme:
    description: Scheme of the URLs of O(format=url).
    type: str
    default: http
  fail_on_empty:
    description: Whether it is an error when a query finds no instance. That there is no such query always is one.
    type: bool
    default: false
notes:
  - With O(format=dict), C(lookup) would give the dictionary itself in place of a list of one.
    This plugin returns a list to C(lookup) and C(query) alike, however many instances there are.
  - With the other formats C(lookup) joins the strings by commas, and C(query) returns them as a list.
  - With O(datacenter), a query of that datacenter is executed. Another one does not know it.
seealso:
  - module: uwsgi.consul.consul_query
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Prepared query endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/query#execute-prepared-query
"""

EXAMPLES = r"""
- name: Print each server of the shop, wherever there are any
  ansible.builtin.debug:
    msg: "{{ item.service }} in {{ item.datacenter }} at {{ item.address }}:{{ item.port }}"
  loop: "{{ query('uwsgi.consul.consul_query', 'example-shop') }}"

- name: The three nearest as URLs
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_query', 'example-shop', near='_agent', limit=3, format='url') }}"

- name: Stop when there is none in any datacenter
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_query', 'example-shop', format='address:port', fail_on_empty=true) }}"
"""

RETURN = r"""
_raw:
  description:
    - The instances, query by query, each as the P(uwsgi.consul.consul_service#lookup) lookup returns it.
      With another O(format) than V(dict), a string for each.
  type: list
  elements: dict
  sample:
    - service: shop
      id: shop-1
      address: 10.89.0.11
      port: 2001
      tags: [v2]
      meta: {tier: gold}
      tagged_addresses: {lan_ipv4: {address: 10.89.0.11, port: 2001}}
      weights: {passing: 1, warning: 1}
      status: passing
      node: web1
      node_address: 10.89.0.11
      node_meta: {consul-version: 1.22.7}
      datacenter: dc2
"""

from typing import Any

from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoInstanceError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.queries import Queries
from ansible_collections.uwsgi.consul.plugins.plugin_utils._instances import formatted
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup

display = Display()


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        queries = Queries(api)
        found = [instance for query in terms for instance in self._instances(queries, query)]
        return formatted(found, self.get_option)

    def _instances(self, queries: Queries, query: str) -> list[dict[str, Any]]:
        near = self.get_option("near")
        found = queries.execute(query, near=near, limit=self.get_option("limit"))
        if found["filtered_by_acls"]:
            display.warning(f"Consul left out instances of query {query} that the token has no permission to see")
        instances: list[dict[str, Any]] = found["instances"]
        if not instances and self.get_option("fail_on_empty"):
            others = f", nor have {found['failovers']} other datacenters" if found["failovers"] else ""
            raise NoInstanceError(
                f"query {query} finds no instance of service {found['service']}{others}",
                advice="Is it registered, is its check passing, and may the query's token see it (service:read, node:read)?",
            )
        if near is not None or not self.get_option("sort"):
            return instances
        return sorted(instances, key=lambda one: (one["datacenter"] or "", one["node"], one["port"], one["id"]))

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_service
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Finds the instances of services
description:
  - Returns the instances of services that Consul knows, those that are healthy unless told otherwise.
  - A service that Consul does not know has no instances. It is no error unless O(fail_on_empty), O(min_instances) or O(wait)
    makes it one.
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
    description: Names of the services.
    type: list
    elements: str
    required: true
  tags:
    description: Only instances that have all of these tags.
    type: list
    elements: str
    default: []
  status:
    description:
      - The worst status that an instance may have. Its own checks and those of its node count.
      - With V(any), instances that are critical or in maintenance are returned, too.
    type: str
    choices: [passing, warning, any]
    default: passing
  near:
    description:
      - Sorts the instances by the round trip time from this node. V(_agent) is the node of the agent that is asked.
      - Unless given, the order is by node, port and ID, so that a rendered file changes only with the instances.
    type: str
  filter:
    description: Only instances that match this expression of Consul's filter language.
    type: str
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
    description: Whether it is an error when a service has no such instance.
    type: bool
    default: false
  min_instances:
    description: It is an error when a service has fewer such instances.
    type: int
  wait:
    description:
      - For how long to wait until each service has O(min_instances) such instances, V(1) unless given.
      - Consul answers as soon as there are enough, and is asked nothing while nothing changes. That an agent is down or a
        datacenter without a leader is waited out, too.
      - Seconds, or a text such as V(1m30s). An answer of O(cache) is never used.
    type: raw
notes:
  - With O(format=dict), C(lookup) would give the dictionary itself in place of a list of one.
    This plugin returns a list to C(lookup) and C(query) alike, however many instances there are.
  - With the other formats C(lookup) joins the strings by commas, and C(query) returns them as a list.
seealso:
  - plugin: uwsgi.consul.consul_services
    plugin_type: lookup
  - name: Health endpoint of Consul's API
    description: Where the data comes from, and the fields that a filter may name.
    link: https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-service
"""

EXAMPLES = r"""
- name: Print each healthy server of the other datacenter
  ansible.builtin.debug:
    msg: "{{ item.service }} found on node {{ item.node }} ({{ item.address }}) using port {{ item.port }}"
  loop: "{{ query('uwsgi.consul.consul_service', 'consul-demo-server', datacenter='dc2') }}"

- name: Render the servers into a list for a proxy
  ansible.builtin.debug:
    msg: |
      {% for server in lookup('uwsgi.consul.consul_service', 'consul-demo-server', tags=['v2']) %}
      server {{ server.address }}:{{ server.port }} weight={{ server.weights.passing }};
      {% endfor %}

- name: Join the addresses of two services by commas
  ansible.builtin.debug:
    msg: "{{ lookup('uwsgi.consul.consul_service', 'redis', 'redis-cache', format='address:port') }}"

- name: Stop when there is no database
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_service', 'db', fail_on_empty=true) | first }}"

- name: Go on when two servers are healthy, for which they get a minute
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_service', 'web', wait=60, min_instances=2) | map(attribute='address') }}"

- name: Many services on many hosts, for which Consul is asked once
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_service', item, format='url') }}"
  loop: [redis, db, web]
  vars:
    uwsgi_consul_cache: true

- name: Only instances with a certain metadata entry, of any health, the nearest first
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_service', 'web', status='any', near='_agent', filter='Service.Meta.tier == \"gold\"') }}"
"""

RETURN = r"""
_raw:
  description: The instances, term by term. With another O(format) than V(dict), a string for each.
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      type: str
      sample: consul-demo-server
    id:
      description: ID of the instance, unique on its node.
      type: str
      sample: consul-demo-server-2001
    address:
      description: Address of the instance, or of its node where it was registered without one.
      type: str
      sample: 10.89.0.11
    port:
      description: Port of the instance, V(0) when it was registered without one.
      type: int
      sample: 2001
    tags:
      description: Tags of the instance.
      type: list
      elements: str
      sample: [v2]
    meta:
      description: Metadata of the instance.
      type: dict
      sample: {tier: gold}
    tagged_addresses:
      description: Further addresses by name, each with RV(ignore:address) and RV(ignore:port).
      type: dict
      sample: {lan_ipv4: {address: 10.89.0.11, port: 2001}}
    weights:
      description: Weights of the instance while it is passing, and while it is warning.
      type: dict
      sample: {passing: 1, warning: 1}
    status:
      description: V(passing), V(warning), V(critical) or V(maintenance), the worst of all checks of the instance and its node.
      type: str
      sample: passing
    node:
      description: Name of the node.
      type: str
      sample: web1
    node_address:
      description: Address of the node.
      type: str
      sample: 10.89.0.11
    node_meta:
      description: Metadata of the node.
      type: dict
      sample: {consul-version: 1.22.7}
    datacenter:
      description: Datacenter of the node.
      type: str
      sample: dc2
"""

import time
from typing import Any

from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import arguments, services
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NotFoundError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.waiting import Waiting
from ansible_collections.uwsgi.consul.plugins.plugin_utils._instances import formatted
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup

display = Display()


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        deadline = time.monotonic() + self._seconds()
        found = [instance for service in terms for instance in self._instances(api, service, max(0.0, deadline - time.monotonic()))]
        return formatted(found, self.get_option)

    def may_share(self) -> bool:
        return not self._seconds()

    def _seconds(self) -> float:
        """For how long it waits."""
        given = self.get_option("wait")
        return 0.0 if given is None else arguments.duration(given, "wait", 0, 86400)

    def _least(self) -> int:
        """How many instances a service must have."""
        given = self.get_option("min_instances")
        if given is None:
            return 1 if self.get_option("fail_on_empty") or self.get_option("wait") is not None else 0
        return arguments.integer(given, "min_instances")

    def _instances(self, api: Api, service: str, wait: float) -> list[dict[str, Any]]:
        least = self._least()
        # What waits also waits for an agent that is down at first.
        if not least or not self._seconds():
            found = self._found(api, service)
            if len(found) >= least:
                return found
        terms = {name: self.get_option(name) for name in ("tags", "status", "filter")}
        look = Waiting(api).service(service, least, **terms, wait=wait)
        if not look.fulfilled:
            waited = f", after {self._seconds():g} s" if self._seconds() else ""
            raise NotFoundError(f"{look.said}{waited}", advice="May the token see all of them (service:read, node:read)?")
        return self._found(api, service) if self.get_option("near") else list(look.found)

    def _found(self, api: Api, service: str) -> list[dict[str, Any]]:
        terms = {name: self.get_option(name) for name in ("tags", "status", "near", "filter")}
        return services.instances(api, service, **terms, warn=display.warning)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_services
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists the services of a datacenter
description:
  - Returns the names of the services that Consul's catalog has, healthy or not, sorted.
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
    description: Shell patterns, such as V(web-*). Only services whose name matches one of them. All services by default.
    type: list
    elements: str
  tags:
    description: Only services that have all of these tags, be it on several instances.
    type: list
    elements: str
    default: []
  filter:
    description:
      - Only services with an instance that matches this expression of Consul's filter language, such as
        V(ServiceMeta.tier == "gold").
      - Releases of Consul that can't filter services, such as 1.8, are an error.
    type: str
  with_tags:
    description: Whether to return each service as a dictionary with its tags, instead of its name.
    type: bool
    default: false
notes:
  - Without O(with_tags), C(lookup) joins the names by commas, and C(query) returns them as a list. With it both return a list.
  - Without services that match, the list is empty.
seealso:
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Catalog endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/catalog#list-services
"""

EXAMPLES = r"""
- name: Print each service of the agent's datacenter
  ansible.builtin.debug:
    msg: "{{ item }}"
  loop: "{{ query('uwsgi.consul.consul_services') }}"

- name: Print the services of another datacenter whose name begins with web-, with their tags
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.tags | join(' ') }}"
  loop: "{{ query('uwsgi.consul.consul_services', 'web-*', datacenter='dc2', with_tags=true) }}"

- name: Print the services of a team
  ansible.builtin.debug:
    msg: "{{ query('uwsgi.consul.consul_services', tags=['public'], filter='ServiceMeta.team == \"shop\"') }}"
"""

RETURN = r"""
_raw:
  description:
    - Names of the services.
    - With O(with_tags), dictionaries with C(name) and C(tags). The tags are those of all instances together, sorted.
  type: list
  elements: raw
  sample: [consul, consul-demo-server]
"""

from typing import Any

from ansible.utils.display import Display

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import arguments, services
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import ConsulLookup, as_list, named

display = Display()


class LookupModule(ConsulLookup):
    def results(self, api: Api, terms: list[Any]) -> list[Any]:
        found = services.services(api, filter=self.get_option("filter"), warn=display.warning)
        found = named(found, terms, "service")
        if tags := set(arguments.names(self.get_option("tags"), "tags")):
            found = [service for service in found if tags.issubset(service["tags"])]
        return as_list(found) if self.get_option("with_tags") else [service["name"] for service in found]

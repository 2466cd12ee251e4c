#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_service_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists the services of a datacenter, or the instances of one
description:
  - Without O(name), returns the names and tags of all services. With it, returns the instances of that service.
  - To find instances in a template, P(uwsgi.consul.consul_service#lookup) does the same on the controller.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: The service whose instances are returned. Without it, the list of services is.
    type: str
  tags:
    description: Only instances that have all of these tags.
    type: list
    elements: str
  status:
    description: The worst status that an instance may have. With V(any), those that are critical or in maintenance are returned, too.
    type: str
    choices: [passing, warning, any]
    default: any
  near:
    description: Sorts the instances by the round trip time from this node; V(_agent) is that of the agent that is asked.
    type: str
  filter:
    description:
      - Only what matches this expression of Consul's filter language, such as V(Service.Meta.team == "blue") for instances,
        and V(ServiceMeta.team == "blue") for the list of services.
      - Old releases of Consul, 1.8 among them, can't filter the list of services. The task then fails.
    type: str
seealso:
  - module: uwsgi.consul.consul_service
  - module: uwsgi.consul.consul_node_info
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Health endpoint of Consul's API
    description: Where the data comes from, and the fields that a filter may name.
    link: https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-service
"""

EXAMPLES = r"""
- name: All services
  uwsgi.consul.consul_service_info:
  register: all

- name: Instances of one that are critical
  uwsgi.consul.consul_service_info:
    name: web
    filter: 'Checks.Status contains "critical"'
  register: web

- name: The services of a team
  uwsgi.consul.consul_service_info:
    filter: 'ServiceMeta.team == "blue"'
"""

RETURN = r"""
services:
  description: The services, without O(name).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web
      tags: [v1, v2]
instances:
  description: The instances, with O(name). There are none of a service that Consul does not know.
  returned: success
  type: list
  elements: dict
  sample:
    - node: web1
      node_address: 192.0.2.1
      node_meta: {}
      datacenter: dc1
      service: web
      id: web-1
      address: 192.0.2.1
      port: 8080
      tags: [v2]
      meta: {}
      tagged_addresses: {}
      weights: {passing: 1, warning: 1}
      status: passing
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _catalog
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _catalog.find_services,
        {
            "name": {"type": "str"},
            "tags": {"type": "list", "elements": "str"},
            "status": {"type": "str", "choices": ["passing", "warning", "any"], "default": "any"},
            "near": {"type": "str"},
            "filter": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()

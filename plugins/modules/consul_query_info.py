#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_query_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists prepared queries, explains and executes them
description:
  - Returns the definitions of prepared queries, by their names, and if asked, what one finds.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  name:
    description: Only the query of this name. For O(explain) and O(execute), also a name that a template answers for.
    type: str
  id:
    description: Only the query of this ID.
    type: str
  explain:
    description: Whether the query that Consul would execute for O(name) is returned, a template filled in.
    type: bool
    default: false
  execute:
    description: Whether the query is executed.
    type: bool
    default: false
  near:
    description: Sorts what is found by the round trip time from this node; V(_agent) is that of the agent that is asked.
    type: str
  limit:
    description: Finds so many instances at most.
    type: int
seealso:
  - module: uwsgi.consul.consul_query
  - plugin: uwsgi.consul.consul_query
    plugin_type: lookup
  - name: Prepared query endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/query
"""

EXAMPLES = r"""
- name: All queries of the datacenter
  uwsgi.consul.consul_query_info:
  register: all

- name: What a query finds now, and where
  uwsgi.consul.consul_query_info:
    name: example-shop
    execute: true
    limit: 3
  register: shop

- name: Which query answers for a name
  uwsgi.consul.consul_query_info:
    name: example-geo-shop
    explain: true
"""

RETURN = r"""
queries:
  description: The definitions. One that does not exist is no error, unless it is to be explained or executed.
  returned: success
  type: list
  elements: dict
  sample:
    - id: 5101162d-76ca-14c8-a863-f599235cecc1
      name: shop
      service: shop
      failover: {nearest_n: 2, datacenters: [], targets: []}
      tags: []
      only_passing: true
      near: null
      ignore_check_ids: []
      node_meta: {}
      service_meta: {}
      connect: false
      dns_ttl: 10.0
      template: null
      session: null
      has_token: false
      create_index: 107
      modify_index: 107
explained:
  description: The query that would be executed, as in RV(queries).
  returned: with O(explain=true)
  type: dict
found:
  description: What the query finds.
  returned: with O(execute=true)
  type: dict
  contains:
    service:
      description: Name of the service.
      type: str
      sample: shop
    instances:
      description: The instances, as the P(uwsgi.consul.consul_query#lookup) lookup returns them.
      type: list
      elements: dict
    datacenter:
      description: Where they are. When there are none, the last one that was asked.
      type: str
      sample: dc2
    failovers:
      description: How many other datacenters were asked.
      type: int
      sample: 1
    dns_ttl:
      description: Seconds that an answer over DNS may be kept.
      type: float
      sample: 10.0
    filtered_by_acls:
      description: Whether instances were left out that the token may not see.
      type: bool
      sample: false
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _queries
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _queries.find,
        {
            "name": {"type": "str"},
            "id": {"type": "str"},
            "explain": {"type": "bool", "default": False},
            "execute": {"type": "bool", "default": False},
            "near": {"type": "str"},
            "limit": {"type": "int"},
        },
        mutually_exclusive=[("name", "id")],
        required_if=[("explain", True, ("name",)), ("execute", True, ("name", "id"), True)],
    )


if __name__ == "__main__":
    main()

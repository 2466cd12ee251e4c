#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_query
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Makes and removes prepared queries
description:
  - A prepared query is a search for a service that Consul's servers keep by name, with failover to other datacenters.
    It is executed by the P(uwsgi.consul.consul_query#lookup) lookup, over DNS as C(NAME.query.consul), or by an app.
  - A query is found again by its name, and defined as a whole. What a task leaves out has its default again.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  <<: &query
    name:
      description:
        - Name of the query. That of a template is the beginning of the names that it answers for, and may be empty.
        - Required unless O(id) or O(queries) is given.
      type: str
    id:
      description: ID of a query that there is. With O(name), it gets that name.
      type: str
    service:
      description: Name of the service that is searched for. Required with O(state=present).
      type: str
    failover:
      description: Where else instances are searched for when there are none in the query's own datacenter.
      type: dict
      suboptions:
        nearest_n:
          description: In so many other datacenters, the nearest first by round trip time.
          type: int
        datacenters:
          description: In these, after the nearest ones.
          type: list
          elements: str
        targets:
          description:
            - In these datacenters and peers, in this order. Instead of O(failover.nearest_n) and O(failover.datacenters).
            - Needs Consul 1.14.
          type: list
          elements: dict
          suboptions:
            datacenter:
              description: Name of a datacenter.
              type: str
            peer:
              description: Name of a cluster peer.
              type: str
            partition:
              description: An admin partition, of Consul's enterprise edition.
              type: str
            namespace:
              description: A namespace, of Consul's enterprise edition.
              type: str
    tags:
      description: An instance must have all of these, and none that is written with C(!) before it.
      type: list
      elements: str
    only_passing:
      description: Whether instances with a warning are left out. By default they are found.
      type: bool
    near:
      description:
        - Sorts the instances by the round trip time from this node, for callers that do not say from where. V(_agent) is
          the node of the agent that is asked.
        - Consul shuffles them by default.
      type: str
    ignore_check_ids:
      description: IDs of checks that do not count.
      type: list
      elements: str
    node_meta:
      description: Metadata that the node of an instance must have.
      type: dict
    service_meta:
      description: Metadata that an instance must have.
      type: dict
    connect:
      description: Whether what speaks for the service in the mesh is found in its place, such as its sidecar proxies.
      type: bool
    dns_ttl:
      description: For how long answers over DNS may be kept, such as V(10s).
      type: str
    template:
      description: Makes the query a template, which answers for every name that begins with O(name), unless there is a longer fit.
      type: dict
      suboptions:
        type:
          description: Type of the template. There is only one.
          type: str
          choices: [name_prefix_match]
        regexp:
          description: A regular expression for the name that is executed. C(${match(1\)}) in other options is what its first group found.
          type: str
        remove_empty_tags:
          description: Whether tags that are empty when filled in do not count.
          type: bool
    session:
      description: ID of a session. The query is deleted when it ends.
      type: str
    query_token:
      description:
        - The query is executed with this token, whoever executes it.
        - Whether a query has it can be told only with a token that may see it (C(acl:write)). Otherwise
          a query that is there is taken to have it, with a warning.
      type: str
  queries:
    description: Several queries. The options of each are those that stand at the top of a task for one.
    type: list
    elements: dict
    suboptions:
      <<: *query
  state:
    description: V(present) makes or changes the queries, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A query belongs to the datacenter that it was made in. Another one does not know it.
  - A query that the token may not see is taken for absent with O(state=absent). Consul 1.11 and later say when there is such a query,
    which becomes a warning.
seealso:
  - module: uwsgi.consul.consul_query_info
  - plugin: uwsgi.consul.consul_query
    plugin_type: lookup
  - name: Prepared query endpoint of Consul's API
    description: What a query is defined by.
    link: https://developer.hashicorp.com/consul/api-docs/query
"""

EXAMPLES = r"""
- name: The shop, from the two nearest datacenters when this one has none
  uwsgi.consul.consul_query:
    name: shop
    service: shop
    only_passing: true
    failover:
      nearest_n: 2
    dns_ttl: 10s

- name: One for each version
  uwsgi.consul.consul_query:
    queries:
      - {name: shop-old, service: shop, tags: [v1]}
      - {name: shop-new, service: shop, tags: [v2, "!broken"]}

- name: For every name that begins with geo-, the service of the rest, where it is nearest
  uwsgi.consul.consul_query:
    name: geo-
    service: ${match(1)}
    template:
      regexp: ^geo-(.*)$
    near: _agent
    failover:
      nearest_n: 3

- name: Remove them all
  uwsgi.consul.consul_query:
    queries: [{name: shop}, {name: shop-old}, {name: shop-new}, {name: geo-}]
    state: absent
"""

RETURN = r"""
queries:
  description: The queries of the task as they are, with O(state=present). In check mode, those that there are already.
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
written:
  description: Names of the queries that were written or removed before the task failed.
  returned: failure
  type: list
  elements: str
  sample: [shop]
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _queries
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _queries.manage,
        {
            **_queries.OPTIONS,
            "queries": {
                "type": "list",
                "elements": "dict",
                "options": _queries.OPTIONS,
                "required_one_of": [("name", "id")],
            },
            "state": STATE,
        },
        mutually_exclusive=[(name, "queries") for name in _queries.OPTIONS],
        required_one_of=[("name", "id", "queries")],
        required_if=[("state", "present", ("service", "queries"), True)],
    )


if __name__ == "__main__":
    main()

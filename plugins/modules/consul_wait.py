#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_wait
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Waits for a leader, instances of a service, a key or a node
description:
  - Waits until something is so in Consul, and fails when it has not come true in time.
  - It has one request open at the agent, which answers as soon as something changes. Nothing is polled.
  - Consul may be away, without a leader or restarted meanwhile. When that lasts until the time is up, it is the error.
  - Nothing is changed, so a task of it is never C(changed).
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
attributes:
  check_mode:
    description:
      - Looks once and does not wait, for what would make it come true was not done in check mode either.
      - It does not fail then. RV(fulfilled) says whether it is so at that moment.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to report.
    support: N/A
options:
  leader:
    description: Waits until the datacenter has a leader that most of its servers follow.
    type: bool
  service:
    description: Name of a service, to wait for its instances.
    type: str
  key:
    description: A key, to wait until it is there, or has the O(value).
    type: str
  node:
    description: Name of a node, to wait until it is known and none of its own checks is worse than O(status).
    type: str
  state:
    description:
      - V(present) waits until it is so.
      - V(absent) waits until it is not so any more. The key is deleted or has another value, there are fewer than O(count) such
        instances, the node is not known or not well.
    type: str
    choices: [present, absent]
    default: present
  count:
    description: How many instances of the O(service) are needed.
    type: int
    default: 1
  tags:
    description: Only instances that have all of these tags.
    type: list
    elements: str
    default: []
  filter:
    description: Only instances that match this expression of Consul's filter language.
    type: str
  status:
    description:
      - The worst status that an instance or the node may have. The checks of an instance's node count for it, too.
      - With V(any), it need only be known to Consul. That way V(state=absent) waits until a service is deregistered.
    type: str
    choices: [passing, warning, any]
    default: passing
  value:
    description: The value that the O(key) must have. It is shown nowhere.
    type: str
  wait_timeout:
    description:
      - For how long to wait, in seconds or as a duration such as V(10m). V(0) looks once.
      - O(timeout) is another matter. It bounds a single request, when the agent does not answer.
    type: str
    default: 5m
notes:
  - What the token may not see is not there for Consul. O(state=absent) fails where Consul says that it left something out, which it
    does not say without a token.
seealso:
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Blocking queries
    description: How Consul tells that something has changed.
    link: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

EXAMPLES = r"""
- name: Wait until the datacenter has a leader
  uwsgi.consul.consul_wait:
    leader: true
    wait_timeout: 2m

- name: Wait until two instances of the new version are passing
  uwsgi.consul.consul_wait:
    service: checkout
    tags: [v2]
    count: 2
    wait_timeout: 10m

- name: Wait until no instance of the old version is registered
  uwsgi.consul.consul_wait:
    service: checkout
    tags: [v1]
    status: any
    state: absent

- name: Wait until a migration says that it is done
  uwsgi.consul.consul_wait:
    key: checkout/schema
    value: "42"

- name: Wait until a node is back
  uwsgi.consul.consul_wait:
    node: node1
"""

RETURN = r"""
fulfilled:
  description: Whether it is so.
  returned: always
  type: bool
  sample: true
found:
  description:
    - What was found. The address of the leader, the instances as the P(uwsgi.consul.consul_service#lookup) lookup has them, the key's
      indexes, flags and session, or the node's checks.
  returned: success
  type: raw
  sample: 10.89.0.11:8300
progress:
  description: What was seen while it waited, with the seconds after which it was. With C(-v), Ansible shows it.
  returned: always
  type: list
  elements: dict
  sample:
    - after: 0.0
      said: "of service my-app, 1 of 2 instances are passing, and 2 should be (my-app-2 of web2: critical)"
    - after: 7.3
      said: of service my-app, 2 of 2 instances are passing, and 2 should be
elapsed:
  description: For how many seconds it waited.
  returned: always
  type: float
  sample: 7.3
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _waiting
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    subjects = ("leader", "service", "key", "node")
    run(
        _waiting.wait,
        {
            "leader": {"type": "bool"},
            "service": {"type": "str"},
            # Not a secret, whatever its name.
            "key": {"type": "str", "no_log": False},
            "node": {"type": "str"},
            "state": STATE,
            "count": {"type": "int", "default": 1},
            "tags": {"type": "list", "elements": "str", "default": []},
            "filter": {"type": "str"},
            "status": {"type": "str", "choices": ["passing", "warning", "any"], "default": "passing"},
            "value": {"type": "str"},
            "wait_timeout": {"type": "str", "default": "5m"},
        },
        mutually_exclusive=[subjects],
        required_one_of=[subjects],
        required_by={"value": ("key",), "filter": ("service",)},
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_maintenance
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Takes nodes and services out of discovery for maintenance
description:
  - Begins and ends the maintenance of an agent's node, or of one of its services. Nobody who asks for healthy instances finds it meanwhile.
  - It lasts until somebody ends it, also when agent or host start again.
    That of a service ends with the registration, also when an instance of the uWSGI plugin stops, or registers itself anew at a reload.
    Take the node out for those.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  service_id:
    description: ID of the service, which may differ from its name. By default it is the node, with all of its services.
    type: str
  state:
    description:
      - V(enabled) begins the maintenance.
      - V(disabled) ends it. That of the node does not end those of its services.
    type: str
    choices: [enabled, disabled]
    default: enabled
  reason:
    description:
      - Why, for people. Another reason than the one that there is changes it, and the maintenance goes on meanwhile.
      - Without it, a maintenance that there is keeps its reason.
    type: str
notes:
  - A maintenance belongs to one agent, so O(agents) must have one address, best that of the host's own agent.
seealso:
  - module: uwsgi.consul.consul_service
  - name: Agent endpoint of Consul's API
    description: What maintenance is.
    link: https://developer.hashicorp.com/consul/api-docs/agent#enable-maintenance-mode
"""

EXAMPLES = r"""
- name: Take the host out of discovery
  uwsgi.consul.consul_maintenance:
    reason: new kernel

- name: Back again
  uwsgi.consul.consul_maintenance:
    state: disabled

- name: One service only
  uwsgi.consul.consul_maintenance:
    service_id: web
    reason: deploy of 2.1

- name: That one is back, too
  uwsgi.consul.consul_maintenance:
    service_id: web
    state: disabled
"""

RETURN = r"""
enabled:
  description: Whether it is in maintenance now, or would be in check mode.
  returned: success
  type: bool
  sample: true
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _maintenance
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _maintenance.manage,
        {
            "service_id": {"type": "str"},
            "state": {"type": "str", "choices": ["enabled", "disabled"], "default": "enabled"},
            "reason": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_config_entry
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Makes and removes config entries, of every kind
description:
  - Config entries say how services, gateways and the mesh as a whole behave. This module writes them whole,
    those that are not yet as they shall be, and removes what a task leaves out of them.
  - An entry counts as changed when Consul would do something else with it. What Consul adds by itself does not count, nor does
    another spelling of a field, of a duration or of a protocol, an empty value, or the order of the sources of an intention.
  - Consul judges all entries of a task before the first is written, in check mode, too. What depends on other entries,
    such as a router for a service whose protocol is not one of HTTP, it judges when it writes. So the token must be allowed to write
    in check mode as well.
  - Consul keeps config entries in its primary datacenter, and copies them to the others. So this is where they are compared and
    written, whatever O(datacenter) is, unless the token may not ask which one that is (C(agent:read)).
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  kind:
    description:
      - Kind of the entry, such as V(service-defaults), V(service-router), V(proxy-defaults), V(mesh) or V(api-gateway).
      - Which kinds there are depends on Consul. It says so when it does not know one.
    type: str
  name:
    description:
      - Name of the entry, mostly that of a service.
      - May be left out where there is only one, for V(proxy-defaults), V(mesh) and V(exported-services).
    type: str
  definition:
    description:
      - The fields of the entry, as Consul documents them for its kind, in its own spelling (C(ConnectTimeout)) or in
        snake_case (C(connect_timeout)).
    type: dict
  entries:
    description:
      - Several entries, instead of O(kind). Each has C(kind) and C(name) and the fields of its kind, as C(consul config write) takes it.
      - They are written in this order, and removed in the reverse one, for some depend on others.
      - With O(state=absent), C(kind) and C(name) count alone.
    type: list
    elements: dict
  state:
    description: V(present) makes or changes the entries, V(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
  cas:
    description:
      - Changes the entry only if its C(modify_index) still is this one, and makes it only if there is none with V(0). The task
        fails when it is another, unless the entry is as wanted already.
      - Without it, nothing that somebody else writes during the task is overwritten unseen either.
        The entry is read anew then, and written again.
    type: int
notes:
  - A private key of an C(inline-certificate) is shown by a digest only.
  - Values of C(meta), and of headers to set or add, must be texts. Consul would make others into texts of its own.
seealso:
  - module: uwsgi.consul.consul_config_entry_info
  - module: uwsgi.consul.consul_intention
    description: For single intentions, which leaves others of a destination alone.
  - name: Config entries
    description: All kinds with their fields.
    link: https://developer.hashicorp.com/consul/docs/reference/config-entry
  - name: Config endpoint of Consul's API
    description: What an entry is written by.
    link: https://developer.hashicorp.com/consul/api-docs/config
"""

EXAMPLES = r"""
- name: The service speaks HTTP
  uwsgi.consul.consul_config_entry:
    kind: service-defaults
    name: shop
    definition:
      protocol: http

- name: A tenth of the requests goes to the new version
  uwsgi.consul.consul_config_entry:
    entries:
      - kind: service-resolver
        name: shop
        connect_timeout: 3s
        subsets:
          v1: {filter: Service.Meta.version == "1"}
          v2: {filter: Service.Meta.version == "2"}
      - kind: service-splitter
        name: shop
        splits:
          - {weight: 90, service_subset: v1}
          - {weight: 10, service_subset: v2}

- name: Defaults of all proxies
  uwsgi.consul.consul_config_entry:
    kind: proxy-defaults
    definition:
      access_logs:
        enabled: true

- name: Remove them, the splitter before what it stands on
  uwsgi.consul.consul_config_entry:
    entries:
      - {kind: service-defaults, name: shop}
      - {kind: service-resolver, name: shop}
      - {kind: service-splitter, name: shop}
    state: absent
"""

RETURN = r"""
entries:
  description:
    - The entries of the task as they are then, in snake_case. In check mode, those to be written are as the task gives them.
    - When the task fails, this is what there was and what was done until then.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: service-defaults
      name: shop
      protocol: http
      transparent_proxy: {}
      mesh_gateway: {}
      expose: {}
      hash: 11526051437848736985
      create_index: 19
      modify_index: 19
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _config_entries
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _config_entries.manage,
        {
            "kind": {"type": "str"},
            "name": {"type": "str"},
            "definition": {"type": "dict"},
            "entries": {"type": "list", "elements": "dict"},
            "state": STATE,
            "cas": {"type": "int"},
        },
        _config_entries.secrets,
        mutually_exclusive=[("kind", "entries"), ("name", "entries"), ("definition", "entries"), ("cas", "entries")],
        required_one_of=[("kind", "entries")],
    )


if __name__ == "__main__":
    main()

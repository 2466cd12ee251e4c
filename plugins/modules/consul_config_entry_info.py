#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_config_entry_info
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Lists config entries
description:
  - Returns the config entries of a kind, by their names, or a single one.
extends_documentation_fragment:
  - uwsgi.consul.attributes.info
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  kind:
    description: Kind of the entries, such as V(service-defaults).
    type: str
    required: true
  name:
    description: Only the entry of this name. V(global) for C(proxy-defaults), V(mesh) for C(mesh).
    type: str
  filter:
    description:
      - Only entries that match this expression of Consul's filter language.
      - Consul 1.22 has filters for C(service-defaults) only. Where it has none, the task fails.
    type: str
seealso:
  - module: uwsgi.consul.consul_config_entry
  - name: Config endpoint of Consul's API
    description: Where the data comes from.
    link: https://developer.hashicorp.com/consul/api-docs/config
"""

EXAMPLES = r"""
- name: The defaults of all services
  uwsgi.consul.consul_config_entry_info:
    kind: service-defaults
  register: found

- name: Those that do not speak HTTP
  uwsgi.consul.consul_config_entry_info:
    kind: service-defaults
    filter: Protocol != "http"

- name: The defaults of all proxies
  uwsgi.consul.consul_config_entry_info:
    kind: proxy-defaults
    name: global
"""

RETURN = r"""
entries:
  description:
    - The entries. One that does not exist is no error.
    - Their fields are in snake_case, and M(uwsgi.consul.consul_config_entry) takes them as they are here.
    - A private key of an C(inline-certificate) is shown by a digest only.
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
from ansible_collections.uwsgi.consul.plugins.module_utils._module import run


def main() -> None:
    run(
        _config_entries.find,
        {"kind": {"type": "str", "required": True}, "name": {"type": "str"}, "filter": {"type": "str"}},
        mutually_exclusive=[("name", "filter")],
    )


if __name__ == "__main__":
    main()

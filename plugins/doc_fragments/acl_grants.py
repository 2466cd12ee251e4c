# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What roles and tokens of the ACLs give permissions by."""

    DOCUMENTATION = r"""
options:
  policies:
    description:
      - Policies, each as its name or its ID, or as a mapping with C(name) or C(id).
      - They must be there when the task runs. An empty list takes all away.
    type: list
    elements: raw
  service_identities:
    description: Services whose usual permissions are given.
    type: list
    elements: dict
    suboptions:
      service_name:
        description: Name of the service.
        type: str
        required: true
      datacenters:
        description: Where it is valid. Everywhere by default. Those of a local token have none.
        type: list
        elements: str
  node_identities:
    description: Nodes whose usual permissions are given.
    type: list
    elements: dict
    suboptions:
      node_name:
        description: Name of the node.
        type: str
        required: true
      datacenter:
        description: Its datacenter.
        type: str
        required: true
  templated_policies:
    description: Policies that Consul makes of a template, of Consul 1.17 and later.
    type: list
    elements: dict
    suboptions:
      template_name:
        description: Name of the template, such as V(builtin/service) or V(builtin/dns).
        type: str
        required: true
      template_variables:
        description: Its variables.
        type: dict
        suboptions:
          name:
            description: Name of the service, node or key that the template is for.
            type: str
      datacenters:
        description: Where it is valid. Everywhere by default.
        type: list
        elements: str
"""

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Which agents are asked, and how."""

    DOCUMENTATION = r"""
options:
  agents:
    description:
      - Addresses of Consul agents, as C(host), C(host:port), C(http://host:port), C(https://host:port) or C(unix:///path/of/socket).
      - They are tried in this order until one answers. The last good one is kept while the process lives.
      - The port is 8500 for an address without scheme, and that of the scheme (80 or 443) for a URL. IPv6 addresses stand in brackets.
      - Where the option is not given, those of the environment variable E(CONSUL_HTTP_ADDR) count, separated by commas.
    type: list
    elements: str
    default: ["127.0.0.1:8500"]
  timeout:
    description:
      - Seconds for one request, failover to other agents and retries included.
    type: float
    default: 10.0
  datacenter:
    description:
      - Name of the datacenter that is asked. The agent's own by default.
    type: str
  consistency:
    description:
      - Consistency mode of all reads.
      - V(default) lets the leader answer, V(consistent) makes it verify with its peers that it still is the leader, and
        V(stale) lets any server answer, which may be a moment behind but works on without a leader.
    type: str
    choices: [default, consistent, stale]
    default: default
"""

    PLUGINS = r"""
options:
  agents:
    env:
      - name: CONSUL_HTTP_ADDR
    ini:
      - section: uwsgi_consul
        key: agents
    vars:
      - name: uwsgi_consul_agents
  timeout:
    ini:
      - section: uwsgi_consul
        key: timeout
    vars:
      - name: uwsgi_consul_timeout
  datacenter:
    ini:
      - section: uwsgi_consul
        key: datacenter
    vars:
      - name: uwsgi_consul_datacenter
  consistency:
    ini:
      - section: uwsgi_consul
        key: consistency
    vars:
      - name: uwsgi_consul_consistency
"""

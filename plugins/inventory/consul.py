# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Hosts from the nodes of Consul's datacenters
description:
  - Makes a host of each node that Consul knows in one, several or all datacenters, and groups by datacenter, service, tag, health
    and metadata.
  - A datacenter is asked once, however many nodes it has. Several datacenters are asked at the same time.
  - The file's name must end in C(consul.yml) or C(consul.yaml).
  - Every host has the variable C(consul_node), a dictionary with C(name), C(id), C(datacenter), C(address), C(tagged_addresses),
    C(meta), C(status), C(services) and C(checks). The status is the worst of the checks of the node itself, V(passing), V(warning),
    V(critical) or V(maintenance).
  - Each entry of its C(services) has C(name), C(id), C(address), C(port), C(tags), C(meta) and C(status), the worst of the
    service's own checks. Each entry of its C(checks) has C(id), C(name), C(status) and C(service_id), which is empty for a check of
    the node itself.
  - What Consul says is never taken for a template, and never becomes the option of a command. A node whose name or address can't be
    that of a host is left out with a warning.
extends_documentation_fragment:
  - uwsgi.consul.connection
  - uwsgi.consul.connection.plugins
  - uwsgi.consul.token
  - uwsgi.consul.token.plugins
  - uwsgi.consul.tls
  - uwsgi.consul.tls.plugins
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Says that the file belongs to this plugin.
    type: str
    required: true
    choices: [uwsgi.consul.consul]
  datacenters:
    description:
      - Names of datacenters, or shell patterns, such as V(*) for all and V(eu-*).
      - A pattern stands for the datacenters that Consul's servers know at this moment. One that is cut off may be missing among
        them, so name those that must not be.
      - By default O(datacenter), and where that is not given the agent's own.
    type: list
    elements: str
    default: []
  unreachable:
    description:
      - What is done when a datacenter does not answer.
      - With V(fail) there is no inventory. With V(warn) that datacenter is left out with a warning, unless no other one answers either.
    type: str
    choices: [fail, warn]
    default: fail
  filter:
    description:
      - Only nodes that match this expression of Consul's filter language. Consul itself evaluates it.
      - It may name C(Node), C(Address), C(Meta), C(TaggedAddresses), C(Services) and C(Checks), as in V("web" in Services.Service).
    type: str
  node_meta:
    description: Only nodes that have all of these entries in their metadata.
    type: dict
    default: {}
  services:
    description: Only nodes with an instance of a service whose name matches one of these shell patterns, such as V(web-*).
    type: list
    elements: str
    default: []
  status:
    description:
      - The worst status that a node or an instance of a service may have.
      - A node counts by its own checks. One that is worse is left out.
      - An instance counts by its own checks, too. One that is worse makes its node no member of the groups of its service and tags.
    type: str
    choices: [passing, warning, any]
    default: any
  hostname:
    description:
      - The host's name in the inventory. C({node}), C({datacenter}), C({address}) and C({id}) stand for what the node has.
      - Two nodes that would be one host are an error, so that variables of one never reach the other. Where datacenters have nodes of the
        same name, give V({node}.{datacenter}).
    type: str
    default: "{node}"
  addresses:
    description:
      - Names of tagged addresses, such as V(wan) or V(lan_ipv6). The first that a node has is its C(ansible_host).
      - The node's own address is taken where it has none of them.
    type: list
    elements: str
    default: []
  group_by:
    description:
      - What groups are made of.
      - V(datacenter) makes C(consul_datacenter_dc1), V(service) C(consul_service_web), V(tag) C(consul_tag_v2), V(health)
        C(consul_health_passing), and V(meta) C(consul_meta_rack_r1) for each entry of the nodes' metadata.
      - Characters that a group's name can't have become underscores. Where two different names become one there is a warning.
    type: list
    elements: str
    choices: [datacenter, service, tag, health, meta]
    default: [datacenter, service, tag, health]
  group_prefix:
    description: What the names of the groups of O(group_by) begin with.
    type: str
    default: consul_
  cache:
    description:
      - Whether answers of Consul are kept by a cache plugin. They hold no token.
      - What is kept for one set of agents, datacenters and filters is not used for another one. An answer that lacks a datacenter is
        not kept.
notes:
  - Options of the connection may be templates, such as V({{ lookup('ansible.builtin.env', 'TOKEN'\) }}).
  - The token needs C(node:read) and C(service:read). Consul leaves out what it may not see. From Consul 1.11 on a
    warning says so.
  - The endpoint that is asked is C(/v1/internal/ui/nodes), that of Consul's own user interface, which answers also where the
    interface is switched off. The documented endpoints take a request for each node or each service.
seealso:
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
  - name: Consul's filter language
    description: How expressions are written.
    link: https://developer.hashicorp.com/consul/api-docs/features/filtering
"""

EXAMPLES = r"""
# The nodes of the agent's own datacenter.
plugin: uwsgi.consul.consul

---
# All datacenters, the others without one that is away.
plugin: uwsgi.consul.consul
agents: [consul1.example.org:8500, consul2.example.org:8500]
token_file: /etc/ansible/consul.token
datacenters: ['*']
unreachable: warn
hostname: "{node}.{datacenter}"
addresses: [wan]

---
# Healthy web servers of one rack, with variables and groups of one's own.
plugin: uwsgi.consul.consul
datacenters: [dc1, dc2]
services: ['web-*']
status: passing
node_meta:
  rack: r1
compose:
  ansible_user: consul_node.meta.login | default('root')
  web_ports: consul_node.services | selectattr('name', 'match', 'web-') | map(attribute='port') | list
groups:
  gold: consul_node.meta.tier | default('') == 'gold'
keyed_groups:
  - prefix: rack
    key: consul_node.meta.rack
strict: true

---
# Kept for ten minutes.
plugin: uwsgi.consul.consul
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.ansible/consul-inventory
cache_timeout: 600
"""

import contextlib
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConsulError, InvalidValueError
from ansible_collections.uwsgi.consul.plugins.plugin_utils._inventory import Groups, Selection, Source, as_data


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "uwsgi.consul.consul"

    @staticmethod
    def _sanitize_group_name(name: str) -> str:
        # Whatever the configuration says of names that users write: these come from Consul.
        return str(to_safe_group_name(name, force=True, silent=True))

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("consul.yml", "consul.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache=cache)
        config = self._read_config_data(path)
        try:
            self._refuse_unknown(config)
            selection = Selection(self.get_option)
            self._populate(selection, self._nodes(path, cache))
        except ConsulError as error:
            raise AnsibleParserError(str(error)) from None

    def _compose(self, template: Any, variables: Any, *arguments: Any, **options: Any) -> Any:
        return as_data(super()._compose(template, variables, *arguments, **options))

    def _refuse_unknown(self, config: dict[str, Any]) -> None:
        # Ansible ignores them, so that a misspelt `datacenters` would ask another one.
        known = set(self.option_definitions)
        if unknown := sorted(set(map(str, config)) - known):
            raise InvalidValueError(f"{', '.join(unknown)}: no such option", advice=f"The options are {', '.join(sorted(known))}")

    def _connection_option(self, name: str) -> Any:
        value = self.get_option(name)
        return self.templar.template(value) if isinstance(value, (str, list)) else value

    def _nodes(self, path: str, cache: bool) -> list[dict[str, Any]]:
        """All nodes, from the cache where it has them."""
        source = Source(
            ConnectionOptions.settings(self._connection_option),
            datacenters=self.get_option("datacenters"),
            filter=self.get_option("filter"),
            skip_unreachable=self.get_option("unreachable") == "warn",
            warn=self.display.warning,
        )
        if not self.get_option("cache"):
            return source.nodes()[0]
        key = f"{self.get_cache_key(path)}_{source.fingerprint}"
        if cache:
            with contextlib.suppress(KeyError):
                kept: list[dict[str, Any]] = self._cache[key]
                return kept
        nodes, complete = source.nodes()
        if complete:
            self._cache[key] = nodes
        return nodes

    def _populate(self, selection: Selection, nodes: list[dict[str, Any]]) -> None:
        groups = Groups(self.get_option("group_prefix"), self.get_option("group_by"), self._sanitize_group_name)
        hosts = selection.hosts(nodes, self.display.warning)
        member_of = {host: groups.of(node, selection.instances(node)) for host, node in hosts.items()}
        # A host of a group's name would stand for the group wherever a host is meant.
        taken = {*self.inventory.groups, *(self.get_option("groups") or ()), *(group for names in member_of.values() for group in names)}
        there = set(self.inventory.hosts)
        try:
            for host, node in hosts.items():
                if host in taken:
                    self.display.warning(
                        f"Host {host} of datacenter {node['datacenter']} is left out of the inventory: a group has its name"
                    )
                else:
                    self._add(host, selection.address(node), node, member_of[host])
        except Exception:
            # Beside other sources Ansible goes on with what there is, and some of the hosts are worse than none.
            for host in set(self.inventory.hosts) - there:
                self.inventory.remove_host(self.inventory.hosts[host])
            raise
        for sentence in groups.clashes():
            self.display.warning(sentence)

    def _add(self, host: str, address: str, node: dict[str, Any], groups: list[str]) -> None:
        strict, variables = self.get_option("strict"), {"ansible_host": address, "consul_node": as_data(node)}
        self.inventory.add_host(host)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        for group in groups:
            self.inventory.add_host(host, self.inventory.add_group(group))
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

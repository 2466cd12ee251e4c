#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_service
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Registers services and their checks
description:
  - Registers services with their checks at one agent, which then runs the checks. Any number of services in one task.
  - A task says all that there is of a service. What it leaves out has Consul's default, also where it was different before.
  - It costs two requests, and one for each service that changes.
  - With O(node), services of machines without an agent are written into the catalog.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  <<: &service
    name:
      description: Name of the service. With O(state=absent), its O(services[].id) will do.
      type: str
    id:
      description: ID of the service, which tells it from others of the agent. The name by default.
      type: str
    address:
      description: Address that clients connect to. The node's by default.
      type: str
    port:
      description: Port that clients connect to.
      type: int
    tags:
      description: Tags. Their order has no meaning.
      type: list
      elements: str
    meta:
      description: Metadata, names and strings. Numbers and booleans become strings.
      type: dict
    weights:
      description: Weights of the instance in DNS answers and for proxies.
      type: dict
      suboptions:
        passing:
          description: While it is passing.
          type: int
        warning:
          description: While it is warning.
          type: int
    tagged_addresses:
      description: More addresses by their names, such as C(wan), each with C(address) and C(port).
      type: dict
    enable_tag_override:
      description:
        - Whether others may change the tags in the catalog. The agent then takes over their tags.
        - Tags that others changed are then no difference, until the task itself gives other tags.
      type: bool
    checks:
      description:
        - All checks of the service. Each is of exactly one kind.
        - Other checks of the service are removed, except those of M(uwsgi.consul.consul_check).
      type: list
      elements: dict
      suboptions:
        id:
          description:
            - ID of the check.
            - By default C(service:) and the ID of the service for its first check, and the same with C(:2), C(:3) and so on for the others.
          type: str
        name:
          description: Name of the check, for people.
          type: str
        notes:
          description: Notes, for people.
          type: str
        http:
          description: URL that the agent asks. 2xx is passing, 429 is warning, everything else is critical.
          type: str
        method:
          description: Method of the request of O(services[].checks[].http). Consul's default is GET.
          type: str
        header:
          description:
            - Headers of the request of O(services[].checks[].http), each a string or a list of strings.
            - They stand in logs and with C(-vvv) on the screen. Credentials belong into O(services[].checks[].secret_header).
          type: dict
        secret_header:
          description: Headers as in O(services[].checks[].header), which are hidden in all output.
          type: dict
        body:
          description: Body of the request of O(services[].checks[].http).
          type: str
        disable_redirects:
          description: Whether the agent does not follow redirects of O(services[].checks[].http). Consul 1.8 does not know it.
          type: bool
        tcp:
          description: Address, as C(host:port), to which the agent connects.
          type: str
        udp:
          description: Address, as C(host:port), to which the agent sends a datagram. Consul 1.8 does not know it.
          type: str
        grpc:
          description: Address, as C(host:port) or C(host:port/service), that the agent asks by gRPC's own health service.
          type: str
        h2ping:
          description: Address, as C(host:port), that the agent pings by HTTP/2. Consul 1.8 does not know it.
          type: str
        ttl:
          description: Time, such as V(30s), after which the check is critical unless somebody tells the agent how things are.
          type: str
        args:
          description:
            - Command and arguments that the agent runs. 0 is passing, 1 is warning, everything else is critical.
            - The agent's configuration must allow it by C(enable_script_checks). C(enable_local_script_checks) is for its own files only.
          type: list
          elements: str
        docker_container_id:
          description: Container in which O(services[].checks[].args) run.
          type: str
        shell:
          description: Shell in the container that runs them.
          type: str
        os_service:
          description: Name of a service of the operating system that must run. Agents on Windows know it, and Consul 1.8 does not.
          type: str
        alias_service:
          description: ID of another service whose status this check takes over.
          type: str
        alias_node:
          description: Node whose status this check takes over, or the node of O(services[].checks[].alias_service).
          type: str
        interval:
          description: Time between two looks of the agent, such as V(10s); at least one second.
          type: str
        timeout:
          description: Time that a look may take. Consul's default is 10 seconds.
          type: str
        status:
          description:
            - Status that the check begins with. Consul's default is V(critical).
            - A check that is there keeps its status, so a change of this option alone changes nothing.
          type: str
          choices: [passing, warning, critical]
        success_before_passing:
          description: How many good looks in a row it takes.
          type: int
        failures_before_warning:
          description: How many bad looks in a row make it warning. Consul 1.8 does not know it.
          type: int
        failures_before_critical:
          description: How many bad looks in a row make it critical.
          type: int
        deregister_critical_service_after:
          description: Time, at least V(60s), after which Consul removes a service that was critical all along. Never by default.
          type: str
        tls_server_name:
          description: Name that the certificate must hold, for checks that use TLS. Consul 1.8 does not know it.
          type: str
        tls_skip_verify:
          description: Whether certificates are not verified.
          type: bool
        tcp_use_tls:
          description: Whether O(services[].checks[].tcp) speaks TLS. Consul 1.8 does not know it.
          type: bool
        grpc_use_tls:
          description: Whether O(services[].checks[].grpc) speaks TLS.
          type: bool
        h2ping_use_tls:
          description: Whether O(services[].checks[].h2ping) speaks TLS, which is Consul's default. Consul 1.8 does not know it.
          type: bool
        output_max_size:
          description: How many bytes of output are kept.
          type: int
    kind:
      description: What the service is in the mesh, for one that is no service of its own.
      type: str
      choices: [connect-proxy, mesh-gateway, terminating-gateway, ingress-gateway, api-gateway]
    proxy:
      description:
        - Configuration of a proxy or gateway, in the terms of Consul's API, in snake_case such as C(destination_service_name).
        - What stands below C(config) is taken as it stands.
      type: dict
    connect:
      description:
        - C(native=true) for a service that speaks the mesh's protocol itself.
        - C(sidecar_service) has the agent register a sidecar proxy with the service. It is a mapping in the terms of Consul's API, in
          snake_case, such as C(port) and C(proxy) with C(upstreams). An empty one will do.
      type: dict
  services:
    description: Several services. The options of each are those that stand at the top of a task for one.
    type: list
    elements: dict
    suboptions:
      <<: *service
  state:
    description:
      - V(present) registers the services.
      - V(absent) removes them by their IDs, with their checks and sidecars. It needs no O(name) where O(id) is given.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - Whether to remove the agent's services, or those of O(node), that this module registered and that the task does not list.
      - They are known by C(uwsgi-consul-definition) in their meta. Others are left alone.
    type: bool
    default: false
  force:
    description:
      - Whether to register or remove a service that a running instance registered itself, such as by the uWSGI plugin.
      - Those have C(uwsgi-instance) in their meta. Without this option the task fails.
    type: bool
    default: false
  node:
    description:
      - Name of a node without an agent. The services are written into the catalog, under this node.
      - Nobody looks after their checks unless C(consul-esm) runs. Checks may be by http or tcp, and begin as passing.
      - The node goes with the last of its services, when O(state=absent).
    type: str
  node_address:
    description: Address of O(node), and of its services.
    type: str
  node_meta:
    description: Metadata of O(node). C(external-node) and C(external-probe), which C(consul-esm) goes by, are added.
    type: dict
notes:
  - A registration belongs to one agent, so O(agents) must have one address, best that of the host's own agent.
    Of which datacenter it is, is the agent's matter, whatever O(datacenter) says. With O(node), any agent does, and O(datacenter) counts.
  - No Consul tells what a check looks at. So the module writes a digest of the definition into the service's meta, as
    C(uwsgi-consul-definition), and compares that, and all that Consul tells.
    A check that others registered again under its ID, with only its target changed, is not noticed.
  - Consul 1.8 does not know all fields. The task then fails before anything is changed, and names the field.
  - Maintenance of a service stays as it is, also when the service changes.
seealso:
  - module: uwsgi.consul.consul_check
  - module: uwsgi.consul.consul_maintenance
  - module: uwsgi.consul.consul_service_info
  - name: Agent's service endpoint of Consul's API
    description: What a service is registered by.
    link: https://developer.hashicorp.com/consul/api-docs/agent/service
"""

EXAMPLES = r"""
- name: A web server with two checks
  uwsgi.consul.consul_service:
    name: web
    port: 8080
    tags: [v2]
    meta:
      version: "2.1"
    checks:
      - http: http://127.0.0.1:8080/health
        interval: 10s
        timeout: 2s
        deregister_critical_service_after: 72h
      - name: Told by a cron job
        ttl: 15m

- name: All services of this host, and none that an earlier run of this task registered
  uwsgi.consul.consul_service:
    services:
      - name: web
        id: web-1
        port: 8081
        checks:
          - {tcp: "127.0.0.1:8081", interval: 10s}
      - name: web
        id: web-2
        port: 8082
        weights: {passing: 10, warning: 1}
        checks:
          - {tcp: "127.0.0.1:8082", interval: 10s}
    purge: true

- name: A service in the mesh, with a sidecar that knows the database
  uwsgi.consul.consul_service:
    name: shop
    port: 9090
    connect:
      sidecar_service:
        proxy:
          upstreams:
            - {destination_name: db, local_bind_port: 5432}

- name: A database on a machine without an agent
  uwsgi.consul.consul_service:
    node: legacy-db
    node_address: 192.0.2.10
    name: db
    port: 5432
    checks:
      - {tcp: "192.0.2.10:5432", interval: 30s}

- name: Remove it
  uwsgi.consul.consul_service:
    node: legacy-db
    name: db
    state: absent
"""

RETURN = r"""
services:
  description: What became of each service, those that were removed at the end.
  returned: success
  type: list
  elements: dict
  sample:
    - id: web-1
      name: web
      result: updated
  contains:
    id:
      description: ID of the service.
      type: str
    name:
      description: Name of the service.
      type: str
    result:
      description: V(created), V(updated), V(unchanged) or V(removed); in check mode what would become of it.
      type: str
done:
  description: ID and result of the services that were changed before the task failed.
  returned: failure in the midst of several services
  type: list
  elements: dict
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _services
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _services.manage,
        {
            **_services.OPTIONS,
            "services": {"type": "list", "elements": "dict", "options": _services.OPTIONS},
            "state": STATE,
            "purge": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "node": {"type": "str"},
            "node_address": {"type": "str"},
            "node_meta": {"type": "dict"},
        },
        mutually_exclusive=[(name, "services") for name in _services.OPTIONS],
        required_one_of=[("name", "id", "services")],
        # Without it they would be ignored, and the service registered at the agent.
        required_by={"node_address": "node", "node_meta": "node"},
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: consul_check
author: The uwsgi.consul authors (@uwsgi)
version_added: 0.1.0
short_description: Registers checks of nodes and services, and tells TTL checks how things are
description:
  - Registers checks at one agent, of its node or of its services. Any number of checks in one task.
  - Tells TTL checks their status. A check that is there, whoever registered it, can be told without saying again what it is.
  - The checks of a service that Ansible registers are best given to M(uwsgi.consul.consul_service), in the same task.
extends_documentation_fragment:
  - uwsgi.consul.attributes
  - uwsgi.consul.connection
  - uwsgi.consul.token
  - uwsgi.consul.tls
options:
  <<: &check
    id:
      description: ID of the check, which tells it from others of the agent. The name by default.
      type: str
    name:
      description: Name of the check, for people. The ID by default.
      type: str
    notes:
      description: Notes, for people.
      type: str
    http:
      description: URL that the agent asks. 2xx is passing, 429 is warning, everything else is critical.
      type: str
    method:
      description: Method of the request of O(http). Consul's default is GET.
      type: str
    header:
      description:
        - Headers of the request of O(http), each a string or a list of strings.
        - They stand in logs and with C(-vvv) on the screen. Credentials belong into O(secret_header).
      type: dict
    secret_header:
      description: Headers as in O(header), which are hidden in all output.
      type: dict
    body:
      description: Body of the request of O(http).
      type: str
    disable_redirects:
      description: Whether the agent does not follow redirects of O(http). Consul 1.8 does not know it.
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
      description: Container in which O(args) run.
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
      description: Node whose status this check takes over, or the node of O(alias_service).
      type: str
    interval:
      description: Time between two looks of the agent, such as V(10s); at least one second.
      type: str
    status:
      description:
        - Status that a check which is new begins with. Consul's default is V(critical).
        - For a TTL check that is there, the status to tell the agent. That starts its time again in each run, which alone is no change.
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
    tls_skip_verify:
      description: Whether certificates are not verified.
      type: bool
    tcp_use_tls:
      description: Whether O(tcp) speaks TLS. Consul 1.8 does not know it.
      type: bool
    grpc_use_tls:
      description: Whether O(grpc) speaks TLS.
      type: bool
    h2ping_use_tls:
      description: Whether O(h2ping) speaks TLS, which is Consul's default. Consul 1.8 does not know it.
      type: bool
    output_max_size:
      description: How many bytes of output are kept.
      type: int
    service_id:
      description: ID of the service that it is a check of. By default it is one of the node, and counts for all of the node's services.
      type: str
    output:
      description: What to tell the agent with O(status), for people.
      type: str
  check_timeout:
    description:
      - Time that a look may take. Consul's default is 10 seconds.
      - Within O(checks) it is C(timeout), which stands for the connection here.
    type: str
  check_tls_server_name:
    description:
      - Name that the certificate must hold, for checks that use TLS. Consul 1.8 does not know it.
      - Within O(checks) it is C(tls_server_name), which stands for the connection here.
    type: str
  checks:
    description: Several checks. The options of each are those that stand at the top of a task for one.
    type: list
    elements: dict
    suboptions:
      <<: *check
      timeout:
        description: Time that a look may take. Consul's default is 10 seconds.
        type: str
      tls_server_name:
        description: Name that the certificate must hold, for checks that use TLS. Consul 1.8 does not know it.
        type: str
  state:
    description:
      - V(present) registers the checks, or tells their status.
      - V(absent) removes them. Only their O(id) or O(name) is looked at.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A registration belongs to one agent, so O(agents) must have one address, best that of the host's own agent.
  - No Consul tells what a check looks at. So the module ends the check's notes with a digest of its definition, as
    C([uwsgi.consul ...]), and compares that, and all that Consul tells.
  - An instance that registers itself, by the uWSGI plugin or the Python library, ends all other checks of its service each time it does so,
    such as at a reload. Give it its checks by its own options.
seealso:
  - module: uwsgi.consul.consul_service
  - module: uwsgi.consul.consul_maintenance
  - name: Agent's check endpoint of Consul's API
    description: What a check is registered by.
    link: https://developer.hashicorp.com/consul/api-docs/agent/check
"""

EXAMPLES = r"""
- name: A check of the node, for all that runs there
  uwsgi.consul.consul_check:
    id: disk
    name: Free space of the disk
    ttl: 2h

- name: Tell it how things are
  uwsgi.consul.consul_check:
    id: disk
    status: passing
    output: 40% are free

- name: Two checks of services that others registered
  uwsgi.consul.consul_check:
    checks:
      - id: web-port
        service_id: web
        tcp: 127.0.0.1:8080
        interval: 10s
      - id: web-health
        service_id: web
        http: http://127.0.0.1:8080/health
        secret_header:
          Authorization: Bearer 6eb1a4f1
        interval: 30s
        timeout: 3s

- name: Remove one
  uwsgi.consul.consul_check:
    id: web-port
    state: absent
"""

RETURN = r"""
checks:
  description: What became of each check; with O(state=absent), of those that there were.
  returned: success
  type: list
  elements: dict
  sample:
    - id: disk
      result: created
  contains:
    id:
      description: ID of the check.
      type: str
    result:
      description: V(created), V(updated), V(unchanged) or V(removed); in check mode what would become of it.
      type: str
done:
  description: ID and result of the checks that were changed before the task failed.
  returned: failure in the midst of several checks
  type: list
  elements: dict
"""

from ansible_collections.uwsgi.consul.plugins.module_utils import _checks
from ansible_collections.uwsgi.consul.plugins.module_utils._module import STATE, run


def main() -> None:
    run(
        _checks.manage,
        {
            **_checks.ALONE,
            "checks": {"type": "list", "elements": "dict", "options": _checks.OPTIONS},
            "state": STATE,
        },
        mutually_exclusive=[(name, "checks") for name in _checks.ALONE],
        required_one_of=[("id", "name", "checks")],
    )


if __name__ == "__main__":
    main()

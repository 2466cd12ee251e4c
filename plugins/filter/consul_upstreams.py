# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: consul_upstreams
short_description: Instances of a service as servers of nginx or HAProxy
version_added: 0.1.0
author: The uwsgi.consul authors (@uwsgi)
description:
  - Makes a line of configuration of each instance that may get requests, in the order of the input, which is stable for
    P(uwsgi.consul.consul_service#lookup).
  - An instance that is warning has the weight that it was registered with for that state, one that is passing the other. Those whose
    weight is 0 are left out, and those that are critical or in maintenance always are.
  - What an instance says of itself can't become more than an address, a port, a weight and a name. An address that is none, or a
    missing port, is an error that names the instance.
positional: format
options:
  _input:
    description:
      - The instances, as P(uwsgi.consul.consul_service#lookup) returns them. Give it C(status=warning) if those that are warning shall be
        among them.
    type: list
    elements: dict
    required: true
  format:
    description:
      - V(nginx) makes C(server 10.0.0.1:2001 weight=3;) for an C(upstream).
      - V(haproxy) makes C(server NODE-ID 10.0.0.1:2001 weight 3) for a C(backend). Each name is unique. HAProxy takes no weight above
        256, so a greater one makes all of them smaller in proportion.
      - V(plain) makes C(10.0.0.1:2001 3).
    type: str
    choices: [nginx, haproxy, plain]
    default: nginx
  options:
    description: What stands at the end of every line, such as V(max_fails=2) for nginx or V(check inter 5s) for HAProxy.
    type: str
    default: ""
notes:
  - nginx does not take an C(upstream) without a server. See the second example.
seealso:
  - plugin: uwsgi.consul.consul_service
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show the servers of a service for nginx
  ansible.builtin.debug:
    msg: |
      upstream storefront {
        {{ instances | uwsgi.consul.consul_upstreams | join('\n  ') }}
      }
  vars:
    instances: "{{ query('uwsgi.consul.consul_service', 'storefront', status='warning') }}"

- name: The same with a server that gets no request, for the time when there is no instance
  ansible.builtin.debug:
    msg: |
      upstream storefront {
        {{ servers | default(['server 127.0.0.1:9 down;'], true) | join('\n  ') }}
      }
  vars:
    servers: "{{ query('uwsgi.consul.consul_service', 'storefront') | uwsgi.consul.consul_upstreams(options='max_fails=2') }}"

- name: Show them for HAProxy, which checks them itself, too
  ansible.builtin.debug:
    msg: |
      backend storefront
        {{ instances | uwsgi.consul.consul_upstreams('haproxy', options='check inter 5s') | join('\n  ') }}
  vars:
    instances: "{{ query('uwsgi.consul.consul_service', 'storefront') }}"
"""

RETURN = r"""
_value:
  description: The lines, without indentation.
  type: list
  elements: str
  sample: ['server 10.0.0.1:2001 weight=3;', 'server [fd00::1]:2001 weight=1;']
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError
from ansible_collections.uwsgi.consul.plugins.plugin_utils._upstreams import upstreams


def consul_upstreams(instances: Any, format: str = "nginx", options: str = "") -> list[str]:  # noqa: A002 - as the lookup calls it
    try:
        return upstreams(instances, format, options)
    except InvalidValueError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"consul_upstreams": consul_upstreams}

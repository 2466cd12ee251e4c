# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: uwsgi_duration
short_description: Whether it is a duration for the options of the uWSGI plugin
version_added: 0.1.0
author: The uwsgi.consul authors (@uwsgi)
description:
  - Whether the uWSGI plugin C(consul) reads the value as a duration, as in its option C(consul-check-ttl). That is a whole number with
    C(ms), C(s), C(m) or C(h), or without a unit for seconds. What Consul takes besides, such as C(1m30s), the plugin does not.
options:
  _input:
    description: The value.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Refuse a variable that the plugin would refuse
  ansible.builtin.assert:
    that: check_ttl is uwsgi.consul.uwsgi_duration
    fail_msg: "check_ttl is {{ check_ttl }}: give a duration such as 10s"
  vars:
    check_ttl: 10s
"""

RETURN = r"""
_value:
  description: Whether it is one.
  type: bool
"""

from typing import Any

from ansible_collections.uwsgi.consul.plugins.plugin_utils._vassals import is_duration


class TestModule:
    def tests(self) -> dict[str, Any]:
        return {"uwsgi_duration": is_duration}

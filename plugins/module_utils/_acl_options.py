# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which roles and tokens say what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DATACENTERS: Mapping[str, Any] = {"type": "list", "elements": "str"}

GRANTS: Mapping[str, Mapping[str, Any]] = {
    "policies": {"type": "list", "elements": "raw"},
    "service_identities": {
        "type": "list",
        "elements": "dict",
        "options": {"service_name": {"type": "str", "required": True}, "datacenters": _DATACENTERS},
    },
    "node_identities": {
        "type": "list",
        "elements": "dict",
        "options": {"node_name": {"type": "str", "required": True}, "datacenter": {"type": "str", "required": True}},
    },
    "templated_policies": {
        "type": "list",
        "elements": "dict",
        "options": {
            "template_name": {"type": "str", "required": True},
            "template_variables": {"type": "dict", "options": {"name": {"type": "str"}}},
            "datacenters": _DATACENTERS,
        },
    },
}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of services in the formats that lookups give them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.uwsgi.consul.plugins.plugin_utils._lookup import as_list


def formatted(found: list[dict[str, Any]], get_option: Callable[[str], Any]) -> list[Any]:
    """The instances as the options `format` and `scheme` of a lookup ask for them."""
    if get_option("format") == "dict":
        return as_list(found)
    scheme = get_option("scheme") if get_option("format") == "url" else None
    return [address(instance, scheme) for instance in found]


def address(instance: Mapping[str, Any], scheme: str | None = None) -> str:
    """Where an instance is, such as `10.0.0.1:2001`, without the port where it has none; with a scheme, as a URL."""
    host = f"[{instance['address']}]" if ":" in instance["address"] else instance["address"]
    text = f"{host}:{instance['port']}" if instance["port"] else str(host)
    return f"{scheme}://{text}" if scheme else text

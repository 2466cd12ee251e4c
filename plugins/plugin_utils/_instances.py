# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of services in the formats that lookups give them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def address(instance: Mapping[str, Any], scheme: str | None = None) -> str:
    """Where an instance is, such as `10.0.0.1:2001`, without the port where it has none; with a scheme, as a URL."""
    host = f"[{instance['address']}]" if ":" in instance["address"] else instance["address"]
    text = f"{host}:{instance['port']}" if instance["port"] else str(host)
    return f"{scheme}://{text}" if scheme else text

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of a service as the servers that proxies write into their configuration.

What Consul says of an instance, anybody who may register a service has said: nothing of it becomes more than an address, a
number or a name.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.arguments import shown
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.:-]")
_ENDS_A_LINE = re.compile(r"[\x00-\x1f\x7f;{}#]")
# https://docs.haproxy.org/3.0/configuration.html#5.2-weight
_HAPROXY_MOST = 256
_MOST = 65535
_NODE_AND_ID = ("node", "id")


@dataclass(frozen=True)
class Server:
    """One that may get requests. name: unique among all, of letters, digits and `_.:-`. address: with its port, IPv6 in brackets."""

    name: str
    address: str
    weight: int


def upstreams(instances: Any, form: str, options: str = "") -> list[str]:
    """A line for each instance that may get requests, in their order; raises `InvalidValueError`.

    options: what every line has at its end, words of whoever writes the template.
    """
    if form not in FORMATS:
        raise InvalidValueError(f"format: {shown(form)} is none of {', '.join(FORMATS)}")
    if not isinstance(options, str) or _ENDS_A_LINE.search(options):
        raise InvalidValueError(f"options: {shown(options)} is no text of one line without ; {{ }} #")
    end = f" {options.strip()}" if options.strip() else ""
    return FORMATS[form](servers(instances), end)


def servers(instances: Any) -> list[Server]:
    """Those that are passing or warning, each with the weight that it has in that state; those whose weight is 0 get no requests."""
    if isinstance(instances, (str, bytes, Mapping)) or not isinstance(instances, Iterable):
        raise InvalidValueError(
            f"{shown(instances)} is no list of instances", advice="Give what the lookup uwsgi.consul.consul_service returns"
        )
    wanted = [(instance, weight) for instance, weight in map(_weighed, instances) if weight]
    plain = Counter(_plain_name(instance) for instance, _weight in wanted)
    found = []
    for instance, weight in wanted:
        name = _plain_name(instance)
        if plain[name] > 1:
            # What tells two apart may be gone from their plain names.
            name = f"{name}-{zlib.crc32(repr([instance.get(key) for key in _NODE_AND_ID]).encode()):08x}"
        found.append(Server(name, _address(instance), weight))
    return found


def _weighed(instance: Any) -> tuple[Mapping[str, Any], int]:
    if not isinstance(instance, Mapping) or "status" not in instance:
        raise InvalidValueError(
            f"{shown(instance)} is no instance with its status",
            advice="Give what the lookup uwsgi.consul.consul_service returns as format=dict",
        )
    status = instance["status"]
    if status not in ("passing", "warning"):
        return instance, 0
    weights = instance.get("weights") or {}
    weight = weights.get(status, 1) if isinstance(weights, Mapping) else weights
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= _MOST:
        raise InvalidValueError(f"weights of {_where(instance)}: {shown(weights)} has no number from 0 to {_MOST} for {status}")
    return instance, weight


def _address(instance: Mapping[str, Any]) -> str:
    address, port = instance.get("address"), instance.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= _MOST:
        raise InvalidValueError(f"port of {_where(instance)}: {shown(port)} is no port", advice="Was the service registered without one?")
    if isinstance(address, str) and _is_ipv6(address):
        return f"[{address}]:{port}"
    # With a port behind it, nginx takes this one for the path of a socket.
    if isinstance(address, str) and address.lower() != "unix" and _HOST.fullmatch(address):
        return f"{address}:{port}"
    raise InvalidValueError(f"address of {_where(instance)}: {shown(address)} is neither an IP address nor the name of a host")


def _is_ipv6(address: str) -> bool:
    try:
        return ipaddress.IPv6Address(address).scope_id is None
    except ValueError:
        return False


def _where(instance: Mapping[str, Any]) -> str:
    return " on node ".join(shown(instance.get(key)) for key in ("id", "node"))


def _plain_name(instance: Mapping[str, Any]) -> str:
    return _NO_NAME.sub("_", "-".join(str(instance.get(key) or "") for key in _NODE_AND_ID))


def _nginx(found: list[Server], end: str) -> list[str]:
    return [f"server {server.address} weight={server.weight}{end};" for server in found]


def _haproxy(found: list[Server], end: str) -> list[str]:
    most = max((server.weight for server in found), default=1)
    scale = min(1.0, _HAPROXY_MOST / most)
    return [f"server {server.name} {server.address} weight {max(1, round(server.weight * scale))}{end}" for server in found]


def _plain(found: list[Server], end: str) -> list[str]:
    return [f"{server.address} {server.weight}{end}" for server in found]


FORMATS: dict[str, Callable[[list[Server], str], list[str]]] = {"nginx": _nginx, "haproxy": _haproxy, "plain": _plain}

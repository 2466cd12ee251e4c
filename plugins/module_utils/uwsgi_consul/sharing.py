# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which watches have a blocking query of their own, and which share some, so that any number needs few connections.

Watches that share are asked again, without waiting, when one of their sentinels moves. Sentinels are blocking queries whose
answers are small, and whose index moves with every change that can matter to any of those watches:

- services of a datacenter: the checks that are not passing (their answer tells which service to ask), the list of services
  (any registration: address, port, tags, meta, weights), and the list of nodes (address and meta);
- keys: the names right below what all keys have in common, whose index moves with any key further below, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Tuple
from urllib.parse import quote, unquote

Params = Tuple[Tuple[str, str], ...]

SERVICES, KEYS = "services", "keys"
_SERVICE_PATH, _KEY_PATH = "/v1/health/service/", "/v1/kv/"
# What narrows the answer, but not what its changes come from.
_NARROWING = {SERVICES: {"tag", "passing", "filter", "near", "node-meta"}, KEYS: {"recurse"}}
_SCOPE = {"dc", "ns", "partition", "stale", "consistent"}


@dataclass(frozen=True)
class Group:
    """What shares sentinels: the kind (`services` or `keys`), and the datacenter and the like in which it is asked."""

    kind: str
    scope: Params

    @property
    def sentinels(self) -> int:
        """How many blocking queries it needs."""
        return 3 if self.kind == SERVICES else 1


def group_of(path: str, params: Params) -> Group | None:
    """The group with which a watch of this request can share; `None` for one that needs a query of its own."""
    kind = SERVICES if path.startswith(_SERVICE_PATH) else KEYS if path.startswith(_KEY_PATH) else ""
    scope = tuple(sorted(pair for pair in params if pair[0] in _SCOPE))
    if not kind or any(name not in _SCOPE | _NARROWING[kind] for name, _value in params):
        return None
    return Group(kind, scope)


def choose_direct(groups: Sequence[Group | None], slots: int) -> set[int]:
    """The positions of the watches that have a query of their own: as many as fit in *slots*, the first ones first.

    The queries of those that can't share, and of sentinels, are more than the slots when there are very many: they then
    take turns.
    """
    alone = {position for position, group in enumerate(groups) if group is None}
    shareable = [position for position, group in enumerate(groups) if group is not None]
    for kept in range(min(len(shareable), slots), -1, -1):
        rest = {groups[position] for position in shareable[kept:]}
        needed = kept + len(alone) + sum(group.sentinels for group in rest if group)
        if needed <= slots or not kept:
            return alone | set(shareable[:kept])
    return alone


def sentinels_of(group: Group, paths: Iterable[str]) -> list[tuple[str, Params]]:
    """The path and parameters of each sentinel of a group, whose watches have these paths."""
    if group.kind == KEYS:
        return [(_KEY_PATH + quote(common_folder(paths), safe="/"), (("keys", "1"), ("separator", "/"), *group.scope))]
    return [
        ("/v1/health/state/any", (("filter", 'Status != "passing"'), *group.scope)),
        # Of the next two only the index matters: no service has an empty name, and no node either.
        ("/v1/catalog/services", (("filter", 'ServiceName == ""'), *group.scope)),
        ("/v1/catalog/nodes", (("filter", 'Node == ""'), *group.scope)),
    ]


def common_folder(paths: Iterable[str]) -> str:
    """What the keys of these paths begin with, up to a slash; empty for the whole store."""
    keys = [unquote(path[len(_KEY_PATH) :]) for path in paths]
    first, last = min(keys, default=""), max(keys, default="")
    length = next((place for place, (one, other) in enumerate(zip(first, last)) if one != other), min(len(first), len(last)))
    return first[: first.rfind("/", 0, length) + 1]


def service_of(path: str) -> str:
    """The name of the service that a watch of this path is about."""
    return unquote(path[len(_SERVICE_PATH) :])


def troubles(checks: Any) -> set[tuple[str, str, str, int]]:
    """The checks of a sentinel's answer as service (empty for a node's own check), node, check and index.

    Raises `TypeError`, `KeyError` or `AttributeError` for what is no list of checks.
    """
    return {(check["ServiceName"], check["Node"], check["CheckID"], check["ModifyIndex"]) for check in checks}

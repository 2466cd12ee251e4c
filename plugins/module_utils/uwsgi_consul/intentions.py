# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Intentions: which service may connect to which in the mesh.

Since Consul 1.9 all intentions of a destination are one config entry, `service-intentions`; before, each was a thing of its own.

Sources: https://developer.hashicorp.com/consul/api-docs/connect/intentions and
https://developer.hashicorp.com/consul/docs/reference/config-entry/service-intentions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Dict, List

from . import arguments
from .bound import Bound, read
from .config_entries import ConfigEntries, Entry, snake_fields
from .errors import InvalidValueError

KIND = "service-intentions"
ACTIONS = ("allow", "deny")
_PATH = "/v1/connect/intentions"

Intention = Dict[str, Any]
# Within the class below, `list` is its method.
IntentionList = List[Intention]


class Intentions(Bound):
    """Intentions, each as `intention` describes it."""

    def list(self) -> IntentionList:
        """All that the token may see, by destination, the ones that count first at its beginning. Raises `ConsulError`."""
        found: IntentionList = read(self._ask("GET", _PATH), lambda data: [intention(item) for item in data or ()])
        return sorted(found, key=lambda one: (one["destination"], -one["precedence"], one["source"], one["source_peer"] or ""))

    def ensure(self, source: str, destination: str, **definition: Any) -> bool:
        """Makes one intention what is given (see `define`), and leaves the destination's others; returns whether it was not.

        Consul 1.9 and later. Raises `ConsulError`.
        """
        wanted = define(source, destination, **definition)
        before, after = self._entries().update(KIND, destination, lambda found: merged(found, destination, [wanted]))
        return before != after

    def remove(self, source: str, destination: str, *, source_peer: str | None = None) -> bool:
        """Removes one intention, and leaves the destination's others; returns whether there was one. As for `ensure`."""
        arguments.name(destination, "destination")
        gone = [{"source": arguments.name(source, "source"), "source_peer": _peer(source_peer)}]
        before, after = self._entries().update(KIND, destination, lambda found: without(found, gone))
        return before != after

    def create_old(self, wanted: Intention) -> str:
        """Makes an intention where Consul is older than 1.9, and returns its id. Raises `ConsulError`."""
        return str(read(self._ask("POST", _PATH, body=_old(wanted)), lambda data: data["ID"]))

    def update_old(self, intention_id: str, wanted: Intention) -> None:
        """Writes an intention anew where Consul is older than 1.9. Raises `ConsulError`."""
        self._ask("PUT", f"{_PATH}/{arguments.session(intention_id, 'intention_id')}", body=_old(wanted))

    def delete_old(self, intention_id: str) -> None:
        """Deletes an intention where Consul is older than 1.9. Raises `ConsulError`."""
        self._ask("DELETE", f"{_PATH}/{arguments.session(intention_id, 'intention_id')}")

    def _entries(self) -> ConfigEntries:
        return ConfigEntries(self.client, datacenter=self.datacenter).in_primary()


def define(
    source: str,
    destination: str,
    *,
    action: str | None = None,
    permissions: Iterable[Mapping[str, Any]] | None = None,
    description: str = "",
    meta: Mapping[str, str] | None = None,
    source_peer: str | None = None,
) -> Intention:
    """An intention; raises `InvalidValueError` for one that can't be right.

    source, destination: names of services, `*` for all. action: `allow` or `deny`. permissions: in its place for HTTP, tried
    in turn: `[{"action": "allow", "http": {"path_prefix": "/api", "methods": ["GET"]}}]`. meta: Consul keeps one for all
    intentions of a destination; unless given, it stays. source_peer: the peer that the source is imported from.
    """
    wanted = {
        "source": arguments.name(source, "source"),
        "destination": arguments.name(destination, "destination"),
        "source_peer": _peer(source_peer),
        "action": None if action is None else arguments.choice(action, "action", ACTIONS),
        "permissions": _permissions(permissions),
        "description": arguments.text(description, "description", 512),
        "meta": None if meta is None else arguments.texts(meta, "meta"),
    }
    if (action is None) == (not wanted["permissions"]):
        raise InvalidValueError(f"action: {source} to {destination} needs an action or permissions, and one of them only")
    return wanted


def merged(found: Entry | None, destination: str, wanted: Iterable[Intention], *, alone: bool = False) -> Entry:
    """The config entry of a destination with these intentions; with *alone*, without its others."""
    entry = dict(found or {"kind": KIND, "name": destination})
    sources = {_identity(one): one for one in ([] if alone else entry.get("sources") or [])}
    for one in wanted:
        source = {"name": one["source"], "type": "consul", "description": one["description"]}
        source.update({"action": one["action"]} if one["action"] else {"permissions": one["permissions"]})
        if one["source_peer"]:
            source["peer"] = one["source_peer"]
        sources[_identity(source)] = source
        if one["meta"] is not None:
            entry["meta"] = one["meta"]
    return {**entry, "sources": list(sources.values())}


def without(found: Entry | None, gone: Iterable[Intention]) -> Entry | None:
    """The config entry of a destination without the intentions of some sources; `None` when none is left."""
    if found is None:
        return None
    keys = {(one["source"], one["source_peer"] or "", "") for one in gone}
    left = [source for source in found.get("sources") or [] if _identity(source) not in keys]
    return {**found, "sources": left} if left else None


def of_entry(entry: Entry) -> IntentionList:
    """The intentions of a config entry, in the terms of `define`."""
    return [
        {
            "source": source["name"],
            "destination": entry["name"],
            "source_peer": source.get("peer") or None,
            "action": source.get("action") or None,
            "permissions": source.get("permissions") or [],
            "description": source.get("description") or "",
            "meta": entry.get("meta") or {},
        }
        for source in entry.get("sources") or []
    ]


def intention(item: dict[str, Any]) -> Intention:
    """One entry of `/v1/connect/intentions` as a plain mapping:

    id (`None` since Consul 1.9), source, source_peer (`None` without one), destination, action (`None` with permissions),
    permissions (in snake_case), description, meta, precedence, create_index, modify_index.
    """
    return {
        "id": item.get("ID") or None,
        "source": item["SourceName"],
        "source_peer": item.get("SourcePeer") or None,
        "destination": item["DestinationName"],
        "action": item.get("Action") or None,
        "permissions": _permissions(item.get("Permissions")),
        "description": item.get("Description") or "",
        "meta": item.get("Meta") or {},
        "precedence": item.get("Precedence", 0),
        "create_index": item.get("CreateIndex", 0),
        "modify_index": item.get("ModifyIndex", 0),
    }


def _identity(source: Mapping[str, Any]) -> tuple[str, str, str]:
    return source["name"], source.get("peer") or "", source.get("sameness_group") or ""


def _peer(given: str | None) -> str | None:
    return None if given is None else arguments.name(given, "source_peer")


def _permissions(given: Any) -> IntentionList:
    if given is None:
        return []
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidValueError(f"permissions: {arguments.shown(given)} is no list of permissions")
    return [snake_fields(one, "permissions") for one in given]


def judge_old(wanted: Intention) -> None:
    """Refuses what Consul before 1.9 does not have. Raises `InvalidValueError`."""
    for field in ("permissions", "source_peer"):
        if wanted[field]:
            raise InvalidValueError(f"{field}: Consul before 1.9 has intentions with an action only", advice="Ask a newer Consul")


def _old(wanted: Intention) -> dict[str, Any]:
    judge_old(wanted)
    return {
        "SourceName": wanted["source"],
        "DestinationName": wanted["destination"],
        "SourceType": "consul",
        "Action": wanted["action"],
        "Description": wanted["description"],
        "Meta": wanted["meta"] or {},
    }

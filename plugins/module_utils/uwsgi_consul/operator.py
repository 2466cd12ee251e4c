# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The servers of a datacenter among themselves: who is a peer, who leads, what autopilot does and says.

Sources: https://developer.hashicorp.com/consul/api-docs/operator/raft and .../operator/autopilot
"""

from __future__ import annotations

from typing import Any, Dict

from . import arguments
from .bound import Bound, read
from .errors import ConflictError, InvalidValueError, NotFoundError
from .protocol import duration, seconds

Server = Dict[str, Any]
Configuration = Dict[str, Any]

# The fields of autopilot's configuration that Consul has without a licence, and those that only do something with one.
_DURATIONS = {"last_contact_threshold": "LastContactThreshold", "server_stabilization_time": "ServerStabilizationTime"}
_NUMBERS = {"max_trailing_logs": "MaxTrailingLogs", "min_quorum": "MinQuorum"}
_BOOLEANS = {"cleanup_dead_servers": "CleanupDeadServers", "disable_upgrade_migration": "DisableUpgradeMigration"}
_TEXTS = {"redundancy_zone_tag": "RedundancyZoneTag", "upgrade_version_tag": "UpgradeVersionTag"}
FIELDS = (*_DURATIONS, *_NUMBERS, *_BOOLEANS, *_TEXTS)


class Operator(Bound):
    """Raft and autopilot of the datacenter. Reading needs `operator:read`, all else `operator:write`."""

    def servers(self) -> list[Server]:
        """The peers of Raft, by name, each as `server` describes it. Raises `ConsulError`."""
        answer = self._ask("GET", "/v1/operator/raft/configuration")
        found: list[Server] = read(answer, lambda data: [server(item) for item in data["Servers"]])
        return sorted(found, key=lambda one: (one["node"], one["id"]))

    def remove(self, server_id: str) -> None:
        """Takes a server out of Raft by its id, whether it lives or not; the others do not count on it any more.

        A server that lives is not stopped by that: stop it before. Raises `NotFoundError` when there is no such peer.
        """
        params = [("id", arguments.name(server_id, "server_id"))]
        answer = self._ask("DELETE", "/v1/operator/raft/peer", params, idempotent=False, allow=(500,))
        if answer.status != 200:
            if "not found" not in answer.text:
                raise answer.bad(f"the server was not removed: {answer.status} {answer.text.strip()}")
            raise NotFoundError(answer.text.strip(), asked=answer.asked, agent=answer.agent, status=404, answer=answer.text)

    def transfer_leadership(self, server_id: str | None = None) -> None:
        """Makes the leader hand over to the server with that id, or to any that is up to date; returns when it has agreed to.

        Needs Consul 1.15 and another voter. Raises `ConsulError`.
        """
        params = [] if server_id is None else [("id", arguments.name(server_id, "server_id"))]
        try:
            self._ask("POST", "/v1/operator/raft/transfer-leader", params)
        except NotFoundError as error:
            raise ConflictError(
                "this Consul can't transfer leadership",
                asked=error.asked,
                agent=error.agent,
                advice="Releases before 1.15 can't: restart the leader's agent, and the others elect another one",
            ) from None

    def autopilot(self) -> Configuration:
        """Autopilot's configuration as `configuration` describes it. Raises `ConsulError`."""
        found: Configuration = read(self._ask("GET", "/v1/operator/autopilot/configuration"), configuration)
        return found

    def configure(self, *, index: int | None = None, **fields: Any) -> None:
        """Sets fields of autopilot's configuration, named as in `configuration`, and leaves the others as they are.

        index: the `modify_index` at which they must still be as they were; unless given, that of just now. Raises `ConflictError`
        when somebody changed them meanwhile, `InvalidValueError`, `ConsulError`.
        """
        wanted = terms(fields)
        if index is not None:
            arguments.integer(index, "index")
        path = "/v1/operator/autopilot/configuration"
        answer = self._ask("GET", path)
        there, at = read(answer, lambda data: (dict(data), data["ModifyIndex"] if index is None else index))
        there.update(wanted)
        answer = self._ask("PUT", path, [("cas", at)], there, idempotent=False)
        if answer.json() is not True:
            raise ConflictError("autopilot's configuration was changed by somebody else meanwhile, and nothing was changed")

    def health(self) -> dict[str, Any]:
        """What autopilot thinks of the servers:

        healthy, failure_tolerance (how many servers may be lost without an outage), servers (by name, each with id, node, address,
        serf_status (`alive`, `failed` or `left`), version, leader, voter, healthy, stable_since, last_contact (seconds), last_index).
        Raises `ConsulError`.
        """
        # An unhealthy cluster answers 429, and there is nothing to wait for: hence no second try.
        answer = self._ask("GET", "/v1/operator/autopilot/health", idempotent=False, allow=(429,))
        found: dict[str, Any] = read(answer, _health)
        return found


def server(item: dict[str, Any]) -> Server:
    """One peer as a plain mapping: id, node, address (of its RPC), leader, voter, protocol_version."""
    return {
        "id": item["ID"],
        "node": item["Node"],
        "address": item["Address"],
        "leader": item["Leader"],
        "voter": item["Voter"],
        "protocol_version": int(item["ProtocolVersion"]),
    }


def configuration(item: dict[str, Any]) -> Configuration:
    """Autopilot's configuration as a plain mapping:

    cleanup_dead_servers, last_contact_threshold and server_stabilization_time (seconds), max_trailing_logs, min_quorum,
    disable_upgrade_migration, redundancy_zone_tag, upgrade_version_tag, modify_index.
    """
    return {
        **{name: seconds(item[field]) for name, field in _DURATIONS.items()},
        **{name: item.get(field) or 0 for name, field in _NUMBERS.items()},
        **{name: item.get(field) or False for name, field in _BOOLEANS.items()},
        **{name: item.get(field) or "" for name, field in _TEXTS.items()},
        "modify_index": item["ModifyIndex"],
    }


def terms(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of autopilot's configuration as Consul takes them; raises `InvalidValueError` for those that can't be right."""
    body: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _DURATIONS:
            body[_DURATIONS[name]] = duration(arguments.duration(value, name, 0.001, 86400))
        elif name in _NUMBERS:
            body[_NUMBERS[name]] = arguments.integer(value, name, 0, 2**32)
        elif name in _BOOLEANS:
            body[_BOOLEANS[name]] = arguments.boolean(value, name)
        elif name in _TEXTS:
            body[_TEXTS[name]] = arguments.text(value, name, arguments.LONGEST_NAME)
        else:
            raise InvalidValueError(f"{arguments.shown(name)} is none of {', '.join(FIELDS)}")
    return body


def _health(data: dict[str, Any]) -> dict[str, Any]:
    servers = [
        {
            "id": item["ID"],
            "node": item["Name"],
            "address": item["Address"],
            "serf_status": item["SerfStatus"],
            "version": item["Version"],
            "leader": item["Leader"],
            "voter": item["Voter"],
            "healthy": item["Healthy"],
            "stable_since": item["StableSince"],
            "last_contact": _contact(item["LastContact"]),
            "last_index": item["LastIndex"],
        }
        for item in data["Servers"] or ()
    ]
    return {
        "healthy": data["Healthy"],
        "failure_tolerance": data["FailureTolerance"],
        "servers": sorted(servers, key=lambda one: (one["node"], one["id"])),
    }


def _contact(said: str) -> float | None:
    """Seconds; a server that was never heard of has a negative time, or none."""
    return None if not said or said.startswith("-") else seconds(said)

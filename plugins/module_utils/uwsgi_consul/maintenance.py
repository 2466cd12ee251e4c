# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Maintenance: takes a node, or one of its services, out of discovery and back, until somebody says otherwise.

Sources: https://developer.hashicorp.com/consul/api-docs/agent#enable-maintenance-mode and .../agent/service
"""

from __future__ import annotations

from typing import Any

from . import arguments
from .api import Api
from .bound import Bound, read
from .registry import Registry

_NODE_CHECK, _SERVICE_CHECK = "_node_maintenance", "_service_maintenance:"


class Maintenance(Bound):
    """The maintenance of one agent's node, and of the services that are registered with that agent.

    The client must have that agent's address, and no other. Raises `InvalidValueError`.
    """

    def __init__(self, client: Api | None = None) -> None:
        super().__init__(client)
        self._one_agent("maintenance")

    def enable(self, service_id: str | None = None, *, reason: str = "") -> dict[str, Any]:
        """Begins the maintenance of the node, or of the service with that id (its id, not its name).

        reason: for people; Consul has a text of its own for an empty one. A maintenance that is on keeps the reason that it
        has: only a moment without it would change that. Returns what `state` says of it, and `changed`: whether it was
        off before. Raises `NotFoundError` for an unknown service, `ConsulError`.
        """
        return self._switch(service_id, True, arguments.text(reason, "reason", arguments.LONGEST_NAME))

    def disable(self, service_id: str | None = None) -> dict[str, Any]:
        """Ends the maintenance of the node, or of the service with that id; that of the node does not end those of services.

        Returns what `state` says of it, and `changed`: whether it was on before. Raises as `enable`.
        """
        return self._switch(service_id, False, "")

    def change(self, service_id: str | None = None, *, reason: str) -> dict[str, Any]:
        """Gives a maintenance that is on another reason, and begins one that is off; returns as `enable` does.

        Consul can only end it and begin it anew. So that nobody gets traffic in between, a check that is critical stands in for that
        moment. Raises as `enable`.
        """
        arguments.text(reason, "reason", arguments.LONGEST_NAME)
        registry = Registry(self.client)
        before = self.enable(service_id, reason=reason)
        if before["changed"] or before["reason"] == reason:
            return before
        check_id = "uwsgi-consul-maintenance" if service_id is None else f"uwsgi-consul-maintenance:{service_id}"
        stand_in = {"id": check_id, "name": "Maintenance goes on", "ttl": "1h", "status": "critical"}
        registry.register_check(stand_in, service_id=service_id)
        try:
            self.disable(service_id)
            return {**self.enable(service_id, reason=reason), "changed": False}
        finally:
            registry.deregister_check(check_id)

    def state(self) -> dict[str, Any]:
        """What is in maintenance: `{"node": {"enabled": ..., "reason": ...}, "services": {id: the same, ...}}`.

        Of services, those that are. Raises `ConsulError`.
        """
        found: dict[str, Any] = read(self._ask("GET", "/v1/agent/checks"), _state)
        return found

    def _switch(self, service_id: str | None, enabled: bool, reason: str) -> dict[str, Any]:
        path = "/v1/agent/maintenance"
        if service_id is not None:
            path = f"/v1/agent/service/maintenance/{arguments.path_name(service_id, 'service_id')}"
        params = [("enable", "true" if enabled else "false"), *([("reason", reason)] if reason else [])]
        before = _of(self.state(), service_id)
        # Sent even if nothing seems to change: it does no harm then, and says whether the service is known.
        self._ask("PUT", path, params, idempotent=True)
        after = _of(self.state(), service_id)
        return {**after, "changed": before["enabled"] != after["enabled"]}


def _state(checks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    node, services = _off(), {}
    for check_id, check in checks.items():
        found = {"enabled": True, "reason": check["Notes"]}
        if check_id == _NODE_CHECK:
            node = found
        elif check_id.startswith(_SERVICE_CHECK):
            services[check_id[len(_SERVICE_CHECK) :]] = found
    return {"node": node, "services": services}


def _of(state: dict[str, Any], service_id: str | None) -> dict[str, Any]:
    found: dict[str, Any] = state["node"] if service_id is None else state["services"].get(service_id, _off())
    return found


def _off() -> dict[str, Any]:
    return {"enabled": False, "reason": ""}

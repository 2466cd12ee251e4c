# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance of an agent's node, or of one of its services."""

from __future__ import annotations

from ._module import Change, Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import NotFoundError
from .uwsgi_consul.maintenance import Maintenance
from .uwsgi_consul.registry import Registry

_OFF = {"enabled": False, "reason": ""}


def manage(task: Task) -> Change:
    """The module `consul_maintenance`."""
    service_id, reason = task.params["service_id"], task.params["reason"]
    if service_id is not None:
        arguments.name(service_id, "service_id")
    arguments.text(reason or "", "reason", arguments.LONGEST_NAME)
    maintenance = Maintenance(task.api)
    state = maintenance.state()
    found = state["node"] if service_id is None else state["services"].get(service_id, _OFF)
    if service_id is not None and not found["enabled"] and service_id not in Registry(task.api).services():
        Registry(task.api).refuse_hidden(service_id)
        raise NotFoundError(f"the agent has no service {service_id}", advice="Give its ID, which may differ from its name")
    enable = task.params["state"] == "enabled"
    # Without a reason of the task, the one that there is stands.
    said = str(reason or found["reason"])
    wanted = {"enabled": True, "reason": said} if enable else _OFF
    if not task.check_mode and not enable:
        # Also where none is seen: the token may not see it, and only this way Consul says so.
        maintenance.disable(service_id)
    elif not task.check_mode and found != wanted:
        if found["enabled"]:
            maintenance.change(service_id, reason=said)
        else:
            maintenance.enable(service_id, reason=said)
    task.results["enabled"] = enable
    return Change(found, wanted)

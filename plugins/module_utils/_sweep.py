# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that are critical for longer than a threshold, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict

from ._module import Change, Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import InvalidValueError
from .uwsgi_consul.sweeper import Sweeper

Finding = Dict[str, Any]


def manage(task: Task) -> Change | None:
    """The module `consul_sweep`."""
    params = task.params
    agents, remove = _agents(params["node_agents"]), params["state"] == "absent"
    state_file = arguments.name(params["state_file"], "state_file")
    sweeper = Sweeper(task.api, state=state_file, agent=agents.get, strict=params["strict"])
    limits = {"limit": params["limit"], "fraction": params["fraction"]}
    options = {"services": params["services"], **limits}
    found = sweeper.sweep(params["threshold"], **options)
    task.results["found"] = found
    if not remove:
        return None
    sweeper.allow(len(found), **limits)
    due = [one for one in found if one["problem"] == "dry run"]
    if task.check_mode:
        return _change(due)
    if due:
        done = sweeper.sweep(params["threshold"], dry_run=False, **options)
        task.results["found"] = done
        due = [one for one in done if one["removed"]]
    for one in task.results["found"]:
        if not one["removed"]:
            task.warn(f"service {one['id']} of node {one['node']} stays: {one['problem']}")
    return _change(due)


def _change(removed: list[Finding]) -> Change:
    return Change({f"{one['node']}/{one['id']}": {name: one[name] for name in ("service", "check", "by")} for one in removed}, {})


def _agents(given: object) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidValueError(f"node_agents: {arguments.shown(given)} is no mapping of nodes to addresses")
    return {arguments.name(node, "node_agents"): arguments.name(address, f"node_agents: {node}") for node, address in given.items()}

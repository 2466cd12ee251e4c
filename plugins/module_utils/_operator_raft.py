# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of a datacenter as they shall be: peers, leader, autopilot."""

from __future__ import annotations

import time
from typing import Any

from ._module import Change, Task, without_none
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConflictError, ConsulError, InvalidValueError, NoAgentError, ServerError
from .uwsgi_consul.operator import Operator, Server, terms

# For how many seconds a new leader is awaited.
_ELECTION = 30.0
_DURATIONS = ("last_contact_threshold", "server_stabilization_time")


def manage(task: Task) -> Change:
    """The module `consul_operator_raft`."""
    operator = Operator(task.api)
    settings = _settings(task)
    servers = operator.servers()
    autopilot = operator.autopilot()
    index = autopilot.pop("modify_index")
    before = {"peers": _names(servers), "leader": _leader(servers), "autopilot": autopilot}
    gone = _gone(task, operator, servers)
    left = [one for one in servers if one not in gone]
    successor = _successor(task, left)
    after = {
        "peers": _names(left),
        "leader": successor["node"] if successor else before["leader"],
        "autopilot": {**autopilot, **settings},
    }
    if not task.check_mode:
        for one in gone:
            operator.remove(one["id"])
            task.changed = True
        if successor:
            _transfer(task, operator, successor)
        if after["autopilot"] != autopilot:
            operator.configure(index=index, **settings)
            task.changed = True
    task.results["servers"] = operator.servers()
    task.results["leader"] = _leader(task.results["servers"])
    task.results["autopilot"] = operator.autopilot()
    task.results["health"] = operator.health()
    return Change(before, after)


def _settings(task: Task) -> dict[str, Any]:
    """The fields of autopilot's configuration that the task gives, as `Operator.autopilot` has them."""
    given = without_none(task.params["autopilot"] or {})
    terms(given)
    return {name: arguments.duration(value, name) if name in _DURATIONS else value for name, value in given.items()}


def _gone(task: Task, operator: Operator, servers: list[Server]) -> list[Server]:
    """The peers that shall be none any more. One that lives is refused: it would go on, without a voice."""
    names = arguments.names(task.params["absent_peers"] or (), "absent_peers")
    gone = [one for one in servers if any(_is(one, name) for name in names)]
    for one in gone:
        if one["leader"]:
            raise InvalidValueError(f"absent_peers: {one['node']} is the leader", advice="Let another one lead before, by not_leader")
    if gone and not task.params["force"]:
        alive = {one["id"] for one in operator.health()["servers"] if one["serf_status"] == "alive"}
        for one in gone:
            if one["id"] in alive:
                raise InvalidValueError(
                    f"absent_peers: {one['node']} ({one['id']}) is alive",
                    advice="Stop its agent before (consul leave), or give force=true",
                )
    return gone


def _successor(task: Task, servers: list[Server]) -> Server | None:
    """The server that leadership goes to; none where the right one has it."""
    leader = next((one for one in servers if one["leader"]), None)
    wanted, unwanted = task.params["leader"], arguments.names(task.params["not_leader"] or (), "not_leader")
    if wanted is not None:
        found = [one for one in servers if _is(one, arguments.name(wanted, "leader"))]
        if not found or not found[0]["voter"]:
            reason = "is no voter" if found else "is no server"
            raise InvalidValueError(f"leader: {wanted} {reason}", advice=f"Servers are {', '.join(_names(servers))}")
        return None if found[0]["leader"] else found[0]
    if leader and any(_is(leader, name) for name in unwanted):
        fit = [one for one in servers if one["voter"] and not any(_is(one, name) for name in unwanted)]
        healthy = {one["id"] for one in Operator(task.api).health()["servers"] if one["healthy"]}
        fit = [one for one in fit if one["id"] in healthy]
        if not fit:
            raise ConflictError("not_leader: there is no other healthy server that could lead", advice="Mend or add one before")
        return fit[0]
    return None


def _transfer(task: Task, operator: Operator, successor: Server) -> None:
    """Makes the server the leader, and waits until it is. A leader that resigns breaks off what it was asked just then."""
    deadline = time.monotonic() + _ELECTION
    asked = False
    problem: ConsulError = ConsulError(f"leader: {successor['node']} does not lead {_ELECTION:g} s after it was asked to")
    while time.monotonic() < deadline:
        try:
            leader = _leader(operator.servers())
            if leader == successor["node"]:
                return
            if leader and not asked:
                operator.transfer_leadership(successor["id"])
                asked = task.changed = True
        except (NoAgentError, ServerError) as error:
            # It may have been done all the same, or may be possible in a moment.
            problem = error
        time.sleep(0.2)
    raise problem


def _is(server: Server, name: str) -> bool:
    return name in (server["id"], server["node"], server["address"])


def _names(servers: list[Server]) -> list[str]:
    return [one["node"] for one in servers]


def _leader(servers: list[Server]) -> str | None:
    return next((one["node"] for one in servers if one["leader"]), None)

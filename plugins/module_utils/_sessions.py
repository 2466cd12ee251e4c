# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions that are made once."""

from __future__ import annotations

from typing import Any

from ._module import NOTHING, Change, Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConflictError
from .uwsgi_consul.sessions import Session, Sessions, oldest_first, terms

_TERMS = ("node", "ttl", "lock_delay", "behavior", "node_checks", "service_checks")
_DURATIONS = ("ttl", "lock_delay")
_LISTS = ("node_checks", "service_checks")


def manage(task: Task) -> Change:
    """The module `consul_session`."""
    sessions = Sessions(task.api)
    if task.params["state"] == "absent":
        return _absent(task, sessions)
    wanted = task.given("name", *_TERMS)
    # Judged at once, whether a session has to be made or not.
    terms(**wanted)
    found = _named(task, sessions) if task.params["unique"] else []
    if found:
        task.results["session"] = _kept(task, sessions, found[0])
    elif not task.check_mode:
        made = sessions.create(**wanted)
        task.changed = True
        first = _first(task, sessions, made)
        if first is not None:
            found = [first]
            task.results["session"] = _kept(task, sessions, first)
        else:
            task.results["session"] = sessions.info(made)
    return NOTHING if found else Change(None, wanted)


def find(task: Task) -> None:
    """The module `consul_session_info`."""
    sessions, params = Sessions(task.api), task.params
    if params["name"] is not None:
        arguments.name(params["name"], "name")
    if params["id"]:
        one = sessions.info(params["id"])
        found = [one] if one else []
    else:
        found = sessions.node(params["node"]) if params["node"] else sessions.list()
    task.results["sessions"] = oldest_first(one for one in found if params["name"] in (None, one["name"]))


def _named(task: Task, sessions: Sessions) -> list[Session]:
    """The sessions of the task's name, on its node where it names one, the oldest first."""
    name, node = task.params["name"], task.params["node"]
    arguments.name(name, "name")
    return oldest_first(one for one in sessions.list() if one["name"] == name and node in (None, one["node"]))


def _first(task: Task, sessions: Sessions, made: str) -> Session | None:
    """The session that another run made at the same time and before this one, which then goes; else none."""
    if not task.params["unique"]:
        return None
    first = next(iter(_named(task, sessions)), None)
    if first is None or first["id"] == made:
        return None
    sessions.destroy(made)
    task.changed = False
    return first


def _absent(task: Task, sessions: Sessions) -> Change:
    if task.params["id"]:
        one = sessions.info(task.params["id"])
        found = [one] if one else []
        if not found and not task.check_mode:
            # The token may not see it, and only this way Consul says so.
            sessions.destroy(task.params["id"])
    else:
        found = _named(task, sessions)
        if not found and sessions.filtered:
            task.warn(f"whether session {task.params['name']} is gone is not known: Consul left out sessions that the token may not see")
    for one in found:
        if not task.check_mode:
            sessions.destroy(one["id"])
            task.changed = True
    return Change({one["id"]: _described(one) for one in found}, {})


def _kept(task: Task, sessions: Sessions, found: Session) -> Session:
    """The session that is there already, its TTL begun anew. Consul can't change one, so it must be as the task wants it."""
    wanted = task.given(*_TERMS)
    for name in _DURATIONS:
        if name in wanted:
            wanted[name] = arguments.duration(wanted[name], name) or None
    for name, value in wanted.items():
        there = found[name]
        if (sorted(there) if name in _LISTS else there) != (sorted(value) if name in _LISTS else value):
            raise ConflictError(
                f"session {found['name']} ({found['id']}) has {name} {arguments.shown(there)}, and the task wants {arguments.shown(value)}",
                advice="Consul can't change a session: remove it (state=absent, which ends its locks), or take another name",
            )
    return found if task.check_mode or not found["ttl"] else sessions.renew(found["id"])


def _described(session: dict[str, Any]) -> dict[str, Any]:
    return {name: session[name] for name in ("name", *_TERMS) if session.get(name) not in (None, [])}

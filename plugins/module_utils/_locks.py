# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks and places of semaphores that live across tasks and plays.

A session that is made here is known by its name, which says what it is for and whose it is. It is removed with the release.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Sequence
from typing import Any, Dict, Union

from ._module import NOTHING, Change, Task
from ._waiting import seconds_of
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConflictError, ConsulError, NotAcquiredError, NotFoundError
from .uwsgi_consul.kv import KV
from .uwsgi_consul.lock import value_of
from .uwsgi_consul.session_locks import SessionLock, SessionSemaphore
from .uwsgi_consul.sessions import Session, Sessions, oldest_first, terms

# How many holders a failure names, at most.
_SHOWN = 5
# What both modules take.
OPTIONS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
    "session": {"type": "str"},
    "holder": {"type": "str"},
    "value": {"type": "str"},
    "wait": {"type": "str", "default": "5m"},
    "ttl": {"type": "str", "default": "10m"},
    "node": {"type": "str"},
}
CONSTRAINTS: dict[str, Any] = {
    "mutually_exclusive": [("session", "holder")],
    "required_if": [("state", "released", ("session", "holder"), True)],
}
_Held = Union[SessionLock, SessionSemaphore]
_State = Dict[str, Any]


def lock(task: Task) -> Change:
    """The module `consul_lock`."""
    key = task.params["key"]
    return _Possession(task, SessionLock(key, client=task.api), f"Lock {key}", key).manage()


def semaphore(task: Task) -> Change:
    """The module `consul_semaphore`."""
    held = SessionSemaphore(task.params["prefix"], task.params["limit"], client=task.api)
    return _Possession(task, held, f"Semaphore {task.params['prefix'].rstrip('/')}", None).manage()


class _Possession:
    """What the task holds, or shall hold. key: of a lock, whose value is what people read."""

    def __init__(self, task: Task, held: _Held, title: str, key: str | None) -> None:
        self._task, self._held, self._title, self._key = task, held, title, key
        self._sessions, self._params = Sessions(task.api), task.params
        self._wait = seconds_of(task.params["wait"], "wait")
        # Judged at once, whether a session has to be made or not.
        terms(**self._terms())
        value_of(task.params["value"])
        # What an earlier task returned in check mode, where it made none.
        self._made_in_check = task.check_mode and task.params["session"] == ""
        if task.params["session"] is not None and not self._made_in_check:
            arguments.session(task.params["session"], "session")

    def manage(self) -> Change:
        if self._made_in_check:
            return self._as_if_held()
        own = self._own_sessions()
        mine = next((one for one in own if self._held.token(one["id"])), None)
        return self._hold(own, mine) if self._params["state"] == "held" else self._release(mine)

    def _as_if_held(self) -> Change:
        held = self._state(None, held=True)
        self._task.results.update(session="", token=0)
        return Change(held, held if self._params["state"] == "held" else None)

    # Whose it is.

    def _own_name(self) -> str:
        """What a session is named that is made here: that of a holder is found again by it."""
        if self._params["holder"] is not None:
            return arguments.name(f"{self._title} of {arguments.name(self._params['holder'], 'holder')}", "holder")
        return f"{self._title}, Ansible on {platform.node() or 'a host without a name'}"[: arguments.LONGEST_NAME]

    def _terms(self) -> dict[str, Any]:
        given = self._task.given("node", "ttl", "lock_delay", "behavior") if self._key else self._task.given("node", "ttl")
        behavior = {} if self._key else {"behavior": "delete"}
        # The node's health says nothing about the run that holds it.
        return {"name": self._own_name(), "node_checks": [], **given, **behavior}

    def _own_sessions(self) -> list[Session]:
        """Those sessions that stand for the task's holder; none when the task makes one."""
        if self._params["session"] is not None:
            one = self._sessions.info(self._params["session"])
            if one is None and self._params["state"] == "held":
                raise NotFoundError(
                    f"session {self._params['session']} has ended, and what it held is lost",
                    advice="It was not renewed in time (give a longer ttl), or somebody removed it. Others may have been at work since",
                )
            return [one] if one else []
        if self._params["holder"] is None:
            return []
        name = self._own_name()
        return oldest_first(one for one in self._sessions.list() if one["name"] == name)

    # Holding.

    def _hold(self, own: Sequence[Session], mine: Session | None) -> Change:
        before, after = self._state(mine), self._state(mine or (own[0] if own else None), held=True)
        session = mine or (own[0] if own else None)
        if mine is None:
            self._foresee()
        if self._task.check_mode:
            self._task.results.update(session=session["id"] if session else "", token=0)
            return Change(before, after)
        made: list[str] = []

        def make() -> str:
            made.append(self._sessions.create(**self._terms()))
            return made[0]

        try:
            token = self._held.acquire(session["id"] if session else make, value=self._params["value"], wait=self._wait)
        except BaseException as error:
            # None that nobody knows of may stay, nor what it may have got.
            for one in made:
                with contextlib.suppress(ConsulError):
                    self._held.release(one)
                with contextlib.suppress(ConsulError):
                    self._sessions.destroy(one)
            if isinstance(error, NotAcquiredError):
                raise self._not_acquired(error) from None
            raise
        self._task.changed = before != after
        self._task.results.update(session=made[0] if made else session["id"] if session else "", token=token)
        return Change(before, after)

    def _foresee(self) -> None:
        """Fails where it can't be had; what is only a matter of waiting is not waited for in check mode."""
        if self._held.is_taken() and not self._wait:
            raise self._not_acquired(NotAcquiredError(f"{self._held.layout.what} could not be had within 0 s"))

    def _not_acquired(self, error: NotAcquiredError) -> NotAcquiredError:
        return NotAcquiredError(f"{error.problem}: {self._who()}", advice="Give a longer wait, or free it by removing that session")

    def _who(self) -> str:
        """Who holds it, as far as the token may see; the results have it in full."""
        with contextlib.suppress(ConsulError):
            holders = [self._sessions.info(one) or {"id": one} for one in self._held.holders()[:_SHOWN]]
            self._task.results["holders"] = holders
            if holders:
                return "it is held by " + "; ".join(_described(one) for one in holders)
            return "nobody holds it, so its last holder's lock delay is not over"
        return "Consul does not say by whom it is held"

    def _state(self, session: Session | None, held: bool = False) -> _State | None:
        """What diff mode shows: only what this task can tell before, so not the id of a session that is yet to be made."""
        if session is None and not held:
            return None
        state: _State = {"held_by": session["name"] if session else self._own_name()}
        if self._key is not None and self._params["value"] is not None:
            state["value"] = self._params["value"] if held else self._value()
        return state

    def _value(self) -> str:
        entry = KV(self._task.api).get(self._key or "")
        return str(entry["value"], "utf-8", "backslashreplace") if entry else ""

    # Releasing.

    def _release(self, mine: Session | None) -> Change:
        if mine is None:
            # A semaphore's other holders are no hindrance.
            if self._key is not None and self._held.holders():
                raise ConflictError(
                    f"{self._held.layout.what} is not this task's: {self._who()}",
                    advice="It was lost, or never acquired. Nothing was released",
                )
            return NOTHING
        if not self._task.check_mode:
            self._task.changed = self._held.release(mine["id"], behavior=mine["behavior"])
            if mine["name"].startswith((f"{self._title} of ", f"{self._title}, Ansible on ")):
                self._sessions.destroy(mine["id"])
        return Change({"held_by": mine["name"]}, None)


def _described(session: Session) -> str:
    if "node" not in session:
        return f"session {session['id']}"
    return f"session {session['id']} ({session['name'] or 'without a name'}, of node {session['node']})"

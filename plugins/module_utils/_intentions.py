# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intentions as a task wants them: parts of config entries, or things of their own where Consul is older than 1.9."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Dict, List, Tuple

from ._config_entries import Goal, settle
from ._module import Change, Task, without_none
from ._several import each
from .uwsgi_consul import arguments
from .uwsgi_consul.config_entries import ConfigEntries, Entry, UnknownKindError
from .uwsgi_consul.errors import InvalidValueError
from .uwsgi_consul.intentions import KIND, Intention, Intentions, define, judge_old, merged, of_entry, without

_FIELDS = ("source", "destination", "source_peer", "action", "permissions", "description", "meta")
OPTIONS: dict[str, dict[str, Any]] = {
    "source": {"type": "str"},
    "destination": {"type": "str"},
    "source_peer": {"type": "str"},
    "action": {"type": "str", "choices": ["allow", "deny"]},
    "permissions": {"type": "list", "elements": "dict"},
    "description": {"type": "str"},
    "meta": {"type": "dict"},
}
# Source, its peer, destination.
Key = Tuple[str, str, str]
ByDestination = Dict[str, List[Intention]]


def manage(task: Task) -> Change:
    """The module `consul_intention`."""
    wanted = _wanted(task)
    try:
        return _of_entries(task, wanted)
    except UnknownKindError:
        return _old(task, wanted)


def _wanted(task: Task) -> dict[Key, Intention]:
    if task.params["purge"] and task.params["state"] == "absent":
        raise InvalidValueError("purge: removes what the task does not list, which is nothing to do with state=absent")
    wanted: dict[Key, Intention] = {}
    metas: dict[str, Any] = {}
    for place, given in each(task, "intentions"):
        with arguments.within(place):
            one = _judged(task, given)
            if _key(one) in wanted:
                raise InvalidValueError(f"{one['source']} to {one['destination']} is given twice")
            if one["meta"] is not None and metas.setdefault(one["destination"], one["meta"]) != one["meta"]:
                raise InvalidValueError(f"meta: is another than before, and Consul keeps one for all of {one['destination']}")
        wanted[_key(one)] = one
    return wanted


def _judged(task: Task, given: Mapping[str, Any]) -> Intention:
    for name in ("source", "destination"):
        arguments.name(given[name], name)
    fields = without_none({name: given[name] for name in _FIELDS})
    if task.params["state"] == "present":
        return define(**fields)
    # What it would do counts for nothing.
    return define(fields["source"], fields["destination"], action="deny", source_peer=fields.get("source_peer"))


def _key(one: Intention) -> Key:
    return one["source"], one["source_peer"] or "", one["destination"]


def _of_entries(task: Task, wanted: dict[Key, Intention]) -> Change:
    destinations: ByDestination = {}
    for one in wanted.values():
        destinations.setdefault(one["destination"], []).append(one)

    def tell(found: list[Entry]) -> None:
        task.results["intentions"] = [one for entry in found for one in of_entry(entry) if task.params["purge"] or _key(one) in wanted]

    goals = [Goal(KIND, destination, _entry_of(task, destination, ones)) for destination, ones in destinations.items()]
    return settle(task, ConfigEntries(task.api).in_primary(), goals, tell)


def _entry_of(task: Task, destination: str, wanted: list[Intention]) -> Callable[[Entry | None], Entry | None]:
    if task.params["state"] == "absent":
        return lambda found: without(found, wanted)
    return lambda found: merged(found, destination, wanted, alone=task.params["purge"])


def _old(task: Task, wanted: dict[Key, Intention]) -> Change:
    """Where each intention is a thing of its own."""
    intentions = Intentions(task.api)
    there = {_key(one): one for one in intentions.list()}
    goals: dict[Key, Intention | None] = {key: None if task.params["state"] == "absent" else one for key, one in wanted.items()}
    for one in goals.values():
        if one is not None:
            judge_old(one)
    if task.params["purge"]:
        destinations = {one["destination"] for one in wanted.values()}
        goals.update({key: None for key, one in there.items() if one["destination"] in destinations and key not in goals})
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for key, goal in goals.items():
        found = there.get(key)
        now = None if goal is None else {**goal, "meta": goal["meta"] if goal["meta"] is not None else found["meta"] if found else {}}
        was = None if found is None else {name: found[name] for name in _FIELDS}
        if now != was:
            if not task.check_mode:
                _write_old(intentions, found, now)
                task.changed = True
            before[f"{key[0]} to {key[2]}"], after[f"{key[0]} to {key[2]}"] = was, now
        task.results["intentions"] = [*task.results.get("intentions", []), *([now] if now else [])]
    return Change({name: one for name, one in before.items() if one}, {name: one for name, one in after.items() if one})


def _write_old(intentions: Intentions, found: Intention | None, wanted: Intention | None) -> None:
    if wanted is None:
        intentions.delete_old(found["id"] if found else "")
    elif found is None:
        intentions.create_old(wanted)
    else:
        intentions.update_old(found["id"], wanted)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Config entries as a task wants them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional, Tuple

from ._module import Change, Task
from ._several import each
from .uwsgi_consul import arguments
from .uwsgi_consul.config_entries import ConfigEntries, Entry, alike, canonical, identity, sent
from .uwsgi_consul.errors import ConflictError, InvalidValueError

# Before and after.
Step = Tuple[Optional[Entry], Optional[Entry]]


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a task wants of one entry. wanted: makes the whole entry of the one that is found, or None for none."""

    kind: str
    name: str
    wanted: Callable[[Entry | None], Entry | None]


def manage(task: Task) -> Change:
    """The module `consul_config_entry`."""
    goals = [_goal(task, entry, where) for where, entry in _given(task)]
    seen = [(goal.kind, goal.name) for goal in goals]
    for one in seen:
        if seen.count(one) > 1:
            raise InvalidValueError(f"entries: {' '.join(one)} is given twice")
    if task.params["state"] == "absent":
        goals.reverse()

    def tell(found: list[Entry]) -> None:
        task.results["entries"] = [hidden(entry) for entry in found]

    return settle(task, ConfigEntries(task.api).in_primary(), goals, tell)


def find(task: Task) -> None:
    """The module `consul_config_entry_info`."""
    entries, kind, name = ConfigEntries(task.api), task.params["kind"], task.params["name"]
    if name is None:
        found = entries.list(kind, filter=task.params["filter"])
        task.warn_if_filtered(f"there may be more entries of the kind {kind}")
    else:
        one = entries.get(kind, name)
        found = [one] if one else []
    task.results["entries"] = [hidden(entry) for entry in found]


def settle(task: Task, entries: ConfigEntries, goals: list[Goal], tell: Callable[[list[Entry]], None]) -> Change:
    """Makes the entries what is wanted of them, in the order of the goals.

    tell: is given the entries as they are, after each change. Consul judges all that it will be given before the first is
    written, in check mode, too.
    """
    found = _found(entries, goals)
    steps = [(goal, found[goal.kind, goal.name], goal.wanted(found[goal.kind, goal.name])) for goal in goals]
    to_do = [(goal, before, after) for goal, before, after in steps if not alike(after, before)]
    for _of, _before, after in to_do:
        if after is not None:
            entries.judge(after)
    there = {(goal.kind, goal.name): before for goal, before, _after in steps}
    changes: dict[str, Step] = {}
    for goal, foreseen, after in to_do:
        if task.check_mode:
            before, there[goal.kind, goal.name] = foreseen, canonical(after) if after is not None else None
        else:
            before, there[goal.kind, goal.name] = entries.update(goal.kind, goal.name, goal.wanted)
        # Whatever a newer server writes down otherwise: what it has afterwards as before is no change.
        if task.check_mode or not alike(before, there[goal.kind, goal.name]):
            changes[f"{goal.kind}/{goal.name}"] = (before, after)
            task.changed = not task.check_mode
        tell([entry for entry in there.values() if entry is not None])
    tell([entry for entry in there.values() if entry is not None])
    return Change(*(_shown({name: step[side] for name, step in changes.items()}) for side in (0, 1)))


def hidden(entry: Entry) -> Entry:
    """The entry with a digest in place of a secret, which tells whether it is another one."""
    return {key: _digest(value) if isinstance(value, str) and _is_secret(value) else value for key, value in entry.items()}


def secrets(params: Mapping[str, Any]) -> Iterator[str]:
    """The private keys in a task's options, in the forms in which they may be written into a log."""
    for value in _texts([params.get("definition"), params.get("entries")]):
        if _is_secret(value):
            yield from {value, value.strip(), repr(value)[1:-1], repr(value.strip())[1:-1]}


def _goal(task: Task, entry: Any, where: str) -> Goal:
    with arguments.within(where):
        kind, name = identity(entry)
        if task.params["state"] == "absent":
            return Goal(kind, name, lambda found: _at_index(task, None, found, kind, name))
        sent(entry)
        canonical(entry)
    return Goal(kind, name, lambda found: _at_index(task, entry, found, kind, name))


def _given(task: Task) -> list[tuple[str, Any]]:
    if task.params["entries"] is not None:
        return list(each(task, "entries"))
    entry = dict(task.params["definition"] or {})
    for name in ("kind", "name"):
        for key in [key for key in entry if str(key).lower() == name]:
            if entry.pop(key) != task.params[name]:
                raise InvalidValueError(f"definition: its {key} is another than {name}", advice=f"Leave {key} out of it")
    entry["kind"] = task.params["kind"]
    if task.params["name"] is not None:
        entry["name"] = task.params["name"]
    return [("definition" if task.params["definition"] is not None else "kind or name", entry)]


def _at_index(task: Task, wanted: Entry | None, found: Entry | None, kind: str, name: str) -> Entry | None:
    """What is wanted, if what is found has the index that the task knows it by, or is as wanted already."""
    cas = task.params["cas"]
    index = found["modify_index"] if found else 0
    if cas is not None and arguments.integer(cas, "cas") != index and not alike(wanted, found):
        there = f"has modify_index {index}" if found else "does not exist"
        raise ConflictError(f"cas: {kind} {name} {there}, and the task wants to change the one of {cas}", advice="Read it anew")
    return wanted


def _found(entries: ConfigEntries, goals: list[Goal]) -> dict[tuple[str, str], Entry | None]:
    """What there is now, in one request where several are of one kind."""
    found: dict[tuple[str, str], Entry | None] = {}
    kinds = [goal.kind for goal in goals]
    for kind in dict.fromkeys(kinds):
        names = [goal.name for goal in goals if goal.kind == kind]
        listed = {one["name"]: one for one in entries.list(kind)} if len(names) > 1 else {names[0]: entries.get(kind, names[0])}
        found.update({(kind, name): listed.get(name) for name in names})
    return found


def _shown(entries: Mapping[str, Entry | None]) -> str:
    """As one text, in which 1 and true are not the same."""
    shown = {name: hidden(canonical(entry)) for name, entry in entries.items() if entry is not None}
    return json.dumps(shown, indent=4, sort_keys=True) + "\n" if shown else ""


def _is_secret(value: str) -> bool:
    return "PRIVATE KEY-----" in value


def _digest(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)

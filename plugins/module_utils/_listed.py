# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of one thing at the top of a task, or of several in a list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Dict

from ._module import Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import InvalidValueError

Thing = Dict[str, Any]


def listed(task: Task, several: str, names: Collection[str], define: Callable[[Mapping[str, Any]], Thing]) -> dict[str, Thing]:
    """The things of the task by their ids, each judged by *define*, which gives at least a name or an id.

    several: the option with the list; the others are those of one thing. Raises `InvalidValueError`.
    """
    one = {name: task.params[name] for name in names if task.params[name] is not None}
    many = task.params[several]
    if one and many is not None:
        raise InvalidValueError(
            f"{several}: stands beside {', '.join(sorted(one))}, which is of one alone", advice="Write it into the list"
        )
    if many is None:
        things = [define(one)] if one else []
    else:
        things = []
        for position, given in enumerate(many):
            with arguments.within(f"{several}[{position}]"):
                things.append(define(given))
    found: dict[str, Thing] = {}
    for thing in things:
        thing_id = thing.get("id", thing.get("name"))
        if thing_id in found:
            raise InvalidValueError(f"{several}: two of them have the id {arguments.shown(thing_id)}")
        found[str(thing_id)] = thing
    return found

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Things that a task gives one by one: one by the options at its top, or any number by an option with a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._module import Task, Thing
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import InvalidValueError


def each(task: Task, several: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The options of each thing of the task, and their place for `arguments.within`; those at the top have none.

    several: the option with the list. Ansible itself refuses both (`mutually_exclusive`).
    """
    if task.params[several] is None:
        yield "", task.params
    else:
        for position, options in enumerate(task.params[several]):
            yield f"{several}[{position}]", options


def by_id(task: Task, several: str, define: Callable[[Mapping[str, Any]], Thing]) -> dict[str, Thing]:
    """The things of the task by their ids, each judged by *define*, which gives at least a name or an id.

    Raises `InvalidValueError`.
    """
    found: dict[str, Thing] = {}
    for place, options in each(task, several):
        with arguments.within(place):
            thing = define(options)
            thing_id = str(thing.get("id", thing.get("name")))
            if thing_id in found:
                raise InvalidValueError(f"id: {arguments.shown(thing_id)} is given twice")
        found[thing_id] = thing
    return found

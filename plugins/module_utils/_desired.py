# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step that all modules of one named object share: from what there is to what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._module import Change, Task, Thing


def ensure(
    task: Task,
    found: Thing | None,
    wanted: Mapping[str, Any] | None,
    *,
    create: Callable[[Thing], Thing],
    update: Callable[[Thing], Thing],
    delete: Callable[[Thing], object],
) -> Change:
    """Makes what was found what is wanted; asks Consul for nothing where they agree, nor in check mode.

    found: the object as it is, in the shape of `wanted`; None when there is none. wanted: those fields that the task
    gives, in the form in which Consul returns them (what it sorts is sorted, durations as it writes them), else it would be
    changed for ever; None when there shall be none. create and update are given the whole object and return it as Consul
    has it then.
    """
    if wanted is None:
        if found is not None and not task.check_mode:
            delete(found)
        return Change(found, None)
    after = {**(found or {}), **wanted}
    if after != found and not task.check_mode:
        after = create(after) if found is None else update(after)
    return Change(found, after)

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What each process needs one of, and a forked child must not have from its parent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

_Kept = TypeVar("_Kept")


class PerProcess(Generic[_Kept]):
    """Makes one for each process, when it first asks. Needs no lock, which another thread could hold at the fork.

    The process is told by its id: uWSGI forks its workers without the hooks of `os.register_at_fork`.
    """

    def __init__(self, make: Callable[[], _Kept]) -> None:
        self._make = make
        self._made: dict[int, _Kept] = {}

    def get(self) -> _Kept:
        process = os.getpid()
        made = self._made.get(process)
        if made is None:
            made = self._made.setdefault(process, self._make())
            for other in set(self._made) - {process}:
                # A later child may get the same id again.
                self._made.pop(other, None)
        return made

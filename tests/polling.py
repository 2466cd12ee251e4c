# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking again and again, on machines that may be crowded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def slowness() -> float:
    """How many processes want each processor: a bound that holds on a machine with time to spare says nothing on a crowded one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(what: str, look: Callable[[], T | None], within: float = 30.0, every: float = 0.02) -> T:
    """The first true answer of *look*; fails with *what* when there is none in time, which is longer on a crowded machine.

    What can't be asked yet, such as an agent that is being started, is asked again.
    """
    within *= slowness()
    deadline = time.monotonic() + within
    while True:
        problem: OSError | None = None
        try:
            if found := look():
                return found
        except OSError as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}") from problem
        time.sleep(every)


def holds(look: Callable[[], bool], during: float, every: float = 0.02) -> bool:
    """Whether *look* is true all the time."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        if not look():
            return False
        time.sleep(every)
    return True

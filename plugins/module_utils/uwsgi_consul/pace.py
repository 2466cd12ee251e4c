# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How soon something is done again: at once while that is seldom, slowly while it goes on."""

from __future__ import annotations

import random
import time

# What is done again and again may take this part of the time, unless the pauses would become longer than so many seconds.
_SHARE, _LONGEST = 1 / 10, 3.0


class Pace:
    """Lets so many (*burst*) follow each other at once, and then one in *interval* seconds, until it was quiet for a while."""

    def __init__(self, interval: float, burst: int) -> None:
        self._interval, self._burst = interval, float(burst)
        self._credit, self._at = float(burst), time.monotonic()

    def pause(self, work: float = 0.0) -> float:
        """Seconds to wait before the next one, when the last one took *work* seconds of processor time."""
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._at) / self._interval)
        self._at = now
        self._credit = max(self._credit - max(1.0, work / _SHARE / self._interval), -_LONGEST / self._interval)
        return max(0.0, -self._credit * self._interval)


class Backoff:
    """Pauses after failures: from *first* seconds on twice as long each time, up to *longest*, with jitter."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest, self._failures = first, longest, 0

    def pause(self) -> float:
        """Seconds to wait after one more failure; never above the longest."""
        seconds = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311

    def reset(self) -> None:
        """To be called after a success."""
        self._failures = 0

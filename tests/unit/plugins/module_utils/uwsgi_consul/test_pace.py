# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import pace
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.pace import Backoff, Pace


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)


def test_a_burst_follows_at_once_and_what_goes_on_comes_in_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    steps = Pace(interval=1.0, burst=3)
    pauses = []
    for _ in range(6):
        pauses.append(steps.pause())
        clock.now += pauses[-1]
    assert pauses == [0, 0, 0, 1, 1, 1]


def test_after_a_quiet_while_a_burst_may_come_again_but_no_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    steps = Pace(interval=1.0, burst=2)
    for _ in range(5):
        clock.now += steps.pause()
    clock.now += 1000
    assert [steps.pause() for _ in range(3)] == [0, 0, 1]


def test_much_work_makes_longer_pauses_but_never_very_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    steps = Pace(interval=0.1, burst=1)
    begun, worked = clock.now, 0.0
    for _ in range(20):
        clock.now += 0.2 + steps.pause(work=0.2)
        worked += 0.2
    assert worked / (clock.now - begun) < 0.12
    clock.now += 60
    assert steps.pause(work=60) == pytest.approx(3)


def test_pauses_after_failures_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(1.0, 10.0)
    pauses = [backoff.pause() for _ in range(100)]
    assert all(0.5 * full <= pauses[place] <= full for place, full in enumerate([1, 2, 4, 8, 10, 10]))
    assert max(pauses) <= 10
    backoff.reset()
    assert backoff.pause() <= 1

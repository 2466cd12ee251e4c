# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import balance
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.balance import Balancer, Failures, identity


def make(name: str, passing: int = 1, warning: int = 1, status: str = "passing", node: str = "node1") -> dict[str, Any]:
    weights = {"passing": passing, "warning": warning}
    return {"datacenter": "dc1", "node": node, "id": name, "weights": weights, "status": status}


def shares(instances: list[dict[str, Any]], by: str, times: int) -> Counter[str]:
    balancer = Balancer()
    return Counter(balancer.choose(instances, by)["id"] for _ in range(times))


def test_round_robin_takes_turns() -> None:
    assert shares([make("a", 5), make("b"), make("c")], "round-robin", 300) == {"a": 100, "b": 100, "c": 100}


def test_processes_do_not_begin_with_the_same_instance() -> None:
    instances = [make(str(number)) for number in range(100)]
    assert len({Balancer().choose(instances, "round-robin")["id"] for _ in range(50)}) > 20


def test_weighted_gives_each_exactly_its_share_in_each_cycle_and_mixes_them() -> None:
    instances, balancer = [make("a", 5), make("b", 1), make("c", 1)], Balancer()
    for _cycle in range(20):
        chosen = [balancer.choose(instances, "weighted")["id"] for _ in range(7)]
        assert Counter(chosen) == {"a": 5, "b": 1, "c": 1}
        assert "aaaa" not in "".join(chosen)


def test_an_instance_in_a_warning_counts_by_its_other_weight() -> None:
    assert shares([make("a", 10, 1, "warning"), make("b", 3)], "weighted", 400) == {"a": 100, "b": 300}


def test_without_weight_it_is_not_chosen_unless_none_has_any() -> None:
    assert shares([make("a", 0), make("b", 1), make("c", 9, status="critical")], "weighted", 50) == {"b": 50}
    assert shares([make("a", 0), make("b", 0)], "weighted", 50) == {"a": 25, "b": 25}


def test_weighted_goes_on_when_instances_come_and_go() -> None:
    a, b, c = make("a", 3), make("b", 1), make("c", 4)
    balancer = Balancer()
    for instances in ([a, b], [a, b, c], [b], [a, c]):
        for _ in range(7):
            assert balancer.choose(instances, "weighted") in instances


def test_nearest_takes_turns_among_the_instances_of_the_first_node() -> None:
    instances = [make("a", node="near"), make("b", node="far"), make("c", node="near")]
    assert shares(instances, "nearest", 40) == {"a": 20, "c": 20}


def test_sticky_is_the_same_in_every_process_and_spreads_by_weight() -> None:
    instances = [make("a", 1), make("b", 3)]
    keys = [f"user-{number}" for number in range(4000)]
    chosen = Counter(balance.sticky(instances, key)["id"] for key in keys)
    assert 0.70 < chosen["b"] / len(keys) < 0.80
    assert [balance.sticky(instances[::-1], key)["id"] for key in keys[:50]] == [balance.sticky(instances, key)["id"] for key in keys[:50]]
    assert [balance.sticky(instances, key)["id"] for key in keys[:8]] == STICKY_OF_OLD


# Another version must send the same keys to the same instances.
STICKY_OF_OLD = ["b", "b", "b", "b", "b", "b", "a", "b"]


def test_when_an_instance_goes_only_its_own_keys_move() -> None:
    instances = [make(name) for name in "abcde"]
    rest = instances[:2] + instances[3:]
    for number in range(1000):
        before = balance.sticky(instances, str(number))
        if before["id"] != "c":
            assert balance.sticky(rest, str(number)) is before


def test_a_child_takes_turns_of_its_own() -> None:
    instances, balancer = [make(str(number)) for number in range(1000)], Balancer()
    balancer.choose(instances, "round-robin")
    children = []
    for _ in range(5):
        read, write = os.pipe()
        if not os.fork():
            os.write(write, balancer.choose(instances, "round-robin")["id"].encode())
            os._exit(0)
        os.close(write)
        os.wait()
        children.append(os.read(read, 100))
        os.close(read)
    assert len(set(children)) > 1


def test_failures_are_left_out_for_their_time_but_never_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(balance.time, "monotonic", lambda: now[0])
    a, b = make("a"), make("b")
    failures = Failures()
    failures.add(identity(a), 10)
    assert failures.leave_out([a, b]) == [b]
    failures.add(identity(b), 5)
    assert failures.leave_out([a, b]) == [a, b]
    now[0] += 6
    assert failures.leave_out([a, b]) == [b]
    now[0] += 5
    assert failures.leave_out([a, b]) == [a, b]


def test_failures_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(balance.time, "monotonic", lambda: now[0])
    failures = Failures()
    for number in range(1000):
        failures.add(("dc1", "node1", str(number)), 1)
        now[0] += 0.5
    assert len(failures._until) < 5

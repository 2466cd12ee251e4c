"""200 instances on one machine, with one Consul agent: how long until all are registered, and what they use at rest."""

from __future__ import annotations

import time

from integration.conftest import ConsulAgent
from integration.plugin.conftest import Instance

from .kit import (
    NOT_MEASURED,
    Health,
    Lab,
    Variant,
    all_passing,
    cpu_seconds,
    median,
    memory,
    processes,
    say,
    scaled,
    table,
    verdict,
    wait_up,
)

INSTANCES, MOST_SECONDS, REST_SECONDS, SETTLE_SECONDS, PATIENCE = 200, 10, 60, 20, 180
# An agent lets one client address have 200 connections unless told otherwise, and each instance keeps one.
LIMITS = {"limits": {"http_max_conns_per_client": 1000}}


def cpu_percent(pids: list[int], seconds: int) -> float:
    """Of one processor, over so many seconds from now."""
    before = cpu_seconds(pids)
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) * 100 / seconds


def all_registered(agent: ConsulAgent, names: list[str]) -> float:
    """When the last of them was seen passing; never, where one is not in time."""
    seen = [Health(agent, name).wait(all_passing(1), PATIENCE) for name in names]
    return max(float("inf") if at is None else at for at in seen)


def all_answer(instances: list[Instance]) -> float:
    """When the last of them has served a request: what there is to wait for without a plugin."""
    for instance in instances:
        wait_up(instance, 1)
        instance.ask()
    return time.monotonic()


def measure(lab: Lab, variant: Variant, count: int) -> list[str]:
    """Starts them and gives the numbers of the table, in its order."""
    agent, names = lab.agent(LIMITS), [lab.service() for _ in range(count)]
    assert agent.process
    started = time.monotonic()
    instances = [lab.start(variant, agent.address, name, {"processes": 1}) for name in names]
    launched = time.monotonic() - started
    last = (all_answer(instances) if variant is lab.without else all_registered(agent, names)) - started
    time.sleep(SETTLE_SECONDS)
    seconds = scaled(REST_SECONDS, 10)
    share = cpu_percent([agent.process.pid], seconds)
    own = [instance.agent_process for instance in instances] if variant is lab.ours else []
    own_share = f"{cpu_percent(own, seconds):.1f}" if own else "has none"
    pids = [pid for instance in instances for pid in processes(instance)]
    whole, consul = memory(pids), memory([agent.process.pid])
    private = f"{median([memory([pid]).private for pid in own]):.0f}" if own else "has none"
    say(f"{variant.name}: all are there after {last:.1f} s")
    for instance in instances:
        instance.kill_all()
    agent.stop()
    return [f"{launched:.1f}", f"{last:.1f}", f"{share:.1f}", own_share, f"{whole.pss / 1024:.0f}", private, f"{consul.pss / 1024:.0f}"]


def run(lab: Lab) -> None:
    count = scaled(INSTANCES, 10)
    columns = {variant.name: measure(lab, variant, count) for variant in lab.variants}
    old = columns.get("old", [NOT_MEASURED] * 7)
    what = [
        "until the last one was started, s",
        "until all are passing (without: have served a request), s",
        "Consul's agent at rest, % of a processor",
        "all agent processes at rest, % of a processor",
        "memory of all instances (Pss), MiB",
        "private to an agent process, median, KiB",
        "memory of Consul's agent (Pss), MiB",
    ]
    bounds = ["", verdict(float(columns["with"][1]) <= MOST_SECONDS, f"at most {MOST_SECONDS}"), "", "", "", "", ""]
    rows = [list(row) for row in zip(what, columns["without"], columns["with"], old, bounds, strict=True)]
    table(f"{count} instances, 1 worker each, TTL 10 s", ["", "without", "with", "old plugin", "bound"], rows)

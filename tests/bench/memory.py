"""Memory that the plugin adds to an instance, and what its agent process has for itself."""

from __future__ import annotations

import time

from integration.conftest import ConsulAgent

from .kit import NOT_MEASURED, Lab, Memory, Variant, finish, median, memory, processes, registered, say, scaled, table, verdict, wait_up

STARTS, SETTLE_SECONDS = 7, 5
MOST_KIB = 2048


def once(lab: Lab, agent: ConsulAgent, variant: Variant, workers: int) -> tuple[Memory, Memory]:
    """Of all the instance's processes, and of the agent process."""
    service = lab.service()
    instance = lab.start(variant, agent.address, service, {"processes": workers})
    wait_up(instance, workers)
    if variant is not lab.without:
        registered(agent, service)
    for _ in range(20 * workers):
        instance.ask()
    time.sleep(SETTLE_SECONDS)
    whole = memory(processes(instance))
    own = memory([instance.agent_process]) if variant is lab.ours else Memory()
    finish(instance)
    return whole, own


def added(of: list[Memory], without: list[Memory], field: str) -> float:
    return median([getattr(one, field) for one in of]) - median([getattr(one, field) for one in without])


def compare(lab: Lab, agent: ConsulAgent, workers: int) -> list[list[str]]:
    results: dict[str, list[tuple[Memory, Memory]]] = {variant.name: [] for variant in lab.variants}
    for number in range(scaled(STARTS, 2)):
        for variant in lab.variants:
            results[variant.name].append(once(lab, agent, variant, workers))
        say(f"{workers} workers, start {number + 1}: " + ", ".join(f"{name} {pairs[-1][0].pss:.0f} KiB" for name, pairs in results.items()))
    wholes = {name: [pair[0] for pair in pairs] for name, pairs in results.items()}
    rows = []
    for what, field in (("private to the instance", "anonymous"), ("with its part of shared libraries (Pss)", "pss")):
        ours = added(wholes["with"], wholes["without"], field)
        old = f"{added(wholes['old'], wholes['without'], field):.0f}" if "old" in wholes else NOT_MEASURED
        base = f"{median([getattr(one, field) for one in wholes['without']]):.0f}"
        bound = verdict(ours <= MOST_KIB, f"at most {MOST_KIB} KiB") if field == "anonymous" else ""
        rows.append([f"{workers} workers, {what}", base, f"{ours:+.0f}", old, bound])
    own = f"{median([pair[1].private for pair in results['with']]):.0f}"
    rows.append([f"{workers} workers, private to the agent process", "", own, "has none", ""])
    return rows


def run(lab: Lab) -> None:
    agent = lab.agent()
    rows = [row for workers in (1, 4, 16) for row in compare(lab, agent, workers)]
    head = ["KiB, medians", "without", "added by the plugin", "added by the old plugin", "bound"]
    table(f"Memory, {scaled(STARTS, 2)} starts, {SETTLE_SECONDS} s after some requests", head, rows)

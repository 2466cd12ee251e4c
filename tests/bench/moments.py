"""From the last worker ready to passing in Consul's catalog, from the signal to stop to gone, from the workers' death to critical."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from integration.conftest import ConsulAgent
from integration.plugin.conftest import Instance
from polling import wait_for

from .kit import NOT_MEASURED, Health, Lab, Variant, all_passing, finish, median, registered, say, scaled, spread, states, table

RUNS, WORKERS, TTL, PATIENCE, LOAD_SECONDS = 20, 4, 10, 20, 2
# Each worker loads the app by itself, and writes down when it has. One that comes in place of a dead one takes its time.
APP = f"""
import pathlib, time
if pathlib.Path("slow").exists():
    time.sleep({LOAD_SECONDS})
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"served"]
import uwsgi
pathlib.Path("ready." + str(uwsgi.worker_id())).write_text(repr(time.monotonic()))
"""


def last_ready(directory: Path) -> float:
    def stamps() -> list[float] | None:
        found = [path.read_text() for path in directory.glob("ready.*")]
        return [float(text) for text in found] if len(found) == WORKERS and all(found) else None

    return max(wait_for("the workers' stamps", stamps))


def begin(lab: Lab, agent: ConsulAgent, variant: Variant, service: str) -> Instance:
    return lab.start(variant, agent.address, service, {"processes": WORKERS, "lazy-apps": "true"}, APP, ttl=TTL)


def start_and_stop(lab: Lab, agent: ConsulAgent, variant: Variant) -> tuple[float | None, float | None]:
    """In ms; None is longer than anybody wants to wait."""
    service = lab.service()
    health = Health(agent, service)
    instance = begin(lab, agent, variant, service)
    passing = health.wait(all_passing(1), PATIENCE)
    ready = last_ready(instance.directory)
    stopped = time.monotonic()
    instance.signal(signal.SIGTERM)
    gone = health.wait(lambda entries: not entries, PATIENCE)
    finish(instance)
    return (passing - ready) * 1000 if passing else None, (gone - stopped) * 1000 if gone else None


def kill_workers(instance: Instance) -> float:
    """All that are there now, at once."""
    killed = time.monotonic()
    for pid in instance.workers.values():
        os.kill(pid, signal.SIGKILL)
    return killed


def deaths(lab: Lab, agent: ConsulAgent, variant: Variant, runs: int) -> list[float | None]:
    service = lab.service()
    health = Health(agent, service)
    instance = begin(lab, agent, variant, service)
    registered(agent, service)
    (instance.directory / "slow").touch()

    def once() -> float | None:
        killed = kill_workers(instance)
        critical = health.wait(lambda entries: states(entries) == ["critical"], PATIENCE)
        registered(agent, service)
        return (critical - killed) * 1000 if critical else None

    results = repeat(runs, once)
    finish(instance)
    return results


def repeat(runs: int, once: Callable[[], float | None]) -> list[float | None]:
    """Not to the end where it does not happen at all."""
    results: list[float | None] = []
    while len(results) < runs and results[:2] != [None, None]:
        results.append(once())
    return results


def summary(results: list[float | None]) -> list[str]:
    times = [value for value in results if value is not None]
    missing = len(results) - len(times)
    if not times:
        return [f"not within {PATIENCE} s", f"{missing} of {len(results)} runs"]
    return [f"{median(times):.0f}", spread(times, 0) + (f", {missing} not within {PATIENCE} s" if missing else "")]


def run(lab: Lab) -> None:
    agent, runs = lab.agent(), scaled(RUNS, 3)
    columns = {}
    for variant in lab.plugins:
        pairs = [start_and_stop(lab, agent, variant) for _ in range(runs)]
        say(f"{variant.name}: {runs} starts and stops")
        columns[variant.name] = [[pair[0] for pair in pairs], [pair[1] for pair in pairs], deaths(lab, agent, variant, runs)]
        say(f"{variant.name}: {len(columns[variant.name][2])} deaths")
    rows = []
    for place, what in enumerate(("last worker ready -> passing", "signal to stop -> gone", "all workers killed -> critical")):
        old = summary(columns["old"][place]) if "old" in columns else [NOT_MEASURED, ""]
        rows.append([what, *summary(columns["with"][place]), *old])
    head = ["ms, medians", "with", "quartiles", "old plugin", "quartiles"]
    table(f"In Consul's catalog, {runs} runs each, {WORKERS} workers, TTL {TTL} s", head, rows)

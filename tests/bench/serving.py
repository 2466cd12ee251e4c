"""Requests per second, 99th percentile and processor time per request of a hello-world app with 4 workers, with and without the plugin."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from integration.conftest import ConsulAgent
from integration.plugin.conftest import Instance

from .kit import (
    NOT_MEASURED,
    Lab,
    Variant,
    cpu_seconds,
    finish,
    median,
    processes,
    registered,
    say,
    scaled,
    spread,
    table,
    verdict,
    wait_up,
)

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
"""
# With keep-alive a connection holds a worker: there are as many as workers. (A connection per request would use up the
# machine's ports within a few rounds, and then measure how they come back.)
MODES = {"keep-alive": ("http11-socket", 4)}
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
ROUNDS, SECONDS, LEAST_RATIO = 15, 4, 0.99


@dataclass
class Result:
    rate: float  # requests per second
    p99: float  # ms
    cost: float = 0  # processor time per request of all the instance's processes, in microseconds


def load(instance: Instance, connections: int, seconds: int) -> Result:
    url = f"http://127.0.0.1:{instance.port}/"
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--latency", url]
    pids = processes(instance)
    before = cpu_seconds(pids)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    served = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if not rate or not p99 or not served or "Non-2xx" in text:
        raise RuntimeError(text)
    return Result(float(rate[1]), float(p99[1]) * UNITS[p99[2]], used * 1e6 / int(served[1]))


def once(lab: Lab, agent: ConsulAgent, variant: Variant, mode: str) -> Result:
    """A new instance each time: what a process happens to be like in memory should not decide."""
    option, connections = MODES[mode]
    service = lab.service()
    instance = lab.start(variant, agent.address, service, {"processes": 4}, APP, socket=option)
    wait_up(instance, 4)
    if variant is not lab.without:
        registered(agent, service)
    load(instance, connections, 1)
    result = load(instance, connections, SECONDS)
    finish(instance)
    return result


def compare(lab: Lab, agent: ConsulAgent, mode: str) -> list[list[str]]:
    results: dict[str, list[Result]] = {variant.name: [] for variant in lab.variants}
    for number in range(scaled(ROUNDS, 2)):
        turn = number % len(lab.variants)
        for variant in lab.variants[turn:] + lab.variants[:turn]:
            results[variant.name].append(once(lab, agent, variant, mode))
        say(f"{mode}, round {number + 1}: " + ", ".join(f"{name} {values[-1].rate:.0f}/s" for name, values in results.items()))
    rows = []
    for what, field in (("requests per second", "rate"), ("p99, ms", "p99"), ("processor time per request, microseconds", "cost")):
        values = {name: [getattr(one, field) for one in of] for name, of in results.items()}
        ratios = [ours / without for ours, without in zip(values["with"], values["without"], strict=True)]
        ratio = median(values["with"]) / median(values["without"])
        shown = [f"{median(values[name]):.2f}" if name in values else NOT_MEASURED for name in ("without", "with", "old")]
        bound = verdict(ratio >= LEAST_RATIO, f"at least {LEAST_RATIO}") if field == "rate" else ""
        rows.append([f"{what}, {mode}", *shown, f"{ratio:.3f}", spread(ratios, 3), bound])
    return rows


def run(lab: Lab) -> None:
    agent = lab.agent()
    rows = [row for mode in MODES for row in compare(lab, agent, mode)]
    head = ["medians", "without", "with", "old plugin", "ratio with/without", "quartiles of it in the rounds", "bound"]
    table(f"Serving, 4 workers, {scaled(ROUNDS, 2)} rounds of {SECONDS} s in turn", head, rows)

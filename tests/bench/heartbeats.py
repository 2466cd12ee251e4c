"""Many services of one program: what it costs to keep them alive in Consul, from one thread."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integration.conftest import ConsulAgent
from polling import wait_for

from .kit import Lab, cpu_seconds, say, scaled, table, verdict

SERVICES, SECONDS, MOST_PERCENT = 500, 60, 3.0
ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.registration import Service

client = Api(agents=[sys.argv[1]])
services = [Service("many", id=f"{sys.argv[2]}-{number}", port=2000 + number, client=client) for number in range(int(sys.argv[3]))]
for service in services:
    service.register()
print("ready", flush=True)
sys.stdin.readline()
"""


@contextmanager
def program(agent: ConsulAgent, name: str, count: int) -> Iterator[int]:
    """The process of a program with so many services, which deregisters them at its end."""
    command = [sys.executable, "-c", PROGRAM, agent.address, name, str(count)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the program did not register its services")
        yield process.pid


def states(agent: ConsulAgent) -> list[str]:
    return [check["Status"] for check in agent.get("/v1/agent/checks").values()]


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def connections(pid: int) -> int:
    links = (os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir())
    # Two are the event loop's own.
    return sum(link.startswith("socket:") for link in links) - 2


def run(lab: Lab) -> None:
    agent, count = lab.agent(), scaled(SERVICES, 10)
    with program(agent, lab.service(), count) as pid:
        wait_for("all of them registered", lambda: states(agent) == ["passing"] * count)
        # Longer than a TTL, so that what has begun is not measured.
        time.sleep(scaled(12, 2))
        say(f"{count} services are registered")
        before, started, bad, looks = cpu_seconds([pid]), time.monotonic(), 0, 0
        while time.monotonic() < started + scaled(SECONDS, 5):
            found = states(agent)
            looks, bad = looks + 1, bad + sum(state != "passing" for state in found) + abs(count - len(found))
            time.sleep(0.5)
        percent = 100 * (cpu_seconds([pid]) - before) / (time.monotonic() - started)
        row = [f"{percent:.2f}", str(threads(pid)), str(connections(pid)), f"{bad} in {looks} looks"]
    bounds = [verdict(percent < MOST_PERCENT, f"below {MOST_PERCENT:g} %"), verdict(bad == 0, "all passing")]
    head = ["services, TTL 10 s", "% of a processor", "threads", "connections", "not passing", "bounds"]
    table("A program that keeps many services alive", head, [[str(count), *row, ", ".join(bounds)]])

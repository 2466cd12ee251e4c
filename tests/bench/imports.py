"""What importing the Python library costs a program, against the Consul library that it stands on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .kit import Lab, median, scaled, spread, table, verdict

LIBRARY = Path(__file__).parents[2] / "plugins/module_utils"
RUNS, MOST_MS = 31, 60.0
# What a program says, and whether it needs the Consul library by then.
PROGRAMS = {
    "import uwsgi_consul": False,
    "from uwsgi_consul import Api; Api()": False,
    "from uwsgi_consul.kv import KV; KV()": False,
    "from uwsgi_consul import Client; Client().kv": True,
    "import consul": True,
}
MEASURE = """
import resource, sys, time
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024
before, wall, cpu = memory(), time.perf_counter(), time.process_time()
exec(sys.argv[1])
print((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000, memory() - before, "consul" in sys.modules)
"""


def once(program: str) -> tuple[float, float, float, bool]:
    """Milliseconds on the clock and of the processor, KiB more, and whether the Consul library was loaded, in a new Python."""
    command = [sys.executable, "-c", MEASURE, program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(LIBRARY)})
    wall, cpu, memory, loaded = done.stdout.split()
    return float(wall), float(cpu), float(memory), loaded == "True"


def run(lab: Lab) -> None:
    del lab  # nothing of uWSGI is needed
    measured: dict[str, list[tuple[float, float, float, bool]]] = {program: [] for program in PROGRAMS}
    once("import uwsgi_consul, consul")  # the files are in memory, and compiled
    for _ in range(scaled(RUNS, 3)):
        for program in PROGRAMS:
            measured[program].append(once(program))
    rows = []
    for program, runs in measured.items():
        if any(one[3] != PROGRAMS[program] for one in runs):
            raise RuntimeError(f"{program}: the Consul library was {'not ' if PROGRAMS[program] else ''}loaded")
        wall = [one[0] for one in runs]
        bound = "" if PROGRAMS[program] else verdict(median(wall) < MOST_MS, f"under {MOST_MS:g} ms")
        rows.append(
            [
                program,
                f"{median(wall):.1f} ({spread(wall, 1)})",
                f"{median([one[1] for one in runs]):.1f}",
                f"{median([one[2] for one in runs]):.0f}",
                bound,
            ]
        )
    table(f"Import, {scaled(RUNS, 3)} new processes of each", ["program", "ms (quartiles)", "ms of the processor", "KiB", "bound"], rows)

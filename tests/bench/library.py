"""The Python library: single requests against python-consul2 and py-consul, what is read from memory against the same, and many watches."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from integration.conftest import ConsulAgent

from .discovery import LIBRARIES, folder, register
from .kit import Lab, median, say, scaled, spread, table, verdict

LIBRARY = Path(__file__).parents[2] / "plugins/module_utils"
CALLS, READS, CHANGES = 1000, 100_000, 60
LEAST_RATIO_OF_REQUESTS, LEAST_RATIO_OF_READS, MOST_CONNECTIONS, LONGEST_DELAY = 2, 500, 10, 100.0
SERVICES = 100

# Each in a process of its own, with either library where ours finds it, in turn: what else goes on meets both.
COMPARED = """
import json, statistics, sys, time
import consul
from uwsgi_consul import Client, Discovery

port, service, calls, reads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
theirs, ours = consul.Consul(host="127.0.0.1", port=int(port)), Client(agents="127.0.0.1:" + port)
discovery = Discovery(ours)
ours.kv.put("bench/key", "value")

def once(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

def often(call, times):
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times

counts = {len(discovery.get(service)), *(len(client.health.service(service, passing=True)[1]) for client in (theirs, ours))}
assert len(counts) == 1
asked = {
    "health.service": lambda client: client.health.service(service, passing=True),
    "kv.get": lambda client: client.kv.get("bench/key"),
}
found = {}
for name, ask in asked.items():
    taken = ([], [])
    for _ in range(calls):
        for place, client in enumerate((theirs, ours)):
            taken[place].append(once(lambda: ask(client)))
    found[name] = [statistics.median(one) * 1e6 for one in taken]
found["get"] = statistics.median(often(lambda: discovery.get(service), reads // 20) for _ in range(20)) * 1e6
print(json.dumps(found))
"""

WATCHED = """
import http.client, json, os, statistics, sys, time
from uwsgi_consul import Api, Discovery

port, count, changes = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
names = [f"watched-{number}" for number in range(count)]
writer = http.client.HTTPConnection("127.0.0.1", port)

def register(name, port, status):
    service = {"ID": name, "Service": name, "Port": port}
    check = {"CheckID": name, "Name": name, "ServiceID": name, "Status": status}
    registration = {"Node": "of-" + name, "Address": "10.0.0.1", "Service": service, "Check": check}
    writer.request("PUT", "/v1/catalog/register", json.dumps(registration))
    writer.getresponse().read()

def connections():
    sockets = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            sockets.add(os.readlink("/proc/self/fd/" + descriptor))
        except OSError:
            pass
    lines = [line.split() for line in open("/proc/self/net/tcp").read().splitlines()[1:]]
    # One is the writer's.
    return len([line for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01" and f"socket:[{line[9]}]" in sockets]) - 1

for name in names:
    register(name, 1000, "passing")
started = time.perf_counter()
discovery = Discovery(Api(agents=f"127.0.0.1:{port}"), status="any", watch=names)
for name in names:
    discovery.get(name)
first = time.perf_counter() - started
seen = {}
for name in names:
    discovery.on_change(name, lambda found: seen.update({(found[0]["service"], found[0]["port"], found[0]["status"]): time.perf_counter()}))
time.sleep(1)
delays, most, ports = {"status": [], "port": []}, 0, {}
for change in range(changes):
    name, kind = names[change * 37 % count], ("status", "port")[change % 2]
    ports[name] = ports.get(name, 1000) + (kind == "port")
    wanted = (name, ports[name], "critical" if kind == "status" else "passing")
    seen.pop(wanted, None)
    started = time.perf_counter()
    register(*wanted)
    while wanted not in seen and time.perf_counter() - started < 30:
        time.sleep(0.0005)
    delays[kind].append((seen.get(wanted, started + 30) - started) * 1e3)
    most = max(most, connections())
    time.sleep(1.0)
used, started = time.process_time(), time.perf_counter()
time.sleep(10)
idle = (time.process_time() - used) / (time.perf_counter() - started)
# Something else changes all the time: what is watched has no part in it, or a part of it.
used, started, noise = time.process_time(), time.perf_counter(), 0
while time.perf_counter() - started < 10:
    register("other", noise % 60000 + 1, ("passing", "critical")[noise % 2])
    noise += 1
    time.sleep(0.01)
busy = (time.process_time() - used) / (time.perf_counter() - started)
print(json.dumps({"first": first * 1e3, "most": most, "idle": idle * 100, "busy": busy * 100, "noise": noise / 10, **delays}))
"""


def run_program(program: str, path: list[Path], *arguments: str) -> Any:
    environment = {"PYTHONPATH": ":".join(map(str, path)), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise RuntimeError(f"the benchmark's program failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def compare(agent: ConsulAgent) -> None:
    rows = []
    for library in LIBRARIES:
        for count in (1, 10):
            service = f"compared-{library}-{count}"
            register(agent, service, count)
            sizes = str(scaled(CALLS, 50)), str(scaled(READS, 2000))
            found = run_program(COMPARED, [folder(library), LIBRARY], str(agent.http_port), service, *sizes)
            for asked in ("health.service", "kv.get"):
                theirs, ours = found[asked]
                bound = verdict(theirs / ours >= LEAST_RATIO_OF_REQUESTS, f"at least {LEAST_RATIO_OF_REQUESTS}")
                rows.append([f"{asked}, {count} instances, {library}", f"{theirs:.0f}", f"{ours:.0f}", f"{theirs / ours:.1f}", bound])
            theirs, ours = found["health.service"][0], found["get"]
            bound = verdict(theirs / ours >= LEAST_RATIO_OF_READS, f"at least {LEAST_RATIO_OF_READS}")
            rows.append([f"Discovery.get, {count} instances, {library}", f"{theirs:.0f}", f"{ours:.2f}", f"{theirs / ours:.0f}", bound])
            say(f"{library}, {count} instances")
    table("The same asked of the same agent", ["medians, microseconds", "the library", "uwsgi_consul", "ratio", "bound"], rows)


def watch_many(agent: ConsulAgent) -> None:
    found = run_program(WATCHED, [LIBRARY], str(agent.http_port), str(scaled(SERVICES, 20)), str(scaled(CHANGES, 6)))
    both = found["status"] + found["port"]
    rows = [
        ["connections, at most", f"{found['most']}", "", verdict(found["most"] <= MOST_CONNECTIONS, f"at most {MOST_CONNECTIONS}")],
        ["all first answers, ms", f"{found['first']:.0f}", "", ""],
        ["a change of status until the callback, ms", f"{median(found['status']):.1f}", spread(found["status"], 1), ""],
        ["a change of port until the callback, ms", f"{median(found['port']):.1f}", spread(found["port"], 1), ""],
        ["both, ms", f"{median(both):.1f}", spread(both, 1), verdict(median(both) < LONGEST_DELAY, f"below {LONGEST_DELAY:g}")],
        ["processor at rest, % of a core", f"{found['idle']:.2f}", "", ""],
        [
            f"and with {found['noise']:.0f} changes of another service per second, the writer's part included",
            f"{found['busy']:.1f}",
            "",
            "",
        ],
    ]
    table(f"{scaled(SERVICES, 20)} services watched by one process", ["", "median", "quartiles", "bound"], rows)


def run(lab: Lab) -> None:
    agent = lab.agent()
    compare(agent)
    watch_many(agent)

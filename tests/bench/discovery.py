"""Discovery read by an app: from the cache that the plugin fills, against an HTTP call with python-consul2 and with py-consul."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
from pathlib import Path

from integration.conftest import ConsulAgent
from integration.plugin.conftest import CACHE
from polling import wait_for

from .kit import Lab, finish, say, scaled, table, verdict, wait_up

# Each in a folder of its own: both are called `consul`, and in one environment they overwrite each other.
LIBRARIES = {"python-consul2": "0.1.5", "py-consul": "1.8.0"}
SIZES, CALLS, READS, LEAST_RATIO = (1, 10, 100), 300, 20000, 100
APP = """
import json, statistics, time, urllib.parse
import consul, uwsgi

def timed(call, times):
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6

def application(environ, start_response):
    asked = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
    client = consul.Consul(host="127.0.0.1", port=int(asked["port"]))
    key = "service/" + asked["service"]

    def from_cache():
        return json.loads(uwsgi.cache_get(key, "consul"))["instances"]

    def from_consul():
        return client.health.service(asked["service"], passing=True)[1]

    answer = {"there": len(from_cache()) if uwsgi.cache_exists(key, "consul") else 0, "asked": len(from_consul())}
    if "calls" in asked:
        answer["get"] = timed(lambda: uwsgi.cache_get(key, "consul"), int(asked["reads"]))
        answer["cache"] = timed(from_cache, int(asked["reads"]))
        answer["http"] = timed(from_consul, int(asked["calls"]))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


def folder(library: str) -> Path:
    version = LIBRARIES[library]
    path = CACHE / f"bench-{library}-{version}"
    if not (path / "consul").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(path)]
        subprocess.run([*command, f"{library}=={version}"], check=True)
    return path


def register(agent: ConsulAgent, service: str, count: int) -> None:
    described = {"Service": service, "Tags": ["v1", "blue"], "Meta": {"version": "1.2.3"}}
    for number in range(count):
        node = {"Node": f"node{number}-of-{service}", "Address": f"10.0.0.{number}"}
        agent.put("/v1/catalog/register", node | {"Service": described | {"ID": f"{service}-{number}", "Port": 2000 + number}})


def measure(lab: Lab, agent: ConsulAgent, library: str, service: str, count: int) -> dict[str, float]:
    """Microseconds, both in the same worker of the same app."""
    options = {"processes": 1, "pythonpath": str(folder(library)), "consul-watch-service": service}
    instance = lab.start(lab.ours, agent.address, lab.service(), options, APP)
    wait_up(instance, 1)
    query = {"service": service, "port": agent.http_port}

    def complete() -> bool:
        answer = json.loads(instance.ask(urllib.parse.urlencode(query)))
        return bool(answer["there"] == answer["asked"] == count)

    wait_for(f"{count} instances in the cache", complete)
    numbers = query | {"calls": scaled(CALLS, 20), "reads": scaled(READS, 200)}
    answer: dict[str, float] = json.loads(instance.ask(urllib.parse.urlencode(numbers), within=120))
    finish(instance)
    return answer


def run(lab: Lab) -> None:
    agent, rows = lab.agent(), []
    for count in SIZES:
        service = f"discovered-{count}"
        register(agent, service, count)
        for library in LIBRARIES:
            found = measure(lab, agent, library, service, count)
            ratio = found["http"] / found["cache"]
            bound = verdict(ratio >= LEAST_RATIO, f"at least {LEAST_RATIO}")
            rows.append(
                [
                    f"{count} instances, {library}",
                    f"{found['get']:.1f}",
                    f"{found['cache']:.1f}",
                    f"{found['http']:.0f}",
                    f"{ratio:.0f}",
                    bound,
                ]
            )
            say(rows[-1][0])
    head = ["medians, microseconds", "cache_get alone", "with json.loads", "HTTP call", "ratio", "bound"]
    table("A list of passing instances, read by an app", head, rows)

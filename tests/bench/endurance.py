"""Memory over 100,000 heartbeats, and over 10,000 changes of a watched service."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import time
from pathlib import Path

from integration.conftest import ConsulAgent
from integration.plugin.conftest import SOURCES, Agent

from .kit import Lab, memory, registered, say, scaled, table, verdict, wait_up

HEARTBEATS, CHANGES, GROWTH_KIB, WATCH_SECONDS = 100_000, 10_000, 64, 1800
# Answers when the change that is asked for is in the cache.
APP = """
import json, time
import uwsgi
def application(environ, start_response):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        text = uwsgi.cache_get("service/watched", "consul")
        if text and any(one["meta"].get("change") == environ["QUERY_STRING"] for one in json.loads(text)["instances"]):
            break
        time.sleep(0.0005)
    else:
        raise RuntimeError("the change is not in the cache")
    start_response("200 OK", [])
    return [b"seen"]
"""


def compile_driver(binary: str, directory: Path) -> Path:
    """The driver and the plugin's own sources, with the flags that the plugin is built with for this uWSGI."""
    header = subprocess.run([binary, "--dot-h"], capture_output=True, check=True).stdout
    (directory / "uwsgi.h").write_bytes(header)
    flags = subprocess.run([binary, "--cflags"], capture_output=True, text=True, check=True).stdout
    plugin = runpy.run_path(str(SOURCES / "uwsgiplugin.py"))
    includes = [f"-I{folder}" for folder in (directory, SOURCES, *(path for path in SOURCES.iterdir() if path.is_dir()))]
    objects = []
    for source in [Path(__file__).with_suffix(".c"), *(SOURCES / f"{name}.c" for name in plugin["GCC_LIST"])]:
        objects.append(directory / f"{source.stem}.o")
        subprocess.run(["gcc", *shlex.split(flags), *plugin["CFLAGS"], *includes, "-c", "-o", str(objects[-1]), str(source)], check=True)
    # Of the plugin's objects the linker takes what the driver needs, and so nothing of the core.
    archive = directory / "plugin.a"
    subprocess.run(["ar", "rcs", str(archive), *map(str, objects[1:])], check=True)
    driver = directory / "driver"
    subprocess.run(["gcc", "-o", str(driver), str(objects[0]), str(archive), *plugin["LIBS"]], check=True)
    return driver


def drive(driver: Path, agent: Agent, service: str, count: int) -> str:
    """What the driver says after so many heartbeats, each of which the agent has accepted."""
    done = subprocess.run([str(driver), agent.address, service, str(count)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    text = done.stdout
    if "answers" in text or "does not answer" in text or "lost" in text:
        raise RuntimeError(f"not every heartbeat was accepted:\n{text}")
    last = agent.get("/v1/agent/checks")[f"service:{service}"]["Output"]
    if last != f"heartbeat {count}":
        raise RuntimeError(f"the agent's last heartbeat is not the last one sent: {last}")
    return text


def heartbeats(lab: Lab, agent: ConsulAgent) -> list[list[str]]:
    driver = compile_driver(lab.ours.build.binary, lab.place("endurance"))
    text = drive(driver, agent, lab.service(), scaled(HEARTBEATS, 1000))
    reports = re.findall(r"heartbeats (\d+) resident (\d+) KiB heap (\d+) bytes after (\d+) ms", text)
    growth = int(reports[-1][1]) - int(reports[0][1])
    say(f"{int(reports[-1][0]) * 1000 / int(reports[-1][3]):.0f} heartbeats per second")
    rows = [[f"{int(beats):,} heartbeats", resident, heap, ""] for beats, resident, heap, _ in reports]
    rows[-1][-1] = verdict(growth <= GROWTH_KIB, f"grows by at most {GROWTH_KIB} KiB")
    return rows


def change(agent: ConsulAgent, number: int) -> None:
    service = {"Service": "watched", "ID": "watched", "Port": 1 + number % 65535, "Meta": {"change": str(number)}}
    agent.put("/v1/catalog/register", {"Node": "elsewhere", "Address": "10.0.0.1", "Service": service})


def changes(lab: Lab, agent: ConsulAgent) -> list[list[str]]:
    """Each change is waited for in the cache, so that each is one that the watch has seen."""
    count, service = scaled(CHANGES, 100), lab.service()
    instance = lab.start(lab.ours, agent.address, service, {"processes": 1, "consul-watch-service": "watched"}, APP)
    wait_up(instance, 1)
    registered(agent, service)
    rows, started, number = [], time.monotonic(), 0
    while number < count and time.monotonic() - started < WATCH_SECONDS:
        number += 1
        change(agent, number)
        instance.ask(str(number), within=40)
        if number == count // 100 or number % (count // 5) == 0:
            # Without the cache: uWSGI gave it its size at the start, and each new item goes to blocks that were not touched before.
            own = memory([instance.agent_process])
            rows.append([f"{number:,} changes", f"{own.anonymous:.0f}", ""])
    say(f"{number / (time.monotonic() - started):.0f} changes per second")
    if number < count:
        raise RuntimeError(f"only {number} of {count} changes were seen in {WATCH_SECONDS} s")
    growth = float(rows[-1][1]) - float(rows[0][1])
    rows[-1][-1] = verdict(growth <= GROWTH_KIB, f"grows by at most {GROWTH_KIB} KiB")
    return rows


def run(lab: Lab) -> None:
    agent = lab.agent()
    head = ["", "resident, KiB", "heap in use, bytes", "bound"]
    table("The plugin's service and connection at full speed, by a driver without uWSGI", head, heartbeats(lab, agent))
    table("The agent process of an instance that watches a service", ["", "in no file, KiB", "bound"], changes(lab, agent))

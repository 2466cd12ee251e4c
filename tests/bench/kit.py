"""What the benchmarks share: the variants that are compared, a place for them to run in, how to look at them, and tables."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.conftest import ConsulAgent
from integration.plugin.conftest import Build, Instance, Options, debian_binary, launch, usual_options
from polling import wait_for

NOT_MEASURED = "not measured"
SCALE = float(os.environ.get("BENCH_SCALE", "1"))


def scaled(full: int, least: int = 1) -> int:
    """So many of something; `BENCH_SCALE=0.1` makes a tenth of it, to see that a benchmark works. Only 1 gives numbers worth keeping."""
    return max(least, round(full * SCALE))


def say(text: str) -> None:
    """Progress, which is no result."""
    print(f"    {text}", flush=True)


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}\n")
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if not number:
            print("| " + " | ".join("-" * width for width in widths) + " |")
    print(flush=True)


def verdict(good: bool, bound: str) -> str:
    return f"{bound}: {'holds' if good else 'MISSED'}"


@dataclass(frozen=True)
class Variant:
    """A way to run the same app: without a plugin, with ours, or with the one from before (`PEER_PLUGIN`)."""

    name: str
    build: Build

    def options(self, address: str, service: str, ttl: int = 10) -> Options:
        """What is added to the usual options."""
        if self.name == "without":
            return {"need-plugin": self.build.plugins, "plugins-dir": None, "master": "true"}
        if self.name == "old":
            # It can't find out the port, and nobody connects to the one that it tells.
            return {"consul-register": f"url=http://{address},name={service},id={service},port=2001,ttl={ttl}"}
        return {"consul-agent": address, "consul-service-name": service, "consul-service-id": service, "consul-check-ttl": f"{ttl}s"}


class Lab:
    """A directory, the plugin built in it, and what was started: all of it is gone at the end."""

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()
        self._services = itertools.count(1)
        self.directory = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="uwsgi-consul-bench-")))
        build = Build("debian", debian_binary(), ["python3"], self.directory / "plugin")
        build.compile()
        self.without, self.ours, self.old = Variant("without", build), Variant("with", build), None
        if peer := os.environ.get("PEER_PLUGIN"):
            if not Path(peer).is_file():
                raise RuntimeError(f"PEER_PLUGIN={peer}: there is no such file")
            self.old = Variant("old", Build("old", build.binary, build.plugins, Path(peer).resolve().parent))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    @property
    def plugins(self) -> list[Variant]:
        return [self.ours, *([self.old] if self.old else [])]

    @property
    def variants(self) -> list[Variant]:
        return [self.without, *self.plugins]

    def place(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))

    def service(self) -> str:
        """A name that was not used before."""
        return f"bench-{next(self._services)}"

    def agent(self, config: dict[str, Any] | None = None, node: str = "node1", datacenter: str = "dc1") -> ConsulAgent:
        agent = ConsulAgent(self.place("consul"), config, node, datacenter)
        self._resources.callback(agent.stop)
        return agent.start()

    def start(
        self,
        variant: Variant,
        address: str,
        service: str,
        options: Options | None = None,
        app: str = "",
        *,
        ttl: int = 10,
        socket: str = "http-socket",
    ) -> Instance:
        """An instance whose agent is at this address."""
        directory = self.place(service)
        usual = usual_options(variant.build, directory) | {"http-socket": None, socket: "127.0.0.1:0", "disable-logging": "true"}
        if app:
            (directory / "app.py").write_text(app)
        instance = launch(variant.build, directory, usual | variant.options(address, service, ttl) | (options or {}))
        self._resources.callback(instance.kill_all)
        return instance


def wait_up(instance: Instance, workers: int) -> None:
    """Until the last worker was started; says what the log says when there will be none."""
    wait_for("workers, or an end", lambda: len(instance.workers) == workers or instance.process.poll() is not None, within=60)
    if instance.process.poll() is not None:
        raise RuntimeError(f"uWSGI did not start:\n{instance.text()[-2000:]}")


def finish(instance: Instance) -> None:
    """An orderly stop, in which a plugin may deregister."""
    instance.signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        instance.wait()
    instance.kill_all()


class Health:
    """What the catalog says of a service, told at the moment that it changes: a blocking query and no polling."""

    def __init__(self, agent: ConsulAgent, service: str) -> None:
        self.agent, self.path = agent, f"/v1/health/service/{urllib.parse.quote(service)}"

    def wait(self, wanted: Callable[[list[dict[str, Any]]], bool], within: float = 60.0) -> float | None:
        """The time (monotonic) at which the catalog first says what is wanted, or None when it does not in time."""
        deadline, index = time.monotonic() + within, "0"
        connection = http.client.HTTPConnection(self.agent.address, timeout=within + 30)
        with contextlib.closing(connection):
            while (left := deadline - time.monotonic()) > 0:
                connection.request("GET", f"{self.path}?index={index}&wait={max(1, int(left * 1000))}ms")
                answer = connection.getresponse()
                entries = json.loads(answer.read())
                now = time.monotonic()
                if wanted(entries):
                    return now
                index = answer.headers["X-Consul-Index"]
        return None


def states(entries: list[dict[str, Any]]) -> list[str]:
    """The state of each instance that has a check of its own; one that has none yet is not counted."""
    return [check["Status"] for entry in entries for check in entry["Checks"] if check["ServiceID"]]


def all_passing(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda entries: states(entries) == ["passing"] * count


def registered(agent: ConsulAgent, service: str, count: int = 1, within: float = 60.0) -> float:
    at = Health(agent, service).wait(all_passing(count), within)
    if at is None:
        raise RuntimeError(f"{service} is not passing within {within:g} s")
    return at


@dataclass
class Memory:
    """In KiB, of some processes together."""

    pss: float = 0  # with their part of what they share with others, such as libraries
    anonymous: float = 0  # of it what is in no file: nobody but processes of the same instance shares it
    resident: float = 0  # all of it, however many share it
    private: float = 0  # what each has for itself alone


def processes(instance: Instance) -> list[int]:
    """Every process of an instance, which has a session of its own."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[3]) == instance.process.pid:
                found.append(int(status.parent.name))
    return found


def memory(pids: Iterable[int]) -> Memory:
    total = Memory()
    for pid in pids:
        sizes = {}
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            key, value, _ = line.split()
            sizes[key] = int(value)
        total.pss += sizes["Pss:"]
        total.resident += sizes["Rss:"]
        total.anonymous += sizes["Pss_Anon:"]
        total.private += sizes["Private_Clean:"] + sizes["Private_Dirty:"]
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """From the first quartile to the third: how far to trust a median."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return f"{low:.{digits}f}..{high:.{digits}f}"

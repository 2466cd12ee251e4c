"""The inventory of 2,000 nodes in three datacenters: requests and time, against requests for each node with python-consul2."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from integration.conftest import ConsulAgent
from polling import wait_for

from .discovery import folder
from .kit import Lab, median, say, scaled, spread, table, verdict
from .traffic import CountingProxy

ROOT = Path(__file__).parents[2]
DATACENTERS, NODES, ROUNDS = ("dc1", "dc2", "dc3"), 2000, 5
MOST_REQUESTS, LONGEST = 5, 3.0

ASK = """
import sys, time
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.plugin_utils._inventory import Source

source = Source(Settings.resolve(agents=[sys.argv[1]]), datacenters=["*"], filter=None, skip_unreachable=False, warn=print)
started = time.perf_counter()
nodes, _complete = source.nodes()
print(len(nodes), time.perf_counter() - started)
"""
# What inventory scripts for Consul do: the list of nodes, then each node's services and checks, over one client.
ASK_PER_NODE = """
import sys, time
import consul

host, port = sys.argv[1].split(":")
client = consul.Consul(host=host, port=int(port))
started = time.perf_counter()
nodes = {}
for dc in client.catalog.datacenters():
    for node in client.catalog.nodes(dc=dc)[1]:
        services = client.catalog.node(node["Node"], dc=dc)[1]["Services"]
        checks = client.health.node(node["Node"], dc=dc)[1]
        nodes[dc, node["Node"]] = sorted(services), [check["Status"] for check in checks]
print(len(nodes), time.perf_counter() - started)
"""


def join(lab: Lab) -> list[ConsulAgent]:
    """An agent for each datacenter, all joined over WAN."""
    agents: list[ConsulAgent] = []
    for name in DATACENTERS:
        others = [f"127.0.0.1:{agent.serf_wan_port}" for agent in agents[:1]]
        agents.append(lab.agent({"retry_join_wan": others}, node=f"server-{name}", datacenter=name))

    def joined() -> bool:
        return all(agents[0].get(f"/v1/catalog/nodes?dc={name}") for name in DATACENTERS)

    wait_for("the datacenters to join", joined, within=60)
    return agents


def fill(agents: list[ConsulAgent], count: int) -> None:
    """So many nodes in all datacenters together, each with two services and their checks."""

    def register(number: int) -> None:
        agent = agents[number % len(agents)]
        node = {
            "Node": f"node{number}",
            "Address": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
            "NodeMeta": {"rack": f"r{number % 20}"},
        }
        for service in ("web", f"shard-{number % 50}"):
            described = {"ID": service, "Service": service, "Tags": ["v1", "blue"], "Port": 8080}
            checks = [
                # Not serfHealth, by which Consul would know within a minute that no such agent was ever there.
                {"CheckID": "alive", "Name": "Node is alive", "Status": "passing"},
                {"CheckID": f"check-{service}", "Name": service, "Status": "passing", "ServiceID": service},
            ]
            agent.put("/v1/catalog/register", node | {"Service": described, "Checks": checks})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(count)))


def output(command: list[str], **environment: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CONSUL_", "ANSIBLE_"))}
    done = subprocess.run(command, env=environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def asked(script: str, address: str, path: str) -> tuple[int, float]:
    """How many nodes a script found, and in how many seconds, without the start of Python."""
    nodes, seconds = output([sys.executable, "-c", script, address], PYTHONPATH=path).split()
    return int(nodes), float(seconds)


def whole(lab: Lab, address: str) -> tuple[int, float]:
    """How many hosts Ansible knows, and in how many seconds, its own start among them."""
    file = lab.place("inventory") / "consul.yml"
    file.write_text(yaml.safe_dump({"plugin": "uwsgi.consul.consul", "agents": [address], "datacenters": ["*"]}))
    started = time.perf_counter()
    ansible = str(Path(sys.executable).with_name("ansible"))
    printed = output([ansible, "all", "-i", str(file), "--list-hosts"], ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    return len(printed.splitlines()) - 1, time.perf_counter() - started


def run(lab: Lab) -> None:
    agents, count = join(lab), scaled(NODES, 30)
    fill(agents, count)
    say(f"{count} nodes registered")
    ways: dict[str, Callable[[str], tuple[int, float]]] = {
        "ours": lambda address: asked(ASK, address, str(ROOT / "collections")),
        "per node": lambda address: asked(ASK_PER_NODE, address, str(folder("python-consul2"))),
        "whole": lambda address: whole(lab, address),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    requests: dict[str, int] = {}
    for number in range(ROUNDS):
        for name, way in ways.items():
            with contextlib.closing(CountingProxy(agents[0])) as proxy:
                nodes, seconds = way(proxy.address)
                requests[name] = proxy.requests
            assert nodes == count + len(DATACENTERS), (name, nodes)
            taken[name].append(seconds)
        say(f"round {number + 1}: done")
    middle = {name: median(values) for name, values in taken.items()}
    rows = {
        "the inventory's part: nodes, services, checks": (
            "ours",
            verdict(requests["ours"] <= MOST_REQUESTS, f"at most {MOST_REQUESTS} requests"),
        ),
        "the same with requests for each node, python-consul2": ("per node", ""),
        "ansible all --list-hosts, from its start to its end": ("whole", verdict(middle["whole"] < LONGEST, f"under {LONGEST:g} s")),
    }
    table(
        f"{count} nodes in {len(DATACENTERS)} datacenters",
        ["", "requests", "seconds", "quartiles", "bound"],
        [
            *([label, str(requests[name]), f"{middle[name]:.2f}", spread(taken[name]), bound] for label, (name, bound) in rows.items()),
            ["ratio", f"{requests['per node'] / requests['ours']:.0f}", f"{middle['per node'] / middle['ours']:.1f}", "", ""],
        ],
    )

"""The inventory of 2,000 nodes in three datacenters: requests and time, against requests for each node with python-consul2."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from integration.conftest import ConsulAgent
from integration.plugin.conftest import wait_for

from .discovery import folder
from .kit import Lab, median, say, scaled, spread, table, verdict
from .traffic import CountingProxy

ROOT = Path(__file__).parents[2]
DATACENTERS, NODES, ROUNDS = ("dc1", "dc2", "dc3"), 2000, 5
MOST_REQUESTS, LONGEST = 5, 3.0

# What inventory scripts for Consul do: the list of nodes, then each node's services and checks, over one client.
PER_NODE = """
import json, sys
import consul

client = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
hosts = {}
for dc in client.catalog.datacenters():
    for node in client.catalog.nodes(dc=dc)[1]:
        services = client.catalog.node(node["Node"], dc=dc)[1]["Services"]
        checks = client.health.node(node["Node"], dc=dc)[1]
        hosts[dc, node["Node"]] = sorted(services), [check["Status"] for check in checks]
print(len(hosts))
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
                {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing"},
                {"CheckID": f"check-{service}", "Name": service, "Status": "passing", "ServiceID": service},
            ]
            agent.put("/v1/catalog/register", node | {"Service": described, "Checks": checks})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(count)))


def timed(command: list[str], **environment: str) -> tuple[float, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CONSUL_", "ANSIBLE_"))}
    started = time.perf_counter()
    done = subprocess.run(command, env=environ | environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return taken, done.stdout


def ours(lab: Lab, address: str) -> tuple[float, int]:
    """Seconds of the whole command, and how many hosts it knows."""
    file = lab.place("inventory") / "consul.yml"
    file.write_text(yaml.safe_dump({"plugin": "uwsgi.consul.consul", "agents": [address], "datacenters": ["*"]}))
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(file), "--list"]
    taken, printed = timed(command, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    return taken, len(json.loads(printed)["_meta"]["hostvars"])


def per_node(agent_port: str) -> tuple[float, int]:
    taken, printed = timed([sys.executable, "-c", PER_NODE, agent_port], PYTHONPATH=str(folder("python-consul2")))
    return taken, int(printed)


def run(lab: Lab) -> None:
    agents, count = join(lab), scaled(NODES, 30)
    fill(agents, count)
    say(f"{count} nodes registered")
    taken: dict[str, list[float]] = {"ours": [], "per node": []}
    requests = {}
    for number in range(ROUNDS):
        with contextlib.closing(CountingProxy(agents[0])) as proxy:
            seconds, hosts = ours(lab, proxy.address)
            requests["ours"] = proxy.requests
        taken["ours"].append(seconds)
        assert hosts == count + len(DATACENTERS), hosts
        # It takes long enough to be measured once or twice.
        if number < 2:
            with contextlib.closing(CountingProxy(agents[0])) as proxy:
                seconds, hosts = per_node(proxy.address.rpartition(":")[2])
                requests["per node"] = proxy.requests
            taken["per node"].append(seconds)
            assert hosts == count + len(DATACENTERS), hosts
        say(f"round {number + 1}: done")
    middle = {name: median(values) for name, values in taken.items()}
    table(
        f"{count} nodes in {len(DATACENTERS)} datacenters",
        ["", "requests", "seconds", "quartiles", "bound"],
        [
            [
                "ansible-inventory --list, whole command",
                str(requests["ours"]),
                f"{middle['ours']:.2f}",
                spread(taken["ours"]),
                verdict(requests["ours"] <= MOST_REQUESTS, f"at most {MOST_REQUESTS} requests, be it of all datacenters")
                + "; "
                + verdict(middle["ours"] < LONGEST, f"under {LONGEST:g} s"),
            ],
            [
                "requests for each node, python-consul2",
                str(requests["per node"]),
                f"{middle['per node']:.2f}",
                spread(taken["per node"]),
                "",
            ],
            ["ratio", f"{requests['per node'] / requests['ours']:.0f}", f"{middle['per node'] / middle['ours']:.1f}", "", ""],
        ],
    )

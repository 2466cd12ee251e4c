# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that asks every second and prints the servers it found: by `Discovery`, and as users of python-consul2 write it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "examples/discovery/client.py").read_text()
POLLING = """
import time
from uwsgi_consul import Client

client = Client()
while True:
    index, servers = client.health.service("consul-demo-server", passing=True)
    for server in servers:
        node, service = server["Node"], server["Service"]
        address = service["Address"] or node["Address"]
        print(f"{service['Service']} found on node {node['Node']} ({address}) using port {service['Port']}", flush=True)
    if not servers:
        print("no consul-demo-server available", flush=True)
    time.sleep(1)
"""


def wait_for(log: Path, lines: list[str]) -> None:
    """Until the newest lines are these."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if log.read_text().splitlines()[-len(lines) :] == lines:
            return
        time.sleep(0.1)
    pytest.fail(f"{lines} are not what it printed: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("program", [EXAMPLE, POLLING], ids=["Discovery", "Client"])
def test_a_client_of_the_demo(consul_agents, tmp_path, program):
    agent = consul_agents()
    environ = {**os.environ, "CONSUL_HTTP_ADDR": agent.address, "PYTHONPATH": str(ROOT / "plugins/module_utils")}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=output, stderr=output)
    try:
        wait_for(log, ["no consul-demo-server available"])
        for port in (2001, 2002):
            agent.put("/v1/agent/service/register", {"Name": "consul-demo-server", "ID": f"server-{port}", "Port": port})
        found = [f"consul-demo-server found on node {agent.node} (127.0.0.1) using port {port}" for port in (2001, 2002)]
        wait_for(log, found)
        agent.put("/v1/agent/service/deregister/server-2001")
        wait_for(log, found[1:])
        agent.put("/v1/agent/service/deregister/server-2002")
        wait_for(log, ["no consul-demo-server available"])
        assert process.poll() is None
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()

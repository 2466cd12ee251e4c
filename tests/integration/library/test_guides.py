# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guides tell readers to write, run as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils import uwsgi_consul

GUIDES = Path(__file__).parents[3] / "docs" / "guide"


def blocks(guide):
    return re.findall(r"```py\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL)


@pytest.fixture
def run(consul_agents, monkeypatch, tmp_path):
    """Runs code that imports the package by the name that apps know; the guides' addresses and paths become the test's own."""
    agent = consul_agents()
    monkeypatch.setitem(sys.modules, "uwsgi_consul", uwsgi_consul)
    monkeypatch.setenv("CONSUL_HTTP_ADDR", agent.address)

    def execute(code):
        scope = {}
        exec(code.replace("web1:8500", agent.address).replace("/var/lib/shop", str(tmp_path)), scope)  # noqa: S102
        return scope

    execute.agent = agent
    return execute


def test_queries(run, capsys):
    run.agent.put("/v1/agent/service/register", {"Name": "shop", "Port": 8080})
    once, app = blocks("queries.md")
    run(once)
    found = run("from uwsgi_consul import Queries\n" + app)["found"]
    assert (found["failovers"], capsys.readouterr().out) == (0, "127.0.0.1 8080\n")
    inline = re.search(r"`(Queries\(\)\.ensure\(\"shop-\".*?)`\.", (GUIDES / "queries.md").read_text())
    run("from uwsgi_consul import Queries\n" + inline[1])
    run("from uwsgi_consul import Queries\nassert Queries().explain('shop-x')['service'] == 'web-x'")


def test_operations(run):
    upstreams = [{"DestinationName": "db", "LocalBindPort": 9191}]
    sidecar = {"SidecarService": {"Proxy": {"Upstreams": upstreams}}}
    run.agent.put("/v1/agent/service/register", {"Name": "shop", "ID": "shop-1", "Port": 80, "Connect": sidecar})
    maintenance, events, sweeper, told, mesh, overview, sessions, registry, operator = blocks("operations.md")
    assert list(run(maintenance)["maintenance"].state()["services"]) == ["shop-1"]
    # Following has no end.
    run(events.partition("for event")[0])
    assert run(sweeper)["sweeper"].find("72h") == []
    run("from uwsgi_consul import Sweeper\n" + told)
    scope = run(mesh)
    assert (scope["host"], scope["port"]) == ("127.0.0.1", 9191)
    run(overview.replace("dc2", "dc1"))
    assert uwsgi_consul.Sessions().info(run(sessions)["session"]) is None
    assert run(registry)["registry"].checks()["backup"]["output"] == "12 GB in 40 minutes"
    assert run(operator)["datacenter"]["leader"] == "node1"


def test_health(run):
    plain, options, stop = blocks("health.md")
    scope = run("class connection:\n    execute = print\n" + plain)
    assert scope["health"].report()["checks"]["database"]["status"] == "passing"
    scope = run("from uwsgi_consul import Health\ndatabase = queue = disk = lambda: True\n" + options)
    assert list(scope["health"].report()["checks"]) == ["database", "queue", "disk"]
    assert run("from uwsgi_consul import Health\nhealth = Health()\n" + stop)["health"].report()["status"] == "critical"


def test_registration(run):
    block, forms, health, told, made, lifespan, external = blocks("registration.md")
    begin = """
import asyncio, os
from uwsgi_consul import Api, Service

def serve():
    registered.append(Api().request("GET", "/v1/agent/checks").json())

async def serve_async():
    serve()

class queue:
    full = lambda: True

registered = []
"""
    assert [len(checks) for checks in run(begin + block)["registered"]] == [1]
    scope = run(begin + forms + "main()\nasyncio.run(main_async())\nasyncio.run(by_hand())")
    assert [len(checks) for checks in scope["registered"]] == [1, 1, 1]
    (checks,) = run(begin + health)["registered"]
    assert [(check["Status"], check["Output"]) for check in checks.values()] == [("warning", "the queue is full")]
    run(begin + "with Service('shop') as service:\n    " + told.replace("\n", "\n    "))
    scope = run(begin + made + "with service:\n    serve()")
    assert sorted(check["Type"] for check in scope["registered"][0].values()) == ["grpc", "http", "tcp", "ttl"]
    run(
        begin
        + lifespan
        + "async def main():\n    async with lifespan(None):\n        serve()\nasyncio.run(main())\nassert len(registered[0]) == 1"
    )
    run(external)
    (entry,) = run.agent.get("/v1/health/service/database")
    assert (entry["Node"]["Address"], entry["Service"]["Port"]) == ("192.0.2.9", 5432)
    assert run.agent.get("/v1/agent/services") == {}


def test_locks_of_sessions(run):
    (code,) = blocks("ansible-locks.md")
    assert run(code)["token"]
    assert "Session" not in run.agent.get("/v1/kv/deploy/shop")[0]
    assert run.agent.get("/v1/session/list") == []


def test_waiting(run, capsys):
    for number in range(3):
        run.agent.put("/v1/agent/service/register", {"Name": "shop", "ID": f"shop-{number}", "Tags": ["v2"]})
    (code,) = blocks("ansible-waiting.md")
    assert run(code)["look"].fulfilled
    assert "of service shop, 3 of 3 instances are passing" in capsys.readouterr().out

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that register themselves, with a real agent: programs that end in every way, and agents that do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from polling import slowness

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import checks, heartbeat
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.registration import ExternalService, Service

ROOT = Path(__file__).parents[3]
WITHIN = 60
PROGRAM = """
import os, signal, sys, time
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, checks
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.registration import Service

service = Service(sys.argv[2], id=sys.argv[2], port=8000, checks=checks.ttl(3), client=Api(agents=[sys.argv[1]]))
{body}
"""


def wait_for(look, within=WITHIN):
    """The seconds that it took."""
    started = time.monotonic()
    while not look():
        assert time.monotonic() - started < within
        time.sleep(0.01)
    return time.monotonic() - started


def statuses(consul, name):
    """Of all instances in the catalog: the status of each check of theirs."""
    entries = consul.get(f"/v1/health/service/{name}")
    return [check["Status"] for entry in entries for check in entry["Checks"] if check["ServiceID"]]


def service_of(consul, name, **options):
    return Service(name, **{"id": name, "client": Api(agents=[consul.address]), "checks": checks.ttl(3), **options})


@pytest.fixture
def program():
    """Starts a program that makes `service`, and waits for its first line."""
    with contextlib.ExitStack() as stack:

        def start(address, name, body):
            environ = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
            command = [sys.executable, "-c", PROGRAM.format(body=body), address, name]
            process = subprocess.Popen(
                command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.callback(process.kill)
            assert process.stdout.readline() == "ready\n", process.communicate()
            return process

        yield start


# Well and not so well


def test_a_service_is_there_while_its_block_runs(consul):
    name = "block-of-the-library"
    with service_of(consul, name, port=8000, tags=["v1"], meta={"team": "a"}, weights={"passing": 7}, address="192.0.2.3") as service:
        assert service.registered
        wait_for(lambda: statuses(consul, name) == ["passing"])
        entry = consul.get(f"/v1/health/service/{name}")[0]["Service"]
        assert (entry["Port"], entry["Tags"], entry["Address"], entry["Weights"]["Passing"]) == (8000, ["v1"], "192.0.2.3", 7)
        assert (entry["Meta"]["team"], len(entry["Meta"])) == ("a", 2)
        # Longer than the TTL.
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            assert statuses(consul, name) == ["passing"]
            time.sleep(0.05)
    wait_for(lambda: not consul.get(f"/v1/health/service/{name}"))


def test_the_same_for_coroutines_and_functions(consul):
    name = "async-of-the-library"
    service = service_of(consul, name)

    @service
    async def work():
        return sorted(consul.get("/v1/agent/services"))

    async def main():
        async with service:
            return sorted(consul.get("/v1/agent/services"))

    assert name in asyncio.run(work())
    assert name in asyncio.run(main())
    assert name in service(lambda: consul.get("/v1/agent/services"))()
    assert name not in consul.get("/v1/agent/services")


def test_what_a_health_function_says_arrives_within_a_moment(consul):
    name = "health-of-the-library"
    said = {"result": True}
    with service_of(consul, name, health=lambda: said["result"], checks=checks.ttl(600)):
        wait_for(lambda: statuses(consul, name) == ["passing"])
        took = []
        for result, status in ((False, "critical"), ("warning", "warning"), (None, "passing")):
            said["result"] = result
            took.append(wait_for(lambda status=status: statuses(consul, name) == [status]))
        # Each change follows the one before at once, so that all of them wait for most of a second; a crowded machine adds to some.
        assert min(took) < 1.2 * slowness()


def test_what_is_told_arrives_at_once_with_its_note(consul):
    name = "told-of-the-library"
    with service_of(consul, name, checks=checks.ttl(600)) as service:
        for tell, status in ((service.warning, "warning"), (service.critical, "critical"), (service.passing, "passing")):
            tell(f"note of {status}")
            wait_for(lambda status=status: statuses(consul, name) == [status], within=3 * slowness())
            assert consul.get("/v1/agent/checks")[f"service:{name}"]["Output"] == f"note of {status}"


def test_the_agent_makes_its_own_checks(consul):
    name = "checked-of-the-library"

    class App(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(429)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), App) as app, socket.socket() as listener, socket.socket() as deaf:
        threading.Thread(target=app.serve_forever, args=(0.05,), daemon=True).start()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        deaf.bind(("127.0.0.1", 0))
        made = [
            checks.http(f"http://127.0.0.1:{app.server_port}/", interval=1, id=f"{name}-http"),
            checks.tcp(f"127.0.0.1:{listener.getsockname()[1]}", interval=1, id=f"{name}-tcp"),
            checks.tcp(f"127.0.0.1:{deaf.getsockname()[1]}", interval=1, id=f"{name}-deaf", status="passing"),
            checks.ttl(5, id=f"{name}-ttl"),
        ]
        wanted = {f"{name}-http": "warning", f"{name}-tcp": "passing", f"{name}-deaf": "critical", f"{name}-ttl": "passing"}
        with service_of(consul, name, checks=made):

            def found():
                return {key: check["Status"] for key, check in consul.get("/v1/agent/checks").items() if key in wanted}

            wait_for(lambda: found() == wanted)
        assert found() == {}
        app.shutdown()


# Ends of a program


def test_the_end_of_a_program_deregisters(consul, program):
    name = "exit-of-the-library"
    running = program(consul.address, name, "service.register()\nprint('ready', flush=True)\nsys.stdin.readline()")
    wait_for(lambda: statuses(consul, name) == ["passing"])
    running.stdin.close()
    assert running.wait(WITHIN) == 0
    assert name not in consul.get("/v1/agent/services")
    assert running.stderr.read() == ""


def test_sigterm_deregisters_and_ends_the_program_as_it_would(consul, program):
    name = "sigterm-of-the-library"
    running = program(consul.address, name, "service.register()\nprint('ready', flush=True)\ntime.sleep(600)")
    wait_for(lambda: statuses(consul, name) == ["passing"])
    running.terminate()
    assert running.wait(WITHIN) == -signal.SIGTERM
    assert name not in consul.get("/v1/agent/services")


def test_sigterm_of_a_program_that_has_a_handler_is_its_own(consul, program):
    name = "handler-of-the-library"
    body = """
def end(*_arguments):
    print("handled", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
with service:
    print("ready", flush=True)
    time.sleep(600)
"""
    running = program(consul.address, name, body)
    running.terminate()
    assert running.wait(WITHIN) == 7
    assert running.stdout.read() == "handled\n"
    assert name not in consul.get("/v1/agent/services")
    assert running.stderr.read() == ""


def test_a_program_of_asyncio_leaves_by_its_own_handler(consul, program):
    name = "loop-of-the-library"
    body = """
import asyncio
async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with service:
        print("ready", flush=True)
        await ended.wait()
    print("left", flush=True)
asyncio.run(main())
"""
    running = program(consul.address, name, body)
    running.terminate()
    assert running.wait(WITHIN) == 0
    assert running.stdout.read() == "left\n"
    assert name not in consul.get("/v1/agent/services")


def test_a_killed_program_is_critical_after_its_ttl(consul, program):
    name = "killed-of-the-library"
    running = program(consul.address, name, "service.register()\nprint('ready', flush=True)\ntime.sleep(600)")
    running.kill()
    running.wait()
    wait_for(lambda: statuses(consul, name) == ["critical"])
    consul.put(f"/v1/agent/service/deregister/{name}")


def test_the_end_of_a_child_ends_nothing_of_its_parent(consul, program):
    name = "fork-of-the-library"
    body = """
import threading
service.register()
for end in (lambda: sys.exit(0), lambda: os.kill(os.getpid(), signal.SIGTERM), service.deregister):
    child = os.fork()
    if not child:
        end()
        sys.exit(0)
    os.waitpid(child, 0)
print("ready", flush=True)
sys.stdin.readline()
"""
    running = program(consul.address, name, body)
    nonce = consul.get(f"/v1/agent/service/{name}")["Meta"][heartbeat.NONCE_KEY]
    time.sleep(3.5)
    assert statuses(consul, name) == ["passing"]
    assert consul.get(f"/v1/agent/service/{name}")["Meta"][heartbeat.NONCE_KEY] == nonce
    running.stdin.close()
    assert running.wait(WITHIN) == 0
    assert name not in consul.get("/v1/agent/services")


# Ends of an agent


def test_an_agent_that_lost_its_state_has_the_service_again(consul_agents):
    agent = consul_agents()
    with service_of(agent, "lost") as service:
        nonce = agent.get("/v1/agent/service/lost")["Meta"][heartbeat.NONCE_KEY]
        service.warning("busy")
        wait_for(lambda: statuses(agent, "lost") == ["warning"])
        agent.stop()
        # An agent of the development mode keeps its state in memory only.
        time.sleep(1)
        agent.start()
        wait_for(lambda: statuses(agent, "lost") == ["warning"])
        assert agent.get("/v1/agent/service/lost")["Meta"][heartbeat.NONCE_KEY] == nonce
        service.passing()
        wait_for(lambda: statuses(agent, "lost") == ["passing"])
    assert "lost" not in agent.get("/v1/agent/services")


def test_an_agent_that_comes_later_or_hangs_holds_up_nobody(consul_agents):
    agent = consul_agents()
    agent.stop()
    started = time.monotonic()
    with service_of(agent, "late") as service:
        assert time.monotonic() - started < 4 * slowness()
        assert not service.registered
        agent.start()
        wait_for(lambda: statuses(agent, "late") == ["passing"])
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        agent.process.send_signal(signal.SIGCONT)
        wait_for(lambda: statuses(agent, "late") == ["passing"])
        agent.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
    assert time.monotonic() - started < 4 * slowness()
    agent.process.send_signal(signal.SIGCONT)


def test_a_program_ends_in_time_though_its_agent_hangs(consul_agents, program):
    agent = consul_agents()
    running = program(agent.address, "hangs", "service.register()\nprint('ready', flush=True)\ntime.sleep(600)")
    agent.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    running.terminate()
    assert running.wait(WITHIN) == -signal.SIGTERM
    assert time.monotonic() - started < 4 * slowness()
    agent.process.send_signal(signal.SIGCONT)


# Two of them, and those of others


def test_an_id_belongs_to_who_registered_it_last(consul, monkeypatch):
    monkeypatch.setattr(heartbeat, "_OWNER_BEATS", 2)
    name = "twice-of-the-library"
    first, second = service_of(consul, name, port=1), service_of(consul, name, port=2)
    first.register()
    second.register()
    assert first.deregister()
    assert consul.get(f"/v1/agent/service/{name}")["Port"] == 2
    first.register()
    assert consul.get(f"/v1/agent/service/{name}")["Port"] == 1
    wait_for(lambda: not second.registered)
    assert first.deregister()
    wait_for(lambda: second.registered)
    assert consul.get(f"/v1/agent/service/{name}")["Port"] == 2
    wait_for(lambda: statuses(consul, name) == ["passing"])
    assert second.deregister()
    assert name not in consul.get("/v1/agent/services")


def test_a_machine_without_an_agent_is_in_the_catalog(consul):
    name = "external-of-the-library"
    check = checks.http("http://192.0.2.9/", deregister_after=90)
    service = ExternalService(
        name, node="external1", address="192.0.2.9", port=80, tags=["v1"], checks=check, client=Api(agents=[consul.address])
    )
    service.register()
    service.register()
    (entry,) = consul.get(f"/v1/health/service/{name}?passing=1")
    assert (entry["Node"]["Address"], entry["Service"]["Port"], entry["Service"]["Tags"]) == ("192.0.2.9", 80, ["v1"])
    # What consul-esm looks for.
    assert entry["Node"]["Meta"] == {"external-node": "true", "external-probe": "true"}
    definition = entry["Checks"][0]["Definition"]
    assert (definition["HTTP"], definition["Interval"]) == ("http://192.0.2.9/", "10s")
    service.tell("critical", "no answer")
    assert consul.get(f"/v1/health/service/{name}?passing=1") == []
    assert consul.get(f"/v1/health/service/{name}")[0]["Checks"][0]["Output"] == "no answer"
    service.deregister()
    assert consul.get(f"/v1/health/service/{name}") == []
    assert consul.get("/v1/catalog/node/external1")["Services"] == {}
    service.deregister(with_node=True)
    assert consul.get("/v1/catalog/node/external1") is None

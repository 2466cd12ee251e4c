"""What Consul does must not harm the app, and must not be said twice in the log."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from polling import holds, wait_for

from ports import free_port

from ..conftest import ConsulAgent
from .conftest import Agent, Build, Instance, Start, entry, note, state, wait_state

Agents = Callable[..., Agent]


def lines(instance: Instance, word: str) -> int:
    return sum(word in line for line in instance.text().splitlines() if "[consul]" in line)


def wait_known(agent: Agent, name: str) -> None:
    """Until the agent has taken the registration and an update of it."""
    wait_for("the first update", lambda: note(agent, name).startswith("2/2 workers ready"))


def test_agent_loses_its_state(consul_agents: Agents, build: Build, start: Start, name: str) -> None:
    agent = consul_agents()
    instance = start(build, {"consul-agent": agent.address, "consul-service-name": name, "consul-check-ttl": "3s"})
    wait_known(agent, name)
    agent.stop()
    instance.wait_log("does not answer")
    assert instance.ask() == "served"
    agent.start()  # an agent in development mode keeps nothing
    wait_state(agent, name, "passing", within=5.0)
    wait_for("the log", lambda: lines(instance, "registered as") == 2)
    assert lines(instance, "does not answer") == 1
    assert lines(instance, "has lost it") == 1


def test_deregistered_by_somebody_else(consul: Agent, debian: Build, start: Start, name: str) -> None:
    instance = start(
        debian, {"consul-agent": consul.address, "consul-service-name": name, "consul-service-id": name, "consul-check-ttl": "3s"}
    )
    wait_known(consul, name)
    consul.put(f"/v1/agent/service/deregister/{name}")
    instance.wait_log("has lost it", within=2.0)
    wait_state(consul, name, "passing", within=2.0)


def test_no_agent_at_start(consul_agents: Agents, debian: Build, start: Start, name: str) -> None:
    agent = consul_agents()
    agent.stop()
    instance = start(debian, {"consul-agent": agent.address, "consul-service-name": name, "consul-check-ttl": "3s"})
    instance.wait_log("does not answer")
    assert instance.ask() == "served"
    assert holds(lambda: lines(instance, "does not answer") == 1, during=2.0)
    agent.start()
    wait_state(agent, name, "passing", within=3.0)
    wait_for("one line", lambda: lines(instance, "Consul answers again") == 1)


def test_first_agent_dead_the_second_serves(consul: Agent, consul_agents: Agents, debian: Build, start: Start, name: str) -> None:
    dead = f"127.0.0.1:{free_port()}"
    instance = start(debian, {"consul-agent": [f"{dead}, {consul.address}"], "consul-service-name": name})
    wait_state(consul, name, "passing", within=3.0)
    assert lines(instance, "does not answer") == 0
    instance.signal(signal.SIGINT)
    wait_state(consul, name, "absent", within=1.0)


def test_agent_dies_the_next_takes_over(consul: Agent, consul_agents: Agents, debian: Build, start: Start, name: str) -> None:
    mortal = consul_agents()
    start(debian, {"consul-agent": [mortal.address, f"http://{consul.address}"], "consul-service-name": name, "consul-check-ttl": "3s"})
    wait_state(mortal, name, "passing")
    assert state(consul, name) == "absent"
    mortal.stop()
    wait_state(consul, name, "passing", within=4.0)


def test_first_agent_hangs(consul: Agent, debian: Build, start: Start, name: str) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        instance = start(debian, {"consul-agent": [address, consul.address], "consul-service-name": name, "consul-timeout": "300ms"})
        wait_state(consul, name, "passing", within=3.0)
        instance.signal(signal.SIGINT)
        wait_state(consul, name, "absent", within=1.0)


class Recorder(BaseHTTPRequestHandler):
    """Stands between the plugin and a real agent, and writes down what it is asked."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]]
    agent: Agent
    redirect_to: str = ""
    index: str | None = None
    instead: Callable[[str], tuple[int, bytes] | None] = staticmethod(lambda _: None)

    def _ask_agent(self, body: bytes) -> tuple[int, bytes]:
        if answer := self.instead(self.path):
            return answer
        headers = {"X-Consul-Token": self.headers.get("X-Consul-Token", "")}
        request = urllib.request.Request(f"http://{self.agent.address}{self.path}", body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                self.index = answer.headers["X-Consul-Index"]
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _pass_on(self) -> None:
        self.index = None
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(
            {"method": self.command, "path": self.path, "headers": dict(self.headers), "client": self.client_address, "body": body}
        )
        if self.redirect_to:
            answer, status = b"", 307
        else:
            status, answer = self._ask_agent(body)
        self.send_response(status)
        if self.index:
            self.send_header("X-Consul-Index", self.index)
        if self.redirect_to:
            self.send_header("Location", self.redirect_to + self.path)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def recorder(
    agent: Agent, redirect_to: str = "", instead: Callable[[str], tuple[int, bytes] | None] = lambda _: None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """With `instead` some requests get another answer than the agent's."""
    seen: list[dict[str, Any]] = []
    handler = type("Handler", (Recorder,), {"seen": seen, "agent": agent, "redirect_to": redirect_to, "instead": staticmethod(instead)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_one_connection_no_more_requests_than_needed(consul: Agent, debian: Build, start: Start, name: str) -> None:
    with recorder(consul) as (address, seen):
        start(debian, {"consul-agent": address, "consul-service-name": name, "consul-check-ttl": "3s"})
        wait_state(consul, name, "passing")
        began = time.monotonic()
        before = len(seen)
        wait_for("four heartbeats", lambda: len(seen) >= before + 4, within=8.0)
        assert time.monotonic() - began > 2.9
    assert len({item["client"] for item in seen}) == 1
    assert [item["path"].split("?")[0] for item in seen[:2]] == ["/v1/agent/service/register", seen[1]["path"]]
    assert all(item["path"].startswith("/v1/agent/check/update/service%3A") or "/service:" in item["path"] for item in seen[1:])


def paths(seen: list[dict[str, Any]], start: str) -> int:
    return sum(item["path"].startswith(start) for item in seen)


def test_an_agent_that_forgets_at_once(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """It takes every registration and knows of none: that is no reason to ask it a hundred times a second, nor to say so."""

    def forget(path: str) -> tuple[int, bytes] | None:
        return (404, b"Unknown check ID") if "/check/update/" in path else None

    with recorder(consul, instead=forget) as (address, seen):
        instance = start(debian, {"consul-agent": address, "consul-service-name": name})
        wait_for("three registrations", lambda: paths(seen, "/v1/agent/service/register") >= 3)
        assert holds(lambda: paths(seen, "/v1/agent/service/register") < 10, during=2.0)
        assert lines(instance, "registered as") == 1
        assert lines(instance, "answers 404") == 1


def test_an_old_agent_that_lost_it_beside_a_dead_one(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """Before 1.11 it answers 500 for an unknown check, which is no reason to ask the next agent."""
    forgotten = threading.Event()

    def forget_once(path: str) -> tuple[int, bytes] | None:
        if "/check/update/" not in path or not forgotten.is_set():
            return None
        forgotten.clear()
        return 500, b'CheckID "a" does not have associated TTL'

    with recorder(consul, instead=forget_once) as (address, seen):
        dead = f"127.0.0.1:{free_port()}"
        instance = start(debian, {"consul-agent": [address, dead], "consul-service-name": name, "consul-check-ttl": "1s"})
        wait_known(consul, name)
        forgotten.set()
        wait_for("another registration", lambda: paths(seen, "/v1/agent/service/register") == 2, within=5.0)
        assert lines(instance, "has lost it") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_token_that_only_the_master_can_read(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("unused")
    token_file.chmod(0o600)
    options = {"consul-token-file": str(token_file), "master-as-root": "true", "uid": "nobody", "gid": "nogroup"}
    instance = start(debian, {"consul-agent": consul.address, "consul-service-name": name} | options)
    wait_state(consul, name, "passing")
    assert lines(instance, "can't be read (Permission denied): requests go without a token") == 1


TOKEN = "6c1d2f30-1111-4222-8333-abcdefabcdef"  # noqa: S105
ACL = {
    "acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": TOKEN, "agent": TOKEN}},
}


class Privileged(ConsulAgent):
    """An agent that denies by default, asked with a token that may all."""

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        return super().request(method, path, body, token or TOKEN)


def test_token_in_a_header_and_nowhere_else(debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    agent = Privileged(tmp_path, ACL)
    agent.start()
    token_file = tmp_path / "token"
    token_file.write_text("wrong-at-first\n")
    try:
        with recorder(agent) as (address, seen):
            instance = start(
                debian,
                {"consul-agent": address, "consul-service-name": name, "consul-token-file": str(token_file), "consul-check-ttl": "3s"},
            )
            instance.wait_log("answers 403")
            assert lines(instance, "answers 403") == 1
            # Written anew, it is used without a reload.
            (tmp_path / "next").write_text(f"{TOKEN}\n")
            os.replace(tmp_path / "next", token_file)
            wait_state(agent, name, "passing", within=5.0)
            # What can't be read is not used: the last good one is.
            token_file.unlink()
            instance.wait_log("can't be read again")
            before = len(seen)
            wait_for("another heartbeat", lambda: len(seen) > before, within=3.0)
            assert seen[-1]["headers"]["X-Consul-Token"] == TOKEN
            instance.signal(signal.SIGINT)
            wait_state(agent, name, "absent", within=1.0)
            instance.wait()
        assert {item["headers"].get("X-Consul-Token") for item in seen} == {"wrong-at-first", TOKEN}
        assert not any(TOKEN in item["path"] or TOKEN.encode() in item["body"] for item in seen)
        assert TOKEN not in instance.text()
        assert "wrong-at-first" not in instance.text()
    finally:
        agent.stop()


def test_no_redirect_and_no_proxy(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("keep-me")
    with recorder(consul) as (elsewhere, strayed), recorder(consul, f"http://{elsewhere}") as (address, seen):
        instance = start(
            debian,
            {"consul-agent": address, "consul-service-name": name, "consul-token-file": str(token_file)},
            environment={"http_proxy": f"http://{elsewhere}", "ALL_PROXY": f"http://{elsewhere}"},
        )
        instance.wait_log("answers 307")
        assert seen
        assert not strayed


def test_unix_socket(consul_agents: Agents, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    path = tmp_path / "consul.sock"
    agent = consul_agents({"addresses": {"http": f"127.0.0.1 unix://{path}"}})
    instance = start(debian, {"consul-agent": f"unix://{path}", "consul-service-name": name})
    wait_state(agent, name, "passing")
    instance.wait_log(f"at agent unix://{path}")
    assert (entry(agent, name) or {})["state"] == "passing"


def test_an_agent_that_answers_500_is_passed_over(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """One line when it begins, and the other agent has the service; it is asked again when that one is away."""
    with recorder(consul, instead=lambda _: (500, b"rpc error: No cluster leader")) as (address, seen):
        instance = start(debian, {"consul-agent": [address, consul.address], "consul-service-name": name, "consul-check-ttl": "2s"})
        wait_state(consul, name, "passing")
        asked = len(seen)
        assert holds(lambda: state(consul, name) == "passing", during=2.5)
        assert len(seen) == asked
        instance.signal(signal.SIGINT)
        wait_state(consul, name, "absent", within=1.0)


def client_of(agents: Agents, server: Any, directory: Path) -> Any:
    """An agent that is no server, joined to one."""
    config = {
        "server": False,
        "bootstrap": False,
        "retry_join": [f"127.0.0.1:{server.serf_lan_port}"],
        "retry_interval": "1s",
        "data_dir": str(directory / "client"),
    }
    return agents(config, node="client")


def test_no_leader(consul_agents: Agents, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    """While the servers are away the agent still takes the registration, and the catalog has it once they are back."""
    server = consul_agents()
    agent = client_of(consul_agents, server, tmp_path)
    server.stop()
    instance = start(debian, {"consul-agent": agent.address, "consul-service-name": name, "consul-check-ttl": "3s"})
    instance.wait_log("registered as")
    assert instance.ask() == "served"
    server.start()
    wait_state(server, name, "passing", within=60.0)
    # Whatever the agent answered meanwhile, it was said once.
    assert lines(instance, "answers 500") <= 1
    assert lines(instance, "does not answer") <= 1


@pytest.fixture
def guarded(consul_agents: Agents) -> Any:
    """An agent that lets nobody write without a token."""
    root = "root-token"
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": root, "agent": root}}
    return consul_agents({"acl": acl}, token=root)


def give(agent: Any, secret: str, name: str) -> str:
    """Makes a token that may write one service; returns its accessor."""
    policy = {"Name": f"p-{secret}", "Rules": f'service "{name}" {{ policy = "write" }} node_prefix "" {{ policy = "read" }}'}
    agent.put("/v1/acl/policy", policy)
    token = agent.put("/v1/acl/token", {"SecretID": secret, "Policies": [{"Name": policy["Name"]}]})
    return str(token["AccessorID"])


FIRST, SECOND = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"


def start_with_first_token(agent: Any, build: Build, start: Start, name: str, file: Path) -> tuple[Instance, str]:
    """A passing instance with a token of its own in the file, and that token's accessor."""
    file.write_text(FIRST)
    accessor = give(agent, FIRST, name)
    instance = start(
        build, {"consul-agent": agent.address, "consul-service-name": name, "consul-check-ttl": "2s", "consul-token-file": str(file)}
    )
    wait_state(agent, name, "passing")
    return instance, accessor


def test_a_token_is_revoked_and_given_again(guarded: Any, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    instance, accessor = start_with_first_token(guarded, debian, start, name, file)
    guarded.request("DELETE", f"/v1/acl/token/{accessor}")
    instance.wait_log("answers 403", within=20.0)
    wait_for("the TTL", lambda: [check["Status"] for check in guarded.get("/v1/agent/checks").values()] == ["critical"], within=5.0)
    assert instance.ask() == "served"
    give(guarded, SECOND, name)
    file.write_text(SECOND)
    instance.wait_log("Consul answers again")
    assert lines(instance, "answers 403") == 1
    instance.signal(signal.SIGTSTP)
    wait_state(guarded, name, "critical")
    instance.signal(signal.SIGTSTP)
    wait_state(guarded, name, "passing")
    assert FIRST not in instance.text()
    assert SECOND not in instance.text()
    instance.signal(signal.SIGINT)
    wait_state(guarded, name, "absent", within=2.0)


def test_a_token_is_replaced_before_it_is_revoked(guarded: Any, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    """The agent has kept the token of the registration, so that is made again with the new one."""
    file = tmp_path / "token"
    instance, accessor = start_with_first_token(guarded, debian, start, name, file)
    give(guarded, SECOND, name)
    file.write_text(SECOND)
    wait_for("another registration", lambda: lines(instance, "registered as") == 2, within=5.0)
    guarded.request("DELETE", f"/v1/acl/token/{accessor}")
    instance.signal(signal.SIGTSTP)
    wait_state(guarded, name, "critical")
    assert lines(instance, "answers 403") == 0


JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
static long offset(void)
{
	FILE *file = fopen(getenv("CLOCK_OFFSET"), "r");
	long seconds = 0;
	if (file && fscanf(file, "%ld", &seconds) != 1)
		seconds = 0;
	if (file)
		fclose(file);
	return seconds;
}
time_t time(time_t *result)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return result ? (*result = now.tv_sec) : now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone)
{
	int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
	int result = real(now, zone);
	now->tv_sec += offset();
	return result;
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, now);
	if (clock == CLOCK_REALTIME)
		now->tv_sec += offset();
	return result;
}
"""


def test_the_clock_jumps(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    """A day ahead and two days back: the service stays, and is asked for no more often than before."""
    source, library, offset = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "offset"
    source.write_text(JUMPING_CLOCK)
    offset.write_text("0")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}
    with recorder(consul) as (address, seen):
        instance = start(debian, {"consul-agent": address, "consul-service-name": name, "consul-check-ttl": "3s"}, environment=environment)
        wait_state(consul, name, "passing")
        for seconds in (86400, -86400):
            offset.write_text(str(seconds))
            asked = len(seen)
            assert holds(lambda: state(consul, name) == "passing", during=4.0)
            assert 2 <= len(seen) - asked <= 6
        assert instance.ask() == "served"
        offset.write_text("0")
        instance.signal(signal.SIGINT)
        wait_state(consul, name, "absent", within=2.0)


def test_a_dead_agent_before_the_good_one_is_no_news(consul: Agent, debian: Build, start: Start, name: str) -> None:
    """Which agent answered last changes while others are still at their first try: none of them may skip the good one."""
    dead = f"127.0.0.1:{free_port()}"
    watches = [f"{name}-{number}" for number in range(8)]
    instance = start(debian, {"consul-agent": f"{dead},{consul.address}", "consul-service-name": name, "consul-watch-service": watches})
    wait_state(consul, name, "passing")
    wait_known(consul, name)
    assert lines(instance, "does not answer") == 0
    assert lines(instance, "the app starts without") == 0

"""Fixtures of every integration suite: a real Consul agent of one's own on free loopback ports.

The binary is `CONSUL_BIN`, set by `make` to what `molecule/lab/lab.py consul` provides; `CONSUL_OLDEST_BIN` is Consul 1.8.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from polling import wait_for

from ports import free_port

# A shell has what it runs in the background ignore this, and programs that tests interrupt would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def consul_binary() -> str:
    binary = os.environ.get("CONSUL_BIN") or shutil.which("consul")
    if not binary:
        raise RuntimeError("no Consul binary: set CONSUL_BIN, or run this suite by `make integration`")
    return binary


class ConsulAgent:
    """One `consul agent -dev` (a server that is its own leader), or an agent with the configuration that a test gives."""

    def __init__(
        self,
        directory: Path,
        config: dict[str, Any] | None = None,
        node: str = "node1",
        datacenter: str = "dc1",
        token: str = "",
        persistent: bool = False,
        binary: str = "",
    ) -> None:
        # token: what this class asks with unless told otherwise, for an agent that answers nobody without one.
        # binary: another Consul than that of `CONSUL_BIN`.
        # persistent: a server that knows after a restart what it knew before; a -dev agent forgets it.
        self.binary = binary or consul_binary()
        self.mode = [] if persistent else ["-dev"]
        if persistent:
            server = {"server": True, "bootstrap": True, "data_dir": str(directory / f"data-{node}"), "performance": {"raft_multiplier": 1}}
            config = server | (config or {})
        self.node, self.datacenter, self.token = node, datacenter, token
        self.http_port, self.serf_wan_port, self.server_port, self.serf_lan_port = (free_port() for _ in range(4))
        self.https_port = 0
        self.address = f"127.0.0.1:{self.http_port}"
        self.log = directory / f"consul-{node}.log"
        ports = {
            "http": self.http_port,
            "https": -1,
            "grpc": -1,
            **({"grpc_tls": -1} if not binary else {}),
            "dns": -1,
            "serf_lan": self.serf_lan_port,
            "serf_wan": self.serf_wan_port,
            "server": self.server_port,
        }
        merged: dict[str, Any] = {"node_name": node, "datacenter": datacenter, "bind_addr": "127.0.0.1", "ports": ports} | (config or {})
        merged["ports"] = ports | (config or {}).get("ports", {})
        self.config_file = directory / f"consul-{node}.json"
        self.config_file.write_text(json.dumps(merged))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ConsulAgent:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            began = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [self.binary, "agent", *self.mode, f"-config-file={self.config_file}"], stdout=log, stderr=log
                )
            if self._wait_ready(deadline):
                return self
            # A port of one that is started again may have been taken for a moment by another process.
            if b"address already in use" not in self.log.read_bytes()[began:]:
                break
            time.sleep(0.5)
        raise RuntimeError(f"Consul did not become ready:\n{self.log.read_text()[-4000:]}")

    def _wait_ready(self, deadline: float) -> bool:
        while time.monotonic() < deadline:
            try:
                if self.get("/v1/status/leader") and self.get(f"/v1/catalog/node/{self.node}"):
                    return True
            except OSError:
                if self.process and self.process.poll() is not None:
                    return False
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """The decoded JSON answer; raises `urllib.error.HTTPError` for an answer that is no success."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method)
        if token or self.token:
            request.add_header("X-Consul-Token", token or self.token)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def get(self, path: str, token: str = "") -> Any:
        return self.request("GET", path, token=token)

    def put(self, path: str, body: Any = b"", token: str = "") -> Any:
        return self.request("PUT", path, body, token)


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulAgent]:
    """One agent for the whole session: tests use names of their own in it."""
    agent = ConsulAgent(tmp_path_factory.mktemp("consul"))
    try:
        yield agent.start()
    finally:
        agent.stop()


@pytest.fixture(scope="session")
def consul_oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulAgent]:
    """An agent of the oldest Consul that we support, 1.8, for the whole session, without ACLs."""
    binary = os.environ.get("CONSUL_OLDEST_BIN")
    if not binary:
        raise RuntimeError("no binary of the oldest Consul: set CONSUL_OLDEST_BIN, or run this suite by `make integration`")
    agent = ConsulAgent(tmp_path_factory.mktemp("consul-oldest"), binary=binary)
    try:
        yield agent.start()
    finally:
        agent.stop()


@dataclass(frozen=True)
class Datacenters:
    """Two datacenters, one server each, joined over WAN, with ACLs that deny by default, gossip encryption, and an HTTPS
    listener that wants certificates of its clients. The agents' plain HTTP is for the tests' own questions."""

    dc1: ConsulAgent
    dc2: ConsulAgent
    token: str
    certificates: Path

    def options(self, agent: ConsulAgent | None = None) -> dict[str, Any]:
        """The options of a module or plugin that asks an agent as its administrator, dc1's unless told otherwise."""
        return {
            "agents": [f"https://127.0.0.1:{(agent or self.dc1).https_port}"],
            "token": self.token,
            "ca_path": str(self.certificates / "consul-agent-ca.pem"),
            "client_cert": str(self.certificates / "dc1-client-consul-0.pem"),
            "client_key": str(self.certificates / "dc1-client-consul-0-key.pem"),
        }

    def environment(self) -> dict[str, str]:
        """The same as Consul's environment variables."""
        options = self.options()
        return {
            "CONSUL_HTTP_ADDR": options["agents"][0],
            "CONSUL_HTTP_TOKEN": options["token"],
            "CONSUL_CACERT": options["ca_path"],
            "CONSUL_CLIENT_CERT": options["client_cert"],
            "CONSUL_CLIENT_KEY": options["client_key"],
        }


@pytest.fixture(scope="session")
def datacenters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datacenters]:
    """As `Datacenters` says, for the whole session: tests use names of their own in them, and break nothing."""
    directory = tmp_path_factory.mktemp("datacenters")
    for arguments in (
        ("ca", "create"),
        ("cert", "create", "-server", "-dc=dc1", "-additional-ipaddress=127.0.0.1"),
        ("cert", "create", "-server", "-dc=dc2", "-additional-ipaddress=127.0.0.1"),
        ("cert", "create", "-client", "-dc=dc1"),
    ):
        subprocess.run([consul_binary(), "tls", *arguments], cwd=directory, check=True, capture_output=True)
    token, gossip = str(uuid.uuid4()), base64.b64encode(os.urandom(32)).decode()

    def make(node: str, datacenter: str, **config: Any) -> ConsulAgent:
        https = free_port()
        tls = {
            "ca_file": str(directory / "consul-agent-ca.pem"),
            "cert_file": str(directory / f"{datacenter}-server-consul-0.pem"),
            "key_file": str(directory / f"{datacenter}-server-consul-0-key.pem"),
            "verify_incoming": True,
        }
        tokens = {"initial_management": token, "agent": token, "replication": token}
        agent = ConsulAgent(
            directory,
            {
                "acl": {"enabled": True, "default_policy": "deny", "enable_token_replication": True, "tokens": tokens},
                "primary_datacenter": "dc1",
                "encrypt": gossip,
                "ports": {"https": https},
                "tls": {"https": tls},
                "enable_script_checks": True,
                **config,
            },
            node,
            datacenter,
            token,
        )
        agent.https_port = https
        return agent

    agents = [make("node1", "dc1")]
    agents.append(make("node2", "dc2", retry_join_wan=[f"127.0.0.1:{agents[0].serf_wan_port}"]))
    try:
        for agent in agents:
            agent.start()
        wait_for(
            "the datacenters are joined",
            lambda: agents[0].get("/v1/catalog/nodes?dc=dc2") and agents[1].get("/v1/acl/replication")["ReplicatedTokenIndex"],
        )
        yield Datacenters(agents[0], agents[1], token, directory)
    finally:
        for agent in agents:
            agent.stop()


@pytest.fixture
def consul_agents(tmp_path: Path) -> Iterator[Callable[..., ConsulAgent]]:
    """Makes agents that the test may break; all are stopped after it."""
    agents: list[ConsulAgent] = []

    def make(config: dict[str, Any] | None = None, **options: Any) -> ConsulAgent:
        agents.append(ConsulAgent(tmp_path, config, **options))
        return agents[-1].start()

    yield make
    for agent in agents:
        agent.stop()

"""Agents that speak TLS, and ask for a client's certificate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ports import free_port

from ..conftest import ConsulAgent
from .conftest import Build, Options, Start, state, wait_state

Agents = Callable[..., ConsulAgent]


@dataclass
class Certificates:
    """An authority, a server's and a client's certificate of it, and another authority."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    other_ca: Path


def tls(directory: Path, *arguments: str) -> None:
    subprocess.run([os.environ["CONSUL_BIN"], "tls", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    tls(directory, "ca", "create")
    tls(directory, "cert", "create", "-server", "-additional-ipaddress=127.0.0.1")
    tls(directory, "cert", "create", "-client")
    tls(directory, "ca", "create", "-domain=other")
    return Certificates(
        directory / "consul-agent-ca.pem",
        directory / "dc1-server-consul-0.pem",
        directory / "dc1-server-consul-0-key.pem",
        directory / "dc1-client-consul-0.pem",
        directory / "dc1-client-consul-0-key.pem",
        directory / "other-agent-ca.pem",
    )


@dataclass
class Secure:
    """An agent with plain HTTP for the tests, and HTTPS for the instance."""

    agent: ConsulAgent
    options: Options


@pytest.fixture
def secure(consul_agents: Agents, certificates: Certificates) -> Secure:
    port = free_port()
    config: dict[str, Any] = {
        "ports": {"https": port},
        "tls": {
            "https": {
                "ca_file": str(certificates.ca),
                "cert_file": str(certificates.server),
                "key_file": str(certificates.server_key),
                "verify_incoming": True,
            }
        },
    }
    return Secure(consul_agents(config), {"consul-agent": f"https://127.0.0.1:{port}"})


def client_options(certificates: Certificates) -> Options:
    return {"consul-ca": str(certificates.ca), "consul-cert": str(certificates.client), "consul-key": str(certificates.client_key)}


def test_client_certificate(secure: Secure, certificates: Certificates, build: Build, start: Start, name: str) -> None:
    instance = start(build, {"consul-service-name": name} | secure.options | client_options(certificates))
    wait_state(secure.agent, name, "passing")
    instance.signal(2)
    assert instance.wait() == 0
    assert state(secure.agent, name) == "absent"


@pytest.mark.parametrize("missing", ["consul-ca", "consul-cert"])
def test_without_it_nothing_is_said_to_anybody(
    secure: Secure, certificates: Certificates, debian: Build, start: Start, name: str, missing: str
) -> None:
    """An authority that is not known, or a certificate that the agent asks for and does not get."""
    options = client_options(certificates)
    del options[missing]
    if missing == "consul-cert":
        del options["consul-key"]
    instance = start(debian, {"consul-service-name": name} | secure.options | options)
    line = instance.wait_log(r"agent https://\S+ does not answer: (.*)")
    assert "certificate" in line[1]
    assert instance.ask() == "served"
    assert state(secure.agent, name) == "absent"


def test_another_authority(secure: Secure, certificates: Certificates, debian: Build, start: Start, name: str) -> None:
    options = client_options(certificates) | {"consul-ca": str(certificates.other_ca)}
    instance = start(debian, {"consul-service-name": name} | secure.options | options)
    instance.wait_log(r"agent https://\S+ does not answer: .*certificate")
    assert state(secure.agent, name) == "absent"


def test_the_old_plugins_ssl_no_verify(consul_agents: Agents, certificates: Certificates, debian: Build, start: Start, name: str) -> None:
    port = free_port()
    server = {"cert_file": str(certificates.server), "key_file": str(certificates.server_key)}
    agent = consul_agents({"ports": {"https": port}, "tls": {"https": server}})
    start(debian, {"consul-register": f"url=https://127.0.0.1:{port},name={name},ssl_no_verify=1"})
    wait_state(agent, name, "passing")

"""The flags under which a container is a whole host, and the choice of the engine."""

from __future__ import annotations

import ipaddress
import json
from subprocess import CompletedProcess
from typing import Any

import pytest
from labkit import console, engine
from labkit.console import LabError
from labkit.engine import Engine
from labkit.plan import Host, Lab, Publish

WEB = Host("web1", "10.9.8.11", publish=(Publish("127.0.0.1", 8500, 80),))
OLD = Host("old1", "10.9.8.12", init="sshd")
LAB = Lab("test", ipaddress.IPv4Network("10.9.8.0/24"), (WEB, OLD))
PODMAN = Engine("podman", ("podman",))


def flags(subject: Engine, host: Host = WEB) -> str:
    return " ".join(subject.create_arguments(LAB, host, "image:tag"))


def test_a_host_has_its_name_address_and_ports() -> None:
    said = flags(PODMAN)
    for part in (
        "--hostname web1",
        "--network lab_test",
        "--network-alias web1",
        "--ip 10.9.8.11",
        "--mac-address 02:42:0a:09:08:0b",
        "--publish 127.0.0.1:8500:80",
        "--ulimit nofile=20000:20000",
        "--ulimit nproc=10000:10000",
    ):
        assert part in said
    assert "--publish" not in flags(PODMAN, OLD)


def test_podman_runs_systemd_and_sshd() -> None:
    assert "--systemd=always" in flags(PODMAN)
    assert "image:tag /sbin/init" in flags(PODMAN)
    assert "--systemd=false" in flags(PODMAN, OLD)
    assert flags(PODMAN, OLD).endswith("image:tag /usr/local/sbin/lab-sshd")
    assert "--privileged" not in flags(PODMAN)


@pytest.mark.parametrize(
    ("version", "cgroups"),
    [(2, "--privileged --cgroupns private"), (1, "--cap-add SYS_PTRACE --cgroupns host --volume /sys/fs/cgroup:/sys/fs/cgroup:rw")],
)
def test_docker_gives_systemd_what_it_needs(version: int, cgroups: str) -> None:
    docker = Engine("docker", ("docker",), version)
    assert cgroups in flags(docker)
    assert "--env container=docker --stop-signal SIGRTMIN+3" in flags(docker)
    assert "--privileged" not in flags(docker, OLD)
    assert "--systemd" not in flags(docker)


def test_apparmor_is_lifted_only_where_it_is() -> None:
    assert "apparmor" not in flags(PODMAN)
    assert "--security-opt apparmor=unconfined" in flags(Engine("podman", ("podman",), 2, apparmor=True))


@pytest.mark.parametrize(
    ("default", "version", "has_runc", "chosen"),
    [
        ("crun", 1, True, "runc"),
        ("crun", 1, False, "crun"),
        ("crun", 2, True, "crun"),
        ("runc", 1, True, "runc"),
        ("runc", 2, True, "runc"),
    ],
)
def test_runc_only_where_crun_fails(default: str, version: int, has_runc: bool, chosen: str) -> None:
    assert engine.podman_runtime(default, version, has_runc=has_runc) == chosen


class Machine:
    """A machine with some programs, and what they answer when they are asked about themselves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: CompletedProcess[str]) -> None:
        monkeypatch.delenv("LAB_ENGINE", raising=False)
        monkeypatch.setattr("shutil.which", lambda name, path="": name if name in answers else None)
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(console, "run", lambda command, **_: answers[command[0]])


def answer(value: Any, code: int = 0, error: str = "") -> CompletedProcess[str]:
    return CompletedProcess([], code, json.dumps(value), error)


def podman_info(runtime: str, version: str) -> CompletedProcess[str]:
    return answer({"host": {"ociRuntime": {"name": runtime}, "cgroupVersion": version, "security": {"apparmorEnabled": False}}})


DOCKER_INFO = answer({"ServerVersion": "27.0", "CgroupVersion": "2", "SecurityOptions": ["name=apparmor"]})


def test_podman_before_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, podman=podman_info("crun", "v1"), runc=answer(""), docker=DOCKER_INFO)
    assert engine.find() == Engine("podman", ("podman", "--log-level", "error", "--runtime", "runc"), 1, apparmor=False)


def test_docker_where_it_is_wanted_or_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Engine("docker", ("docker",), 2, apparmor=True)
    Machine(monkeypatch, podman=podman_info("crun", "v2"), docker=DOCKER_INFO)
    assert engine.find("docker") == docker
    monkeypatch.setenv("LAB_ENGINE", "docker")
    assert engine.find() == docker
    Machine(monkeypatch, docker=DOCKER_INFO)
    assert engine.find() == docker


def test_an_engine_that_is_absent_silent_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch)
    with pytest.raises(LabError, match=r"No container engine is installed: run molecule/lab/prerequisites lab"):
        engine.find()
    with pytest.raises(LabError, match="podman is not installed"):
        engine.find("podman")
    with pytest.raises(LabError, match="LAB_ENGINE is 'lxc': it can be podman or docker"):
        engine.find("lxc")
    Machine(monkeypatch, docker=answer({"ServerErrors": ["Cannot connect"]}))
    with pytest.raises(LabError, match=r"docker does not answer \(Cannot connect\)"):
        engine.find()


@pytest.mark.parametrize(
    "network",
    [
        {"name": "x", "subnets": [{"subnet": "10.9.8.0/24", "gateway": "10.9.8.1"}]},
        {"Name": "x", "IPAM": {"Config": [{"Subnet": "10.9.8.0/24"}]}},
        {"name": "x", "plugins": [{"type": "bridge", "ipam": {"ranges": [[{"subnet": "10.9.8.0/24"}]]}}, {"type": "firewall"}]},
    ],
)
def test_subnets_in_the_words_of_each_engine(network: dict[str, Any]) -> None:
    assert engine.subnets_of(network) == ["10.9.8.0/24"]


@pytest.mark.parametrize("network", [{"Name": "host", "IPAM": {"Config": None}}, {"name": "y", "subnets": None}])
def test_a_network_without_subnets(network: dict[str, Any]) -> None:
    assert engine.subnets_of(network) == []

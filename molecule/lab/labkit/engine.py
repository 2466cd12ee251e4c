"""The container engine: which one, and the flags with which a container is a whole host under it."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any

from . import console
from .console import LabError
from .plan import Host, Lab

LAB_LABEL = "uwsgi-consul.lab"
SETTINGS_LABEL = "uwsgi-consul.settings"

# What a real host's root may do and a container's may not by default: hardened units need mounts of their own, tests cut
# networks and look into processes.
CAPABILITIES = ("AUDIT_WRITE", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE")
# Not every machine lets an engine raise limits; these are below what any of them has, and enough for a lab.
LIMITS = ("nofile=20000:20000", "nproc=10000:10000")


@dataclass(frozen=True)
class Engine:
    name: str
    command: tuple[str, ...]
    cgroup_version: int = 2
    apparmor: bool = False

    def run(self, *arguments: str, check: bool = True, stdin: str = "", timeout: float | None = None) -> CompletedProcess[str]:
        return console.run([*self.command, *arguments], check=check, stdin=stdin, timeout=timeout)

    def stream(self, what: str, *arguments: str) -> None:
        console.stream([*self.command, *arguments], what)

    def create_arguments(self, lab: Lab, host: Host, image: str) -> list[str]:
        """All that makes this container what it is: a change of any of these means a new container."""
        return [
            *("--hostname", host.name, "--network", lab.network, "--network-alias", host.name),
            *("--ip", host.address, "--mac-address", mac_address(host.address)),
            *(word for publish in host.publish for word in ("--publish", str(publish))),
            *(word for limit in LIMITS for word in ("--ulimit", limit)),
            *self._host_flags(host.init),
            image,
            *(_SYSTEMD if host.init == "systemd" else _SSHD),
        ]

    def _host_flags(self, init: str) -> list[str]:
        capabilities = [word for name in CAPABILITIES for word in ("--cap-add", name)]
        confinement = ["--security-opt", "apparmor=unconfined"] if self.apparmor else []
        if self.name == "podman":
            return [f"--systemd={'always' if init == 'systemd' else 'false'}", *capabilities, *confinement]
        if init != "systemd":
            return [*capabilities, *confinement]
        # Docker knows nothing of systemd: it needs writable cgroups, volatile folders and its own stop signal.
        if self.cgroup_version == 2:
            cgroups = ["--privileged", "--cgroupns", "private"]
        else:
            cgroups = [*capabilities, *confinement, "--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        volatile = [word for folder in ("/run:exec", "/run/lock", "/tmp:exec") for word in ("--tmpfs", folder)]  # noqa: S108
        return [*cgroups, *volatile, "--env", "container=docker", "--stop-signal", "SIGRTMIN+3"]


# systemd takes its own command line for the kernel's: from version 256 on it wants to be told that the old cgroups are all right.
_SYSTEMD = ("/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
_SSHD = ("/usr/local/sbin/lab-sshd",)


def mac_address(address: str) -> str:
    """The same for the same address: neighbours that remember a host reach it at once after it was made anew."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *ipaddress.IPv4Address(address).packed))


def find(wanted: str = "") -> Engine:
    """podman where it is, else docker where that works; LAB_ENGINE or --engine decides otherwise."""
    wanted = wanted or os.environ.get("LAB_ENGINE", "")
    if wanted not in ("", "podman", "docker"):
        raise LabError(f"LAB_ENGINE is {wanted!r}: it can be podman or docker.")
    if wanted != "docker" and shutil.which("podman"):
        return _podman()
    if wanted != "podman" and shutil.which("docker"):
        return _docker()
    raise LabError(
        f"{wanted or 'No container engine'} is not installed: run molecule/lab/prerequisites lab.".replace("engine is not", "engine is")
    )


def _podman() -> Engine:
    # Containers with addresses that this machine reaches need the rootful podman.
    # Its warnings are about cgroups that this machine does not let it write, at every call.
    command = console.as_root(["podman", "--log-level", "error"])
    host: dict[str, Any] = json.loads(console.run([*command, "info", "--format", "json"]).stdout)["host"]
    cgroups = 1 if host.get("cgroupVersion") == "v1" else 2
    default = host.get("ociRuntime", {}).get("name", "")
    runtime = podman_runtime(
        default, cgroups, has_runc=shutil.which("runc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
    )
    if runtime != default:
        command += ["--runtime", runtime]
    return Engine("podman", tuple(command), cgroups, bool(host.get("security", {}).get("apparmorEnabled")))


def podman_runtime(default: str, cgroup_version: int, *, has_runc: bool) -> str:
    """crun fails where the two versions of cgroups are mounted side by side; everywhere else podman knows best."""
    return "runc" if default == "crun" and cgroup_version == 1 and has_runc else default


def _docker() -> Engine:
    result = console.run(["docker", "info", "--format", "{{json .}}"], check=False, timeout=20)
    info: dict[str, Any] = json.loads(result.stdout) if result.returncode == 0 and result.stdout.startswith("{") else {}
    if not info.get("ServerVersion"):
        reason = "; ".join(info.get("ServerErrors", [])) or result.stderr.strip()
        raise LabError(f"docker does not answer ({reason}): start it, or install podman with molecule/lab/prerequisites lab.")
    apparmor = any("apparmor" in option for option in info.get("SecurityOptions") or [])
    return Engine("docker", ("docker",), 1 if info.get("CgroupVersion") == "1" else 2, apparmor)


def subnets_of(network: dict[str, Any]) -> Sequence[str]:
    """The subnets in what podman's or docker's `network inspect` says of one network."""
    if "subnets" in network:
        return [entry["subnet"] for entry in network["subnets"] or []]
    if "plugins" in network:  # podman before 4
        return [part["subnet"] for plugin in network["plugins"] for ranges in plugin.get("ipam", {}).get("ranges", []) for part in ranges]
    return [entry["Subnet"] for entry in (network.get("IPAM") or {}).get("Config") or [] if "Subnet" in entry]

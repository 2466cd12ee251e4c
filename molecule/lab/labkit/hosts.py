"""Bring a lab up, take it down, say how it is. What is there and as declared is left alone."""

from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import ipaddress
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import console, image, paths, ssh
from .console import LabError
from .engine import LAB_LABEL, SETTINGS_LABEL, Engine, subnets_of
from .plan import Host, Lab, Publish

BOOT_SECONDS = 90


@dataclass(frozen=True)
class Container:
    name: str
    state: str
    settings: str


def up(engine: Engine, lab: Lab, names: Sequence[str]) -> None:
    hosts = lab.only(names)
    console.say(f"Lab {lab.name}: {len(hosts)} hosts in {lab.subnet}, by {engine.name} ({', '.join(host.name for host in hosts)})")
    with paths.locked(paths.lab_cache()):
        ssh.key()
        images = {suite: image.ensure(engine, suite) for suite in dict.fromkeys(host.image for host in hosts)}
        _ensure_network(engine, lab)
        present = _containers(engine, lab)
        if not names:
            _remove_undeclared(engine, lab, present)
        fresh = _start(engine, lab, hosts, images, present)
        _prepare(engine, lab, fresh)
        _wait(engine, lab, hosts)
    console.say(f"Lab {lab.name} is up")


def down(engine: Engine, lab: Lab) -> None:
    with paths.locked(paths.lab_cache()):
        present = _containers(engine, lab)
        console.say(f"Lab {lab.name}: removing {len(present)} containers and the network")
        _remove(engine, list(present))
        for host in lab.hosts:
            ssh.forget(host.address)
        if _network(engine, lab) is not None:
            engine.run("network", "rm", lab.network)


def status(engine: Engine, lab: Lab) -> bool:
    """Print each host's state on stdout; true when all run."""
    present = _containers(engine, lab)
    healthy = True
    for host in lab.hosts:
        container = present.get(lab.container(host))
        state = container.state if container else "absent"
        if state == "running":
            answer = ssh.ask(host.address, _state_question(host), timeout=5)
            state = answer.stdout.strip() or f"running, but no ssh: {answer.stderr.strip()}"
        healthy = healthy and state in ("running", "degraded")
        published = "".join(f"  {publish}" for publish in host.publish)
        print(f"{host.name:<15} {host.address:<15} {host.image:<9} {host.init:<8} {state}{published}")
    print(f"Log in by: {' '.join(ssh.command('ADDRESS'))}")
    return healthy


# ---- the network ----------------------------------------------------------------------------------------------------------------


def _network(engine: Engine, lab: Lab) -> Sequence[str] | None:
    result = engine.run("network", "inspect", lab.network, check=False)
    return subnets_of(json.loads(result.stdout)[0]) if result.returncode == 0 else None


def _ensure_network(engine: Engine, lab: Lab) -> None:
    subnets = _network(engine, lab)
    if subnets == [str(lab.subnet)]:
        return
    if subnets is not None:
        console.say(f"The network {lab.network} is {', '.join(subnets)} and is to be {lab.subnet}: removing it and its containers")
        _remove(engine, list(_containers(engine, lab)))
        engine.run("network", "rm", lab.network)
    if collision := colliding_network(lab.subnet, _networks(engine)) or colliding_route(lab.subnet, _routes()):
        raise LabError(
            f"The lab {lab.name} wants {lab.subnet}, but this machine already has {collision}.\n"
            "    Remove that (another lab: lab.py down), or give the hosts addresses in another /24 in the inventory."
        )
    console.say(f"Making the network {lab.network}, {lab.subnet}")
    engine.run("network", "create", "--subnet", str(lab.subnet), "--label", f"{LAB_LABEL}={lab.name}", lab.network)


def _networks(engine: Engine) -> list[dict[str, Any]]:
    names = engine.run("network", "ls", "--format", "{{.Name}}").stdout.split()
    return list(json.loads(engine.run("network", "inspect", *names).stdout)) if names else []


def _routes() -> list[dict[str, str]]:
    return list(json.loads(console.run(["ip", "-4", "-json", "route", "show"], check=False).stdout or "[]"))


def colliding_network(subnet: ipaddress.IPv4Network, networks: Sequence[dict[str, Any]]) -> str:
    for network in networks:
        for other in subnets_of(network):
            if ":" not in other and subnet.overlaps(ipaddress.IPv4Network(other, strict=False)):
                return f"the containers' network {network.get('name') or network.get('Name')} with {other}"
    return ""


def colliding_route(subnet: ipaddress.IPv4Network, routes: Sequence[dict[str, str]]) -> str:
    for route in routes:
        if route.get("dst", "default") != "default" and subnet.overlaps(ipaddress.IPv4Network(route["dst"], strict=False)):
            return f"a route to {route['dst']} through {route.get('dev', route.get('gateway', 'another interface'))}"
    return ""


# ---- containers -----------------------------------------------------------------------------------------------------------------


def _containers(engine: Engine, lab: Lab) -> dict[str, Container]:
    """Those that carry the lab's label; no other is ever touched."""
    names = engine.run("ps", "--all", "--filter", f"label={LAB_LABEL}={lab.name}", "--format", "{{.Names}}").stdout.split()
    if not names:
        return {}
    form = '{{.Name}}\t{{.State.Status}}\t{{index .Config.Labels "' + SETTINGS_LABEL + '"}}'
    lines = engine.run("container", "inspect", "--format", form, *names).stdout.splitlines()
    found = [Container(*line.lstrip("/").split("\t")) for line in lines]
    return {container.name: container for container in found}


def _remove(engine: Engine, names: Sequence[str]) -> None:
    if names:
        with console.ticking("removing containers"):
            # A host of a lab has nothing to save: it need not shut down first.
            engine.run("kill", *names, check=False)
            engine.run("rm", "--force", "--volumes", *names)


def _remove_undeclared(engine: Engine, lab: Lab, present: dict[str, Container]) -> None:
    declared = {lab.container(host) for host in lab.hosts}
    if gone := [name for name in present if name not in declared]:
        console.say(f"Removing {', '.join(gone)}: no longer in the inventory")
        _remove(engine, gone)


def _start(engine: Engine, lab: Lab, hosts: Sequence[Host], images: dict[str, str], present: dict[str, Container]) -> list[Host]:
    """Start what does not run, one after the other: they share the network's tables. Gives the newly made ones."""
    fresh: list[Host] = []
    for host in hosts:
        arguments = engine.create_arguments(lab, host, images[host.image])
        settings = hashlib.sha256(json.dumps([engine.command, arguments]).encode()).hexdigest()[:16]
        name = lab.container(host)
        container = present.get(name)
        if container and container.settings == settings:
            if container.state == "running":
                continue
            console.say(f"{host.name}: starting it again, it was {container.state}")
            _check_ports(host)
            if engine.run("start", name, check=False).returncode == 0:
                continue
            console.detail("it does not start: making it anew")
        elif container:
            console.say(f"{host.name}: making it anew, its image or settings changed")
        else:
            console.say(f"{host.name}: starting Debian {host.image} at {host.address}")
        if container:
            _remove(engine, [name])
        ssh.forget(host.address)
        _check_ports(host)
        labels = ("--label", f"{LAB_LABEL}={lab.name}", "--label", f"{SETTINGS_LABEL}={settings}")
        with console.ticking(f"starting {host.name}"):
            engine.run("run", "--detach", "--name", name, *labels, *arguments)
        fresh.append(host)
    return fresh


def _check_ports(host: Host) -> None:
    for publish in host.publish:
        if reason := taken(publish):
            raise LabError(
                f"{host.name} publishes {publish}, but {reason}.\n"
                f"    `ss -ltnp sport = :{publish.port}` shows who holds it: stop that, or change lab_publish in the inventory."
            )


def taken(publish: Publish) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((publish.address, publish.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {publish.port} of this machine is taken"
            return f"{publish.address}:{publish.port} cannot be used ({error.strerror})"
    return ""


# ---- from a container to a host -------------------------------------------------------------------------------------------------

# The image may be days old: mirrors drop what they replace, and a package would not be found.
_PREPARE = """set -e
mkdir -p -m 0700 /root/.ssh
cat >/root/.ssh/authorized_keys
if [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*InRelease' -mmin +720 -print -quit)" ] || [ "$1" = refresh ]; then
    apt-get -qq update
fi
"""


def _deliver_key(engine: Engine, lab: Lab, host: Host) -> None:
    engine.run("exec", "--interactive", lab.container(host), "sh", "-c", _PREPARE, stdin=ssh.public_key(), timeout=120)


def _prepare(engine: Engine, lab: Lab, hosts: Sequence[Host]) -> None:
    if hosts:
        with (
            console.ticking("handing over the ssh key, bringing package lists up to date"),
            concurrent.futures.ThreadPoolExecutor() as pool,
        ):
            list(pool.map(lambda host: _deliver_key(engine, lab, host), hosts))


def _state_question(host: Host) -> str:
    return "systemctl is-system-running --wait" if host.init == "systemd" else "echo running"


def _wait(engine: Engine, lab: Lab, hosts: Sequence[Host]) -> None:
    """Until every host answers by ssh and its services have started."""
    deadline = time.monotonic() + BOOT_SECONDS
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        pending = {pool.submit(_boot, engine, lab, host, deadline): host for host in hosts}
        started = time.monotonic()
        faults: list[str] = []
        while pending:
            done, _ = concurrent.futures.wait(pending, console.TICK_SECONDS, concurrent.futures.FIRST_COMPLETED)
            for future in done:
                host = pending.pop(future)
                if fault := future.result():
                    faults.append(f"{host.name} ({host.address}): {fault}")
            if not done:
                console.detail(
                    f"{time.monotonic() - started:.0f} s: waiting for {', '.join(host.name for host in pending.values())} to boot"
                )
    if faults:
        raise LabError(
            "\n".join(faults)
            + f"\n    To begin anew: lab.py down, then up. A look inside: {' '.join(engine.command)} logs {lab.container(hosts[0])}"
        )


def _boot(engine: Engine, lab: Lab, host: Host, deadline: float) -> str:
    """Empty when the host is ready, else what is wrong."""
    while True:
        answer = ssh.ask(host.address, _state_question(host), timeout=max(3.0, deadline - time.monotonic()))
        state = answer.stdout.strip()
        if state == "running":
            return ""
        if state == "degraded":
            failed = ssh.ask(host.address, "systemctl list-units --failed --plain --no-legend", timeout=10).stdout.split("\n")
            console.detail(
                f"{host.name} runs; degraded, since these units failed: {', '.join(line.split()[0] for line in failed if line.strip())}"
            )
            return ""
        if time.monotonic() > deadline:
            said = answer.stderr.strip() or "nothing"
            return f"it did not come up within {BOOT_SECONDS} s: systemd says {state or 'nothing'}; ssh says {said}"
        if "Permission denied" in answer.stderr:
            _deliver_key(engine, lab, host)
        time.sleep(0.3)

"""How the lab's hosts are reached: one key for all labs, no known hosts, one connection per host that is kept."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from . import console, paths


def key() -> Path:
    """The private key, made at first use."""
    path = paths.lab_cache() / "id_ed25519"
    if not path.exists():
        console.say(f"Making the lab's ssh key {path}")
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            new = Path(scratch) / path.name
            console.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab of uwsgi.consul", "-f", new])
            new.with_suffix(".pub").replace(path.with_suffix(".pub"))
            new.replace(path)
    return path


def public_key() -> str:
    return key().with_suffix(".pub").read_text()


def options() -> list[str]:
    """The same that inventory/group_vars/all/connection.yml tells Ansible."""
    return [
        *("-i", str(key()), "-o", "IdentitiesOnly=yes"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    ]


def command(address: str, *more: str) -> list[str]:
    return ["ssh", *options(), *more, f"root@{address}"]


def ask(address: str, question: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """One question to a host over a connection of its own."""
    quick = ["-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=3"]
    return console.run([*command(address, *quick), question], check=False, timeout=timeout)


def forget(address: str) -> None:
    """End the connection that Ansible keeps to a host that is no longer there."""
    socket = paths.lab_cache() / f"ssh-{address}"
    if socket.exists():
        console.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", f"root@{address}"], check=False, timeout=5)
        socket.unlink(missing_ok=True)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs Ansible's commands as users would: in a process of their own, with Consul known from options and environment alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


# What says nothing in a test: that there are no hosts beside localhost.
_QUIET = {"ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0", "ANSIBLE_NOCOLOR": "1"}


def program(name: str) -> str:
    """The path of one of Ansible's commands, that of the tests' own Python."""
    return str(Path(sys.executable).with_name(name))


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of Ansible's commands: the tests' own without the caller's variables of Consul and Ansible, and what is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CONSUL_", "ANSIBLE_"))}
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    return {**inherited, **settings, **_QUIET, **own}


def run(command: str, *arguments: str, folder: Path, own: Mapping[str, str], timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Runs one of Ansible's commands in a folder, with variables of its own in its environment."""
    return subprocess.run(
        [program(command), *arguments], cwd=folder, env=environment(own), capture_output=True, text=True, timeout=timeout, check=False
    )


def as_plays(blocks: list[Any]) -> list[Any]:
    """Blocks as plays: lists of tasks become one of their own each, plays stay as they are; empty ones are left out."""
    plays: list[Any] = []
    for block in blocks:
        if block and ("hosts" in block[0] or "ansible.builtin.import_playbook" in block[0]):
            plays += block
        elif block:
            plays.append({"hosts": "localhost", "gather_facts": False, "tasks": block})
    return plays


def run_plays(folder: Path, blocks: list[Any], own: Mapping[str, str], *arguments: str) -> str:
    """Runs tasks and plays as one playbook in a folder, which is the variable `workspace`; gives what it printed.

    It must succeed, without a warning.
    """
    playbook = folder / "examples.yml"
    playbook.write_text(yaml.safe_dump(as_plays(blocks), sort_keys=False))
    return run_command(folder, own, "ansible-playbook", "-e", f"workspace={folder}", *arguments, str(playbook))


def run_command(folder: Path, own: Mapping[str, str], command: str, *arguments: str) -> str:
    """Runs one of Ansible's commands, which must succeed without a warning; gives what it printed."""
    done = run(command, *arguments, folder=folder, own=own)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "[WARNING]" not in done.stderr, done.stderr
    assert "[DEPRECATION" not in done.stderr, done.stderr
    return done.stdout

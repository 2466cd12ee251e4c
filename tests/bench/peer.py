"""What the plugins for Ansible are compared with: community.general's, as PyPI's package `ansible` carries them; and runs of plays."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.plugin.conftest import CACHE

from .discovery import folder

COLLECTIONS = Path(__file__).parents[2] / "collections"
# It carries community.general 13.5.0.
ANSIBLE = "14.5.0"
_COLLECTION = "ansible_collections/community/general/"


def collections() -> Path:
    """A path for `ANSIBLE_COLLECTIONS_PATH` in which community.general is; downloaded once."""
    path = CACHE / f"bench-ansible-{ANSIBLE}"
    if not path.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            # The package wants a newer Python than the collection does.
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*command, "--ignore-requires-python", "--dest", temporary, f"ansible=={ANSIBLE}"], check=True)
            (wheel,) = Path(temporary).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(f"{temporary}/path", [name for name in archive.namelist() if name.startswith(_COLLECTION)])
            shutil.move(f"{temporary}/path", path)
    return path


def version() -> str:
    """The version of community.general that `collections` has."""
    manifest = json.loads((collections() / _COLLECTION / "MANIFEST.json").read_text())
    return str(manifest["collection_info"]["version"])


@dataclass(frozen=True)
class Play:
    """A play on this machine that went well. seconds: how long the whole command took. changed: its tasks, or elements of loops
    in them, of which one or more were changed."""

    seconds: float
    changed: int


def play(directory: Path, tasks: Sequence[dict[str, Any]], address: str, *, library: str = "py-consul") -> Play:
    """Runs tasks by `ansible-playbook` with Ansible's own defaults; ours and the peer's modules can be named in them.

    address: of the agent, for ours; the peer's need its host and port as options. library: which of the Consul libraries
    the peer's modules find: it asks for py-consul, with which its module `consul` crashes.
    """
    playbook = directory / "play.yml"
    # What is YAML is JSON, too; and it is read faster.
    playbook.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}]))
    configuration = directory / "empty.cfg"
    configuration.touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CONSUL_", "ANSIBLE_"))}
    environ |= {
        "ANSIBLE_COLLECTIONS_PATH": f"{COLLECTIONS}:{collections()}",
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "CONSUL_HTTP_ADDR": address,
        "PYTHONPATH": str(folder(library)),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"the play failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    recap = re.search(r"changed=(\d+)", done.stdout)
    if recap is None:
        raise RuntimeError(f"no recap:\n{done.stdout[-2000:]}")
    # The recap counts a loop once.
    looped = sum(line.startswith("changed: [localhost] => (item=") for line in done.stdout.splitlines())
    return Play(seconds, looped or int(recap.group(1)))

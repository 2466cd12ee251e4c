"""What the scenarios' tests share: the hosts of the scenario's inventory, and Consul as each of them sees it."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra

REPOSITORY = Path(__file__).parents[1]
ASK = (
    "import json, sys, urllib.request as r; sys.stdout.write(r.urlopen('http://127.0.0.1:8500' + sys.argv[1], timeout=10).read().decode())"
)


class Lab:
    """The hosts of a scenario, reached as Ansible reaches them."""

    def __init__(self, scenario: Path) -> None:
        self.sources = ["--inventory", str(REPOSITORY / "molecule/lab/inventory"), "--inventory", str(scenario / "inventory")]
        # The checkout's settings, not those that Molecule makes for its own runs, and output that can be read.
        inherited = {name: value for name, value in os.environ.items() if name != "ANSIBLE_FORCE_COLOR"}
        self.environment = inherited | {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        listing = subprocess.run(["ansible-inventory", *self.sources, "--list"], check=True, capture_output=True, env=self.environment)
        self.inventory: dict[str, Any] = json.loads(listing.stdout)
        self.variables: dict[str, Any] = self.inventory["_meta"]["hostvars"]

    def address(self, name: str) -> str:
        return str(self.variables[name]["ansible_host"])

    def host(self, name: str) -> Any:
        """The host as pytest-testinfra knows it."""
        key = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uwsgi-consul/lab/id_ed25519"
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return testinfra.get_host(f"ssh://root@{self.address(name)}", ssh_identity_file=str(key), ssh_extra_args=options, controlpersist=60)

    def api(self, name: str, path: str) -> Any:
        """The decoded answer of the agent on a host."""
        return json.loads(self.host(name).check_output("python3 -c %s %s", ASK, path))

    def instances(self, name: str, service: str, datacenter: str = "") -> set[str]:
        """The passing instances of a service as `node:port`, as the agent on a host knows them."""
        suffix = f"&dc={datacenter}" if datacenter else ""
        answer = self.api(name, f"/v1/health/service/{service}?passing=1{suffix}")
        return {f"{entry['Node']['Node']}:{entry['Service']['Port']}" for entry in answer}

    def get(self, name: str, port: int, path: str = "/") -> Any:
        """The decoded answer of an app, asked from here."""
        with urllib.request.urlopen(f"http://{self.address(name)}:{port}{path}", timeout=10) as answer:
            return json.load(answer)

    def module(self, name: str, module: str, arguments: str) -> subprocess.CompletedProcess[str]:
        """One module of Ansible on a host."""
        command = ["ansible", *self.sources, name, "--module-name", module, "--args", arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.environment, cwd=REPOSITORY)

    def play(self, playbook: str, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """A run of one of our playbooks on the scenario's hosts."""
        command = ["ansible-playbook", *self.sources, f"playbooks/{playbook}.yml", *arguments, "--extra-vars", json.dumps(variables)]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self.environment, cwd=REPOSITORY)


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]))


@pytest.fixture(scope="session")
def until() -> Callable[..., float]:
    """Waits until something holds, and says after how many seconds it did."""

    def wait(holds: Callable[[], bool], seconds: float) -> float:
        begin = time.monotonic()
        while not holds():
            if time.monotonic() - begin > seconds:
                pytest.fail(f"did not hold within {seconds} s")
            time.sleep(0.05)  # between two questions
        return time.monotonic() - begin

    return wait

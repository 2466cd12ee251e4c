# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret stands in what `ansible-playbook -vvv` prints, whatever becomes of a task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
# A value for each type of option that a module requires.
VALUES: dict[str, Any] = {
    "str": "secrets",
    "path": "/nowhere/secrets",
    "list": ["secrets"],
    "dict": {"a": "b"},
    "int": 1,
    "float": 1,
    "bool": False,
}


@pytest.fixture
def play(tmp_path, datacenters):
    """Runs modules at -vvv with a real Ansible, and gives all that it prints.

    Each is a host of its own, so that they run side by side. Secrets are given as variables, for Ansible shows the lines of
    a playbook where a task fails.
    """

    def run(calls: list[tuple[str, dict[str, Any]]], check: bool, **secrets: str) -> str:
        hosts = {f"{index}-{name}": {"module": f"uwsgi.consul.{name}", "options": options} for index, (name, options) in enumerate(calls)}
        everywhere = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        task = {"name": "Each", "action": "{{ module }}", "args": "{{ options }}"}
        for file, content in {
            "hosts.json": {"all": {"hosts": hosts, "vars": everywhere}},
            "variables.json": secrets,
            "secrets.yml": [{"hosts": "all", "gather_facts": False, "ignore_errors": True, "check_mode": check, "tasks": [task]}],
        }.items():
            (tmp_path / file).write_text(json.dumps(content))
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CONSUL_", "ANSIBLE_"))}
        own = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"}
        command = ["-vvv", "--diff", "--forks", str(os.cpu_count() or 2), "-i", "hosts.json", "-e", "@variables.json", "secrets.yml"]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), *command],
            cwd=tmp_path,
            env={**inherited, **own, **datacenters.environment()},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed[-6000:]
        # Each was run, and showed its options.
        assert printed.count("module_args:") == len(calls), printed[-6000:]
        return printed

    return run


def minimal(name: str) -> dict[str, Any]:
    """The options that the module requires."""
    documentation = yaml.safe_load(import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}").DOCUMENTATION)
    required = {option: said for option, said in documentation.get("options", {}).items() if said.get("required")}
    return {option: said["choices"][0] if "choices" in said else VALUES[said.get("type", "str")] for option, said in required.items()}


def test_no_module_shows_the_token_that_it_asks_with(play, datacenters):
    """Each once, in check mode, whether it succeeds or fails; every third one has the token from the environment."""
    wrong = str(uuid.uuid4())
    tokens = ({"token": "{{ good }}"}, {"token": "{{ wrong }}"}, {})
    calls = [(name, {**minimal(name), **tokens[index % len(tokens)]}) for index, name in enumerate(MODULES)]
    printed = play(calls, True, good=datacenters.token, wrong=wrong)
    for token in (datacenters.token, wrong):
        assert token not in printed, lines_with(token, printed)


def test_no_acl_module_shows_a_secret(play, module, datacenters, tmp_path):
    module("consul_acl_policy", name="acl-powerless")
    weak = module("consul_acl_token", description="acl powerless", policies=["acl-powerless"], return_secret=True)["token"]["secret_id"]
    given, other = str(uuid.uuid4()), str(uuid.uuid4())
    old, new = tmp_path / "old.token", tmp_path / "new.token"
    module("consul_acl_token", description="secrets old", secret_file=str(old))
    known = old.read_text().strip()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("consul_acl_token", {"description": "secrets new", "secret_file": str(new)}),
        ("consul_acl_token", {"description": "secrets old", "return_secret": True, "policies": ["global-management"]}),
        ("consul_acl_token", {"description": "secrets given", "secret_id": "{{ given }}", "return_secret": True}),
        ("consul_acl_token", {"description": "secrets refused", "secret_id": "{{ other }}", "policies": ["secrets-none"]}),
        ("consul_acl_token", {"description": "secrets weak", "secret_id": "{{ other }}", "token": "{{ weak }}"}),
        ("consul_acl_token_info", {}),
        ("consul_acl_bootstrap", {"bootstrap_secret": "{{ other }}"}),
        ("consul_acl_bootstrap", {"secret_file": str(old)}),
        ("consul_agent_token", {"agent_recovery": "{{ other }}"}),
        ("consul_acl_auth_method", {"name": "secrets", "type": "jwt", "secret_config": {"OIDCClientSecret": "{{ other }}"}}),
    ]
    try:
        printed = play(calls, False, given=given, other=other, weak=weak)
    finally:
        datacenters.dc1.put("/v1/agent/token/agent_recovery", {"Token": ""})
    made = {one["Description"]: one["SecretID"] for one in datacenters.dc1.get("/v1/acl/tokens")}
    assert new.read_text().strip() == made["secrets new"]
    assert (made["secrets given"], made["secrets old"]) == (given, known)
    for secret in {given, other, weak, datacenters.token, *made.values()} - {"anonymous"}:
        assert secret not in printed, lines_with(secret, printed)


def lines_with(secret: str, printed: str) -> list[str]:
    return [line.replace(secret, "(secret)") for line in printed.splitlines() if secret in line][:10]

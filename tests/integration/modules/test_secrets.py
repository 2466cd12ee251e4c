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
    """Runs tasks at -vvv with a real Ansible, and gives all that it prints.

    Secrets are given as variables, for Ansible shows the lines of a playbook where a task fails.
    """

    def run(tasks: list[dict[str, Any]], environment: dict[str, str], **secrets: str) -> str:
        playbook, variables = tmp_path / "secrets.yml", tmp_path / "variables.json"
        variables.write_text(json.dumps(secrets))
        playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "ignore_errors": True, "tasks": tasks}]))
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CONSUL_", "ANSIBLE_"))}
        own = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-vvv", "--diff", "-e", f"@{variables}", str(playbook)],
            cwd=tmp_path,
            env={**inherited, **own, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed[-6000:]
        assert printed.count("\nTASK [") == len(tasks), printed[-6000:]
        # Else nothing was tried that could show one.
        assert "module_args" in printed
        return printed

    return run


def minimal(name: str) -> dict[str, Any]:
    """A task of the module with the options that it requires."""
    documentation = yaml.safe_load(import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}").DOCUMENTATION)
    required = {option: said for option, said in documentation.get("options", {}).items() if said.get("required")}
    return {option: said["choices"][0] if "choices" in said else VALUES[said.get("type", "str")] for option, said in required.items()}


def test_no_module_shows_the_token_that_it_asks_with(play, datacenters):
    """Each once, in check mode, whether it succeeds or fails; the last one has it from the environment."""
    assert MODULES
    wrong = str(uuid.uuid4())
    tasks = [
        {f"uwsgi.consul.{name}": {**minimal(name), "token": ("{{ good }}", "{{ wrong }}")[index % 2]}, "name": name, "check_mode": True}
        for index, name in enumerate(MODULES)
    ]
    tasks.append({"uwsgi.consul.consul_acl_policy": {"name": "secrets"}, "name": "environment"})
    printed = play(tasks, datacenters.environment(), good=datacenters.token, wrong=wrong)
    for token in (datacenters.token, wrong):
        assert token not in printed, lines_with(token, printed)


def test_no_acl_module_shows_a_secret(play, module, datacenters, tmp_path):
    module("consul_acl_policy", name="acl-powerless")
    weak = module("consul_acl_token", description="acl powerless", policies=["acl-powerless"], return_secret=True)["token"]["secret_id"]
    given, other = str(uuid.uuid4()), str(uuid.uuid4())
    file = tmp_path / "a.token"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("acl_token", {"description": "secrets file", "secret_file": str(file)}),
        ("acl_token", {"description": "secrets file", "return_secret": True, "policies": ["global-management"]}),
        ("acl_token", {"description": "secrets given", "secret_id": "{{ given }}", "return_secret": True}),
        ("acl_token_info", {}),
        ("acl_bootstrap", {"bootstrap_secret": "{{ given }}"}),
        ("acl_bootstrap", {"secret_file": str(file)}),
        ("agent_token", {"agent_recovery": "{{ other }}"}),
        (
            "acl_token",
            {"description": "secrets given", "secret_id": "{{ other }}", "accessor_id": str(uuid.uuid4()), "policies": ["secrets none"]},
        ),
        ("acl_token", {"description": "secrets weak", "secret_id": "{{ other }}", "token": "{{ weak }}"}),
        ("acl_auth_method", {"name": "secrets", "type": "jwt", "secret_config": {"OIDCClientSecret": "{{ other }}"}}),
    ]
    tasks = [{f"uwsgi.consul.consul_{name}": options, "name": name} for name, options in calls]
    try:
        printed = play(tasks, datacenters.environment(), given=given, other=other, weak=weak)
    finally:
        datacenters.dc1.put("/v1/agent/token/agent_recovery", {"Token": ""})
    made = {one["Description"]: one["SecretID"] for one in datacenters.dc1.get("/v1/acl/tokens")}
    assert file.read_text().strip() == made["secrets file"]
    assert made["secrets given"] == given
    for secret in {given, other, weak, datacenters.token, *made.values()} - {"anonymous"}:
        assert secret not in printed, lines_with(secret, printed)


def lines_with(secret: str, printed: str) -> list[str]:
    return [line.replace(secret, "(secret)") for line in printed.splitlines() if secret in line][:10]

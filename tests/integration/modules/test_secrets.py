# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret stands in what modules return and log, nor in what `ansible-playbook -vvv` prints, whatever becomes of a task."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

import plays
from modules import LEAST, run_and_log

ROOT = Path(__file__).parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")


@pytest.fixture
def play(tmp_path, datacenters):
    """Runs modules at -vvv with a real Ansible, and gives all that it prints.

    Each is a host of its own, so that they run side by side. Secrets are given as variables, for Ansible shows the lines of
    a playbook where a task fails.
    """

    def run(calls: list[tuple[str, dict[str, Any]]], **secrets: str) -> str:
        hosts = {f"{index}-{name}": {"module": f"uwsgi.consul.{name}", "options": options} for index, (name, options) in enumerate(calls)}
        everywhere = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        task = {"name": "Each", "action": "{{ module }}", "args": "{{ options }}"}
        for file, content in {
            "hosts.json": {"all": {"hosts": hosts, "vars": everywhere}},
            "variables.json": secrets,
            "secrets.yml": [{"hosts": "all", "gather_facts": False, "ignore_errors": True, "tasks": [task]}],
        }.items():
            (tmp_path / file).write_text(json.dumps(content))
        options = ["-vvv", "--diff", "--forks", str(os.cpu_count() or 2), "-i", "hosts.json", "-e", "@variables.json", "secrets.yml"]
        own = {"ANSIBLE_PIPELINING": "1", **datacenters.environment()}
        done = plays.run("ansible-playbook", *options, folder=tmp_path, own=own, timeout=600)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed[-6000:]
        # Each was run, and showed its options.
        assert printed.count("module_args:") == len(calls), printed[-6000:]
        return printed

    return run


@pytest.mark.parametrize("name", MODULES)
def test_no_module_shows_the_token_that_it_asks_with(name, datacenters, monkeypatch, tmp_path):
    """In check mode, whether it succeeds or fails. The result has the options, which Ansible prints at -vvv."""
    monkeypatch.chdir(tmp_path)
    connection = datacenters.options()
    wrong = str(uuid.uuid4())
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", connection["token"])
    for options in (connection, {**connection, "token": wrong}, {**connection, "token": None}):
        result, log = run_and_log(name, check=True, **options, **LEAST.get(name, {}))
        assert result["invocation"]["module_args"]["agents"] == connection["agents"]
        assert log
        assert not any(token in f"{result}{log}" for token in (datacenters.token, wrong))


def test_no_acl_module_shows_a_secret(module, datacenters, tmp_path):
    """Whatever it does with one."""
    module("consul_acl_policy", name="acl-powerless")
    weak = module("consul_acl_token", description="acl powerless", policies=["acl-powerless"], return_secret=True)["token"]["secret_id"]
    given, other = str(uuid.uuid4()), str(uuid.uuid4())
    old, new = tmp_path / "old.token", tmp_path / "new.token"
    module("consul_acl_token", description="secrets old", secret_file=str(old))
    known = old.read_text().strip()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("consul_acl_token", {"description": "secrets new", "secret_file": str(new)}),
        ("consul_acl_token", {"description": "secrets old", "return_secret": True, "policies": ["global-management"]}),
        ("consul_acl_token", {"description": "secrets given", "secret_id": given, "return_secret": True}),
        ("consul_acl_token", {"description": "secrets refused", "secret_id": other, "policies": ["secrets-none"]}),
        ("consul_acl_token", {"description": "secrets weak", "secret_id": other, "token": weak}),
        ("consul_acl_token_info", {}),
        ("consul_acl_bootstrap", {"bootstrap_secret": other}),
        ("consul_acl_bootstrap", {"secret_file": str(old)}),
        ("consul_agent_token", {"agent_recovery": other}),
        ("consul_acl_auth_method", {"name": "secrets", "type": "jwt", "secret_config": {"OIDCClientSecret": other}}),
    ]
    try:
        said = "\n".join(str(run_and_log(name, **{**datacenters.options(), **options})) for name, options in calls)
    finally:
        datacenters.dc1.put("/v1/agent/token/agent_recovery", {"Token": ""})
    made = {one["Description"]: one["SecretID"] for one in datacenters.dc1.get("/v1/acl/tokens")}
    assert new.read_text().strip() == made["secrets new"]
    assert (made["secrets given"], made["secrets old"]) == (given, known)
    for secret in {given, other, weak, datacenters.token, *made.values()} - {"anonymous"}:
        assert secret not in said, lines_with(secret, said)


def test_ansible_shows_no_secret(play, datacenters, tmp_path):
    """What Ansible itself does with results and options: of a module that makes a secret, is given one, and fails."""
    given, other, new = str(uuid.uuid4()), str(uuid.uuid4()), tmp_path / "new.token"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("consul_acl_token", {"description": "played new", "secret_file": str(new)}),
        ("consul_acl_token", {"description": "played given", "secret_id": "{{ given }}", "return_secret": True}),
        ("consul_acl_auth_method", {"name": "played", "type": "jwt", "secret_config": {"OIDCClientSecret": "{{ other }}"}}),
        ("consul_acl_token_info", {"token": "{{ other }}"}),
    ]
    printed = play(calls, given=given, other=other)
    made = {one["Description"]: one["SecretID"] for one in datacenters.dc1.get("/v1/acl/tokens")}
    assert (made["played new"], made["played given"]) == (new.read_text().strip(), given)
    for secret in (given, other, datacenters.token, made["played new"]):
        assert secret not in printed, lines_with(secret, printed)


def lines_with(secret: str, printed: str) -> list[str]:
    return [line.replace(secret, "(secret)") for line in printed.splitlines() if secret in line][:10]

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module in the tests' own process, by what Ansible would give it on its input, and reads what it prints."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from unittest import mock

from ansible.module_utils import basic

PACKAGE = "ansible_collections.uwsgi.consul.plugins.modules"
# The least that each module must be given, so that it gets as far as Consul, or as an option under test.
LEAST: dict[str, dict[str, Any]] = {
    "consul_acl_auth_method": {"name": "x", "type": "jwt"},
    "consul_acl_binding_rule": {"auth_method": "x", "description": "y"},
    "consul_acl_bootstrap": {"return_secret": True},
    "consul_acl_policy": {"name": "x"},
    "consul_acl_role": {"name": "x"},
    "consul_acl_token": {"description": "x"},
    "consul_agent_token": {"agent": "x"},
    "consul_kv": {"key": "a", "value": "b"},
    "consul_kv_info": {"prefixes": ["a"], "names_only": True},
    "consul_check": {"id": "x", "ttl": "1h"},
    "consul_config_entry": {"kind": "service-defaults", "name": "x"},
    "consul_config_entry_info": {"kind": "service-defaults"},
    "consul_event": {"name": "x"},
    "consul_intention": {"source": "x", "destination": "y", "action": "allow"},
    "consul_lock": {"key": "x"},
    "consul_query": {"name": "x", "service": "y"},
    "consul_semaphore": {"prefix": "x", "limit": 1},
    "consul_service": {"name": "x"},
    "consul_session": {"name": "x"},
    "consul_snapshot": {"path": "x.snap"},
    "consul_sweep": {"threshold": "72h", "state_file": "sweep.json"},
    "consul_wait": {"key": "x", "wait_timeout": "0"},
}


def run_module(name: str, /, check: bool = False, **params: Any) -> dict[str, Any]:
    """The module's result, `failed` and `msg` of a failure among it; with its diff."""
    return run_and_log(name, check, **params)[0]


def run_and_log(name: str, /, check: bool = False, **params: Any) -> tuple[dict[str, Any], list[str]]:
    """The same, and what the module wrote into the log of its host."""
    given = {"_ansible_check_mode": check, "_ansible_diff": True, **{key: value for key, value in params.items() if value is not None}}
    printed = io.StringIO()
    # The system's log takes no zero byte with some versions of Python, and then Ansible does not run the module.
    silent = mock.patch.object(basic.AnsibleModule, "_log_to_syslog")
    # In a process that has loaded the controller, Ansible would show a warning there and then instead of returning it.
    warnings: list[str] = []
    kept = mock.patch.object(basic.AnsibleModule, "warn", lambda _module, warning: warnings.append(warning))
    with silent as log, kept, given_arguments(given), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        import_module(f"{PACKAGE}.{name}").main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    return {**result, **({"warnings": warnings} if warnings else {})}, [str(call.args[0]) for call in log.call_args_list]


@contextlib.contextmanager
def given_arguments(given: dict[str, Any]) -> Iterator[None]:
    """While it lasts, a module finds these on its input."""
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # ansible-core before 2.19
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
        with mock.patch.object(basic, "_ANSIBLE_ARGS", arguments):
            yield
    else:
        with patch_module_args(given):
            yield

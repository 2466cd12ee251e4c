# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of every plugin's documentation run as they stand.

What an example takes for granted (a service, a key, a file) is made by the tasks of `setup/PLUGIN.yml`; its folder is the
current one, and the variable `workspace` names it. Consul is known from the environment alone. An agent that an example would
break for others is one of its own: `OWN_AGENT` holds its configuration.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from plays import run_plays

ROOT = Path(__file__).parents[3]
SETUP = Path(__file__).with_name("setup")
PLUGINS = sorted(
    (path.parent.name, path.stem)
    for folder in ("modules", "lookup", "filter", "test")
    for path in (ROOT / "plugins" / folder).glob("*.py")
    if path.stem != "__init__"
)
OWN_AGENT: dict[str, dict[str, Any]] = {
    "consul_keyring": {"encrypt": "cGl9SWd8VEnUYUx0gnSqV6LkVzNcTl8GZqzXEoyJ3SE="},
    "consul_operator_raft": {},
    "consul_snapshot": {},
}


@pytest.mark.parametrize(("kind", "name"), PLUGINS, ids=[name for _kind, name in PLUGINS])
def test_examples(kind, name, datacenters, consul_agents, tmp_path):
    module = import_module(f"ansible_collections.uwsgi.consul.plugins.{kind}.{name}")
    examples = yaml.safe_load(getattr(module, "EXAMPLES", None) or yaml.safe_load(module.DOCUMENTATION).get("examples") or "[]")
    assert examples, "a plugin without an example"
    setup = SETUP / f"{name}.yml"
    before = yaml.safe_load(setup.read_text()) if setup.exists() else []
    environment = {"CONSUL_HTTP_ADDR": consul_agents(OWN_AGENT[name]).address} if name in OWN_AGENT else datacenters.environment()
    run_plays(tmp_path, [before, examples], environment)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true of all modules: their group, and how they are documented."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
FRAGMENTS = {f"uwsgi.consul.{group}" for group in ("connection", "token", "tls")}


def test_all_are_in_the_action_group():
    assert yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["consul"] == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_documentation(name):
    documentation = yaml.safe_load(import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}").DOCUMENTATION)
    assert documentation["module"] == name
    fragments = set(documentation["extends_documentation_fragment"])
    assert fragments >= FRAGMENTS
    attributes = "uwsgi.consul.attributes" + (".info" if name.endswith("_info") else "")
    assert fragments - FRAGMENTS == {attributes}


@pytest.mark.parametrize("name", MODULES)
def test_entry_points_are_thin(name):
    module = import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}")
    lines = (ROOT / f"plugins/modules/{name}.py").read_text().splitlines()
    documented = sum(len(getattr(module, part).splitlines()) for part in ("DOCUMENTATION", "EXAMPLES", "RETURN"))
    assert len(lines) - documented < 80


@pytest.mark.parametrize("name", MODULES)
def test_no_option_takes_the_place_of_one_of_the_connection(name):
    documentation = yaml.safe_load(import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}").DOCUMENTATION)
    assert set(documentation.get("options") or {}).isdisjoint(ConnectionOptions.ARGUMENT_SPEC)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true of all modules: their group, and how they are documented."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import documented
import pytest
import yaml

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")


def test_all_are_in_the_action_group():
    assert yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["consul"] == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_documentation(name):
    documentation = documented.documentation("modules", name)
    assert documentation["module"] == name
    attributes, *others = documentation["extends_documentation_fragment"]
    assert attributes == "uwsgi.consul.attributes" + (".info" if name.endswith("_info") else "")
    assert tuple(others[:3]) == documented.CONNECTION


@pytest.mark.parametrize("name", MODULES)
def test_entry_points_are_thin(name):
    module = import_module(f"ansible_collections.uwsgi.consul.plugins.modules.{name}")
    lines = (ROOT / f"plugins/modules/{name}.py").read_text().splitlines()
    documented = sum(len(getattr(module, part).splitlines()) for part in ("DOCUMENTATION", "EXAMPLES", "RETURN"))
    assert len(lines) - documented < 80


@pytest.mark.parametrize("name", MODULES)
def test_no_option_takes_the_place_of_one_of_the_connection(name):
    own = documented.options("modules", name, without=documented.CONNECTION)
    assert set(own).isdisjoint(ConnectionOptions.ARGUMENT_SPEC)


def test_a_check_is_documented_alike_in_both_of_its_modules():
    """The two can't share the text, for a fragment's options stand at the top. Only what is not the same is said otherwise."""
    alone = documented.options("modules", "consul_check")["checks"]["suboptions"]
    of_service = documented.options("modules", "consul_service")["checks"]["suboptions"]
    assert set(alone) - set(of_service) == {"service_id", "output"}
    for name, parts in of_service.items():
        if name not in ("id", "name", "status"):
            assert json.loads(json.dumps(parts).replace("services[].checks[].", "")) == alone[name], name

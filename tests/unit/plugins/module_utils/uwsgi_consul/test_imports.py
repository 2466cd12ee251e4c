# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[5]
LIBRARY = ROOT / "plugins/module_utils"
# What takes long to load, or is not there for everybody.
HEAVY = (
    "asyncio",
    "click",
    "concurrent.futures",
    "consul",
    "dataclasses",
    "email",
    "http.client",
    "requests",
    "rich",
    "ssl",
    "urllib.request",
)


def loaded_by(code: str) -> tuple[set[str], float]:
    """The modules that a new Python has loaded after the code, and the seconds of processor time that it took."""
    program = f"import sys, time\nbegin = time.process_time()\n{code}\nprint(time.process_time() - begin, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(LIBRARY)}, cwd=ROOT
    )
    seconds, *modules = done.stdout.split()
    return set(modules), float(seconds)


def test_the_import_loads_nothing_heavy_and_takes_less_than_60_ms():
    runs = [loaded_by("import uwsgi_consul") for _ in range(3)]
    for modules, _seconds in runs:
        assert not modules.intersection(HEAVY)
    assert min(seconds for _modules, seconds in runs) < 0.060


def test_what_asks_consul_itself_does_without_a_library_for_it_and_without_an_event_loop():
    modules, _seconds = loaded_by("from uwsgi_consul import KV, Api\nKV(Api())")
    assert not modules.intersection(("asyncio", "consul", "http.client", "requests", "click", "rich"))


def test_only_files_of_the_package_are_loaded_as_the_package():
    modules, _seconds = loaded_by("import uwsgi_consul, uwsgi_consul.vassal, uwsgi_consul.uwsgi_cache")
    ours = {name for name in modules if name.startswith("uwsgi_consul.")}
    assert {"uwsgi_consul.vassal", "uwsgi_consul.uwsgi_cache", "uwsgi_consul.errors"} <= ours
    assert not any(name.startswith("ansible") for name in modules)


def test_the_names_for_type_checkers_are_those_of_the_package():
    package = import_module("ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul")
    stub = ast.parse((LIBRARY / "uwsgi_consul/__init__.pyi").read_text())
    told = {alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told == package._MODULES


def test_ansible_finds_no_import_of_the_whole_library_in_the_package():
    tree = ast.parse((LIBRARY / "uwsgi_consul/__init__.py").read_text())
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert imported == []

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/architecture.md tells of each Python module what it is for, and of none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text()
LIBRARY, MODULES = PAGE.partition("\nThe Python library ")[2].partition("\n## Decisions")[0].split("\nModules and lookups, ")


def rows(text):
    """The names in the first cell of each row of a table."""
    return {name for cell in re.findall(r"^\| (`[^|]*?) \|", text, re.M) for name in re.findall(r"`([a-z_]+)`", cell)}


def files(folder, pattern="*.py"):
    return {path.stem for path in (ROOT / "plugins" / folder).glob(pattern)} - {"__init__"}


def test_the_library():
    assert rows(LIBRARY) == files("module_utils/uwsgi_consul")


def test_what_is_wanted_of_each_kind_of_object():
    assert rows(MODULES) == files("module_utils", "_*.py")


def test_what_only_the_controller_needs():
    assert {name for name in files("plugin_utils", "_*.py") if f"`{name}`" not in MODULES and f"/{name}.py`" not in MODULES} == set()


def test_each_module_stands_with_its_file():
    named = set(
        re.findall(r"`([a-z_]+(?:\.\.\.)?)`", "".join(line.split("|")[3] for line in MODULES.splitlines() if line.startswith("| `_")))
    )
    for name in (name.removeprefix("consul_") for name in files("modules")):
        assert name in named or ("acl_..." in named and name.startswith("acl_")), name

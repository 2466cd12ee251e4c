# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the guides run as they stand, one playbook for each page.

A block of YAML is a list of tasks, or a list of plays, or a file of which its first line tells the name, such as
`# file: consul.yml`. Files are written first; one that is an inventory plugin's is read by `ansible-inventory`. Then all
blocks run in their order. What a page takes for granted is made by the tasks of `setup/guide-PAGE.yml`; hosts that its
plays name are in `setup/guide-PAGE.hosts.yml`. An agent that a page would break for others is one of its own: `OWN_AGENT` holds
its configuration.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plays import run_command, run_plays

ROOT = Path(__file__).parents[3]
SETUP = Path(__file__).with_name("setup")
PAGES = [
    ROOT / "README.md",
    ROOT / "docs/migrating.md",
    ROOT / "docs/guide/lookups.md",
    *sorted((ROOT / "docs/guide").glob("ansible-*.md")),
]
OWN_AGENT: dict[str, dict[str, Any]] = {}

_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.M | re.S)
_FILE = re.compile(r"# file: (\S+)\n")


def blocks(text: str) -> tuple[dict[str, str], list[list[Any]]]:
    """The files by their names, and the lists of tasks and plays, of a page."""
    files: dict[str, str] = {}
    runnable: list[list[Any]] = []
    for match in _BLOCK.finditer(text):
        block = "".join(line.removeprefix(match[1]) for line in match[2].splitlines(keepends=True))
        name = _FILE.match(block)
        if name:
            files[name[1]] = block
            continue
        content = yaml.safe_load(block)
        assert isinstance(content, list), f"neither tasks nor plays nor a file with its name (# file: NAME):\n{block}"
        runnable.append(content)
    return files, runnable


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_guide(page, datacenters, consul_agents, tmp_path):
    files, runnable = blocks(page.read_text())
    setup, hosts = SETUP / f"guide-{page.stem}.yml", SETUP / f"guide-{page.stem}.hosts.yml"
    before = yaml.safe_load(setup.read_text()) if setup.exists() else []
    inventory = ["-i", str(hosts)] if hosts.exists() else []
    environment = datacenters.environment()
    if page.stem in OWN_AGENT:
        environment = {"CONSUL_HTTP_ADDR": consul_agents(OWN_AGENT[page.stem]).address}
    for name, content in files.items():
        file = tmp_path / name
        assert file.resolve().is_relative_to(tmp_path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    if before or runnable:
        run_plays(tmp_path, [before, *runnable], environment, *inventory)
    for name, content in files.items():
        if "plugin" in (yaml.safe_load(content) or {}):
            listed = run_command(tmp_path, environment, "ansible-inventory", "-i", name, "--list")
            assert json.loads(listed)["_meta"]["hostvars"], f"{name} finds no host"


@pytest.mark.parametrize(
    ("text", "files", "runnable"),
    [
        ("```yaml\n- a: b\n```\n\n```yaml\n# file: x/y.yml\nplugin: z\n```\n", {"x/y.yml": "# file: x/y.yml\nplugin: z\n"}, [[{"a": "b"}]]),
        ("1. in a list\n\n   ```yaml\n   - a:\n       b: c\n   ```\n", {}, [[{"a": {"b": "c"}}]]),
        ("```jinja\n{{ x }}\n```\n```ini\na = b\n```\n", {}, []),
    ],
)
def test_blocks_of_a_page(text, files, runnable):
    assert blocks(text) == (files, runnable)


def test_a_block_that_can_not_run_is_refused():
    with pytest.raises(AssertionError, match="neither tasks nor plays"):
        blocks("```yaml\na: b\n```\n")

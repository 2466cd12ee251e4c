# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The versions of ansible-core that are tested are those that the collection promises to run with."""

from __future__ import annotations

import ast
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def cores():
    # It is read and not imported: nox is not there in the environments that it makes.
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CORES":
            return ast.literal_eval(node.value)
    raise AssertionError("noxfile.py has no CORES")


def test_from_the_oldest_that_is_promised_without_a_gap():
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"].removeprefix(">=2.").removesuffix(".0")
    assert list(cores()) == [f"2.{minor}" for minor in range(int(oldest), int(oldest) + len(cores()))]


def test_every_python_of_a_controller_comes_first_somewhere():
    assert {pythons[0] for pythons in cores().values()} == {"3.10", "3.11", "3.12", "3.13"}

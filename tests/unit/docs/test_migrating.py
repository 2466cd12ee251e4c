# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/migrating.md maps every option of the peer's, to options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import documented
import pytest
import yaml

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions

PAGE = (Path(__file__).parents[3] / "docs/migrating.md").read_text()
PEER = yaml.safe_load(Path(__file__).with_name("community_general.yml").read_text())

SECTIONS: dict[str, str] = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
CASES = [*(("modules", name, name) for name in PEER["modules"]), *(("lookup", name, f"{name} lookup") for name in PEER["lookup"])]


def rows(section):
    """The first two cells of each row of a table, as the names in them."""
    for theirs, ours in re.findall(r"^\| (`[^|]*?) \| ([^|]*?) \|", section, re.M):
        yield re.findall(r"`([^`]+)`", theirs), re.findall(r"`([^`]+)`", ours)


def flat(options, prefix=""):
    names = set()
    for name, option in (options or {}).items():
        names |= {f"{prefix}{name}", *flat(option.get("suboptions"), f"{prefix}{name}.")}
    return names


def options(kind, name):
    return flat(documented.options(kind, name))


def connection():
    return set(ConnectionOptions.ARGUMENT_SPEC)


def test_there_is_a_section_for_each_of_theirs_and_for_nothing_else():
    assert set(SECTIONS) == {section for _kind, _name, section in CASES}


@pytest.mark.parametrize(("kind", "name", "section"), CASES, ids=[section for _kind, _name, section in CASES])
def test_every_option_of_theirs_is_mapped(kind, name, section):
    mapped = [option for theirs, _ours in rows(SECTIONS[section]) for option in theirs if not option.startswith("ANSIBLE_")]
    assert sorted(mapped) == sorted(PEER[kind][name])


@pytest.mark.parametrize(("kind", "name", "section"), CASES, ids=[section for _kind, _name, section in CASES])
def test_every_option_of_ours_exists(kind, name, section):
    intro = SECTIONS[section].partition("\n|")[0]
    becomes = re.findall(r"`uwsgi\.consul\.(\w+)`", intro)
    assert becomes
    known = set().union(*(options(kind, one) for one in becomes))
    wrong = [option for _theirs, ours in rows(SECTIONS[section]) for option in ours if option not in known]
    assert wrong == []


def test_the_connection():
    section = PAGE.partition("## The connection")[2].partition("\n## ")[0]
    mapped = list(rows(section))
    assert sorted(option for theirs, _ours in mapped for option in theirs) == sorted(PEER["connection"])
    assert {option for _theirs, ours in mapped for option in ours} <= connection()

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of every module, given what can't be right: the message names it, or Consul is asked, but nothing breaks."""

from __future__ import annotations

from pathlib import Path

import documented
import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from modules import LEAST, run_module

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py") if path.stem != "__init__")
TEXTS = ["", " ", "a\nb", "\x00", "..", "../../x", "a" * 100_000, "{{ x }}", "é" * 300]
VALUES = {
    "str": TEXTS,
    "path": ["", "\x00", "/nowhere/at/all"],
    "raw": [*TEXTS, None, [], {}, 2**70, [{"a": [None]}]],
    "int": ["", "x", -1, 2**70, 1.5, [1]],
    "float": ["", "x", -1.0, 1e300, "nan", "inf", [1]],
    "bool": ["", "x", 7, [True]],
    "list": ["", [""], [None], [[]], [{}], {"a": 1}, ["\x00"], [2**70], [["x"] * 3] * 3],
    "dict": ["", "x", [], {"": ""}, {"a": None}, {"\x00": "x"}, {"a": {"b": ["c"]}}, {"a\nb": "c"}],
}


def options():
    for name in MODULES:
        for option, parts in documented.options("modules", name, without=documented.CONNECTION).items():
            yield pytest.param(name, option, parts.get("type", "str"), id=f"{name}-{option}")


@pytest.mark.parametrize(("name", "option", "kind"), list(options()))
def test_every_option(name, option, kind, monkeypatch, tmp_path):
    def request(_self, method, path, *_arguments, **_options):
        raise NoAgentError(f"asked {method} {path}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Api, "request", request)
    for value in VALUES[kind]:
        for check in (True, False):
            result = run_module(name, check=check, **{**LEAST.get(name, {}), option: value})
            message = str(result.get("msg", ""))
            # Ansible hides a secret in all that is said, in the name of its option as well.
            if "********" in message:
                continue
            # What is taken as it stands gets as far as Consul. What needs no Consul in check mode may even succeed.
            # Ansible's own words for a list of dictionaries that is none do not name it.
            assert not result.get("failed") or option in message or message.startswith(("asked ", "dictionary requested")), (value, result)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step from what there is to what is wanted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils._desired import ensure
from ansible_collections.uwsgi.consul.plugins.module_utils._module import Change


@pytest.fixture
def step():
    """Runs the step; gives the change and what was asked of Consul."""

    def call(found, wanted, check_mode=False):
        asked = []

        def act(name):
            def function(thing):
                asked.append((name, thing))
                return thing | {"id": "made"} if name == "create" else thing

            return function

        change = ensure(
            SimpleNamespace(check_mode=check_mode), found, wanted, create=act("create"), update=act("update"), delete=act("delete")
        )
        return change, asked

    return call


@pytest.mark.parametrize(
    ("found", "wanted", "after", "asked"),
    [
        (None, {"a": 1}, {"a": 1, "id": "made"}, [("create", {"a": 1})]),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}, [("update", {"a": 3, "b": 2})]),
        ({"a": 1}, None, None, [("delete", {"a": 1})]),
        (None, None, None, []),
    ],
)
def test_only_what_differs_is_asked(step, found, wanted, after, asked):
    assert step(found, wanted) == (Change(found, after), asked)
    change, nothing = step(found, wanted, check_mode=True)
    assert nothing == []
    assert change.changed == bool(asked)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests of templates."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.uwsgi.consul.plugins.test import consul_passing, uwsgi_duration

is_passing = consul_passing.TestModule().tests()["consul_passing"]
is_duration = uwsgi_duration.TestModule().tests()["uwsgi_duration"]
GOOD, BAD = {"status": "passing"}, {"status": "warning"}


@pytest.mark.parametrize(
    ("value", "passing"),
    [
        (GOOD, True),
        (BAD, False),
        ({"status": "maintenance"}, False),
        ([GOOD, GOOD], True),
        ([GOOD, BAD], False),
        ([], False),
        ((GOOD,), True),
    ],
)
def test_consul_passing(value: Any, passing: bool) -> None:
    assert is_passing(value) is passing


@pytest.mark.parametrize("value", ["passing", None, {}, [GOOD, "passing"], 7])
def test_what_has_no_status_is_an_error(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="has no status: give an instance, a node or a check of Consul"):
        is_passing(value)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("10s", True),
        ("500ms", True),
        ("2m", True),
        ("1h", True),
        ("30", True),
        (30, True),
        (0, True),
        ("1m30s", False),
        ("1.5s", False),
        ("-1s", False),
        (-1, False),
        ("", False),
        ("s", False),
        ("10 s", False),
        ("10s\n", False),
        (True, False),
        (None, False),
        (1.5, False),
        (["10s"], False),
    ],
)
def test_uwsgi_duration(value: Any, good: bool) -> None:
    assert is_duration(value) is good

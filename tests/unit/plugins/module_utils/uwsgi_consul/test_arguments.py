# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judges of arguments."""

from __future__ import annotations

import math

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import arguments, errors

ID = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"


@pytest.mark.parametrize(
    ("judge", "value", "judged"),
    [
        (arguments.text, "", ""),
        (arguments.text, "a\nb", "a\nb"),
        (arguments.name, "web é", "web é"),
        (arguments.name, "n" * arguments.LONGEST_NAME, "n" * arguments.LONGEST_NAME),
        (arguments.datacenter, None, None),
        (arguments.datacenter, "dc_1-b", "dc_1-b"),
        (arguments.session, ID, ID),
        (arguments.boolean, False, False),
        (arguments.integer, 0, 0),
        (arguments.integer, 2**63 - 1, 2**63 - 1),
        (arguments.seconds, 7, 7.0),
        (arguments.seconds, 0.25, 0.25),
        (arguments.duration, "1m30s", 90.0),
        (arguments.duration, "1.5ms", 0.0015),
        (arguments.duration, 3, 3.0),
        (arguments.function, len, len),
    ],
)
def test_what_is_right_comes_back(judge, value, judged):
    found = judge(value, "argument")
    assert found == judged
    assert type(found) is type(judged)


@pytest.mark.parametrize(
    ("judge", "values"),
    [
        (arguments.text, [None, 7, b"a", "\ud800", "x" * 65537]),
        (arguments.name, ["", " ", ".", "..", "a\nb", "a\x7f", None, 7, b"a", "\ud800", "n" * 513, ["a"]]),
        (arguments.datacenter, ["", "a b", "dc1\n", 7, "é", "d" * 513]),
        (arguments.session, [None, "", "x", ID + "\n", ID[:-1], 7]),
        (arguments.boolean, [None, 0, 1, "true"]),
        (arguments.integer, [None, -1, 1.0, True, "1", 2**63, 10**5000]),
        (arguments.seconds, [None, -0.1, True, "1", math.nan, math.inf, 86401, 10**400]),
        (arguments.duration, [None, "", "10", "-1s", "1y", True, -1, math.nan, math.inf, "9" * 99 + "h" * 2, "s" * 1000, b"1s"]),
        (arguments.function, [None, "len", 7]),
    ],
)
def test_everything_else_is_refused_by_name_and_in_short(judge, values):
    for value in values:
        with pytest.raises(errors.InvalidValueError, match=r"^argument: ") as refused:
            judge(value, "argument")
        assert len(str(refused.value)) < 300


def test_limits_of_ones_own():
    assert arguments.duration("10s", "ttl", 10, 86400) == 10
    for least, most in ((11, 86400), (0, 9)):
        with pytest.raises(errors.InvalidValueError, match=f"^ttl: '10s' is no duration from {least} to {most} s"):
            arguments.duration("10s", "ttl", least, most)
    with pytest.raises(errors.InvalidValueError, match=r"^behaviour: 'keep' is none of release, delete$"):
        arguments.choice("keep", "behaviour", ("release", "delete"))
    assert arguments.choice("delete", "behaviour", ("release", "delete")) == "delete"

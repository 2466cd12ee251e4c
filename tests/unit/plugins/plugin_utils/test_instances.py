# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of services in the formats that lookups give them in."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.plugin_utils._instances import address


@pytest.mark.parametrize(
    ("instance", "plain", "url"),
    [
        ({"address": "10.0.0.1", "port": 80}, "10.0.0.1:80", "http://10.0.0.1:80"),
        ({"address": "10.0.0.1", "port": 0}, "10.0.0.1", "http://10.0.0.1"),
        ({"address": "fd00::1", "port": 80}, "[fd00::1]:80", "http://[fd00::1]:80"),
        ({"address": "fd00::1", "port": 0}, "[fd00::1]", "http://[fd00::1]"),
    ],
)
def test_where_an_instance_is(instance, plain, url):
    assert address(instance) == plain
    assert address(instance, "http") == url

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_query` with a real agent."""

from __future__ import annotations

import pytest

WEB = "web-of-the-query-lookup"


@pytest.fixture(scope="module", autouse=True)
def registered(consul):
    """A service with two instances, one with a single one, and queries for them and for nothing."""
    for number in (2, 1):
        consul.put("/v1/agent/service/register", {"Name": WEB, "ID": f"{WEB}-{number}", "Port": 2000 + number})
    consul.put("/v1/agent/service/register", {"Name": f"{WEB}-single", "Address": "fd00::1", "Port": 3001})
    for name in (WEB, f"{WEB}-single", f"{WEB}-nothing"):
        consul.request("POST", "/v1/query", {"Name": name, "Service": {"Service": name}})
    consul.request(
        "POST", "/v1/query", {"Name": f"{WEB}-to-", "Service": {"Service": "${name.suffix}"}, "Template": {"Type": "name_prefix_match"}}
    )


def test_what_queries_find(render, consul):
    def call(how, *names, **options):
        arguments = ", ".join([*map(repr, names), *(f"{name}={value!r}" for name, value in options.items())])
        return f"{{{{ {how}('uwsgi.consul.consul_query', {arguments}, agents=['{consul.address}']) }}}}"

    services = f"{{{{ query('uwsgi.consul.consul_service', '{WEB}', agents=['{consul.address}']) }}}}"
    found = render(
        {
            "all": call("query", WEB),
            "services": services,
            "several": call("query", WEB, f"{WEB}-single", format="address:port"),
            "single": call("lookup", f"{WEB}-single"),
            "nothing": call("lookup", f"{WEB}-nothing"),
            "urls": call("lookup", WEB, f"{WEB}-single", format="url", scheme="https"),
            "template": call("query", f"{WEB}-to-{WEB}-single", format="address:port"),
            "limit": call("query", WEB, limit=1, near="_agent"),
            "shuffled": call("query", WEB, sort=False),
        }
    ).message
    # The same instances in the same shape and order as by the service's name.
    assert found["all"] == found["services"]
    assert found["several"] == ["127.0.0.1:2001", "127.0.0.1:2002", "[fd00::1]:3001"]
    assert [one["port"] for one in found["single"]] == [3001]
    assert found["nothing"] == []
    assert found["urls"] == "https://127.0.0.1:2001,https://127.0.0.1:2002,https://[fd00::1]:3001"
    assert found["template"] == ["[fd00::1]:3001"]
    assert len(found["limit"]) == 1
    assert sorted(one["port"] for one in found["shuffled"]) == [2001, 2002]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("'unknown-query'", "Query not found"),
        (f"'{WEB}-nothing', fail_on_empty=true", f"query {WEB}-nothing finds no instance of service {WEB}-nothing. Is it registered"),
        (f"'{WEB}', limit=0", "limit: 0 is no whole number from 1"),
        ("''", "query: '' is no name"),
        (f"'{WEB}', nearest='x'", "nearest: no such option"),
    ],
)
def test_what_cannot_be_found_is_an_error(render, consul, call, message):
    assert message in render(f"{{{{ query('uwsgi.consul.consul_query', {call}, agents=['{consul.address}']) }}}}").error

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two federated datacenters."""

from __future__ import annotations

import pytest
from polling import wait_for


@pytest.fixture(scope="module")
def datacenters(start_agent):
    """The agents of dc1 and dc2, with what the examples name."""
    first = start_agent({}, node="server1")
    second = start_agent({"retry_join_wan": [f"127.0.0.1:{first.serf_wan_port}"]}, node="server2", datacenter="dc2")
    server = {"Name": "consul-demo-server", "Tags": ["v2"]}
    for number in (2001, 2002):
        second.put("/v1/agent/service/register", server | {"ID": f"consul-demo-server-{number}", "Port": number})
    first.put("/v1/agent/service/register", server | {"Port": 2009})
    for name in ("redis", "redis-cache", "db"):
        first.put("/v1/agent/service/register", {"Name": name, "Port": 6379})
    first.put("/v1/agent/service/register", {"Name": "web", "Meta": {"tier": "gold"}})
    second.put("/v1/agent/service/register", {"Name": "web-shop", "Tags": ["b", "a"]})
    first.put("/v1/kv/app/database%20url", b"postgres://db/app")
    second.put("/v1/kv/app/limits", b'{"requests": 7}')
    wait_for("both instances", lambda: len(first.get("/v1/health/service/consul-demo-server?dc=dc2&passing=1")) == 2)
    return first, second


def test_a_datacenter_is_asked_for_by_its_name(render, datacenters):
    first, second = datacenters
    ports = "map(attribute='port')"
    name = "'uwsgi.consul.consul_service', 'consul-demo-server'"
    templates = [f"{{{{ lookup({name}{option}) | {ports} }}}}" for option in ("", ", datacenter='dc2'", ", datacenter='dc1'")]
    assert render(templates, CONSUL_HTTP_ADDR=first.address).message == [[2009], [2001, 2002], [2009]]
    assert render(templates, CONSUL_HTTP_ADDR=second.address).message == [[2001, 2002], [2001, 2002], [2009]]

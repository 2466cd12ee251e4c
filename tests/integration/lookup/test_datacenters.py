# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two federated datacenters, and the documentation's examples run as they stand on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOOKUPS = ["consul_service", "consul_services", "consul_kv"]


@pytest.fixture(scope="module")
def datacenters(start_agent, until):
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
    until(lambda: len(first.get("/v1/health/service/consul-demo-server?dc=dc2&passing=1")) == 2)
    return first, second


def test_a_datacenter_is_asked_for_by_its_name(render, datacenters):
    first, second = datacenters
    ports = "map(attribute='port')"
    name = "'uwsgi.consul.consul_service', 'consul-demo-server'"
    templates = [f"{{{{ lookup({name}{option}) | {ports} }}}}" for option in ("", ", datacenter='dc2'", ", datacenter='dc1'")]
    assert render(templates, CONSUL_HTTP_ADDR=first.address).message == [[2009], [2001, 2002], [2009]]
    assert render(templates, CONSUL_HTTP_ADDR=second.address).message == [[2001, 2002], [2001, 2002], [2009]]


@pytest.mark.parametrize("name", LOOKUPS)
def test_the_examples_run_as_they_stand(ansible, datacenters, name, tmp_path):
    text = (ROOT / "plugins" / "lookup" / f"{name}.py").read_text()
    examples = text.split('EXAMPLES = r"""')[1].split('"""')[0]
    tasks = "".join(f"    {line}\n" for line in examples.replace("127.0.0.1:8500", datacenters[0].address).splitlines())
    playbook = tmp_path / "examples.yml"
    playbook.write_text(f"- hosts: localhost\n  gather_facts: false\n  tasks:\n{tasks}")
    run = ansible("ansible-playbook", str(playbook), CONSUL_HTTP_ADDR=datacenters[0].address)
    assert run.code == 0, run.output
    for part in {
        "consul_service": [
            "consul-demo-server found on node server2 (127.0.0.1) using port 2001",
            "server 127.0.0.1:2009 weight=1;",
            "127.0.0.1:6379,127.0.0.1:6379",
            '"tier": "gold"',
        ],
        "consul_services": ['"msg": "redis-cache"', "web-shop: a b"],
        "consul_kv": ['"msg": "postgres://db/app"', '"msg": "blue"', '"app/database url": "postgres://db/app"'],
    }[name]:
        assert part in run.stdout, run.stdout
    # Releases before 2.19 make a text of the number.
    assert name != "consul_kv" or re.search(r'"msg": "?7\b', run.stdout)

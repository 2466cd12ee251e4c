# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_service` and `consul_services` with a real agent: what users write, and what they get."""

from __future__ import annotations

import threading

import pytest

WEB = "web-of-the-lookup-test"


@pytest.fixture(scope="module", autouse=True)
def registered(consul):
    """A service with two instances, one with a single one, and one that is not healthy."""
    ttl = {"TTL": "10m", "Status": "critical"}
    for registration in (
        {"Name": WEB, "ID": f"{WEB}-2", "Port": 2002, "Tags": ["v2"], "Meta": {"tier": "gold"}, "Weights": {"Passing": 5, "Warning": 1}},
        {"Name": WEB, "ID": f"{WEB}-1", "Port": 2001, "Tags": ["v2", "main"], "Address": "10.1.1.1"},
        {"Name": f"{WEB}-single", "Port": 3001},
        {"Name": f"{WEB}-sick", "Port": 4001, "Check": ttl},
        {"Name": f"{WEB}-warned", "Port": 5001, "Check": ttl | {"Status": "warning"}},
    ):
        consul.put("/v1/agent/service/register", registration)


def test_lookup_and_query_give_lists_by_either_name_and_the_first_agent_may_be_dead(render, consul, dead):
    agents = f"agents=['{dead}', '{consul.address}']"
    short, full = f"'consul_service', '{WEB}', {agents}", f"'uwsgi.consul.consul_service', '{WEB}', {agents}"
    found = render([f"{{{{ {call}({name}) }}}}" for call in ("lookup", "query") for name in (short, full)]).message
    assert [instance["port"] for instance in found[0]] == [2001, 2002]
    assert found[1] == found[2] == found[3] == found[0]
    version = found[0][0]["node_meta"]["consul-version"]
    assert found[0][1] == {
        "node": consul.node,
        "node_address": "127.0.0.1",
        "node_meta": {"consul-network-segment": "", "consul-version": version},
        "datacenter": "dc1",
        "service": WEB,
        "id": f"{WEB}-2",
        "address": "127.0.0.1",
        "port": 2002,
        "tags": ["v2"],
        "meta": {"tier": "gold"},
        "tagged_addresses": {},
        "weights": {"passing": 5, "warning": 1},
        "status": "passing",
    }
    assert found[0][0]["address"] == "10.1.1.1"
    assert found[0][0]["tagged_addresses"]["lan_ipv4"] == {"address": "10.1.1.1", "port": 2001}


def test_a_single_instance_is_a_list_and_an_unknown_service_an_empty_one(render, consul):
    found = render(
        {
            f"{call} {name}": f"{{{{ {call}('uwsgi.consul.consul_service', '{WEB}-{name}') }}}}"
            for call in ("lookup", "query")
            for name in ("single", "unknown")
        },
        CONSUL_HTTP_ADDR=consul.address,
    ).message
    assert [instance["port"] for instance in found["lookup single"]] == [3001]
    assert found["query single"] == found["lookup single"]
    assert found["lookup unknown"] == found["query unknown"] == []


def test_loops_run_over_instances(ansible, consul, tmp_path):
    playbook = tmp_path / "play.yml"
    playbook.write_text(f"""
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {{msg: "loop {{{{ item.port }}}}."}}
      loop: "{{{{ query('uwsgi.consul.consul_service', '{WEB}-single') }}}}"
    - ansible.builtin.debug: {{msg: "with {{{{ item.port }}}}."}}
      with_uwsgi.consul.consul_service: ['{WEB}-single']
    - ansible.builtin.debug:
        msg: "template {{% for i in lookup('uwsgi.consul.consul_service', '{WEB}-single') %}}{{{{ i.port }}}}.{{% endfor %}}"
""")
    run = ansible("ansible-playbook", str(playbook), CONSUL_HTTP_ADDR=consul.address)
    assert run.code == 0, run.output
    assert [f"{kind} 3001." in run.stdout for kind in ("loop", "with", "template")] == [True] * 3, run.stdout


def test_filters_and_formats(render, consul):
    name = f"'uwsgi.consul.consul_service', '{WEB}'"
    unwell = f"'uwsgi.consul.consul_service', '{WEB}-sick', '{WEB}-warned'"
    found = render(
        {
            "tags": f"{{{{ query({name}, tags=['v2', 'main']) | map(attribute='port') }}}}",
            "filter": f"{{{{ query({name}, filter='Service.Meta.tier == \"gold\"') | map(attribute='port') }}}}",
            "near": f"{{{{ query({name}, near='_agent') | map(attribute='port') | sort }}}}",
            "strings": f"{{{{ query({name}, format='address:port') }}}}",
            "joined": f"{{{{ lookup({name}, format='url') }}}}",
            "passing": f"{{{{ query({unwell}) | map(attribute='port') }}}}",
            "warning": f"{{{{ query({unwell}, status='warning') | map(attribute='status') }}}}",
            "any": f"{{{{ query({unwell}, status='any') | map(attribute='status') }}}}",
        },
        CONSUL_HTTP_ADDR=consul.address,
    ).message
    assert found == {
        "tags": [2001],
        "filter": [2002],
        "near": [2001, 2002],
        "strings": ["10.1.1.1:2001", "127.0.0.1:2002"],
        "joined": "http://10.1.1.1:2001,http://127.0.0.1:2002",
        "passing": [],
        "warning": ["warning"],
        "any": ["critical", "warning"],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("fail_on_empty=true", f"service {WEB}-sick has no passing instance that matches. Is it registered"),
        ("datacenter='dc9'", "500 No path to datacenter. Is the datacenter's name right"),
        ("filter='nonsense'", "Failed to create boolean expression evaluator"),
        ("datacentre='dc2'", "datacentre: no such option"),
        ("consistency='eventual'", "consistency"),
        ("agents=['web1:port']", "agents: 'web1:port' is no address of an agent"),
    ],
)
def test_errors_say_what_is_wrong(render, consul, options, message):
    run = render(f"{{{{ lookup('uwsgi.consul.consul_service', '{WEB}-sick', {options}) }}}}", CONSUL_HTTP_ADDR=consul.address)
    assert message in run.error
    assert run.seconds < 10


def test_an_instance_that_comes_is_waited_for(render, consul):
    name = f"awaited-{WEB}"
    register = threading.Timer(4, consul.put, ("/v1/agent/service/register", {"Name": name, "Port": 6001}))
    register.start()
    call = f"query('uwsgi.consul.consul_service', '{name}', wait=60, format='address:port')"
    run = render(f"{{{{ {call} }}}}", CONSUL_HTTP_ADDR=consul.address)
    register.join()
    assert run.message == ["127.0.0.1:6001"]
    assert 4 < run.seconds < 30


def test_services_are_found_by_tags_and_filters(render, consul):
    options = ["tags=['main', 'v2']", "tags=['main', 'x']", "filter='ServiceMeta.tier == gold'", "filter='ServiceMeta.tier == tin'"]
    found = render(
        [f"{{{{ query('uwsgi.consul.consul_services', '{WEB}*', {one}) }}}}" for one in options], CONSUL_HTTP_ADDR=consul.address
    )
    assert found.message == [[WEB], [], [WEB], []]


def test_a_consul_that_can_not_filter_services_is_no_liar(render, consul_oldest):
    ask = "{{ query('uwsgi.consul.consul_services', filter='ServiceMeta.tier == gold') }}"
    assert "filter: this release of Consul can't filter its services" in render(ask, CONSUL_HTTP_ADDR=consul_oldest.address).error


def test_nodes_with_their_services(render, consul):
    found = render(
        {
            "all": "{{ lookup('consul_node') }}",
            "by pattern": "{{ query('uwsgi.consul.consul_node', 'no*1', status='passing') }}",
            "by filter": "{{ query('uwsgi.consul.consul_node', filter='Address == \"127.0.0.2\"') }}",
            "none": "{{ query('uwsgi.consul.consul_node', 'nix') }}",
        },
        CONSUL_HTTP_ADDR=consul.address,
    ).message
    assert found["all"] == found["by pattern"]
    (node,) = found["all"]
    assert (node["name"], node["address"], node["datacenter"], node["status"]) == (consul.node, "127.0.0.1", "dc1", "passing")
    assert {f"{WEB}-1", f"{WEB}-2", "consul"} <= {service["id"] for service in node["services"]}
    assert found["none"] == found["by filter"] == []


def test_names_of_services(render, consul):
    found = render(
        {
            "names": f"{{{{ query('consul_services', '{WEB}*') }}}}",
            "with tags": f"{{{{ lookup('uwsgi.consul.consul_services', '{WEB}', with_tags=true) }}}}",
            "joined": f"{{{{ lookup('uwsgi.consul.consul_services', '{WEB}-s*') }}}}",
            "all": "{{ query('uwsgi.consul.consul_services') }}",
        },
        CONSUL_HTTP_ADDR=consul.address,
    ).message
    assert found["names"] == [WEB, f"{WEB}-sick", f"{WEB}-single", f"{WEB}-warned"]
    assert found["with tags"] == [{"name": WEB, "tags": ["main", "v2"]}]
    assert found["joined"] == f"{WEB}-sick,{WEB}-single"
    assert {"consul", *found["names"]} <= set(found["all"])

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How lookups reach Consul: agents that are down or hang, time-outs, modes, sources of options, the missing library."""

from __future__ import annotations

import pytest

ASK = "lookup('uwsgi.consul.consul_service', 'web'"


def test_no_agent_is_an_error_that_lists_each_within_the_time_out(render, dead, recorder):
    hanging = recorder(None)
    run = render(f"{{{{ {ASK}, agents=['{dead}', '{hanging.address}', 'no-such-host.invalid'], timeout=2) }}}}")
    assert (
        f"GET /v1/health/service/web?passing=1: no Consul agent answered (time-out 2 s): {dead}: connection refused; "
        f"{hanging.address}: no answer in time; no-such-host.invalid:8500: the name no-such-host.invalid can't be resolved: "
    ) in run.error
    # The rest is Ansible's own start.
    assert run.seconds < 2 + 6


def test_a_hanging_agent_does_not_keep_the_next_from_answering(render, consul, recorder):
    hanging = recorder(None)
    assert render(f"{{{{ {ASK}, agents=['{hanging.address}', '{consul.address}'], timeout=2) }}}}").message == []
    assert hanging.lines == ["/v1/health/service/web?passing=1"]


def test_many_terms_are_asked_over_one_connection(render, recorder):
    agent = recorder()
    names = ", ".join(f"'web{number}'" for number in range(20))
    call = f"query('uwsgi.consul.consul_service', {names}, agents=['{agent.address}'])"
    assert render([f"{{{{ {call} }}}}", f"{{{{ {call} }}}}"]).message == [[], []]
    assert (len(agent.lines), agent.connections) == (40, 1)


@pytest.mark.parametrize(("mode", "parameter"), [("default", ""), ("stale", "&stale=1"), ("consistent", "&consistent=1")])
def test_consistency_and_datacenter_are_asked_for(render, recorder, mode, parameter):
    agent = recorder()
    render(f"{{{{ {ASK}, agents=['{agent.address}'], consistency='{mode}', datacenter='dc1') }}}}")
    assert agent.lines == [f"/v1/health/service/web?passing=1&dc=dc1{parameter}"]


def test_every_mode_is_answered_by_consul(render, consul):
    modes = ("default", "stale", "consistent")
    found = render(
        [f"{{{{ query('uwsgi.consul.consul_services', 'consul', consistency='{mode}') }}}}" for mode in modes],
        CONSUL_HTTP_ADDR=consul.address,
    )
    assert found.message == [["consul"]] * 3


def test_variables_count_before_the_environment_and_that_before_ansible_cfg(render, ansible, recorder, tmp_path):
    task, variable, environment, configuration = (recorder() for _ in range(4))
    config = tmp_path / "ansible.cfg"
    config.write_text(
        f"[uwsgi_consul]\nagents = {configuration.address}\nconsistency = stale\n[defaults]\ncollections_path = collections\n"
    )
    options = {"ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_PATH": "collections"}
    render(f"{{{{ {ASK}) }}}}", **options)
    render(f"{{{{ {ASK}) }}}}", **options, CONSUL_HTTP_ADDR=environment.address)
    render(f"{{{{ {ASK}) }}}}", "-e", f"uwsgi_consul_agents={variable.address}", **options, CONSUL_HTTP_ADDR=environment.address)
    render(f"{{{{ {ASK}, agents='{task.address}') }}}}", "-e", f"uwsgi_consul_agents={variable.address}", **options)
    for asked in (task, variable, environment, configuration):
        assert asked.lines == ["/v1/health/service/web?passing=1&stale=1"]


def test_no_library_for_consul_is_needed(render, consul, tmp_path):
    (tmp_path / "consul.py").write_text("raise ImportError('not here')\n")
    (tmp_path / "requests.py").write_text("raise ImportError('not here')\n")
    assert render(f"{{{{ {ASK}) }}}}", PYTHONPATH=str(tmp_path), CONSUL_HTTP_ADDR=consul.address).message == []


@pytest.mark.parametrize("name", ["consul_service", "consul_services", "consul_node", "consul_kv"])
def test_the_documentation_renders(ansible, name):
    run = ansible("ansible-doc", "-t", "lookup", f"uwsgi.consul.{name}")
    assert run.code == 0, run.output
    assert all(
        part in run.stdout for part in ("CONSUL_HTTP_ADDR", "uwsgi_consul_token_file", "tls_server_name", "EXAMPLES", "RETURN VALUES")
    )

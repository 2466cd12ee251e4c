# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that the hosts and tasks of a run share, and those that they don't."""

from __future__ import annotations

import json

PLAY = """
- hosts: all
  gather_facts: false
  connection: local
  strategy: free
  vars:
    uwsgi_consul_agents: AGENT
    uwsgi_consul_cache: true
  tasks:
    - ansible.builtin.debug: {msg: "{{ query('uwsgi.consul.consul_services') }}"}
    - ansible.builtin.debug: {msg: "{{ query('uwsgi.consul.consul_services') }}"}
    - ansible.builtin.debug: {msg: "{{ query('uwsgi.consul.consul_services', cache=false, datacenter='dc2') }}"}
    - ansible.builtin.debug: {msg: "{{ query('uwsgi.consul.consul_services', consistency='consistent') }}"}
"""


def test_a_play_asks_once_for_all_its_hosts_and_leaves_nothing_behind(ansible, recorder, tmp_path):
    agent = recorder(json.dumps({"web": []}).encode())
    playbook, temporary = tmp_path / "play.yml", tmp_path / "tmp"
    playbook.write_text(PLAY.replace("AGENT", agent.address))
    temporary.mkdir()
    hosts = [f"host{number}" for number in range(5)]
    run = ansible("ansible-playbook", "-i", ",".join([*hosts, ""]), str(playbook), ANSIBLE_LOCAL_TEMP=str(temporary))
    assert run.code == 0, run.output
    assert run.stdout.count('"web"') == 4 * len(hosts)
    shared = "/v1/catalog/services"
    assert sorted(agent.lines) == [shared, *[f"{shared}?consistent=1"] * len(hosts), *[f"{shared}?dc=dc2"] * len(hosts)]
    assert not list(temporary.iterdir())


def test_a_task_sees_what_the_one_before_it_wrote(ansible, consul, tmp_path):
    playbook = tmp_path / "play.yml"
    playbook.write_text(f"""
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.uri: {{url: "http://{consul.address}/v1/kv/cache-of-the-lookup-test", method: PUT, body: "{{{{ item.0 }}}}"}}
      when: item.1 == 'none' or lookup('uwsgi.consul.consul_kv', 'cache-of-the-lookup-test') == item.1
      loop: [[old, none], [new, old]]
    - ansible.builtin.debug: {{msg: "{{{{ lookup('uwsgi.consul.consul_kv', 'cache-of-the-lookup-test') }}}}."}}
""")
    run = ansible("ansible-playbook", str(playbook), CONSUL_HTTP_ADDR=consul.address)
    assert run.code == 0, run.output
    assert '"new."' in run.stdout

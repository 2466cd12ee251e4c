# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of uWSGI and programs with the Python library stand for one election."""

from __future__ import annotations

import signal

from polling import slowness, wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.election import Election

from .conftest import Agent, Build, Start


def test_an_instance_and_a_program_take_turns(consul: Agent, debian: Build, start: Start, name: str) -> None:
    options = {"consul-agent": consul.address, "consul-election": name, "processes": 1}
    first = start(debian, options)
    first.wait_log("this instance is the leader")
    with Api(agents=[consul.address]) as api, Election(name, client=api) as program:
        assert not program.wait(0.5)
        leader = program.leader()
        assert leader is not None
        assert leader["master"] == first.process.pid
        token = consul.get(f"/v1/kv/uwsgi/election/{name}")[0]["ModifyIndex"]
        first.signal(signal.SIGINT)
        assert program.wait(10 * slowness())
        assert program.token > token
        ours = program.leader()
        assert ours is not None
        assert set(ours) == set(leader)
        second = start(debian, options)
        second.wait_agent_process(1)
        assert program.is_leader
        assert "this instance is the leader" not in second.text()
        program.resign()
        second.wait_log("this instance is the leader")
        wait_for("the session of the instance alone", lambda: (program.leader() or {}).get("master") == second.process.pid)

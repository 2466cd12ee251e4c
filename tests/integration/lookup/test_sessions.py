# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookup `consul_session` with a real Consul."""

from __future__ import annotations

import pytest

NAME = "lookup-of-a-session"


@pytest.fixture(scope="module")
def sessions(consul):
    return [consul.put("/v1/session/create", {"Name": name, "TTL": "1h"})["ID"] for name in (NAME, f"{NAME}-2", NAME)]


def test_sessions_by_id_name_and_node(render, consul, sessions):
    by_name, by_both, single, far, none = render(
        [
            f"{{{{ query('uwsgi.consul.consul_session', '{NAME}') | map(attribute='id') | list }}}}",
            f"{{{{ query('uwsgi.consul.consul_session', '{sessions[2]}', '{NAME}', node='node1') | map(attribute='id') | list }}}}",
            f"{{{{ lookup('uwsgi.consul.consul_session', '{NAME}-2') }}}}",
            "{{ lookup('uwsgi.consul.consul_session', node='nowhere') }}",
            "{{ query('uwsgi.consul.consul_session', 'no such session') }}",
        ],
        CONSUL_HTTP_ADDR=consul.address,
    ).message
    assert by_name == [sessions[0], sessions[2]]
    assert by_both == [sessions[2], sessions[0]]
    assert [(one["id"], one["ttl"], one["node"]) for one in single] == [(sessions[1], 3600, "node1")]
    assert far == none == []


def test_a_missing_session_is_an_error_when_asked_for(render, consul):
    template = "{{ query('uwsgi.consul.consul_session', 'no such session', fail_on_missing=true) }}"
    assert "there is no session no such session. Has it ended" in render(template, CONSUL_HTTP_ADDR=consul.address).error

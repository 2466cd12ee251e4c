# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of a real Consul."""

from __future__ import annotations

import uuid

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, NotFoundError, ServerError, Sessions


@pytest.fixture
def sessions(consul):
    return Sessions(Api(agents=[consul.address]))


@pytest.fixture
def name():
    return f"session-{uuid.uuid4().hex[:8]}"


def test_the_life_of_a_session(sessions, name, consul):
    session_id = sessions.create(name, lock_delay=1.5, ttl="10s", behavior="delete")
    found = sessions.info(session_id)
    assert {key: value for key, value in found.items() if not key.endswith("_index")} == {
        "id": session_id,
        "name": name,
        "node": consul.node,
        "lock_delay": 1.5,
        "ttl": 10.0,
        "behavior": "delete",
        "node_checks": ["serfHealth"],
        "service_checks": [],
    }
    assert sessions.renew(session_id) == found
    assert found in sessions.list()
    assert found in sessions.node(consul.node)
    assert sessions.node("no-such-node") == []
    sessions.destroy(session_id)
    sessions.destroy(session_id)
    assert sessions.info(session_id) is None
    with pytest.raises(NotFoundError):
        sessions.renew(session_id)


def test_what_consul_makes_of_what_is_left_out(sessions, name):
    found = sessions.info(sessions.create())
    assert (found["name"], found["lock_delay"], found["ttl"], found["behavior"]) == ("", 15.0, None, "release")
    sessions.destroy(found["id"])


def test_checks_of_the_node_and_of_services(sessions, name, consul):
    check = {"CheckID": f"{name}-check", "TTL": "10m", "Status": "passing"}
    consul.put("/v1/agent/service/register", {"Name": name, "ID": name, "Check": check})
    none = sessions.info(sessions.create(name, node_checks=[]))
    assert (none["node_checks"], none["service_checks"]) == ([], [])
    one = sessions.info(sessions.create(name, node=consul.node, service_checks=[check["CheckID"]]))
    assert one["service_checks"] == [check["CheckID"]]
    both = sessions.info(sessions.create(name, checks=["serfHealth", check["CheckID"]]))
    # Consul obeys this list, and does not show it.
    assert both["node_checks"] == ["serfHealth"]
    consul.put(f"/v1/agent/check/fail/{check['CheckID']}")
    wait_for("both sessions end", lambda: not (sessions.info(one["id"]) or sessions.info(both["id"])))
    assert sessions.info(none["id"]) == none
    with pytest.raises(ServerError, match="critical"):
        sessions.create(name, service_checks=[check["CheckID"]])
    with pytest.raises(ServerError, match="Missing check"):
        sessions.create(name, node_checks=["no-such-check"])
    sessions.destroy(none["id"])
    consul.put(f"/v1/agent/service/deregister/{name}")

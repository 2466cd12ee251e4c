# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Consul leaves out of its answers what a token may not see. No module may take that for "it is gone, as you wanted"."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["powerless", "anonymous"])
def token(request, datacenters):
    """A token without any permission, and none at all."""
    if request.param == "anonymous":
        yield "anonymous"
        return
    made = datacenters.dc1.put("/v1/acl/token", {"Description": "powerless"})
    yield made["SecretID"]
    datacenters.dc1.request("DELETE", f"/v1/acl/token/{made['AccessorID']}")


@pytest.fixture
def hidden(module):
    """A service with a check, and a session."""
    module("consul_service", name="hidden", checks=[{"ttl": "1h"}])
    session = module("consul_session", name="hidden")["session"]
    yield session["id"]
    module("consul_service", name="hidden", state="absent")
    module("consul_session", name="hidden", state="absent")


def test_what_is_hidden_is_not_gone(module, fails, token, hidden, tmp_path):
    assert "service:read" in fails("consul_service", name="hidden", state="absent", token=token)
    assert "service:read" in fails("consul_maintenance", service_id="hidden", state="disabled", token=token)
    state_file = tmp_path / "sweep.json"
    state_file.write_text('{"datacenter": null, "checks": [["n", "c", 1.0, 1]]}')
    assert "node:read" in fails("consul_sweep", threshold="1h", state_file=str(state_file), token=token)
    assert '"c"' in state_file.read_text()
    for name, params, permission in [
        ("consul_check", {"id": "service:hidden", "state": "absent"}, "service:write"),
        ("consul_maintenance", {"state": "disabled"}, "node:write"),
        ("consul_session", {"id": hidden, "state": "absent"}, "session:write"),
    ]:
        result = module(name, token=token, **params)
        assert result["failed"], name
        assert not result["changed"]
        assert permission in result["msg"]


@pytest.mark.parametrize("token", ["powerless"], indirect=True)
@pytest.mark.parametrize("what", [{"service": "hidden", "status": "any"}, {"node": "node1", "status": "any"}])
def test_a_wait_does_not_end_for_what_is_hidden(module, token, hidden, what):
    result = module("consul_wait", state="absent", wait_timeout="0", token=token, **what)
    assert result["failed"]
    assert "what the token may not see" in result["msg"]
    assert not result["fulfilled"]


@pytest.mark.parametrize("token", ["powerless"], indirect=True)
def test_a_session_that_may_be_hidden_is_warned_of(module, token, hidden):
    warnings = module("consul_session", name="hidden", state="absent", token=token)["warnings"]
    assert "whether session hidden is gone is not known" in str(warnings)


def test_what_is_not_there_is_gone(keeps, datacenters):
    for name, params in [("consul_service", {"name": "hidden-none"}), ("consul_check", {"id": "hidden-none"})]:
        keeps(name, state="absent", **params)
    keeps("consul_maintenance", state="disabled")

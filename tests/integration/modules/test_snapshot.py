# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_snapshot` with a real Consul."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
import urllib.error

import pytest

UNKNOWN = "00000000-0000-0000-0000-000000000007"


@pytest.fixture
def own(consul_agents):
    """The options for an agent whose data may be lost."""
    agent = consul_agents()
    agent.put("/v1/kv/kept", b"before")
    return agent, {"agents": [agent.address], "token": None}


def test_saved_verified_lost_and_restored(ensure, keeps, module, own, tmp_path):
    agent, options = own
    folder = tmp_path / "backups"
    folder.mkdir()
    path = folder / "consul.snap"
    saved = ensure("consul_snapshot", path=str(path), max_age="1h", **options)["snapshot"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(folder) == ["consul.snap"]
    assert saved["checksum"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (saved["path"], saved["size"]) == (str(path), path.stat().st_size)
    # Consul's own command is of the same opinion.
    inspected = subprocess.run(
        [os.environ["CONSUL_BIN"], "snapshot", "inspect", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert saved["id"] in inspected
    assert str(saved["index"]) in inspected
    assert keeps("consul_snapshot", path=str(path), state="verified")["snapshot"] == saved

    agent.put("/v1/kv/kept", b"after")
    restore = {"path": str(path), "state": "restored", "confirm": "dc1", **options}
    foreseen = module("consul_snapshot", check=True, **restore)
    assert foreseen["changed"]
    done = module("consul_snapshot", **restore)
    assert (done["changed"], done["diff"], done["snapshot"]) == (True, foreseen["diff"], saved)
    assert agent.get("/v1/kv/kept")[0]["Value"] == "YmVmb3Jl"


def test_each_save_is_a_change_unless_a_good_one_is_young(module, datacenters, tmp_path):
    path = tmp_path / "consul.snap"
    first = module("consul_snapshot", path=str(path))
    assert module("consul_snapshot", path=str(path))["changed"]
    assert first["snapshot"]["index"] > 0
    os.utime(path, (time.time() - 7200,) * 2)
    assert module("consul_snapshot", check=True, path=str(path), max_age="1h")["changed"]
    assert not module("consul_snapshot", path=str(path), max_age="3h")["changed"]
    # What is damaged does not count, however young it is.
    path.write_bytes(path.read_bytes()[:-20])
    result = module("consul_snapshot", path=str(path), max_age="3h")
    assert result["changed"]
    assert "damaged" in str(result["warnings"])
    assert module("consul_snapshot", path=str(path), state="verified")["snapshot"]["index"] == result["snapshot"]["index"]


def test_another_datacenter(module, fails, tmp_path):
    path = tmp_path / "dc2.snap"
    saved = module("consul_snapshot", path=str(path), datacenter="dc2")["snapshot"]
    assert saved["index"]
    message = fails("consul_snapshot", path=str(path), state="restored", confirm="dc1", datacenter="dc2")
    assert "confirm: 'dc1' is not the datacenter whose data would be lost, which is dc2" in message


def test_what_is_restored_is_judged_before_anything_is_sent(fails, module, own, tmp_path):
    agent, options = own
    path = tmp_path / "consul.snap"
    module("consul_snapshot", path=str(path), **options)
    agent.put("/v1/kv/kept", b"after")
    index = agent.get("/v1/kv/kept")[0]["ModifyIndex"]
    assert "which is dc1" in fails("consul_snapshot", path=str(path), state="restored", confirm="dc9", **options)
    good = path.read_bytes()
    for bad in (b"", good[:-1], good[:500], b"x" * 1000, good[:300] + bytes([good[300] ^ 1]) + good[301:]):
        path.write_bytes(bad)
        for state in ("restored", "verified"):
            message = fails("consul_snapshot", path=str(path), state=state, confirm="dc1", **options)
            assert "is no snapshot" in message or "damaged" in message
    assert agent.get("/v1/kv/kept")[0]["ModifyIndex"] == index


def test_a_good_file_outlives_a_failure(module, datacenters, tmp_path):
    path = tmp_path / "consul.snap"
    module("consul_snapshot", path=str(path))
    before = path.read_bytes()
    result = module("consul_snapshot", path=str(path), token=UNKNOWN)
    assert result["failed"]
    assert result["status"] == 403
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["consul.snap"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"path": "/nowhere/consul.snap"}, "path: there is no folder /nowhere"),
        ({"path": "/"}, "path: / is a folder"),
        ({"path": "/x", "max_age": "soon"}, "max_age: 'soon' is no duration"),
        ({"path": "/x", "transfer_timeout": "0s"}, "transfer_timeout: '0s' is no duration"),
        ({"path": "/nowhere/x", "state": "verified"}, "path: /nowhere/x can't be read: No such file"),
        ({"path": "/nowhere/x", "state": "restored", "confirm": "dc1"}, "path: /nowhere/x can't be read"),
        ({"path": "/nowhere/x", "state": "restored"}, "confirm"),
        ({}, "missing required arguments: path"),
    ],
)
def test_bad_input(fails, params, expected):
    assert expected in fails("consul_snapshot", **params)


def test_the_oldest_consul(module, consul_agents, tmp_path):
    agent = consul_agents(binary=os.environ["CONSUL_OLDEST_BIN"])
    options = {"agents": [agent.address], "token": None, "path": str(tmp_path / "consul.snap")}
    agent.put("/v1/kv/kept", b"before")
    assert module("consul_snapshot", **options)["snapshot"]["index"]
    agent.request("DELETE", "/v1/kv/kept")
    assert module("consul_snapshot", state="restored", confirm="dc1", **options)["changed"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        agent.get("/v1/kv/never")
    assert agent.get("/v1/kv/kept")

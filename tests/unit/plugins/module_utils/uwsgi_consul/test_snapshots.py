# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots: what is verified, what a file is replaced by, and how little memory a large one takes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import tracemalloc

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, BadSnapshotError, Snapshots, errors, snapshots

META = {"Version": 1, "ID": "2-17-1", "Index": 17, "Term": 2, "Configuration": {"Servers": [{"ID": "a", "Address": "b", "Suffrage": 0}]}}


def archive(state=b"state", meta=META, sums=None, more=(), leave_out=()):
    """A snapshot as Consul makes it, or a wrong one."""
    parts = {"meta.json": json.dumps(meta).encode() if isinstance(meta, dict) else meta, "state.bin": state}
    said = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in parts.items())
    parts["SHA256SUMS"] = (said if sums is None else sums).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for name, content in [*parts.items(), *more]:
            if name not in leave_out:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "consul.snap")


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def test_a_good_one(path):
    content = archive()
    write(path, content)
    assert snapshots.verify(path) == {
        "path": path,
        "size": len(content),
        "checksum": hashlib.sha256(content).hexdigest(),
        "state_size": 5,
        "id": "2-17-1",
        "index": 17,
        "term": 2,
        "version": 1,
        "servers": ["a"],
    }


GOOD = archive(os.urandom(5000))
WRONG = [
    (b"", "is no snapshot"),
    (b"x" * 5000, "is no snapshot, or damaged"),
    (GOOD[:-1], "is no snapshot, or damaged"),
    (GOOD[:-4] + b"\0\0\0\0", "is no snapshot, or damaged"),
    (GOOD[:2000] + bytes([GOOD[2000] ^ 1]) + GOOD[2001:], "damaged"),
    (gzip.compress(b"no tar" * 1000), "is no snapshot, or damaged"),
    (archive(leave_out=["SHA256SUMS"]), "SHA256SUMS is missing"),
    (archive(leave_out=["state.bin"]), "state.bin is missing"),
    (archive(sums=""), "the checksum of meta.json is not that in its SHA256SUMS"),
    (archive(sums=f"{'0' * 64}  meta.json\n{'0' * 64}  state.bin\n"), "the checksum of meta.json"),
    (archive(more=[("../../etc/passwd", b"x")]), "it holds '../../etc/passwd'"),
    (archive(more=[("state.bin", b"x")]), "it holds 'state.bin'"),
    (archive(meta=b"{}"), "its meta.json can't be read"),
    (archive(meta=b"no json"), "its meta.json can't be read"),
    (archive(meta=b"[" * 100_000), "its meta.json can't be read"),
]


@pytest.mark.parametrize(("content", "expected"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_one_is_found_out_and_never_replaces_a_good_one(content, expected, fake_agent, reply, path):
    agent = fake_agent(reply(content))
    sender = Snapshots(Api(agents=[agent.address]))
    write(path, archive())
    with pytest.raises(BadSnapshotError, match=r"is no snapshot|damaged"):
        sender.save(path)
    assert snapshots.verify(path)["index"] == 17
    assert os.listdir(os.path.dirname(path)) == ["consul.snap"]
    write(path, content)
    with pytest.raises(BadSnapshotError) as caught:
        sender.restore(path)
    assert expected in str(caught.value)
    # It was never sent.
    assert [request.method for request in agent.requests] == ["GET"]


def test_saved_for_its_owner_only(fake_agent, reply, path):
    agent = fake_agent(reply(archive()))
    write(path, b"an old one, readable for all")
    os.chmod(path, 0o644)
    assert Snapshots(Api(agents=[agent.address]), datacenter="dc2").save(path)["path"] == path
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert agent.requests[0].target == "/v1/snapshot?dc=dc2"


def test_the_next_agent_gives_all_of_it_after_a_part_of_the_first(fake_agent, reply, path):
    whole = reply(GOOD)
    cut, good = fake_agent(lambda _received: whole[: len(whole) // 2] and None), fake_agent(whole)

    def half(received):
        received.socket.sendall(whole[: len(whole) // 2])

    cut.answer = half
    Snapshots(Api(agents=[cut.address, good.address])).save(path)
    with open(path, "rb") as file:
        assert file.read() == GOOD


def test_an_error_leaves_nothing_behind(fake_agent, reply, path):
    agent = fake_agent(reply("Permission denied: token lacks permission 'management'", 403))
    with pytest.raises(errors.PermissionDeniedError, match="management"):
        Snapshots(Api(agents=[agent.address])).save(path)
    assert os.listdir(os.path.dirname(path)) == []


def test_a_full_disk_is_no_fault_of_the_agent(fake_agent, reply, path, monkeypatch):
    agent = fake_agent(reply(GOOD))

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.os, "fsync", full)
    with pytest.raises(errors.InvalidValueError, match=r"path: .* can't be written: No space left"):
        Snapshots(Api(agents=[agent.address])).save(path)
    assert os.listdir(os.path.dirname(path)) == []


@pytest.mark.parametrize("bad", ["/nowhere/at/all", "/", "", "a\0b", 7])
def test_where_nothing_can_be_saved(bad, fake_agent):
    agent = fake_agent()
    with pytest.raises(errors.InvalidValueError, match=r"^path: "):
        Snapshots(Api(agents=[agent.address])).save(bad)
    assert not agent.requests


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "10", None])
def test_a_time_out_that_is_none(bad, fake_agent, path):
    agent = fake_agent()
    write(path, GOOD)
    for call in (Snapshots(Api(agents=[agent.address])).save, Snapshots(Api(agents=[agent.address])).restore):
        with pytest.raises(errors.InvalidValueError, match=r"^timeout: "):
            call(path, timeout=bad)
    assert not agent.requests


def test_restored_as_it_is(fake_agent, reply, path):
    agent = fake_agent(reply(b""))
    write(path, GOOD)
    assert Snapshots(Api(agents=[agent.address])).restore(path)["index"] == 17
    (received,) = agent.requests
    assert (received.method, received.target, received.body) == ("PUT", "/v1/snapshot", GOOD)


def test_restored_once_only(fake_agent, reply, path):
    agent, other = fake_agent(reply("rpc error: leadership lost", 500)), fake_agent(reply(b""))
    write(path, GOOD)
    with pytest.raises(errors.ServerError):
        Snapshots(Api(agents=[agent.address, other.address])).restore(path)
    assert (len(agent.requests), other.requests) == (1, [])


def test_a_large_one_takes_little_memory(fake_agent, reply, path):
    size = 16 * 1024 * 1024
    content = archive(os.urandom(size))
    answer = reply(content)
    agent = fake_agent(lambda received: answer if received.method == "GET" else reply(b""))
    sender = Snapshots(Api(agents=[agent.address]))
    saving: list[int] = []
    tracemalloc.start()
    try:
        sender.save(path)
        saving.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    # The answer itself was made before.
    assert saving[0] < size / 3
    sender.restore(path)
    assert hashlib.sha256(agent.requests[-1].body).hexdigest() == hashlib.sha256(content).hexdigest()

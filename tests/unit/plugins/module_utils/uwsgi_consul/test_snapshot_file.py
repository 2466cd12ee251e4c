# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import logging
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.snapshot_file import SnapshotFile
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.watch import Snapshot

VALUE = [{"id": "web-1", "port": 2001, "tags": ["é"]}]


def written(directory: Path, confirmed: float | None = None) -> SnapshotFile:
    file = SnapshotFile(str(directory), "web", "asked")
    file.write(Snapshot(VALUE, 7, 1000.0, time.time() - 60 if confirmed is None else confirmed))
    return file


def test_what_was_written_is_read_with_its_true_age(tmp_path: Path) -> None:
    found = written(tmp_path).read()
    assert found is not None
    assert (found.value, found.changed, found.index) == (VALUE, 1000.0, 0)
    assert 60 <= found.age < 90
    assert found.stale_since == found.confirmed


def test_the_file_is_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "for it"
    file = written(directory)
    file.write(Snapshot([], 8, 1001.0, time.time()))
    assert [path.name for path in directory.iterdir()] == [Path(file.path).name]
    assert stat.S_IMODE(Path(file.path).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "x" * 512, "é ü", "-", "a\\b", "~root", "CON", "%2e%2e"]
)
def test_no_name_leaves_the_directory(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "inside"
    file = SnapshotFile(str(directory), name, name)
    file.write(Snapshot(VALUE, 7, 1000.0, 1000.0))
    assert Path(file.path).parent == directory
    assert len(list(directory.iterdir())) == 1
    assert list(tmp_path.iterdir()) == [directory]


def test_names_that_look_alike_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["a/b", "a%2Fb", "a%252Fb", "A/b", "x" * 200, "x" * 201]
    assert len({SnapshotFile(str(tmp_path), name, name).path for name in names}) == len(names)


GOOD: dict[str, Any] = {"format": 1, "asked": "asked", "changed": 1.0, "confirmed": 2.0, "value": []}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100000,
        *(json.dumps({**GOOD, **wrong}).encode() for wrong in ({"format": 2}, {"asked": "other"}, {"value": {}}, {"value": None})),
        *(json.dumps({**GOOD, "confirmed": wrong}).encode() for wrong in (None, "1", -1, True, 1e300, float("nan"), float("inf"))),
        json.dumps({"format": 1}).encode(),
    ],
)
def test_a_file_that_is_broken_or_another_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    file = SnapshotFile(str(tmp_path), "web", "asked")
    Path(file.path).write_bytes(content)
    assert file.read() is None


def test_a_clock_that_went_wrong_makes_nothing_newer_than_now(tmp_path: Path) -> None:
    found = written(tmp_path, confirmed=time.time() + 1e6).read()
    assert found is not None
    assert found.confirmed <= time.time()


def test_the_text_is_on_the_disk_before_the_file_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(f"{os.fstat(handle).st_size > 0}"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replaced"), replace(*names))[1])
    SnapshotFile(str(tmp_path), "web", "asked").write(Snapshot(VALUE, 7, 1.0, 2.0))
    assert done == ["True", "replaced"]


def test_no_file_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = SnapshotFile(str(tmp_path), "web", "asked")
    assert file.read() is None
    assert file.age() == float("inf")
    assert not caplog.records


def test_a_directory_that_cannot_be_written_is_told_once_and_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    file = written(tmp_path / "gone")
    Path(file.path).unlink()
    Path(file.path).parent.rmdir()
    for _ in range(3):
        file.write(Snapshot(VALUE, 7, 1.0, 2.0))
    assert len([record for record in caplog.records if "can't be written" in record.message]) == 1


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValueError, match="directory"):
        SnapshotFile(str(tmp_path / "file" / "below"), "web", "asked")

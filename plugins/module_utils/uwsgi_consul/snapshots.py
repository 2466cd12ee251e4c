# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Snapshots: all that the servers of a datacenter hold, as an archive in a file.

An archive is a compressed tar with `meta.json`, `state.bin` and `SHA256SUMS`. It holds every secret of the cluster: ACL tokens, the
CA's private keys, all keys of the KV store.

Source: https://developer.hashicorp.com/consul/api-docs/snapshot
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import mmap
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Dict

from . import arguments
from .bound import Bound
from .errors import ConsulError, InvalidValueError
from .files import replacing, sync_folder

# For how many seconds an archive may travel, unless told otherwise.
DEFAULT_TIMEOUT = 600.0
_PIECE = 1024 * 1024
# What else an archive may hold beside the state, in bytes.
_LARGEST_PART = 1024 * 1024
_PARTS = ("meta.json", "state.bin", "SHA256SUMS")

Archive = Dict[str, Any]


class BadSnapshotError(ConsulError):
    """A file is no snapshot, or a damaged one."""


class Snapshots(Bound):
    """Snapshots of the datacenter, each in a file of its own; the token must be one for management."""

    def save(self, path: str, *, timeout: float = DEFAULT_TIMEOUT) -> Archive:
        """Saves a snapshot into a file, readable for its owner only, and returns what `verify` says of it.

        What arrived is verified before it gets the file's name: a good file is never replaced by a part of one. With the consistency
        `stale` any server gives one, also without a leader. timeout: seconds for the transfer. Raises `BadSnapshotError`,
        `InvalidValueError` for a path that can't be written, `ConsulError`.
        """
        check_target(path)
        arguments.seconds(timeout, "timeout", 0.001)
        with _problems(path):
            with replacing(path) as file:
                self._ask("GET", "/v1/snapshot", timeout=timeout, into=lambda: _begin(file, path))
                file.flush()
                archive = verify(file.name)
            sync_folder(path)
        return {**archive, "path": path}

    def restore(self, path: str, *, timeout: float = DEFAULT_TIMEOUT) -> Archive:
        """Puts a snapshot in the place of **all** that the datacenter's servers hold, and returns what `verify` says of it.

        The file is verified before it is sent. timeout: seconds for the transfer and for the servers' work. Raises
        `BadSnapshotError`, `ConsulError`.
        """
        arguments.seconds(timeout, "timeout", 0.001)
        archive = verify(path)
        with _opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
            # Twice does no more than once, but who sees it half-way must not begin again elsewhere.
            self._ask("PUT", "/v1/snapshot", body=view, timeout=timeout, idempotent=False)
        return archive


def verify(path: str) -> Archive:
    """Reads a snapshot's file as a whole and compares its checksums; raises `BadSnapshotError`, `InvalidValueError` for no such file.

    Returns path, size (bytes), checksum (SHA-256 of the file), state_size (bytes, uncompressed), and what the servers say in it: id,
    index and term (of Raft), version (of the format), servers (their ids).
    """
    arguments.file_path(path, "path")
    sums: dict[str, str] = {}
    parts: dict[str, bytes] = {}
    with _opened(path) as file:
        checksum, size = _digest(iter(lambda: file.read(_PIECE), b""))
        file.seek(0)
        try:
            # A stream: nothing is unpacked, and the state may be larger than memory.
            with gzip.open(file) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    if member.name not in _PARTS or member.name in sums or content is None:
                        raise BadSnapshotError(f"{path} is no snapshot: it holds {arguments.shown(member.name)}")
                    if member.name == "state.bin":
                        sums[member.name], state_size = _digest(iter(lambda content=content: content.read(_PIECE), b""))  # type: ignore[misc]
                    else:
                        parts[member.name] = content.read(_LARGEST_PART)
                        sums[member.name] = hashlib.sha256(parts[member.name]).hexdigest()
                # The checksum of gzip stands behind all of it.
                while plain.read(_PIECE):
                    pass
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise BadSnapshotError(f"{path} is no snapshot, or damaged: {error}", advice=_ADVICE) from None
    missing = [name for name in _PARTS if name not in sums]
    if missing:
        raise BadSnapshotError(f"{path} is no snapshot, or damaged: {', '.join(missing)} is missing", advice=_ADVICE)
    told = dict(re.findall(r"^([0-9a-f]{64}) [ *](\S+)$", parts["SHA256SUMS"].decode("latin-1"), re.MULTILINE))
    for name in ("meta.json", "state.bin"):
        if told.get(sums[name]) != name:
            raise BadSnapshotError(f"{path} is damaged: the checksum of {name} is not that in its SHA256SUMS", advice=_ADVICE)
    try:
        return {"path": path, "size": size, "checksum": checksum, "state_size": state_size, **_meta(json.loads(parts["meta.json"]))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadSnapshotError(f"{path} is no snapshot: its meta.json can't be read") from None


_ADVICE = "Save another one, or take an older file"


def check_target(path: object) -> str:
    """The path, when a snapshot can be saved there; raises `InvalidValueError`."""
    name = arguments.file_path(path, "path")
    folder = os.path.dirname(name) or "."
    if os.path.isdir(name) or not os.path.basename(name):
        raise InvalidValueError(f"path: {name} is a folder", advice="Give the name of a file in it")
    if not os.path.isdir(folder):
        raise InvalidValueError(f"path: there is no folder {folder}", advice="Make it first, for its owner only")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidValueError(f"path: nothing can be written into the folder {folder}", advice="Run as its owner (become)")
    return name


def _meta(meta: dict[str, Any]) -> Archive:
    return {
        "id": meta["ID"],
        "index": meta["Index"],
        "term": meta["Term"],
        "version": meta["Version"],
        "servers": [server["ID"] for server in (meta.get("Configuration") or {}).get("Servers") or ()],
    }


def _digest(pieces: Iterator[bytes]) -> tuple[str, int]:
    """The SHA-256 of what comes in pieces, and its size."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _begin(file: IO[bytes], path: str) -> Callable[[bytes], object]:
    """Takes the body of an answer into the file from its beginning; an agent before may have given a part of one."""

    def take(piece: bytes) -> None:
        # Not an error of the connection.
        with _problems(path):
            file.write(piece)

    with _problems(path):
        file.seek(0)
        file.truncate()
    return take


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise InvalidValueError(f"path: {path} can't be read: {error.strerror or error}") from None
    with file:
        yield file


@contextlib.contextmanager
def _problems(path: str) -> Iterator[None]:
    """What the file system refuses, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise InvalidValueError(f"path: {path} can't be written: {error.strerror or error}") from None

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of watches and of discovery share."""

from __future__ import annotations

import http.client
import json
import os
import threading
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def connections(port: int) -> int:
    """The open connections of this process to a port of this machine."""
    inodes = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(os.readlink(descriptor))
        except OSError:
            continue
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return len([line for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01" and f"socket:[{line[9]}]" in inodes])


class Writer:
    """Changes Consul on one connection that stays open, as fast as it takes them."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=30)

    def put(self, path: str, body: Any = b"") -> bytes:
        return self._ask("PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def delete(self, path: str) -> bytes:
        return self._ask("DELETE", path, b"")

    def get(self, path: str) -> bytes:
        return self._ask("GET", path, b"")

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes) -> bytes:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return text


def resident() -> int:
    """The memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())

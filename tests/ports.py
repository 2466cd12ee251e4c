# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports for the servers that tests start."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket

# Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range): between the moment at which a
# port of those is found free and the start of its server, any connection of this machine may have taken it.
_FIRST, _LAST = 10000, 32000
_given: set[int] = set()
# Where tests run side by side (pytest-xdist), each process has ports of its own: one would else be found free by two.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """A TCP port of loopback that is free, that no outgoing connection takes, and that this process was not given before."""
    for _attempt in range(1000):
        port = _FIRST + secrets.randbelow((_LAST - _FIRST) // _WORKERS) * _WORKERS + _WORKER
        if port in _given:
            continue
        with contextlib.closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError(f"no free port from {_FIRST} to {_LAST}")

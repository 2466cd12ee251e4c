# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots that are saved, verified and restored."""

from __future__ import annotations

import os
import time

from ._module import NOTHING, Change, Task
from .uwsgi_consul import arguments
from .uwsgi_consul.datacenters import Datacenters
from .uwsgi_consul.errors import ConsulError, InvalidValueError
from .uwsgi_consul.snapshots import Archive, Snapshots, check_target, verify


def manage(task: Task) -> Change | None:
    """The module `consul_snapshot`."""
    return {"saved": _save, "verified": _verify, "restored": _restore}[task.params["state"]](task)


def _verify(task: Task) -> None:
    task.results["snapshot"] = verify(task.params["path"])


def _save(task: Task) -> Change:
    max_age, timeout = task.params["max_age"], arguments.duration(task.params["transfer_timeout"], "transfer_timeout", 0.001, 86400)
    youngest = time.time() - arguments.duration(max_age, "max_age") if max_age is not None else None
    path, snapshots = check_target(task.params["path"]), Snapshots(task.api)
    there = _there(task, path)
    if there and youngest is not None and os.path.getmtime(path) >= youngest:
        task.results["snapshot"] = there
        return NOTHING
    if not task.check_mode:
        task.results["snapshot"] = snapshots.save(path, timeout=timeout)
    # What the servers will say in it is not known before.
    return Change(f"{path}: {_described(there)}\n", f"{path}: a new snapshot\n")


def _restore(task: Task) -> Change:
    timeout = arguments.duration(task.params["transfer_timeout"], "transfer_timeout", 0.001, 86400)
    archive, snapshots = verify(task.params["path"]), Snapshots(task.api)
    target = task.params["datacenter"] or Datacenters(task.api).own()
    if task.params["confirm"] != target:
        raise InvalidValueError(
            f"confirm: {arguments.shown(task.params['confirm'])} is not the datacenter whose data would be lost, which is {target}",
            advice="Look again at what the task would do, and where",
        )
    if not task.check_mode:
        snapshots.restore(task.params["path"], timeout=timeout)
    task.results["snapshot"] = archive
    return Change(f"{target}: what its servers hold\n", f"{target}: {_described(archive)}\n")


def _there(task: Task, path: str) -> Archive | None:
    """The good snapshot that is there already."""
    if not os.path.exists(path):
        return None
    try:
        return verify(path)
    except ConsulError as error:
        task.warn(f"{error.problem}. It is replaced by a new one")
        return None


def _described(archive: Archive | None) -> str:
    return f"snapshot {archive['id']} at index {archive['index']}" if archive else "no snapshot"

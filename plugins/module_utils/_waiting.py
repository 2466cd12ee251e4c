# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until something is so in Consul."""

from __future__ import annotations

import time
from typing import Any

from ._module import Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConsulError, InvalidValueError
from .uwsgi_consul.waiting import LONGEST_WAIT, Look, Waiting

# What is kept of the words said while it waited.
_LONGEST_PROGRESS = 100


def wait(task: Task) -> None:
    """The module `consul_wait`."""
    seconds = seconds_of(task.params["wait_timeout"], "wait_timeout")
    began = time.monotonic()
    progress: list[dict[str, Any]] = []
    task.results.update(fulfilled=False, progress=progress)

    def note(look: Look) -> None:
        progress.append({"after": _since(began), "said": look.said})
        del progress[1 : len(progress) - _LONGEST_PROGRESS + 1]

    try:
        look = _waited(task, 0 if task.check_mode else seconds, note)
    finally:
        task.results["elapsed"] = _since(began)
    task.results.update(fulfilled=look.fulfilled, found=look.found)
    if not look.fulfilled and not task.check_mode:
        raise ConsulError(f"it did not come true within {seconds:g} s: {look.said}")


def seconds_of(value: str, what: str) -> float:
    """A time to wait that a task gives: a number of seconds, or a duration such as `5m`; raises `InvalidValueError`."""
    try:
        given: Any = float(value)
    except ValueError:
        given = value
    try:
        return arguments.duration(given, what, 0, LONGEST_WAIT)
    except InvalidValueError:
        raise InvalidValueError(
            f"{what}: {arguments.shown(value)} is no time to wait", advice="Give seconds, or a text such as 30s or 5m; 0 does not wait"
        ) from None


def _waited(task: Task, seconds: float, note: Any) -> Look:
    params, waiting = task.params, Waiting(task.api)
    if params["service"] is None and (params["tags"] or params["count"] != 1):
        raise InvalidValueError(f"{'tags' if params['tags'] else 'count'}: is of instances, and so goes with service")
    absent = params["state"] == "absent"
    if params["leader"] is not None:
        if absent or not params["leader"]:
            raise InvalidValueError("leader: only the presence of one can be waited for", advice="Give leader=true and state=present")
        return waiting.leader(wait=seconds, on_look=note)
    if params["key"] is not None:
        return waiting.key(params["key"], params["value"], absent=absent, wait=seconds, on_look=note)
    if params["node"] is not None:
        return waiting.node(params["node"], status=params["status"], absent=absent, wait=seconds, on_look=note)
    return waiting.service(
        params["service"],
        params["count"],
        tags=params["tags"],
        status=params["status"],
        filter=params["filter"],
        absent=absent,
        wait=seconds,
        on_look=note,
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)

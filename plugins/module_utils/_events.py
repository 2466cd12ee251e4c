# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events, of which each run fires another one."""

from __future__ import annotations

from typing import Any

from ._module import Change, Task
from .uwsgi_consul.events import Event, Events, firing


def fire(task: Task) -> Change:
    """The module `consul_event`."""
    wanted: dict[str, Any] = task.given("name", "payload", "node", "service", "tag")
    firing(**wanted)
    if not task.check_mode:
        task.results["event"] = _readable(Events(task.api).fire(**wanted))
    return Change(None, wanted)


def _readable(event: Event) -> Event:
    """The event with its payload as text."""
    return {**event, "payload": str(event["payload"], "utf-8", "backslashreplace")}

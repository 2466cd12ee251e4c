# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tokens that an agent itself uses, which it never shows.

Whether it has the right one is known in these ways: it stands in the file in which the agent keeps them, where that is on and
this host is the agent's and this user may read it; for the default one, the agent answers a request without a token with it;
for the recovery one, the agent takes it, and the ACL system does not know it. Where none of these holds, it is set, and
counts as changed.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ._module import Change, Task
from .uwsgi_consul.acl import AGENT_TOKENS, ANONYMOUS_ID, AgentTokens, Tokens, persisted, sendable
from .uwsgi_consul.api import Api
from .uwsgi_consul.errors import PermissionDeniedError

_SET, _OTHER, _NONE, _UNKNOWN = "as wanted", "another one", "none", "unknown"


def manage(task: Task) -> Change:
    """The module `consul_agent_token`."""
    agent = AgentTokens(task.api)
    wanted = {kind: sendable(value, kind) for kind, value in task.given(*AGENT_TOKENS).items()}
    path = agent.persisted_in()
    kept = None if path is None else _read(path)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    unknown: list[str] = []
    task.results["unknown"] = unknown
    for kind, value in wanted.items():
        before[kind] = _state(task, kind, value, kept)
        after[kind] = _SET if value else _NONE
    for kind, value in wanted.items():
        if before[kind] == after[kind]:
            continue
        if before[kind] == _UNKNOWN:
            unknown.append(kind)
        if not task.check_mode:
            agent.set(kind, value)
            task.changed = True
    return Change(before, after)


def _state(task: Task, kind: str, value: str, kept: dict[str, Any] | None) -> str:
    """What is known of the agent's token for *kind*."""
    if kept is not None:
        there = persisted(kept, kind)
        # Without one in the file, the agent's configuration may give it one.
        if there:
            return _SET if there == value else _OTHER
    if kind == "default":
        return _default(task, value)
    if kind == "agent_recovery" and value:
        return _recovery(task, value)
    return _NONE if kept is not None and not value else _UNKNOWN


def _default(task: Task, value: str) -> str:
    """By what the agent answers to requests without a token."""
    bare = Api(dataclasses.replace(task.api.settings, token=None, token_file=None))
    there = Tokens(bare).own()
    if there is not None and there["accessor_id"] != ANONYMOUS_ID:
        return _SET if there["secret_id"] == value else _OTHER
    try:
        bare.request("GET", "/v1/acl/policies")
    except PermissionDeniedError as error:
        # It has one that Consul does not know (any more), and that may be any.
        if "ACL not found" in error.answer:
            return _UNKNOWN
    return _NONE


def _recovery(task: Task, value: str) -> str:
    if Tokens(task.api).own(value) is not None:
        return _UNKNOWN
    try:
        task.api.request("GET", "/v1/agent/self", token=value)
    except PermissionDeniedError:
        return _OTHER
    return _SET


def _read(path: str) -> dict[str, Any] | None:
    """What the agent's file holds; None where it can't be read, as on another host."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None

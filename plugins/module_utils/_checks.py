# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of an agent's node and services, one by one, and what TTL checks are told.

Consul does not tell what a check looks at, and a check has no meta. So its notes end with a digest of its definition (`_definition_mark`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import _definition_mark
from ._module import Change, Task, Thing, without_none
from ._service_definitions import CHECK, check_definition, check_type, done
from ._several import by_id
from .uwsgi_consul import arguments
from .uwsgi_consul import checks as kinds
from .uwsgi_consul.errors import ConflictError, InvalidValueError, NotFoundError
from .uwsgi_consul.protocol import seconds
from .uwsgi_consul.registry import Registry

OPTIONS: dict[str, Any] = {**CHECK, "service_id": {"type": "str"}, "output": {"type": "str"}}
# At the top of a task, these names are those of the connection's options.
_RENAMED = {"timeout": "check_timeout", "tls_server_name": "check_tls_server_name"}
ALONE: dict[str, Any] = {_RENAMED.get(name, name): spec for name, spec in OPTIONS.items()}
# What says how a check is, and not what it is.
_TOLD = ("id", "status", "output")
_SHOWN = ("name", "service_id", "notes", "type", "interval", "timeout")


def manage(task: Task) -> Change:
    """The module `consul_check`."""
    absent = task.params["state"] == "absent"
    given = by_id(task, "checks", _named if absent else _definition)
    registry = Registry(task.api)
    there = registry.checks()
    if absent:
        return _remove(task, registry, given, {check_id: there[check_id] for check_id in given if check_id in there})
    targets = {check_id: _target(check_id, one, there.get(check_id)) for check_id, one in given.items()}
    before = {check_id: _seen(there[check_id], given[check_id], target) for check_id, target in targets.items() if check_id in there}
    changed = [check_id for check_id, target in targets.items() if before.get(check_id) != target]
    defined = [check_id for check_id in changed if _is_defined(given[check_id]) and _differs(before.get(check_id), targets[check_id])]
    registry.understand(checks=[_body(given[check_id]) for check_id in defined])
    if not task.check_mode:
        for check_id, one in given.items():
            if check_id in defined:
                registry.register_check(_marked(one), service_id=one.get("service_id"))
                done(task, check_id, "updated" if check_id in before else "created")
            # It starts the TTL again, also where it says nothing new.
            if one.get("status") and targets[check_id]["type"] == "ttl":
                registry.update_check(check_id, one["status"], one.get("output", ""))
                if check_id in changed and check_id not in defined:
                    done(task, check_id, "updated")
    task.results.pop("done", None)
    task.results["checks"] = [
        {"id": one, "result": ("updated" if one in before else "created") if one in changed else "unchanged"} for one in targets
    ]
    return Change({one: before[one] for one in changed if one in before}, {one: targets[one] for one in changed})


def _remove(task: Task, registry: Registry, given: Iterable[str], found: Mapping[str, Thing]) -> Change:
    if not task.check_mode:
        for check_id in given:
            # Also what was not found: the token may not see it, and only this way Consul says so.
            registry.deregister_check(check_id)
            if check_id in found:
                done(task, check_id, "removed")
    task.results.pop("done", None)
    task.results["checks"] = [{"id": check_id, "result": "removed"} for check_id in found]
    return Change({check_id: {name: one[name] for name in ("name", "service_id", "type")} for check_id, one in found.items()}, {})


def _named(given: Mapping[str, Any]) -> Thing:
    """The check's id, for one that shall be gone."""
    return {"id": arguments.name(given["id"] if given.get("id") else given.get("name"), "id" if given.get("id") else "name")}


def _definition(given: Mapping[str, Any]) -> Thing:
    """A check of the task, judged: as the library defines one, with service_id and output, and always an id."""
    for name, alone in _RENAMED.items():
        if alone in given:
            if given[alone] is not None:
                with arguments.within(alone):
                    kinds.define({"ttl": "1m", name: given[alone]})
            given = {**given, name: given[alone]}
    given = without_none({name: given[name] for name in OPTIONS})
    check = {"name": given.get("id"), **check_definition(given)}
    if not check.get("id"):
        check["id"] = check["name"]
    arguments.name(check["id"], "id" if "id" in given else "name")
    if _is_defined(check):
        kinds.define(_body(check))
    elif "status" not in check:
        raise InvalidValueError(
            f"check {check['id']} is of no kind, such as ttl, and has no status to be told",
            advice="Say what it is, or the status of a TTL check that is there",
        )
    if "service_id" in check:
        arguments.name(check["service_id"], "service_id")
    if "output" in check:
        arguments.text(check["output"], "output")
        if "status" not in check or (_is_defined(check) and "ttl" not in check):
            raise InvalidValueError("output: goes with the status of a TTL check")
    return check


def _is_defined(given: Mapping[str, Any]) -> bool:
    """Whether the task says what the check is, and not only how it is."""
    return any(given.get(name) is not None for name in OPTIONS if name not in (*_TOLD, "name", "service_id"))


def _body(given: Mapping[str, Any]) -> Thing:
    return {name: value for name, value in given.items() if name not in ("service_id", "output")}


def _canonical(given: Mapping[str, Any]) -> Thing:
    body = kinds.define(_body(given))
    return {name: value for name, value in {**body, "ServiceID": given.get("service_id", "")}.items() if name != "Status"}


def _marked(given: Mapping[str, Any]) -> Thing:
    return {**_body(given), "notes": _definition_mark.notes(given.get("notes", ""), _definition_mark.make(_canonical(given)))}


def _target(check_id: str, given: Mapping[str, Any], there: Thing | None) -> Thing:
    """What the check shall be, in the shape of `_seen`."""
    if not _is_defined(given):
        if there is None:
            raise NotFoundError(f"the agent has no check {check_id}", advice="Say of which kind it is (such as ttl), and it is registered")
        if there["type"] != "ttl":
            raise ConflictError(f"check {check_id} is of type {there['type']}, and only a TTL check can be told its status")
        target = {**{name: there[name] for name in _SHOWN}, "definition": _definition_mark.SAME}
    else:
        body = kinds.define(_body(given))
        target = {
            "name": body["Name"],
            "service_id": given.get("service_id", ""),
            "notes": body.get("Notes", ""),
            "type": check_type(body),
            "interval": seconds(body.get("Interval", "0s")),
            "timeout": seconds(body.get("Timeout", "0s")),
            "definition": _definition_mark.SAME,
        }
    if given.get("status") and target["type"] == "ttl":
        target.update(status=given["status"], output=given.get("output", ""))
    return target


def _seen(there: Thing, given: Mapping[str, Any], target: Thing) -> Thing:
    """The check as it is; what Consul does not tell is as in the target."""
    seen = {name: target[name] if there[name] is None else there[name] for name in target if name != "definition"}
    seen["definition"] = _definition_mark.SAME
    if _is_defined(given):
        seen["notes"] = _definition_mark.without(there["notes"])
        seen["definition"] = _definition_mark.compare(_definition_mark.of_notes(there["notes"]), _canonical(given))
    return seen


def _differs(before: Thing | None, target: Thing) -> bool:
    """Whether the check itself is another one, and not only its status."""
    return before is None or any(before[name] != target[name] for name in (*_SHOWN, "definition"))

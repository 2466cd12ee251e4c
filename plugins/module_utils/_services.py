# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that an agent registers: any number in two reads, and one request for each that changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import _definition_mark, _external_services
from ._module import Change, Task, Thing
from ._service_definitions import (
    SERVICE,
    by_service,
    canonical,
    definition,
    done,
    left_over,
    refuse_running,
    refuse_taken,
    report,
    seen,
    shown,
    sidecar_id,
    targets_of,
    unlisted,
)
from ._several import by_id
from .uwsgi_consul import definitions
from .uwsgi_consul.registry import Registry

# Those of one service.
OPTIONS = SERVICE


def manage(task: Task) -> Change:
    """The module `consul_service`."""
    given = by_id(task, "services", _to_remove if task.params["state"] == "absent" else definition)
    return _external_services.manage(task, given) if task.params["node"] else _manage(task, given)


def _to_remove(given: Mapping[str, Any]) -> Thing:
    # The ID alone says which one it is.
    return definition(given if given.get("name") is not None else {**given, "name": given.get("id")})


def _manage(task: Task, given: Mapping[str, Thing]) -> Change:
    registry = Registry(task.api)
    absent = task.params["state"] == "absent"
    targets = {} if absent else targets_of(given)
    found, there = registry.services(), registry.checks().values()
    checks = by_service(there)
    refuse_running(task, found, given)
    gone = [service_id for service_id in given if service_id in found] if absent else []
    for service_id in given if absent else ():
        # "It is gone" must not be said of what only the token does not see.
        if service_id not in found:
            registry.refuse_hidden(service_id)
    gone += unlisted(found, given) if task.params["purge"] else []
    refuse_taken(there, targets, gone)
    before = {
        service_id: seen(found[service_id], checks.get(service_id, {}), _sidecar(found, service_id, given), target, given[service_id])
        for service_id, target in targets.items()
        if service_id in found
    }
    changed = [service_id for service_id, target in targets.items() if before.get(service_id) != target]
    registry.understand(given[service_id] for service_id in changed)
    if not task.check_mode:
        for service_id in changed:
            _register(registry, service_id, given[service_id], before.get(service_id), targets)
            done(task, service_id, "updated" if service_id in before else "created")
        for service_id in gone:
            registry.deregister(service_id)
            done(task, service_id, "removed")
    report(task, given, targets, changed, before, found, gone)
    return Change(
        {**{service_id: before[service_id] for service_id in changed if service_id in before}, **shown(found, gone)},
        {service_id: targets[service_id] for service_id in changed},
    )


def _register(registry: Registry, service_id: str, given: Thing, before: Thing | None, targets: Mapping[str, Thing]) -> None:
    registry.register(given, mark=_definition_mark.make(canonical(given)))
    if before is None:
        return
    for check_id in left_over(before, targets):
        registry.deregister_check(check_id)
    if before["sidecar"] and not targets[service_id]["sidecar"]:
        registry.deregister(sidecar_id(service_id))


def _sidecar(found: Mapping[str, Thing], service_id: str, given: Iterable[str]) -> Thing | None:
    """The sidecar that the agent made with the service, and not one that is registered by itself."""
    own = sidecar_id(service_id)
    if own in given or own not in found:
        return None
    mark = found[own]["meta"].get(definitions.MARK_KEY)
    return found[own] if mark and mark == found[service_id]["meta"].get(definitions.MARK_KEY) else None

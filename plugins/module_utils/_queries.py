# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepared queries as a task wants them, and what they find."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ._module import Change, Task, without_none
from ._several import each
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConsulError, InvalidValueError, NotFoundError, ServerError
from .uwsgi_consul.queries import HIDDEN, Queries, define, defined

# The arguments of `define` that have a task's option of their own name.
_SAME = [
    *("failover", "tags", "only_passing", "near", "ignore_check_ids", "node_meta", "service_meta", "connect"),
    *("dns_ttl", "template", "session"),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "id": {"type": "str"},
    "service": {"type": "str"},
    "failover": {
        "type": "dict",
        "options": {
            "nearest_n": {"type": "int"},
            "datacenters": {"type": "list", "elements": "str"},
            "targets": {
                "type": "list",
                "elements": "dict",
                "options": {name: {"type": "str"} for name in ("datacenter", "peer", "partition", "namespace")},
            },
        },
    },
    "tags": {"type": "list", "elements": "str"},
    "only_passing": {"type": "bool"},
    "near": {"type": "str"},
    "ignore_check_ids": {"type": "list", "elements": "str"},
    "node_meta": {"type": "dict"},
    "service_meta": {"type": "dict"},
    "connect": {"type": "bool"},
    "dns_ttl": {"type": "str"},
    "template": {
        "type": "dict",
        "options": {
            "type": {"type": "str", "choices": ["name_prefix_match"]},
            "regexp": {"type": "str"},
            "remove_empty_tags": {"type": "bool"},
        },
    },
    "session": {"type": "str"},
    "query_token": {"type": "str", "no_log": True},
}


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """A query as the task gives it. id: of the one that there is, if any. arguments: of `define`; empty for none."""

    name: str
    id: str | None
    arguments: dict[str, Any]


def manage(task: Task) -> Change:
    """The module `consul_query`."""
    given = []
    for place, options in each(task, "queries"):
        with arguments.within(place):
            given.append(_judged(task, options))
    queries = Queries(task.api)
    there = queries.definitions()
    wanted = [_identified(one, there) for one in given]
    if any(one.id is None and not one.arguments for one in wanted):
        task.warn_if_filtered("a query that shall be absent may be there all the same (query:read)")
    ids = [one.id or one.name for one in wanted]
    for twice in [one for one in ids if ids.count(one) > 1]:
        raise InvalidValueError(f"queries: {twice} is given twice")
    to_do = [one for one in wanted if _differs(task, one, there)]
    for one in to_do:
        if one.arguments:
            with _named(task, one):
                queries.judge(**one.arguments)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    written: dict[str, str | None] = {one.name: one.id for one in wanted}
    for one in to_do:
        if not task.check_mode:
            with _named(task, one):
                try:
                    written[one.name] = _write(queries, one)
                except ServerError as error:
                    one = _made_meanwhile(task, queries, one, there, error)
                    written[one.name] = one.id
                    if not _differs(task, one, there):
                        continue
                    _write(queries, one)
            task.changed = True
            task.results["written"] = [*task.results.get("written", []), one.name]
        if one.id:
            before[one.name] = _shown(there[one.id], "(a token)")
        if one.arguments:
            was = there[one.id]["token"] if one.id else None
            body = defined(define(**one.arguments))
            after[one.name] = _shown(body, "(a token)" if was in (body["token"], HIDDEN) else "(another token)" if was else "(a token)")
    if task.params["state"] == "present":
        _tell(task, queries, written)
    return Change(before, after)


def find(task: Task) -> None:
    """The module `consul_query_info`."""
    queries, params = Queries(task.api), task.params
    name = params["name"] if params["id"] is None else params["id"]
    for option, judge in (("id", arguments.session), ("name", arguments.name)):
        if params[option] is not None:
            judge(params[option], option)
    if name is None:
        found = queries.list()
    else:
        one = queries.get(name)
        found = [one] if one else []
    if not found or name is None:
        task.warn_if_filtered("there may be more queries (query:read)")
    task.results["queries"] = found
    if params["explain"]:
        task.results["explained"] = queries.explain(params["name"])
    if params["execute"]:
        task.results["found"] = queries.execute(name or "", near=params["near"], limit=params["limit"])


def _judged(task: Task, given: Mapping[str, Any]) -> _Wanted:
    if given["id"] is not None:
        arguments.session(given["id"], "id")
    if task.params["state"] == "absent":
        if given["id"] is None:
            arguments.text(given["name"], "name")
        return _Wanted(given["name"] or given["id"] or "", given["id"], {})
    wanted = without_none({name: given[name] for name in _SAME})
    wanted["name"], wanted["service"] = given["name"] if given["name"] is not None else "", given["service"]
    if "failover" in wanted:
        wanted["failover"] = without_none(wanted["failover"])
        if "targets" in wanted["failover"]:
            wanted["failover"]["targets"] = [without_none(target) for target in wanted["failover"]["targets"]]
    if "template" in wanted:
        wanted["template"] = without_none(wanted["template"])
    if given["query_token"] is not None:
        wanted["token"] = given["query_token"]
    try:
        define(**wanted)
    except InvalidValueError as error:
        # The module's own token has that name.
        if error.problem.startswith("token: "):
            error.problem = f"query_{error.problem}"
        raise
    return _Wanted(wanted["name"], given["id"], wanted)


def _identified(wanted: _Wanted, there: dict[str, dict[str, Any]]) -> _Wanted:
    """The same with the id of the query that there is."""
    if wanted.id is None:
        return dataclasses.replace(wanted, id=next((id_ for id_, one in there.items() if one["name"] == wanted.name), None))
    if wanted.id not in there:
        if wanted.arguments:
            raise NotFoundError(f"id: there is no prepared query {wanted.id}", advice="Leave it out to find the query by its name")
        return dataclasses.replace(wanted, id=None)
    return dataclasses.replace(wanted, name=wanted.name if wanted.arguments else there[wanted.id]["name"])


def _differs(task: Task, wanted: _Wanted, there: dict[str, dict[str, Any]]) -> bool:
    if not wanted.arguments or wanted.id is None:
        return bool(wanted.arguments) or wanted.id is not None
    body, found = defined(define(**wanted.arguments)), there[wanted.id]
    if found["token"] == HIDDEN and body["token"]:
        task.warn(
            f"Whether query {wanted.name} has the query_token of the task is not known, for the task's own token may not see it "
            "(acl:write). It is taken for the same"
        )
        return {**found, "token": None} != {**body, "token": None}
    return found != body


@contextlib.contextmanager
def _named(task: Task, wanted: _Wanted) -> Iterator[None]:
    """Says of an error in a list which query it is about."""
    try:
        yield
    except ConsulError as error:
        if task.params["queries"] is not None:
            error.problem = f"query {wanted.name or wanted.id}: {error.problem}"
        raise


def _write(queries: Queries, wanted: _Wanted) -> str | None:
    if not wanted.arguments:
        queries.delete(wanted.id or wanted.name)
        return None
    if wanted.id:
        queries.replace(wanted.id, **wanted.arguments)
        return wanted.id
    return queries.create(**wanted.arguments)


def _made_meanwhile(task: Task, queries: Queries, wanted: _Wanted, there: dict[str, dict[str, Any]], error: ServerError) -> _Wanted:
    """The same with the id of the query of that name that somebody made just now, as tasks of several hosts do."""
    if wanted.id is not None or "aliases an existing query" not in error.answer:
        raise error
    there.update(queries.definitions())
    found = _identified(wanted, there)
    if found.id is None:
        error.advice = "There is a query of that name that the token may not see: it needs query:read"
        raise error
    return found


def _tell(task: Task, queries: Queries, ids: dict[str, str | None]) -> None:
    task.results.pop("written", None)
    found = {one["id"]: one for one in queries.list()}
    task.results["queries"] = [found[id_] for id_ in ids.values() if id_ in found]


def _shown(definition: dict[str, Any], token: str) -> dict[str, Any]:
    """Without what has its default, and without the token."""
    shown = {name: value for name, value in definition.items() if value not in (None, "", [], {}, False)}
    shown["failover"] = {name: value for name, value in definition["failover"].items() if value}
    return {**shown, **({"token": token} if definition["token"] else {})}

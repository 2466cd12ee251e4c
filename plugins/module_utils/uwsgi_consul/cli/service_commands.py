# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Commands about services: `services`, `service`, `watch`, `health`."""

from __future__ import annotations

import queue
import time
from typing import Any, Dict, Iterator

import click

from .. import services as catalog
from ..discovery import Discovery
from ..kv import KV
from . import output
from .base import NO, Command, api, complete_key, complete_service, wants_json

_HEAD = ("NODE", "ADDRESS", "PORT", "STATUS", "ID", "TAGS")
# As monitoring plugins have it: https://www.monitoring-plugins.org/doc/guidelines.html
_LEVELS = ("ok", "warning", "critical")

_Found = Dict[str, Any]

_status = click.option("--status", type=click.Choice(tuple(catalog.STATUSES)), default="passing", help="warning takes passing, too.")
_tags = click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only instances with this tag; repeatable.")
_filter = click.option("--filter", "expression", metavar="EXPRESSION", help="In Consul's filter language.")


@click.command(cls=Command)
@click.pass_context
def services(context: click.Context) -> None:
    """List all services of the datacenter, with their tags."""
    found = catalog.services(api(context))
    output.show(context, found, ("NAME", "TAGS"), [(one["name"], one["tags"]) for one in found])


@click.command(cls=Command)
@click.argument("name", shell_complete=complete_service)
@_tags
@_status
@click.option("--near", metavar="NODE", help="Sort by round trip time from this node; _agent is the agent's.")
@_filter
@click.pass_context
def service(context: click.Context, name: str, tags: tuple[str, ...], status: str, near: str | None, expression: str | None) -> None:
    """List the instances of a service; exit status 1 when there is none."""
    found = catalog.instances(api(context), name, tags=tags, status=status, near=near, filter=expression)
    output.show(context, found, _HEAD, map(_row, found))
    if not found:
        context.exit(NO)


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=complete_service)
@click.option("--kv", "prefix", metavar="PREFIX", shell_complete=complete_key, help="Watch the keys that begin with it instead.")
@_tags
@_status
@_filter
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many; what is there at first is one.")
@click.pass_context
def watch(
    context: click.Context,
    name: str | None,
    prefix: str | None,
    tags: tuple[str, ...],
    status: str,
    expression: str | None,
    count: int | None,
) -> None:
    """Show the instances of a service, or keys, and then each change, until it is interrupted.

    With --json each is one line: `{"time", "service", "instances"}` or `{"time", "prefix", "entries"}`.
    """
    if (name is None) == (prefix is None):
        raise click.UsageError("give the NAME of a service, or --kv PREFIX")
    changes = _instances_of(context, name, tags, status, expression) if name is not None else _keys_under(context, str(prefix))
    before: dict[str, str] = {}
    for number, change in enumerate(changes, 1):
        if wants_json(context):
            output.json_line({"time": time.time(), **change})
        else:
            before = _show_change(change, before)
        if number == count:
            return


def _instances_of(context: click.Context, name: str, tags: tuple[str, ...], status: str, expression: str | None) -> Iterator[_Found]:
    pending: queue.Queue[Any] = queue.Queue()
    with Discovery(api(context), tags=tags, status=status, filter=expression) as discovery:
        # What is wrong with the name, the token or the agents is an error at once.
        discovery.get(name)
        discovery.on_change(name, pending.put)
        while True:
            yield {"service": name, "instances": list(pending.get())}


def _keys_under(context: click.Context, prefix: str) -> Iterator[_Found]:
    pending: queue.Queue[Any] = queue.Queue()
    watched = KV(api(context)).watch(prefix, recurse=True)
    watched.get()
    watched.on_change(pending.put)
    while True:
        yield {"prefix": prefix, "entries": [output.entry_as_json(entry) for entry in pending.get().value]}


def _show_change(change: _Found, before: dict[str, str]) -> dict[str, str]:
    """Prints what came, went and changed, and gives what there is now."""
    if "instances" in change:
        now = {f"{one['node']} {one['id']}": f"{one['address']}:{one['port']} {one['status']}" for one in change["instances"]}
    else:
        now = {one["key"]: "(no text)" if one["value"] is None else one["value"] for one in change["entries"]}
    click.echo(f"--- {time.strftime('%H:%M:%S')}, {len(now)} found")
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            sign = "-" if name not in now else "+" if name not in before else "~"
            click.echo(output.plain(f"{sign} {name} {now.get(name, '')}".rstrip()))
    return now


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[SERVICE]...", shell_complete=complete_service)
@click.option("--min", "least", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="Instances that each must have.")
@click.pass_context
def health(context: click.Context, names: tuple[str, ...], least: int) -> None:
    """Judge services, all of the datacenter unless some are named. Exit status: 0 ok, 1 warning, 2 critical, 3 not known.

    A service is critical with fewer than --min instances that are passing or warning, warning when an instance is
    warning or critical, else ok. Instances in maintenance count as if they were not there.
    """
    asked = api(context)
    wanted = list(names) or [one["name"] for one in catalog.services(asked)]
    found = [_judged(name, catalog.instances(asked, name, status="any"), least) for name in wanted]
    worst = max((_LEVELS.index(one["level"]) for one in found), default=0)
    if not wants_json(context):
        bad = [one for one in found if one["level"] != "ok"]
        parts = [f"{output.plain(one['service'])} {one['level']} ({one['usable']} of {one['instances']} usable)" for one in bad[:10]]
        said = ", ".join(parts)
        click.echo(f"{_LEVELS[worst].upper()}: {said or f'{len(found)} services'}{', ...' if len(bad) > 10 else ''}")
    head = ("SERVICE", "LEVEL", "PASSING", "WARNING", "CRITICAL", "MAINTENANCE")
    columns = ("service", "level", "passing", "warning", "critical", "maintenance")
    output.show(context, found, head, [[one[column] for column in columns] for one in found])
    context.exit(worst)


def _judged(name: str, instances: list[_Found], least: int) -> _Found:
    counts = {status: sum(one["status"] == status for one in instances) for status in catalog.STATUSES["any"]}
    usable = counts["passing"] + counts["warning"]
    level = "critical" if usable < least else "warning" if counts["warning"] or counts["critical"] else "ok"
    return {"service": name, "level": level, "instances": len(instances), "usable": usable, **counts}


def _row(one: _Found) -> list[Any]:
    return [one["node"], one["address"], one["port"], one["status"], one["id"], one["tags"]]

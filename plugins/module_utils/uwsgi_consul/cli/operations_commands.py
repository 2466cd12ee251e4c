# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Commands for who looks after a datacenter: `sessions`, `sweep`."""

from __future__ import annotations

import os
import time

import click

from ..sessions import Sessions
from ..sweeper import Sweeper
from . import output
from .base import NO, Command, Failure, api


@click.command(cls=Command)
@click.option("--node", metavar="NODE", help="Only those of this node.")
@click.pass_context
def sessions(context: click.Context, node: str | None) -> None:
    """List the sessions, which hold the locks of the datacenter."""
    asked = Sessions(api(context))
    found = asked.list() if node is None else asked.node(node)
    rows = [(one["id"], one["name"], one["node"], one["ttl"], one["lock_delay"], one["behavior"], one["node_checks"]) for one in found]
    output.show(context, found, ("ID", "NAME", "NODE", "TTL", "LOCK DELAY", "BEHAVIOR", "CHECKS"), rows)


@click.command(cls=Command)
@click.option("--older-than", default="72h", show_default=True, metavar="DURATION", help="Critical for so long at least.")
@click.option(
    "--service",
    "services",
    multiple=True,
    default=("*",),
    metavar="NAME",
    help="Only these: a name or a pattern; repeatable.",
)
@click.option("--state", metavar="FILE", help="Keeps what was seen between runs; below ~/.local/state/uwsgi-consul unless given.")
@click.option("--yes", is_flag=True, help="Remove them; without it they are only listed.")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="When there are more, none is removed.")
@click.option("--fraction", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="The same, as a part of all instances.")
@click.pass_context
def sweep(
    context: click.Context, older_than: str, services: tuple[str, ...], state: str | None, yes: bool, limit: int, fraction: float
) -> None:
    """Find instances that have been critical for long, and with --yes remove them.

    Consul does not tell since when an instance is critical, so it is counted from the first run that sees it: run this
    regularly, by cron. Exit status 1 when one could not be removed.
    """
    asked = api(context)
    sweeper = Sweeper(asked, state=state or _default_state(asked.settings.datacenter))
    found = sweeper.sweep(older_than, services=services, dry_run=not yes, limit=limit, fraction=fraction)
    rows = [
        (one["service"], one["id"], one["node"], time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["since"])),
         "removed" if one["removed"] else one["problem"], one["output"][:80])
        for one in found
    ]  # fmt: skip
    output.show(context, found, ("SERVICE", "ID", "NODE", "CRITICAL SINCE", "DONE", "OUTPUT"), rows)
    if yes and not all(one["removed"] for one in found):
        context.exit(NO)


def _default_state(datacenter: str | None) -> str:
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = os.path.join(home, "uwsgi-consul")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Failure(f"{folder} can't be made: {error.strerror}") from None
    return os.path.join(folder, f"sweeper-{datacenter}.json" if datacenter else "sweeper.json")

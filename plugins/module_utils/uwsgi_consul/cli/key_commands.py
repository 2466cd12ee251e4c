# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Commands about keys: `kv get|set|del|tree|edit`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from typing import Any

import click

from ..kv import KV
from . import output
from .base import NO, Command, Failure, Group, api, complete_key, wants_json

_key = click.argument("key", shell_complete=complete_key)
_cas = click.option(
    "--cas", type=click.IntRange(0), metavar="INDEX", help="Only if this is still the key's modify_index; 0: if there is no such key."
)


@click.group(cls=Group)
def kv() -> None:
    """Read and write keys."""


@kv.command(cls=Command)
@_key
@click.pass_context
def get(context: click.Context, key: str) -> None:
    """Print a key's value, byte by byte; exit status 1 when there is no such key."""
    entry = KV(api(context)).get(key)
    if entry is None:
        raise Failure(f"there is no key {output.plain(key)}", NO)
    if wants_json(context):
        click.echo(output.as_json(output.entry_as_json(entry), indent=2))
        return
    sys.stdout.buffer.write(entry["value"])
    if sys.stdout.isatty() and not entry["value"].endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


@kv.command(cls=Command)
@_key
@click.argument("value", required=False)
@_cas
@click.option("--flags", type=click.IntRange(0, 2**64 - 1), metavar="NUMBER", help="A number of your own beside the value.")
@click.option("--acquire", metavar="SESSION", help="Take the key as a lock.")
@click.option("--release", metavar="SESSION", help="Give it back.")
@click.pass_context
def set(  # noqa: A001 - the command's name
    context: click.Context, key: str, value: str | None, cas: int | None, flags: int | None, acquire: str | None, release: str | None
) -> None:
    """Write a key: VALUE, the content of a file by @FILE, or what comes by standard input, for `-` or without VALUE.

    Exit status 1 when a condition does not hold, and then nothing was written.
    """
    if not KV(api(context)).set(key, _content(value), cas=cas, flags=flags, acquire=acquire, release=release):
        raise Failure(f"the condition does not hold: {output.plain(key)} was not written", NO)


@kv.command("del", cls=Command)
@_key
@click.option("--recurse", is_flag=True, help="All keys that begin with KEY.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_cas
@click.pass_context
def delete(context: click.Context, key: str, recurse: bool, yes: bool, cas: int | None) -> None:
    """Delete a key. With --recurse it asks first: `app` takes `app2/x` along, `app/` does not."""
    store = KV(api(context))
    if recurse and not yes:
        found = store.keys(key)
        click.echo(f"{len(found)} keys begin with {output.plain(key) or 'nothing, which is the whole store'}:", err=True)
        for name in [*(output.plain(name) for name in found[:10]), *(["..."] if len(found) > 10 else [])]:
            click.echo(f"  {name}", err=True)
        click.confirm("Delete them all?", abort=True, err=True)
    if not store.delete(key, recurse=recurse, cas=cas, everything=recurse and not key):
        raise Failure(f"the condition does not hold: {output.plain(key)} was not deleted", NO)


@kv.command(cls=Command)
@click.argument("prefix", default="", shell_complete=complete_key)
@click.option("--keys", "only_keys", is_flag=True, help="Names only, one in a line.")
@click.pass_context
def tree(context: click.Context, prefix: str, only_keys: bool) -> None:
    """List the keys that begin with PREFIX, all keys without it; exit status 1 when there is none."""
    store = KV(api(context))
    if only_keys:
        names = store.keys(prefix)
        if wants_json(context):
            click.echo(output.as_json(names, indent=2))
        else:
            for name in names:
                click.echo(output.plain(name))
        context.exit(0 if names else NO)
    found = store.tree(prefix)
    rows = [(one["key"], output.excerpt(one["value"]), one["flags"] or "", one["session"]) for one in found]
    output.show(context, [output.entry_as_json(one) for one in found], ("KEY", "VALUE", "FLAGS", "SESSION"), rows)
    context.exit(0 if found else NO)


@kv.command(cls=Command)
@_key
@click.pass_context
def edit(context: click.Context, key: str) -> None:
    """Edit a value with $VISUAL or $EDITOR; a key that is not there is made.

    It is written only if nobody has changed it meanwhile. Else the exit status is 1, and your text is kept in a file
    that the message names. A newline that the editor has put at the end is left out if there was none before.
    """
    store = KV(api(context))
    entry = store.get(key)
    before = b"" if entry is None else entry["value"]
    with _editing(key, before) as path:
        click.edit(filename=path)
        with open(path, "rb") as file:
            after = file.read()
        if after.endswith(b"\n") and not before.endswith(b"\n"):
            after = after[:-2] if after.endswith(b"\r\n") and b"\r\n" not in before else after[:-1]
        if after == before and (entry is not None or not after):
            click.echo(f"{output.plain(key)} is as it was", err=True)
            return
        options: dict[str, Any] = {"cas": 0} if entry is None else {"cas": entry["modify_index"], "flags": entry["flags"]}
        if not store.set(key, after, **options):
            raise Failure(f"somebody else has changed {output.plain(key)} meanwhile, so it was not written", NO)


@contextlib.contextmanager
def _editing(key: str, content: bytes) -> Any:
    """The path of a file with the content, in a folder of one's own; what could not be written to Consul stays there."""
    folder = tempfile.mkdtemp(prefix="uwsgi-consul-")
    path = os.path.join(folder, _file_name(key))
    try:
        with open(path, "wb") as file:
            file.write(content)
        yield path
    except BaseException as error:
        if _differs(path, content):
            click.echo(f"Your text is kept in {path}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise Failure(f"{error.filename or path}: {error.strerror}") from None
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _file_name(key: str) -> str:
    """The key's last part, whose ending tells an editor what it is, without what a shell acts upon: click 8.1 hands it to one."""
    return re.sub(r"[^\w.+-]", "_", key.rstrip("/").rpartition("/")[2][-100:], flags=re.ASCII).lstrip("-.") or "value"


def _differs(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() != content
    except OSError:
        return False


def _content(value: str | None) -> bytes:
    if value is None or value == "-":
        return sys.stdin.buffer.read()
    if not value.startswith("@"):
        return os.fsencode(value)
    try:
        with open(value[1:], "rb") as file:
            return file.read()
    except OSError as error:
        raise click.UsageError(f"{value[1:]} can't be read: {error.strerror}") from None

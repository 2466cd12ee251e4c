# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How results are shown: tables for people, JSON for programs."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .base import escaped, wants_json

# What JSON leaves as it is: DEL, the control characters of Latin-1, halves of characters.
_ACTING = re.compile("[\x7f-\x9f\ud800-\udfff]")
_STYLES = {"passing": "green", "ok": "green", "warning": "yellow", "critical": "red", "maintenance": "blue"}


def show(context: click.Context, data: Any, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The data as JSON where that is asked for, else the rows as a table."""
    if wants_json(context):
        click.echo(as_json(data, indent=2))
    else:
        table(head, rows)


def as_json(data: Any, indent: int | None = None) -> str:
    """The data as JSON, which is the same data also where a character would act on a terminal or can't be written as UTF-8."""
    return _ACTING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(data, ensure_ascii=False, indent=indent))


def json_line(data: Any) -> None:
    """One line of JSON, which a program gets at once."""
    click.echo(as_json(data))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in head:
        made.add_column(name, no_wrap=True)
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    # A line that is longer than the terminal is for the terminal to break: nothing is left out.
    console = Console(highlight=False, width=100_000)
    with console.capture() as captured:
        console.print(made)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def plain(value: Any) -> str:
    """The value on one line, without characters that would act on a terminal."""
    text = "" if value is None else ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return escaped(text)


def excerpt(value: bytes, length: int = 60) -> str:
    """The beginning of a key's value, for a table."""
    try:
        text = plain(value.decode())
    except UnicodeDecodeError:
        return f"({len(value)} bytes)"
    return text if len(text) <= length else f"{text[:length]}..."


def entry_as_json(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the KV store; a value that is no text is `null`, with base64 beside it."""
    shown = dict(entry)
    try:
        shown["value"] = entry["value"].decode()
    except UnicodeDecodeError:
        shown["value"] = None
        shown["base64"] = base64.b64encode(entry["value"]).decode()
    return shown


def _cell(value: Any) -> Text:
    text = plain(value)
    return Text(text, style=_STYLES.get(text, ""))

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Judges of arguments: what they return may be sent to Consul, everything else is refused before a request is made.

Each takes the value and *what* it is, which is the argument's name as its caller knows it, and raises
`InvalidValueError`, which says name, value and what would be right. A long value is shown by its beginning only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from . import protocol
from .errors import InvalidValueError

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Names are segments of paths; a longer one is a mistake.
LONGEST_NAME = 512


def shown(value: object) -> str:
    """The value for a message, cut so that a huge one does not fill a log."""
    cut = isinstance(value, (str, bytes)) and len(value) > 80
    try:
        said = repr(value[:80] if isinstance(value, (str, bytes)) else value)
    except Exception:  # a number too long to be written, or an object that can't be shown
        said = f"a value of type {type(value).__name__}"
    return f"{said[:100]}..." if cut or len(said) > 100 else said


def text(value: object, what: str, most: int = 65536) -> str:
    """A text that may be empty, of at most *most* characters, and that can be written as UTF-8."""
    if not isinstance(value, str):
        raise InvalidValueError(f"{what}: {shown(value)} is no text")
    if len(value) > most:
        raise InvalidValueError(f"{what}: is {len(value)} characters long, and may have {most} at most")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValueError(f"{what}: {shown(value)} holds half a character (a surrogate), which UTF-8 can't hold") from None
    return value


def name(value: object, what: str) -> str:
    """A name: not empty nor blank, no control characters, at most `LONGEST_NAME` characters."""
    if not isinstance(value, str) or not value.strip() or value in (".", "..") or _UNPRINTABLE.search(value):
        raise InvalidValueError(f"{what}: {shown(value)} is no name")
    return text(value, what, LONGEST_NAME)


def datacenter(value: object, what: str = "datacenter") -> str | None:
    """The name of a datacenter, or `None` where none is given."""
    if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_NAME and re.fullmatch(r"[\w-]+", value, re.ASCII)):
        raise InvalidValueError(f"{what}: {shown(value)} is no name of a datacenter", advice="It has letters, digits, - and _ only")
    return value


def session(value: object, what: str = "session") -> str:
    """The id of a session, as Consul makes them."""
    if not isinstance(value, str) or not _SESSION.fullmatch(value):
        raise InvalidValueError(f"{what}: {shown(value)} is no id of a session", advice="It is the text that creating a session gave")
    return value


def boolean(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError(f"{what}: {shown(value)} is neither True nor False")
    return value


def integer(value: object, what: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number from *least* to *most*."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidValueError(f"{what}: {shown(value)} is no whole number from {least} to {most}")
    return value


def seconds(value: object, what: str, least: float = 0.0, most: float = 86400.0) -> float:
    """A number of seconds from *least* to *most*."""
    # Converting a huge whole number would raise an error of its own; comparing it does not.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidValueError(f"{what}: {shown(value)} is no number of seconds from {least:g} to {most:g}")
    return float(value)


def duration(value: object, what: str, least: float = 0.0, most: float = math.inf) -> float:
    """The seconds of a duration, given as such or as Consul writes one (`10s`, `1m30s`), from *least* to *most*."""
    given = value
    if isinstance(value, str):
        try:
            given = protocol.seconds(text(value, what, 100))
        except InvalidValueError:
            raise InvalidValueError(f"{what}: {shown(value)} is no duration such as 10s or 1m30s") from None
    bad = not isinstance(given, (int, float)) or isinstance(given, bool)
    if bad or not least <= given <= most or given == math.inf:  # type: ignore[operator]
        limits = f"at least {least:g} s" if most == math.inf else f"from {least:g} to {most:g} s"
        raise InvalidValueError(f"{what}: {shown(value)} is no duration {limits}", advice="Give seconds, or a text such as 10s or 1m30s")
    return float(given)  # type: ignore[arg-type]


def choice(value: object, what: str, choices: Sequence[str]) -> str:
    """One of *choices*."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidValueError(f"{what}: {shown(value)} is none of {', '.join(choices)}")
    return value


def function(value: object, what: str) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise InvalidValueError(f"{what}: {shown(value)} is no function")
    return value

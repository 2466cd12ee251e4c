# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Judges of arguments: what they return may be sent to Consul, everything else is refused before a request is made.

Each takes the value and *what* it is, which is the argument's name as its caller knows it, and raises
`InvalidValueError`, which says name, value and what would be right. A long value is shown by its beginning only.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .errors import InvalidValueError

if TYPE_CHECKING:
    from .api import Api

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Names are segments of paths; a longer one is a mistake.
LONGEST_NAME = 512


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Errors from inside say where they were found: `checks[2]` before the name of the argument; nothing for an empty place."""
    try:
        yield
    except InvalidValueError as error:
        raise InvalidValueError(f"{place}: {error.problem}" if place else error.problem, advice=error.advice) from None


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
    # Everything below stands on the judges.
    from . import protocol

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


def client(value: Api | None) -> Api:
    """An `Api` or `Client`; `None` makes one from the environment."""
    if value is None:
        from .api import Api

        return Api()
    asks = getattr(value, "request", None)
    if not callable(asks) or iscoroutinefunction(asks):
        raise InvalidValueError(f"client: {shown(value)} is neither an Api nor a Client")
    return value


def is_id(value: object) -> bool:
    """Whether it has the form of the ids that Consul makes for sessions, prepared queries and events."""
    return isinstance(value, str) and bool(_SESSION.fullmatch(value))


def names(value: object, what: str, most: int = 1000) -> list[str]:
    """Several names, each as `name` has it. A single text is refused: it would be taken for a list of letters."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidValueError(f"{what}: {shown(value)} is no list of names")
    judged: list[str] = []
    for one in value:
        if len(judged) == most:
            raise InvalidValueError(f"{what}: has more than {most} names")
        judged.append(name(one, what))
    return judged


def texts(value: object, what: str, most: int = 64) -> dict[str, str]:
    """Texts by their names, as metadata is; an empty text is one."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(f"{what}: {shown(value)} is no mapping of names to texts")
    if len(value) > most:
        raise InvalidValueError(f"{what}: has {len(value)} entries, and may have {most} at most")
    return {name(key, what): text(given, f"{what} {shown(key)}", LONGEST_NAME) for key, given in value.items()}


def fields(value: object, what: str, known: Sequence[str]) -> dict[str, Any]:
    """A mapping that has no other fields than those *known*; each is its caller's to judge."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(f"{what}: {shown(value)} is no mapping with {', '.join(known)}")
    for field in value:
        if not isinstance(field, str) or field not in known:
            raise InvalidValueError(f"{what}: {shown(field)} is none of {', '.join(known)}")
    return dict(value)


def path_name(value: object, what: str) -> str:
    """A name, quoted as one segment of a path; its slashes are quoted, too."""
    return quote(name(value, what), safe="")


def file_path(value: object, what: str) -> str:
    """The path of a file; one that begins with `~` is in somebody's home."""
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 4096:
        raise InvalidValueError(f"{what}: {shown(value)} is no path of a file")
    return os.path.expanduser(text(value, what))

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of keys as Ansible has them: what is stored for one, and what is made of those that are stored."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any, Dict

from .uwsgi_consul import keys
from .uwsgi_consul.errors import InvalidValueError
from .uwsgi_consul.kv import KV

Entry = Dict[str, Any]


def stored(value: Any, encoding: str, what: str) -> bytes:
    """The bytes for a value as YAML has it: text as it stands, everything else as JSON, without spaces: `true`, `8080`, `["a","b"]`."""
    if isinstance(value, bytes):
        return keys.content(value, what)
    if encoding == "base64":
        try:
            return keys.content(base64.b64decode("".join(value.split()), validate=True), what)
        except (AttributeError, binascii.Error, UnicodeError, ValueError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise InvalidValueError(f"{what}: is not in base64", advice="With encoding=base64 all values are") from None
    if value is None:
        raise InvalidValueError(f"{what}: is null, which a key can't hold", advice="Write '' for an empty value")
    if isinstance(value, str):
        return keys.content(value, what)
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_date)
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError(f"{what}: can't be written as JSON") from None
    return keys.content(json.loads(written) if isinstance(value, datetime.date) else written, what)


def _date(value: object) -> str:
    # YAML makes dates of texts that look so; Ansible hands them over in this form, too.
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError


def text(entry: Mapping[str, Any], encoding: str) -> str:
    """The value of an entry, as it is or in base64; raises `InvalidValueError` for one that is no text."""
    if encoding == "base64":
        return base64.b64encode(entry["value"]).decode()
    try:
        return keys.text(entry)
    except InvalidValueError as error:
        raise InvalidValueError(error.problem, advice="Read it with encoding=base64") from None


def tree(kv: KV, folder: str, what: str, decode: Callable[[Entry], Any]) -> dict[str, Any]:
    """A folder as a nested mapping, with what *decode* makes of key and value of each entry; empty where nothing is.

    what: the option that names the folder, for errors. Raises `ConsulError`.
    """
    prefix = keys.folder(folder, what)
    try:
        found = keys.nested(kv.tree(prefix), prefix, None)
    except InvalidValueError as error:
        raise InvalidValueError(error.problem, advice="Read it as a list of entries, by its prefix") from None
    return _decoded(found, prefix, decode)


def _decoded(found: Mapping[str, Any], prefix: str, decode: Callable[[Entry], Any]) -> dict[str, Any]:
    return {
        name: _decoded(value, f"{prefix}{name}/", decode) if isinstance(value, dict) else decode({"key": f"{prefix}{name}", "value": value})
        for name, value in found.items()
    }

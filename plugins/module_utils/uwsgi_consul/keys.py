# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What keys and values may be, and how Consul writes them; and folders of keys as nested mappings.

Source: https://developer.hashicorp.com/consul/api-docs/kv
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from . import arguments
from .bound import read
from .errors import InvalidValueError
from .protocol import Answer

# Bytes of a value (Consul's `kv_max_value_size`).
LARGEST_VALUE = 512 * 1024
# Consul sets no limit but that of a request's head (1 MiB, in which a character may need 12 bytes).
LONGEST_KEY = 65536
_DEEPEST = 100


def path(key: object, what: str) -> str:
    """The quoted path of a key or prefix; raises `InvalidValueError` for one that Consul's HTTP API can't address."""
    if not isinstance(key, str) or not key:
        raise InvalidValueError(f"{what}: {arguments.shown(key)} is no key")
    said = arguments.shown(key)
    if len(key) > LONGEST_KEY:
        raise InvalidValueError(f"{what}: {said} has {len(key)} characters, and may have {LONGEST_KEY} at most")
    if key.startswith("/"):
        raise InvalidValueError(f"{what}: {said} must not start with a slash")
    if re.search(r"[\x00-\x1f\x7f]", key):
        raise InvalidValueError(f"{what}: {said} holds a control character")
    # Agents answer 400 to a path with characters that Go calls unprintable.
    if not key.isascii() and any(unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs") for sign in key if sign != " "):
        raise InvalidValueError(f"{what}: {said} holds a character that can't be printed, which Consul's HTTP API refuses")
    if key != key.strip():
        raise InvalidValueError(f"{what}: {said} starts or ends with a space, which Consul's HTTP API refuses")
    # Consul's server cleans paths: it would answer for another key.
    if re.search(r"(^|/)\.{1,2}(/|$)|//", key):
        raise InvalidValueError(f"{what}: {said} has an empty segment, or one that is . or .., which Consul's HTTP API can't address")
    return f"/v1/kv/{quote(key, safe='/')}"


def tree_path(prefix: object, what: str = "prefix") -> str:
    """The path of a prefix, which may be empty for the whole store."""
    return "/v1/kv/" if isinstance(prefix, str) and not prefix else path(prefix, what)


def content(value: object, what: str = "value") -> bytes:
    """A value as the bytes that are stored; the error for a wrong one does not show it, for it may be a secret."""
    if not isinstance(value, (str, bytes)):
        raise InvalidValueError(f"{what}: is neither text nor bytes but of type {type(value).__name__}")
    try:
        stored = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise InvalidValueError(f"{what}: holds half a character (a surrogate), which UTF-8 can't hold") from None
    if len(stored) > LARGEST_VALUE:
        raise InvalidValueError(f"{what}: has {len(stored)} bytes, and Consul stores {LARGEST_VALUE} at most")
    return stored


def flags(value: object) -> int:
    """Flags: a number of 64 bits that Consul keeps with a value, for the user's own use."""
    return arguments.integer(value, "flags", 0, 2**64 - 1)


def entry(item: dict[str, Any]) -> dict[str, Any]:
    """One entry of `/v1/kv/:key`: key, value (bytes), flags, session (the lock's holder, or `None`) and the indexes
    create_index, modify_index and lock_index."""
    return {
        "key": item["Key"],
        "value": base64.b64decode(item["Value"] or "", validate=True),
        "flags": item["Flags"],
        "session": item.get("Session") or None,
        "create_index": item["CreateIndex"],
        "modify_index": item["ModifyIndex"],
        "lock_index": item["LockIndex"],
    }


def entries(answer: Answer) -> list[dict[str, Any]]:
    """The entries of an answer of `/v1/kv/`; none of a 404. Raises `BadAnswerError`."""
    if answer.status == 404:
        return []
    found: list[dict[str, Any]] = read(answer, lambda items: [entry(item) for item in items])
    return found


def text(found: Mapping[str, Any], codec: str = "utf-8") -> str:
    """The value of an entry as text; raises `InvalidValueError`, which does not show it."""
    try:
        return str(found["value"], codec)
    except UnicodeError:
        raise InvalidValueError(f"the value of {found['key']} is not {codec.upper()} text") from None


def encoding(value: object) -> str | None:
    """The name of an encoding of text that Python knows, or `None` for bytes."""
    try:
        if value is None or (isinstance(value, str) and "a".encode(value)):
            return value
    except (LookupError, ValueError):
        pass
    raise InvalidValueError(f"encoding: {arguments.shown(value)} is no encoding of text", advice="Give utf-8, or None for bytes")


def folder(name: object, what: str = "folder") -> str:
    """The prefix of a folder: *name* with one slash at its end; empty for the whole store."""
    if isinstance(name, str) and name:
        path(name, what)
        return name if name.endswith("/") else f"{name}/"
    return "" if name == "" else path(name, what)


def nested(entries: Iterable[Mapping[str, Any]], prefix: str, codec: str | None = "utf-8") -> dict[str, Any]:
    """The entries of a folder as a mapping of names to values, and to mappings for the folders in it.

    A key that ends with a slash and has no value is a folder that somebody made (Consul's UI does): it appears, empty
    if nothing is in it. codec: the encoding of the values; `None` leaves them bytes. Raises `InvalidValueError` for a name that is
    key and folder at the same time, for a mapping can't hold both, and for a value that is no text.
    """
    root: dict[str, Any] = {}
    for found in entries:
        key = str(found["key"])
        *folders, name = key[len(prefix) :].split("/")
        if not name and found["value"]:
            raise InvalidValueError(f"{key}: is a folder that has a value of its own, which a mapping can't hold", advice=_BOTH)
        inner = root
        for position, part in enumerate(folders):
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                both = prefix + "/".join(folders[: position + 1])
                raise InvalidValueError(f"{both}: is a key and a folder at the same time, which a mapping can't hold", advice=_BOTH)
        if name:
            if name in inner:
                raise InvalidValueError(f"{key}: is a key and a folder at the same time, which a mapping can't hold", advice=_BOTH)
            inner[name] = found["value"] if codec is None else text(found, codec)
    return root


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, bytes]:
    """The keys and values that `nested` would make *mapping* of: the inverse. An empty mapping is a folder without keys.

    Values are str (written as UTF-8) or bytes. Raises `InvalidValueError`.
    """
    if not isinstance(mapping, Mapping):
        raise InvalidValueError(f"mapping: {arguments.shown(mapping)} is no mapping")
    found: dict[str, bytes] = {}
    pending = [(prefix, mapping, 1)]
    while pending:
        above, inner, depth = pending.pop()
        for name, value in inner.items():
            if not isinstance(name, str) or not name or "/" in name:
                where = f" in {above!r}" if above else ""
                raise InvalidValueError(f"mapping: {arguments.shown(name)}{where} is no name", advice="A name is a text without a slash")
            if depth > _DEEPEST:
                raise InvalidValueError(f"mapping: is nested deeper than {_DEEPEST} folders, or holds itself")
            key = f"{above}{name}"
            path(key, "mapping")
            if not isinstance(value, Mapping):
                found[key] = content(value, f"value of {key!r}")
            elif value:
                pending.append((f"{key}/", value, depth + 1))
            else:
                found[f"{key}/"] = b""
    return found


_BOTH = "Read it with KV.tree"

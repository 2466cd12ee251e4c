# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul's key/value store.

Source: https://developer.hashicorp.com/consul/api-docs/kv
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .errors import BadAnswerError, InvalidValueError
from .protocol import Answer

if TYPE_CHECKING:
    from .api import Api


def get(client: Api, key: str, *, datacenter: str | None = None) -> dict[str, Any] | None:
    """The entry of a key, as `entry` describes it, or `None` when there is no such key. Raises `ConsulError`."""
    found = _read(client, _path(key, "key"), [], datacenter)
    return found[0] if found else None


def tree(client: Api, prefix: str, *, datacenter: str | None = None) -> list[dict[str, Any]]:
    """The entries of all keys that start with *prefix*, sorted by key; an empty prefix means the whole store.

    Consul compares characters, not path segments: `app` finds `apple` as well, `app/` does not. Raises `ConsulError`.
    """
    path = _path(prefix, "prefix") if prefix else "/v1/kv/"
    return sorted(_read(client, path, [("recurse", "1")], datacenter), key=lambda found: str(found["key"]))


def entry(item: dict[str, Any]) -> dict[str, Any]:
    """One entry of `/v1/kv/:key`: key, value (bytes), flags, session (the lock's holder, or `None`) and the indexes
    create_index, modify_index and lock_index."""
    return {
        "key": item["Key"],
        "value": base64.b64decode(item["Value"] or "", validate=True),
        "flags": item["Flags"],
        "session": item.get("Session"),
        "create_index": item["CreateIndex"],
        "modify_index": item["ModifyIndex"],
        "lock_index": item["LockIndex"],
    }


def _path(key: str, what: str) -> str:
    if not isinstance(key, str) or not key:
        raise InvalidValueError(f"{what}: {key!r} is no key")
    if key.startswith("/"):
        raise InvalidValueError(f"{what}: {key!r} must not start with a slash")
    if re.search(r"[\x00-\x1f\x7f]", key):
        raise InvalidValueError(f"{what}: {key!r} holds a control character")
    # Consul's server cleans paths: it would answer for another key.
    if re.search(r"(^|/)\.{1,2}(/|$)|//", key):
        raise InvalidValueError(f"{what}: {key!r} has an empty segment, or one that is . or .., which Consul's HTTP API can't address")
    return f"/v1/kv/{quote(key, safe='/')}"


def _read(client: Api, path: str, params: list[tuple[str, Any]], datacenter: str | None) -> list[dict[str, Any]]:
    answer: Answer = client.request("GET", path, params + ([("dc", datacenter)] if datacenter else []), allow=(404,))
    if answer.status == 404:
        return []
    try:
        return [entry(item) for item in answer.json()]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise BadAnswerError("the answer is not what Consul's API promises", asked=answer.asked, agent=answer.agent) from None

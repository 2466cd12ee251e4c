# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The uWSGI cache in which the plugin `consul` keeps what it watches, as apps of the same instance read it.

A read takes microseconds and asks nobody. Safe in any thread, and after a fork: the cache lies in shared memory.

Source: docs/plugin.md, What is watched
"""

from __future__ import annotations

import json
from typing import Any, Dict

from . import vassal

DEFAULT_NAME = "consul"
# So many items are remembered as they were decoded; with more of them, all are forgotten and decoded again.
_MOST_REMEMBERED = 2048

_Item = Dict[str, Any]

# By key: the bytes of the cache and what they say. Replaced as a whole, never locked: a worker may be forked at any moment.
_remembered: dict[str, tuple[bytes, _Item]] = {}


def name() -> str:
    """The cache's name: what the option `consul-cache` says."""
    return vassal.last("consul-cache") or DEFAULT_NAME


def available() -> bool:
    """Whether this process is one of a uWSGI whose plugin watches something."""
    return hasattr(vassal.module(), "cache_get") and vassal.has_watches()


def cached(key: str) -> _Item | None:
    """The item of a key such as `service/web?tag=blue`, as docs/plugin.md describes it; `None` where there is none.

    It is decoded when it has changed only, and shared by all who read it: do not change it.
    """
    global _remembered
    raw = _raw(key)
    if raw is None:
        return None
    known = _remembered.get(key)
    if known is not None and known[0] == raw:
        return known[1]
    item = _decode(raw)
    if item is not None:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered = {}
        _remembered[key] = raw, item
    return item


def own(key: str) -> _Item | None:
    """As `cached`, but decoded for this caller alone, who may change it."""
    raw = _raw(key)
    return None if raw is None else _decode(raw)


def _raw(key: str) -> bytes | None:
    uwsgi = vassal.module()
    if not hasattr(uwsgi, "cache_get"):
        return None
    # A cache that does not exist has no items either.
    raw: bytes | None = uwsgi.cache_get(key, name())
    return raw


def _decode(raw: bytes) -> _Item | None:
    """The item, or `None` for what the plugin did not write: somebody else may write to a cache of `cache2`."""
    try:
        item = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return item if isinstance(item, dict) else None

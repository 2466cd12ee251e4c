# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mark by which modules know what they made, and from which definition: a digest, since Consul does not show all of one."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from typing import Any

# What is said of what there is.
SAME, OTHER, NONE = "of this task", "of another task, or an earlier one", "not by this module"
# Who may read the catalog can guess at what a digest was made of. A definition may hold credentials in headers and bodies of
# its checks; then each guess costs this many rounds, and a salt makes it of use for one service only.
_ROUNDS, _ROUNDS_OF_SECRETS = 1, 30000
_SALT_BYTES = 8
_NOTES = re.compile(r"\n?\[uwsgi\.consul ([0-9a-f]{16}:[0-9a-f]{32})\]$")


def make(definition: Mapping[str, Any]) -> str:
    """A mark for what is made of the definition."""
    return _digest(definition, os.urandom(_SALT_BYTES).hex())


def compare(mark: str | None, definition: Mapping[str, Any]) -> str:
    """Which definition a mark is of: `SAME`, `OTHER`, or `NONE` where there is no mark."""
    if mark is None:
        return NONE
    salt = mark.partition(":")[0]
    return SAME if hmac.compare_digest(mark.encode(), _digest(definition, salt).encode()) else OTHER


def notes(text: str, mark: str) -> str:
    """Notes that end with a mark: a check has no other place for one."""
    return f"{text}\n[uwsgi.consul {mark}]" if text else f"[uwsgi.consul {mark}]"


def of_notes(text: str) -> str | None:
    """The mark in notes."""
    found = _NOTES.search(text)
    return found[1] if found else None


def without(text: str) -> str:
    """The notes without their mark."""
    return _NOTES.sub("", text)


def _digest(definition: Mapping[str, Any], salt: str) -> str:
    content = json.dumps(definition, sort_keys=True)
    rounds = _ROUNDS_OF_SECRETS if '"Header"' in content or '"Body"' in content else _ROUNDS
    return f"{salt}:{hashlib.pbkdf2_hmac('sha256', content.encode(), salt.encode(), rounds, 16).hex()}"

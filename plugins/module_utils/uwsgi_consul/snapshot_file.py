# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What was known last, in files: for a start at which Consul is away.

Each file is readable by its owner only, and is replaced as a whole, so that readers find the old text or the new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from typing import Any
from urllib.parse import quote

from .errors import InvalidValueError
from .files import replacing
from .watched import Snapshot

# Files of another layout are not read.
_FORMAT = 1
# A larger file was not written by this module, in bytes.
_LARGEST = 256 * 1024 * 1024

log = logging.getLogger("uwsgi_consul")


class SnapshotFile:
    """The file in *directory* for what is known by *name* from asking *asked*.

    The directory is made when it is missing. Raises `InvalidValueError` where it can't be.
    """

    def __init__(self, directory: str, name: str, asked: str) -> None:
        self._asked = asked
        # Quoting leaves neither slashes nor, thanks to what follows, a name of dots only.
        digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self.path = os.path.join(directory, f"{quote(name, safe='')[:100]}-{digest}.json")
        self._failed = False
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise InvalidValueError(f"directory: {directory} can't be made: {error.strerror}") from None

    def read(self) -> Snapshot | None:
        """What the file says, stale since it was last confirmed; `None` for a file that is missing, broken or of another question."""
        try:
            with open(self.path, "rb") as file:
                said = json.loads(file.read(_LARGEST))
            if said["format"] != _FORMAT or said["asked"] != self._asked or not isinstance(said["value"], list):
                return None
            # A clock that was wrong must not make it look newer than anything can be.
            confirmed = min(_time(said["confirmed"]), time.time())
            return Snapshot(said["value"], 0, min(_time(said["changed"]), confirmed), confirmed, stale_since=confirmed)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s can't be read, so what was known last is lost: %s", self.path, error)
            return None

    def write(self, snapshot: Snapshot) -> None:
        """Replaces the file. That it can't be written is logged once."""
        try:
            self._write(snapshot)
            self._failed = False
        except (OSError, TypeError, ValueError) as error:
            if not self._failed:
                log.warning("%s can't be written: %s", self.path, error)
            self._failed = True

    def age(self) -> float:
        """Seconds since any process wrote the file; infinite when there is none."""
        try:
            return time.time() - os.stat(self.path).st_mtime
        except OSError:
            return math.inf

    def _write(self, snapshot: Snapshot) -> None:
        said: dict[str, Any] = {
            "format": _FORMAT,
            "asked": self._asked,
            "changed": snapshot.changed,
            "confirmed": snapshot.confirmed,
            "value": snapshot.value,
        }
        text = json.dumps(said, separators=(",", ":")).encode()
        with replacing(self.path) as file:
            file.write(text)


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e11:
        raise ValueError(f"{value!r} is no time")
    return float(value)

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is known of a request that is watched: its newest answer, since when it stands, and whether it can be vouched for.

`watcher.py` asks; here is what becomes of the answers, and of their absence.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from .errors import BadAnswerError, ConsulError
from .pace import Pace
from .protocol import Answer, excerpt
from .settings import Settings
from .sharing import Params


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What a watch knows.

    value: what `decode` made of the newest answer. index: Consul's index of it. Unix seconds: changed (when this process
    first saw this value), confirmed (when Consul last stood by it), stale_since (`None` while it does; else since when
    the value can't be vouched for).
    """

    value: Any
    index: int
    changed: float
    confirmed: float
    stale_since: float | None = None

    @property
    def age(self) -> float:
        """Seconds since Consul last confirmed the value."""
        return max(0.0, time.time() - self.confirmed)


class Asker(Protocol):
    """Who asks a query, until `leave`."""

    settings: Settings

    def leave(self, query: Query) -> None: ...

    def note_failure(self, query: Query, error: ConsulError) -> None: ...

    def note_success(self, query: Query) -> None: ...


class Query:
    """One request and its newest answer, for any number of watches that are equal."""

    def __init__(self, watcher: Asker, path: str, params: Params, decode: Callable[[Answer], Any], known: Snapshot | None) -> None:
        self.watcher, self.path, self.params, self.decode = watcher, path, params, decode
        self.asked = f"GET {path}"
        self.datacenter = dict(params).get("dc") or watcher.settings.datacenter or ""
        self.snapshot = known
        self.error: ConsulError | None = None
        self.settled = threading.Event()
        self.users = 0
        # For the watcher: the index to wait for, and whether there was an answer since the link was lost.
        self.index, self.fresh = 0, False
        self.pace = Pace(interval=0.1, burst=10)
        self._digest: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Snapshot], None]] = []

    def add_listener(self, tell: Callable[[Snapshot], None], told: Snapshot | None = None) -> None:
        """*tell* gets each new snapshot, and at once the one that is there, unless its value was *told* already."""
        # What is told with the lock arrives in the order in which it happened. To tell is not to wait.
        with self._lock:
            self._listeners.append(tell)
            snapshot = self.snapshot
            if snapshot is not None and (told is None or told.value != snapshot.value):
                tell(snapshot)

    def remove_listener(self, tell: Callable[[Snapshot], None]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._listeners.remove(tell)

    async def take(self, answer: Answer, moved: bool) -> float:
        """Takes an answer; gives the seconds of processor time that it took. Raises `BadAnswerError`."""
        started = time.thread_time()
        self.accept(answer)
        return time.thread_time() - started

    def accept(self, answer: Answer) -> None:
        """Raises `BadAnswerError`."""
        digest, now, old = (answer.status, hash(answer.content)), time.time(), self.snapshot
        if old is None or digest != self._digest:
            value = self._decoded(answer)
            changed = old is None or value != old.value
        else:
            value, changed = old.value, False
        self._digest = digest
        # A server that has lost its leader may lag behind, which only those hear of who ask for stale reads. What an agent
        # gets by streaming always says that there is none.
        confirmed = now - (answer.last_contact or 0.0)
        lost_leader = answer.known_leader is False and answer.headers["X-Consul-Query-Backend"] != "streaming"
        stale_since = confirmed if lost_leader else None
        snapshot = Snapshot(value, answer.index, now if old is None or changed else old.changed, confirmed, stale_since)
        with self._lock:
            self.snapshot, self.error, self.fresh = snapshot, None, True
            for tell in self._listeners if changed else ():
                tell(snapshot)
        self.settled.set()
        self.watcher.note_success(self)

    def fail(self, error: ConsulError) -> None:
        """There is no usable answer to this request, though Consul answers others."""
        self.watcher.note_failure(self, error)
        self.lose(error)

    def lose(self, error: ConsulError) -> None:
        """What is known can't be vouched for any more."""
        self.fresh, self.index, self.error = False, 0, error
        self.doubt()
        self.settled.set()

    def doubt(self) -> None:
        """Nobody vouches for the value at the moment."""
        if self.snapshot is not None and self.snapshot.stale_since is None:
            self.snapshot = dataclasses.replace(self.snapshot, stale_since=self.snapshot.confirmed)

    def hope(self) -> None:
        """Consul is there again: who asks for the first answer may wait for it."""
        if self.snapshot is None:
            self.error = None
            self.settled.clear()

    def confirm(self, now: float) -> None:
        """Consul is there and has sent nothing else: the value still stands."""
        if self.fresh and self.snapshot is not None:
            self.snapshot = dataclasses.replace(self.snapshot, confirmed=now, stale_since=None)

    def _decoded(self, answer: Answer) -> Any:
        try:
            return self.decode(answer)
        except ConsulError:
            raise
        except Exception as error:
            raise BadAnswerError(
                f"the answer is not what Consul's API promises ({type(error).__name__}): {excerpt(answer.text, 100)}",
                asked=answer.asked,
                agent=answer.agent,
            ) from None

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A semaphore that processes on any number of hosts share.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from . import arguments, background, keys
from .api import Api
from .claim import SEMAPHORE_FLAGS, Claim, Entry, Operation, Outcome, Reading, encoded
from .holding import Holding
from .lease import Terms
from .lock import value_of
from .settings import Settings

MOST_HOLDERS = 10000


class Semaphore(Holding):
    """At most *limit* holders at a time: `with Semaphore("app/imports", 3): ...`, also `async with`, or `acquire` and `release`.

    prefix: under which its keys lie, as `consul lock -n` and Consul's library for Go lay them out: `PREFIX/.lock` says who holds it and
    the limit, and each holder has a key of its own. limit: the same for all; another one than is there is refused. value: what the
    holder's own key says, for people. The rest is as for `Lock`.

    What holds and what can't is as for `Lock`, with a lease of nine tenths of the TTL, and with one difference: a semaphore
    has no lock delay, for Consul knows it for locks only. A session that ends otherwise than by its TTL frees its place at once, and its
    holder hears of it with the next answer of Consul. `token` grows with each holder, so that of two holders of the same place the later
    one has the larger. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        prefix: str,
        limit: int,
        *,
        client: Api | None = None,
        value: str | bytes | None = None,
        ttl: float | str = 15.0,
        wait: float | None = None,
        name: str | None = None,
        node_checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        on_lost: Callable[[str], Any] | None = None,
    ) -> None:
        keys.path(prefix, "prefix")
        self.prefix, self.limit = prefix.rstrip("/"), arguments.integer(limit, "limit", 1, MOST_HOLDERS)
        self._value = value_of(value) or b""
        session_name = f"Semaphore {prefix}"[: arguments.LONGEST_NAME] if name is None else name
        # The holder's own key goes with the session.
        terms = Terms.judge(session_name, ttl, 0, "delete", node_checks, service_checks)
        super().__init__(client, terms, wait, on_lost)

    def __repr__(self) -> str:
        return f"Semaphore({self.prefix!r}, {self.limit}, client={self.client!r})"

    @property
    def _what(self) -> str:
        return f"the semaphore {self.prefix}"

    def _new_claim(self) -> Claim:
        return _PlaceClaim(self.client.settings, self._terms, self._what, self.prefix, self.limit, self._value)


class _PlaceClaim(Claim):
    """A claim of one of the places of a semaphore."""

    def __init__(self, settings: Settings, terms: Terms, what: str, prefix: str, limit: int, value: bytes) -> None:
        super().__init__(settings, terms, what)
        self.prefix, self.limit, self.value = prefix, limit, value
        self.key = f"{prefix}/.lock"

    def _reading(self) -> Reading:
        return Reading(background.api(self.settings), keys.path(f"{self.prefix}/", "prefix"), recurse=True)

    async def _try(self, entries: list[Entry]) -> Outcome:
        self.token = self._token_of(entries)
        if self.token:
            return Outcome.GRANTED
        holders = self._holders(entries)
        if len(holders) >= self.limit:
            return Outcome.TAKEN
        session = await self.live_session()
        own = {
            "Verb": "lock",
            "Key": self._own_key(session.id),
            "Value": encoded(self.value),
            "Flags": SEMAPHORE_FLAGS,
            "Session": session.id,
        }
        return await self.attempt(session, [own, self._store(entries, [*holders, session.id])])

    def _token_of(self, entries: list[Entry]) -> int:
        session = self.session.id if self.session is not None else ""
        own = next((entry for entry in entries if session and entry["session"] == session), None)
        return int(own["modify_index"]) if own is not None and session in self._holders(entries) else 0

    def _release(self, entries: list[Entry], session: str) -> list[Operation]:
        others = [holder for holder in self._holders(entries) if holder != session]
        return [self._store(entries, others), {"Verb": "delete", "Key": self._own_key(session)}]

    def _holders(self, entries: list[Entry]) -> list[str]:
        """The sessions that hold it, of those that are alive; raises `ConflictError` where the key lists something else."""
        listing = self._listing(entries)
        if listing is None:
            return []
        said: Any = None
        if listing["flags"] == SEMAPHORE_FLAGS:
            try:
                said = json.loads(listing["value"])
            except ValueError:
                said = None
        limit, holders = (said.get("Limit"), said.get("Holders")) if isinstance(said, dict) else (None, None)
        if not isinstance(limit, int) or not isinstance(holders or {}, dict):
            self.conflict(f"{self.key} is there and has another use", "Take another prefix, or delete the key")
        if limit != self.limit:
            self.conflict(
                f"its limit is {limit}, not {self.limit}", f"All must give the same; to change it, delete {self.key} while nobody holds it"
            )
        alive = {entry["session"] for entry in entries if entry["session"]}
        return [holder for holder in holders or {} if holder in alive]

    def _store(self, entries: list[Entry], holders: list[str]) -> Operation:
        """Stores who holds it, if that has not changed since it was read."""
        listing = self._listing(entries)
        value = encoded(json.dumps({"Limit": self.limit, "Holders": dict.fromkeys(holders, True)}).encode())
        index = listing["modify_index"] if listing is not None else 0
        return {"Verb": "cas", "Key": self.key, "Index": index, "Value": value, "Flags": SEMAPHORE_FLAGS}

    def _listing(self, entries: list[Entry]) -> Entry | None:
        return next((entry for entry in entries if entry["key"] == self.key), None)

    def _own_key(self, session: str) -> str:
        return f"{self.prefix}/{session}"

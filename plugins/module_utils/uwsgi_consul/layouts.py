# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How locks and semaphores lie in the key/value store, as `consul lock` and Consul's library for Go lay them out.

A layout says what must be read, who holds it by what was read, and which operations of one transaction acquire or release
it. It neither asks nor waits, so that whatever holds something, in an event loop or not, does it in the same way.

Sources: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions and .../api-docs/txn
"""

from __future__ import annotations

import abc
import base64
import enum
import json
from collections.abc import Sequence
from typing import Any, Dict, Mapping, NoReturn

from . import keys
from .errors import BadRequestError, ConflictError, PermissionDeniedError
from .protocol import Answer, excerpt

# The marks that Consul's own library for Go leaves in a key's flags, so that `consul lock` and we understand each other.
LOCK_FLAGS, SEMAPHORE_FLAGS = 0x2DDCCBC058A50C18, 0xE0F69A2BAA414DE0

Entry = Dict[str, Any]
Operation = Mapping[str, Any]


class Outcome(enum.Enum):
    """What came of a try."""

    GRANTED = "it is ours"
    TAKEN = "others have it"
    DELAYED = "nobody has it, and nobody may for a while: the lock delay"
    CHANGED = "it has changed since it was read"
    ENDED = "the session has ended"


class Layout(abc.ABC):
    """Something that is held.

    what: it is, for messages. path, params: of the request that reads it; what it answers are the *entries* below, as
    `keys.entries` gives them. session: the id of one that holds it, or asks for it.
    """

    what: str
    path: str
    params: tuple[tuple[str, Any], ...] = ()

    @abc.abstractmethod
    def holders(self, entries: Sequence[Entry]) -> list[str]:
        """The sessions that hold it. Raises `ConflictError` where what is there has another use."""

    @abc.abstractmethod
    def is_taken(self, entries: Sequence[Entry]) -> bool:
        """Whether nobody else may have it just now. Raises `ConflictError` where what is there has another use."""

    @abc.abstractmethod
    def token(self, entries: Sequence[Entry], session: str) -> int:
        """The fencing token if it is the session's, else 0."""

    @abc.abstractmethod
    def acquisition(self, entries: Sequence[Entry], session: str, value: bytes | None) -> list[Operation]:
        """The operations that give it to the session. value: what its key says from then on; `None` leaves what it has."""

    @abc.abstractmethod
    def release(self, entries: Sequence[Entry], session: str, behavior: str) -> list[Operation]:
        """The operations that release what is the session's. behavior: `delete` deletes the key of a lock."""

    def conflict(self, problem: str, advice: str = "") -> NoReturn:
        raise ConflictError(f"{self.what}: {problem}", advice=advice)


class KeyLayout(Layout):
    """A key, which is held by its session. flags: that the key must have, and gets."""

    def __init__(self, what: str, key: str, flags: int = LOCK_FLAGS) -> None:
        self.what, self.key, self.flags = what, key, flags
        self.path = keys.path(key, "key")

    def holders(self, entries: Sequence[Entry]) -> list[str]:
        return [entry["session"] for entry in entries if entry["session"]]

    def is_taken(self, entries: Sequence[Entry]) -> bool:
        if self.holders(entries):
            return True
        # Who stores a value in a key that he holds takes its mark away; it is there again when he has released it.
        for entry in entries:
            if entry["flags"] != self.flags:
                self.conflict(f"the key is there, with the flags {entry['flags']}: it has another use", "Take another key, or delete it")
        return False

    def token(self, entries: Sequence[Entry], session: str) -> int:
        # Not LockIndex: it starts again when the key is deleted, and becomes 0 when somebody stores a value without a lock.
        return next((int(entry["modify_index"]) for entry in entries if session and entry["session"] == session), 0)

    def acquisition(self, entries: Sequence[Entry], session: str, value: bytes | None) -> list[Operation]:
        entry = entries[0] if entries else None
        kept: bytes = entry["value"] if entry is not None else b""
        # In one transaction, so that no value is overwritten that was stored since it was read.
        unchanged = {"Verb": "check-not-exists", "Key": self.key} if entry is None else self._unchanged(entry)
        return [unchanged, self._operation("lock", session, kept if value is None else value)]

    def release(self, entries: Sequence[Entry], session: str, behavior: str) -> list[Operation]:
        entry = entries[0]
        if behavior == "delete":
            ours = {"Verb": "check-session", "Key": self.key, "Session": session}
            return [ours, {"Verb": "delete-cas", "Key": self.key, "Index": entry["modify_index"]}]
        return [self._unchanged(entry), self._operation("unlock", session, entry["value"])]

    def _unchanged(self, entry: Entry) -> Operation:
        return {"Verb": "check-index", "Key": self.key, "Index": entry["modify_index"]}

    def _operation(self, verb: str, session: str, value: bytes) -> Operation:
        return {"Verb": verb, "Key": self.key, "Value": _encoded(value), "Flags": self.flags, "Session": session}


class PlacesLayout(Layout):
    """A semaphore of *limit* places: `PREFIX/.lock` says who holds it and the limit, and each holder has a key of its own."""

    def __init__(self, what: str, prefix: str, limit: int) -> None:
        self.what, self.prefix, self.limit = what, prefix, limit
        self.key = f"{prefix}/.lock"
        self.path, self.params = keys.path(f"{prefix}/", "prefix"), (("recurse", "1"),)

    def holders(self, entries: Sequence[Entry]) -> list[str]:
        """Those that are alive."""
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

    def is_taken(self, entries: Sequence[Entry]) -> bool:
        return len(self.holders(entries)) >= self.limit

    def token(self, entries: Sequence[Entry], session: str) -> int:
        own = next((entry for entry in entries if session and entry["session"] == session), None)
        return int(own["modify_index"]) if own is not None and session in self.holders(entries) else 0

    def acquisition(self, entries: Sequence[Entry], session: str, value: bytes | None) -> list[Operation]:
        own = {
            "Verb": "lock",
            "Key": self._own_key(session),
            "Value": _encoded(value or b""),
            "Flags": SEMAPHORE_FLAGS,
            "Session": session,
        }
        return [own, self._store(entries, [*self.holders(entries), session])]

    def release(self, entries: Sequence[Entry], session: str, behavior: str) -> list[Operation]:
        others = [holder for holder in self.holders(entries) if holder != session]
        return [self._store(entries, others), {"Verb": "delete", "Key": self._own_key(session)}]

    def _store(self, entries: Sequence[Entry], holders: list[str]) -> Operation:
        """Stores who holds it, if that has not changed since it was read."""
        listing = self._listing(entries)
        value = _encoded(json.dumps({"Limit": self.limit, "Holders": dict.fromkeys(holders, True)}).encode())
        index = listing["modify_index"] if listing is not None else 0
        return {"Verb": "cas", "Key": self.key, "Index": index, "Value": value, "Flags": SEMAPHORE_FLAGS}

    def _listing(self, entries: Sequence[Entry]) -> Entry | None:
        return next((entry for entry in entries if entry["key"] == self.key), None)

    def _own_key(self, session: str) -> str:
        return f"{self.prefix}/{session}"


def transaction(operations: Sequence[Operation]) -> str:
    """The body of the request that does all the operations on keys, or none."""
    return json.dumps([{"KV": operation} for operation in operations])


def committed(answer: Answer, what: str) -> tuple[str, list[Entry]]:
    """Why none of a transaction's operations was done, which is empty when all were, and their results.

    answer: of the status 200 or 409. what: is held, for the message. Raises `PermissionDeniedError`, `BadAnswerError`.
    """
    found = answer.json()
    try:
        if answer.status == 200:
            return "", [result["KV"] for result in found["Results"]]
        reasons = "; ".join(error["What"] for error in found["Errors"])
    except (KeyError, TypeError, ValueError):
        raise answer.bad() from None
    if "Permission denied" in reasons:
        raise PermissionDeniedError(
            f"{answer.status} {excerpt(reasons)}",
            asked=answer.asked,
            agent=answer.agent,
            advice=f"The token needs key:write for {what}",
            status=answer.status,
            answer=reasons,
        )
    return reasons or "refused without a reason", []


def outcome(reasons: str, results: Sequence[Entry], session: str) -> tuple[Outcome, int]:
    """What came of the operations of an acquisition, and the token; raises `BadRequestError` for a reason that nobody knows."""
    if not reasons:
        token = next((int(result["ModifyIndex"]) for result in results if result.get("Session") == session), 0)
        return (Outcome.GRANTED if token else Outcome.CHANGED), token
    if "invalid session" in reasons:
        return Outcome.ENDED, 0
    if "lock delay" in reasons:
        return Outcome.DELAYED, 0
    if any(sign in reasons for sign in ("index check", "check index", "exists", "already held", "stale")):
        return Outcome.CHANGED, 0
    raise BadRequestError(f"409 {excerpt(reasons)}", asked="PUT /v1/txn", status=409, answer=reasons)


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of Consul locks need, in memory, so that each of its answers can get lost: sessions, keys, transactions.

How it refuses is in the words of Consul 1.22.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import seconds


class Store:
    """The answers of an agent. fault: what becomes of a request (by its method and path): `lose` its answer after it was done, `drop`
    it, or an answer in its place."""

    def __init__(self, reply: Callable[..., bytes]) -> None:
        self._reply, self._lock = reply, threading.Lock()
        self.index = 10
        self.sessions: dict[str, dict] = {}
        self.keys: dict[str, dict] = {}
        self.delayed: set[str] = set()
        self.seen: list[str] = []
        self.fault: Callable[[str], str | bytes | None] = lambda _request: None

    def __call__(self, received) -> bytes | None:
        parts = urlsplit(received.target)
        params = parse_qs(parts.query, keep_blank_values=True)
        request = f"{received.method} {parts.path}"
        fault = self.fault(request)
        self.seen.append(request)
        if isinstance(fault, bytes):
            return fault
        if fault == "drop":
            return None
        answer = self._answer(received, unquote(parts.path), params)
        return None if fault == "lose" else answer

    def entry(self, key: str) -> dict | None:
        return self.keys.get(key)

    def put(self, key: str, value: bytes, session: str | None = None, flags: int = 0) -> None:
        """What a stranger does."""
        with self._lock:
            self._store(key, value, flags, session)

    def end_session(self, session: str) -> None:
        with self._lock:
            self._end_session(session)

    def _answer(self, received, path: str, params: dict) -> bytes:
        if path == "/v1/session/create":
            with self._lock:
                session = str(uuid.uuid4())
                self.sessions[session] = json.loads(received.body)
            return self._reply(json.dumps({"ID": session}))
        if path.startswith("/v1/session/renew/"):
            session = path.rpartition("/")[2]
            known = self.sessions.get(session)
            if known is None:
                return self._reply("Session id not found", 404)
            made = {"Node": "node1", "LockDelay": 0, "Behavior": known.get("Behavior", "release"), "TTL": known.get("TTL", "")}
            return self._reply(json.dumps([{"ID": session, **made, "CreateIndex": 1, "ModifyIndex": 1}]))
        if path.startswith("/v1/session/destroy/"):
            self.end_session(path.rpartition("/")[2])
            return self._reply("true")
        if path == "/v1/txn":
            with self._lock:
                return self._transaction([operation["KV"] for operation in json.loads(received.body)])
        return self._read(path[len("/v1/kv/") :], params)

    def _read(self, key: str, params: dict) -> bytes:
        until = time.monotonic() + min(5, seconds(params.get("wait", ["5s"])[0]))
        while "index" in params and int(params["index"][0]) >= self.index and time.monotonic() < until:
            time.sleep(0.005)
        with self._lock:
            found = [entry for name, entry in self.keys.items() if name == key or ("recurse" in params and name.startswith(key))]
            return self._reply(json.dumps(found), 200 if found else 404, X_Consul_Index=str(self.index))

    def _transaction(self, operations: list[dict]) -> bytes:
        errors = [{"OpIndex": number, "What": what} for number, one in enumerate(operations) if (what := self._refusal(one))]
        if errors:
            return self._reply(json.dumps({"Results": None, "Errors": errors}), 409)
        results = []
        self.index += 1
        for one in operations:
            if one["Verb"] in ("lock", "unlock", "cas"):
                entry = self.keys.get(one["Key"], {})
                session = {"lock": one.get("Session"), "unlock": None}.get(one["Verb"], entry.get("Session"))
                self._store(one["Key"], base64.b64decode(one["Value"]), one["Flags"], session, self.index)
                results.append({"KV": {**self.keys[one["Key"]], "Value": None}})
            elif one["Verb"].startswith("delete"):
                self.keys.pop(one["Key"], None)
        return self._reply(json.dumps({"Results": results, "Errors": None}))

    def _refusal(self, one: dict) -> str:
        entry = self.keys.get(one["Key"])
        index = entry["ModifyIndex"] if entry else 0
        holder = entry.get("Session") if entry else None
        verb, session = one["Verb"], one.get("Session")
        if verb == "check-not-exists" and entry:
            return f'key "{one["Key"]}" exists'
        if verb == "check-index" and not entry:
            return f'failed to check index, key "{one["Key"]}" doesn\'t exist'
        if verb == "check-index" and index != one["Index"]:
            return f'failed index check for key "{one["Key"]}", current modify index {index} != {one["Index"]}'
        if verb in ("cas", "delete-cas") and index != one["Index"]:
            return f'failed to set key "{one["Key"]}", index is stale'
        if verb == "lock" and session not in self.sessions:
            return f'invalid session "{session}"'
        if verb == "lock" and one["Key"] in self.delayed:
            return f'failed to lock key "{one["Key"]}" due to lock delay'
        if verb == "lock" and holder not in (None, session):
            return f'failed to lock key "{one["Key"]}", lock is already held'
        if verb == "unlock" and holder != session:
            return f'failed to unlock key "{one["Key"]}", lock isn\'t held, or is held by another session'
        if verb == "check-session" and holder != session:
            return f'failed session check for key "{one["Key"]}", current session "{holder}" != "{session}"'
        return ""

    def _store(self, key: str, value: bytes, flags: int, session: str | None, index: int = 0) -> None:
        if not index:
            self.index += 1
        old = self.keys.get(key, {})
        self.keys[key] = {
            "Key": key,
            "Value": base64.b64encode(value).decode(),
            "Flags": flags,
            "Session": session,
            "CreateIndex": old.get("CreateIndex", self.index),
            "ModifyIndex": self.index,
            "LockIndex": 0,
        }

    def _end_session(self, session: str) -> None:
        ended = self.sessions.pop(session, None)
        for key, entry in list(self.keys.items()):
            if ended and entry["Session"] == session:
                self.index += 1
                if ended["Behavior"] == "delete":
                    del self.keys[key]
                else:
                    entry.update(Session=None, ModifyIndex=self.index)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that all hosts of a run share, for as long as they are young.

Ansible evaluates a task in a process that it forks for each host and ends with it, so nothing that a lookup keeps in memory
outlives its task. What they have in common is the folder for temporary files that the parent made before it forked: it
belongs to one run, nobody else may enter it, and it is removed at the end of the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import IO, Any

from ansible import constants

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.wire import Headers


class SharingApi(Api):
    """An `Api` that asks each question once in *seconds* for all processes of a run; errors are not shared.

    Only what reads is shared, and not what asks for the newest answer: blocking queries and consistent reads.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        super().__init__(settings)
        self._seconds = seconds

    def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | None = None,
        *,
        token: str | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        def ask() -> Answer:
            return super(SharingApi, self).request(
                method, path, params, body, token=token, consistency=consistency, timeout=timeout, idempotent=idempotent, allow=allow
            )

        newest = "consistent" in (consistency, self.settings.consistency) or "index" in dict(params)
        if newest or not _reads(method, path, body):
            return ask()
        question = [repr(self.settings), token or self.settings.current_token(), path, list(params), body, consistency, sorted(allow)]
        try:
            stream = _open(hashlib.sha256(repr(question).encode()).hexdigest())
        except OSError:
            # Without the folder, there is nothing to share.
            return ask()
        with stream:
            alone = _is_alone(stream)
            answer = _read(stream, self._seconds)
            if answer is None:
                answer = ask()
                if alone:
                    _write(stream, answer)
        return answer


def _reads(method: str, path: str, body: bytes | str | None) -> bool:
    """Whether a request changes nothing: a GET, or a transaction that only gets keys."""
    if method == "PUT" and path == "/v1/txn" and body:
        return all(operation.get("KV", {}).get("Verb", "").startswith("get") for operation in json.loads(body))
    return method == "GET"


def _open(name: str) -> IO[bytes]:
    folder = os.path.join(constants.DEFAULT_LOCAL_TMP, "uwsgi_consul")
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    return os.fdopen(os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _is_alone(stream: IO[bytes]) -> bool:
    """Whether nobody else is asking now; else waits until he has his answer, or has failed.

    Those who waited share the lock: where he failed, all of them ask at the same time, and not each after the other.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(stream, fcntl.LOCK_SH)
        return False
    except OSError:
        return False  # The folder is on a file system without locks.
    return True


def _read(stream: IO[bytes], seconds: float) -> Answer | None:
    try:
        kept: Mapping[str, Any] = json.loads(stream.read())
        # The clock of the machine's uptime is the same for all its processes, and nobody sets it.
        if 0 <= time.monotonic() - kept["moment"] < seconds:
            return Answer(kept["status"], Headers(kept["headers"]), kept["content"].encode("latin-1"), kept["asked"], kept["agent"])
    except (ValueError, KeyError):
        pass  # New, or its writer was killed.
    return None


def _write(stream: IO[bytes], answer: Answer) -> None:
    kept = {
        "moment": time.monotonic(),
        "status": answer.status,
        "headers": dict(answer.headers),
        "content": answer.content.decode("latin-1"),
        "asked": answer.asked,
        "agent": answer.agent,
    }
    stream.seek(0)
    stream.truncate()
    stream.write(json.dumps(kept).encode())

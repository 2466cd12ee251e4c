# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One leader among processes on any number of hosts.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import json
import os
import random
import secrets
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from logging import getLogger
from typing import Any, TypeVar

from . import arguments, background, keys
from .api import Api
from .claim import Claim
from .errors import ConsulError
from .holding import LONGEST_WAIT
from .layouts import KeyLayout
from .lease import Lease, Terms, now
from .lock import value_of
from .process import PerProcess

# As the plugin for uWSGI has it, so that its instances and other programs can stand for the same election.
PREFIX = "uwsgi/election/"
_FLAGS = 0
_LONGEST_PAUSE = 5.0
_Self = TypeVar("_Self", bound="Election")
_log = getLogger(__name__)
# Those of this process that stand.
_standing: PerProcess[weakref.WeakSet[Election]] = PerProcess(weakref.WeakSet)


class Election:
    """Stands for an election in the background, for ever again: `with Election("nightly") as election: ... election.is_leader`.

    name: of the election; the instances of uWSGI with `consul-election = NAME` stand for the same one. key: where it is held, if not
    under `uwsgi/election/NAME`. client: an `Api` or `Client`; made from the environment unless given. value: what the key
    says of the leader; unless given, a JSON object with id, node (the host), address, port (both null), master (the
    process) and instance, as the plugin's. ttl, lock_delay, node_checks, service_checks: as for `Lock`; with the service's check
    (`service:ID`) a leader whose service is critical loses. on_gain, on_loss: called with the fencing token when this process becomes the
    leader, and when it no longer is; one after the other, in a thread of their own.

    It begins with `stand`, or with `with`, and ends with `resign`. What holds and what can't is as for `Lock`: `is_leader`
    means that nobody else leads, at that moment and by a lease; what others act upon too should be handed the `token`.
    `on_loss` has returned before another one can lead if this one resigned and it took less than half of the lease; a lease that ran out
    waits for nobody. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        client: Api | None = None,
        value: str | bytes | None = None,
        ttl: float | str = 15.0,
        lock_delay: float | str = 15.0,
        node_checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        on_gain: Callable[[int], Any] | None = None,
        on_loss: Callable[[int], Any] | None = None,
    ) -> None:
        self.name = arguments.name(name, "name")
        self.key = f"{PREFIX}{name}" if key is None else key
        self._path = keys.path(self.key, "name" if key is None else "key")
        self.client = arguments.client(client)
        self._value = value_of(value)
        session_name = f"Election {name}"[: arguments.LONGEST_NAME]
        self._terms = Terms.judge(session_name, ttl, lock_delay, "release", node_checks, service_checks)
        self._on_gain = None if on_gain is None else arguments.function(on_gain, "on_gain")
        self._on_loss = None if on_loss is None else arguments.function(on_loss, "on_loss")
        self.trouble: ConsulError | None = None
        self._process, self._guard = os.getpid(), threading.Lock()
        self._campaign: _Campaign | None = None

    def __repr__(self) -> str:
        return f"Election({self.name!r}, key={self.key!r}, client={self.client!r})"

    def stand(self) -> None:
        """Begins to stand; nothing happens where it does already. Raises `ConsulError` where nothing can go on in the background."""
        self._belong_to_process()
        with self._guard:
            if self._campaign is None:
                self._campaign = campaign = _Campaign(self)
                try:
                    campaign.begin()
                except BaseException:
                    self._campaign = None
                    raise
                _standing.get().add(self)

    def resign(self) -> None:
        """Stands no more. A leader leads no more at once, and the next one can as soon as `on_loss` has returned, or half of the lease has
        passed. In a forked child nothing happens."""
        campaign = self._stop()
        if campaign is not None:
            campaign.end()

    def _stop(self) -> _Campaign | None:
        """Stands and leads no more; returns what has yet to free the key."""
        if self._process != os.getpid():
            return None
        with self._guard:
            campaign, self._campaign = self._campaign, None
            _standing.get().discard(self)
        if campaign is not None:
            campaign.stop()
        return campaign

    @property
    def is_leader(self) -> bool:
        """Whether this process leads at this moment, by our own clock."""
        return bool(self.token)

    @property
    def token(self) -> int:
        """The fencing token, which grows with each leader; 0 when this process does not lead."""
        campaign = self._campaign if self._process == os.getpid() else None
        return campaign.token if campaign is not None else 0

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until this process leads, at most *timeout* seconds; returns whether it does.

        Raises `ConsulError` where it does not stand.
        """
        seconds = LONGEST_WAIT if timeout is None else arguments.seconds(timeout, "timeout", 0, LONGEST_WAIT)
        campaign = self._campaign if self._process == os.getpid() else None
        if campaign is None:
            raise ConsulError(
                f"this process does not stand for the election {self.name}", advice="Call stand() first, or use it with `with`"
            )
        return campaign.wait(seconds)

    def leader(self) -> dict[str, Any] | None:
        """What the leader says of itself, as Consul has it now, or `None` when there is none.

        The fields of the JSON object that it stored (of this class and the plugin: id, node, address, port, master, instance), and
        session, the id of its session. It knows no lease: for people and dashboards, and nothing to decide by. Raises `ConsulError`.
        """
        answer = self.client.request("GET", self._path, allow=(404,))
        if answer.status == 404:
            return None
        try:
            entry = keys.entry(answer.json()[0])
        except (KeyError, IndexError, TypeError, ValueError):
            raise answer.bad() from None
        if not entry["session"]:
            return None
        try:
            said = json.loads(entry["value"])
        except (ValueError, RecursionError):
            said = None
        return {**(said if isinstance(said, dict) else {}), "session": entry["session"]}

    def __enter__(self: _Self) -> _Self:
        self.stand()
        return self

    def __exit__(self, *_error: object) -> None:
        self.resign()

    async def __aenter__(self: _Self) -> _Self:
        self.stand()
        return self

    async def __aexit__(self, *_error: object) -> None:
        # It waits for the callback, and for Consul.
        await asyncio.get_running_loop().run_in_executor(None, self.resign)

    def _claim(self) -> Claim:
        value = self._value if self._value is not None else _myself()
        return Claim(self.client.settings, self._terms, KeyLayout(f"the election {self.name}", self.key, _FLAGS), value)

    def _belong_to_process(self) -> None:
        if self._process != os.getpid():
            self._process, self._guard, self._campaign = os.getpid(), threading.Lock(), None


class _Campaign:
    """From one call of `stand` to that of `resign`."""

    def __init__(self, election: Election) -> None:
        self._election = election
        self._calls = Calls()
        self._changed = threading.Condition()
        self._claim: Claim | None = None
        self._lease: Lease | None = None
        self._token = 0
        self._stopped = False

    @property
    def token(self) -> int:
        lease = self._lease
        return self._token if lease is not None and lease.is_valid() else 0

    def begin(self) -> None:
        background.start(self._run()).add_done_callback(_tell_failure)

    def wait(self, seconds: float) -> bool:
        limit = now() + seconds
        with self._changed:
            while not self.token and not self._stopped and now() < limit:
                # Python has no time-out that is longer, on some systems.
                self._changed.wait(min(limit - now(), 3600.0))
        return bool(self.token)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            lease = self._lease
        if lease is not None and lease.give_back():
            self._calls.finish(lease.seconds / 2)
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """Frees the key, and waits for that as long as the client's time-out."""
        with contextlib.suppress(ConsulError):
            background.run(self._end())

    async def _run(self) -> None:
        pause = 0.5
        while not self._stopped:
            claim = self._claim = self._election._claim()
            try:
                await claim.contend(None, patient=True)
            except ConsulError as error:
                if str(error) != str(self._election.trouble):
                    _log.warning("%s", error)
                self._election.trouble = error
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause, self._election.trouble = 0.5, None
            if claim.session is not None:
                await self._lead(claim, claim.session.lease)

    async def _lead(self, claim: Claim, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        token = claim.token
        with self._changed:
            if not self._stopped:
                self._token, self._lease = token, lease
                self._calls.add(self._election._on_gain, token)
                # In whichever thread it ends, the call is in its place before anything else follows.
                lease.listen(lambda: self._calls.add(self._election._on_loss, token))
                lease.listen(lambda: loop.call_soon_threadsafe(ended.set))
            self._changed.notify_all()
        if self._lease is lease:
            await ended.wait()
            if not self._stopped:
                # Consul must have forgotten the old session before the new one asks, or it waits for itself.
                await claim.ended()

    async def _end(self) -> None:
        if self._claim is not None:
            await self._claim.ended(self._election.client.settings.timeout)


class Calls:
    """Calls functions of the user one after the other, in a thread that lives while there is something to call."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[tuple[Callable[[int], Any], int]] = deque()
        self._thread: threading.Thread | None = None

    def add(self, function: Callable[[int], Any] | None, token: int) -> None:
        if function is None:
            return
        with self._changed:
            self._waiting.append((function, token))
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True, name="uwsgi-consul-election")
                # At the end of a program Python 3.12 starts no thread: then it is called in `finish`.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def finish(self, seconds: float) -> None:
        """Waits until all have returned, at most so long; not in one of them."""
        limit = now() + seconds
        with self._changed:
            while self._thread not in (None, threading.current_thread()) and now() < limit:
                self._changed.wait(max(0.0, limit - now()))
            left_over = self._thread is None and bool(self._waiting)
        if left_over:
            self._run()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    self._changed.notify_all()
                    return
                function, token = self._waiting.popleft()
            try:
                function(token)
            except Exception:
                _log.exception("on_gain or on_loss failed")


def _tell_failure(campaign: concurrent.futures.Future[None]) -> None:
    if not campaign.cancelled() and campaign.exception() is not None:
        _log.error("an election has ended by a mistake of this library", exc_info=campaign.exception())


def _myself() -> bytes:
    """What a leader says of itself: the fields that the plugin for uWSGI stores."""
    node, process = socket.gethostname(), os.getpid()
    said = {"id": f"{node}-{process}", "node": node, "address": None, "port": None, "master": process, "instance": secrets.token_hex(16)}
    return json.dumps(said).encode()


def _resign_at_exit() -> None:
    # Their keys are freed afterwards, with all that the process holds, for as long as an exit may take.
    for election in list(_standing.get()):
        with contextlib.suppress(Exception):
            election._stop()


atexit.register(_resign_at_exit)

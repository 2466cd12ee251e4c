# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What locks and semaphores have in common: how they are acquired, held, lost and released."""

from __future__ import annotations

import abc
import asyncio
import os
import threading
from collections.abc import Callable
from logging import getLogger
from typing import Any, TypeVar

from . import arguments, background
from .api import Api
from .claim import PATIENCE, Claim, Release
from .errors import ConsulError, LostError, NotAcquiredError
from .lease import Lost, Terms

LONGEST_WAIT = 366 * 86400.0
_Self = TypeVar("_Self", bound="Holding")
_log = getLogger(__name__)


class Holding(abc.ABC):
    """Something that is acquired, and lost or released. One object holds it once: each thread or task has an object of its own."""

    def __init__(self, client: Api | None, terms: Terms, wait: float | None, on_lost: Callable[[str], Any] | None) -> None:
        self.client = arguments.client(client)
        self._terms, self._wait = terms, _seconds(wait, "wait")
        self._on_lost = None if on_lost is None else arguments.function(on_lost, "on_lost")
        self._process, self._guard = os.getpid(), threading.Lock()
        self._claim: Claim | None = None

    @abc.abstractmethod
    def _new_claim(self) -> Claim: ...

    @property
    @abc.abstractmethod
    def _what(self) -> str:
        """What it is, for messages."""

    def acquire(self, timeout: float | None = None) -> bool:
        """Waits until it is ours; returns whether it is.

        timeout: for how many seconds; 0 tries once, and `None` means what `wait` was given as. When Consul fails at the first request, or
        fails still when the time is up, that is an error; between, it is waited for. An interrupted wait leaves nothing behind.
        Raises `ConflictError` where the key has another use, `ConsulError` too where this object has it or waits for it already.
        """
        seconds = self._wait if timeout is None else _seconds(timeout, "timeout")
        claim = self._begin()
        try:
            granted = background.run(claim.contend(seconds))
        except BaseException:
            try:
                background.run(claim.ended(PATIENCE))
            finally:
                claim.finished = True
            raise
        return granted and self._granted(claim)

    def release(self) -> bool:
        """Releases it; returns whether Consul said that it did. If not, which takes the client's `timeout`, it ends with its session.

        Raises `LostError` when it was lost before, and `ConsulError` when this process does not hold it.
        """
        claim = self._give_back()
        return self._released(claim, background.run(claim.ended()))

    async def acquire_async(self, timeout: float | None = None) -> bool:
        """As `acquire`, in any event loop; a task that is cancelled leaves nothing behind."""
        seconds = self._wait if timeout is None else _seconds(timeout, "timeout")
        claim = self._begin()
        try:
            granted = await asyncio.wrap_future(background.start(claim.contend(seconds)))
        except BaseException:
            try:
                background.start(claim.ended())
            finally:
                claim.finished = True
            raise
        return granted and self._granted(claim)

    async def release_async(self) -> bool:
        """As `release`, in any event loop."""
        claim = self._give_back()
        return self._released(claim, await asyncio.wrap_future(background.start(claim.ended())))

    @property
    def held(self) -> bool:
        """Whether it is ours at this moment, by our own clock: nobody else can have it. A moment later it may not be: see `token`."""
        claim = self._claim
        return claim is not None and claim.held

    @property
    def token(self) -> int:
        """The fencing token of the last acquisition: larger than that of every holder before; 0 before the first one."""
        claim = self._claim
        return claim.token if claim is not None and claim.process == os.getpid() else 0

    @property
    def lost(self) -> Lost:
        """Tells when the last acquisition is lost; see `Lost`."""
        claim = self._claim
        return Lost(claim.session.lease if claim is not None and claim.granted and claim.session is not None else None)

    def __enter__(self: _Self) -> _Self:
        return self._entered(self.acquire())

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._is_to_be_released():
            try:
                self.release()
            except LostError:
                # What went wrong inside says more.
                if kind is None:
                    raise

    async def __aenter__(self: _Self) -> _Self:
        return self._entered(await self.acquire_async())

    async def __aexit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._is_to_be_released():
            try:
                await self.release_async()
            except LostError:
                if kind is None:
                    raise

    def _is_to_be_released(self) -> bool:
        """Whether this process holds it, or has lost it: not what was released inside, nor what is a parent's."""
        claim = self._claim
        lost = claim is not None and claim.session is not None and claim.session.lease.lost
        return claim is not None and claim.process == os.getpid() and (claim.held or lost)

    def _begin(self) -> Claim:
        if self._process != os.getpid():
            # A child has nothing of its parent's; another thread may have held the guard at the fork.
            self._process, self._guard, self._claim = os.getpid(), threading.Lock(), None
        with self._guard:
            if self._claim is not None and not self._claim.over:
                raise ConsulError(
                    f"{self._what} is held by this object already, or waited for",
                    advice="Make one for each thread and task; it can't be nested",
                )
            claim = self._claim = self._new_claim()
            return claim

    def _granted(self, claim: Claim) -> bool:
        if claim.session is not None and self._on_lost is not None:
            lease, on_lost = claim.session.lease, self._on_lost

            def tell() -> None:
                if lease.lost:
                    # In a thread of its own, for it may take its time; there is one at most for each acquisition.
                    thread = threading.Thread(target=_call, args=(on_lost, lease.reason), daemon=True, name="uwsgi-consul-lost")
                    try:
                        thread.start()
                    except RuntimeError as error:
                        # Whoever asks `held` at this moment must hear that it is lost, and the claim be ended.
                        _log.error("%s is lost, and on_lost is not called: %s", self._what, error)

            lease.listen(tell)
        return True

    def _give_back(self) -> Claim:
        claim = self._claim
        if claim is None or claim.process != os.getpid() or not claim.granted or claim.session is None:
            raise ConsulError(f"{self._what} is not held by this process")
        lease = claim.session.lease
        # First of all, since from here on it may be another's.
        if not lease.give_back():
            if lease.lost:
                raise self._lost(claim, lease.reason)
            raise ConsulError(f"{self._what} has been released already")
        return claim

    def _released(self, claim: Claim, release: Release) -> bool:
        if release is Release.TOO_LATE:
            raise self._lost(claim, "another session has it now, or none")
        return release is Release.DONE

    def _lost(self, claim: Claim, reason: str) -> LostError:
        return LostError(f"{self._what} was lost before it was released: {reason}", token=claim.token)

    def _entered(self: _Self, granted: bool) -> _Self:
        if not granted:
            raise NotAcquiredError(f"{self._what} could not be had within {self._wait or 0:g} s")
        return self


def _seconds(value: float | None, what: str) -> float | None:
    return None if value is None else arguments.seconds(value, what, 0, LONGEST_WAIT)


def _call(function: Callable[[str], Any], reason: str) -> None:
    try:
        function(reason)
    except Exception:
        _log.exception("on_lost failed")

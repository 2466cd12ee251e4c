# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Changing a value by a function of the old one, while others do the same: what `KV.update` does.

A value is written on the condition that the key still has the index it was read with (check and set, CAS), else it is
read again. An index is not used twice (unless an old snapshot of all of Consul is restored), so a value that was changed
and changed back is seen (ABA). A key that was deleted meanwhile has none: it is only created again when the function,
called with `None`, gave a value for that.

What needs thought is a write whose answer gets lost. Was it done? As long as the key has its old index, it was not, and
writing again on the same condition does it once, whatever becomes of the first. Once the index is another one, nobody
can tell from the key: the value may be ours, or the same made by another, and either may have been overwritten since. So
that is an error, unless the update writes a receipt: a key of its own, in the same transaction. It exists if and only if
the update was done, and is deleted when that is known. It also keeps a creation that is late from making the key once more
after somebody deleted it, which nothing else does.
"""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

from . import arguments, keys
from .errors import ConflictError, ConsulError, NoAgentError, ServerError
from .protocol import is_passing
from .transactions import Operation, RefusedError, TransactionError, may_be_done

if TYPE_CHECKING:
    from .kv import KV

# What the function may return; `None` leaves the key as it is.
NewValue = Union[str, bytes, None]
# The pause after a write that another one forestalled: at most this, doubled each time up to the longest, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25


class OutcomeUnknownError(NoAgentError):
    """The answer to a write got lost, and it can't be told whether it was done. `__cause__` is how it got lost."""


class Update:
    """One call of `KV.update`, with its arguments."""

    def __init__(
        self, kv: KV, key: str, function: Callable[[bytes | None], NewValue], timeout: float, flags: int | None, receipts: str | None
    ) -> None:
        keys.path(key, "key")
        self._kv, self._key, self._flags = kv, key, None if flags is None else keys.flags(flags)
        self._function = arguments.function(function, "function")
        self._timeout = arguments.seconds(timeout, "timeout", least=0.001)
        self._receipt = "" if receipts is None else f"{keys.folder(receipts, 'receipts')}{uuid.uuid4()}"
        self._deadline = time.monotonic() + self._timeout
        self._attempts = 0
        # What kept the last attempt from an answer, if anything did.
        self._trouble: ConsulError | None = None
        # How the answer to a write got lost; and whether one did that would create the key.
        self._lost: ConsulError | None = None
        self._lost_create = False

    def run(self) -> bytes | None:
        """The value that was written, or the one that was left. Raises `ConsulError`."""
        return self._run_with_receipt() if self._receipt else self._run_alone()

    def _run_alone(self) -> bytes | None:
        index, value, flags = 0, b"", 0
        while True:
            found = self._read(self._key)
            index_now = found["modify_index"] if found else 0
            if not self._lost:
                made = self._made(found)
                if made is None:
                    return found["value"] if found else None
                index, value, flags = index_now, made, self._flags_of(found)
            elif index_now != index:
                raise self._unknown("the key was changed since, by this update or by another one", "With receipts that can be told")
            if self._try(index, lambda: self._kv._set(self._key, value, flags, [("cas", index)], self._left())):  # noqa: B023 - called at once
                return value
            self._pause()

    def _run_with_receipt(self) -> bytes | None:
        values: list[bytes] = []
        while True:
            receipt = self._read(self._receipt, "consistent") if self._lost else None
            if receipt:
                return self._done(values[int(receipt["value"])])
            found = self._read(self._key)
            index = found["modify_index"] if found else 0
            made = self._made(found)
            if made is None:
                if self._lost:
                    raise self._unknown("the function, called again, leaves the key as it is")
                return found["value"] if found else None
            values.append(made)
            operations = [
                # Of all writes of this update one at most is done, even when one arrives late.
                Operation.check_not_exists(self._receipt),
                Operation.cas(self._key, made, index, flags=self._flags_of(found)),
                Operation.set(self._receipt, str(len(values) - 1)),
            ]
            if self._try(index, lambda: self._commit(operations)):  # noqa: B023 - called at once
                return self._done(made)
            self._pause()

    def _read(self, key: str, consistency: str | None = None) -> dict[str, Any] | None:
        """The entry, as soon as an agent gives it."""
        while True:
            try:
                found = self._kv._get(key, consistency, self._left())
            except (NoAgentError, ServerError) as error:
                self._note(error)
                self._pause()
            else:
                self._trouble = None
                return found

    def _try(self, index: int, write: Callable[[], bool]) -> bool:
        """Whether the write on condition of *index* was done for sure; notes when that is not known."""
        try:
            return write()
        except (NoAgentError, ServerError) as error:
            self._note(error)
            if may_be_done(error):
                self._lost = error
                self._lost_create = self._lost_create or not index
            return False

    def _commit(self, operations: list[Operation]) -> bool:
        try:
            self._kv._transaction(operations, False, self._left())
        except TransactionError as error:
            # All that Consul can refuse is that the index is another one, or that the receipt is there.
            if not isinstance(error.__cause__, RefusedError) or any("Permission denied" in failure.reason for failure in error.failures):
                raise
            return False
        return True

    def _made(self, found: dict[str, Any] | None) -> bytes | None:
        made = self._function(found["value"] if found else None)
        return None if made is None else keys.content(made, "what the function returned")

    def _flags_of(self, found: dict[str, Any] | None) -> int:
        # Consul sets them to 0 where a write has none.
        return self._flags if self._flags is not None else int(found["flags"]) if found else 0

    def _done(self, value: bytes) -> bytes:
        # A lost write that would create the key can do so as long as it is on its way, whenever the key is deleted:
        # there the receipt, which forbids it, stays. A write to a key that exists can't, for its index is gone.
        if not self._lost_create:
            # Nobody asks for it any more, so it does no harm where it can't be deleted.
            with contextlib.suppress(ConsulError):
                self._kv._ask("DELETE", keys.path(self._receipt, "receipts"), timeout=self._left(), idempotent=True)
        return value

    def _note(self, error: ConsulError) -> None:
        """Notes an error that may pass, raises another one."""
        if isinstance(error, ServerError) and not is_passing(error.status, error.answer):
            raise error
        self._trouble = error

    def _pause(self) -> None:
        """Waits before the next attempt; raises when the time is over."""
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._attempts, 10))
        pause = random.uniform(0, longest)  # noqa: S311
        self._attempts += 1
        if time.monotonic() + pause < self._deadline:
            time.sleep(pause)
            return
        if self._lost:
            raise self._unknown(f"it did not become known in {self._timeout:g} s")
        if self._trouble:
            raise self._trouble
        raise ConflictError(f"{self._key}: was changed by others before each of {self._attempts} writes in {self._timeout:g} s")

    def _left(self) -> float:
        """Seconds for one request."""
        return max(min(self._deadline - time.monotonic(), self._kv.client.settings.timeout), 0.05)

    def _unknown(self, why: str, advice: str = "") -> OutcomeUnknownError:
        lost = self._lost or ConsulError("")
        error = OutcomeUnknownError(
            f"the answer to a write of {self._key} got lost, and it is not known whether it was done: {why}",
            asked=lost.asked,
            agent=lost.agent,
            advice=advice,
            attempts=getattr(lost, "attempts", {}),
        )
        error.__cause__ = self._lost
        return error

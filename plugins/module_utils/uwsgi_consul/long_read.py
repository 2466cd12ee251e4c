# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Asking the same again whenever the answer may be another one, for a given time, by blocking queries.

Source: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from .bound import Bound
from .errors import ConsulError, NoAgentError, PermissionDeniedError, ServerError
from .pace import Backoff
from .protocol import Answer, duration, is_passing

# For how long one query waits for a change, in seconds; one that waits at an agent that hangs is noticed after it.
HOLD = 30.0
# An agent that is about to stop answers at once, with nothing new.
_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
# What a last request may take although the time is up.
_GRACE = 1.0


class LongRead:
    """Reads for *seconds*: at once, and then whenever Consul has something new; with 0 once.

    patient: whether an agent that fails is waited for from the start. Otherwise it is waited for only once there was an answer, for
    until then the address or the token may be wrong; then a restart of the agent, or servers without a leader, is waited out.
    """

    def __init__(
        self,
        asked: Bound,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        *,
        seconds: float,
        patient: bool = False,
        consistency: str | None = None,
    ) -> None:
        self._bound, self._path, self._params, self._consistency = asked, path, tuple(params), consistency
        self._deadline = time.monotonic() + seconds
        self._backoff = Backoff(_PAUSE / 2, _LONGEST_PAUSE)
        self._patient, self._index, self._asked = patient, 0, False
        self.trouble: ConsulError | None = None

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._deadline - time.monotonic()

    def next(self, longest: float = HOLD) -> Answer | None:
        """The answer, when it may be a new one or *longest* seconds have passed; `None` when the time is up.

        With an agent that fails it is `None` as well, with the reason in `trouble`: ask again, until the time is up, which
        raises that error. Raises `ConsulError`.
        """
        if self._asked and self.left <= 0:
            if self.trouble is not None:
                raise self.trouble
            return None
        timeout = min(self._bound.client.settings.timeout, max(self.left, _GRACE)) if self._asked else None
        self._asked = True
        try:
            answer = self._ask(min(longest, HOLD, max(0.0, self.left)), timeout)
        except (NoAgentError, ServerError, PermissionDeniedError) as error:
            self.wait_out(error)
            return None
        self.trouble, self._patient = None, True
        self._backoff.reset()
        return answer

    def wait_out(self, error: ConsulError) -> None:
        """Waits a moment after trouble that may pass, and has the next reading done at once; raises the error when that is of no use."""
        if not self._patient or self.left <= 0 or not self._may_pass(error):
            raise error
        self.trouble = error
        self.pause(self._backoff.pause())

    def _may_pass(self, error: ConsulError) -> bool:
        if isinstance(error, PermissionDeniedError):
            # An agent that has just come up may not know a token yet; one that has always answered so will go on.
            return self.trouble is not None
        if isinstance(error, ServerError):
            # A filter that is wrong is trouble of a server as well.
            return is_passing(error.status, error.answer) and "expression" not in error.answer
        return True

    def pause(self, seconds: float) -> None:
        """Waits, not beyond its time, and has the next reading done at once."""
        self._index = 0
        time.sleep(max(0.0, min(seconds, self.left)))

    def _ask(self, wait: float, timeout: float | None) -> Answer:
        index, began = self._index, time.monotonic()
        # An index of 0 is answered at once, and so is one without a time to wait, which Consul takes for its default.
        held = [("index", index), ("wait", duration(wait))] if index and wait >= 0.001 else []
        consistency = None if held else self._consistency
        answer = self._bound._ask("GET", self._path, [*self._params, *held], consistency=consistency, timeout=timeout, allow=(404,))
        if held and answer.index == index and time.monotonic() - began < min(_PAUSE, wait):
            time.sleep(max(0.0, min(_PAUSE, self.left)))
        # As Consul's documentation demands: an index that goes back begins anew.
        self._index = answer.index if answer.index >= index else 0
        return answer

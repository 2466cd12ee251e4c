# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waits in the thread that asks until an answer of Consul is as wanted, by blocking queries: nothing is asked while nothing changes.

Source: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import List, Tuple, TypeVar

from .errors import ConsulError, NoAgentError, ServerError
from .pace import Backoff
from .protocol import Answer, duration, is_passing

_Value = TypeVar("_Value")
# Parameters of a query.
Held = List[Tuple[str, object]]

# Consul adds up to a sixteenth to the time that it is told to hold an answer back.
_JITTER = 16 / 17
# For how long a query is held back, at most; after less than this part of it, an answer without news came too soon.
_LONGEST, _SOON = 60.0, 0.5
# Seconds that are too short to ask once more.
_REST = 0.05


def until(ask: Callable[[Held], Answer], decode: Callable[[Answer], _Value], enough: Callable[[_Value], bool], seconds: float) -> _Value:
    """What *decode* makes of the newest answer: the first that is *enough*, or what there is after so many seconds.

    ask: asks the question, with the parameters that it is given added. Trouble of Consul that may pass is waited out, as
    long as there is time: no agent answers, or there is no leader. Raises `ConsulError`.
    """
    deadline = time.monotonic() + seconds
    retry = Backoff(0.3, 2.0)
    index = 0
    while True:
        left = deadline - time.monotonic()
        asked = time.monotonic()
        wait = min(left, _LONGEST) * _JITTER
        # The first question is answered at once.
        held: Held = [("index", index), ("wait", duration(wait))] if index and left > _REST else []
        try:
            answer = ask(held)
        except (NoAgentError, ServerError) as error:
            pause = retry.pause()
            if not _may_pass(error) or deadline - time.monotonic() <= pause:
                raise
            index = 0
            time.sleep(pause)
            continue
        retry.reset()
        value = decode(answer)
        left = deadline - time.monotonic()
        if enough(value) or left <= _REST:
            return value
        # A lower index is one of other servers, or of a snapshot that was restored: what it counts begins anew.
        quiet = answer.index == index or not answer.index
        index = answer.index if answer.index >= index else 0
        if quiet and time.monotonic() - asked < wait * _SOON:
            # An agent that stops answers at once, and a proxy may leave out the index.
            time.sleep(min(left, random.uniform(0.3, 1.0)))  # noqa: S311


def _may_pass(error: ConsulError) -> bool:
    return not isinstance(error, ServerError) or is_passing(error.status, error.answer)

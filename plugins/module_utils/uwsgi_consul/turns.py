# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Places that coroutines of an event loop take in turn."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """So many *places*; who comes first is first, also before one who had a place and wants it again.

    `asyncio.Semaphore` is not fair before Python 3.10.8: whoever gives a place back could take it again at once, for ever.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given the place just when it was cancelled.
                self._give_back()
            raise

    async def __aexit__(self, *_exception: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

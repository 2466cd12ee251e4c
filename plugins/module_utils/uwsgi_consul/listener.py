# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Callbacks of apps: kept away from what calls them, which they must neither hold up nor break."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("uwsgi_consul")

_NOTHING = object()


class Listener:
    """Calls a function with the newest of what it is told, in a thread that lives as long as there is something to tell.

    The function never runs twice at a time. While it is busy only the newest is kept for it; what it raises is logged.
    """

    def __init__(self, callback: Callable[[Any], object]) -> None:
        self.callback = callback
        self._lock = threading.Lock()
        self._next: Any = _NOTHING
        self._busy = self._closed = False

    def tell(self, news: Any) -> None:
        """Never waits for the function."""
        with self._lock:
            self._next = news
            if self._busy or self._closed:
                return
            self._busy = True
        try:
            threading.Thread(target=self._deliver, daemon=True, name="uwsgi-consul-callback").start()
        except RuntimeError:
            # No thread can be started, as while the program ends; the next change tries again.
            with self._lock:
                self._busy = False

    def close(self) -> None:
        """No call begins any more."""
        with self._lock:
            self._closed = True

    def _deliver(self) -> None:
        while True:
            with self._lock:
                news, self._next = self._next, _NOTHING
                if news is _NOTHING or self._closed:
                    self._busy = False
                    return
            try:
                self.callback(news)
            except Exception:
                log.exception("%s, called because of a change in Consul, raised an error", self.callback)

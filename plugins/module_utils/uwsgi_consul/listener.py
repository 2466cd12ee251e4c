# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Callbacks of apps: kept away from what calls them, which they must neither hold up nor break."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from .process import PerProcess

log = logging.getLogger("uwsgi_consul")

_NOTHING = object()


class _Delivery:
    """What is under way in one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next: Any = _NOTHING
        self.busy = False


class Listener:
    """Calls a function with the newest of what it is told, in a thread that lives as long as there is something to tell.

    The function never runs twice at a time. While it is busy only the newest is kept for it; what it raises is logged.
    In a forked child it starts anew, whatever the parent was about to do.
    """

    def __init__(self, callback: Callable[[Any], object]) -> None:
        self.callback = callback
        # What the function was last called with, once it is done with it.
        self.delivered: Any = None
        self._deliveries = PerProcess(_Delivery)
        self._closed = False

    def tell(self, news: Any) -> None:
        """Never waits for the function."""
        delivery = self._deliveries.get()
        with delivery.lock:
            delivery.next = news
            if delivery.busy or self._closed:
                return
            delivery.busy = True
        try:
            threading.Thread(target=self._deliver, args=(delivery,), daemon=True, name="uwsgi-consul-callback").start()
        except RuntimeError:
            # No thread can be started, as while the program ends; the next change tries again.
            with delivery.lock:
                delivery.busy = False

    def close(self) -> None:
        """No call begins any more."""
        with self._deliveries.get().lock:
            self._closed = True

    def _deliver(self, delivery: _Delivery) -> None:
        while True:
            with delivery.lock:
                news, delivery.next = delivery.next, _NOTHING
                if news is _NOTHING or self._closed:
                    delivery.busy = False
                    return
            try:
                self.callback(news)
            except (Exception, SystemExit):
                # A thread that exits ends nothing else, so that is no more than another error.
                log.exception("%s, called because of a change in Consul, raised an error", self.callback)
            self.delivered = news

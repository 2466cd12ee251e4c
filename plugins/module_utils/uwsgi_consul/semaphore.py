# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A semaphore that processes on any number of hosts share.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import arguments, keys
from .api import Api
from .claim import Claim
from .holding import Holding
from .layouts import PlacesLayout
from .lease import Terms
from .lock import value_of

MOST_HOLDERS = 10000


class Semaphore(Holding):
    """At most *limit* holders at a time: `with Semaphore("app/imports", 3): ...`, also `async with`, or `acquire` and `release`.

    prefix: under which its keys lie, as `consul lock -n` and Consul's library for Go lay them out: `PREFIX/.lock` says who holds it and
    the limit, and each holder has a key of its own. limit: the same for all; another one than is there is refused. value: what the
    holder's own key says, for people. The rest is as for `Lock`.

    What holds and what can't is as for `Lock`, with a lease of nine tenths of the TTL, and with one difference: a semaphore
    has no lock delay, for Consul knows it for locks only. A session that ends otherwise than by its TTL frees its place at once, and its
    holder hears of it with the next answer of Consul. `token` grows with each holder, so that of two holders of the same place the later
    one has the larger. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        prefix: str,
        limit: int,
        *,
        client: Api | None = None,
        value: str | bytes | None = None,
        ttl: float | str = 15.0,
        wait: float | None = None,
        name: str | None = None,
        node_checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        on_lost: Callable[[str], Any] | None = None,
    ) -> None:
        keys.path(prefix, "prefix")
        self.prefix, self.limit = prefix.rstrip("/"), arguments.integer(limit, "limit", 1, MOST_HOLDERS)
        self._value = value_of(value) or b""
        session_name = f"Semaphore {prefix}"[: arguments.LONGEST_NAME] if name is None else name
        # The holder's own key goes with the session.
        terms = Terms.judge(session_name, ttl, 0, "delete", node_checks, service_checks)
        super().__init__(client, terms, wait, on_lost)

    def __repr__(self) -> str:
        return f"Semaphore({self.prefix!r}, {self.limit}, client={self.client!r})"

    @property
    def _what(self) -> str:
        return f"the semaphore {self.prefix}"

    def _new_claim(self) -> Claim:
        return Claim(self.client.settings, self._terms, PlacesLayout(self._what, self.prefix, self.limit), self._value)

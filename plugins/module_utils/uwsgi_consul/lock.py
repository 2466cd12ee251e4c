# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A lock that processes on any number of hosts share.

Source: https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import arguments, keys
from .api import Api
from .claim import Claim
from .errors import InvalidValueError
from .holding import Holding
from .layouts import KeyLayout
from .lease import Terms

# What a transaction takes, in which a value stands in base64.
LARGEST_VALUE = 380 * 1024


class Lock(Holding):
    """A lock on a key: `with Lock("app/nightly"): ...`, also `async with`, or `acquire` and `release`.

    key: what is locked; `consul lock PREFIX` and Consul's library for Go use such keys too (`PREFIX/.lock`), marked by
    their flags: a key with others is refused. client: an `Api` or `Client`; made from the environment unless given.
    value: what the key says while it is held and after; `None` leaves what it has, which no acquisition or release changes.
    ttl: of the session (10 s to 24 h). lock_delay: for how long nobody gets the lock after a holder whose session ended
    without a release (0 to 60 s). behavior: whether a released or lost lock leaves its key (`release`) or deletes it.
    wait: for how many seconds an acquisition waits; `None` for ever, 0 tries once. name: of the session, for people.
    node_checks, service_checks: ids of checks of the agent's node that end the session when they fail; none, unless given:
    `serfHealth` frees the lock sooner when its node dies, and also when others only believe so. on_lost: called with the
    reason, in a thread of its own, when the lock is lost. Durations are seconds, or texts such as `15s`.

    What holds: `held`, and `lost` not being set, mean that nobody else has the lock, by a lease that is shorter than
    anything after which Consul gives the lock to another: nine tenths of the TTL or the lock delay, whichever is shorter,
    since the last renewal that succeeded was sent. It ends by itself when Consul can't be reached, and when the process
    was stopped or the machine suspended.

    What can't hold: a process that stands still **between** looking at `held` and acting does not notice. Only what is
    acted upon can: hand it the `token`, which grows with each holder, and have it refuse a smaller one than it has seen.
    With `lock_delay=0` the lease counts on the TTL alone: a session that ends otherwise (destroyed by hand, with a
    check or its node) lets the next one in at once, while a holder that is stopped or cut off has its lease still. The
    same goes for a key that somebody else deletes or releases. After a holder that died, the next one waits for up to twice
    the TTL, longer while the servers elect a leader, and then for the lock delay.

    In a child of `os.fork` the parent's lock is not held, and the child releases nothing. At the exit of the interpreter
    what is held is released; a process that is killed leaves that to the TTL. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        key: str,
        *,
        client: Api | None = None,
        value: str | bytes | None = None,
        ttl: float | str = 15.0,
        lock_delay: float | str = 15.0,
        behavior: str = "release",
        wait: float | None = None,
        name: str | None = None,
        node_checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        on_lost: Callable[[str], Any] | None = None,
    ) -> None:
        keys.path(key, "key")
        self.key = key
        self._value = value_of(value)
        terms = Terms.judge(
            f"Lock {key}"[: arguments.LONGEST_NAME] if name is None else name, ttl, lock_delay, behavior, node_checks, service_checks
        )
        super().__init__(client, terms, wait, on_lost)

    def __repr__(self) -> str:
        return f"Lock({self.key!r}, client={self.client!r})"

    @property
    def _what(self) -> str:
        return f"the lock {self.key}"

    def _new_claim(self) -> Claim:
        return Claim(self.client.settings, self._terms, KeyLayout(self._what, self.key), self._value)


def value_of(value: str | bytes | None) -> bytes | None:
    """The value of a key that is locked; raises `InvalidValueError`."""
    content = None if value is None else keys.content(value)
    if content is not None and len(content) > LARGEST_VALUE:
        raise InvalidValueError(f"value: has {len(content)} bytes, and a key that is locked holds {LARGEST_VALUE} at most")
    return content

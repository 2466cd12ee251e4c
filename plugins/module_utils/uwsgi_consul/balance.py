# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which instance of a service serves the next request. No input or output; instances are as `services.instance` describes them."""

from __future__ import annotations

import hashlib
import math
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Dict, Tuple

Instance = Dict[str, Any]
# What tells an instance from all others.
Identity = Tuple[Any, Any, Any]

WAYS = ("round-robin", "random", "weighted", "nearest", "sticky")


def identity(instance: Mapping[str, Any]) -> Identity:
    """The datacenter, node and id of an instance. Raises `KeyError` or `TypeError` for what is none."""
    return (instance.get("datacenter"), instance["node"], instance["id"])


def weight(instance: Instance) -> int:
    """The instance's share by Consul's weights: in a warning it has another one, and when it is critical none."""
    return max(0, int(instance["weights"].get(instance["status"], 0)))


class Balancer:
    """Takes turns among the instances of one service, safe to use from many threads."""

    def __init__(self) -> None:
        self._process = 0
        self._belong_to_process()

    def choose(self, instances: Sequence[Instance], by: str, key: str | None = None) -> Instance:
        """One of *instances*, of which there is at least one.

        by: one of `WAYS`; for `nearest` they are sorted by distance, for `sticky` a *key* is given.
        """
        if self._process != os.getpid():
            self._belong_to_process()
        if by == "random":
            return random.choice(instances)  # noqa: S311
        if by == "weighted":
            return self._weighted(instances)
        if by == "sticky":
            return sticky(instances, key or "")
        if by == "nearest":
            # Those on the nearest node are equally near.
            instances = [instance for instance in instances if instance["node"] == instances[0]["node"]]
        return self._next(instances)

    def _belong_to_process(self) -> None:
        # Children must not all take the same turns; and a thread of the parent may have held the lock at the fork.
        self._lock = threading.Lock()
        self._turn = int.from_bytes(os.urandom(4), "big")
        self._balance: dict[Identity, float] = {}
        self._process = os.getpid()

    def _next(self, instances: Sequence[Instance]) -> Instance:
        with self._lock:
            self._turn += 1
            return instances[self._turn % len(instances)]

    def _weighted(self, instances: Sequence[Instance]) -> Instance:
        """Smooth weighted round robin: of as many choices as all weights together each gets exactly its own, well mixed."""
        weights = _weights(instances)
        total = sum(weights)
        with self._lock:
            balance: dict[Identity, float] = {}
            best, most = 0, -math.inf
            for position, instance in enumerate(instances):
                who = identity(instance)
                balance[who] = credit = self._balance.get(who, 0.0) + weights[position]
                if weights[position] and credit > most:
                    best, most = position, credit
            balance[identity(instances[best])] -= total
            self._balance = balance
        return instances[best]


def sticky(instances: Sequence[Instance], key: str) -> Instance:
    """The instance of a key: the same one in every process, and by weight; when one goes, only its own keys move."""
    weights = _weights(instances)
    return max(zip(instances, weights), key=lambda pair: _score(key, pair[0], pair[1]))[0]


def _score(key: str, instance: Instance, share: float) -> float:
    # Weighted rendezvous hashing: https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash
    if not share:
        return -1.0
    text = "\0".join(str(part) for part in (*identity(instance), key))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -share / math.log((int.from_bytes(digest, "big") + 0.5) / 2**64)


def _weights(instances: Sequence[Instance]) -> list[int]:
    """The weight of each; all the same where none has any."""
    weights = [weight(instance) for instance in instances]
    return weights if any(weights) else [1] * len(instances)


class Failures:
    """The instances that a caller has found broken a moment ago."""

    def __init__(self) -> None:
        self._until: dict[Identity, float] = {}

    def add(self, who: Identity, seconds: float) -> None:
        # Replaced as a whole: no lock is needed, and none can be held at a fork.
        now = time.monotonic()
        self._until = {**{one: until for one, until in self._until.items() if until > now}, who: now + seconds}

    def leave_out(self, instances: Sequence[Instance]) -> Sequence[Instance]:
        """Those that did not fail; all when all did, since a bad chance is better than none."""
        if not self._until:
            return instances
        now, failed = time.monotonic(), self._until
        return [instance for instance in instances if failed.get(identity(instance), 0.0) <= now] or instances

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of gossip as they shall be, changed in the order in which no agent loses the others."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Dict

from ._module import Change, Task
from .uwsgi_consul import arguments
from .uwsgi_consul.errors import ConsulError, InvalidValueError, ServerError
from .uwsgi_consul.keyring import Keyring, Ring, Rings, check_key, fingerprint

# Of each ring, by its name: its primary keys and all its keys by their fingerprints, each with how many of its agents have it.
Shown = Dict[str, Dict[str, Dict[str, str]]]


def manage(task: Task) -> Change:
    """The module `consul_keyring`."""
    params = task.params
    relay = arguments.integer(params["relay_factor"], "relay_factor", 0, 5)
    wait = arguments.duration(params["wait"], "wait", 0, 3600)
    primary = None if params["primary"] is None else check_key(params["primary"], "primary")
    keys = [check_key(key, "keys") for key in params["keys"] or ()]
    if params["local_only"] and (primary or keys):
        raise InvalidValueError("local_only: a change reaches all agents", advice="Give it without keys, to see what one server has")
    keyring = Keyring(task.api)
    rings = keyring.list(local_only=params["local_only"], relay_factor=relay)
    wanted = list(dict.fromkeys([primary, *keys] if primary else keys))
    if params["state"] == "absent":
        wanted, gone = [], _removable(rings, wanted, primary, "keys")
    else:
        known = {key for ring in rings for key in ring["keys"]}
        gone = _removable(rings, sorted(known.difference(wanted)), primary, "purge") if params["purge"] else []
    task.results["rings"] = [_returned(ring) for ring in rings]
    before, after = _shown(rings), _foreseen(rings, primary, wanted, gone)
    if before != after and not task.check_mode:
        steps = _Steps(task, keyring, rings, relay, wait)
        for key in wanted:
            steps.do(keyring.install, key, functools.partial(_has, key))
        if primary:
            steps.do(keyring.use, primary, functools.partial(_uses, primary))
        for key in gone:
            steps.do(keyring.remove, key, functools.partial(_lacks, key))
    return Change(before, after)


class _Steps:
    """The steps of a rotation. Each is done when every agent says so, for the next one would cut off those that are behind.

    rings: as they were last, before the first step as the caller has read them.
    """

    def __init__(self, task: Task, keyring: Keyring, rings: Rings, relay: int, wait: float) -> None:
        self._rings = rings
        self._task, self._keyring, self._relay, self._wait = task, keyring, relay, wait

    def do(self, change: Callable[..., None], key: str, done: Callable[[Ring], bool]) -> None:
        """Makes the change unless all rings have it, again and again until they do: agents may be slow, or join just then."""
        deadline = time.monotonic() + self._wait
        tried, problem = False, ""
        while True:
            behind = [ring for ring in self._rings if not done(ring)]
            if not behind:
                return
            if tried and time.monotonic() >= deadline:
                raise ConsulError(
                    f"{change.__name__} of the key {fingerprint(key)}: not every agent of {', '.join(map(_name, behind))} has done it"
                    f" after {self._wait:g} s{problem}",
                    advice="No later step was begun. See which agents are in trouble (consul members), and run again",
                )
            if tried:
                time.sleep(0.2)
            try:
                change(key, relay_factor=self._relay)
                problem = ""
            except ServerError as error:
                # Some of them may have done it.
                problem = ": " + " ".join(error.answer.split()).replace(key, fingerprint(key))
            tried = self._task.changed = True
            self._rings = self._keyring.list(relay_factor=self._relay)
            self._task.results["rings"] = [_returned(ring) for ring in self._rings]


def _has(key: str, ring: Ring) -> bool:
    return bool(ring["keys"].get(key) == ring["nodes"])


def _uses(key: str, ring: Ring) -> bool:
    return bool(ring["primary_keys"] == {key: ring["nodes"]})


def _lacks(key: str, ring: Ring) -> bool:
    return key not in ring["keys"]


def _removable(rings: Rings, keys: Iterable[str], primary: str | None, option: str) -> list[str]:
    """Those of the keys that some agent has; refuses one that agents go on encrypting by."""
    there = [key for key in keys if any(key in ring["keys"] for ring in rings)]
    for key in there:
        if primary is None and any(key in ring["primary_keys"] for ring in rings):
            raise InvalidValueError(
                f"{option}: the key {fingerprint(key)} is the primary one", advice="Give the key that is used from then on by primary"
            )
    return there


def _shown(rings: Rings) -> Shown:
    return {_name(ring): {"primary": _counted(ring, ring["primary_keys"]), "keys": _counted(ring, ring["keys"])} for ring in rings}


def _foreseen(rings: Rings, primary: str | None, wanted: Iterable[str], gone: Iterable[str]) -> Shown:
    after: Rings = []
    for ring in rings:
        keys = {key: count for key, count in ring["keys"].items() if key not in gone}
        keys.update(dict.fromkeys(wanted, ring["nodes"]))
        after.append({**ring, "keys": keys, "primary_keys": {primary: ring["nodes"]} if primary else ring["primary_keys"]})
    return _shown(after)


def _counted(ring: Ring, keys: Mapping[str, int]) -> dict[str, str]:
    return {mark: f"{count} of {ring['nodes']}" for mark, count in sorted((fingerprint(key), count) for key, count in keys.items())}


def _name(ring: Ring) -> str:
    segment = f", segment {ring['segment']}" if ring["segment"] else ""
    # The ring over WAN has the servers of all datacenters.
    return "WAN" if ring["wan"] else f"{ring['datacenter']}{segment}"


def _returned(ring: Ring) -> dict[str, Any]:
    return {
        **{name: ring[name] for name in ("wan", "datacenter", "segment", "nodes")},
        **{name: {fingerprint(key): count for key, count in ring[name].items()} for name in ("keys", "primary_keys")},
    }

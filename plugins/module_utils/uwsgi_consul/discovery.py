# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`Discovery`: the instances of services, read from memory while they change in Consul, also when Consul is away.

Source: https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-service
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Dict, Generator, List, Union
from urllib.parse import urlencode

from . import arguments, background, uwsgi_cache, vassal
from .api import Api, AsyncApi
from .balance import WAYS, Balancer, Failures, Instance, identity
from .errors import ConsulError, InvalidValueError, NoInstanceError, TooStaleError
from .listener import Listener
from .process import PerProcess
from .protocol import Answer, segment
from .services import STATUSES, instance
from .snapshot_file import SnapshotFile
from .watch import LOOK_EVERY, Snapshot, Watch, watch

# How long the first read waits for Consul, in seconds, when a file knows an answer too.
_PATIENCE = 2.0
# How old a file's time of confirmation may become, in seconds.
_SAVE_EVERY = 30.0

# The plugin asks something every 5 s, and says so within a second. Seconds.
_PLUGIN_SILENCE = 15.0
# Held while a watch is made, which is seldom.
_locks = PerProcess(threading.Lock)


class Instances(List[Dict[str, Any]]):
    """A list of instances as `services.instance` describes them; the list is the caller's, the instances are shared: do not change them.

    datacenter: which was asked, or `None` for the agent's own.
    """

    def __init__(self, snapshot: Snapshot, datacenter: str | None) -> None:
        super().__init__(snapshot.value)
        self._snapshot = snapshot
        self.datacenter = datacenter

    @property
    def age(self) -> float:
        """Seconds since Consul last confirmed them; while it is there a few at most."""
        return self._snapshot.age

    @property
    def stale(self) -> bool:
        """Whether Consul is away, or for another reason does not confirm them."""
        return self._snapshot.stale_since is not None

    @property
    def changed(self) -> float:
        """When they last changed, in Unix seconds."""
        return self._snapshot.changed


@dataclass(frozen=True)
class _Choice:
    """Which instances are meant, checked."""

    datacenters: tuple[str | None, ...] = (None,)
    status: str = "passing"
    tags: tuple[str, ...] = ()
    filter: str | None = None
    near: str | None = None

    def changed(self, options: Mapping[str, Any]) -> _Choice:
        """The choice with these options of `Discovery` instead; raises `InvalidValueError`, and `TypeError` for another option."""
        unknown = sorted(set(options) - set(_JUDGES))
        if unknown:
            raise TypeError(f"{unknown[0]!r} is none of the options {', '.join(_JUDGES)}, max_stale")
        return replace(self, **{option: _JUDGES[option](value) for option, value in options.items()})


# What `wait` does: so many seconds of pause, and at last the instances.
_Steps = Generator[Union[float, Instances], None, None]


class Discovery:
    """Finds the instances of services. The first question for a name asks Consul; from then on it is watched, and read from memory.

    client: how Consul is reached; unless given, by the environment, and in a uWSGI worker by the options of the plugin.
    datacenters: asked in this order, the next when one has no instance; unless given, the settings' or the agent's own.
    status: `passing`, `warning` (passing or warning) or `any`. tags: an instance must have all of them. filter: an
    expression in Consul's filter language. near: sorts by the round trip time from this node (`_agent`: the agent).
    max_stale: seconds; older answers, while Consul is away, are refused by `TooStaleError`. Without it the last one known
    serves for as long as Consul is away. directory: where it is kept in files for a start at which Consul is away.
    watch: names whose first answers are fetched at once, all at the same time.

    All but `client`, `directory` and `watch` can be given to `get`, `choose`, `wait` and `on_change` too, for one question.

    In a uWSGI worker whose plugin watches a service (`consul-watch-service`), its shared cache is read instead. What is
    watched counts as asked for until `close`. Safe in any thread, and after a fork. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        client: Api | AsyncApi | None = None,
        *,
        datacenters: Sequence[str] | None = None,
        status: str = "passing",
        tags: Iterable[str] = (),
        filter: str | None = None,  # noqa: A002 - Consul's own term
        near: str | None = None,
        max_stale: float | None = None,
        directory: str | os.PathLike[str] | None = None,
        watch: Iterable[str] = (),
    ) -> None:
        self._in_worker = uwsgi_cache.available()
        own = vassal.settings() if self._in_worker else None
        self._client = client or Api(own)
        # Another cluster's services are not in the cache.
        self._in_worker = own is not None and own.agents == self._client.settings.agents
        self._cache_datacenter = own.datacenter if own else None
        self._choice = _Choice().changed({"datacenters": datacenters, "status": status, "tags": tags, "filter": filter, "near": near})
        self._max_stale = _seconds(max_stale)
        self._directory = _directory(directory)
        self._services: dict[tuple[str, _Choice], _Service] = {}
        self._plain: dict[str, _Service] = {}
        self._failures = Failures()
        self._closed = False
        for name in _listed(watch, "watch", arguments.name):
            service = self._service(name, {})
            # The workers that uWSGI's master forks begin by themselves, when they first ask.
            if not vassal.is_master():
                service.prepare()

    def __repr__(self) -> str:
        return f"Discovery({self._client.settings!r}, services={sorted({name for name, _options in self._services})})"

    def get(self, name: str, **overrides: Any) -> Instances:
        """The instances of a service; an empty list for one that Consul does not know.

        Only the first question for a name waits, up to the settings' time-out. Later ones answer from memory, whatever
        becomes of Consul. In the order of node, port and id, unless *near* is given.
        Raises `ConsulError` when there was never an answer, and `TooStaleError`.
        """
        service = self._plain.get(name) if not overrides and isinstance(name, str) else None
        if service is not None:
            return service.get(self._max_stale)
        service, max_stale = self._asked(name, overrides)
        return service.get(max_stale)

    def choose(self, name: str, *, by: str = "round-robin", key: str | None = None, **overrides: Any) -> Instance:
        """One instance of a service, to send a request to.

        by: `round-robin`; `random`; `weighted` (by Consul's weights, of which an instance in a warning has another one);
        `nearest` (the nodes with the shortest round trip from the agent, by Consul's coordinates); `sticky` (the same
        for the same *key*, by weight, in every process; when an instance goes only its own keys move).
        Those that `failed` are left out. Raises `NoInstanceError` where there is none, else as `get`.
        """
        service, max_stale = self._asked_to_choose(name, by, key, overrides)
        return self._chosen(service, service.get(max_stale), by, key)

    def failed(self, instance: Mapping[str, Any], seconds: float = 10.0) -> None:
        """`choose` leaves this instance out for so many seconds, in this process; unless all have failed."""
        try:
            who = identity(instance)
            hash(who)
        except (TypeError, KeyError, AttributeError):
            raise InvalidValueError(f"instance: {arguments.shown(instance)} is no instance that get or choose has given") from None
        self._failures.add(who, arguments.seconds(seconds, "seconds"))

    def wait(self, name: str, minimum: int = 1, timeout: float | None = None, **overrides: Any) -> Instances:
        """The instances as soon as there are so many; Consul may also be away at first.

        timeout: seconds, without end unless given. Raises `NoInstanceError` when it ends.
        """
        pause = self._waiting(name, minimum, timeout, overrides)
        while True:
            found = next(pause)
            if isinstance(found, Instances):
                return found
            time.sleep(found)

    def on_change(self, name: str, callback: Callable[[Instances], object], **overrides: Any) -> None:
        """Calls *callback* with the instances that are there or come first, and with the newest ones after each change.

        It runs in a thread of its own, never twice at a time. While it is busy, changes are put together: what comes in
        between may be left out, the last one never. What it raises is logged. It always makes this process watch the
        service itself.
        """
        service, max_stale = self._asked(name, overrides)
        service.on_change(arguments.function(callback, "callback"), max_stale)

    async def get_async(self, name: str, **overrides: Any) -> Instances:
        """As `get`, for programs of an event loop. After the first answer `get` does not wait either."""
        service, max_stale = self._asked(name, overrides)
        await _pass(service.settling())
        return service.get(max_stale, 0)

    async def choose_async(self, name: str, *, by: str = "round-robin", key: str | None = None, **overrides: Any) -> Instance:
        """As `choose`, for programs of an event loop. After the first answer `choose` does not wait either."""
        service, max_stale = self._asked_to_choose(name, by, key, overrides)
        await _pass(service.settling())
        return self._chosen(service, service.get(max_stale, 0), by, key)

    async def wait_async(self, name: str, minimum: int = 1, timeout: float | None = None, **overrides: Any) -> Instances:
        """As `wait`, for programs of an event loop."""
        pause = self._waiting(name, minimum, timeout, overrides)
        while True:
            found = next(pause)
            if isinstance(found, Instances):
                return found
            await asyncio.sleep(found)

    def close(self) -> None:
        """Ends all watches and callbacks. What was known last can still be read, and nothing else."""
        self._closed = True
        for service in list(self._services.values()):
            service.close()

    def __enter__(self) -> Discovery:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _asked(self, name: str, overrides: dict[str, Any]) -> tuple[_Service, float | None]:
        """The service with these options, and how old an answer may be: that is of the question, not of what is watched."""
        options = dict(overrides)
        max_stale = _seconds(options.pop("max_stale")) if "max_stale" in options else self._max_stale
        return self._service(name, options), max_stale

    def _asked_to_choose(self, name: str, by: str, key: str | None, overrides: dict[str, Any]) -> tuple[_Service, float | None]:
        arguments.choice(by, "by", WAYS)
        if key is not None or by == "sticky":
            arguments.text(key, "key")
        near = {"near": "_agent"} if by == "nearest" and not overrides.get("near", self._choice.near) else {}
        return self._asked(name, {**overrides, **near})

    def _chosen(self, service: _Service, found: Instances, by: str, key: str | None) -> Instance:
        candidates = self._failures.leave_out(found)
        if not candidates:
            raise NoInstanceError(f"the service {service.name} has no instance{_of(service.choice)}")
        return service.balancer.choose(candidates, by, key)

    def _service(self, name: str, overrides: dict[str, Any]) -> _Service:
        choice = self._choice.changed(overrides) if overrides else self._choice
        key = (arguments.name(name, "name"), choice)
        service = self._services.get(key)
        if service is None:
            if self._closed:
                raise ConsulError(f"the Discovery is closed, and the service {name} was not asked for before")
            service = self._services.setdefault(key, self._made(name, choice))
            if not overrides:
                self._plain[name] = service
        return service

    def _made(self, name: str, choice: _Choice) -> _Service:
        sources = [
            _Source(self._client, name, choice, datacenter, self._directory, self._cache_keys(name, choice, datacenter))
            for datacenter in choice.datacenters
        ]
        return _Service(name, choice, sources, self._client.settings.timeout)

    def _cache_keys(self, name: str, choice: _Choice, datacenter: str | None) -> list[str]:
        """The keys under which the plugin may keep just this; its datacenter is written only where the watch names one."""
        if not self._in_worker or choice.near:
            return []
        wanted = datacenter or self._client.settings.datacenter
        datacenters = [wanted] if wanted else []
        keys = []
        for place in [*datacenters, *([None] if wanted == self._cache_datacenter else [])]:
            for tags in dict.fromkeys([choice.tags, tuple(sorted(choice.tags))]):
                parts = [("dc", place), *(("tag", tag) for tag in tags)]
                parts += [("status", None if choice.status == "passing" else choice.status), ("filter", choice.filter)]
                query = "&".join(f"{option}={value}" for option, value in parts if value)
                keys.append(f"service/{name}?{query}" if query else f"service/{name}")
        return keys

    def _waiting(self, name: str, minimum: int, timeout: float | None, overrides: dict[str, Any]) -> _Steps:
        """Gives the seconds to wait before it is asked again, and at last the instances."""
        arguments.integer(minimum, "minimum", 0, 1_000_000)
        deadline = None if timeout is None else time.monotonic() + arguments.seconds(timeout, "timeout")
        service, max_stale = self._asked(name, overrides)
        return self._wait_steps(service, max_stale, minimum, deadline)

    def _wait_steps(self, service: _Service, max_stale: float | None, minimum: int, deadline: float | None) -> _Steps:
        yield from service.settling(deadline)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            error: ConsulError | None = None
            found: Instances | None = None
            try:
                found = service.get(max_stale, 0)
            except ConsulError as problem:
                error = problem
            if found is not None and len(found) >= minimum:
                yield found
            if left is not None and left <= 0:
                there = f"{error}" if found is None else f"there were {len(found)}"
                raise NoInstanceError(f"the service {service.name} did not have {minimum} instances in time: {there}")
            yield LOOK_EVERY if left is None else max(0.001, min(LOOK_EVERY, left))


class _Service:
    """A service as it was asked for: its source in each datacenter, in order."""

    def __init__(self, name: str, choice: _Choice, sources: list[_Source], timeout: float) -> None:
        self.name, self.choice, self._timeout = name, choice, timeout
        self.balancer = Balancer()
        self._sources = sources
        self._listeners: list[Listener] = []

    def prepare(self) -> None:
        """Has all sources ask, without waiting for them."""
        for source in self._sources:
            source.prepare()

    def settling(self, deadline: float | None = None) -> Generator[float, None, None]:
        """Gives the seconds to wait before it is asked again, until `get` has no reason to wait; deadline: of `time.monotonic()`."""
        self.prepare()
        started = time.monotonic()
        last = started + self._timeout if deadline is None else min(deadline, started + self._timeout)
        for source in self._sources:
            while not source.is_settled(time.monotonic() - started) and time.monotonic() < last:
                yield LOOK_EVERY
            with contextlib.suppress(ConsulError):
                if source.snapshot(0).value:
                    return

    def get(self, max_stale: float | None, timeout: float | None = None) -> Instances:
        """The instances of the first datacenter that has any. Raises as `Discovery.get`."""
        if len(self._sources) == 1:
            return self._read(self._sources[0], max_stale, timeout)
        self.prepare()
        nothing: Instances | None = None
        failures: list[ConsulError] = []
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        for source in self._sources:
            try:
                found = self._read(source, max_stale, max(0.0, deadline - time.monotonic()))
            except ConsulError as error:
                failures.append(error)
                continue
            if found:
                return found
            nothing = found if nothing is None else nothing
        if nothing is not None:
            return nothing
        raise failures[0]

    def on_change(self, callback: Callable[[Instances], object], max_stale: float | None) -> None:
        last: list[Instances] = []

        def compare(_snapshot: object) -> None:
            try:
                found = self.get(max_stale, 0)
            except ConsulError:
                # Another datacenter has not answered yet; its answer will bring us here again.
                return
            # None is the same, wherever there is none.
            if not last or last[0] != found or (found and last[0].datacenter != found.datacenter):
                last[:] = [found]
                callback(found)

        listener = Listener(compare)
        self._listeners.append(listener)
        for source in self._sources:
            # One source calls in order by itself, and knows in a child what was delivered.
            source.watch().on_change(listener.tell if len(self._sources) > 1 else compare)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for source in self._sources:
            source.close()

    def _read(self, source: _Source, max_stale: float | None, timeout: float | None) -> Instances:
        snapshot = source.snapshot(timeout)
        if max_stale is not None and snapshot.stale_since is not None and snapshot.age > max_stale:
            raise TooStaleError(
                f"what is known of the service {self.name} is {snapshot.age:.1f} s old, and may be {max_stale:g} s at most (max_stale)",
                advice="Consul is away, or does not answer for it: the log of uwsgi_consul has the reason",
                age=snapshot.age,
            )
        return Instances(snapshot, source.datacenter)


class _Source:
    """A service in one datacenter: read from the plugin's cache, else watched, else known from a file."""

    def __init__(
        self, client: Api | AsyncApi, name: str, choice: _Choice, datacenter: str | None, directory: str | None, cache_keys: list[str]
    ) -> None:
        self.datacenter = datacenter
        self._client = client
        self._path = f"/v1/health/service/{segment(name, 'name')}"
        params: list[tuple[str, str]] = [("tag", tag) for tag in choice.tags]
        options = {"passing": "1" if choice.status == "passing" else None, "near": choice.near, "filter": choice.filter, "dc": datacenter}
        self._params = params + [(option, value) for option, value in options.items() if value]
        self._decode = _DECODERS[choice.status, bool(choice.near)]
        self._watch: Watch | None = None
        self._cache_keys = cache_keys
        self._cached: tuple[Any, Snapshot] | None = None
        asked = f"{self._path}?{urlencode(self._params)}&status={choice.status}&of={client.settings.datacenter or ''}"
        self._file = SnapshotFile(directory, name, asked) if directory else None
        self._from_file: Snapshot | None = None
        self._patient = True
        # The process that keeps the file: a child goes on with it.
        self._keeps = 0

    def prepare(self) -> None:
        """Has it asked, without waiting for the answer."""
        if self._watch is None and not (self._cache_keys and self._from_cache()):
            self.watch()

    def is_settled(self, waited: float) -> bool:
        """Whether there is no reason to wait for the first answer, when it was waited for so many seconds."""
        if self._watch is None:
            return bool(self._cache_keys and self._from_cache())
        patient = self._patient and waited < _PATIENCE
        return self._watch.settled or (self._from_file is not None and not patient)

    def snapshot(self, timeout: float | None) -> Snapshot:
        """Raises `ConsulError`."""
        # Where this process watches by itself it has heard of each change first.
        if self._cache_keys and self._watch is None:
            found = self._from_cache()
            if found is not None:
                return found
        if self._file is None:
            return (self._watch or self.watch()).get(timeout)
        watched = self.watch()
        return watched.latest or self._first(watched, timeout)

    def watch(self) -> Watch:
        """The watch of this process, made when it is first needed."""
        if self._watch is None:
            with _locks.get():
                if self._watch is None:
                    if self._file is not None:
                        self._from_file = self._file.read()
                    self._watch = watch(self._client, self._path, self._params, self._decode)
        if self._file is not None and self._keeps != os.getpid():
            if not self._keeps:
                self._watch.on_change(self._file.write)
            self._keeps = os.getpid()
            if not vassal.is_master():
                background.start(_refresh(self._watch, self._file))
        return self._watch

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def _first(self, watched: Watch, timeout: float | None) -> Snapshot:
        """The first answer; what the file says, if there is none soon."""
        known = self._from_file
        if known is None:
            return watched.get(timeout)
        patient, self._patient = self._patient, False
        try:
            return watched.get((_PATIENCE if timeout is None else min(_PATIENCE, timeout)) if patient else 0)
        except ConsulError:
            return known

    def _from_cache(self) -> Snapshot | None:
        for key in self._cache_keys:
            item = uwsgi_cache.cached(key)
            if item is not None and isinstance(item.get("instances"), list):
                known = self._cached
                # The same object as long as the cache's content is the same.
                if known is None or known[0] is not item:
                    known = self._cached = (item, _of_cache(item))
                return known[1] if known[1].stale_since is not None else _vouched_for(known[1])
        return None


def _vouched_for(snapshot: Snapshot) -> Snapshot:
    """The snapshot as of the plugin's last contact with Consul, stale when it writes of none any more: its agent process hangs."""
    contact = (uwsgi_cache.cached("agent") or {}).get("last_contact")
    confirmed = max(snapshot.changed, float(contact or 0.0))
    silent = time.time() - confirmed > _PLUGIN_SILENCE
    return replace(snapshot, confirmed=confirmed, stale_since=confirmed if silent else None)


def _of_cache(item: dict[str, Any]) -> Snapshot:
    since = item.get("stale_since")
    changed = float(item.get("changed") or 0.0)
    return Snapshot(item["instances"], int(item.get("index") or 0), changed, time.time() if since is None else float(since), since)


async def _refresh(watched: Watch, file: SnapshotFile) -> None:
    """Writes to the file, from time to time, that nothing has changed."""
    while not watched.closed:
        await asyncio.sleep(_SAVE_EVERY / 2)
        snapshot = watched.latest
        # The processes of an app share the file: one of them is enough.
        if snapshot is not None and snapshot.stale_since is None and file.age() > _SAVE_EVERY:
            await asyncio.get_running_loop().run_in_executor(None, file.write, snapshot)


async def _pass(pauses: Iterable[float]) -> None:
    for pause in pauses:
        await asyncio.sleep(pause)


def _decoder(status: str, sort: bool) -> Callable[[Answer], list[Instance]]:
    wanted = STATUSES[status]

    def decode(answer: Answer) -> list[Instance]:
        entries = answer.json()
        if not isinstance(entries, list):
            raise answer.bad()
        found = [one for one in (instance(entry, answer) for entry in entries) if one["status"] in wanted]
        return sorted(found, key=lambda one: (one["node"], one["port"], one["id"])) if sort else found

    return decode


# One function for each way of asking, since watches are equal only when their functions are.
_DECODERS = {(status, near): _decoder(status, not near) for status in STATUSES for near in (False, True)}


# What makes an option's value of what was given; `None` stands for the default.
_JUDGES: dict[str, Callable[[Any], Any]] = {
    "datacenters": lambda given: _listed(given, "datacenters", _datacenter) or (None,),
    "status": lambda given: arguments.choice("passing" if given is None else given, "status", tuple(STATUSES)),
    "tags": lambda given: _listed(given, "tags", arguments.name),
    "filter": lambda given: None if given is None else (arguments.text(given, "filter") or None),
    "near": lambda given: None if given is None else arguments.name(given, "near"),
}


def _seconds(max_stale: Any) -> float | None:
    return None if max_stale is None else arguments.seconds(max_stale, "max_stale", most=math.inf)


def _datacenter(given: Any, what: str) -> str:
    # None has a meaning of its own there.
    return arguments.datacenter("" if given is None else given, what) or ""


def _listed(given: Any, what: str, judge: Callable[[Any, str], str]) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidValueError(f"{what}: {arguments.shown(given)} is no list")
    return tuple(judge(one, what) for one in given)


def _directory(given: Any) -> str | None:
    if given is None:
        return None
    try:
        directory = os.fspath(given)
    except TypeError:
        directory = ""
    if not isinstance(directory, str) or not directory or "\0" in directory:
        raise InvalidValueError(f"directory: {arguments.shown(given)} is no path")
    return os.path.abspath(os.path.expanduser(directory))


def _of(choice: _Choice) -> str:
    """How it was asked for, in words for an error."""
    places = ", ".join(place for place in choice.datacenters if place)
    tags = ", ".join(choice.tags)
    return (f" with the tags {tags}" if tags else "") + f" of status {choice.status}" + (f" in {places}" if places else "")

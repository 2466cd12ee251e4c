# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`Config`: an app's settings from a folder of keys, with types, judged before they are used, and followed as they change."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from . import arguments, keys, shapes
from .errors import ConsulError
from .kv import KV
from .process import PerProcess

if TYPE_CHECKING:
    from .api import Api
    from .watch import Snapshot, Watch

_logger = logging.getLogger("uwsgi_consul.config")
_T = TypeVar("_T")
_Change = Callable[[_T, "_T | None"], Any]


class ConfigError(ConsulError):
    """What stands in Consul is no right configuration. problems: what is wrong, by key.

    No message repeats a value, for it may be a secret; only the words of a validation of the app's own are repeated.
    """

    def __init__(self, folder: str, problems: Mapping[str, str]) -> None:
        listed = "; ".join(f"{key or folder}: {problem}" for key, problem in sorted(problems.items()))
        super().__init__(f"the configuration is not right: {listed}")
        self.problems = dict(problems)


class Config(Generic[_T]):
    """The settings of a folder as one value, which is replaced as a whole when keys change.

    shape: a dataclass, best a frozen one, whose fields are read from the keys of their names; or a mapping of names to
    converters, functions that take the text of a key, and then the value is a mapping. What each type of a field takes:
    see `shapes`. A `validate` method of the dataclass is called before a new value counts, as is its `__post_init__`;
    each refuses by raising.

    folder: with or without a slash at its end. strict: whether a key that belongs to no field is a problem. initial: what
    counts until there is something right in Consul; without it the first read must succeed. timeout: seconds to wait
    for that.

    A value that is not right leaves the last one in force; it is logged once (logger `uwsgi_consul.config`), told to
    those who asked by `on_problem`, and stands in `problem`.

    Raises `InvalidValueError` for a shape that can't be read, before anything is asked; `ConfigError` when what stands
    in Consul is not right, `NoAgentError` when there is no answer in time, both only without *initial*.
    """

    def __init__(
        self,
        shape: type[_T] | Mapping[str, Callable[[str], Any]],
        folder: str,
        *,
        client: Api | None = None,
        datacenter: str | None = None,
        strict: bool = False,
        initial: _T | None = None,
        timeout: float = 10.0,
        on_change: _Change[_T] | None = None,
        on_problem: Callable[[ConfigError], Any] | None = None,
    ) -> None:
        self._folder = keys.folder(folder)
        self._reader = shapes.reader(shape)
        self._strict = arguments.boolean(strict, "strict")
        timeout = arguments.seconds(timeout, "timeout", least=0.001)
        self._current: Any = initial
        self._problem: ConfigError | None = None
        # What was last judged, so that nothing is judged, told and logged twice.
        self._seen: dict[str, bytes] | None = None
        self._on_change: list[_Change[_T]] = []
        self._on_problem: list[Callable[[ConfigError], Any]] = []
        # Held while a change is applied and told, so that changes are told in their order. A thread of the parent may hold
        # the one of its process when a child is forked.
        self._locks = PerProcess(threading.RLock)
        self._process = os.getpid()
        if on_change is not None:
            self.on_change(on_change)
        if on_problem is not None:
            self.on_problem(on_problem)
        with self._locks.get():
            self._watch: Watch = KV(client, datacenter=datacenter).watch(self._folder, self._follow, recurse=True)
        if initial is None:
            try:
                self._wait(timeout)
            except BaseException:
                self.close()
                raise

    def __repr__(self) -> str:
        # The values may be secrets.
        return f"Config({self._reader.name}, {self._folder!r})"

    def __enter__(self) -> Config[_T]:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def current(self) -> _T:
        """The settings that are in force: all of one moment. Costs no request."""
        if self._process != os.getpid():
            self._go_on()
        value: _T = self._current
        return value

    @property
    def problem(self) -> ConfigError | None:
        """Why what now stands in Consul is not in force; `None` when it is."""
        return self._problem

    @property
    def stale_since(self) -> float | None:
        """Since when no agent vouches for what was read last (unix seconds); `None` while one does, and before the first answer."""
        snapshot = self._watch.latest
        return None if snapshot is None else snapshot.stale_since

    def on_change(self, callback: _Change[_T]) -> Callable[[], None]:
        """Calls *callback* with the new and the old value after each change; the result ends that.

        The old value is `None` at the first. An exception in it is logged and changes nothing.
        """
        return self._subscribe(self._on_change, callback)

    def on_problem(self, callback: Callable[[ConfigError], Any]) -> Callable[[], None]:
        """Calls *callback* with a `ConfigError` after each change that is not right; the result ends that."""
        return self._subscribe(self._on_problem, callback)

    def close(self) -> None:
        """Follows no change any more; `current` stays."""
        self._watch.close()

    def apply(self, entries: list[dict[str, Any]]) -> bool:
        """Puts the entries of the folder in force, if they are right; gives whether they are."""
        found = {str(entry["key"])[len(self._folder) :]: bytes(entry["value"]) for entry in entries}
        with self._locks.get():
            if found != self._seen:
                self._judge(found)
                self._seen = found
            return self._problem is None

    def _judge(self, found: dict[str, bytes]) -> None:
        value, problems = self._reader.read(found, self._strict)
        if problems:
            problem = ConfigError(self._folder, {f"{self._folder}{name}": said for name, said in problems.items()})
            self._problem = problem
            kept = "" if self._current is None else "; the last one stays in force"
            _logger.warning("%s%s", problem, kept)
            self._tell(self._on_problem, problem)
            return
        self._problem = None
        old, self._current = self._current, value
        if old is None or value != old:
            self._tell(self._on_change, value, old)

    def _go_on(self) -> None:
        """In a child: follows changes again, from what the parent knew last, which it was perhaps just about to apply."""
        with self._locks.get():
            if self._process == os.getpid():
                return
            snapshot = self._watch.latest
            # Before callbacks are told, which may ask for the settings.
            self._process = os.getpid()
            if snapshot is not None:
                self.apply(snapshot.value)

    def _follow(self, snapshot: Snapshot) -> None:
        self.apply(snapshot.value)

    def _wait(self, timeout: float) -> None:
        """Waits until the first answer is in force; raises what keeps it from that."""
        snapshot = self._watch.get(timeout=timeout)
        with self._locks.get():
            # The watch may have called back already, with this answer or with a later one.
            if self._seen is None:
                self.apply(snapshot.value)
            if self._current is None and self._problem is not None:
                raise self._problem

    def _subscribe(self, callbacks: list[Any], callback: Any) -> Callable[[], None]:
        arguments.function(callback, "callback")
        entry = _Subscription(callback)
        with self._locks.get():
            callbacks.append(entry)

        def end() -> None:
            with self._locks.get():
                if entry in callbacks:
                    callbacks.remove(entry)

        return end

    def _tell(self, callbacks: list[Any], *values: Any) -> None:
        for callback in list(callbacks):
            try:
                callback(*values)
            except Exception:
                _logger.exception("a callback of %r failed", self)


class _Subscription:
    """A callback, told apart from the same one given twice."""

    def __init__(self, callback: Callable[..., Any]) -> None:
        self._callback = callback

    def __call__(self, *values: Any) -> None:
        self._callback(*values)

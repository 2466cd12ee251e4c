"""Where the lab keeps what it makes, and how two runs keep out of each other's way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import console


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "uwsgi-consul"


def lab_cache() -> Path:
    """The ssh key, ssh's sockets and scratch space."""
    path = cache() / "lab"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def consul_cache() -> Path:
    path = cache() / "consul"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One run at a time in a directory of the cache; the lock ends with the process, however that ends."""
    with (directory / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            console.say(f"Waiting for another run of lab.py (process {lock.read().strip() or 'unknown'}) to finish")
            with console.ticking("waiting for the other run"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield

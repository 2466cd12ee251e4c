# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul for Python programs: one client with failover, time-outs and token discipline, and what is built on it.

`Client` is a `consul.base.Consul` (python-consul2 or py-consul), so it is loaded on first use: importing this package
costs little, and works where the Consul library is missing until a client is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import (
    BadAnswerError,
    BadRequestError,
    ConflictError,
    ConsulError,
    InvalidValueError,
    LibraryMissingError,
    LostError,
    NoAgentError,
    NotAcquiredError,
    NotFoundError,
    PermissionDeniedError,
    RequestError,
    ServerError,
)

if TYPE_CHECKING:
    from .api import Api, AsyncApi
    from .client import AsyncClient, Client
    from .election import Election
    from .events import Events
    from .lock import Lock
    from .maintenance import Maintenance
    from .mesh import Mesh
    from .queries import Queries
    from .semaphore import Semaphore
    from .sessions import Sessions
    from .settings import Agent, Settings
    from .sweeper import Sweeper

# Where each name is that is loaded when it is first used.
_MODULES = {
    "Agent": "settings",
    "Api": "api",
    "AsyncApi": "api",
    "AsyncClient": "client",
    "Client": "client",
    "Election": "election",
    "Events": "events",
    "Lock": "lock",
    "Maintenance": "maintenance",
    "Mesh": "mesh",
    "Queries": "queries",
    "Semaphore": "semaphore",
    "Sessions": "sessions",
    "Settings": "settings",
    "Sweeper": "sweeper",
}

__all__ = [
    "Agent",
    "Api",
    "AsyncApi",
    "AsyncClient",
    "BadAnswerError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "ConsulError",
    "Election",
    "Events",
    "InvalidValueError",
    "LibraryMissingError",
    "Lock",
    "LostError",
    "Maintenance",
    "Mesh",
    "NoAgentError",
    "NotAcquiredError",
    "NotFoundError",
    "PermissionDeniedError",
    "Queries",
    "RequestError",
    "Semaphore",
    "ServerError",
    "Sessions",
    "Settings",
    "Sweeper",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

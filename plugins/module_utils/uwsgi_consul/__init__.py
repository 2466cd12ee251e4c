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
    NoInstanceError,
    NotAcquiredError,
    NotFoundError,
    PermissionDeniedError,
    RequestError,
    ServerError,
    TooStaleError,
)

if TYPE_CHECKING:
    from .api import Api, AsyncApi
    from .catalog import Catalog
    from .client import AsyncClient, Client
    from .config import Config, ConfigError
    from .discovery import Discovery, Instances
    from .election import Election
    from .events import Events
    from .health import Health
    from .kv import KV
    from .lock import Lock
    from .maintenance import Maintenance
    from .mesh import Mesh
    from .queries import Queries
    from .registration import ExternalService, Service
    from .registry import Registry
    from .semaphore import Semaphore
    from .sessions import Sessions
    from .settings import Agent, Settings
    from .sweeper import Sweeper
    from .transactions import Operation, TransactionError
    from .updates import OutcomeUnknownError
    from .watch import Snapshot, Watch

# Where each name is that is loaded when it is first used.
_MODULES = {
    "Agent": "settings",
    "Api": "api",
    "AsyncApi": "api",
    "AsyncClient": "client",
    "Catalog": "catalog",
    "Client": "client",
    "Config": "config",
    "ConfigError": "config",
    "Discovery": "discovery",
    "Election": "election",
    "Events": "events",
    "ExternalService": "registration",
    "Health": "health",
    "Instances": "discovery",
    "KV": "kv",
    "Lock": "lock",
    "Maintenance": "maintenance",
    "Mesh": "mesh",
    "Operation": "transactions",
    "OutcomeUnknownError": "updates",
    "Queries": "queries",
    "Registry": "registry",
    "Semaphore": "semaphore",
    "Service": "registration",
    "Sessions": "sessions",
    "Settings": "settings",
    "Snapshot": "watch",
    "Sweeper": "sweeper",
    "TransactionError": "transactions",
    "Watch": "watch",
}

__all__ = [
    "KV",
    "Agent",
    "Api",
    "AsyncApi",
    "AsyncClient",
    "BadAnswerError",
    "BadRequestError",
    "Catalog",
    "Client",
    "Config",
    "ConfigError",
    "ConflictError",
    "ConsulError",
    "Discovery",
    "Election",
    "Events",
    "ExternalService",
    "Health",
    "Instances",
    "InvalidValueError",
    "LibraryMissingError",
    "Lock",
    "LostError",
    "Maintenance",
    "Mesh",
    "NoAgentError",
    "NoInstanceError",
    "NotAcquiredError",
    "NotFoundError",
    "Operation",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "Queries",
    "Registry",
    "RequestError",
    "Semaphore",
    "ServerError",
    "Service",
    "Sessions",
    "Settings",
    "Snapshot",
    "Sweeper",
    "TooStaleError",
    "TransactionError",
    "Watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

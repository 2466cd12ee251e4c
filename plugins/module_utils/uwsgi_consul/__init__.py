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
    from .acl import AgentTokens, AuthMethods, BindingRules, Policies, Replication, Roles, Tokens
    from .api import Api, AsyncApi
    from .client import AsyncClient, Client
    from .config import Config, ConfigError
    from .config_entries import ConfigEntries
    from .datacenters import Datacenters
    from .discovery import Discovery, Instances
    from .election import Election
    from .events import Events
    from .health import Health
    from .intentions import Intentions
    from .keyring import Keyring
    from .kv import KV
    from .lock import Lock
    from .maintenance import Maintenance
    from .mesh import Mesh
    from .operator import Operator
    from .overview import Overview
    from .queries import Queries
    from .registration import ExternalService, Service
    from .semaphore import Semaphore
    from .session_locks import SessionLock, SessionSemaphore
    from .sessions import Sessions
    from .settings import Agent, Settings
    from .snapshots import BadSnapshotError, Snapshots
    from .sweeper import Sweeper
    from .transactions import Operation, TransactionError
    from .updates import OutcomeUnknownError
    from .waiting import Look, Waiting
    from .watch import Snapshot, Watch

# Where each name is that is loaded when it is first used.
_MODULES = {
    "Agent": "settings",
    "AgentTokens": "acl",
    "Api": "api",
    "AsyncApi": "api",
    "AsyncClient": "client",
    "BadSnapshotError": "snapshots",
    "AuthMethods": "acl",
    "BindingRules": "acl",
    "Client": "client",
    "Config": "config",
    "ConfigEntries": "config_entries",
    "ConfigError": "config",
    "Datacenters": "datacenters",
    "Discovery": "discovery",
    "Election": "election",
    "Events": "events",
    "ExternalService": "registration",
    "Health": "health",
    "Instances": "discovery",
    "Intentions": "intentions",
    "KV": "kv",
    "Keyring": "keyring",
    "Lock": "lock",
    "Look": "waiting",
    "Maintenance": "maintenance",
    "Mesh": "mesh",
    "Operation": "transactions",
    "Operator": "operator",
    "OutcomeUnknownError": "updates",
    "Overview": "overview",
    "Policies": "acl",
    "Queries": "queries",
    "Replication": "acl",
    "Roles": "acl",
    "Semaphore": "semaphore",
    "Service": "registration",
    "SessionLock": "session_locks",
    "SessionSemaphore": "session_locks",
    "Sessions": "sessions",
    "Settings": "settings",
    "Snapshot": "watch",
    "Snapshots": "snapshots",
    "Sweeper": "sweeper",
    "Tokens": "acl",
    "TransactionError": "transactions",
    "Waiting": "waiting",
    "Watch": "watch",
}

__all__ = [
    "KV",
    "Agent",
    "AgentTokens",
    "Api",
    "AsyncApi",
    "AsyncClient",
    "AuthMethods",
    "BadAnswerError",
    "BadRequestError",
    "BadSnapshotError",
    "BindingRules",
    "Client",
    "Config",
    "ConfigEntries",
    "ConfigError",
    "ConflictError",
    "ConsulError",
    "Datacenters",
    "Discovery",
    "Election",
    "Events",
    "ExternalService",
    "Health",
    "Instances",
    "Intentions",
    "InvalidValueError",
    "Keyring",
    "LibraryMissingError",
    "Lock",
    "Look",
    "LostError",
    "Maintenance",
    "Mesh",
    "NoAgentError",
    "NoInstanceError",
    "NotAcquiredError",
    "NotFoundError",
    "Operation",
    "Operator",
    "OutcomeUnknownError",
    "Overview",
    "PermissionDeniedError",
    "Policies",
    "Queries",
    "Replication",
    "RequestError",
    "Roles",
    "Semaphore",
    "ServerError",
    "Service",
    "SessionLock",
    "SessionSemaphore",
    "Sessions",
    "Settings",
    "Snapshot",
    "Snapshots",
    "Sweeper",
    "Tokens",
    "TooStaleError",
    "TransactionError",
    "Waiting",
    "Watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

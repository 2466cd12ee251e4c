# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul for Python programs: one client with failover, time-outs and token discipline, and what is built on it.

`Client` is a `consul.base.Consul` (python-consul2 or py-consul), so it is loaded on first use: importing this package
costs little, and works where the Consul library is missing until a client is made.
"""

from __future__ import annotations

import importlib
from typing import Any

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

# Where each name is that is loaded when it is first used.
# Where each name is that is loaded when it is first used; `__init__.pyi` tells the same to those who check types.
_MODULES = {
    "Agent": "settings",
    "AgentTokens": "acl",
    "Api": "api",
    "AsyncApi": "api",
    "AsyncClient": "client",
    "Catalog": "catalog",
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
    "Registry": "registry",
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
    "Catalog",
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
    "Registry",
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

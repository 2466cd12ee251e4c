# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul for Python programs: one client with failover, time-outs and token discipline, and what is built on it.

Everything is loaded when it is first used: importing this package costs little, and works where the library that `Client`
stands on (python-consul2 or py-consul) is missing until a client is made.
"""

from __future__ import annotations

import importlib
from typing import Any

# Where each name is; `__init__.pyi` tells the same to those who check types.
_MODULES = {
    "Agent": "settings",
    "AgentTokens": "acl",
    "Api": "api",
    "AsyncApi": "api",
    "AsyncClient": "client",
    "AuthMethods": "acl",
    "BadAnswerError": "errors",
    "BadRequestError": "errors",
    "BadSnapshotError": "snapshots",
    "BindingRules": "acl",
    "Catalog": "catalog",
    "Client": "client",
    "Config": "config",
    "ConfigEntries": "config_entries",
    "ConfigError": "config",
    "ConflictError": "errors",
    "ConsulError": "errors",
    "Datacenters": "datacenters",
    "Discovery": "discovery",
    "Election": "election",
    "Events": "events",
    "ExternalService": "registration",
    "Health": "health",
    "Instances": "discovery",
    "Intentions": "intentions",
    "InvalidValueError": "errors",
    "KV": "kv",
    "Keyring": "keyring",
    "LibraryMissingError": "errors",
    "Lock": "lock",
    "Look": "waiting",
    "LostError": "errors",
    "Maintenance": "maintenance",
    "Mesh": "mesh",
    "NoAgentError": "errors",
    "NoInstanceError": "errors",
    "NotAcquiredError": "errors",
    "NotFoundError": "errors",
    "Operation": "transactions",
    "Operator": "operator",
    "OutcomeUnknownError": "updates",
    "Overview": "overview",
    "PermissionDeniedError": "errors",
    "Policies": "acl",
    "Queries": "queries",
    "Registry": "registry",
    "Replication": "acl",
    "RequestError": "errors",
    "Roles": "acl",
    "Semaphore": "semaphore",
    "ServerError": "errors",
    "Service": "registration",
    "SessionLock": "session_locks",
    "SessionSemaphore": "session_locks",
    "Sessions": "sessions",
    "Settings": "settings",
    "Snapshot": "watch",
    "Snapshots": "snapshots",
    "Sweeper": "sweeper",
    "Tokens": "acl",
    "TooStaleError": "errors",
    "TransactionError": "transactions",
    "Waiting": "waiting",
    "Watch": "watch",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul for Python programs: one client with failover, time-outs and token discipline, and what is built on it.

`Client` is a `consul.base.Consul` (python-consul2 or py-consul), so it is loaded on first use: importing this package
costs little, and works where the Consul library is missing until a client is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    BadAnswerError,
    BadRequestError,
    ConsulError,
    InvalidValueError,
    LibraryMissingError,
    NoAgentError,
    NotFoundError,
    PermissionDeniedError,
    RequestError,
    ServerError,
)
from .settings import Agent, Settings

if TYPE_CHECKING:
    from .client import Client

__all__ = [
    "Agent",
    "BadAnswerError",
    "BadRequestError",
    "Client",
    "ConsulError",
    "InvalidValueError",
    "LibraryMissingError",
    "NoAgentError",
    "NotFoundError",
    "PermissionDeniedError",
    "RequestError",
    "ServerError",
    "Settings",
]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from .client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

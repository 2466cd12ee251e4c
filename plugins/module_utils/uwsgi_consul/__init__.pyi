# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The names of the package, for those who check types: `__init__.py` loads most of them on first use.

They are not told there, under `TYPE_CHECKING`: Ansible would take it for imports, and send the whole library with each module.
"""

from .acl import AgentTokens as AgentTokens
from .acl import AuthMethods as AuthMethods
from .acl import BindingRules as BindingRules
from .acl import Policies as Policies
from .acl import Replication as Replication
from .acl import Roles as Roles
from .acl import Tokens as Tokens
from .api import Api as Api
from .api import AsyncApi as AsyncApi
from .catalog import Catalog as Catalog
from .client import AsyncClient as AsyncClient
from .client import Client as Client
from .config import Config as Config
from .config import ConfigError as ConfigError
from .config_entries import ConfigEntries as ConfigEntries
from .datacenters import Datacenters as Datacenters
from .discovery import Discovery as Discovery
from .discovery import Instances as Instances
from .election import Election as Election
from .errors import BadAnswerError as BadAnswerError
from .errors import BadRequestError as BadRequestError
from .errors import ConflictError as ConflictError
from .errors import ConsulError as ConsulError
from .errors import InvalidValueError as InvalidValueError
from .errors import LibraryMissingError as LibraryMissingError
from .errors import LostError as LostError
from .errors import NoAgentError as NoAgentError
from .errors import NoInstanceError as NoInstanceError
from .errors import NotAcquiredError as NotAcquiredError
from .errors import NotFoundError as NotFoundError
from .errors import PermissionDeniedError as PermissionDeniedError
from .errors import RequestError as RequestError
from .errors import ServerError as ServerError
from .errors import TooStaleError as TooStaleError
from .events import Events as Events
from .health import Health as Health
from .intentions import Intentions as Intentions
from .keyring import Keyring as Keyring
from .kv import KV as KV
from .lock import Lock as Lock
from .maintenance import Maintenance as Maintenance
from .mesh import Mesh as Mesh
from .operator import Operator as Operator
from .overview import Overview as Overview
from .queries import Queries as Queries
from .registration import ExternalService as ExternalService
from .registration import Service as Service
from .registry import Registry as Registry
from .semaphore import Semaphore as Semaphore
from .session_locks import SessionLock as SessionLock
from .session_locks import SessionSemaphore as SessionSemaphore
from .sessions import Sessions as Sessions
from .settings import Agent as Agent
from .settings import Settings as Settings
from .snapshots import BadSnapshotError as BadSnapshotError
from .snapshots import Snapshots as Snapshots
from .sweeper import Sweeper as Sweeper
from .transactions import Operation as Operation
from .transactions import TransactionError as TransactionError
from .updates import OutcomeUnknownError as OutcomeUnknownError
from .waiting import Look as Look
from .waiting import Waiting as Waiting
from .watch import Snapshot as Snapshot
from .watch import Watch as Watch

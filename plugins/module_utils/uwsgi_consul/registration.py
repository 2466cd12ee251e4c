# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Services that a program registers by itself: its own, for as long as it lives, and those of others that have no agent.

Sources: https://developer.hashicorp.com/consul/api-docs/agent/service and .../api-docs/catalog
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, TypeVar

from . import arguments, background, definitions, exits
from . import checks as kinds
from .definitions import NONCE_KEY
from .errors import BadRequestError, ConsulError, InvalidValueError, PermissionDeniedError
from .health import DEFAULT_TIMEOUT, STATUSES, Probe
from .heartbeat import Registration, State
from .settings import Settings

if TYPE_CHECKING:
    from .api import Api, AsyncApi

# Consul removes a service that was critical for so many seconds, unless it is told otherwise.
DEFAULT_DEREGISTER_AFTER = 90.0
# `register` waits for the agent's first answer for so many seconds.
DEFAULT_WAIT = 5.0
# Without a check to feed, the agent is asked at this interval, in seconds, whether it still knows the service.
_LOOK_INTERVAL = 10.0

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_Self = TypeVar("_Self", bound="Service")


class Service:
    """A service of this process: registered at the agent, kept alive there, deregistered at the end.

    A context manager (`with` and `async with`), a decorator of functions (sync and async), or `register` and `deregister`:

        with Service("shop", port=8000, health=look):
            serve()

    name: of the service. id: tells it from the other instances at the agent; unless given `name-host-port`, or
    `name-host-pid` without a port. address: what clients connect to; the node's unless given. port, tags, meta (keys of
    letters, digits, - and _), weights (`{"passing": 10, "warning": 1}`), tagged_addresses
    (`{"wan": {"address": "192.0.2.1", "port": 80}}`): as Consul has them.
    checks: one or several of `checks.ttl`, `http`, `tcp` and `grpc`, or of python-consul2's `Check`; unless given a TTL check
    of 10 s; `()` for none. TTL checks are fed at each third of their time, and a change of status at once.
    health: a function, asked each second in a thread, whose result is the status of the TTL checks; it returns or raises
    what a check of `Health` may, and a `Health` is such a function. health_timeout: seconds in which it must have answered,
    else the service is critical.
    status: of the TTL checks without a health function, until `passing`, `warning` or `critical` is called.
    deregister_after: seconds of being critical after which Consul removes the service, at least 60; 0 for never. A process
    that lives comes back by itself. A check may have its own.
    extra: further fields of the registration, by the API's names, such as `{"Connect": {"Native": True}}`.
    client: an `Api` or `Client`, for the agent and the token; one from the environment unless given.
    Raises `InvalidValueError`.

    The id belongs to the instance that registered it last, which its meta says (`uwsgi-instance`): an earlier one neither
    feeds nor deregisters it any more, and comes back when it is free.
    """

    def __init__(
        self,
        name: str,
        *,
        id: str | None = None,  # noqa: A002 - Consul's own term
        address: str | None = None,
        port: int | None = None,
        tags: Iterable[str] = (),
        meta: Mapping[str, str] | None = None,
        weights: Mapping[str, int] | None = None,
        tagged_addresses: Mapping[str, Mapping[str, Any]] | None = None,
        checks: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        health: Callable[[], Any] | None = None,
        health_timeout: float = DEFAULT_TIMEOUT,
        status: str = "passing",
        deregister_after: float | str = DEFAULT_DEREGISTER_AFTER,
        extra: Mapping[str, Any] | None = None,
        client: Api | AsyncApi | None = None,
    ) -> None:
        self.name = arguments.name(name, "name")
        self.port = None if port is None else arguments.integer(port, "port", 1, 65535)
        self.id = _default_id(self.name, self.port) if id is None else arguments.name(id, "id")
        self._settings = _settings(client)
        self._definition = definitions.parts(self.name, self.id, address, self.port, tags, meta, weights, tagged_addresses)
        after = kinds.deregistration(deregister_after)
        defined = kinds.definitions(kinds.ttl() if checks is None else checks, self.id, after)
        self._definition = {**definitions.json_mapping(extra, "extra"), **self._definition, "Checks": defined}
        self._ttl_checks = tuple(check["CheckID"] for check in defined if "TTL" in check)
        ttls = [arguments.duration(check["TTL"], "ttl") for check in defined if "TTL" in check]
        self._interval = min(ttls) / 3 if ttls else _LOOK_INTERVAL
        if health is not None and not ttls:
            raise InvalidValueError("health: is told to a TTL check, and there is none", advice="Add checks.ttl() to checks")
        self._health = None if health is None else arguments.function(health, "health")
        self._health_timeout = arguments.seconds(health_timeout, "health_timeout", 0.001)
        self._told = (arguments.choice(status, "status", STATUSES), "")
        self._registration: Registration | None = None
        self._process = 0

    def __repr__(self) -> str:
        return f"Service({self.name!r}, id={self.id!r})"

    @property
    def registered(self) -> bool:
        """Whether the agent has this instance's registration, as far as is known."""
        registration = self._mine()
        return registration is not None and registration.state is State.PRESENT

    def register(self, wait: float = DEFAULT_WAIT) -> bool:
        """Registers, and whether the agent has said yes within *wait* seconds; else it goes on trying in the background.

        Raises what Consul says to a definition or a token that is wrong in itself: `BadRequestError`, `PermissionDeniedError`.
        """
        arguments.seconds(wait, "wait")
        registration = self._prepare()
        try:
            background.start(registration.begin())
            return _is_there(registration.first.result(wait))
        except FutureTimeoutError:
            return False
        except BaseException:
            self._abandon()
            raise

    async def register_async(self, wait: float = DEFAULT_WAIT) -> bool:
        """`register` for an event loop."""
        arguments.seconds(wait, "wait")
        registration = self._prepare()
        try:
            background.start(registration.begin())
            return _is_there(await asyncio.wait_for(asyncio.wrap_future(registration.first), wait))
        except asyncio.TimeoutError:
            return False
        except BaseException:
            self._abandon()
            raise

    def deregister(self) -> bool:
        """Ends the registration; whether the agent is known to have none of this instance's any more.

        It waits for 2.5 s at most: an agent that does not answer keeps the service until its checks end it.
        """
        registration = self._forget()
        return registration is None or exits.leave([registration])

    async def deregister_async(self) -> bool:
        """`deregister` for an event loop."""
        registration = self._forget()
        if registration is None:
            return True
        return await asyncio.wrap_future(background.start(exits.leave_async([registration])))

    def passing(self, note: str = "") -> None:
        """The service is well: told at once if it was not, else with the next beat. note: for people, kept by Consul."""
        self._tell("passing", note)

    def warning(self, note: str = "") -> None:
        """The service warns: clients that ask for passing instances get it no more."""
        self._tell("warning", note)

    def critical(self, note: str = "") -> None:
        """The service is not to be used."""
        self._tell("critical", note)

    def __enter__(self: _Self) -> _Self:
        self.register()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.deregister()

    async def __aenter__(self: _Self) -> _Self:
        await self.register_async()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.deregister_async()

    def __call__(self, function: _Function) -> _Function:
        """Decorates a function: the service is registered while it runs."""
        arguments.function(function, "function")

        @functools.wraps(function)
        def registered(*given: Any, **named: Any) -> Any:
            with self:
                return function(*given, **named)

        @functools.wraps(function)
        async def registered_async(*given: Any, **named: Any) -> Any:
            async with self:
                return await function(*given, **named)

        return registered_async if inspect.iscoroutinefunction(function) else registered  # type: ignore[return-value]

    def _prepare(self) -> Registration:
        """A registration with a nonce of its own, which the end of the process ends."""
        if self._mine() is not None:
            raise ConsulError(f"service {self.id} is registered already", advice="Call deregister first")
        definition = {**self._definition, "Meta": {**self._definition["Meta"], NONCE_KEY: str(uuid.uuid4())}}
        probe = Probe(f"health of {self.id}", self._health, self._health_timeout) if self._health else None
        registration = Registration(self._settings, definition, self._ttl_checks, self._interval, probe, *self._told)
        self._registration, self._process = registration, os.getpid()
        exits.add(registration)
        return registration

    def _mine(self) -> Registration | None:
        """The registration that this process has made."""
        return self._registration if self._process == os.getpid() else None

    def _forget(self) -> Registration | None:
        registration, self._registration = self._mine(), None
        if registration is not None:
            exits.discard(registration)
        return registration

    def _abandon(self) -> None:
        """Ends a registration that could not begin, or whose caller is gone, without waiting for it."""
        registration = self._forget()
        if registration is not None:
            with contextlib.suppress(ConsulError):
                background.start(exits.leave_async([registration]))

    def _tell(self, status: str, note: str) -> None:
        self._told = (status, arguments.text(note, "note"))
        registration = self._mine()
        if registration is not None:
            registration.tell(status, note)
        elif self._registration is not None:
            raise ConsulError(f"service {self.id} was registered by process {self._process}, which alone can tell how it is")


def _is_there(error: ConsulError | None) -> bool:
    """Whether the first attempt went well; raises its error where trying again is of no use."""
    if isinstance(error, (BadRequestError, PermissionDeniedError)):
        raise error
    return error is None


def _settings(client: Any) -> Settings:
    if client is None:
        return Settings.resolve()
    settings = getattr(client, "settings", None)
    if not isinstance(settings, Settings):
        raise InvalidValueError(f"client: {arguments.shown(client)} is neither an Api nor a Client")
    return settings


def _default_id(name: str, port: int | None) -> str:
    return f"{name}-{socket.gethostname()}-{port or os.getpid()}"


class ExternalService:
    """A service on a machine without a Consul agent, such as a database: in the catalog under a node of its own.

    No agent checks it. `consul-esm` (https://github.com/hashicorp/consul-esm) does where it runs: it looks at the http and
    tcp checks of nodes whose meta says `external-node` and `external-probe`, which is set here. Without it the status stays
    what was last registered or told by `tell`.

    name, id, port, tags, meta, weights, tagged_addresses: as for `Service`; the id is the name unless given.
    node: the machine's name in the catalog, which no agent may have: an agent removes from its own node what it does not know.
    address: the machine's, for node and service. node_meta: further meta of the node. checks: of `checks.http` and `checks.tcp`.
    status: of all checks, until somebody tells another one. datacenter: the settings' unless given.
    Raises `InvalidValueError`.
    """

    def __init__(
        self,
        name: str,
        *,
        node: str,
        address: str,
        id: str | None = None,  # noqa: A002 - Consul's own term
        port: int | None = None,
        tags: Iterable[str] = (),
        meta: Mapping[str, str] | None = None,
        weights: Mapping[str, int] | None = None,
        tagged_addresses: Mapping[str, Mapping[str, Any]] | None = None,
        node_meta: Mapping[str, str] | None = None,
        checks: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
        status: str = "passing",
        datacenter: str | None = None,
        client: Api | None = None,
    ) -> None:
        self.name, self.node = arguments.name(name, "name"), arguments.name(node, "node")
        self.id = self.name if id is None else arguments.name(id, "id")
        self.datacenter = arguments.datacenter(datacenter)
        arguments.choice(status, "status", STATUSES)
        port = None if port is None else arguments.integer(port, "port", 1, 65535)
        service = definitions.parts(self.name, self.id, None, port, tags, meta, weights, tagged_addresses)
        service["Service"] = service.pop("Name")
        self._registration: dict[str, Any] = {
            "Node": self.node,
            "Address": definitions.judged_address(address, "address"),
            "NodeMeta": {**definitions.judged_meta(node_meta, "node_meta"), "external-node": "true", "external-probe": "true"},
            "Service": service,
            "Checks": [self._check(check, status) for check in kinds.definitions(checks, self.id, 0)],
        }
        self._client = arguments.client(client)

    def __repr__(self) -> str:
        return f"ExternalService({self.name!r}, id={self.id!r}, node={self.node!r})"

    def register(self) -> None:
        """Writes node, service and checks to the catalog, or writes them anew. Raises `ConsulError`."""
        self._client.request("PUT", "/v1/catalog/register", body=json.dumps(self._registration), idempotent=True, **self._where())

    def tell(self, status: str, note: str = "") -> None:
        """The status of all checks, and a note for people; for whoever checks the service without consul-esm. Raises `ConsulError`."""
        arguments.choice(status, "status", STATUSES)
        arguments.text(note, "note")
        if not self._registration["Checks"]:
            raise InvalidValueError("checks: there are none whose status could be told")
        self._registration["Checks"] = [{**check, "Status": status, "Output": note} for check in self._registration["Checks"]]
        self.register()

    def deregister(self, *, with_node: bool = False) -> None:
        """Takes the service and its checks out of the catalog; with_node: and the node with all that it has. Raises `ConsulError`."""
        what = {"Node": self.node} if arguments.boolean(with_node, "with_node") else {"Node": self.node, "ServiceID": self.id}
        self._client.request("PUT", "/v1/catalog/deregister", body=json.dumps(what), idempotent=True, **self._where())

    def _where(self) -> dict[str, Any]:
        return {"params": [("dc", self.datacenter)]} if self.datacenter else {}

    def _check(self, defined: Mapping[str, Any], status: str) -> dict[str, Any]:
        definition = {name: value for name, value in defined.items() if name not in ("CheckID", "Name", "Notes", "Status")}
        check = {"Node": self.node, "CheckID": defined["CheckID"], "ServiceID": self.id, "Status": defined.get("Status", status)}
        check["Name"] = defined.get("Name", f"Service {self.name!r} check")
        if defined.get("Notes"):
            check["Notes"] = defined["Notes"]
        return {**check, "Definition": definition}

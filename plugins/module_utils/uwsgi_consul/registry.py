# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What one agent has registered: its services and checks.

Sources: https://developer.hashicorp.com/consul/api-docs/agent/service and .../api-docs/agent/check
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Dict

from . import arguments, definitions
from . import checks as kinds
from .api import Api
from .bound import Bound, read
from .errors import BadRequestError, NotFoundError, RequestError, ServerError
from .protocol import seconds

_UNKNOWN_FIELD = re.compile(r'unknown field "(\w+)"')
# What came to the API after Consul 1.8, the oldest that we support. That one knows nothing of them, and says so.
_NEWER = frozenset(
    ("UDP", "H2PING", "OSService", "TLSServerName", "TCPUseTLS", "H2PingUseTLS", "DisableRedirects", "FailuresBeforeWarning")
)

# What Consul's own words leave open.
_ADVICE = {
    "not implemented": "Checks by os_service are for agents on Windows",
    "Scripts are disabled": "It stands in the agent's configuration; enable_local_script_checks is for checks of its own files only",
}
# Seconds. An agent that ends a check by alias_node waits for the end of its own query to the servers, up to a minute.
_PATIENCE = 90.0

Thing = Dict[str, Any]


class Registry(Bound):
    """The services and checks of one agent, each as `service` and `check` describe it.

    The client must have that agent's address, and no other. Raises `InvalidValueError`.
    """

    def __init__(self, client: Api | None = None) -> None:
        super().__init__(client)
        self._one_agent("a registration")

    def services(self) -> dict[str, Thing]:
        """The agent's services by their ids. Raises `ConsulError`."""
        found: dict[str, Thing] = read(
            self._ask("GET", "/v1/agent/services"), lambda data: {service_id: service(item) for service_id, item in data.items()}
        )
        return found

    def checks(self) -> dict[str, Thing]:
        """The agent's checks, of its node and of its services, by their ids. Raises `ConsulError`."""
        found: dict[str, Thing] = read(
            self._ask("GET", "/v1/agent/checks"), lambda data: {check_id: check(item) for check_id, item in data.items()}
        )
        return found

    def register(self, definition: Mapping[str, Any], *, mark: str | None = None) -> None:
        """Registers a service with its checks, as `definitions.service` has it, or anew.

        A check that it had keeps its status, and one that is not among its checks any more stays: `deregister_check` ends it.
        (Consul could remove those by itself, and would end the service's maintenance with them.)
        mark: says in the meta of the service and of its sidecar from which definition it was made. Raises `ConsulError`.
        """
        with arguments.within("definition"):
            body = definitions.service(definition)
        if mark is not None:
            marked = {definitions.MARK_KEY: arguments.text(mark, "mark", arguments.LONGEST_NAME)}
            body["Meta"] = {**body["Meta"], **marked}
            sidecar = body.get("Connect", {}).get("SidecarService")
            if sidecar is not None:
                body["Connect"]["SidecarService"] = {**sidecar, "Meta": {**(sidecar.get("Meta") or {}), **marked}}
        self._change("/v1/agent/service/register", body, f"service {body['ID']}")

    def refuse_hidden(self, service_id: str) -> None:
        """Raises `PermissionDeniedError` for a service that the token may not see, which `services` leaves out without a word."""
        self._ask("GET", f"/v1/agent/service/{arguments.path_name(service_id, 'service_id')}", allow=(404,))

    def deregister(self, service_id: str) -> None:
        """Ends the registration of a service, of its checks and its sidecar, if there is one. Raises `ConsulError`."""
        self._end("/v1/agent/service/deregister", arguments.path_name(service_id, "service_id"))

    def register_check(self, definition: Mapping[str, Any], *, service_id: str | None = None) -> None:
        """Registers a check, as `checks.define` has it, or anew: of the node, or of a service. It keeps the status that it had.

        Raises `NotFoundError` for an unknown service, `ConsulError`.
        """
        with arguments.within("definition"):
            body = _check_body(definition)
        if service_id is not None:
            body["ServiceID"] = arguments.name(service_id, "service_id")
        try:
            self._change("/v1/agent/check/register", body, f"check {body.get('ID', body['Name'])}")
        except ServerError as error:
            # 500 in 1.8.
            if "does not exist" not in error.answer:
                raise
            raise _unknown(error, f"the agent has no service {service_id}") from None

    def deregister_check(self, check_id: str) -> None:
        """Ends a check, if there is one. Raises `ConsulError`."""
        self._end("/v1/agent/check/deregister", arguments.path_name(check_id, "check_id"))

    def update_check(self, check_id: str, status: str, output: str = "") -> None:
        """Tells how what a TTL check looks after is, and starts its time again. Raises `NotFoundError`, `ConsulError`."""
        path = f"/v1/agent/check/update/{arguments.path_name(check_id, 'check_id')}"
        arguments.choice(status, "status", ("passing", "warning", "critical"))
        try:
            self._ask("PUT", path, body={"Status": status, "Output": arguments.text(output, "output")}, idempotent=True)
        except ServerError as error:
            if "does not have associated TTL" not in error.answer:
                raise
            raise _unknown(error, f"the agent has no TTL check {check_id}") from None

    def understand(self, services: Iterable[Mapping[str, Any]] = (), checks: Iterable[Mapping[str, Any]] = ()) -> None:
        """Raises `BadRequestError` when the agent is too old for a field of one of these definitions; nothing is registered.

        Nothing is asked where all of the fields are old. Else the agent gets the definition without a name: it reads the fields
        first, and then refuses that.
        """
        for one in services:
            self._understand("/v1/agent/service/register", definitions.service(one))
        for one in checks:
            self._understand("/v1/agent/check/register", _check_body(one))

    def _understand(self, path: str, body: Thing) -> None:
        if not _is_newer(body):
            return
        answer = self._ask("PUT", path, body={**body, "Name": "", "ID": ""}, idempotent=True, allow=(400,))
        unknown = _UNKNOWN_FIELD.search(answer.text)
        if unknown:
            raise BadRequestError(
                f"this agent's Consul is too old for {unknown[1]}, and nothing was changed",
                asked=answer.asked,
                agent=answer.agent,
                advice="Leave it out, or bring Consul up to date on that host",
                status=answer.status,
                answer=answer.text,
            )

    def _end(self, path: str, quoted: str) -> None:
        # 1.8 says nothing of what it does not know.
        self._change(f"{path}/{quoted}", None, allow=(404,))

    def _change(self, path: str, body: Thing | None, what: str = "", allow: tuple[int, ...] = ()) -> None:
        timeout = max(self.client.settings.timeout, _PATIENCE)
        try:
            self._ask("PUT", path, body=body, idempotent=True, timeout=timeout, allow=allow)
        except RequestError as error:
            # The address of a registration does not say of what.
            if what:
                error.problem = f"{what}: {error.problem}"
            error.advice = error.advice or next((advice for text, advice in _ADVICE.items() if text in error.answer), "")
            raise


def service(item: dict[str, Any]) -> Thing:
    """One entry of `/v1/agent/services` as a plain mapping:

    id, name, kind (empty for one that is no proxy), address (empty where it is the node's), port (0 without one), tags, meta,
    weights, tagged_addresses, enable_tag_override, native (whether it speaks for itself in the mesh), proxy (its configuration
    in the API's names).
    """
    return {
        "id": item["ID"],
        "name": item["Service"],
        "kind": item.get("Kind") or "",
        "address": item.get("Address") or "",
        # Consul 1.22 leaves it out of its answer when there is none.
        "port": item.get("Port") or 0,
        "tags": list(item.get("Tags") or ()),
        "meta": dict(item.get("Meta") or {}),
        "weights": {name.lower(): weight for name, weight in (item.get("Weights") or {"Passing": 1, "Warning": 1}).items()},
        "tagged_addresses": {
            name: {"address": tagged["Address"], "port": tagged.get("Port", 0)}
            for name, tagged in (item.get("TaggedAddresses") or {}).items()
        },
        "enable_tag_override": bool(item.get("EnableTagOverride")),
        "native": bool((item.get("Connect") or {}).get("Native")),
        "proxy": item.get("Proxy") or {},
    }


def check(item: dict[str, Any]) -> Thing:
    """One entry of `/v1/agent/checks` or `/v1/health/node/:node` as a plain mapping:

    id, name, status, output, notes, service_id and service (empty for a check of the node), type (such as `http`), interval and
    timeout (seconds; `None` where Consul does not tell, as 1.8). What it looks at is not told by any Consul.
    """
    return {
        "id": item["CheckID"],
        "name": item["Name"],
        "status": item["Status"],
        "output": item["Output"],
        "notes": item["Notes"],
        "service_id": item["ServiceID"],
        "service": item["ServiceName"],
        "type": item.get("Type") or "",
        "interval": _told(item, "Interval"),
        "timeout": _told(item, "Timeout"),
    }


def _told(item: dict[str, Any], field: str) -> float | None:
    # Agents tell it beside the definition, and the catalog in it.
    told = item.get(field) or (item.get("Definition") or {}).get(field)
    return seconds(told) if told else (0.0 if field in item else None)


def _check_body(definition: Mapping[str, Any]) -> Thing:
    body = kinds.define(definition)
    if "Name" not in body:
        body["Name"] = body.get("CheckID", "")
        arguments.name(body["Name"], "name")
    # Here the API calls it otherwise than among the checks of a service.
    return {"ID" if field == "CheckID" else field: value for field, value in body.items()}


def _is_newer(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(name in _NEWER or _is_newer(inner) for name, inner in value.items()) or bool(value.get("Proxy"))
    return isinstance(value, (list, tuple)) and any(_is_newer(one) for one in value)


def _unknown(error: ServerError, problem: str) -> NotFoundError:
    return NotFoundError(problem, asked=error.asked, agent=error.agent, status=error.status, answer=error.answer)

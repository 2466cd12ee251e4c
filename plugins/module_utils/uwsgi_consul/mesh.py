# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul's service mesh (Connect), as an app beside its sidecar proxy needs it.

Sources: https://developer.hashicorp.com/consul/api-docs/agent/service and .../api-docs/connect/intentions
"""

from __future__ import annotations

from typing import Any

from . import arguments
from .bound import Bound, read
from .errors import ConsulError, InvalidValueError, ServerError


class Mesh(Bound):
    """Upstreams of the sidecar proxies that are registered with the asked agent, and intentions."""

    def upstreams(self, service: str | None = None) -> list[dict[str, Any]]:
        """The upstreams that the sidecar's registration lists, each as `upstream` describes it.

        service: name or id of the service that the sidecar stands beside; may be left out where the agent has one sidecar.
        The client must have that agent's address, and no other. Raises `ConsulError`, which lists what there is instead.
        """
        if service is not None:
            arguments.name(service, "service")
        self._one_agent("a sidecar proxy")
        answer = self._ask("GET", "/v1/agent/services")
        proxies: list[dict[str, Any]] = read(
            answer, lambda data: [_proxy(item) for item in data.values() if item.get("Kind") == "connect-proxy"]
        )
        # An id tells apart what has one name.
        found = [one for one in proxies if service is None or one["service_id"] == service]
        found = found or [one for one in proxies if one["service"] == service]
        if len(found) != 1:
            what = "sidecar proxy" if service is None else f"sidecar proxy of service {service}"
            there = ", ".join(sorted(f"{one['service']} (id {one['service_id']})" for one in proxies)) or "no service"
            raise ConsulError(
                f"the agent has {len(found) or 'no'} registration{'s' if found else ''} of a {what}",
                asked=answer.asked,
                agent=answer.agent,
                advice=f"Give the service's id; there are proxies of: {there}" if found else f"There are proxies of: {there}",
            )
        upstreams: list[dict[str, Any]] = found[0]["upstreams"]
        return upstreams

    def address(self, upstream: str, *, service: str | None = None, datacenter: str | None = None) -> tuple[str, int]:
        """Where the app reaches an upstream: the address and the port that the sidecar listens at for it.

        upstream: name of the service (or prepared query) that the upstream leads to. datacenter: which of several
        upstreams of that name, by the datacenter of its registration. service: as for `upstreams`. Raises `ConsulError`.
        """
        arguments.name(upstream, "upstream")
        arguments.datacenter(datacenter)
        listed = self.upstreams(service)
        found = [one for one in listed if one["name"] == upstream and datacenter in (None, one["datacenter"])]
        if len(found) != 1:
            there = ", ".join(f"{one['name']} in {one['datacenter'] or 'its own datacenter'}" for one in listed) or "none"
            raise ConsulError(
                f"the sidecar proxy has {len(found) or 'no'} upstream{'s' if found else ''} {upstream}",
                advice=f"Give the datacenter of one of: {there}" if found else f"Its registration has: {there}",
            )
        if not found[0]["port"]:
            where = f"at the unix socket {found[0]['socket']}" if found[0]["socket"] else "at no port of its own"
            raise ConsulError(
                f"the sidecar proxy listens for its upstream {upstream} {where}", advice="upstreams() has what is known of it"
            )
        return found[0]["address"], found[0]["port"]

    def allowed(self, source: str, destination: str) -> bool:
        """Whether intentions, or what is true without one, let service *source* connect to service *destination*.

        An intention that looks at requests (its action stands in permissions by path, header or method) can't be decided
        for a connection: Consul says no. Raises `ConsulError`, with advice when Connect is off.
        """
        for what, value in (("source", source), ("destination", destination)):
            if arguments.name(value, what) == "*":
                raise InvalidValueError(f"{what}: '*' is no single service")
        try:
            answer = self._ask("GET", "/v1/connect/intentions/check", [("source", source), ("destination", destination)])
        except ServerError as error:
            if "Connect must be enabled" in error.answer:
                error.advice = "Connect is off in that datacenter: its servers need connect { enabled = true }"
            raise
        return bool(read(answer, lambda data: data["Allowed"]))


def upstream(item: dict[str, Any]) -> dict[str, Any]:
    """One of `Proxy.Upstreams` of a registration as a plain mapping:

    name (of what it leads to), type (`service` or `prepared_query`), datacenter (`None` for the agent's own), address and
    port of the sidecar's listener (port 0 when it has none), socket (its unix socket, `None` without one).
    """
    return {
        "name": item["DestinationName"],
        "type": item.get("DestinationType") or "service",
        "datacenter": item.get("Datacenter") or None,
        "address": item.get("LocalBindAddress") or "127.0.0.1",
        "port": item.get("LocalBindPort") or 0,
        "socket": item.get("LocalBindSocketPath") or None,
    }


def _proxy(item: dict[str, Any]) -> dict[str, Any]:
    proxy = item["Proxy"]
    return {
        "service": proxy["DestinationServiceName"],
        # A proxy that stands for all instances of a service names none.
        "service_id": proxy.get("DestinationServiceID") or "",
        "upstreams": [upstream(one) for one in proxy.get("Upstreams") or ()],
    }

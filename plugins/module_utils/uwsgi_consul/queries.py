# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Prepared queries: searches for a service that Consul's servers keep by name, with failover to other datacenters.

Source: https://developer.hashicorp.com/consul/api-docs/query
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, List

from . import arguments
from .bound import Bound, read
from .errors import BadRequestError, InvalidValueError, NotFoundError, ServerError
from .protocol import duration, seconds
from .services import instance
from .settings import check_token

TEMPLATE_TYPE = "name_prefix_match"
_FAILOVER, _TARGET = ("nearest_n", "datacenters", "targets"), ("datacenter", "peer", "partition", "namespace")
_LARGEST_TTL = 2**31 - 1
# What Consul shows in place of a query's token to whom may not see it.
HIDDEN = "<hidden>"
# No query has this id.
_NO_ID = "00000000-0000-0000-0000-000000000000"

Query = Dict[str, Any]
# Within the class below, `list` is its method.
QueryList = List[Query]


class Queries(Bound):
    """Prepared queries, each as `query` describes it; a query belongs to the datacenter that it was made in.

    *query* is always a query's name or its id.
    """

    def create(self, name: str, service: str, **definition: Any) -> str:
        """Makes a query and returns its id; `define` lists what can be defined. Raises `ServerError` when the name is taken."""
        answer = self._ask("POST", "/v1/query", body=define(name, service, **definition))
        return str(read(answer, lambda data: data["ID"]))

    def update(self, query: str, service: str, **definition: Any) -> None:
        """Defines a query anew under its name: what is left out has its default again. Raises `NotFoundError`."""
        define("name", service, **definition)
        found = self._existing(query)
        self._put(found["id"], define(found["name"], service, **definition))

    def replace(self, query_id: str, name: str, service: str, **definition: Any) -> None:
        """Defines the query of an id anew, its name as well. Raises `ConsulError`."""
        self._put(arguments.session(query_id, "query_id"), define(name, service, **definition))

    def judge(self, name: str, service: str, **definition: Any) -> None:
        """Raises `InvalidValueError` when the query can't be right, or has failover targets, which Consul before 1.14 does not know."""
        wanted = define(name, service, **definition)
        if "Targets" not in wanted["Service"].get("Failover", {}):
            return
        try:
            # There is no such query, and a field that is unknown is refused before it is looked for.
            self._put(_NO_ID, wanted)
        except ServerError as error:
            if "non-existent" not in error.answer:
                raise
        except NotFoundError:
            return
        except BadRequestError as error:
            if "unknown field" not in error.answer:
                raise
            raise InvalidValueError(
                "failover: this Consul knows no targets",
                asked=error.asked,
                agent=error.agent,
                advice="They need Consul 1.14; nearest_n and datacenters are known everywhere",
            ) from None

    def definitions(self) -> dict[str, dict[str, Any]]:
        """What defines the queries that the token may see, as `defined` has it, by their ids. Raises `ConsulError`."""
        return {item["ID"]: defined(item) for item in self._items()}

    def ensure(self, name: str, service: str, **definition: Any) -> bool:
        """Makes the query of that name as it is defined here; returns whether there was anything to change.

        Where Consul does not show the query's token to this client, whether it is the right one is not known: the query is
        written, and counts as changed, whenever a token is given. Raises `ConsulError`.
        """
        wanted = define(name, service, **definition)
        if self._find(name) is None:
            try:
                self._ask("POST", "/v1/query", body=wanted)
            except ServerError as error:
                # Somebody else made it just now.
                if "aliases an existing query" not in error.answer:
                    raise
            else:
                return True
        found = self._find(name)
        if found is None:
            raise NotFoundError(
                f"there is a query {name}, and the token may not see it", advice="The token needs the permission query:read", status=404
            )
        if defined(found) == defined(wanted):
            return False
        self._put(found["ID"], wanted)
        return True

    def get(self, query: str) -> Query | None:
        """The query, or `None` when there is none, or none that the token may see. Raises `ConsulError`."""
        arguments.name(query, "query")
        found = self._find(query)
        return _query(found) if found else None

    def list(self) -> QueryList:
        """All queries that the token may see, sorted by name. Raises `ConsulError`."""
        return sorted((_query(item) for item in self._items()), key=lambda one: (one["name"], one["id"]))

    def delete(self, query: str) -> bool:
        """Deletes a query; returns whether there was one. Raises `ConsulError`."""
        arguments.name(query, "query")
        found = self._find(query)
        if found is None:
            return False
        self._ask("DELETE", f"/v1/query/{found['ID']}")
        return True

    def execute(self, query: str, *, near: str | None = None, limit: int | None = None, datacenter: str | None = None) -> dict[str, Any]:
        """What the query finds:

        service (its name), instances (each as `services.instance` describes it), datacenter (where they are), failovers
        (how many other datacenters were asked; 0: they are of the query's own), dns_ttl (seconds, `None` without
        one), filtered_by_acls (whether instances were left out that the token may not see).

        Warning instances are among them unless the query says only_passing; critical ones never are. When nothing is
        found anywhere the list is empty, and datacenter is the last one that was asked.
        near: sorts by the round trip time from this node (`_agent`: the agent that is asked), in place of what the query
        says; where neither says anything, Consul shuffles, so that load is spread. limit: so many instances at most.
        datacenter: where the query is kept. Raises `NotFoundError` for an unknown query.
        """
        params: list[tuple[str, Any]] = []
        if near is not None:
            params.append(("near", arguments.name(near, "near")))
        if limit is not None:
            params.append(("limit", arguments.integer(limit, "limit", 1, 2**31 - 1)))
        path = f"/v1/query/{arguments.path_name(query, 'query')}/execute"
        home = self if arguments.datacenter(datacenter) is None else Queries(self.client, datacenter=datacenter)
        answer = home._ask("GET", path, params)
        found: dict[str, Any] = read(
            answer,
            lambda data: {
                "service": data["Service"],
                # No checks at all are null here.
                "instances": [instance({**entry, "Checks": entry["Checks"] or []}, answer) for entry in data["Nodes"] or ()],
                "datacenter": data["Datacenter"],
                "failovers": data["Failovers"],
                "dns_ttl": _seconds(data["DNS"]["TTL"]),
                "filtered_by_acls": bool(data.get("ResultsFilteredByACLs")) or answer.filtered_by_acls,
            },
        )
        return found

    def explain(self, query: str) -> Query:
        """The query that Consul would execute for a name, a template filled in for it. Raises `NotFoundError`."""
        answer = self._ask("GET", f"/v1/query/{arguments.path_name(query, 'query')}/explain")
        found: Query = read(answer, lambda data: _query(data["Query"]))
        return found

    def _items(self) -> QueryList:
        answer = self._ask("GET", "/v1/query")
        # Each is looked at once, so that an answer of another shape fails here.
        found: QueryList = read(answer, lambda data: [item for item in data or () if _query(item)])
        return found

    def _find(self, query: str) -> dict[str, Any] | None:
        if arguments.is_id(query):
            answer = self._ask("GET", f"/v1/query/{query}", allow=(404,))
            if answer.status == 404:
                return None
            found: dict[str, Any] = read(answer, lambda data: data[0] if _query(data[0]) else None)
            return found
        return next((item for item in self._items() if item["Name"] == query), None)

    def _existing(self, query: str) -> Query:
        arguments.name(query, "query")
        found = self._find(query)
        if found is None:
            raise NotFoundError(f"there is no prepared query {query}", status=404)
        return _query(found)

    def _put(self, query_id: str, body: dict[str, Any]) -> None:
        self._ask("PUT", f"/v1/query/{query_id}", body=body)


def define(
    name: str,
    service: str,
    *,
    failover: Mapping[str, Any] | None = None,
    tags: Any = (),
    only_passing: bool = False,
    near: str | None = None,
    ignore_check_ids: Any = (),
    node_meta: Mapping[str, str] | None = None,
    service_meta: Mapping[str, str] | None = None,
    connect: bool = False,
    dns_ttl: float | str | None = None,
    template: Mapping[str, Any] | None = None,
    session: str | None = None,
    token: str | None = None,
) -> dict[str, Any]:
    """A query as Consul's API takes it; a query is a template only if *template* is given.

    name: what it is executed by; only a template's may be empty, and then it stands for all names that no other query has.
    failover: where to look when no instance is found: `{"nearest_n": 2, "datacenters": ["dc3"]}` (the two nearest
    datacenters, then dc3) or, of Consul 1.14 and later, `{"targets": [{"datacenter": "dc2"}, {"peer": "cluster-02"}]}`.
    tags: an instance must have all of them, and none that is written `!tag`. only_passing: leaves warning instances out.
    near: sorts by the round trip time from this node, or `_agent`. ignore_check_ids: checks that don't count.
    node_meta, service_meta: an instance must have them. connect: finds what speaks for the service in the mesh.
    dns_ttl: of DNS answers, in seconds or as a text such as `10s`. template: `{"regexp": ..., "remove_empty_tags": ...}`, and
    "type", `name_prefix_match`, the only one that there is. session: the query is deleted when it ends. token: the query is
    executed with it, whoever executes it; Consul shows it to managers. Raises `InvalidValueError`.
    """
    wanted: dict[str, Any] = {"Name": _query_name(name, template), "Service": {"Service": arguments.name(service, "service")}}
    search = wanted["Service"]
    if failover is not None:
        search["Failover"] = _failover(failover)
    search["Tags"] = arguments.names(tags, "tags")
    search["OnlyPassing"] = arguments.boolean(only_passing, "only_passing")
    if near is not None:
        search["Near"] = arguments.name(near, "near")
    if ignored := arguments.names(ignore_check_ids, "ignore_check_ids"):
        search["IgnoreCheckIDs"] = ignored
    if node_meta is not None:
        search["NodeMeta"] = arguments.texts(node_meta, "node_meta")
    if service_meta is not None:
        search["ServiceMeta"] = arguments.texts(service_meta, "service_meta")
    if arguments.boolean(connect, "connect"):
        search["Connect"] = True
    if dns_ttl is not None:
        wanted["DNS"] = {"TTL": duration(arguments.duration(dns_ttl, "dns_ttl", 0, _LARGEST_TTL))}
    if template is not None:
        wanted["Template"] = _template(template)
    if session is not None:
        wanted["Session"] = arguments.session(session)
    if token is not None:
        wanted["Token"] = _token(token)
    return wanted


def _query(item: dict[str, Any]) -> Query:
    """One entry of `/v1/query` as a plain mapping, in the terms of `define`:

    id, name, service, failover (nearest_n, datacenters, targets), tags, only_passing, near (`None` without one),
    ignore_check_ids, node_meta, service_meta, connect, dns_ttl (seconds, `None` without one), template (`None`, or type,
    regexp and remove_empty_tags), session (`None` without one), has_token, create_index, modify_index.
    """
    search, template = item["Service"], item.get("Template") or {}
    failover = search.get("Failover") or {}
    return {
        "id": item.get("ID", ""),
        "name": item["Name"],
        "service": search["Service"],
        "failover": {
            "nearest_n": failover.get("NearestN") or 0,
            "datacenters": failover.get("Datacenters") or [],
            "targets": [_fields_of_target(target) for target in failover.get("Targets") or ()],
        },
        "tags": search.get("Tags") or [],
        "only_passing": bool(search.get("OnlyPassing")),
        "near": search.get("Near") or None,
        "ignore_check_ids": search.get("IgnoreCheckIDs") or [],
        "node_meta": search.get("NodeMeta") or {},
        "service_meta": search.get("ServiceMeta") or {},
        "connect": bool(search.get("Connect")),
        "dns_ttl": _seconds((item.get("DNS") or {}).get("TTL")),
        "template": {
            "type": template["Type"],
            "regexp": template.get("Regexp") or "",
            "remove_empty_tags": bool(template.get("RemoveEmptyTags")),
        }
        if template.get("Type")
        else None,
        "session": item.get("Session") or None,
        "has_token": bool(item.get("Token")),
        "create_index": item.get("CreateIndex", 0),
        "modify_index": item.get("ModifyIndex", 0),
    }


def defined(item: dict[str, Any]) -> dict[str, Any]:
    """What of a query its definition decides, in the terms of `define`, tags and checks sorted, and its token: `None` without one,
    `HIDDEN` when it may not be seen.

    item: a query as Consul has it, or as `define` makes it.
    """
    shape = _query(item)
    left_out = ("id", "create_index", "modify_index", "has_token")
    same = {name: value for name, value in shape.items() if name not in left_out}
    same.update({name: sorted(shape[name]) for name in ("tags", "ignore_check_ids")})
    return {**same, "token": item.get("Token") or None}


def _query_name(name: str, template: Any) -> str:
    if name == "" and template is not None:
        return name
    arguments.path_name(name, "name")
    # Consul takes it for an id wherever it may be one.
    if arguments.is_id(name):
        raise InvalidValueError(f"name: {name!r} has the form of an id, so that the query could not be found by it")
    return name


def _failover(given: Any) -> dict[str, Any]:
    fields = arguments.fields(given, "failover", _FAILOVER)
    nearest = arguments.integer(fields.get("nearest_n", 0), "failover nearest_n", 0, 1000)
    datacenters = arguments.names(fields.get("datacenters", ()), "failover datacenters")
    for datacenter in datacenters:
        arguments.datacenter(datacenter, "failover datacenters")
    targets = fields.get("targets", ())
    if isinstance(targets, (str, bytes, Mapping)) or not hasattr(targets, "__iter__"):
        raise InvalidValueError(f"failover targets: {arguments.shown(targets)} is no list of targets")
    judged = [_target(target) for target in targets]
    if judged and (nearest or datacenters):
        raise InvalidValueError("failover: give targets, or nearest_n and datacenters, not both")
    if judged:
        return {"Targets": judged}
    return {"NearestN": nearest, "Datacenters": datacenters}


def _target(given: Any) -> dict[str, str]:
    fields = arguments.fields(given, "failover targets", _TARGET)
    if not fields:
        raise InvalidValueError("failover targets: a target needs a datacenter or a peer")
    return {field.capitalize(): arguments.name(value, f"failover targets {field}") for field, value in fields.items()}


def _fields_of_target(target: dict[str, Any]) -> dict[str, str]:
    return {field: target[field.capitalize()] for field in _TARGET if target.get(field.capitalize())}


def _template(given: Any) -> dict[str, Any]:
    fields = arguments.fields(given, "template", ("type", "regexp", "remove_empty_tags"))
    return {
        "Type": arguments.choice(fields.get("type", TEMPLATE_TYPE), "template type", (TEMPLATE_TYPE,)),
        "Regexp": arguments.text(fields.get("regexp", ""), "template regexp", 4096),
        "RemoveEmptyTags": arguments.boolean(fields.get("remove_empty_tags", False), "template remove_empty_tags"),
    }


def _token(given: Any) -> str:
    """The token, which no message shows."""
    if not isinstance(given, str) or not given or len(given) > 4096:
        raise InvalidValueError("token: is no text of 1 to 4096 characters")
    return check_token(given) or ""


def _seconds(text: str | None) -> float | None:
    return seconds(text) if text else None

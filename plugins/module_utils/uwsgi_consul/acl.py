# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Access control: policies, roles, tokens, auth methods, binding rules, and the tokens that an agent itself uses.

Source: https://developer.hashicorp.com/consul/api-docs/acl
"""

from __future__ import annotations

import calendar
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Dict, List, Tuple

from . import arguments
from .bound import Bound, read
from .errors import BadAnswerError, BadRequestError, ConflictError, InvalidValueError, NotFoundError, PermissionDeniedError
from .protocol import Answer, duration, seconds
from .settings import check_token

# The policy that may do everything, by its name and by its id.
MANAGEMENT, MANAGEMENT_ID = "global-management", "00000000-0000-0000-0000-000000000001"
# The token of requests without one, where the agent has no default one.
ANONYMOUS_ID = "00000000-0000-0000-0000-000000000002"
TOKEN_LOCALITIES = ("local", "global")
BIND_TYPES = ("service", "node", "role", "policy", "templated-policy")
# What an agent may be given a token for, in Consul's terms.
AGENT_TOKENS = ("default", "agent", "agent_recovery", "replication", "config_file_service_registration", "dns")
# Consul's least time for a token to live, in seconds, and the longest that an auth method may give.
SHORTEST_TOKEN_TTL, LONGEST_TOKEN_TTL = 60, 10 * 365 * 86400

_POLICY_NAME, _NAME = re.compile(r"(?=.{1,128}\Z)[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)?"), re.compile(r"[A-Za-z0-9_-]{1,256}")
_LARGEST_RULES = 2**19
_OLD_NAMES = {"agent_recovery": "agent_master"}
_RESET_INDEX = re.compile(r"reset index: (\d+)")

Thing = Dict[str, Any]
# Within the classes below, `list` is a method.
ThingList = List[Thing]
Parameters = List[Tuple[str, Any]]


class _Things(Bound):
    """Things of one kind, each a plain mapping as `_shape` makes it."""

    # The path of one and of all, and what a thing is called by in a path.
    _one: str
    _all: str
    _shape: Callable[[Thing], Thing]
    _terms: Callable[..., Thing]

    def list(self) -> ThingList:
        """All that the token may see, as Consul orders them. Raises `ConsulError`."""
        return self._listed([])

    def _listed(self, params: Parameters) -> ThingList:
        found: ThingList = read(self._ask("GET", self._all, params), lambda data: [self._shape(item) for item in data or ()])
        return found

    def _found(self, path: str, token: str | None = None) -> Thing | None:
        """The thing at the path; `None` when there is none."""
        try:
            answer = (
                self._ask("GET", path, allow=(404,)) if token is None else self.client.request("GET", path, self._datacenter(), token=token)
            )
        except PermissionDeniedError as error:
            if not self._is_missing(error):
                raise
            return None
        return None if answer.status == 404 else self._read(answer)

    def _is_missing(self, error: PermissionDeniedError) -> bool:
        """Whether Consul said 403 of a thing that is missing, as it does of tokens, and of policies in old releases."""
        if "does not exist" in error.answer:
            return True
        if error.answer != "ACL not found":
            return False
        # The caller's own token may be what is unknown: this raises then.
        self._ask("GET", "/v1/acl/token/self")
        return True

    def check_datacenter(self, what: str) -> None:
        """Refuses a datacenter other than the agent's own for *what* Consul keeps there whatever it is told. Raises `InvalidValueError`."""
        wanted = self.datacenter or self.client.settings.datacenter
        if wanted is None:
            return
        own = read(self._ask("GET", "/v1/agent/self"), lambda data: data["Config"]["Datacenter"])
        if own != wanted:
            raise InvalidValueError(
                f"datacenter: Consul keeps {what} in the datacenter of the agent that is asked, {own}, also when it is told {wanted}",
                advice=f"Ask an agent of {wanted}",
            )

    def _datacenter(self) -> Parameters:
        return [("dc", self.datacenter)] if self.datacenter else []

    def _put(self, path: str, body: Mapping[str, Any]) -> Thing:
        try:
            return self._read(self._ask("PUT", path, body=body))
        except BadRequestError as error:
            unknown = re.search(r'unknown field "(\w+)"', error.answer)
            if unknown:
                error.advice = f"That Consul is too old for {unknown[1]}"
            raise

    def _read(self, answer: Answer) -> Thing:
        found: Thing = read(answer, self._shape)
        return found

    def _delete(self, path: str) -> bool:
        """Whether Consul says that there was one; old releases always do."""
        return self._ask("DELETE", path, allow=(404,), idempotent=True).status != 404


class _Identified(_Things):
    """Things with an id that Consul makes."""

    def get(self, id: str) -> Thing | None:  # noqa: A002 - Consul's own name
        """The thing of that id, or `None`. Raises `ConsulError`."""
        return self._found(f"{self._one}/{identifier(id)}")

    def create(self, **terms: Any) -> Thing:
        """Makes one and returns it. Raises `ServerError` when the name is taken."""
        return self._put(self._one, self._terms(**terms))

    def update(self, id: str, **terms: Any) -> Thing:  # noqa: A002 - Consul's own name
        """Defines it anew and returns it: what is left out has its default again. Raises `ConsulError`."""
        return self._put(f"{self._one}/{identifier(id)}", self._terms(**terms))

    def delete(self, id: str) -> bool:  # noqa: A002 - Consul's own name
        """Deletes it; returns whether there was one, where Consul says so (releases before 1.17 do not). Raises `ConsulError`."""
        return self._delete(f"{self._one}/{identifier(id)}")


class _Named(_Identified):
    def named(self, name: str) -> Thing | None:
        """The one of that name, or `None`; one request. Raises `ConsulError`."""
        return self._found(f"{self._one}/name/{arguments.path_name(name, 'name')}")


def identifier(value: object, what: str = "id") -> str:
    """An id of Consul's (a UUID)."""
    if not isinstance(value, str) or not arguments.is_id(value):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no id", advice="It is a UUID, as Consul makes them")
    return value


def secret(value: object, what: str = "secret_id") -> str:
    """A secret that may become a token's, which no message shows: it must be a UUID."""
    if not isinstance(value, str) or not arguments.is_id(value):
        raise InvalidValueError(f"{what}: is no UUID, and Consul takes no other secret (make one with uuidgen)")
    return value


def sendable(value: object, what: str) -> str:
    """A secret that can stand in a header, or an empty text; no message shows it."""
    try:
        return check_token(value) or ""  # type: ignore[arg-type]
    except InvalidValueError as error:
        raise InvalidValueError(f"{what}: {error.problem[len('token: ') :]}") from None


def policy_terms(*, name: str, rules: str = "", description: str = "", valid_datacenters: Iterable[str] = ()) -> Thing:
    """A policy as Consul's API takes it.

    rules: in HCL or JSON; Consul alone can tell whether they are right. valid_datacenters: where it is valid; everywhere
    when there are none. Raises `InvalidValueError`.
    """
    return {
        "Name": _fits(name, "name", _POLICY_NAME, "letters, digits, - and _, at most one / and 128 characters"),
        "Rules": arguments.text(rules, "rules", _LARGEST_RULES),
        "Description": arguments.text(description, "description"),
        "Datacenters": _datacenters(valid_datacenters, "valid_datacenters"),
    }


def policy(item: Thing) -> Thing:
    """A policy as a plain mapping: id, name, description, rules (`None` in a list), valid_datacenters, create_index, modify_index."""
    return {
        "id": item["ID"],
        "name": item["Name"],
        "description": item["Description"],
        "rules": item.get("Rules"),
        "valid_datacenters": item.get("Datacenters") or [],
        **_indexes(item),
    }


class Policies(_Named):
    """Policies, each as `policy` describes it; `create` and `update` take what `policy_terms` takes."""

    _one, _all, _shape, _terms = "/v1/acl/policy", "/v1/acl/policies", staticmethod(policy), staticmethod(policy_terms)


def _grants(policies: Any, service_identities: Any, node_identities: Any, templated_policies: Any) -> Thing:
    """What roles and tokens have in common, as Consul's API takes it; what old releases do not know is left out when empty."""
    judged: Thing = {
        "Policies": _links(policies, "policies"),
        "ServiceIdentities": [_service_identity(one) for one in _items(service_identities, "service_identities")],
        "NodeIdentities": [_node_identity(one) for one in _items(node_identities, "node_identities")],
    }
    services = [one["ServiceName"] for one in judged["ServiceIdentities"]]
    for one in services:
        if services.count(one) > 1:
            raise InvalidValueError(f"service_identities: {one} is there twice, and Consul makes one of them: give its datacenters once")
    templated = [_templated_policy(one) for one in _items(templated_policies, "templated_policies")]
    return {**judged, **({"TemplatedPolicies": templated} if templated else {})}


def role_terms(
    *,
    name: str,
    description: str = "",
    policies: Iterable[Any] = (),
    service_identities: Iterable[Mapping[str, Any]] = (),
    node_identities: Iterable[Mapping[str, Any]] = (),
    templated_policies: Iterable[Mapping[str, Any]] = (),
) -> Thing:
    """A role as Consul's API takes it.

    policies: each by its name or its id, or as `{"name": ...}` or `{"id": ...}`. service_identities: `{"service_name": ...,
    "datacenters": [...]}`. node_identities: `{"node_name": ..., "datacenter": ...}`. templated_policies (of Consul 1.17 and
    later): `{"template_name": "builtin/service", "template_variables": {"name": ...}, "datacenters": [...]}`. Raises `InvalidValueError`.
    """
    return {
        "Name": _fits(name, "name", _NAME, "letters, digits, - and _, at most 256"),
        "Description": arguments.text(description, "description"),
        **_grants(policies, service_identities, node_identities, templated_policies),
    }


def role(item: Thing) -> Thing:
    """A role as a plain mapping:

    id, name, description, policies (lists of id and name), service_identities, node_identities, templated_policies (in the
    terms of `role_terms`), create_index, modify_index.
    """
    return {"id": item["ID"], "name": item["Name"], "description": item["Description"], **_granted(item), **_indexes(item)}


class Roles(_Named):
    """Roles, each as `role` describes it; `create` and `update` take what `role_terms` takes."""

    _one, _all, _shape, _terms = "/v1/acl/role", "/v1/acl/roles", staticmethod(role), staticmethod(role_terms)


def token_terms(
    *,
    description: str = "",
    policies: Iterable[Any] = (),
    roles: Iterable[Any] = (),
    service_identities: Iterable[Mapping[str, Any]] = (),
    node_identities: Iterable[Mapping[str, Any]] = (),
    templated_policies: Iterable[Mapping[str, Any]] = (),
    local: bool = False,
    accessor_id: str | None = None,
    secret_id: str | None = None,
    expiration_ttl: float | str | None = None,
    expiration_time: str | None = None,
) -> Thing:
    """A token as Consul's API takes it; what it may do is given as for a role, and *roles* as *policies*.

    local: it is valid in its datacenter only. accessor_id, secret_id: UUIDs in place of those that Consul makes.
    expiration_ttl (seconds, or a text such as `24h`; at least one minute) or expiration_time (`2030-01-01T00:00:00Z`): when it
    ends. The last five can't be changed later. Raises `InvalidValueError`.
    """
    if expiration_ttl is not None and expiration_time is not None:
        raise InvalidValueError("expiration_ttl: give this or expiration_time, not both")
    body: Thing = {
        "Description": arguments.text(description, "description"),
        **_grants(policies, service_identities, node_identities, templated_policies),
        "Roles": _links(roles, "roles"),
        "Local": arguments.boolean(local, "local"),
    }
    if accessor_id is not None:
        body["AccessorID"] = identifier(accessor_id, "accessor_id")
    if secret_id is not None:
        body["SecretID"] = secret(secret_id)
    if expiration_ttl is not None:
        body["ExpirationTTL"] = duration(arguments.duration(expiration_ttl, "expiration_ttl", SHORTEST_TOKEN_TTL, LONGEST_TOKEN_TTL))
    if expiration_time is not None:
        moment(expiration_time, "expiration_time")
        body["ExpirationTime"] = expiration_time
    if body["Local"] and any(one.get("Datacenters") for one in body["ServiceIdentities"]):
        raise InvalidValueError("service_identities: those of a local token have no datacenters, for it is valid in its own only")
    return body


def token(item: Thing) -> Thing:
    """A token as a plain mapping:

    accessor_id, secret_id (`None` where Consul does not show it), description, policies, roles, service_identities,
    node_identities, templated_policies, local, auth_method (that made it, else `None`), expiration_time (`None` without
    one) and create_time (RFC 3339), create_index, modify_index.
    """
    known = item.get("SecretID")
    return {
        "accessor_id": item["AccessorID"],
        "secret_id": None if known == "<hidden>" else known,
        "description": item["Description"],
        **_granted(item),
        "roles": _linked(item.get("Roles")),
        "local": item["Local"],
        "auth_method": item.get("AuthMethod") or None,
        "expiration_time": item.get("ExpirationTime"),
        "create_time": item.get("CreateTime"),
        **_indexes(item),
    }


class Tokens(_Identified):
    """Tokens, each as `token` describes it, known by their accessor ids; `create` and `update` take what `token_terms` takes.

    Whoever may read tokens sees their secrets only with the permission acl:write.
    """

    _one, _all, _shape, _terms = "/v1/acl/token", "/v1/acl/tokens", staticmethod(token), staticmethod(token_terms)

    def create(self, **terms: Any) -> Thing:
        """Makes one and returns it, with its secret. Raises `ConsulError`."""
        body = token_terms(**terms)
        if body["Local"]:
            self.check_datacenter("a local token")
        return self._put(self._one, body)

    def select(
        self, *, policy: str | None = None, role: str | None = None, auth_method: str | None = None, service_name: str | None = None
    ) -> ThingList:
        """The tokens with a policy or role (their ids), of an auth method, or of a service's identity. Raises `ConsulError`."""
        params: Parameters = []
        if policy is not None:
            params.append(("policy", identifier(policy, "policy")))
        if role is not None:
            params.append(("role", identifier(role, "role")))
        if auth_method is not None:
            params.append(("authmethod", arguments.name(auth_method, "auth_method")))
        service = None if service_name is None else arguments.name(service_name, "service_name")
        # Older releases do not know how to look for a service.
        return [
            one
            for one in self._listed(params)
            if service is None or any(identity["service_name"] == service for identity in one["service_identities"])
        ]

    def own(self, secret_id: str | None = None) -> Thing | None:
        """The token of a secret, by default that of the client; `None` when Consul does not know it. No permission is needed.

        For no secret at all it is the token that the agent uses then. Raises `ConsulError`.
        """
        if secret_id is not None and not sendable(secret_id, "secret_id"):
            raise InvalidValueError("secret_id: is empty")
        try:
            answer = self.client.request("GET", f"{self._one}/self", self._datacenter(), token=secret_id)
        except PermissionDeniedError as error:
            if "ACL not found" in error.answer:
                return None
            raise
        return self._read(answer)

    def clone(self, accessor_id: str, description: str | None = None) -> Thing:
        """Makes a token that may do the same, with a secret of its own, and returns it. Raises `ConsulError`."""
        body = {} if description is None else {"Description": arguments.text(description, "description")}
        return self._put(f"{self._one}/{identifier(accessor_id, 'accessor_id')}/clone", body)

    def bootstrapped(self) -> bool | None:
        """Whether there was ever a token that may do everything; `None` when Consul can't say (before 1.17). Changes nothing."""
        try:
            # Of a token that is none, newer releases say whether there are any.
            answer = self.client.request("GET", "/v1/acl/templated-policies", token=str(uuid.uuid4()), allow=(404,))
        except PermissionDeniedError as error:
            if "must be bootstrapped" in error.answer:
                return False
            if error.answer == "ACL not found":
                return True
            raise
        except BadAnswerError:
            return None
        return None if answer.status == 404 else True

    def bootstrap(self, secret_id: str | None = None) -> Thing:
        """Makes the first token, which may do everything, and returns it. It can be done once.

        secret_id: its secret, so that it can be stored before; Consul makes one unless it is given. Raises `ConflictError`
        when it was done before.
        """
        body = None if secret_id is None else {"BootstrapSecret": secret(secret_id)}
        try:
            made = self._read(self._ask("PUT", "/v1/acl/bootstrap", body=body))
        except PermissionDeniedError as error:
            if "no longer allowed" not in error.answer:
                raise
            index = _RESET_INDEX.search(error.answer)
            raise already_bootstrapped(index[1] if index else None) from None
        return made if secret_id in (None, made["secret_id"]) else self._exchanged(made, str(secret_id))

    def _exchanged(self, made: Thing, secret_id: str) -> Thing:
        """A first token with the secret that was asked for, since releases before 1.14 choose one themselves."""
        terms = token_terms(description=made["description"], policies=[MANAGEMENT], secret_id=secret_id)
        path, first = self._one, made["secret_id"]
        answer = self.client.request("PUT", path, body=json.dumps(terms), token=first)
        self.client.request("DELETE", f"{path}/{made['accessor_id']}", token=secret_id)
        return self._read(answer)


def already_bootstrapped(reset_index: str | None = None) -> ConflictError:
    """The error of a second bootstrap."""
    number = reset_index or "the reset index that the error of `consul acl bootstrap` names"
    return ConflictError(
        "ACLs were bootstrapped before"
        + (f" (reset index {reset_index})" if reset_index else "")
        + ", and no token is known here that is valid",
        advice=f"Give the token that was made then. If it is lost, write {number} into the file acl-bootstrap-reset in the data "
        "directory of the leader of the primary datacenter (consul operator raft list-peers), and bootstrap again",
    )


def auth_method_terms(
    *,
    name: str,
    type: str,  # noqa: A002 - Consul's own name
    config: Mapping[str, Any] | None = None,
    description: str = "",
    display_name: str = "",
    max_token_ttl: float | str = 0,
    token_locality: str = "local",  # noqa: S107 - where a token is valid
    token_name_format: str | None = None,
) -> Thing:
    """An auth method as Consul's API takes it.

    type: `kubernetes`, `jwt`, `aws-iam`, ...; can't be changed later. config: in Consul's own terms, by the type. max_token_ttl: how long
    tokens that it makes live at most, 0: without an end. token_name_format: of Consul 1.20 and later. Raises `InvalidValueError`.
    """
    body: Thing = {
        "Name": _fits(name, "name", _NAME, "letters, digits, - and _, at most 256"),
        "Type": arguments.name(type, "type"),
        "Config": _config({} if config is None else config),
        "Description": arguments.text(description, "description"),
        "DisplayName": arguments.text(display_name, "display_name"),
        "TokenLocality": arguments.choice(token_locality, "token_locality", TOKEN_LOCALITIES),
    }
    ttl = arguments.duration(max_token_ttl, "max_token_ttl", 0, LONGEST_TOKEN_TTL)
    if ttl:
        body["MaxTokenTTL"] = duration(ttl)
    if token_name_format is not None:
        body["TokenNameFormat"] = arguments.text(token_name_format, "token_name_format")
    return body


def auth_method(item: Thing) -> Thing:
    """An auth method as a plain mapping, in the terms of `auth_method_terms`:

    name, type, config (`None` in a list), description, display_name, max_token_ttl (seconds), token_locality,
    token_name_format (`None` in releases without it), create_index, modify_index. The config may hold secrets.
    """
    return {
        "name": item["Name"],
        "type": item["Type"],
        "config": item.get("Config"),
        "description": item.get("Description") or "",
        "display_name": item.get("DisplayName") or "",
        "max_token_ttl": _ttl(item.get("MaxTokenTTL")),
        "token_locality": item.get("TokenLocality") or "local",
        "token_name_format": item.get("TokenNameFormat"),
        **_indexes(item),
    }


class AuthMethods(_Things):
    """Auth methods, each as `auth_method` describes it, known by their names; `create` and `update` take what `auth_method_terms` takes."""

    _one, _all = "/v1/acl/auth-method", "/v1/acl/auth-methods"
    _shape, _terms = staticmethod(auth_method), staticmethod(auth_method_terms)

    def get(self, name: str) -> Thing | None:
        """The auth method of that name, or `None`. Raises `ConsulError`."""
        return self._found(f"{self._one}/{arguments.path_name(name, 'name')}")

    def create(self, **terms: Any) -> Thing:
        """Makes one and returns it; one of that name is defined anew. Raises `ConsulError`."""
        body = auth_method_terms(**terms)
        self.check_datacenter("an auth method")
        return self._put(self._one, body)

    def update(self, name: str, **terms: Any) -> Thing:
        """Defines it anew and returns it: what is left out has its default again. Raises `ConsulError`."""
        body = auth_method_terms(**{**terms, "name": name})
        self.check_datacenter("an auth method")
        return self._put(f"{self._one}/{arguments.path_name(name, 'name')}", body)

    def delete(self, name: str) -> bool:
        """Deletes it, and all tokens that it made; returns whether there was one. Raises `ConsulError`."""
        path = f"{self._one}/{arguments.path_name(name, 'name')}"
        self.check_datacenter("an auth method")
        return self._delete(path)


def binding_rule_terms(
    *,
    auth_method: str,
    bind_type: str,
    bind_name: str,
    description: str = "",
    selector: str = "",
    bind_vars: Mapping[str, str] | None = None,
) -> Thing:
    """A binding rule as Consul's API takes it.

    selector: which logins it is for, all when empty. bind_type: what bind_name names; `policy` of Consul 1.15 and later,
    `templated-policy` of 1.17 and later, with its variables in bind_vars. Raises `InvalidValueError`.
    """
    return {
        "AuthMethod": arguments.name(auth_method, "auth_method"),
        "BindType": arguments.choice(bind_type, "bind_type", BIND_TYPES),
        "BindName": arguments.name(bind_name, "bind_name"),
        "Description": arguments.text(description, "description"),
        "Selector": arguments.text(selector, "selector"),
        **({"BindVars": variables} if (variables := _variables(bind_vars, "bind_vars")) else {}),
    }


def binding_rule(item: Thing) -> Thing:
    """A binding rule as a plain mapping:

    id, auth_method, bind_type, bind_name, description, selector, bind_vars, create_index, modify_index.
    """
    return {
        "id": item["ID"],
        "auth_method": item["AuthMethod"],
        "bind_type": item["BindType"],
        "bind_name": item["BindName"],
        "description": item["Description"],
        "selector": item["Selector"],
        "bind_vars": _without_empty(item.get("BindVars")),
        **_indexes(item),
    }


class BindingRules(_Identified):
    """Binding rules, each as `binding_rule` describes it; `create` and `update` take what `binding_rule_terms` takes."""

    _one, _all = "/v1/acl/binding-rule", "/v1/acl/binding-rules"
    _shape, _terms = staticmethod(binding_rule), staticmethod(binding_rule_terms)

    def create(self, **terms: Any) -> Thing:
        """Makes one and returns it. Raises `ConsulError`."""
        body = binding_rule_terms(**terms)
        self.check_datacenter("a binding rule")
        return self._put(self._one, body)

    def of(self, auth_method: str) -> ThingList:
        """Those of an auth method. Raises `ConsulError`."""
        return self._listed([("authmethod", arguments.name(auth_method, "auth_method"))])


class Replication(Bound):
    """How a datacenter follows the ACLs of the primary one."""

    def status(self) -> Thing:
        """enabled, running, source_datacenter, type, replicated_index, last_success and last_error (RFC 3339, `None`: never),
        last_error_message. Raises `ConsulError`."""
        found: Thing = read(
            self._ask("GET", "/v1/acl/replication"),
            lambda data: {
                "enabled": data["Enabled"],
                "running": data["Running"],
                "source_datacenter": data["SourceDatacenter"],
                "type": data["ReplicationType"],
                "replicated_index": data["ReplicatedIndex"],
                **{
                    name: None if data[field].startswith("0001-") else data[field]
                    for name, field in (("last_success", "LastSuccess"), ("last_error", "LastError"))
                },
                "last_error_message": data.get("LastErrorMessage") or "",
            },
        )
        return found


class AgentTokens(Bound):
    """The tokens that one agent itself uses. Consul never shows them again."""

    def set(self, kind: str, value: str) -> None:
        """Gives the agent a token for *kind*, one of `AGENT_TOKENS`; an empty one takes it away.

        It is kept over a restart only if the agent has `enable_token_persistence`. Raises `NotFoundError` for a kind that the
        agent's release does not have.
        """
        self._one_agent("its tokens")
        arguments.choice(kind, "kind", AGENT_TOKENS)
        if value is None:
            raise InvalidValueError("value: is no text")
        body = {"Token": sendable(value, "value")}
        path = "/v1/agent/token/"
        answer = self._ask("PUT", path + kind, body=body, idempotent=True, allow=(404,))
        if answer.status == 404 and kind in _OLD_NAMES:
            answer = self._ask("PUT", path + _OLD_NAMES[kind], body=body, idempotent=True, allow=(404,))
        if answer.status == 404:
            raise NotFoundError(
                f"the agent has no token for {kind}", asked=answer.asked, agent=answer.agent, advice="It is of an older release", status=404
            )

    def persisted_in(self) -> str | None:
        """The file on the agent's host in which it keeps the tokens that it is given; `None` when it keeps none. Raises `ConsulError`."""
        self._one_agent("its tokens")
        answer = self._ask("GET", "/v1/agent/self")

        def directory(data: Any) -> str:
            debug = data["DebugConfig"]
            now = debug.get("ACLTokens") or {}
            keeps = now.get("EnablePersistence") or debug.get("ACLEnableTokenPersistence")
            return (now.get("DataDir") or debug.get("DataDir") or "") if keeps else ""

        found = read(answer, directory)
        return f"{found}/acl-tokens.json" if found else None


def persisted(kept: Mapping[str, str], kind: str) -> str:
    """The token for a kind among those of the file that `AgentTokens.persisted_in` names; empty when there is none."""
    return kept.get(kind) or kept.get(_OLD_NAMES.get(kind, kind)) or ""


def moment(text: object, what: str) -> tuple[int, int]:
    """Whole seconds since 1970 and nanoseconds of a time as Consul writes it (`2030-01-01T00:00:00.5Z`)."""
    form = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|([+-])(\d\d):(\d\d))"
    found = re.fullmatch(form, text, re.ASCII) if isinstance(text, str) and len(text) < 100 else None
    if not found or not (1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31 and int(found[4]) < 24 and int(found[5]) < 60):
        raise InvalidValueError(f"{what}: {arguments.shown(text)} is no time such as 2030-01-01T00:00:00Z")
    offset = 0 if found[8] == "Z" else int(f"{found[9]}1") * (int(found[10]) * 3600 + int(found[11]) * 60)
    whole = calendar.timegm(tuple(int(found[number]) for number in range(1, 7)))
    return whole - offset, int((found[7] or "").ljust(9, "0"))


def _fits(value: Any, what: str, form: re.Pattern[str], says: str) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no name", advice=f"It has {says}")
    return value


def _items(value: Any, what: str) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no list")
    found = list(value)
    if len(found) > 1000:
        raise InvalidValueError(f"{what}: has {len(found)} entries, and may have 1000 at most")
    return found


def _datacenters(value: Any, what: str) -> list[str]:
    return sorted({str(arguments.datacenter(one, what)) for one in arguments.names(value, what)})


def link(value: Any, what: str) -> Thing:
    """A policy or role, given by name or id, or as `{"name": ...}` or `{"id": ...}`, as Consul's API takes it."""
    if isinstance(value, Mapping):
        fields = {name: one for name, one in arguments.fields(value, what, ("name", "id")).items() if one is not None}
        if not fields:
            raise InvalidValueError(f"{what}: {arguments.shown(value)} has neither name nor id")
        return (
            {"ID": identifier(fields["id"], f"{what} id")} if "id" in fields else {"Name": arguments.name(fields["name"], f"{what} name")}
        )
    return {"ID": value} if arguments.is_id(value) else {"Name": arguments.name(value, what)}


def _links(value: Any, what: str) -> list[Thing]:
    judged: list[Thing] = []
    for one in _items(value, what):
        linked = link(one, what)
        if linked not in judged:
            judged.append(linked)
    return judged


def _service_identity(value: Any) -> Thing:
    what = "service_identities"
    fields = arguments.fields(value, what, ("service_name", "datacenters"))
    datacenters = _datacenters(fields.get("datacenters") or (), f"{what} datacenters")
    return {
        "ServiceName": arguments.name(fields.get("service_name"), f"{what} service_name"),
        **({"Datacenters": datacenters} if datacenters else {}),
    }


def _node_identity(value: Any) -> Thing:
    what = "node_identities"
    fields = arguments.fields(value, what, ("node_name", "datacenter"))
    datacenter = arguments.datacenter(arguments.name(fields.get("datacenter"), f"{what} datacenter"), f"{what} datacenter")
    return {"NodeName": arguments.name(fields.get("node_name"), f"{what} node_name"), "Datacenter": datacenter}


def _templated_policy(value: Any) -> Thing:
    what = "templated_policies"
    fields = arguments.fields(value, what, ("template_name", "template_variables", "datacenters"))
    variables = _variables(fields.get("template_variables"), f"{what} template_variables")
    datacenters = _datacenters(fields.get("datacenters") or (), f"{what} datacenters")
    return {
        "TemplateName": arguments.name(fields.get("template_name"), f"{what} template_name"),
        **({"TemplateVariables": variables} if variables else {}),
        **({"Datacenters": datacenters} if datacenters else {}),
    }


def _variables(value: Any, what: str) -> dict[str, str]:
    """The variables of a template; there is but one, the name."""
    fields = {} if value is None else arguments.fields(value, what, ("name",))
    return {"Name": arguments.name(fields["name"], f"{what} name")} if fields.get("name") is not None else {}


def _config(value: Any) -> Thing:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidValueError("config: is no mapping")
    try:
        sent = json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError("config: can't be written as JSON") from None
    arguments.text(sent, "config", _LARGEST_RULES)
    return dict(value)


def _granted(item: Thing) -> Thing:
    """What roles and tokens have in common. Consul has it in an order of its own, another one after each change."""
    identities = [
        {"service_name": one["ServiceName"], "datacenters": sorted(one.get("Datacenters") or ())}
        for one in item.get("ServiceIdentities") or ()
    ]
    nodes = [{"node_name": one["NodeName"], "datacenter": one["Datacenter"]} for one in item.get("NodeIdentities") or ()]
    templated = [
        {
            "template_name": one["TemplateName"],
            "template_variables": _without_empty(one.get("TemplateVariables")),
            "datacenters": sorted(one.get("Datacenters") or ()),
        }
        for one in item.get("TemplatedPolicies") or ()
    ]
    return {
        "policies": _linked(item.get("Policies")),
        "service_identities": sorted(identities, key=lambda one: one["service_name"]),
        "node_identities": sorted(nodes, key=lambda one: (one["node_name"], one["datacenter"])),
        "templated_policies": sorted(templated, key=lambda one: (one["template_name"], sorted(one["template_variables"].items()))),
    }


def _linked(items: Any) -> list[Thing]:
    return sorted(({"id": one["ID"], "name": one["Name"]} for one in items or ()), key=lambda one: one["name"])


def _without_empty(variables: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (variables or {}).items() if value}


def _indexes(item: Thing) -> Thing:
    return {"create_index": item["CreateIndex"], "modify_index": item["ModifyIndex"]}


def _ttl(value: Any) -> float:
    """Consul says a text, and 0 (or nothing) for none."""
    return seconds(value) if isinstance(value, str) and value else 0.0

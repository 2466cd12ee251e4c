# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, roles, auth methods and binding rules as a task wants them.

What is compared is each thing in one form: lists in an order of their own, policies and roles by name, durations in seconds.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Union

from ._desired import ensure
from ._module import Change, Task, Thing, without_none
from .uwsgi_consul import acl, arguments
from .uwsgi_consul.acl import AuthMethods, BindingRules, Policies, Roles
from .uwsgi_consul.errors import ConflictError, InvalidValueError, ServerError

_GRANTS: Thing = {"policies": [], "service_identities": [], "node_identities": [], "templated_policies": []}
_POLICY: Thing = {"description": "", "rules": "", "valid_datacenters": []}
ROLE: Thing = {"description": "", **_GRANTS}
TOKEN: Thing = {**ROLE, "roles": [], "local": False}
_AUTH_METHOD: Thing = {"description": "", "display_name": "", "max_token_ttl": 0.0, "token_locality": "local", "config": {}}
_BINDING_RULE: Thing = {"description": "", "selector": "", "bind_vars": {}}
# What nobody but Consul's servers may see of an auth method's config.
SECRET_CONFIG = ("ServiceAccountJWT", "OIDCClientSecret", "OIDCClientAssertion")
# The pause between two looks at a datacenter that follows another one, in seconds.
_PAUSE = 0.1

_INDEXES = ("create_index", "modify_index")
_Lister = Union[Policies, Roles]


def _also_at_once(manage: Callable[[Task], Change]) -> Callable[[Task], Change]:
    """Looks again when somebody else made a thing of that name just now, as tasks of several hosts do."""

    @functools.wraps(manage)
    def managed(task: Task) -> Change:
        try:
            return manage(task)
        except ServerError as error:
            if task.changed or "already exists" not in error.answer:
                raise
        return manage(task)

    return managed


@_also_at_once
def manage_policy(task: Task) -> Change:
    """The module `consul_acl_policy`."""
    policies = Policies(task.api)
    wanted = task.given("description", "rules", "valid_datacenters")
    wanted = _fields(acl.policy(_answer(acl.policy_terms(name=task.params["name"], **wanted))), wanted)
    return _ensure(task, policies, "policy", policies.named(task.params["name"]), wanted, _POLICY)


@_also_at_once
def manage_role(task: Task) -> Change:
    """The module `consul_acl_role`."""
    roles = Roles(task.api)
    given = task.given("description", *_GRANTS)
    acl.role_terms(name=task.params["name"], **given)
    found = roles.named(task.params["name"])
    return _ensure(task, roles, "role", found, wanted_grants(task, given, found), ROLE)


def manage_auth_method(task: Task) -> Change:
    """The module `consul_acl_auth_method`."""
    methods, params = AuthMethods(task.api), task.params
    given = task.given("type", "description", "display_name", "max_token_ttl", "token_locality", "token_name_format")
    if any(name in (params["config"] or {}) for name in SECRET_CONFIG):
        raise InvalidValueError(
            f"config: {', '.join(name for name in SECRET_CONFIG if name in params['config'])} is a secret, and would be shown",
            advice="Give it by secret_config",
        )
    name = arguments.name(params["name"], "name")
    acl.auth_method_terms(
        **{"name": name, "type": "any", **given, "config": {**(params["config"] or {}), **(params["secret_config"] or {})}}
    )
    if "max_token_ttl" in given:
        given["max_token_ttl"] = arguments.duration(given["max_token_ttl"], "max_token_ttl")
    methods.check_datacenter("an auth method")
    found = methods.get(name)
    if params["config"] is not None or params["secret_config"] is not None:
        given["config"] = _config(found, params["config"], params["secret_config"])
    if params["state"] == "present" and found is None and "type" not in given:
        raise InvalidValueError(f"type: is required, for there is no auth method {name} yet")
    if params["state"] == "present" and found is not None and given.get("type", found["type"]) != found["type"]:
        raise _immutable(f"auth method {name}", "type", found["type"], given["type"])
    change = _ensure(task, methods, "auth_method", found, given, {**_AUTH_METHOD}, key="name")
    if "auth_method" in task.results:
        task.results["auth_method"] = _without_secrets(task.results["auth_method"])
    return _concealed(change)


def manage_binding_rule(task: Task) -> Change:
    """The module `consul_acl_binding_rule`."""
    rules, params = BindingRules(task.api), task.params
    given = task.given("auth_method", "bind_type", "bind_name", "description", "selector", "bind_vars")
    acl.binding_rule_terms(**{"auth_method": "any", "bind_type": "service", "bind_name": "any", **given})
    if params["id"] is None:
        arguments.name(params["description"], "description")
    rules.check_datacenter("a binding rule")
    found = rules.get(params["id"]) if params["id"] is not None else _marked_rule(rules, params["auth_method"], params["description"])
    if params["state"] == "present":
        missing = [name for name in ("auth_method", "bind_type", "bind_name") if name not in given and found is None]
        if missing:
            raise InvalidValueError(f"{missing[0]}: is required, for there is no such binding rule yet")
        if found is None and params["id"] is not None:
            raise InvalidValueError(
                f"id: there is no binding rule {params['id']}", advice="Consul itself chooses the id: leave it out to make one"
            )
        if found is not None and given.get("auth_method", found["auth_method"]) != found["auth_method"]:
            raise _immutable(f"binding rule {found['id']}", "auth_method", found["auth_method"], given["auth_method"])
    return _ensure(task, rules, "binding_rule", found, given, _BINDING_RULE)


def wanted_grants(task: Task, given: Mapping[str, Any], found: Thing | None) -> Thing:
    """What a task gives a role or token, in the form that is compared."""
    wanted = dict(given)
    for field, kind in (("policies", Policies), ("roles", Roles)):
        if field in wanted:
            there = (found or {}).get(field) or []
            wanted[field] = sorted({_linked_name(kind(task.api), acl.link(one, field), there) for one in wanted[field]})
    return comparable({**wanted, **{field: [_whole(one, field) for one in wanted[field]] for field in _SHAPES if field in wanted}})


def comparable(thing: Mapping[str, Any]) -> Thing:
    """A thing in the form that is compared, without what its release does not have."""
    return {name: _ordered(name, value) for name, value in thing.items() if value is not None and name not in ("id", *_INDEXES)}


def settle(task: Task, read: Callable[[], Thing | None], written: Thing | None) -> None:
    """Waits until what was written can be read, for a datacenter follows the primary one a moment later.

    The tasks after this one would else miss it, and the next run change it again. It is no error when that takes longer than
    one request may.
    """
    deadline = time.monotonic() + task.api.settings.timeout
    expected = None if written is None else comparable(written)
    while True:
        there = read()
        if (None if there is None else comparable(there)) == expected or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE)


_SHAPES: Mapping[str, Thing] = {
    "service_identities": {"service_name": "", "datacenters": []},
    "node_identities": {"node_name": "", "datacenter": ""},
    "templated_policies": {"template_name": "", "template_variables": {}, "datacenters": []},
}


def _whole(one: Mapping[str, Any], field: str) -> Thing:
    """An entry with the fields that the task leaves out."""
    whole = {**_SHAPES[field], **without_none(one)}
    if "template_variables" in whole:
        whole["template_variables"] = without_none(whole["template_variables"])
    return whole


def _ordered(name: str, value: Any) -> Any:
    if name in ("policies", "roles"):
        return sorted(one["name"] if isinstance(one, Mapping) else one for one in value)
    if name == "valid_datacenters":
        return sorted(value or [])
    if name in _SHAPES:
        entries = [{**one, "datacenters": sorted(one["datacenters"])} if "datacenters" in one else dict(one) for one in value]
        return sorted((one for index, one in enumerate(entries) if one not in entries[:index]), key=repr)
    return value


def _linked_name(things: _Lister, link: Thing, there: list[Thing]) -> str:
    """The name of a policy or role; its id only where there is none."""
    if "Name" in link:
        return str(link["Name"])
    known = next((one["name"] for one in there if one["id"] == link["ID"]), None)
    if known is None:
        found = things.get(link["ID"])
        known = found["name"] if found else link["ID"]
    return str(known)


def _ensure(task: Task, things: Any, result: str, found: Thing | None, wanted: Thing, defaults: Thing, key: str = "id") -> Change:
    """The step for a thing that is found; its whole shape becomes a result."""
    name = {"name": task.params["name"]} if "name" in task.params else {}

    identity = found[key] if found is not None else ""

    def keep(made: Thing) -> Thing:
        task.changed = True
        settle(task, lambda: things.get(made[key]), made)
        task.results[result] = made
        return comparable(made)

    def delete(_terms: Thing) -> None:
        things.delete(identity)
        task.changed = True
        settle(task, lambda: things.get(identity), None)

    if task.params["state"] == "present" and found is not None:
        task.results[result] = found
    return ensure(
        task,
        comparable(found) if found is not None else None,
        {**name, **(defaults if found is None else {}), **wanted} if task.params["state"] == "present" else None,
        create=lambda terms: keep(things.create(**terms)),
        update=lambda terms: keep(things.update(**{**terms, key: identity})),
        delete=delete,
    )


def _marked_rule(rules: BindingRules, auth_method: str, description: str) -> Thing | None:
    """The rule of an auth method that has the description."""
    found = [one for one in rules.of(auth_method) if one["description"] == description]
    if len(found) > 1:
        raise several("binding rules", description, [one["id"] for one in found], "id")
    return found[0] if found else None


def several(what: str, description: str, ids: list[str], option: str) -> ConflictError:
    """The error of a description that is no mark of one thing."""
    return ConflictError(
        f"{len(ids)} {what} have the description {arguments.shown(description)}: {', '.join(sorted(ids))}",
        advice=f"Say by {option} which one is meant, and give each a description of its own",
    )


def _immutable(what: str, field: str, there: Any, wanted: Any) -> ConflictError:
    return ConflictError(
        f"{what} has {field} {arguments.shown(there)}, and the task wants {arguments.shown(wanted)}",
        advice=f"Consul can't change its {field}: remove it (state=absent), or take another one",
    )


def _fields(thing: Mapping[str, Any], names: Mapping[str, Any]) -> Thing:
    return {name: thing[name] for name in names}


def _answer(terms: Mapping[str, Any]) -> Thing:
    """Terms as Consul would return them."""
    return {"ID": "", "CreateIndex": 0, "ModifyIndex": 0, **terms}


def _config(found: Thing | None, public: Thing | None, secret: Thing | None) -> Thing:
    """The whole config; of what is public and what is secret, the part that the task leaves out stays as it is."""
    there = (found or {}).get("config") or {}
    if public is None:
        public = {name: value for name, value in there.items() if name not in SECRET_CONFIG}
    if secret is None:
        secret = {name: value for name, value in there.items() if name in SECRET_CONFIG}
    return {**public, **secret}


def _without_secrets(method: Thing) -> Thing:
    config = method["config"] or {}
    return {**method, "config": {name: "(secret)" if name in SECRET_CONFIG else value for name, value in config.items()}}


def _concealed(change: Change) -> Change:
    """The change of an auth method without its secrets; another secret is still a change."""
    before, after = (None if one is None else _without_secrets(one) for one in (change.before, change.after))
    if change.changed and before == after and after is not None:
        config = {name: "(another secret)" if name in SECRET_CONFIG else value for name, value in after["config"].items()}
        after = {**after, "config": config}
    return Change(before, after)

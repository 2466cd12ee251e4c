# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens as a task wants them, and where their secrets go.

A secret that is to be stored is chosen here and stored before Consul is asked to make the token. So nothing is lost when
the disk is full, the answer gets lost, or the run is interrupted: the next run finds the file, and goes on from there.
"""

from __future__ import annotations

import uuid
from typing import Any

from . import _acl
from ._desired import ensure
from ._module import NOTHING, Change, Task, Thing
from ._secret_file import SecretFile
from .uwsgi_consul import acl, arguments
from .uwsgi_consul.acl import Policies, Roles, Tokens
from .uwsgi_consul.errors import ConflictError, InvalidValueError, PermissionDeniedError, RequestError

# Consul can't change these; nor the two times when it ends.
_FIXED = ("accessor_id", "secret_id", "local")
_ENDS = ("expiration_ttl", "expiration_time")
_CHANGING = ("description", "policies", "roles", "service_identities", "node_identities", "templated_policies")


def manage(task: Task) -> Change:
    """The module `consul_acl_token`."""
    return _Token(task).manage()


def find(task: Task) -> None:
    """The module `consul_acl_token_info`."""
    tokens, params = Tokens(task.api), task.params
    if params["accessor_id"] is not None:
        one = tokens.get(acl.identifier(params["accessor_id"], "accessor_id"))
        found = [one] if one else []
    elif params["own"]:
        one = tokens.own()
        found = [one] if one else []
    else:
        by = {name: _id_of(kind(task.api), params[name], name) for name, kind in (("policy", Policies), ("role", Roles)) if params[name]}
        known = None not in by.values()
        found = tokens.select(**by, **task.given("auth_method", "service_name")) if known else []
        found = [one for one in found if params["description"] in (None, one["description"])]
    task.results["tokens"] = [_public(one) for one in sorted(found, key=lambda one: (one["create_index"], one["accessor_id"]))]


def bootstrap(task: Task) -> Change:
    """The module `consul_acl_bootstrap`."""
    params, tokens = task.params, Tokens(task.api)
    asked = params["bootstrap_secret"]
    if asked is not None:
        acl.secret(asked, "bootstrap_secret")
    file = SecretFile(params["secret_file"], "secret_file") if params["secret_file"] is not None else None
    stored = file.read(task.warn) if file else None
    if asked is not None and stored not in (None, asked):
        raise _other_secret(file, "bootstrap_secret")
    known = asked or stored or task.api.settings.current_token()
    found = tokens.own(known) if known else None
    if found is not None:
        _check_management(found)
        task.results["token"] = _public(found)
        if file and stored is None:
            if not task.check_mode:
                file.write(str(known))
            return Change({"bootstrapped": True}, {"bootstrapped": True, "secret_file": file.path})
        return Change({"bootstrapped": True}, {"bootstrapped": True})
    change = Change({"bootstrapped": False}, {"bootstrapped": True, **({"secret_file": file.path} if file else {})})
    lost = asked is None and file is None and not params["return_secret"]
    if (lost or task.check_mode) and tokens.bootstrapped():
        raise acl.already_bootstrapped()
    if lost:
        raise InvalidValueError("secret_file: give this, bootstrap_secret or return_secret, or the secret of the first token would be lost")
    if task.check_mode:
        return change
    made = _stored_first(file, stored, asked or stored, tokens.bootstrap)
    task.results["token"] = {**_public(made), **({"secret_id": made["secret_id"]} if params["return_secret"] else {})}
    return change


class _Token:
    """One run of `consul_acl_token`."""

    def __init__(self, task: Task) -> None:
        self._task, self._tokens, params = task, Tokens(task.api), task.params
        self._given = task.given(*_CHANGING)
        # Judges all that is given.
        acl.token_terms(**self._given, **task.given(*_FIXED, *_ENDS))
        self._accessor, self._secret = params["accessor_id"], params["secret_id"]
        self._file = SecretFile(params["secret_file"], "secret_file") if params["secret_file"] is not None else None
        self._stored = self._file.read(task.warn) if self._file else None
        if self._secret is not None and self._stored not in (None, self._secret):
            raise _other_secret(self._file, "secret_id")

    def manage(self) -> Change:
        found = self._find()
        if found["local"] if found else self._task.params["local"]:
            self._tokens.check_datacenter("a local token")
        if self._task.params["state"] == "absent":
            return self._absent(found)
        if found is not None:
            self._check_fixed(found)
            self._task.results["token"] = _public(found)
        known = None if found is None else self._known_secret(found)
        wanted = {**(_acl.TOKEN if found is None else {}), **_acl.wanted_grants(self._task, self._given, found)}
        if found is None and self._task.params["local"]:
            wanted["local"] = True
        change = ensure(
            self._task,
            None if found is None else _compared(found),
            wanted,
            create=self._create,
            update=lambda terms: self._update(str((found or {})["accessor_id"]), terms),
            delete=lambda terms: None,
        )
        if self._file is None:
            return change
        if known is not None and known != self._stored and not self._task.check_mode:
            self._file.write(known)
        before = None if change.before is None else {**change.before, "secret_file": self._file.path if self._stored == known else None}
        return Change(before, {**change.after, "secret_file": self._file.path})

    def _find(self) -> Thing | None:
        """The token that the task means: by accessor, by secret, or by its description."""
        by_secret = self._tokens.own(self._secret or self._stored) if self._secret or self._stored else None
        if self._accessor is not None:
            if by_secret is not None and by_secret["accessor_id"] != self._accessor:
                what = "secret_id" if self._secret else "secret_file"
                raise ConflictError(
                    f"{what}: is the secret of another token, {by_secret['accessor_id']}", advice="Give the one that belongs to accessor_id"
                )
            return self._tokens.get(self._accessor)
        if by_secret is not None:
            return by_secret
        description = self._task.params["description"]
        if description is None or ((self._secret or self._file) and not description):
            return None
        arguments.name(description, "description")
        found = [one for one in self._tokens.list() if one["description"] == description]
        if len(found) > 1:
            raise _acl.several("tokens", description, [one["accessor_id"] for one in found], "accessor_id or secret_file")
        # A list of old releases has no secrets.
        return self._tokens.get(found[0]["accessor_id"]) if found else None

    def _check_fixed(self, found: Thing) -> None:
        """Refuses what Consul can't change."""
        what, params = f"token {found['accessor_id']}", self._task.params
        if params["local"] is not None and params["local"] != found["local"]:
            raise _fixed(what, f"is {'' if found['local'] else 'not '}local")
        if self._secret is not None and found["secret_id"] not in (None, self._secret):
            raise _fixed(what, "has another secret")
        ends, starts = found["expiration_time"], found["create_time"]
        for name in _ENDS:
            if params[name] is None:
                continue
            if ends is None:
                raise _fixed(what, "has no end")
            there = _nanoseconds(ends)
            if name == "expiration_time":
                same = there == _nanoseconds(params[name])
            else:
                lives = there - _nanoseconds(starts)
                # To the millisecond, which is what is sent.
                same = abs(lives - arguments.duration(params[name], name) * 1e9) < 1e6
            if not same:
                raise _fixed(what, f"ends at {ends} (it was made at {starts})")

    def _known_secret(self, found: Thing) -> str | None:
        """The secret that the file shall hold, when there is a file."""
        if self._file is None:
            return None
        if found["secret_id"] is None:
            raise PermissionDeniedError(
                f"Consul does not show the secret of token {found['accessor_id']}, which secret_file shall hold",
                advice="The token that asks needs acl:write to see it",
            )
        return str(found["secret_id"])

    def _create(self, terms: Thing) -> Thing:
        ends = self._task.given("accessor_id", *_ENDS)

        def make(secret_id: str | None) -> Thing:
            return self._tokens.create(**terms, **ends, secret_id=secret_id)

        made = _stored_first(self._file, self._stored, self._secret or self._stored, make)
        self._task.changed = True
        self._settled(made)
        shown = {"secret_id": made["secret_id"]} if self._task.params["return_secret"] else {}
        self._task.results["token"] = {**_public(made), **shown}
        return _compared(made)

    def _update(self, accessor_id: str, terms: Thing) -> Thing:
        made = self._tokens.update(accessor_id, **terms)
        self._task.changed = True
        self._settled(made)
        self._task.results["token"] = _public(made)
        return _compared(made)

    def _settled(self, made: Thing) -> None:
        def there() -> Thing | None:
            one = self._tokens.get(made["accessor_id"])
            return None if one is None else _compared(one)

        _acl.settle(self._task, there, _compared(made))

    def _absent(self, found: Thing | None) -> Change:
        before: Thing = {} if found is None else _compared(found)
        if self._stored is not None and self._file is not None:
            before["secret_file"] = self._file.path
        if not before:
            return NOTHING
        if not self._task.check_mode:
            if found is not None:
                self._tokens.delete(found["accessor_id"])
                self._task.changed = True
                _acl.settle(self._task, lambda: self._tokens.get(found["accessor_id"]), None)
            if self._file is not None:
                self._file.remove()
        return Change(before, None)


def _stored_first(file: SecretFile | None, stored: str | None, secret: str | None, make: Any) -> Thing:
    """Makes a token with a secret that is in the file before; takes the file away again when Consul refuses it."""
    if file is not None and stored is None:
        secret = secret or str(uuid.uuid4())
        file.write(secret)
    try:
        made: Thing = make(secret)
    except (RequestError, ConflictError):
        # Of any other error it is not known whether the token was made.
        if file is not None and stored is None:
            file.remove()
        raise
    return made


def _check_management(found: Thing) -> None:
    if all(one["name"] != acl.MANAGEMENT and one["id"] != acl.MANAGEMENT_ID for one in found["policies"]):
        raise ConflictError(
            f"the token that is known here ({found['accessor_id']}) has no policy {acl.MANAGEMENT}, so it is not what a bootstrap makes",
            advice="Give the one that was made then by bootstrap_secret, secret_file or token",
        )


def _id_of(things: Any, value: str, what: str) -> str | None:
    """The id of a policy or role that is given by name or id; `None` when there is none of that name."""
    link = acl.link(value, what)
    if "ID" in link:
        return str(link["ID"])
    found = things.named(link["Name"])
    return None if found is None else str(found["id"])


def _public(token: Thing) -> Thing:
    return {name: value for name, value in token.items() if name != "secret_id"}


def _compared(token: Thing) -> Thing:
    left_out = ("accessor_id", "secret_id", "auth_method", "expiration_time", "create_time")
    return _acl.comparable({name: value for name, value in token.items() if name not in left_out})


def _fixed(what: str, problem: str) -> ConflictError:
    return ConflictError(
        f"{what} {problem}, and the task wants it otherwise",
        advice="Consul can't change that: remove the token (state=absent), or make another one with a description or file of its own",
    )


def _other_secret(file: SecretFile | None, option: str) -> InvalidValueError:
    return InvalidValueError(
        f"{option}: is another secret than the one in {file.path if file else 'secret_file'}",
        advice="Leave one of them out, or move the file away",
    )


def _nanoseconds(text: str) -> int:
    whole, rest = acl.moment(text, "expiration_time")
    return whole * 10**9 + rest

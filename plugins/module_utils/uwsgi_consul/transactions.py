# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Operations on keys that Consul does together or not at all, and how many of them fit into one request.

Nothing here asks Consul: `KV.transaction` does. Source: https://developer.hashicorp.com/consul/api-docs/txn
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

from . import arguments, keys
from .bound import read
from .errors import BadAnswerError, BadRequestError, ConsulError, InvalidValueError, NoAgentError, PermissionDeniedError, ServerError
from .protocol import Answer, excerpt

# Consul takes 128 operations from 1.14 on, and 64 before.
MOST_OPERATIONS = 64
# Bytes of a request's body (`txn_max_req_len`), in which values stand in base64.
LARGEST_REQUEST = 512 * 1024

# For each verb the fields that it needs, and those that it may have.
_VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "set": (("value",), ("flags",)),
    "cas": (("value", "index"), ("flags",)),
    "lock": (("value", "session"), ("flags",)),
    "unlock": (("value", "session"), ("flags",)),
    "get": ((), ()),
    "get-or-empty": ((), ()),
    "get-tree": ((), ()),
    "check-index": (("index",), ()),
    "check-session": (("session",), ()),
    "check-not-exists": ((), ()),
    "delete": ((), ()),
    "delete-tree": ((), ()),
    "delete-cas": (("index",), ()),
}
VERBS = tuple(_VERBS)
_READING = ("get", "get-or-empty", "get-tree", "check-index", "check-session", "check-not-exists")
_SILENT = ("check-not-exists", "delete", "delete-tree", "delete-cas")


@dataclass(frozen=True)
class Operation:
    """One operation of a transaction; made by the methods named after Consul's verbs, or from a mapping by `of`.

    verb: one of `VERBS`. key: the key, or the prefix for `get-tree` and `delete-tree`. value: str (written as UTF-8) or
    bytes. index: the modify_index that the key must have; for `cas` 0 means that there must be no such key. session: the
    id of a session. Raises `InvalidValueError`.
    """

    verb: str
    key: str
    # Values may be secrets.
    value: str | bytes | None = field(default=None, repr=False)
    flags: int | None = None
    index: int | None = None
    session: str | None = None

    def __post_init__(self) -> None:
        arguments.choice(self.verb, "verb", VERBS)
        keys.path(self.key, "key")
        needed, possible = _VERBS[self.verb]
        for name in ("value", "flags", "index", "session"):
            given = getattr(self, name)
            if given is None and name in needed:
                raise InvalidValueError(f"{name}: is missing, {self.verb} of {self.key!r} needs it")
            if given is not None and name not in needed + possible:
                raise InvalidValueError(f"{name}: is of no use for {self.verb} of {self.key!r}")
        if self.value is not None:
            keys.content(self.value, f"value of {self.key!r}")
        if self.flags is not None:
            keys.flags(self.flags)
        if self.index is not None:
            arguments.integer(self.index, "index", least=0 if self.verb == "cas" else 1)
        if self.session is not None:
            arguments.session(self.session)

    @classmethod
    def of(cls, given: Operation | Mapping[str, Any]) -> Operation:
        """The operation that a mapping describes by the names of the fields, as in `{"verb": "delete", "key": "app/old"}`."""
        if isinstance(given, Operation):
            return given
        if not isinstance(given, Mapping):
            raise InvalidValueError(f"operations: {arguments.shown(given)} is neither an Operation nor a mapping")
        known = [one.name for one in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown or "verb" not in given or "key" not in given:
            what = f"has {arguments.shown(unknown[0])}" if unknown else "lacks verb or key"
            raise InvalidValueError(f"operations: one {what}", advice=f"Its fields are {', '.join(known)}")
        return cls(**given)

    @classmethod
    def set(cls, key: str, value: str | bytes, *, flags: int = 0) -> Operation:
        """Writes the key, whatever it holds."""
        return cls("set", key, value, flags=flags)

    @classmethod
    def cas(cls, key: str, value: str | bytes, index: int, *, flags: int = 0) -> Operation:
        """Writes the key if its modify_index is *index*; 0: if there is no such key."""
        return cls("cas", key, value, flags=flags, index=index)

    @classmethod
    def lock(cls, key: str, value: str | bytes, session: str, *, flags: int = 0) -> Operation:
        """Acquires the key for the session and writes it; fails when another session holds it."""
        return cls("lock", key, value, flags=flags, session=session)

    @classmethod
    def unlock(cls, key: str, value: str | bytes, session: str, *, flags: int = 0) -> Operation:
        """Releases the key and writes it; fails unless the session holds it."""
        return cls("unlock", key, value, flags=flags, session=session)

    @classmethod
    def get(cls, key: str) -> Operation:
        """Reads the key; fails when there is none. Its result is an entry."""
        return cls("get", key)

    @classmethod
    def get_or_empty(cls, key: str) -> Operation:
        """Reads the key. Its result is an entry, or `None` when there is no such key. Old versions of Consul don't know it."""
        return cls("get-or-empty", key)

    @classmethod
    def get_tree(cls, prefix: str) -> Operation:
        """Reads all keys that start with the prefix. Its result is a list of entries, maybe empty."""
        return cls("get-tree", prefix)

    @classmethod
    def check_index(cls, key: str, index: int) -> Operation:
        """Fails unless the modify_index of the key is *index*."""
        return cls("check-index", key, index=index)

    @classmethod
    def check_session(cls, key: str, session: str) -> Operation:
        """Fails unless the session holds the key."""
        return cls("check-session", key, session=session)

    @classmethod
    def check_not_exists(cls, key: str) -> Operation:
        """Fails when there is such a key."""
        return cls("check-not-exists", key)

    @classmethod
    def delete(cls, key: str) -> Operation:
        """Deletes the key; does nothing when there is none."""
        return cls("delete", key)

    @classmethod
    def delete_tree(cls, prefix: str) -> Operation:
        """Deletes all keys that start with the prefix."""
        return cls("delete-tree", prefix)

    @classmethod
    def delete_cas(cls, key: str, index: int) -> Operation:
        """Deletes the key if its modify_index is *index*; does nothing when there is no such key."""
        return cls("delete-cas", key, index=index)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.verb in _READING

    def encoded(self) -> bytes:
        """The operation as it stands in a request."""
        body: dict[str, Any] = {"Verb": self.verb, "Key": self.key}
        if self.value is not None:
            body["Value"] = base64.b64encode(keys.content(self.value, "value")).decode()
        for name, given in (("Flags", self.flags), ("Index", self.index), ("Session", self.session)):
            if given is not None:
                body[name] = given
        return json.dumps({"KV": body}, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Failure:
    """Why an operation made a transaction fail. index: its place in the list that was given, from 0."""

    index: int
    verb: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"operation {self.index} ({self.verb} {self.key}): {self.reason}"


class TransactionError(ConsulError):
    """A transaction was not done, or it is not known whether it was. It is an instance of the error's own class, too.

    done: so many operations, from the first on, were done for sure: more than none only where the list was split.
    unknown: so many after those may have been done or not; all others were not. failures: the operations that Consul
    named, as `Failure`; empty when the request itself failed, which `__cause__` tells. results: those of what was done.
    """

    failures: tuple[Failure, ...] = ()
    done: int = 0
    unknown: int = 0
    results: tuple[Any, ...] = ()


class RefusedError(BadRequestError):
    """Consul refused a transaction. failures: each operation that it named, with the reason."""

    def __init__(self, failures: Sequence[Failure], answer: Answer) -> None:
        shown = "; ".join(str(failure) for failure in failures[:5])
        rest = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        super().__init__(
            f"Consul refused the transaction: {shown}{rest}",
            asked=answer.asked,
            agent=answer.agent,
            status=answer.status,
            answer=excerpt(answer.text),
            advice=_acl_advice(failures),
        )
        self.failures = tuple(failures)

    @property
    def denied(self) -> bool:
        """Whether it lacked nothing but a permission."""
        return bool(self.failures) and all(_is_denied(failure) for failure in self.failures)


def _is_denied(failure: Failure) -> bool:
    return failure.reason.startswith("Permission denied")


def _acl_advice(failures: Iterable[Failure]) -> str:
    """The permissions that are missing: old versions of Consul don't name them."""
    needed = [f"key:{'read' if one.verb in _READING else 'write'} for {one.key}" for one in failures if _is_denied(one)]
    more = f" and {len(needed) - 5} more" if len(needed) > 5 else ""
    return f"The token needs {', '.join(needed[:5])}{more}" if needed else ""


_classes: dict[type[ConsulError], type[TransactionError]] = {}


def failed(cause: ConsulError, done: int, unknown: int, total: int, results: Sequence[Any]) -> TransactionError:
    """The error for a transaction of *total* operations that ended by *cause*: a `TransactionError` and of the cause's class."""
    failures: tuple[Failure, ...] = getattr(cause, "failures", ())
    kind = type(cause)
    if isinstance(cause, RefusedError):
        kind = PermissionDeniedError if cause.denied else BadRequestError
    if kind not in _classes:
        _classes[kind] = type("TransactionError", (TransactionError, kind), {"__doc__": TransactionError.__doc__, "__module__": __name__})
    mixed = _classes[kind]
    error = mixed.__new__(mixed, *cause.args)
    vars(error).update(vars(cause))
    error.failures, error.done, error.unknown, error.results = failures, done, unknown, tuple(results)
    if unknown and total > unknown:
        error.problem += f"; that was operation {done} to {done + unknown - 1} of {total}, those before were done, those after not"
    elif not unknown:
        error.problem += f"; the first {done} of {total} operations were done, the others not" if done else "; nothing was done"
    error.__cause__ = cause
    return error


def may_be_done(error: ConsulError) -> bool:
    """Whether a write that failed so may have been done, or may be done yet."""
    if isinstance(error, ServerError):
        # Without a leader nothing is done; other errors may come from a server that lost its leadership meanwhile.
        return error.status != 429 and "No cluster leader" not in error.answer
    # An error of the connection names an agent only if the request was sent to it.
    return isinstance(error, BadAnswerError) or (isinstance(error, NoAgentError) and bool(error.agent))


@dataclass(frozen=True)
class Request:
    """Operations that make one transaction. first: the place of the first of them in the list that was given."""

    first: int
    operations: tuple[Operation, ...]
    body: bytes = field(repr=False)

    @property
    def reads(self) -> bool:
        return all(operation.reads for operation in self.operations)

    def results(self, answer: Answer) -> list[Any]:
        """The result of each operation: an entry for those that read, write or check a key, a list of entries for
        `get-tree`, `None` for the others. The entry of what writes or checks lacks the value: Consul does not send it.

        Raises `BadAnswerError`.
        """
        entries = read(answer, lambda found: [keys.entry(item["KV"]) for item in found["Results"] or []])
        # Entries come one after the other, without the place of their operation. All but `get-tree` have one or none, so
        # that the rest is the tree's: `requests` puts only one tree into a request.
        single = [operation.key for operation in self.operations if operation.verb not in (*_SILENT, "get-tree")]
        in_tree = len(entries) - len(single)
        rest = iter(entries)
        results: list[Any] = []
        for operation in self.operations:
            if operation.verb == "get-tree":
                results.append(list(islice(rest, max(in_tree, 0))))
                fits = all(found["key"].startswith(operation.key) for found in results[-1])
            elif operation.verb in _SILENT:
                results.append(None)
                fits = True
            else:
                found = next(rest, None)
                fits = found is not None and found["key"] == operation.key
                if found and operation.verb not in ("get", "get-or-empty"):
                    del found["value"]
                results.append(None if found and operation.verb == "get-or-empty" and not found["create_index"] else found)
            if not fits:
                raise self._filtered(answer, {entry["key"] for entry in entries}, single)
        if next(rest, None):
            raise answer.bad()
        return results

    def _filtered(self, answer: Answer, answered: Collection[str], expected: Sequence[str]) -> ConsulError:
        """The error for entries that are not those of the operations: Consul leaves out, without a word, what may not be read."""
        left_out = [key for key in expected if key not in answered]
        if not left_out or not self.reads:
            return answer.bad()
        shown = f"{', '.join(left_out[:5])}{f' and {len(left_out) - 5} more' if len(left_out) > 5 else ''}"
        return PermissionDeniedError(
            f"Permission denied: Consul left out {shown}",
            asked=answer.asked,
            agent=answer.agent,
            advice=f"The token needs key:read for {shown}",
            status=403,
        )

    def refused(self, answer: Answer) -> ConsulError:
        """The error for a 409, with the operations' places in the list that was given; raises `BadAnswerError`."""

        def failure(said: Any) -> Failure:
            operation = self.operations[said["OpIndex"]]
            return Failure(self.first + said["OpIndex"], operation.verb, operation.key, str(said["What"]))

        return RefusedError(read(answer, lambda found: [failure(said) for said in found["Errors"]]), answer)


def requests(operations: Iterable[Operation | Mapping[str, Any]], split: bool) -> list[Request]:
    """The operations as the requests that are to be made one after the other; one only unless *split*.

    Raises `InvalidValueError`, which says which operation is wrong, or that they do not fit into one request.
    """
    if isinstance(operations, (str, bytes, Mapping)) or not isinstance(operations, Iterable):
        raise InvalidValueError(f"operations: {arguments.shown(operations)} is no list of operations")
    arguments.boolean(split, "split")
    checked = list(_checked(operations))
    packed = list(_packed(checked))
    if len(packed) > 1 and not split:
        advice = "With split=True they become several transactions: each is done as a whole or not at all, but not all together"
        if len(checked) > MOST_OPERATIONS:
            raise InvalidValueError(f"operations: {len(checked)} are more than the {MOST_OPERATIONS} of a transaction", advice=advice)
        if sum(operation.verb == "get-tree" for operation, _encoded in checked) > 1:
            raise InvalidValueError(
                "operations: more than one get-tree, and Consul's answer does not tell where the entries of one end", advice=advice
            )
        raise InvalidValueError(f"operations: they need more than the {LARGEST_REQUEST} bytes of a transaction's request", advice=advice)
    return packed


def _checked(operations: Iterable[Operation | Mapping[str, Any]]) -> Iterator[tuple[Operation, bytes]]:
    for index, given in enumerate(operations):
        try:
            operation = Operation.of(given)
        except InvalidValueError as error:
            raise InvalidValueError(f"operation {index}: {error.problem}", advice=error.advice) from None
        encoded = operation.encoded()
        if len(encoded) + 2 > LARGEST_REQUEST:
            raise InvalidValueError(
                f"operation {index}: the value of {operation.key!r} is too large for a transaction, whose request may have"
                f" {LARGEST_REQUEST} bytes, with values in base64",
                advice="KV.set takes larger values",
            )
        yield operation, encoded


def _packed(checked: Sequence[tuple[Operation, bytes]]) -> Iterator[Request]:
    first = 0
    while first < len(checked):
        end, size, trees = first, 1, 0
        while end < len(checked) and end - first < MOST_OPERATIONS:
            operation, encoded = checked[end]
            size += len(encoded) + 1
            trees += operation.verb == "get-tree"
            if size > LARGEST_REQUEST or trees > 1:
                break
            end += 1
        taken = checked[first:end]
        yield Request(
            first, tuple(operation for operation, _encoded in taken), b"[" + b",".join(encoded for _operation, encoded in taken) + b"]"
        )
        first = end

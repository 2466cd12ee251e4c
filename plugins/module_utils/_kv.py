# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys as a task wants them: what there is, what differs from it, and as few requests as change that.

Every write is bound to the index that its key was read with, so that what is reported as changed is what was changed. Where
somebody else was faster, nothing of that transaction is done; then all is read and compared again, a few times.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Dict, Optional

from ._kv_values import stored, text, tree
from ._module import Change, Task, without_none
from .uwsgi_consul import arguments, keys, transactions
from .uwsgi_consul.errors import ConflictError, ConsulError, InvalidValueError, NotAcquiredError
from .uwsgi_consul.kv import KV
from .uwsgi_consul.transactions import Operation, TransactionError

Entry = Dict[str, Any]
Found = Dict[str, Optional[Entry]]

# How keys can be given; one of them at a time.
FORMS = ("key", "keys", "values", "entries", "tree", "file")
_LOCKS = ("acquire", "release")
_ATTEMPTS = 5
_DEEPEST = 100
# Bytes of the longest value that a diff shows.
_LONGEST_SHOWN = 65536


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A key as the task gives it. value: None where it gives none. flags: None keeps those that the key has. cas: the index that
    it must have to be changed, 0 if it must not exist."""

    key: str
    value: bytes | None = dataclasses.field(default=None, repr=False)
    flags: int | None = None
    cas: int | None = None


@dataclasses.dataclass(frozen=True)
class Step:
    """What changes one key. before, after: what a diff shows of it, None where there is no such key."""

    key: str
    operations: tuple[Operation, ...]
    before: Any = dataclasses.field(repr=False)
    after: Any = dataclasses.field(repr=False)

    @property
    def is_large(self) -> bool:
        """Whether a transaction can't hold it."""
        return len(self.operations) == 1 and len(self.operations[0].encoded()) + 2 > transactions.LARGEST_REQUEST


class _StaleError(Exception):
    """A key is not any more what it was read as, so it was not changed."""


def manage(task: Task) -> Change:
    """The module `consul_kv`."""
    wanted = wanted_keys(task.params)
    kv, work = KV(task.api), _Work(task)
    task.results.update(written=[], deleted=[], indexes={})
    for _attempt in range(_ATTEMPTS):
        found = _read(kv, task.params, wanted)
        steps = list(plan(task.params, wanted, found, task.warn))
        if task.params["atomic"] or task.params["state"] in _LOCKS:
            _judge_one_transaction(steps)
        task.results["indexes"].update({key: found[key]["modify_index"] for key in wanted if found.get(key)})  # type: ignore[index]
        if task.params["purge"]:
            task.warn_if_filtered("purge knows only of keys that it may read (key:read)")
        try:
            work.do(kv, steps)
        except _StaleError:
            continue
        return work.change
    raise ConflictError(
        f"others changed these keys between reading and writing, {_ATTEMPTS} times: {_named([step.key for step in steps])}",
        advice="Is another run changing the same keys, or may the token write keys that it may not read?",
    )


def find(task: Task) -> None:
    """The module `consul_kv_info`."""
    params, kv = task.params, KV(task.api)
    if not params["prefixes"] and (params["names_only"] or (not params["keys"] and params["tree"] is None)):
        raise InvalidValueError("prefixes: is missing" if params["names_only"] else "one of keys, prefixes, tree is missing")
    if params["names_only"] and params["keys"]:
        raise InvalidValueError("keys: is of no use with names_only=true")
    if params["separator"] is not None and not params["names_only"]:
        raise InvalidValueError("separator: is of use with names_only=true only")
    for name in ("keys", "prefixes"):
        for one in params[name]:
            (keys.path if name == "keys" else keys.tree_path)(one, name)
    _found(task, kv)
    task.warn_if_filtered("there may be more keys (key:read)")


def _found(task: Task, kv: KV) -> None:
    params = task.params
    if params["names_only"]:
        task.results["names"] = sorted({key for prefix in params["prefixes"] for key in kv.keys(prefix, params["separator"])})
        return
    single = kv.get_many(params["keys"]) if params["keys"] else {}
    found = {key: entry for key, entry in single.items() if entry}
    for prefix in params["prefixes"]:
        found.update({entry["key"]: entry for entry in kv.tree(prefix)})
    task.results["entries"] = [{**found[key], "value": text(found[key], params["encoding"])} for key in sorted(found)]
    task.results["missing"] = [key for key, entry in single.items() if entry is None]
    if params["tree"] is not None:
        task.results["tree"] = tree(kv, params["tree"], "tree", lambda entry: text(entry, params["encoding"]))


def wanted_keys(params: Mapping[str, Any]) -> dict[str, Wanted]:
    """The keys that the task gives, by key, in whichever form. Raises `InvalidValueError`."""
    state, purge, prefix = params["state"], params["purge"], params["prefix"]
    if params["session"] is not None and state not in _LOCKS:
        raise InvalidValueError("session: is of use with state=acquire and state=release only")
    if purge:
        _judge_purge(params)
    elif params["everything"]:
        raise InvalidValueError("everything: is of use with purge=true only")
    if state in _LOCKS:
        arguments.session(params["session"])
    above = "" if prefix is None else keys.folder(prefix, "prefix")
    wanted: dict[str, Wanted] = {}
    for given in _given(params):
        one = _judged(above, given, state)
        if one.key in wanted:
            raise InvalidValueError(f"{one.key}: is given twice")
        wanted[one.key] = one
    return wanted


def _judge_purge(params: Mapping[str, Any]) -> None:
    if params["prefix"] is None:
        raise InvalidValueError("purge: needs prefix, the folder whose other keys are deleted")
    if params["state"] in _LOCKS:
        raise InvalidValueError(f"purge: is of no use with state={params['state']}")
    if params["everything"] != (params["prefix"] == ""):
        raise InvalidValueError(
            "everything: is for the empty prefix only"
            if params["everything"]
            else "prefix: is empty, so purge would delete keys of the whole store",
            advice="If that is meant, give everything=true with an empty prefix",
        )


def _given(params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Key, value, flags, cas and encoding of each key that is given."""
    form = next((form for form in FORMS if params[form] is not None), None)
    for option in ("value", "cas"):
        if params[option] is not None and form not in ("key", "keys"):
            raise InvalidValueError(f"{option}: is for key and keys only")
    if form is None:
        if not (params["purge"] and params["state"] == "absent"):
            raise InvalidValueError(f"one of {', '.join(FORMS)} is missing")
        return
    if params["purge"] and params["state"] == "absent":
        raise InvalidValueError(f"{form}: purge=true with state=absent deletes every key under prefix, so no key can be given")
    common = {"form": form, **{name: params[name] for name in ("value", "flags", "cas", "encoding")}}
    given = params[form]
    if form in ("tree", "file"):
        mapping = _loaded(given) if form == "file" else given
        for key, value in _flat(_leaves(mapping, common["encoding"], form), form).items():
            yield {**common, "key": key, "value": value}
    elif form == "values":
        for key, value in given.items():
            yield {**common, "key": key, "value": value}
    elif form == "entries":
        for one in given:
            yield {**common, **without_none(one)}
    else:
        for key in [given] if form == "key" else given:
            yield {**common, "key": key}


def _judged(above: str, given: Mapping[str, Any], state: str) -> Wanted:
    key, value = f"{above}{given['key']}", given["value"]
    keys.path(key, given["form"])
    if value is None and state == "present":
        raise InvalidValueError(f"value: is missing for {key!r}", advice="An empty one is ''; to read a key use consul_kv_info")
    flags, cas = given["flags"], given["cas"]
    return Wanted(
        key,
        None if value is None else stored(value, given["encoding"], f"value of {key!r}"),
        None if flags is None else keys.flags(flags),
        None if cas is None else arguments.integer(cas, "cas"),
    )


def _leaves(mapping: Any, encoding: str, what: str, above: str = "") -> Any:
    """A nested mapping with its values as bytes. Numbers as names, which YAML makes of texts, are texts."""
    if not isinstance(mapping, Mapping):
        raise InvalidValueError(f"{what}: {type(mapping).__name__} is no mapping of names to values")
    if above.count("/") > _DEEPEST:  # YAML can hold itself; `keys.flat` says so
        return mapping
    return {
        (str(name) if isinstance(name, int) and not isinstance(name, bool) else name): (
            _leaves(value, encoding, what, f"{above}{name}/")
            if isinstance(value, Mapping)
            else stored(value, encoding, f"value of {f'{above}{name}'!r}")
        )
        for name, value in mapping.items()
    }


def _flat(mapping: Mapping[str, Any], what: str) -> dict[str, bytes]:
    try:
        return keys.flat(mapping)
    except InvalidValueError as error:
        advice = error.advice
        if error.problem.endswith(" is no name"):
            advice += "; quote one that YAML takes for something else, and give whole keys by values"
        raise InvalidValueError(error.problem.replace("mapping: ", f"{what}: ", 1), advice=advice) from None


def _loaded(path: str) -> Any:
    """What a file of JSON or YAML holds."""
    try:
        with open(path, encoding="utf-8") as opened:
            content = opened.read()
    except (OSError, UnicodeError) as error:
        raise InvalidValueError(
            f"file: {path} can't be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}",
            advice="It is looked for on the host that the task runs on; give tree with a file of the controller",
        ) from None
    try:
        return json.loads(content)
    except ValueError:
        # Loading it takes longer than a task that reads no file.
        from ansible.module_utils.common.yaml import HAS_YAML, yaml_load

        if not HAS_YAML:
            raise InvalidValueError(f"file: {path} is no JSON", advice="To read YAML there, that host needs PyYAML") from None
    try:
        return yaml_load(content)
    except Exception as error:  # PyYAML's own, which can't be named where it is missing
        mark = getattr(error, "problem_mark", None)
        raise InvalidValueError(f"file: {path} is neither JSON nor YAML{f', line {mark.line + 1}' if mark else ''}") from None


def _read(kv: KV, params: Mapping[str, Any], wanted: Mapping[str, Wanted]) -> Found:
    """The keys as they are: those that are wanted, and for a purge all others of the folder, in as few requests as can be."""
    if params["purge"] or (params["prefix"] and len(wanted) > transactions.MOST_OPERATIONS):
        return {entry["key"]: entry for entry in kv.tree(keys.folder(params["prefix"]))}
    return kv.get_many(list(wanted)) if wanted else {}


def plan(params: Mapping[str, Any], wanted: Mapping[str, Wanted], found: Found, warn: Callable[[str], None]) -> Iterator[Step]:
    """What is to be done, what is written before what is deleted. Raises what keeps it from being done."""
    state, session = params["state"], params["session"]
    for key in sorted(wanted):
        one, entry = wanted[key], found.get(key)
        if state == "acquire":
            yield from _acquired(one, entry, session)
        elif state == "release":
            yield from _released(one, entry, session)
        elif state == "present" and (entry is None or params["overwrite"]):
            yield from _written(one, entry)
        elif state == "absent" and entry:
            _judge_index(one, entry)
            yield _deleted(entry)
    if params["purge"]:
        yield from _purged([entry for key, entry in sorted(found.items()) if entry and key not in wanted], warn)


def _purged(others: Sequence[Entry], warn: Callable[[str], None]) -> Iterator[Step]:
    held = [entry["key"] for entry in others if entry["session"]]
    odd = [entry["key"] for entry in others if not _is_addressable(entry["key"])]
    if held:
        warn(f"purge left keys that a session holds, for they are locks: {_named(held)}")
    if odd:
        warn(f"purge left keys that Consul's HTTP API can't address: {_named(odd)}")
    left = {*held, *odd}
    return (_deleted(entry) for entry in others if entry["key"] not in left)


def _is_addressable(key: str) -> bool:
    try:
        return bool(keys.path(key, "key"))
    except InvalidValueError:
        return False


def _written(wanted: Wanted, entry: Entry | None) -> Iterator[Step]:
    value, flags = _content(wanted, entry)
    if entry is None or (value, flags) != (entry["value"], entry["flags"]):
        _judge_index(wanted, entry)
        index = entry["modify_index"] if entry else 0
        after = described(value, flags, entry["session"] if entry else None)
        yield Step(wanted.key, (Operation.cas(wanted.key, value, index, flags=flags),), _described(entry), after)


def _deleted(entry: Entry) -> Step:
    return Step(entry["key"], (Operation.delete_cas(entry["key"], entry["modify_index"]),), _described(entry), None)


def _acquired(wanted: Wanted, entry: Entry | None, session: str) -> Iterator[Step]:
    value, flags = _content(wanted, entry)
    if entry and entry["session"] not in (None, session):
        raise NotAcquiredError(f"{wanted.key}: is held by session {entry['session']}", advice="consul_lock waits until it is free")
    if entry is None or (value, flags, session) != (entry["value"], entry["flags"], entry["session"]):
        _judge_index(wanted, entry)
        guard = Operation.check_index(wanted.key, entry["modify_index"]) if entry else Operation.check_not_exists(wanted.key)
        operations = (guard, Operation.lock(wanted.key, value, session, flags=flags))
        yield Step(wanted.key, operations, _described(entry), described(value, flags, session))


def _released(wanted: Wanted, entry: Entry | None, session: str) -> Iterator[Step]:
    value, flags = _content(wanted, entry)
    if entry and entry["session"] == session:
        _judge_index(wanted, entry)
        guard = Operation.check_index(wanted.key, entry["modify_index"])
        operations = (guard, Operation.unlock(wanted.key, value, session, flags=flags))
        yield Step(wanted.key, operations, _described(entry), described(value, flags, None))
    elif wanted.value is not None and (entry is None or value != entry["value"]):
        # Without a value there is nothing to do, so that a task which always releases fails no play.
        holder = entry["session"] if entry else None
        raise ConflictError(f"{wanted.key}: is held by {f'session {holder}' if holder else 'nobody'}, so the value was not written")


def _content(wanted: Wanted, entry: Entry | None) -> tuple[bytes, int]:
    """Value and flags that the key shall have: what the task does not give stays."""
    had = entry or {"value": b"", "flags": 0}
    return had["value"] if wanted.value is None else wanted.value, had["flags"] if wanted.flags is None else wanted.flags


def _judge_index(wanted: Wanted, entry: Entry | None) -> None:
    index = entry["modify_index"] if entry else 0
    if wanted.cas not in (None, index):
        there = f"has index {index}" if entry else "does not exist"
        raise ConflictError(
            f"{wanted.key}: {there}, and cas wants {f'index {wanted.cas}' if wanted.cas else 'that there is no such key'}",
            advice="It was changed since that index was read, so it was left as it is",
        )


def _judge_one_transaction(steps: Sequence[Step]) -> None:
    operations = [operation for step in steps for operation in step.operations]
    try:
        transactions.requests(operations, split=False)
    except InvalidValueError as error:
        raise InvalidValueError(
            f"{len(steps)} changes can't be done together or not at all: {error.problem}",
            advice=f"One transaction has at most {transactions.MOST_OPERATIONS} operations (a lock needs two) and 512 KiB, of which"
            " values take four thirds. Give fewer keys, or atomic=false where it is set",
        ) from None


class _Work:
    """What a task did so far, over all its attempts: its change, and its results that tell by key what was done."""

    def __init__(self, task: Task) -> None:
        self._task, self._results = task, task.results
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    @property
    def change(self) -> Change:
        before, after = ({key: one for key, one in side.items() if one is not None} for side in (self._before, self._after))
        return Change(before, after)

    def do(self, kv: KV, steps: Sequence[Step]) -> None:
        """Does the steps. Raises `_StaleError` where another one was faster; what was done before stays done."""
        if self._task.check_mode:
            for step in steps:
                self._note(step)
            return
        for step in steps:
            if step.is_large:
                self._write_large(kv, step)
        small = [step for step in steps if not step.is_large]
        of_step = [step for step in small for _operation in step.operations]
        together = self._task.params["state"] in _LOCKS or self._task.params["atomic"]
        try:
            results = kv.transaction([operation for step in small for operation in step.operations], split=not together)
        except TransactionError as error:
            self._note_all(of_step[: error.done], error.results)
            self._note_unknown(of_step[error.done : error.done + error.unknown])
            if any(_is_stale(failure) for failure in error.failures):
                raise _StaleError from error
            raise
        self._note_all(of_step, results)

    def _write_large(self, kv: KV, step: Step) -> None:
        operation = step.operations[0]
        try:
            done = kv.set(step.key, operation.value or b"", flags=operation.flags, cas=operation.index)
        except ConsulError as error:
            self._note_unknown([step] if transactions.may_be_done(error) else [])
            raise
        if not done:
            raise _StaleError
        self._note_all([step], [None])

    def _note_all(self, steps: Sequence[Step], results: Sequence[Any]) -> None:
        for step, result in zip(steps, results):
            self._task.changed = True
            self._note(step)
            self._results["indexes"].pop(step.key, None)
            if result:
                self._results["indexes"][step.key] = result["modify_index"]

    def _note(self, step: Step) -> None:
        self._before.setdefault(step.key, step.before)
        self._after[step.key] = step.after
        done = self._results["deleted" if step.after is None else "written"]
        if step.key not in done:
            done.append(step.key)

    def _note_unknown(self, steps: Iterable[Step]) -> None:
        unknown = list(dict.fromkeys(step.key for step in steps))
        if unknown:
            self._results["unknown"] = unknown


def _is_stale(failure: transactions.Failure) -> bool:
    return failure.verb.startswith("check-") or any(said in failure.reason for said in ("index is stale", "lock is already held"))


def _described(entry: Entry | None) -> Any:
    return described(entry["value"], entry["flags"], entry["session"]) if entry else None


def described(value: bytes, flags: int, session: str | None) -> Any:
    """A key as a diff shows it: its value, beside flags and session where it has any; of a large value its size and checksum."""
    shown: Any
    if len(value) > _LONGEST_SHOWN:
        shown = {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    else:
        try:
            shown = value.decode()
        except UnicodeDecodeError:
            shown = {"base64": base64.b64encode(value).decode()}
    more = {name: one for name, one in (("flags", flags), ("session", session)) if one}
    return {"value": shown, **more} if more else shown


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")

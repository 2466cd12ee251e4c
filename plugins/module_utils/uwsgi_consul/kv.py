# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul's key/value store.

Sources: https://developer.hashicorp.com/consul/api-docs/kv and .../api-docs/txn
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import arguments, keys, transactions
from .bound import Bound, read
from .errors import ConsulError, InvalidValueError
from .keys import entries
from .protocol import Answer
from .transactions import Operation, TransactionError
from .updates import NewValue, Update

if TYPE_CHECKING:
    from .watch import Watch


class KV(Bound):
    """Keys and values of one datacenter, through a client; may be used from any thread.

    client: an `Api` or `Client`; made from the environment unless given. datacenter: the client's unless given.

    Keys stand as they are, with spaces and all; they start with no slash. Values are bytes; where text is given it is
    written as UTF-8, and 512 KiB are the most. An entry is a mapping: key, value (bytes), flags (a number of the user's
    own), session (the id of the lock's holder, or `None`), create_index, modify_index and lock_index.

    What can't be right raises `InvalidValueError` before anything is sent. A write is sent once: when its answer gets
    lost, `NoAgentError` says that it is not known whether it was done.
    """

    def get(self, key: str, *, consistency: str | None = None) -> dict[str, Any] | None:
        """The entry of a key, or `None` when there is no such key. Raises `ConsulError`."""
        return self._get(key, consistency)

    def get_many(self, keys: Iterable[str], *, consistency: str | None = None) -> dict[str, dict[str, Any] | None]:
        """The entries of several keys, by key, `None` where there is no such key, by one request for each 64.

        Where some are missing, an old Consul takes a second one. Unlike `tree`, it raises `PermissionDeniedError` for keys
        that may not be read. Raises `ConsulError`.
        """
        wanted = list(dict.fromkeys(_several(keys)))
        if len(wanted) == 1:
            return {wanted[0]: self.get(wanted[0], consistency=consistency)}
        try:
            results = self._transaction([Operation.get_or_empty(key) for key in wanted], True, consistency=consistency)
        except TransactionError as error:
            # An old Consul does not know that operation, and calls it denied where ACLs are on.
            if not error.failures:
                raise
            return self._get_many_of_old(wanted, consistency)
        return dict(zip(wanted, results))

    def tree(self, prefix: str, *, consistency: str | None = None) -> list[dict[str, Any]]:
        """The entries of all keys that start with *prefix*, sorted by key; an empty prefix means the whole store.

        Consul compares characters, not path segments: `app` finds `apple` as well, `app/` does not. Raises `ConsulError`.
        """
        return _sorted_entries(self._read(keys.tree_path(prefix), [("recurse", "1")], consistency))

    def keys(self, prefix: str, separator: str | None = None, *, consistency: str | None = None) -> list[str]:
        """All keys that start with *prefix*, sorted, without reading their values.

        separator: keys are cut after its first occurrence behind the prefix, and each is listed once: with `app/` and
        `/` these are the keys of the folder, and its folders with a slash at their end. Raises `ConsulError`.
        """
        path, params = keys.tree_path(prefix), [("keys", "1")]
        if separator is not None:
            if not arguments.text(separator, "separator", most=keys.LONGEST_KEY):
                raise InvalidValueError("separator: is empty", advice="Leave it out to list whole keys")
            params.append(("separator", separator))
        answer = self._read(path, params, consistency)
        if answer.status == 404:
            return []
        return sorted(read(answer, lambda found: [_expect(str, key) for key in _expect(list, found)]))

    def mapping(self, folder: str, *, encoding: str | None = "utf-8", consistency: str | None = None) -> dict[str, Any]:
        """A folder as a nested mapping: names to values, and to mappings for the folders in it; empty where nothing is.

        folder: with or without a slash at its end; empty for the whole store. encoding: of the values; `None` leaves them
        bytes. Raises `InvalidValueError` when a name is a key and a folder at the same time (`tree` reads such), and when
        a value is no text.
        """
        prefix, codec = keys.folder(folder), keys.encoding(encoding)
        return keys.nested(self.tree(prefix, consistency=consistency), prefix, codec)

    def set(
        self,
        key: str,
        value: str | bytes,
        *,
        flags: int | None = None,
        cas: int | None = None,
        acquire: str | None = None,
        release: str | None = None,
    ) -> bool:
        """Writes the key; `False` when the condition does not hold, and then nothing was written.

        flags: 0 unless given, also where the key had others. cas: the modify_index that the key must have, 0 if there may
        be no such key. acquire: the id of a session that holds the key from then on; `False` when another one does.
        release: the id of the session that gives the key back; `False` when it does not hold it. One of the three at most.
        Raises `ConsulError`.
        """
        keys.path(key, "key")
        params: list[tuple[str, Any]] = []
        if cas is not None:
            params.append(("cas", arguments.integer(cas, "cas")))
        if acquire is not None:
            params.append(("acquire", arguments.session(acquire, "acquire")))
        if release is not None:
            params.append(("release", arguments.session(release, "release")))
        if len(params) > 1:
            raise InvalidValueError(f"{params[0][0]} and {params[1][0]}: give one of them, not both")
        return self._set(key, keys.content(value), 0 if flags is None else keys.flags(flags), params)

    def set_mapping(self, folder: str, mapping: Mapping[str, Any], *, split: bool = False) -> int:
        """Writes a nested mapping, as `mapping` reads it, into a folder; gives the number of keys that were written.

        Values are text or bytes; other keys of the folder stay. It is one transaction unless *split*: see `transaction`.
        """
        written = keys.flat(mapping, keys.folder(folder))
        self.transaction([Operation.set(key, value) for key, value in sorted(written.items())], split=split)
        return len(written)

    def delete(self, key: str, *, recurse: bool = False, cas: int | None = None, everything: bool = False) -> bool:
        """Deletes the key, if there is one; `False` when the condition does not hold, and then nothing was deleted.

        cas: the modify_index that the key must have if there is such a key. recurse: *key* is a prefix, and all keys that
        start with it are deleted: end it with a slash, or `app` deletes `apple` as well. everything: must be true for the
        empty prefix, which stands for the whole store. Raises `ConsulError`.
        """
        params: list[tuple[str, Any]] = []
        whole_store = arguments.boolean(recurse, "recurse") and key == ""
        if arguments.boolean(everything, "everything") != whole_store:
            raise InvalidValueError(
                "key: is empty, which means the whole store" if whole_store else "everything: is for the empty prefix only",
                advice="To delete the whole store give an empty key, recurse=True and everything=True",
            )
        if recurse:
            params.append(("recurse", "1"))
        if cas is not None:
            if recurse:
                raise InvalidValueError("cas: is of no use with recurse", advice="A transaction deletes several keys on conditions")
            # Consul never deletes for 0.
            params.append(("cas", arguments.integer(cas, "cas", least=1)))
        path = keys.tree_path(key, "key") if recurse else keys.path(key, "key")
        return _flag(self._ask("DELETE", path, params))

    def update(
        self,
        key: str,
        function: Callable[[bytes | None], NewValue],
        *,
        timeout: float = 30.0,
        flags: int | None = None,
        receipts: str | None = None,
    ) -> bytes | None:
        """Changes a value by a function of the old one; gives the new value. No change of another writer gets lost.

        function: is called with the value, or `None` when there is no such key, and returns the new one (text or bytes),
        or `None` to leave the key as it is. It is called again whenever another writer was faster, so it must have no
        effects of its own. timeout: seconds for all attempts. flags: those of the key stay unless given.
        receipts: a folder for keys that tell whether a write whose answer got lost was done; see `OutcomeUnknownError`.
        The token needs to write there. With it every update is done once, at the price of a second write for each.

        Raises `ConflictError` when others were faster for all the time; `OutcomeUnknownError`, only without receipts or
        when the time is over, when an answer got lost and it can't be told whether the write was done; what the function
        raises; `ConsulError`.
        """
        return Update(self, key, function, timeout, flags, receipts).run()

    def transaction(self, operations: Iterable[Operation | Mapping[str, Any]], *, split: bool = False) -> list[Any]:
        """Does all operations or none; gives the result of each: an entry, a list of entries for `get-tree`, or `None`.

        operations: `Operation`s, or mappings with the names of its fields. A request has at most 64, of 512 KiB in all,
        where values stand in base64, and one `get-tree`. split: more become several transactions, one after the other;
        each is done as a whole or not at all, and the first that fails is the last.

        The entry of an operation that writes or checks has all but the value. Transactions that only read are repeated
        when that may help. Raises `TransactionError`, which says what failed and what was done before it, and is an
        instance of the class of its cause, too.
        """
        return self._transaction(operations, split)

    def watch(self, key: str, on_change: Callable[[Any], Any] | None = None, *, recurse: bool = False) -> Watch:
        """Follows a key, or all keys that start with it; what the watch gives and *on_change* is called with is a snapshot.

        The snapshot's value is what `get` gives, or with *recurse* what `tree` gives.
        """
        from .watch import watch

        params = [("dc", self.datacenter)] if self.datacenter else []
        if not arguments.boolean(recurse, "recurse"):
            return watch(self.client, keys.path(key, "key"), params, _first_entry, on_change)
        return watch(self.client, keys.tree_path(key, "key"), [("recurse", "1"), *params], _sorted_entries, on_change)

    def _get_many_of_old(self, wanted: Sequence[str], consistency: str | None) -> dict[str, dict[str, Any] | None]:
        """As `get_many`, of a Consul that refuses to get a key that is missing, but names all those that are."""
        found: dict[str, dict[str, Any] | None] = dict.fromkeys(wanted)
        for first in range(0, len(wanted), transactions.MOST_OPERATIONS):
            present = list(wanted[first : first + transactions.MOST_OPERATIONS])
            while present:
                try:
                    results = self._transaction([Operation.get(key) for key in present], True, consistency=consistency)
                except TransactionError as error:
                    missing = {failure.key for failure in error.failures if failure.reason.endswith("doesn't exist")}
                    if not missing or len(missing) < len(error.failures):
                        raise
                    present = [key for key in present if key not in missing]
                else:
                    found.update(zip(present, results))
                    break
        return found

    def _get(self, key: str, consistency: str | None = None, timeout: float | None = None) -> dict[str, Any] | None:
        return _first_entry(self._read(keys.path(key, "key"), (), consistency, timeout))

    def _read(self, path: str, params: Sequence[tuple[str, Any]], consistency: str | None, timeout: float | None = None) -> Answer:
        return self._ask("GET", path, params, consistency=consistency, timeout=timeout, allow=(404,))

    def _set(self, key: str, value: bytes, flags: int, params: list[tuple[str, Any]], timeout: float | None = None) -> bool:
        if flags:
            params = [*params, ("flags", flags)]
        return _flag(self._ask("PUT", keys.path(key, "key"), params, value, timeout=timeout))

    def _transaction(
        self,
        operations: Iterable[Operation | Mapping[str, Any]],
        split: bool,
        timeout: float | None = None,
        consistency: str | None = None,
    ) -> list[Any]:
        requests = transactions.requests(operations, split)
        total = sum(len(request.operations) for request in requests)
        results: list[Any] = []
        for request in requests:
            try:
                results += self._commit(request, timeout, consistency)
            except ConsulError as error:
                unknown = len(request.operations) if not request.reads and transactions.may_be_done(error) else 0
                raise transactions.failed(error, request.first, unknown, total, results) from error
        return results

    def _commit(self, request: transactions.Request, timeout: float | None, consistency: str | None) -> list[Any]:
        answer = self._ask(
            "PUT", "/v1/txn", [], request.body, consistency=consistency, idempotent=request.reads, timeout=timeout, allow=(409,)
        )
        if answer.status == 409:
            raise request.refused(answer)
        return request.results(answer)


def _several(given: object) -> list[str]:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidValueError(f"keys: {arguments.shown(given)} is no list of keys")
    found = list(given)
    for key in found:
        keys.path(key, "keys")
    return found


def _first_entry(answer: Answer) -> dict[str, Any] | None:
    found = entries(answer)
    return found[0] if found else None


def _sorted_entries(answer: Answer) -> list[dict[str, Any]]:
    return sorted(entries(answer), key=lambda one: str(one["key"]))


def _flag(answer: Answer) -> bool:
    said: bool = read(answer, lambda found: _expect(bool, found))
    return said


def _expect(kind: type, found: Any) -> Any:
    if not isinstance(found, kind):
        raise TypeError
    return found

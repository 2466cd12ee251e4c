# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Config entries: what Consul's servers keep for a service, a gateway or the whole mesh.

An entry is a mapping with `kind`, `name` and the fields of its kind, at any depth in either spelling, Consul's own
(`ConnectTimeout`) or snake_case. What is read comes in snake_case. Kinds and fields are the server's to know: this module
knows only how entries are written down, and where the server writes one down otherwise than it was given.

Sources: https://developer.hashicorp.com/consul/api-docs/config and .../docs/reference/config-entry
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from . import arguments
from .bound import Bound, read
from .errors import BadRequestError, ConflictError, ConsulError, InvalidValueError, PermissionDeniedError, RequestError, ServerError
from .protocol import duration

if TYPE_CHECKING:
    from .api import Api

Entry = Dict[str, Any]
# Within the class below, `list` is its method.
EntryList = List[Entry]
Pair = Tuple[Optional[Entry], Optional[Entry]]
# (kind, name): what an entry is known by.
Identity = Tuple[str, str]

# Those of the oldest Consul that is supported, 1.8.
_KNOWN_EVERYWHERE = {"service-defaults", "proxy-defaults", "service-router", "service-splitter", "service-resolver"}
_KNOWN_EVERYWHERE |= {"ingress-gateway", "terminating-gateway"}
# What there is one of is found without a name.
_ONLY_NAMES = {"proxy-defaults": "global", "mesh": "mesh", "exported-services": "default"}
# No entry ever has it, so a write on this condition is judged by the server and never done.
_NO_INDEX = 2**63 - 1
_LONGEST_PAUSE = 0.25

# All names from here on are folded: without underscores and capitals.
_ALIASES = {"peername": "Peer"}
# Mappings whose keys are their user's: with texts, with anything, and with fields below.
_TEXTS, _OPAQUE, _NAMED = {"meta", "legacymeta", "add", "set"}, {"config", "arguments"}, {"subsets", "failover", "services"}
# What the server makes: of an entry, and of each of an intention's sources.
_MADE = {"createindex", "modifyindex", "hash", "status"}
_MADE_OF_SOURCE = {"precedence", "legacyid", "legacymeta", "legacycreatetime", "legacyupdatetime"}
# What the server writes where nothing was given, by kind and path.
_DEFAULTS: dict[tuple[str, str], Any] = {
    ("service-intentions", "sources.type"): "consul",
    ("ingress-gateway", "listeners.protocol"): "tcp",
    ("jwt-provider", "clockskewseconds"): 30,
    ("api-gateway", "listeners.tls.certificates.kind"): "inline-certificate",
    ("http-route", "parents.kind"): "api-gateway",
    ("tcp-route", "parents.kind"): "api-gateway",
    ("http-route", "rules.matches.path.match"): "prefix",
    ("http-route", "rules.matches.path.value"): "/",
}
# What the enterprise edition writes into each.
_DEFAULT_PLACES = {"namespace", "partition"}
_DURATIONS = {"requesttimeout", "idletimeout", "connecttimeout", "ttl", "interval", "baseejectiontime"}
_DURATIONS |= {"cacheduration", "baseinterval", "maxinterval"}
_LOWER, _UPPER = {"protocol"}, {"method", "methods"}
# Where 0 is another thing than nothing; so are all limits of an upstream.
_ZERO_COUNTS = {"enforcingconsecutive5xx", "maxejectionpercent", "baseejectiontime", "maxrequestheaderskb"}


class UnknownKindError(InvalidValueError):
    """Consul does not know the kind of an entry: it is misspelt, or of a newer Consul."""


class ConfigEntries(Bound):
    """Config entries of a datacenter.

    Consul keeps them in its primary datacenter, where all writes go whichever is asked, and copies them to the others, with
    indexes of their own. So whoever writes on a condition reads there: see `in_primary`.
    """

    def __init__(self, client: Api | None = None, *, datacenter: str | None = None) -> None:
        super().__init__(client, datacenter=datacenter)
        self._known_kinds = set(_KNOWN_EVERYWHERE)

    def in_primary(self) -> ConfigEntries:
        """The entries of the primary datacenter; these here where the token may not ask which one that is (agent:read)."""
        try:
            answer = self._ask("GET", "/v1/agent/self")
        except PermissionDeniedError:
            return self
        primary = read(answer, lambda data: data["Config"].get("PrimaryDatacenter") or data.get("DebugConfig", {}).get("PrimaryDatacenter"))
        return ConfigEntries(self.client, datacenter=primary or self.datacenter)

    def get(self, kind: str, name: str) -> Entry | None:
        """The entry, or `None` when there is none. Raises `ConsulError`; `UnknownKindError` for a kind that Consul does not know."""
        path = _path(kind, name)
        self._refuse_unknown(kind)
        answer = self._known(kind, lambda: self._ask("GET", path, allow=(404,)))
        found: Entry | None = None if answer.status == 404 else read(answer, plain)
        return found

    def list(self, kind: str, *, filter: str | None = None) -> EntryList:  # noqa: A002 - Consul's own term
        """The entries of a kind that the token may see, sorted by name.

        filter: an expression in Consul's filter language, which Consul has for some kinds only. Raises `ConsulError`.
        """
        path = f"/v1/config/{arguments.path_name(kind, 'kind')}"
        params = [] if filter in (None, "") else [("filter", arguments.text(filter, "filter"))]
        self._refuse_unknown(kind)
        answer = self._known(kind, lambda: self._ask("GET", path, params))
        if params:
            self._refuse_ignored_filter(path)
        found: EntryList = read(answer, lambda data: sorted((plain(item) for item in data), key=lambda one: one["name"]))
        return found

    def apply(self, entry: Mapping[str, Any], *, cas: int | None = None) -> bool:
        """Writes an entry whole; returns whether it was written.

        cas: only if its modify_index still is this one, and 0: only if there is none. Raises `InvalidValueError` for a kind
        or field that Consul does not know, `ConsulError` otherwise.
        """
        params = [] if cas is None else [("cas", arguments.integer(cas, "cas"))]
        body = sent(entry)
        return bool(self._known(body["Kind"], lambda: read(self._put(entry, params, body), lambda data: data)))

    def judge(self, entry: Mapping[str, Any]) -> None:
        """Has Consul judge an entry, which is not written: kind, fields, their values and the token's permission.

        Not seen is what depends on other entries, such as a router of a service whose protocol is none of HTTP. Raises as
        `apply` does.
        """
        self.apply(entry, cas=_NO_INDEX)

    def delete(self, kind: str, name: str, *, cas: int | None = None) -> bool:
        """Deletes an entry; returns whether it is gone.

        cas: only if its modify_index still is this one; Consul before 1.12 deletes it in any case. Raises `ConsulError`.
        """
        params = [] if cas is None else [("cas", arguments.integer(cas, "cas", 1))]
        answer = self._known(kind, lambda: self._ask("DELETE", _path(kind, name), params))
        return answer.json() is not False

    def update(self, kind: str, name: str, function: Callable[[Entry | None], Mapping[str, Any] | None]) -> Pair:
        """Changes an entry by a function of what it is, while others may do the same; returns what was before and what is after.

        function: is given the entry, or `None`, and returns the whole new one, or `None` for none; called again when somebody
        else was faster. Nothing is written where both are the same (`alike`). Raises `ConflictError` when others were faster
        until the client's time-out was over.
        """
        arguments.function(function, "function")
        deadline = time.monotonic() + self.client.settings.timeout
        attempts = 0
        while True:
            found = self.get(kind, name)
            wanted = function(found)
            if alike(wanted, found):
                return found, found
            index = found["modify_index"] if found else 0
            done = self.delete(kind, name, cas=index) if wanted is None else self.apply(wanted, cas=index)
            if done:
                return found, None if wanted is None else self.get(kind, name)
            pause = random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2 ** min(attempts, 10)))  # noqa: S311
            attempts += 1
            if time.monotonic() + pause >= deadline:
                raise ConflictError(
                    f"{kind} {name}: was changed by others before each of {attempts} writes",
                    advice="In a secondary datacenter no index fits: ask in the primary one, which the token must be allowed to find out "
                    "(agent:read), or give it by datacenter",
                )
            time.sleep(pause)

    def ensure(self, entry: Mapping[str, Any]) -> bool:
        """Makes an entry what is given, whole; returns whether there was anything to change. Raises as `update` does."""
        kind, name = identity(entry)
        sent(entry)
        before, after = self.update(kind, name, lambda _found: entry)
        return not alike(before, after)

    def _put(self, entry: Mapping[str, Any], params: Sequence[tuple[str, Any]], body: Entry) -> Any:
        try:
            return self._ask("PUT", "/v1/config", params, body)
        except RequestError as error:
            which = " ".join(identity(entry))
            unknown = re.findall(r'invalid config key \\?"([^"\\]+)', error.answer)
            if not unknown:
                # The path of all entries is the same, and Consul seldom says which one it means.
                error.problem = f"{which}: {error.problem}"
                raise
            raise InvalidValueError(
                f"{which}: Consul knows no field {', '.join(sorted(unknown))}",
                asked=error.asked,
                agent=error.agent,
                advice="Is it misspelt, at another place, or of a newer Consul?",
            ) from None

    def _known(self, kind: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except RequestError as error:
            if "invalid config entry kind" not in error.answer:
                raise
            raise UnknownKindError(
                f"kind: {arguments.shown(kind)} is no kind of config entry that Consul knows",
                asked=error.asked,
                agent=error.agent,
                advice="Is it misspelt, or of a newer Consul, or of its enterprise edition?",
            ) from None

    def _refuse_unknown(self, kind: str) -> None:
        """Raises for a kind that the agent does not know. Its servers' answer to a read would be taken for trouble that may pass."""
        if kind in self._known_kinds:
            return
        try:
            # The agent itself refuses this, by the kind or else by the field, and hands nothing on to its servers.
            self._known(kind, lambda: self._ask("PUT", "/v1/config", body={"Kind": kind, "NoFieldOfAnyKind": ""}))
        except BadRequestError:
            self._known_kinds.add(kind)

    def _refuse_ignored_filter(self, path: str) -> None:
        """Raises when the server ignores filters, as older ones do without a word: it would not refuse one that can't be right."""
        try:
            # That it fails is no trouble that may pass, so it is asked once.
            self._ask("GET", path, [("filter", "(")], idempotent=False)
        except (ServerError, BadRequestError):
            return
        raise InvalidValueError("filter: this Consul has no filters for config entries", advice="Leave it out, or ask a newer Consul")


def identity(entry: object) -> Identity:
    """Kind and name of an entry; the name may be left out where there is only one. Raises `InvalidValueError`."""
    fields = _by_folded(entry, "entry")
    if "kind" not in fields:
        raise InvalidValueError("entry: has no kind", advice="It needs kind, name and the fields of its kind")
    kind = arguments.name(fields["kind"][1], "entry kind")
    name = fields["name"][1] if "name" in fields else None
    return kind, arguments.name(_ONLY_NAMES.get(kind) if name is None else name, "entry name")


def sent(entry: Mapping[str, Any]) -> Entry:
    """An entry as Consul reads it, without what the server makes; raises `InvalidValueError`."""
    kind, name = identity(entry)
    body = _renamed({key: value for key, value in entry.items() if _folded(key) not in {*_MADE, "kind", "name"}}, _camel, "entry")
    if kind == "service-intentions" and isinstance(body.get("Sources"), list):
        body["Sources"] = [_without_made(source) for source in body["Sources"]]
    body["Kind"] = kind
    if kind != "mesh":
        body["Name"] = name
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidValueError(f"entry: {kind} {arguments.shown(name)} holds something that JSON can't") from None
    return body


def plain(item: dict[str, Any]) -> Entry:
    """An entry as Consul gives it, in snake_case; keys that are its user's, such as those of `meta`, stay as they are."""
    kind = str(item["Kind"])
    entry = _renamed(item, _snake, "entry")
    return {**entry, "name": entry.get("name") or _ONLY_NAMES[kind], "modify_index": int(entry["modify_index"])}


def snake_fields(fields: object, what: str) -> Entry:
    """A part of an entry in snake_case. Raises `InvalidValueError`, which says *what* it is."""
    if not isinstance(fields, Mapping):
        raise InvalidValueError(f"{what}: {arguments.shown(fields)} is no mapping")
    return _renamed(fields, _snake, what)


def alike(wanted: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> bool:
    """Whether Consul, given *wanted* where *found* is, would have nothing to change. Raises `InvalidValueError`."""
    if wanted is None or found is None:
        return wanted is found
    return _alike(canonical(wanted), canonical(found))


def canonical(entry: Mapping[str, Any]) -> Entry:
    """An entry in the form in which entries can be compared and shown: snake_case, no field that the server made, that is empty
    or that has its default, durations as seconds such as `90s`, the sources of an intention by their names.
    """
    kind, name = identity(entry)
    fields = {key: value for key, value in entry.items() if _folded(key) not in {*_MADE, "kind", "name"}}
    return {"kind": kind, "name": name, **_fields(_renamed(fields, _snake, "entry"), kind, "")}


def _folded(name: object) -> str:
    return str(name).replace("_", "").lower()


def _camel(name: str) -> str:
    # Consul reads names whatever their case.
    return _ALIASES.get(_folded(name)) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _snake(name: str) -> str:
    known = _ALIASES.get(_folded(name), name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=[0-9])", "_", known).lower()


def _by_folded(fields: object, what: str) -> dict[str, tuple[str, Any]]:
    """Names and values by their folded names; refuses one that is given twice."""
    if not isinstance(fields, Mapping):
        raise InvalidValueError(f"{what}: {arguments.shown(fields)} is no mapping")
    folded: dict[str, tuple[str, Any]] = {}
    for key, value in fields.items():
        arguments.name(key, f"{what} field")
        if _folded(key) in folded:
            raise InvalidValueError(f"{what}: has one field twice, {folded[_folded(key)][0]} and {key}")
        folded[_folded(key)] = (key, value)
    return folded


def _renamed(fields: Mapping[str, Any], rename: Callable[[str], str], what: str) -> Entry:
    """The fields with their names changed, at any depth, and those of users left alone."""
    renamed: Entry = {}
    try:
        for name, (key, value) in _by_folded(fields, what).items():
            if name in _TEXTS and isinstance(value, Mapping):
                renamed[rename(key)] = _texts(value, f"{what} {key}")
            elif name in _OPAQUE:
                renamed[rename(key)] = value
            else:
                renamed[rename(key)] = _renamed_value(value, rename, f"{what} {key}", name in _NAMED)
    except RecursionError:
        raise InvalidValueError(f"{what}: is nested too deeply") from None
    return renamed


def _renamed_value(value: Any, rename: Callable[[str], str], what: str, named: bool = False) -> Any:
    if isinstance(value, Mapping):
        if named:
            return {arguments.name(key, what): _renamed_value(one, rename, f"{what} {key}") for key, one in value.items()}
        return _renamed(value, rename, what)
    return [_renamed_value(one, rename, what) for one in value] if isinstance(value, (list, tuple)) else value


def _without_made(source: Any) -> Any:
    """A source of an intention as it was written. Its meta of before Consul 1.9 stays: the server refuses to lose it without a word."""
    if not isinstance(source, dict):
        return source
    kept = {"legacymeta"} if source.get("LegacyMeta") else set()
    return {key: value for key, value in source.items() if _folded(key) not in _MADE_OF_SOURCE - kept}


def _texts(value: Mapping[Any, Any], what: str) -> dict[str, str]:
    """Consul makes texts of numbers, and `1` of what is true, so that one could not be found again."""
    for key, one in value.items():
        if not isinstance(key, str) or not isinstance(one, str):
            raise InvalidValueError(
                f"{what}: {arguments.shown(key)} is {arguments.shown(one)}, which is no text", advice="Put it in quotes"
            )
    return dict(value)


def _fields(fields: Mapping[str, Any], kind: str, path: str) -> Entry:
    """The fields of one mapping in canonical form."""
    kept: Entry = {}
    for key, value in fields.items():
        name = _folded(key)
        place = f"{path}.{name}" if path else name
        if path == "sources" and kind == "service-intentions" and name in _MADE_OF_SOURCE:
            continue
        made = _value(value, kind, place, name)
        counts = name in _ZERO_COUNTS or path.endswith(".limits")
        empty = made in (None, "", [], {}) or (not made and not counts)
        if empty or made == _DEFAULTS.get((kind, place)) or (name in _DEFAULT_PLACES and made == "default"):
            continue
        kept[key] = made
    return kept


def _value(value: Any, kind: str, place: str, name: str) -> Any:
    if name in _TEXTS:
        return value
    if name in _OPAQUE:
        return {key: _unwrapped(one) for key, one in value.items()} if isinstance(value, Mapping) else value
    if isinstance(value, Mapping):
        if name in _NAMED:
            return {key: _value(one, kind, place, "") for key, one in value.items()}
        return _fields(value, kind, place)
    if isinstance(value, (list, tuple)):
        values = [_value(one, kind, place, "" if name in _NAMED else name) for one in value]
        # The server has them by precedence, and the order within it means nothing.
        return sorted(values, key=_source) if (kind, place) == ("service-intentions", "sources") else values
    return _leaf(value, kind, place, name)


def _source(source: Any) -> str:
    return json.dumps(
        [source.get(part) for part in ("peer", "sameness_group", "name")] if isinstance(source, dict) else source, default=str
    )


def _leaf(value: Any, kind: str, place: str, name: str) -> Any:
    if name in _DURATIONS:
        return _duration(value)
    if isinstance(value, str):
        return value.lower() if name in _LOWER else value.upper() if name in _UPPER else value
    if (kind, place) == ("service-splitter", "splits.weight") and isinstance(value, (int, float)):
        # The server keeps hundredths.
        return round(value, 2)
    return value


def _duration(value: Any) -> Any:
    """A duration as Consul takes it, a text or nanoseconds, as one text; what is none as it is, for the server to judge."""
    try:
        seconds = value / 1e9 if isinstance(value, (int, float)) and not isinstance(value, bool) else arguments.duration(value, "duration")
        return 0 if seconds == 0 else duration(seconds) if round(seconds * 1000) else f"{seconds * 1e9:.0f}ns"
    except (ConsulError, OverflowError, ValueError):
        return value


def _unwrapped(value: Any) -> Any:
    """A value of a mapping that Consul does not look into, as it keeps it: of a list of one, what is in the list."""
    return _unwrapped_within(value[0]) if isinstance(value, list) and len(value) == 1 else value


def _unwrapped_within(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: one[0] if isinstance(one, list) and len(one) == 1 else _unwrapped_within(one) for key, one in value.items()}


def _alike(wanted: Any, found: Any, name: str = "") -> bool:
    """Whether two canonical values are the same to Consul, which takes texts for numbers and one thing for a list of it."""
    if name in _TEXTS or name in _OPAQUE:
        return _exactly(wanted, found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        if name in _NAMED:
            return wanted.keys() == found.keys() and all(_alike(wanted[key], found[key]) for key in wanted)
        ours, theirs = ({_folded(key): value for key, value in fields.items()} for fields in (wanted, found))
        return ours.keys() == theirs.keys() and all(_alike(ours[key], theirs[key], key) for key in ours)
    if isinstance(found, list):
        given = wanted if isinstance(wanted, list) else [wanted]
        return len(given) == len(found) and all(map(_alike, given, found))
    if isinstance(wanted, str) and isinstance(found, bool):
        return wanted in (("1", "t", "T", "true", "TRUE", "True") if found else ("0", "f", "F", "false", "FALSE", "False"))
    if isinstance(wanted, str) and isinstance(found, (int, float)):
        try:
            return float(wanted) == found
        except ValueError:
            return False
    if isinstance(found, str) and isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return str(wanted) == found
    return bool(wanted == found)


def _exactly(one: Any, other: Any) -> bool:
    """Equality that tells 1 from true, as JSON does, and not 1 from 1.0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_exactly(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_exactly, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _path(kind: str, name: str) -> str:
    return f"/v1/config/{arguments.path_name(kind, 'kind')}/{arguments.path_name(name, 'name')}"

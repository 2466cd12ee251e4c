# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input to every public function: `InvalidValueError`, which names the argument, and nothing is sent.

Empty, huge, with control characters, of a wrong type: a wrong **value** of any kind is an `InvalidValueError`. `TypeError` is
Python's own, for a call that does not fit the signature (a missing or unknown argument), and is not what is tested here.

A new function is a line in `CASES`: what is called, its required arguments, its optional ones, each with its kind.
A kind has a good value, values that are always tried, and a strategy for more; an optional argument may be `None`.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    KV,
    AgentTokens,
    Api,
    AuthMethods,
    BindingRules,
    ConfigEntries,
    Datacenters,
    Election,
    Events,
    ExternalService,
    Health,
    Intentions,
    InvalidValueError,
    Keyring,
    Lock,
    Maintenance,
    Mesh,
    Operation,
    Operator,
    Overview,
    Policies,
    Queries,
    Replication,
    Roles,
    Semaphore,
    Service,
    SessionLock,
    Sessions,
    SessionSemaphore,
    Settings,
    Snapshots,
    Sweeper,
    Tokens,
    Waiting,
    checks,
    config_entries,
    services,
    transport,
)

ID = "8e2d8a31-9f0c-4a7b-bb3c-0123456789ab"
HUGE = 100_000


class SentError(Exception):
    """A request was on its way."""


class Unfit:
    """An object that fits nothing, and can't even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


@dataclass(frozen=True)
class Kind:
    """says: how a message may begin instead of with the argument's name."""

    good: Any
    always: tuple[Any, ...]
    more: st.SearchStrategy[Any]
    says: str | None = None


# Values by their types: those that a kind does not take are among its bad ones.
OF_TYPE: dict[str, tuple[tuple[Any, ...], st.SearchStrategy[Any]]] = {
    "none": ((None,), st.none()),
    "text": (("", " ", "\x00", "x" * HUGE, "\ud800"), st.text(max_size=20)),
    "bytes": ((b"", b"a", bytearray(b"a"), b"x" * HUGE), st.binary(max_size=20)),
    "boolean": ((True, False), st.booleans()),
    "integer": ((0, -1, 10**5000), st.integers()),
    "float": ((0.5, math.nan, math.inf, -math.inf), st.floats()),
    "list": (([], [[]], [None], ("a",) * HUGE), st.lists(st.integers() | st.none() | st.binary(max_size=3), min_size=1, max_size=3)),
    "mapping": (({}, {"a": {}}, {None: None}), st.dictionaries(st.integers(), st.integers(), max_size=3)),
    "object": ((Unfit(), object, iter, {1}), st.builds(Unfit)),
}
CONTROL = st.builds(
    lambda before, control, after: f"{before}{control}{after}",
    st.text(max_size=5),
    st.sampled_from([chr(number) for number in (*range(32), 127)]),
    st.text(max_size=5),
)


def kind(good: Any, *takes: str, bad: tuple[Any, ...] = (), more: st.SearchStrategy[Any] | None = None, says: str | None = None) -> Kind:
    """A kind that takes values of some types; of those, the *bad* ones and those of *more* are bad all the same."""
    others = [OF_TYPE[name] for name in OF_TYPE if name not in takes]
    strategies = [strategy for _always, strategy in others] + ([more] if more is not None else [])
    return Kind(good, (*bad, *(value for always, _strategy in others for value in always)), st.one_of(strategies), says)


BAD_NAMES = ("", " ", "\t", ".", "..", "a\nb", "a\x00", "\x7f", "x" * HUGE, "a\ud800")
NAME = kind("name", "text", bad=BAD_NAMES, more=CONTROL)
# A name whose empty text means that there is none.
NAME_OR_EMPTY = kind("name", "text", bad=BAD_NAMES[1:], more=CONTROL)
SERVICE = kind("web", "text", bad=(*BAD_NAMES, "*"), more=CONTROL)
DATACENTER = kind("dc1", "text", bad=("", "d c", "dc1\n", "é", "d" * HUGE), more=CONTROL)
DATACENTERS = kind(["dc1"], "list", bad=([""], ["d c"], ["dc1", 7], [None], ["a"] * HUGE, "dc1"))
DATACENTER_OR_EMPTY = kind("dc1", "text", bad=("d c", "dc1\n", "é", "d" * HUGE), more=CONTROL)
SESSION = kind(ID, "text", bad=("", "x", f"{ID}\n", f"{ID}/", ID[:-1], "8" * HUGE), more=st.text(max_size=40) | CONTROL)
TEXT = kind("text", "text", bad=("x" * HUGE, "\ud800"))
FILTER = kind("a == b", "text", bad=("x" * HUGE, "\ud800"))
PAYLOAD = kind("payload", "text", "bytes", bad=("x" * 600, b"x" * 600, "\ud800", "x" * HUGE, bytearray(b"x")))
BOOLEAN = kind(True, "boolean")
ADDRESSES = kind("a:1", "text", "list", bad=("", " ", "a b", "user:pw@h", "a:0", "a:99999", "x" * HUGE, "/" + "x" * HUGE, [], [7], [None]))
SECONDS = kind(5, "integer", "float", bad=(-1, math.nan, math.inf, 10**5000))
# The time-out of the settings may be a text, since it may come from a file.
TIMEOUT = kind(5, "integer", "float", "text", bad=(0, -1, math.nan, math.inf, 10**5000, "", "soon", "x" * HUGE, "1" * HUGE))
CONSISTENCY = kind("stale", "text", bad=("", "x", "x" * HUGE), more=st.text(max_size=20))
TOKEN_OR_EMPTY = kind("secret", "text", bad=("a b", "a\n", "é", "\ud800", "x" * HUGE), more=CONTROL)
PLACE = kind("/nowhere", "text", bad=("a\x00b", "x" * HUGE))
METHOD = kind("GET", "text", bad=("", "get", "A B", "GET\n", "x" * HUGE), more=CONTROL)
TARGET = kind("/v1/a", "text", bad=("", "v1", "/ ", "/é", "/a?b", "/a#b", "/\n"), more=CONTROL)
PARAMETERS = kind(
    [("a", 1)], "list", "mapping", bad=([1], [("a",)], [(1, "a")], [("a", None)], [("a", "\ud800")], [([], 1)], {"ab": 1}, "ab")
)
BODY = kind("a", "text", "bytes", bad=("\ud800", bytearray(b"a")))
STATUSES = kind((404,), "list", "bytes", "mapping", "object", bad=(Unfit(), ["a"], [None], {"a": 1}, "a"))
TTL = kind(10, "integer", "float", "text", bad=(9, -1, 0, 86401, math.nan, math.inf, "", "10", "9s", "soon", "s" * HUGE, 10**5000))
LOCK_DELAY = kind(0, "integer", "float", "text", bad=(-1, 60.1, math.nan, math.inf, "", "61s", "soon", "9" * HUGE, 10**5000))
DURATION = kind(1, "integer", "float", "text", bad=(-1, math.nan, math.inf, "", "1", "soon", "9" * HUGE, 10**5000), more=CONTROL)
THRESHOLD = kind(60, "integer", "float", "text", bad=(0, 0.9, -1, math.nan, math.inf, "", "0s", "60", "9" * HUGE), more=CONTROL)
LIMIT = kind(1, "integer", bad=(0, -1, 2**64, 10**5000), more=st.integers(max_value=0))
FRACTION = kind(0.5, "integer", "float", bad=(-0.1, 1.1, math.nan, math.inf, 10**5000, True))
NAMES = kind(["a"], "list", bad=([""], ["a", 7], ["a\n"], [None], ["a"] * HUGE, "abc"), more=st.lists(CONTROL, min_size=1, max_size=3))
TEXTS = kind({"a": "b"}, "mapping", bad=({"": "a"}, {7: "a"}, {"a": 7}, {"a": "x" * HUGE}, {str(key): "" for key in range(100)}))
FAILOVER = kind(
    {"nearest_n": 1},
    "mapping",
    bad=({"a": 1}, {"nearest_n": "1"}, {"datacenters": "dc2"}, {"datacenters": [7]}, {"targets": [7]}, {"targets": [{"a": "b"}]}, {1: 2}),
)
TEMPLATE = kind({}, "mapping", bad=({"a": 1}, {"type": "x"}, {"regexp": 7}, {"regexp": "x" * HUGE}, {"remove_empty_tags": 1}, {1: 2}))
TOKEN = kind("secret", "text", bad=("", "a b", "a\n", "é", "\ud800", "x" * HUGE), more=CONTROL)
PATH = kind("/nowhere/state", "text", bad=("", "a\x00b", "x" * HUGE, "\ud800"))
GOSSIP_KEY = kind("MDEyMzQ1Njc4OWFiY2RlZg==", "text", bad=("", "x", "MDEy", "x" * HUGE, "\ud800"), more=st.text(max_size=20))
RELAY = kind(2, "integer", bad=(-1, 6, 10**5000))
THRESHOLD_OF_CONTACT = kind("1s", "integer", "float", "text", bad=(0, -1, math.nan, math.inf, "", "1", "soon", 10**5000), more=CONTROL)
FUNCTION = kind(str, "object", bad=(Unfit(), {1}))
STATUS = kind("any", "text", bad=("", "healthy", "x" * HUGE), more=st.text(max_size=20))
CLIENT = kind(Api(Settings()))
BAD_KEYS = ("/a", "a//b", "a/../b", "..", ".", " a", "a ", "a\u00a0b", "a\nb", "a\x00", "x" * HUGE, "a\ud800")
KEY = kind("app/a", "text", bad=("", *BAD_KEYS), more=CONTROL)
KEYS = kind(
    ["app/a", "b"], "list", bad=([""], ["a", 7], [None], *([key] for key in BAD_KEYS)), more=st.lists(CONTROL, min_size=1, max_size=3)
)
PREFIX = kind("app/", "text", bad=BAD_KEYS, more=CONTROL)
VALUE = kind("value", "text", "bytes", bad=("x" * 600_000, b"x" * 600_000, "\ud800", bytearray(b"a")))
MAPPING = kind(
    {"a": "b"},
    "mapping",
    bad=({"": "a"}, {7: "a"}, {"a": 7}, {"a/b": "c"}, {"a": {"..": "b"}}, {"a": "x" * 600_000}),
    says="value of",
)
OPERATIONS = kind(
    [{"verb": "delete", "key": "a"}],
    "list",
    bad=([7], ["a"], [{}], [{"verb": "set"}], [{"verb": "set", "key": "a"}], [{"verb": "x", "key": "a"}], [{"verb": "get", "key": ""}]),
    says="operation ",
)
VERB = kind("get", "text", bad=("", "GET", "x" * HUGE), more=CONTROL)
FLAGS = kind(7, "integer", bad=(-1, 2**64, 10**5000))
INDEX = kind(7, "integer", bad=(-1, 2**63, 10**5000))
POSITIVE = kind(7, "integer", bad=(0, -1, 2**63, 10**5000))
ENCODING = kind("utf-8", "text", bad=("", "x", "base64", "undefined", "a\x00", "x" * HUGE))
SEPARATOR = kind("/", "text", bad=("", "x" * HUGE, "\ud800"))
UPDATE_TIMEOUT = kind(5, "integer", "float", bad=(0, -1, math.nan, math.inf, 10**5000, 86401))
HOST = kind("app.example.org", "text", bad=("", " ", "a b", "http://a", "0.0.0.0", "x" * HUGE), more=CONTROL)  # noqa: S104
ADDRESS = kind("app:80", "text", bad=("", "app", "app:0", "app:99999", "a b:80", "u@h:80", "x" * HUGE), more=CONTROL)
PORT = kind(80, "integer", bad=(0, -1, 65536, 10**5000))
CHECK = kind([{"TTL": "10s"}], "list", "mapping", bad=([7], [{}], [{"TTL": "soon"}], {"HTTP": "http://a/"}, "ttl", [{1: 2}]))
CHECK_STATUS = kind("warning", "text", bad=("", "good", "x" * HUGE), more=st.text(max_size=20))
FIRST_META = kind({"a": "b"}, "mapping", bad=({"a b": ""}, {7: "a"}, {"a": 7}, {"a": "x" * HUGE}, {str(key): "" for key in range(100)}))
WEIGHTS = kind({"passing": 7}, "mapping", bad=({}, {"passing": 0}, {"Passing": 1}, {"passing": "7"}, {"passing": 10**5000}, {1: 1}))
TAGGED = kind(
    {"wan": {"address": "a"}}, "mapping", bad=({"wan": "a"}, {"wan": {}}, {"": {"address": "a"}}, {"wan": {"address": "a", "port": 0}})
)
EXTRA = kind({}, "mapping", bad=({1: 2}, {"a": Unfit()}, {"a": {1, 2}}))
AFTER = kind(90, "integer", "float", "text", bad=(1, 59.9, -1, math.nan, math.inf, "", "30s", "soon", 10**5000), more=CONTROL)
INTERVAL = kind(10, "integer", "float", "text", bad=(0, 0.9, -1, math.nan, math.inf, "", "10", "soon", 10**5000), more=CONTROL)
HEADERS = kind({"a": "b"}, "mapping", bad=({"a": 7}, {"a": "b\n"}, {"a": [7]}, {7: "a"}, {"": "a"}))
URL = kind("http://app/", "text", bad=("", "app", "ftp://app/", "http://app:x/", "http:///a", "x" * HUGE), more=CONTROL)
SHORT = kind(5, "integer", "float", bad=(0, -1, math.nan, math.inf, 10**5000))
SHORT_OR_TEXT = kind(5, "integer", "float", "text", bad=(0, -1, math.nan, math.inf, "", "soon", 10**5000), more=CONTROL)
ELECTION = kind("name", "text", bad=(*BAD_NAMES, "a//b"), more=CONTROL)
# A key that is locked holds less than others, for it travels in a transaction.
LOCKED_VALUE = kind("value", "text", "bytes", bad=("\ud800", bytearray(b"a"), b"x" * 400_000))
WAIT = kind(5, "integer", "float", "text", bad=(-1, math.nan, math.inf, "", "1", "soon", "9" * HUGE, 10**5000), more=CONTROL)
SESSION_OR_MAKER = kind(ID, "text", "object", bad=("", "x", f"{ID}\n", ID[:-1], Unfit()), more=st.text(max_size=40) | CONTROL)
BEHAVIOR = kind("release", "text", bad=("", "keep", "x" * HUGE), more=st.text(max_size=20))
ENTRY = kind(
    {"kind": "service-defaults", "name": "a"},
    "mapping",
    bad=(
        {},
        {"kind": 7, "name": "a"},
        {"kind": "a"},
        {"kind": "a", "name": ""},
        {"kind": "a", "name": "b", 7: 1},
        {"kind": "a", "name": "b", "c": Unfit()},
        {"kind": "a", "name": "b", "Name": "b"},
        {"kind": "a", "name": "b", "meta": {"a": 7}},
        {"kind": "a", "name": "b", "c": "\ud800"},
        {"kind": "a", "name": "b", "c": math.nan},
    ),
)
ACTION = kind("allow", "text", bad=("", "Allow", "x" * HUGE), more=st.text(max_size=20))
SHORT_TEXT = kind("text", "text", bad=("\ud800", "x" * HUGE))
PERMISSIONS = kind([{"action": "allow"}], "list", bad=("allow", [7], [{7: 1}], [{"a": 1, "A": 2}]))

IDENTIFIER = SESSION
POLICY_NAME = kind("name", "text", bad=("", " ", "a b", "a/b/c", "a\n", "x" * HUGE, "é"), more=CONTROL)
ROLE_NAME = kind("name", "text", bad=("", " ", "a b", "a/b", "a\n", "x" * HUGE, "é"), more=CONTROL)
LONG_TEXT = kind("text", "text", bad=("x" * 600_000, "\ud800"))
DATACENTERS = kind(["dc1"], "list", bad=([""], ["a", 7], ["d c"], [None], ["a"] * HUGE, "abc"))
LINKS = kind(["a", {"name": "b"}, {"id": ID}], "list", bad=([""], [7], [{}], [{"id": "x"}], [{"a": "b"}], [["a"]], "abc", ["a"] * HUGE))
SERVICE_IDENTITIES = kind(
    [{"service_name": "a", "datacenters": ["dc1"]}],
    "list",
    bad=([7], ["a"], [{}], [{"service_name": 7}], [{"service_name": "a", "datacenters": "dc1"}], [{"a": "b"}], [{"service_name": "a"}] * 2),
)
NODE_IDENTITIES = kind(
    [{"node_name": "a", "datacenter": "dc1"}],
    "list",
    bad=([7], [{}], [{"node_name": "a"}], [{"node_name": "a", "datacenter": "d c"}], "abc"),
)
TEMPLATED = kind(
    [{"template_name": "builtin/service", "template_variables": {"name": "a"}}],
    "list",
    bad=(
        [7],
        [{}],
        [{"template_name": 7}],
        [{"template_name": "a", "template_variables": {"x": "y"}}],
        [{"template_name": "a", "template_variables": 7}],
    ),
)
GRANTS = {"policies": LINKS, "service_identities": SERVICE_IDENTITIES, "node_identities": NODE_IDENTITIES, "templated_policies": TEMPLATED}
TOKEN_TTL = kind(60, "integer", "float", "text", bad=(59, -1, math.nan, math.inf, "", "60", "59s", "soon", 10**5000), more=CONTROL)
MOMENT = kind("2030-01-01T00:00:00Z", "text", bad=("", "tomorrow", "2030-01-01", "2030-13-01T00:00:00Z", "x" * HUGE), more=CONTROL)
CONFIG = kind({"a": "b"}, "mapping", bad=({1: 2}, {"a": Unfit()}, {"a": {1, 2}}, {"a": "x" * 600_000}))
VARIABLES = kind({"name": "a"}, "mapping", bad=({"x": "a"}, {"name": 7}, {"name": ""}, {1: 2}))
KIND_OF_TOKEN = kind("agent", "text", bad=("", "x", "agent_master", "x" * HUGE), more=st.text(max_size=20))
LOCALITY = kind("local", "text", bad=("", "x", "x" * HUGE), more=st.text(max_size=20))
BIND_TYPE = kind("service", "text", bad=("", "x", "x" * HUGE), more=st.text(max_size=20))


# Mostly text, since most of what is taken is.
ANYTHING = st.text() | st.text() | st.one_of([strategy for _always, strategy in OF_TYPE.values()])


@dataclass(frozen=True)
class Case:
    """call: takes the client and the arguments by name."""

    name: str
    call: Callable[..., Any]
    required: dict[str, Kind] = field(default_factory=dict)
    optional: dict[str, Kind] = field(default_factory=dict)


def method(made: type, name: str, required: dict[str, Kind] | None = None, optional: dict[str, Kind] | None = None, **options: Any) -> Case:
    """The method of a class that is made of a client and *options*."""
    return Case(
        f"{made.__name__}.{name}",
        lambda client, **arguments: getattr(client if made is Api else made(client, **options), name)(**arguments),
        required or {},
        optional or {},
    )


DEFINITION = {
    "failover": FAILOVER,
    "near": NAME,
    "node_meta": TEXTS,
    "service_meta": TEXTS,
    "dns_ttl": DURATION,
    "template": TEMPLATE,
    "session": SESSION,
    "token": TOKEN,
}
BOUND = (Events, Maintenance, Mesh, Overview, Queries, Sessions, Sweeper)
BOUND = (Datacenters, Events, Keyring, Maintenance, Mesh, Operator, Queries, Sessions, Snapshots, Sweeper)
BOUND = (
    AgentTokens,
    AuthMethods,
    BindingRules,
    Events,
    Maintenance,
    Mesh,
    Policies,
    Queries,
    Replication,
    Roles,
    Sessions,
    Sweeper,
    Tokens,
)
BOUND = (ConfigEntries, Events, Intentions, Maintenance, Mesh, Queries, Sessions, Sweeper)
BOUND = (Events, Maintenance, Mesh, Queries, Sessions, Sweeper, Waiting)
# Optional as well, with defaults that are not None.
DEFINED = {"tags": NAMES, "only_passing": BOOLEAN, "ignore_check_ids": NAMES, "connect": BOOLEAN}

OF_EACH_CHECK = {"name": NAME, "id": NAME, "notes": TEXT, "status": CHECK_STATUS, "deregister_after": AFTER}

CASES = [
    *(
        Case("Api", lambda _client, option=option, **options: Api(**options), {}, {option: judged})
        for option, judged in {
            "agents": ADDRESSES,
            "token": TOKEN_OR_EMPTY,
            "timeout": TIMEOUT,
            "datacenter": DATACENTER,
            "consistency": CONSISTENCY,
            "ca_path": PLACE,
            "client_cert": PLACE,
            "validate_certs": BOOLEAN,
            "tls_server_name": PLACE,
        }.items()
    ),
    Case("Api", lambda _client, **options: Api(client_cert="/nowhere", **options), {}, {"client_key": PLACE}),
    method(
        Api,
        "request",
        {"method": METHOD, "path": TARGET, "params": PARAMETERS, "allow": STATUSES},
        {"body": BODY, "token": TOKEN_OR_EMPTY, "consistency": CONSISTENCY, "timeout": SECONDS, "idempotent": BOOLEAN, "into": FUNCTION},
    ),
    method(Datacenters, "describe", {"nodes": BOOLEAN}, {"names": DATACENTERS}),
    method(Datacenters, "describe_one", {"name": DATACENTER, "nodes": BOOLEAN}),
    *(Case(made.__name__, lambda _client, client, made=made: made(client), {}, {"client": CLIENT}) for made in BOUND),
    *(Case(made.__name__, made, {}, {"datacenter": DATACENTER}) for made in (Events, Mesh, Overview, Queries, Sessions)),
    *(Case(made.__name__, made, {}, {"datacenter": DATACENTER}) for made in (Events, Mesh, Operator, Queries, Sessions, Snapshots)),
    *(
        Case(made.__name__, made, {}, {"datacenter": DATACENTER})
        for made in (AuthMethods, BindingRules, Events, Mesh, Policies, Queries, Replication, Roles, Sessions, Tokens)
    ),
    *(method(made, name, {"id": IDENTIFIER}) for made in (Policies, Roles, Tokens, BindingRules) for name in ("get", "delete")),
    *(method(made, "named", {"name": NAME}) for made in (Policies, Roles)),
    *(method(AuthMethods, name, {"name": NAME}) for name in ("get", "delete")),
    *(
        method(made, name, {**identified, **required, **optional})
        for name, identified in (("create", {}), ("update", {"id": IDENTIFIER}))
        for made, required, optional in (
            (Policies, {"name": POLICY_NAME}, {"rules": LONG_TEXT, "description": TEXT, "valid_datacenters": DATACENTERS}),
            (Roles, {"name": ROLE_NAME}, {"description": TEXT, **GRANTS}),
            (Tokens, {}, {"description": TEXT, "roles": LINKS, **GRANTS}),
            (BindingRules, {"auth_method": NAME, "bind_type": BIND_TYPE, "bind_name": NAME}, {"description": TEXT, "selector": TEXT}),
        )
    ),
    method(
        Tokens,
        "create",
        {"local": BOOLEAN},
        {"accessor_id": IDENTIFIER, "secret_id": IDENTIFIER, "expiration_ttl": TOKEN_TTL},
    ),
    method(Tokens, "create", {}, {"expiration_time": MOMENT}),
    method(Tokens, "select", {}, {"policy": IDENTIFIER, "role": IDENTIFIER, "auth_method": NAME, "service_name": NAME}),
    method(Tokens, "own", {}, {"secret_id": TOKEN}),
    method(Tokens, "clone", {"accessor_id": IDENTIFIER}, {"description": TEXT}),
    method(Tokens, "bootstrap", {}, {"secret_id": IDENTIFIER}),
    *(
        method(
            AuthMethods,
            name,
            {
                "name": ROLE_NAME,
                "type": NAME,
                "description": TEXT,
                "display_name": TEXT,
                "max_token_ttl": DURATION,
                "token_locality": LOCALITY,
            },
            {"config": CONFIG, "token_name_format": TEXT},
        )
        for name in ("create", "update")
    ),
    method(BindingRules, "of", {"auth_method": NAME}),
    Case(
        "BindingRules.create",
        lambda client, **variables: BindingRules(client).create(auth_method="a", bind_type="service", bind_name="b", **variables),
        {},
        {"bind_vars": VARIABLES},
    ),
    method(AgentTokens, "set", {"kind": KIND_OF_TOKEN, "value": TOKEN_OR_EMPTY}),
    *(Case(made.__name__, made, {}, {"datacenter": DATACENTER}) for made in (ConfigEntries, Events, Intentions, Mesh, Queries, Sessions)),
    *(method(ConfigEntries, name, {"kind": NAME, "name": NAME}) for name in ("get", "delete")),
    method(ConfigEntries, "list", {"kind": NAME}, {"filter": FILTER}),
    method(ConfigEntries, "apply", {"entry": ENTRY}, {"cas": INDEX}),
    Case("ConfigEntries.delete", lambda client, cas=None: ConfigEntries(client).delete("a", "b", cas=cas), {}, {"cas": POSITIVE}),
    *(method(ConfigEntries, name, {"entry": ENTRY}) for name in ("judge", "ensure")),
    method(ConfigEntries, "update", {"kind": NAME, "name": NAME, "function": FUNCTION}),
    Case("sent", lambda _client, entry: config_entries.sent(entry), {"entry": ENTRY}),
    *(Case(made.__name__, made, {}, {"datacenter": DATACENTER}) for made in (Events, Mesh, Queries, Sessions, Waiting)),
    method(Events, "fire", {"name": NAME, "payload": PAYLOAD}, {"node": NAME, "service": NAME}),
    Case("Events.fire", lambda client, tag: Events(client).fire("name", service="web", tag=tag), {}, {"tag": NAME}),
    method(Events, "list", {}, {"name": NAME}),
    method(Events, "follow", {}, {"name": NAME}),
    method(Keyring, "list", {"local_only": BOOLEAN, "relay_factor": RELAY}),
    *(method(Keyring, name, {"key": GOSSIP_KEY, "relay_factor": RELAY}) for name in ("install", "use", "remove")),
    Case("KV", lambda _client, client: KV(client), {}, {"client": CLIENT}),
    Case("KV", KV, {}, {"datacenter": DATACENTER}),
    method(KV, "get", {"key": KEY}, {"consistency": CONSISTENCY}),
    method(KV, "get_many", {"keys": KEYS}, {"consistency": CONSISTENCY}),
    method(KV, "tree", {"prefix": PREFIX}, {"consistency": CONSISTENCY}),
    method(KV, "keys", {"prefix": PREFIX}, {"separator": SEPARATOR, "consistency": CONSISTENCY}),
    method(KV, "mapping", {"folder": PREFIX}, {"encoding": ENCODING, "consistency": CONSISTENCY}),
    method(KV, "set", {"key": KEY, "value": VALUE}, {"flags": FLAGS, "cas": INDEX}),
    method(KV, "set", {"key": KEY, "value": VALUE}, {"acquire": SESSION}),
    method(KV, "set", {"key": KEY, "value": VALUE}, {"release": SESSION}),
    method(KV, "set_mapping", {"folder": PREFIX, "mapping": MAPPING, "split": BOOLEAN}),
    method(KV, "delete", {"key": KEY}, {"cas": POSITIVE}),
    Case("KV.delete", lambda client, key: KV(client).delete(key, recurse=True), {"key": KEY}),
    Case("KV.delete", lambda client, recurse: KV(client).delete("a", recurse=recurse), {"recurse": BOOLEAN}),
    Case("KV.delete", lambda client, everything: KV(client).delete("", recurse=True, everything=everything), {"everything": BOOLEAN}),
    method(KV, "update", {"key": KEY, "function": FUNCTION, "timeout": UPDATE_TIMEOUT}, {"flags": FLAGS, "receipts": PREFIX}),
    method(KV, "transaction", {"operations": OPERATIONS, "split": BOOLEAN}),
    Case("Operation", lambda _client, **fields: Operation(**fields), {"verb": VERB, "key": KEY}),
    Case("Operation", lambda _client, **fields: Operation("cas", "a", **fields), {"value": VALUE, "index": INDEX}, {"flags": FLAGS}),
    Case("Operation", lambda _client, **fields: Operation("lock", "a", "v", **fields), {"session": SESSION}),
    method(Maintenance, "enable", {"reason": TEXT}, {"service_id": NAME}),
    method(Maintenance, "disable", {}, {"service_id": NAME}),
    method(Mesh, "upstreams", {}, {"service": NAME}),
    method(Mesh, "address", {"upstream": NAME}, {"service": NAME, "datacenter": DATACENTER}),
    method(Mesh, "allowed", {"source": SERVICE, "destination": SERVICE}),
    method(Overview, "nodes", {}, {"filter": FILTER, "warn": FUNCTION}),
    method(Operator, "remove", {"server_id": NAME}),
    method(Operator, "transfer_leadership", {}, {"server_id": NAME}),
    *(
        Case("Operator.configure", lambda client, **fields: Operator(client).configure(**fields), {name: judged}, {"index": INDEX})
        for name, judged in {
            "last_contact_threshold": THRESHOLD_OF_CONTACT,
            "server_stabilization_time": THRESHOLD_OF_CONTACT,
            "max_trailing_logs": FLAGS,
            "min_quorum": FLAGS,
            "cleanup_dead_servers": BOOLEAN,
            "disable_upgrade_migration": BOOLEAN,
            "redundancy_zone_tag": TEXT,
            "upgrade_version_tag": TEXT,
        }.items()
    ),
    *(method(Queries, name, {"name": NAME, "service": NAME, **DEFINED}, DEFINITION) for name in ("create", "ensure")),
    method(Queries, "update", {"query": NAME, "service": NAME, **DEFINED}, DEFINITION),
    Case("judge", lambda client, **options: Queries(client).judge(**options), {"name": NAME, "service": NAME, **DEFINED}, DEFINITION),
    method(Queries, "replace", {"query_id": SESSION, "name": NAME, "service": NAME, **DEFINED}, DEFINITION),
    method(
        Intentions,
        "ensure",
        {"source": NAME, "destination": NAME, "action": ACTION, "description": SHORT_TEXT},
        {"meta": TEXTS, "source_peer": NAME},
    ),
    Case(
        "Intentions.ensure",
        lambda client, permissions=None: Intentions(client).ensure("a", "b", permissions=permissions),
        {},
        {"permissions": PERMISSIONS},
    ),
    method(Intentions, "remove", {"source": NAME, "destination": NAME}, {"source_peer": NAME}),
    method(Intentions, "delete_old", {"intention_id": SESSION}),
    *(method(Queries, name, {"query": NAME}) for name in ("get", "delete", "explain")),
    method(Queries, "execute", {"query": NAME}, {"near": NAME, "limit": LIMIT, "datacenter": DATACENTER}),
    method(
        Sessions,
        "create",
        {"name": NAME_OR_EMPTY, "behavior": BEHAVIOR},
        {"node": NAME, "checks": NAMES, "node_checks": NAMES, "service_checks": NAMES, "lock_delay": LOCK_DELAY, "ttl": TTL},
    ),
    *(method(Sessions, name, {"session_id": SESSION}) for name in ("destroy", "renew", "info")),
    method(Sessions, "node", {"node": NAME}),
    Case("Sweeper", Sweeper, {"strict": BOOLEAN}, {"datacenter": DATACENTER, "state": PATH, "agent": FUNCTION}),
    method(Sweeper, "find", {"threshold": THRESHOLD, "services": NAMES}),
    method(Sweeper, "sweep", {"threshold": THRESHOLD, "services": NAMES, "dry_run": BOOLEAN, "limit": LIMIT, "fraction": FRACTION}),
    Case(
        "services.instances",
        services.instances,
        {"service": NAME, "tags": NAMES, "status": STATUS},
        {"near": NAME_OR_EMPTY, "filter": FILTER, "datacenter": DATACENTER_OR_EMPTY, "warn": FUNCTION},
    ),
    Case(
        "Service",
        lambda _client, **options: Service(**options),
        {"name": NAME, "tags": NAMES, "health_timeout": SHORT, "status": CHECK_STATUS, "deregister_after": AFTER},
        {
            "id": NAME,
            "address": HOST,
            "port": PORT,
            "meta": FIRST_META,
            "weights": WEIGHTS,
            "tagged_addresses": TAGGED,
            "checks": CHECK,
            "health": FUNCTION,
            "extra": EXTRA,
            "client": CLIENT,
        },
    ),
    Case(
        "ExternalService",
        lambda _client, **options: ExternalService(**options),
        {"name": NAME, "node": NAME, "address": HOST, "tags": NAMES, "checks": CHECK, "status": CHECK_STATUS},
        {"id": NAME, "port": PORT, "meta": FIRST_META, "node_meta": FIRST_META, "datacenter": DATACENTER, "client": CLIENT},
    ),
    *(
        Case(made.__name__, lambda _client, made=made, **options: made(**options), required, {**options, **OF_EACH_CHECK})
        for made, required, options in [
            (checks.ttl, {"ttl": kind(10, "integer", "float", "text", bad=(0, -1, math.nan, math.inf, "", "soon"), more=CONTROL)}, {}),
            (
                checks.http,
                {"url": URL, "interval": INTERVAL, "validate_certs": BOOLEAN},
                {"timeout": SHORT_OR_TEXT, "method": NAME, "headers": HEADERS, "body": TEXT, "tls_server_name": NAME},
            ),
            (checks.tcp, {"address": ADDRESS, "interval": INTERVAL}, {"timeout": SHORT_OR_TEXT}),
            (checks.grpc, {"target": ADDRESS, "interval": INTERVAL, "use_tls": BOOLEAN}, {"tls_server_name": NAME}),
        ]
    ),
    Case("Health", lambda _client, **options: Health(**options), {"timeout": SHORT, "cache": SECONDS, "notes": BOOLEAN}, {}),
    Case("Health", lambda _client, **options: Health().add(**options), {"name": NAME, "function": FUNCTION}, {"timeout": SHORT}),
    Case("services.services", services.services, {}, {"filter": FILTER, "datacenter": DATACENTER_OR_EMPTY, "warn": FUNCTION}),
    *(
        Case(
            name,
            lambda client, name=name, **options: getattr(Waiting(client), name.rpartition(".")[2])(**options),
            {**required, "wait": WAIT},
            {"on_look": FUNCTION, **optional},
        )
        for name, required, optional in [
            ("Waiting.leader", {}, {}),
            ("Waiting.service", {"service": NAME, "count": LIMIT, "tags": NAMES, "status": STATUS, "absent": BOOLEAN}, {"filter": FILTER}),
            ("Waiting.key", {"key": KEY, "absent": BOOLEAN}, {"value": VALUE}),
            ("Waiting.node", {"node": NAME, "status": STATUS, "absent": BOOLEAN}, {}),
        ]
    ),
    Case("SessionLock", lambda client, **options: SessionLock(client=client, **options), {"key": KEY}, {"datacenter": DATACENTER}),
    Case(
        "SessionSemaphore",
        lambda client, **options: SessionSemaphore(client=client, **options),
        {"prefix": KEY, "limit": LIMIT},
        {"datacenter": DATACENTER},
    ),
    *(
        case
        for name, make in [
            ("SessionLock", lambda client: SessionLock("key", client=client)),
            ("SessionSemaphore", lambda client: SessionSemaphore("prefix", 1, client=client)),
        ]
        for case in [
            Case(
                f"{name}.acquire",
                lambda client, make=make, **options: make(client).acquire(**options),
                {"session": SESSION_OR_MAKER, "wait": WAIT},
                {"value": LOCKED_VALUE},
            ),
            Case(
                f"{name}.release",
                lambda client, make=make, **options: make(client).release(**options),
                {"session": SESSION, "behavior": BEHAVIOR},
            ),
            Case(f"{name}.token", lambda client, make=make, **options: make(client).token(**options), {"session": SESSION}),
        ]
    ),
    Case("services.services", services.services, {}, {"datacenter": DATACENTER_OR_EMPTY, "warn": FUNCTION}),
]
# What locks, semaphores and elections have in common.
HELD = {"ttl": TTL, "node_checks": NAMES, "service_checks": NAMES}
CASES += [
    Case(
        "Lock",
        lambda client, **options: Lock(client=client, **options),
        {"key": KEY, "behavior": BEHAVIOR, "lock_delay": LOCK_DELAY, **HELD},
        {"value": LOCKED_VALUE, "wait": SECONDS, "name": NAME, "on_lost": FUNCTION},
    ),
    Case(
        "Semaphore",
        lambda client, **options: Semaphore(client=client, **options),
        {"prefix": KEY, "limit": LIMIT, **HELD},
        {"value": LOCKED_VALUE, "wait": SECONDS, "name": NAME, "on_lost": FUNCTION},
    ),
    Case(
        "Election",
        lambda client, **options: Election(client=client, **options),
        {"name": ELECTION, "lock_delay": LOCK_DELAY, **HELD},
        {"key": KEY, "value": LOCKED_VALUE, "on_gain": FUNCTION, "on_loss": FUNCTION},
    ),
    Case("Lock", lambda _client, client: Lock("key", client=client), {}, {"client": CLIENT}),
    Case("Semaphore", lambda _client, client: Semaphore("prefix", 1, client=client), {}, {"client": CLIENT}),
    Case("Election", lambda _client, client: Election("name", client=client), {}, {"client": CLIENT}),
    Case("Lock.acquire", lambda client, **options: Lock("key", client=client).acquire(**options), {}, {"timeout": SECONDS}),
    Case("Semaphore.acquire", lambda client, **options: Semaphore("prefix", 1, client=client).acquire(**options), {}, {"timeout": SECONDS}),
    Case("Election.leader", lambda client: Election("name", client=client).leader()),
]
ARGUMENTS = [(case, argument) for case in CASES for argument in (*case.required, *case.optional)]


@pytest.fixture(scope="module", autouse=True)
def sent():
    """The requests that were sent, of which there may be none: whatever a function stands on, it would send by these."""
    requests: list[Any] = []

    def refuse(_transport: Any, request: Any, *_arguments: Any, **_options: Any) -> Any:
        requests.append(request)
        raise SentError(str(request))

    with pytest.MonkeyPatch.context() as patch:
        for made in (transport.Transport, transport.AsyncTransport):
            patch.setattr(made, "send", refuse)
        yield requests


@pytest.fixture(scope="module")
def client():
    return Api(Settings())


@pytest.mark.parametrize(("case", "argument"), [pytest.param(*pair, id=f"{pair[0].name}-{pair[1]}") for pair in ARGUMENTS])
def test_bad_input_is_refused_before_anything_is_sent(case, argument, client, sent):
    arguments = {name: required.good for name, required in case.required.items()}
    judged = case.required.get(argument) or case.optional[argument]
    sent.clear()

    def refused(value: Any) -> None:
        if value is None and argument in case.optional:
            return
        with pytest.raises(InvalidValueError) as caught:
            case.call(client, **{**arguments, argument: value})
        message = str(caught.value)
        assert message.startswith((argument, judged.says or argument))
        assert len(message) < 1000
        assert not sent

    for value in judged.always:
        refused(value)
    settings(derandomize=True, database=None, deadline=None, max_examples=25)(given(judged.more)(refused))()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_whatever_is_given_is_refused_or_makes_a_request_that_can_be_sent(case, client, sent):
    def call(arguments: dict[str, Any]) -> None:
        sent.clear()
        with contextlib.suppress(InvalidValueError, SentError):
            case.call(client, **arguments)
        for request in sent:
            assert re.fullmatch(r"/v1/[\x21-\x7e]{1,100000}", request.target)
            assert isinstance(request.body, (bytes, type(None)))

    some = {name: ANYTHING | st.just(judged.good) for name, judged in {**case.required, **case.optional}.items()}
    settings(derandomize=True, database=None, deadline=None, max_examples=50)(given(st.fixed_dictionaries(some))(call))()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_good_input_is_sent(case, client, sent):
    """Else the other test could pass for a reason of its own."""
    sent.clear()
    arguments = {name: judged.good for name, judged in {**case.required, **case.optional}.items()}
    try:
        case.call(client, **arguments)
    except SentError:
        assert sent
    else:
        # Making an object asks nothing.
        assert "." not in case.name

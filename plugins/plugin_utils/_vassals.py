# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vassals: from what a user declares to the files that the Emperor watches.

Everything is checked before anything is written, and each error names the variable, its value and what would be right.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

Options = list[tuple[str, str]]

FORMATS = ("ini", "yml", "xml", "json")
STATES = ("present", "absent")
KEYS = ("name", "format", "options", "consul", "groups", "state", "secret")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
# The Emperor drops longer names; https://uwsgi-docs.readthedocs.io/en/latest/Emperor.html
_NAME_LENGTH = 240
# A longer configuration is cut without a word when an Emperor hands it to a vassal.
_CONTENT_LENGTH = 65535
_PLUGIN_OPTIONS = ("plugins-dir", "plugin", "plugins", "need-plugin", "need-plugins")
_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLACEHOLDER = re.compile(r"[@$%]\(")
# uWSGI replaces magic variables before it parses the file, and of an unknown one it takes the next byte away: a quote, a line's end.
_MAGIC = re.compile(r"%[A-Za-z0-9%(\[]")
_DURATION = re.compile(r"([0-9]{1,10})(ms|s|m|h)?\Z")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_YAML_SAFE = re.compile(r"[A-Za-z0-9/.:+=(][^#\"'\\{}\[\]&*!|>%`]*\Z")


class VassalError(ValueError):
    """A vassal that can't be written as it is declared; `value` is the value as the message shows it, if it does."""

    def __init__(self, message: str, value: str | None = None) -> None:
        super().__init__(message)
        self.value = value


def _wrong(where: str, value: Any, right: str) -> VassalError:
    shown = json.dumps(value, default=str)
    return VassalError(f"{where} is {shown}: {right}", shown)


def _known(where: str, keys: Iterable[str], allowed: Sequence[str]) -> None:
    for key in keys:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise VassalError(f"{where}.{key} is unknown: {hint}Known are {', '.join(allowed)}")


def _text(where: str, value: Any) -> str:
    """A value that is safe in every format: one line, as the uWSGI parsers will read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise _wrong(where, value, "give a string, a number or a boolean")
    text = str(value)
    if _CONTROL.search(text):
        raise _wrong(where, value, "give a value of one line, without control characters")
    if text != text.strip():
        raise _wrong(where, value, "uWSGI would cut the blanks at its ends: give it without them")
    return text


# --- what the plugin `consul` is told -------------------------------------------------------------------------------------


def _plain(where: str, value: Any) -> str:
    """Text for Consul."""
    if value == "":
        raise _wrong(where, value, "give text that is not empty")
    return _literal(where, value)


def _literal(where: str, value: Any) -> str:
    """Text that stays what it is: uWSGI would replace placeholders in it, `@(exec://...)` by running a command."""
    text = _text(where, value)
    if _PLACEHOLDER.search(text):
        raise _wrong(where, value, "give text that has no '@(', '$(' or '%('")
    # A single percent sign is uWSGI's magic variable, and two are one.
    return text.replace("%", "%%")


def _tag(where: str, value: Any) -> str:
    if "," in str(value):
        raise _wrong(where, value, "a tag can't hold a comma: give a list of tags")
    return _plain(where, value)


def _port(where: str, value: Any) -> str:
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise _wrong(where, value, "give a port from 1 to 65535")
    return text


def _duration(least: str, most: str, *, or_zero: bool = False) -> Callable[[str, Any], str]:
    def check(where: str, value: Any) -> str:
        length = -1 if isinstance(value, bool) else _milliseconds(str(value))
        if not (_milliseconds(least) <= length <= _milliseconds(most) or (or_zero and length == 0)):
            raise _wrong(where, value, f"give a duration from {least} to {most}, such as 10s{', or 0 for never' if or_zero else ''}")
        return str(value)

    return check


def is_duration(value: Any) -> bool:
    """Whether the plugin reads it as a duration."""
    return isinstance(value, (str, int)) and not isinstance(value, bool) and _milliseconds(str(value)) >= 0


def _milliseconds(text: str) -> int:
    """The length of a duration as the plugin reads it, seconds where it has no unit; -1 for what is none."""
    match = _DURATION.match(text)
    return int(match[1]) * _MILLISECONDS[match[2] or "s"] if match else -1


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(where: str, value: Any) -> str:
        if value not in choices:
            raise _wrong(where, value, f"give one of {', '.join(choices)}")
        return str(value)

    return check


def _list_of(where: str, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _wrong(where, value, "give a list")
    return list(value)


def _tags(where: str, value: Any) -> list[str]:
    tags = [_tag(f"{where}[{index}]", tag) for index, tag in enumerate(_list_of(where, value))]
    return [",".join(tags)] if tags else []


def _agents(where: str, value: Any) -> list[str]:
    return [_tag(f"{where}[{index}]", agent) for index, agent in enumerate(_list_of(where, value))]


def _watches(where: str, value: Any) -> list[str]:
    """Each as the plugin's option takes it; what stands behind the name, the plugin judges."""
    return [_plain(f"{where}[{index}]", watch) for index, watch in enumerate(_list_of(where, value))]


def _cache(where: str, value: Any) -> str:
    name = _plain(where, value)
    if re.search(r'[,= "]', name):
        raise _wrong(where, value, "give the name of a cache, without blanks, commas, quotes and equals signs")
    return name


def _meta(where: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "give a mapping")
    for key in value:
        # https://developer.hashicorp.com/consul/docs/reference/service
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", str(key)):
            raise _wrong(f"{where}, key", key, "give 1 to 128 letters, digits, '-' and '_'")
    return [f"{key}={_plain(f'{where}.{key}', item)}" for key, item in value.items()]


def _number(least: int, most: int) -> Callable[[str, Any], str]:
    def check(where: str, value: Any) -> str:
        text = str(value)
        if isinstance(value, bool) or not text.isdecimal() or not least <= int(text) <= most:
            raise _wrong(where, value, f"give a number from {least} to {most}")
        return text

    return check


def _weights(where: str, value: Any) -> str:
    text = _plain(where, value)
    # https://developer.hashicorp.com/consul/docs/reference/service: 1 to 65535, and 0 to 65535
    parts = text.split(":")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) <= 65535 for part in parts) or int(parts[0]) < 1:
        raise _wrong(where, value, "give PASSING or PASSING:WARNING, such as 10:1")
    return text


def _cron(where: str, value: Any) -> str:
    text = _plain(where, value)
    if not re.match(r"(-?[0-9]+ +){5}[^ ]", text):
        raise _wrong(where, value, "give minute hour day month week command, with -1 for any and -N for each N")
    return text


def _each(check: Callable[[str, Any], str]) -> Callable[[str, Any], list[str]]:
    """A repeatable option from a list."""
    return lambda where, value: [check(f"{where}[{index}]", item) for index, item in enumerate(_list_of(where, value))]


def _field(key: str, value: str) -> str:
    """One `key=value` as the plugin reads it, in quotes where it needs them; without a key only the value."""
    if not value or re.search(r'[,"\\=]', value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{key}={value}" if key else value


def _fields(first: str, keys: Sequence[str]) -> Callable[[str, Any], str]:
    """`first,key=value,...` from a mapping: lists repeat their key, as mappings do with `name=value`; or text as the plugin reads it."""

    def check(where: str, value: Any) -> str:
        if not isinstance(value, Mapping):
            return _plain(where, value)
        _known(where, value, (first, *keys))
        if first not in value:
            raise VassalError(f"{where}.{first} is missing")
        parts = []
        for key in (first, *keys):
            given = value.get(key, [])
            items = [f"{name}={item}" for name, item in given.items()] if isinstance(given, Mapping) else given
            for item in items if isinstance(items, (list, tuple)) else [items]:
                parts.append(_field("" if key == first else key.replace("_", "-"), _plain(f"{where}.{key}", item)))
        return ",".join(parts)

    return check


def _service(where: str, value: Any) -> str:
    text = _fields("name", _SERVICE_KEYS)(where, value)
    return text if not isinstance(value, Mapping) else f"name={text}"


def _one(check: Callable[[str, Any], str]) -> Callable[[str, Any], list[str]]:
    return lambda where, value: [check(where, value)]


# The plugin's options, without their prefix `consul-` and with underscores, and how each becomes values of the option.
_SERVICE_KEYS = (
    "id",
    "port",
    "address",
    "tags",
    "meta",
    "weights",
    "check_ttl",
    "check_deregister_after",
    "check_http",
    "check_tcp",
    "check_interval",
)

CONSUL_OPTIONS: dict[str, Callable[[str, Any], list[str]]] = {
    "agent": _agents,
    "consistency_mode": _one(_choice("default", "consistent", "stale")),
    "datacenter": _one(_plain),
    "ca": _one(_plain),
    "cert": _one(_plain),
    "key": _one(_plain),
    "service": _each(_service),
    "service_id": _one(_plain),
    "service_name": _one(_plain),
    "service_tags": _tags,
    "service_port": _one(_port),
    "service_address": _one(_plain),
    "service_meta": _meta,
    "service_weights": _one(_weights),
    "token_file": _one(_plain),
    "check_ttl": _one(_duration("1s", "24h")),
    "check_http": _one(_plain),
    "check_tcp": _one(_plain),
    "check_interval": _one(_duration("1s", "24h")),
    "check_backlog": _one(_number(0, 1_000_000)),
    "check_deregister_after": _one(_duration("1m", "8760h", or_zero=True)),
    "suspended": _one(_choice("critical", "warning", "passing")),
    "timeout": _one(_duration("100ms", "60s")),
    "watch_service": _watches,
    "watch_kv": _watches,
    "watch_query": _watches,
    "cache": _one(_cache),
    "stop_timeout": _one(_duration("100ms", "60s")),
    "register": _each(_plain),
    "election": _one(_plain),
    "election_gain": _each(_plain),
    "election_loss": _each(_plain),
    "cron": _each(_cron),
    "unique_cron": _each(_cron),
}

# One of them makes the plugin do something; the others say how.
_ACTIVE = ("service_name", "service", "register", "watch_service", "watch_kv", "watch_query", "election")
_OF_ELECTION = ("election_gain", "election_loss", "cron", "unique_cron")


def consul_options(where: str, consul: Any) -> Options:
    """The plugin's options for a vassal's `consul:` mapping."""
    if not isinstance(consul, Mapping):
        raise _wrong(where, consul, f"give a mapping of {', '.join(CONSUL_OPTIONS)}")
    _known(where, consul, tuple(CONSUL_OPTIONS))
    if not any(key in consul for key in _ACTIVE):
        raise VassalError(
            f"{where}.service_name is missing: give the name under which the service is found, or one of {', '.join(_ACTIVE[1:])}"
        )
    for key in consul:
        if key.startswith("service_") and "service_name" not in consul:
            raise VassalError(f"{where}.{key} needs a service_name beside it")
        if key in _OF_ELECTION and "election" not in consul:
            raise VassalError(f"{where}.{key} needs an election beside it")
    options: Options = [("need-plugin", "consul")]
    for key, check in CONSUL_OPTIONS.items():
        if consul.get(key) is not None:
            name = "consul-" + key.replace("_", "-")
            options += [(name, value) for value in check(f"{where}.{key}", consul[key])]
    return options


# --- uWSGI's options ------------------------------------------------------------------------------------------------------


def option_list(where: str, options: Any, literal: bool = False) -> Options:
    """Options from a mapping (a list as value repeats the option), or from a list of mappings, whose order is kept.

    In a mapping the options that load plugins come first: in strict mode uWSGI knows a plugin's options only after it.
    """
    if isinstance(options, Mapping):
        loading = {key: options[key] for key in _PLUGIN_OPTIONS if key in options}
        entries: list[Mapping[Any, Any]] = [loading, {key: value for key, value in options.items() if key not in loading}]
    else:
        entries = _list_of(where, options)
        for index, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise _wrong(f"{where}[{index}]", entry, "give a mapping of options to values")
    result: Options = []
    for entry in entries:
        for key, value in entry.items():
            if not _OPTION.match(str(key)):
                raise _wrong(f"{where}, option", key, "give the name of a uWSGI option: letters, digits, '-' and '_'")
            values = value if isinstance(value, (list, tuple)) else [value]
            result += [(str(key), (_literal if literal else _magic)(f"{where}.{key}", item)) for item in values]
    return result


def _magic(where: str, value: Any) -> str:
    """Text in which a percent sign begins a magic variable, `%%` for a percent sign among them."""
    text = _text(where, value)
    if "%" in _MAGIC.sub("", text):
        raise _wrong(where, value, "uWSGI takes a percent sign and what follows for a magic variable: write %% for one")
    return text


def _ini(where: str, options: Options) -> str:
    return "[uwsgi]\n" + "".join(f"{key} = {value}\n" for key, value in options)


def _yml(where: str, options: Options) -> str:
    # uWSGI has two YAML parsers, by build; the built-in one knows no quotes, so what needs them can't be said to both.
    for key, value in options:
        if not _YAML_SAFE.match(value) or ": " in value or value.endswith(":"):
            raise _wrong(f"{where}.{key}", value, "not every uWSGI reads this from YAML as it is meant: use the format ini, xml or json")
    return "uwsgi:\n" + "".join(f"  {key}: {value}\n" for key, value in options)


def _xml(where: str, options: Options) -> str:
    for key, value in options:
        if not value:
            raise _wrong(f"{where}.{key}", value, "uWSGI reads 1 from XML where a value is empty: use the format ini or json")
    return "<uwsgi>\n" + "".join(f"  <{key}>{escape(value)}</{key}>\n" for key, value in options) + "</uwsgi>\n"


def _json(where: str, options: Options) -> str:
    grouped: dict[str, list[str]] = {}
    for key, value in options:
        grouped.setdefault(key, []).append(value)
    regrouped = [(key, value) for key, values in grouped.items() for value in values]
    if regrouped != options and any(key.startswith(("if-", "for", "end")) for key in grouped):
        raise VassalError(
            f"{where}: JSON holds a repeated option in one place, so conditions and loops change their meaning: use another format"
        )
    content = {key: values[0] if len(values) == 1 else values for key, values in grouped.items()}
    return json.dumps({"uwsgi": content}, indent=2, ensure_ascii=False) + "\n"


_WRITERS: dict[str, Callable[[str, Options], str]] = {"ini": _ini, "yml": _yml, "xml": _xml, "json": _json}


def render(where: str, options: Options, form: str) -> str:
    """A whole configuration in one of `FORMATS`."""
    content = _WRITERS[form](where, options)
    if len(content.encode()) > _CONTENT_LENGTH:
        raise VassalError(f"{where} has {len(content.encode())} bytes as {form}, and uWSGI takes {_CONTENT_LENGTH}: give it fewer options")
    return content


def config(options: Any, form: str = "ini", literal: bool = False) -> str:
    """A configuration from options as `option_list` takes them.

    literal: values are what they are, and no text in them is a magic variable or a placeholder. Raises `VassalError`.
    """
    where = "options"
    listed = option_list(where, options, literal)
    if not listed:
        raise VassalError(f"{where} is empty: give options, such as http-socket and module")
    return render(where, listed, _choice(*FORMATS)("format", form))


# --- vassals --------------------------------------------------------------------------------------------------------------


def vassal_files(vassals: Any, groups: Iterable[str], defaults: Mapping[str, Any], agents: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The files of vassals on a host in `groups`: present where a vassal belongs there, else absent.

    Every vassal is checked, wherever it belongs. `defaults` are options that a vassal has unless it names them itself,
    `agents` the Consul agents of a vassal that names none. A file is `{"name", "file", "state", "secret", "content"}`.
    Raises `VassalError`, which shows no value of a vassal that is secret.
    """
    files: list[dict[str, Any]] = []
    names: set[str] = set()
    here = set(groups)
    for index, vassal in enumerate(_list_of("vassals", vassals)):
        where = f"vassals[{index}]"
        if not isinstance(vassal, Mapping):
            raise _wrong(where, vassal, f"give a mapping of {', '.join(KEYS)}")
        name = vassal.get("name")
        if not isinstance(name, str) or not _NAME.match(name) or len(name) > _NAME_LENGTH:
            raise _wrong(f"{where}.name", name, f"give at most {_NAME_LENGTH} letters, digits, '.', '-' and '_'")
        where = f"{where} ({name})"
        _known(where, vassal, KEYS)
        if name in names:
            raise _wrong(f"{where}.name", name, "another vassal has the same name")
        names.add(name)
        form = _choice(*FORMATS)(f"{where}.format", vassal.get("format", "ini"))
        state = _choice(*STATES)(f"{where}.state", vassal.get("state", "present"))
        secret = vassal.get("secret", False)
        if not isinstance(secret, bool):
            raise _wrong(f"{where}.secret", secret, "give true or false")
        placed = _list_of(f"{where}.groups", vassal.get("groups", []))
        try:
            content = _content(where, vassal, form, defaults, agents) if state == "present" else ""
        except VassalError as error:
            if secret and error.value is not None:
                raise VassalError(str(error).replace(f" is {error.value}:", " has a secret value that is wrong:")) from None
            raise
        if placed and not here.intersection(placed):
            state = "absent"
        # A vassal that changes its format, or its place, leaves none behind.
        for other in FORMATS:
            here_as = "present" if state == "present" and other == form else "absent"
            text = content if here_as == "present" else ""
            files.append({"name": name, "file": f"{name}.{other}", "state": here_as, "secret": secret, "content": text})
    return files


def _content(where: str, vassal: Mapping[str, Any], form: str, defaults: Mapping[str, Any], agents: Sequence[str]) -> str:
    own = option_list(f"{where}.options", vassal.get("options", {}))
    if not own:
        raise VassalError(f"{where}.options is empty: give the app's options, such as http-socket and module")
    named = {key for key, _value in own}
    options = option_list("vassal_default_options", {key: value for key, value in defaults.items() if key not in named})
    if vassal.get("consul") is not None:
        consul = vassal["consul"]
        if isinstance(consul, Mapping) and agents and "agent" not in consul:
            consul = {"agent": list(agents), **consul}
        options += consul_options(f"{where}.consul", consul)
    return render(where, options + own, form)

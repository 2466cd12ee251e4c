# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the plugin `consul` was told in this uWSGI instance: its options, as text.

Source: docs/plugin.md, Options
"""

from __future__ import annotations

import os
import re
from typing import Any, Tuple

from .errors import InvalidValueError
from .protocol import seconds
from .settings import Settings

# The prefix of a watch of keys, and its datacenter, or `None` for that of the options.
KeyWatch = Tuple[str, "str | None"]

_FIELD = re.compile(r'\s*(?:(?P<name>[^=,"]*)=\s*)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^,]*))\s*(?:,|$)')

_found: Any = None
_looked = False


def module() -> Any:
    """The module `uwsgi` of this process, or `None` outside of uWSGI."""
    global _found, _looked
    # An import that fails looks through the whole path each time.
    if not _looked:
        try:
            import uwsgi  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            uwsgi = None
        _found, _looked = uwsgi, True
    return _found


def is_master() -> bool:
    """Whether this is the master of the instance, which loads the app, unless told otherwise, and forks the workers."""
    uwsgi = module()
    return uwsgi is not None and uwsgi.masterpid() == os.getpid()


def has_threads() -> bool:
    """Whether threads of Python run beside the requests."""
    options = {_text(name): _text(value) for name, value in getattr(module(), "opt", {}).items()}
    return "enable-threads" in options or options.get("threads", "1") not in ("0", "1")


def option(name: str) -> list[str]:
    """The values of an option such as `consul-agent`, in the order given; empty where it is not given, or outside of uWSGI."""
    uwsgi = module()
    # uWSGI's own table has but the last value of an option that is repeated (its list is made for Python 2 only).
    known = getattr(uwsgi, "consul_options", None)
    if known is None:
        known = getattr(uwsgi, "opt", {})
    values = known.get(name, [])
    return [_text(value) for value in (values if isinstance(values, list) else [values])]


def last(name: str) -> str | None:
    """The value of an option that counts once, or `None` where it is not given."""
    values = option(name)
    return values[-1] if values else None


def settings() -> Settings:
    """How the agents are reached: as the plugin's options say, and for what they leave out as `Settings.resolve` has it.

    Raises `InvalidValueError`.
    """
    agents = option("consul-agent")
    limit = last("consul-timeout")
    return Settings.resolve(
        agents=",".join(agents) if agents else None,
        token_file=last("consul-token-file"),
        ca_path=last("consul-ca"),
        client_cert=last("consul-cert"),
        client_key=last("consul-key"),
        datacenter=last("consul-datacenter"),
        consistency=last("consul-consistency-mode"),
        # The plugin's is for each agent, the library's for all of them.
        timeout=None if limit is None else _seconds(limit) * max(1, len(",".join(agents).split(","))),
    )


def key_watches() -> list[KeyWatch]:
    """What `consul-watch-kv` keeps in the cache."""
    found = []
    for text in option("consul-watch-kv"):
        fields = _fields(text)
        found.append((fields.get("", ""), fields.get("dc")))
    return found


def has_watches() -> bool:
    """Whether there is anything that the plugin keeps in the cache."""
    return any(option(f"consul-watch-{kind}") for kind in ("service", "kv", "query"))


def _fields(text: str) -> dict[str, str]:
    """The parts of `word,key=value,key="quoted, value"` by their keys, "" for the word; the plugin has judged them before."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None or match.end() == position:
            break
        position = match.end()
        quoted = match["quoted"]
        value = match["plain"].strip() if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        found[(match["name"] or "").strip()] = value
    return found


def _seconds(text: str) -> float:
    try:
        return float(text) if text.isdecimal() else seconds(text)
    except InvalidValueError:
        raise InvalidValueError(f"consul-timeout: {text!r} is no duration such as 2s or 500ms") from None


def _text(value: Any) -> str:
    # An option without a value is `True`.
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)

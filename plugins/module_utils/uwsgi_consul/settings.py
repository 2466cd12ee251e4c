# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Where Consul is and how to speak to it: explicit values first, then Consul's environment variables, then defaults.

Source: https://developer.hashicorp.com/consul/commands#environment-variables
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from . import arguments
from .errors import InvalidValueError

CONSISTENCY_MODES = ("default", "consistent", "stale")
DEFAULT_AGENT = "127.0.0.1:8500"
DEFAULT_TIMEOUT = 10.0
# Of an address, a path or a token, in characters. Longer ones are mistakes.
_LONGEST_TEXT = 4096

# The options that Consul's environment variables give; of several variables the first that is set counts.
ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "agents": ("CONSUL_HTTP_ADDR",),
    "token": ("CONSUL_HTTP_TOKEN",),
    "token_file": ("CONSUL_HTTP_TOKEN_FILE",),
    "ca_path": ("CONSUL_CACERT", "CONSUL_CAPATH"),
    "client_cert": ("CONSUL_CLIENT_CERT",),
    "client_key": ("CONSUL_CLIENT_KEY",),
    "validate_certs": ("CONSUL_HTTP_SSL_VERIFY",),
    "tls_server_name": ("CONSUL_TLS_SERVER_NAME",),
}
# No option of its own: it only makes https the scheme of addresses that name none.
ENVIRONMENT_TLS = "CONSUL_HTTP_SSL"


@dataclass(frozen=True)
class Agent:
    """The address of one agent's HTTP API: a host with a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    tls: bool = False
    prefix: str = ""
    socket: str = ""

    @classmethod
    def parse(cls, address: str, tls: bool = False) -> Agent:
        """Reads `host`, `host:port`, `http://host:port/prefix`, `https://...`, `unix:///path` or `/path`.

        A host without scheme and port has Consul's ports, 8500, or 8501 with *tls*; a URL without port has those of
        its scheme, 80 and 443, as for Consul's own command. IPv6 addresses stand in brackets.
        Raises `InvalidValueError`.
        """
        if not isinstance(address, str):
            raise _bad_agent(address)
        text = address.strip()
        # The address may hold a password, so it is not repeated before that is known.
        if "@" in text:
            raise InvalidValueError("agents: an address must not hold a user name or password", advice="Give a token instead")
        if text.startswith(("unix://", "/")):
            path = text[len("unix://") :] if text.startswith("unix://") else text
            if not path.startswith("/") or "\0" in path or len(path) > _LONGEST_TEXT:
                raise _bad_agent(text)
            return cls(socket=path)
        url = "://" in text
        try:
            parts = urlsplit(text if url else f"//{text}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _bad_agent(text) from None
        if url:
            tls = parts.scheme == "https"
        wrong_scheme = parts.scheme not in ("", "http", "https") or len(text) > _LONGEST_TEXT
        if wrong_scheme or not re.fullmatch(r"[\w.:%-]+", host, re.ASCII) or port == 0 or parts.query or parts.fragment:
            raise _bad_agent(text)
        prefix = parts.path.rstrip("/")
        if not re.fullmatch(r"[\w./~%-]*", prefix, re.ASCII) or (prefix and not url):
            raise _bad_agent(text)
        default_port = (443 if tls else 80) if url else (8501 if tls else 8500)
        return cls(host=host, port=port or default_port, tls=tls, prefix=prefix)

    def __str__(self) -> str:
        if self.socket:
            return f"unix://{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https://' if self.tls else ''}{host}:{self.port}{self.prefix}"


def _bad_agent(text: object) -> InvalidValueError:
    return InvalidValueError(
        f"agents: {arguments.shown(text)} is no address of an agent",
        advice="Write host, host:port, http(s)://host:port, [IPv6]:port or unix:///path",
    )


@dataclass(frozen=True)
class Settings:
    """Everything that a client needs to know, checked. Made by `resolve`."""

    agents: tuple[Agent, ...] = (Agent("127.0.0.1", 8500),)
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    datacenter: str | None = None
    consistency: str = "default"
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool = True
    tls_server_name: str | None = None

    @classmethod
    def resolve(
        cls,
        *,
        agents: str | Sequence[str] | None = None,
        token: str | None = None,
        token_file: str | None = None,
        timeout: float | None = None,
        datacenter: str | None = None,
        consistency: str | None = None,
        ca_path: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        validate_certs: bool | None = None,
        tls_server_name: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """The settings from what is given; `None` means not given: then the environment counts, then the default.

        agents: addresses in the order in which they are tried, as a list or comma separated; see `Agent.parse`.
        token, token_file: an ACL token, or the file that holds it; never both. Either makes both variables of the
        environment void. When the environment has both, the file counts, as for Consul's own command.
        timeout: seconds for one call with all its failover and retries.
        consistency: `default`, `consistent` or `stale`, for every read.
        ca_path: file or directory of certificates to trust.
        environ: the environment; `os.environ` unless given.
        Raises `InvalidValueError`, which names the option.
        """
        environ = os.environ if environ is None else environ
        paths = {"token_file": token_file, "ca_path": ca_path, "client_cert": client_cert, "client_key": client_key}
        for what, value in {**paths, "tls_server_name": tls_server_name}.items():
            _judge_text(value, what)
        if token is not None and token_file is not None:
            raise InvalidValueError("token and token_file: give one of them, not both")
        if token is None and token_file is None:
            token_file = _from_environment("token_file", environ)
            if token_file is None:
                token = _from_environment("token", environ)
        if agents is None:
            agents = _from_environment("agents", environ)
        if validate_certs is None:
            validate_certs = _boolean(_from_environment("validate_certs", environ) or "true", ENVIRONMENT["validate_certs"][0])
        arguments.boolean(validate_certs, "validate_certs")
        client_cert = client_cert or _from_environment("client_cert", environ)
        client_key = client_key or _from_environment("client_key", environ)
        if client_key and not client_cert:
            raise InvalidValueError("client_key: is of no use without client_cert")
        return cls(
            agents=_agents(agents, _boolean(environ.get(ENVIRONMENT_TLS) or "false", ENVIRONMENT_TLS)),
            token=check_token(_read_token(token_file) if token_file else token),
            token_file=token_file,
            timeout=_timeout(timeout),
            datacenter=_datacenter(datacenter),
            consistency=check_consistency(consistency) or CONSISTENCY_MODES[0],
            ca_path=ca_path or _from_environment("ca_path", environ),
            client_cert=client_cert,
            client_key=client_key,
            validate_certs=validate_certs,
            tls_server_name=tls_server_name or _from_environment("tls_server_name", environ),
        )

    def current_token(self) -> str | None:
        """The token, read again when its file has changed; the last good one while the file can't be read."""
        return _tokens.read(self.token_file) or self.token if self.token_file else self.token


class _TokenFiles:
    """The tokens of files, each read when the file has changed."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[tuple[int, int, int], str | None]] = {}

    def read(self, path: str) -> str | None:
        """The file's token; `None` when there was never a good one since this process asks for it."""
        state, token = self._read.get(path, ((0, 0, 0), None))
        try:
            found = os.stat(os.path.expanduser(path))
            now = (found.st_mtime_ns, found.st_size, found.st_ino)
            if now != state:
                token = check_token(_read_token(path))
                self._read[path] = (now, token)
        except (OSError, InvalidValueError):
            pass
        return token


_tokens = _TokenFiles()


def check_token(token: str | None) -> str | None:
    """The token if it can stand in a header, `None` for an empty one; raises `InvalidValueError`, which does not show it."""
    if token is None or token == "":
        return None
    if not isinstance(token, str) or len(token) > _LONGEST_TEXT:
        raise InvalidValueError(f"token: is no text of at most {_LONGEST_TEXT} characters")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidValueError("token: holds a character that no token has, such as a space or a line break")
    return token


def check_consistency(mode: str | None) -> str | None:
    """The consistency mode if there is such a one, `None` for none; raises `InvalidValueError`."""
    return None if mode is None else arguments.choice(mode, "consistency", CONSISTENCY_MODES)


def _from_environment(option: str, environ: Mapping[str, str]) -> str | None:
    return next((environ[name] for name in ENVIRONMENT[option] if environ.get(name)), None)


def _boolean(text: str, name: str) -> bool:
    # What Consul's own command takes for a boolean.
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidValueError(f"{name}: {text!r} is neither true nor false")


def _agents(given: str | Sequence[str] | None, tls: bool) -> tuple[Agent, ...]:
    if given is None:
        given = DEFAULT_AGENT
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidValueError(f"agents: {arguments.shown(given)} is no list of addresses")
    addresses = given.split(",") if isinstance(given, str) else given
    agents = tuple(dict.fromkeys(Agent.parse(address, tls) for address in addresses if not _is_blank(address)))
    if not agents:
        raise InvalidValueError("agents: needs at least one address")
    return agents


def _is_blank(address: object) -> bool:
    return isinstance(address, str) and not address.strip()


def _judge_text(value: object, what: str) -> None:
    if value is not None and (not isinstance(value, str) or "\0" in value or len(value) > _LONGEST_TEXT):
        raise InvalidValueError(f"{what}: {arguments.shown(value)} is no text of at most {_LONGEST_TEXT} characters")


def _timeout(given: Any) -> float:
    try:
        timeout = DEFAULT_TIMEOUT if given is None else float(given)
    except (TypeError, ValueError, OverflowError):
        timeout = 0.0
    if not 0 < timeout <= 86400 or isinstance(given, bool):
        raise InvalidValueError(f"timeout: {arguments.shown(given)} is no number of seconds above 0 and up to 86400")
    return timeout


def _datacenter(given: str | None) -> str | None:
    return arguments.datacenter(given)


def _read_token(path: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="ascii") as file:
            token = file.read(65536).strip()
    except OSError as error:
        raise InvalidValueError(f"token_file: {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise InvalidValueError(f"token_file: {path} holds no token")
    return token

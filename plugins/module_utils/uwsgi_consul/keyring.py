# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The keys that encrypt gossip, of all agents of all datacenters.

Every agent has a ring of keys: it reads what is encrypted by any of them, and encrypts by the primary one. So a new key is installed
everywhere, then used everywhere, and only then is the old one removed.

Source: https://developer.hashicorp.com/consul/api-docs/operator/keyring
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Any, Dict, List

from . import arguments
from .bound import Bound, read
from .errors import ConflictError, InvalidValueError, ServerError

Ring = Dict[str, Any]
# Within the class below, `list` is its method.
Rings = List[Ring]
# Of a key, in bytes: AES-128, -192 or -256.
_SIZES = (16, 24, 32)
# A change is sent through each agent, and its answers are awaited.
DEFAULT_TIMEOUT = 60.0


class Keyring(Bound):
    """The rings of keys, asked through any agent: changes reach all agents of all datacenters, whatever datacenter is set.

    Reading needs `keyring:read`, all else `keyring:write`. relay_factor: through how many others (0 to 5) each agent answers as well, for
    networks that lose packets.
    """

    def list(self, *, local_only: bool = False, relay_factor: int = 0) -> Rings:
        """The rings: of the servers over WAN, and of the agents of each datacenter, each as `ring` describes it.

        local_only: only those that the server that is asked has itself, without a question to any other. Raises `ConflictError` when
        gossip is not encrypted, `ConsulError`.
        """
        params = [*_relay(relay_factor), *([("local-only", "1")] if arguments.boolean(local_only, "local_only") else [])]
        try:
            answer = self._ask("GET", "/v1/operator/keyring", params, timeout=DEFAULT_TIMEOUT)
        except ServerError as error:
            if "encryption not enabled" not in error.answer:
                raise
            raise ConflictError(
                "gossip is not encrypted, so there are no keys",
                asked=error.asked,
                agent=error.agent,
                advice="Encryption begins with the setting encrypt of every agent, and a restart",
            ) from None
        found: Rings = read(answer, lambda data: [ring(item) for item in data])
        return sorted(found, key=lambda one: (one["datacenter"], not one["wan"], one["segment"]))

    def install(self, key: str, *, relay_factor: int = 0) -> None:
        """Gives all agents the key to read by; raises `ConsulError`, also when some agents did not take it."""
        self._change("POST", key, relay_factor)

    def use(self, key: str, *, relay_factor: int = 0) -> None:
        """Makes the key the one that all agents encrypt by; it must be installed. Raises as `install`."""
        self._change("PUT", key, relay_factor)

    def remove(self, key: str, *, relay_factor: int = 0) -> None:
        """Takes the key from all agents; it must not be the primary one. Raises as `install`."""
        self._change("DELETE", key, relay_factor)

    def _change(self, method: str, key: str, relay_factor: int) -> None:
        body = {"Key": check_key(key)}
        # Each does no more when it is done twice, but only the caller can tell whether all have it.
        self._ask(method, "/v1/operator/keyring", _relay(relay_factor), body, timeout=DEFAULT_TIMEOUT, idempotent=False)


def ring(item: dict[str, Any]) -> Ring:
    """One ring as a plain mapping:

    wan (whether it is that of the servers over WAN), datacenter, segment, nodes (how many agents answered), keys and primary_keys (each
    key with the number of agents that have it, or encrypt by it).
    """
    return {
        "wan": item["WAN"],
        "datacenter": item["Datacenter"],
        "segment": item.get("Segment") or "",
        "nodes": item["NumNodes"],
        "keys": dict(item["Keys"]),
        "primary_keys": dict(item["PrimaryKeys"] or {}),
    }


def new_key() -> str:
    """A new key of 32 random bytes, as Consul takes it."""
    return base64.b64encode(os.urandom(32)).decode()


def check_key(value: object, what: str = "key") -> str:
    """The key, in the one form that Consul shows it in. The message for one that can't be right does not hold it."""
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in _SIZES:
        raise InvalidValueError(f"{what}: it is no key: 16, 24 or 32 bytes in base64", advice="consul keygen makes one")
    return base64.b64encode(raw).decode()


def fingerprint(key: str) -> str:
    """What a key is called where it can't be shown: the beginning of its SHA-256. Keys are random, so nothing follows from it."""
    return f"sha256:{hashlib.sha256(base64.b64decode(key)).hexdigest()[:12]}"


def _relay(factor: int) -> list[tuple[str, Any]]:
    return [("relay-factor", factor)] if arguments.integer(factor, "relay_factor", 0, 5) else []

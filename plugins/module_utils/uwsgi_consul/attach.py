# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Gives the module `uwsgi` its functions of Consul: `import = uwsgi_consul.attach` in a vassal, or an import in the app.

    uwsgi.consul_services(dc)
    uwsgi.consul_service(tag, name, dc)
    uwsgi.consul_set(name, value, dc, cas, acquire, release)
    uwsgi.consul_get(name, dc)
    uwsgi.consul_del(name, recurse, dc)
    uwsgi.consul_session_create(lock_delay, name, node, checks)
    uwsgi.consul_session_destroy(id)
    uwsgi.consul_session_info(id, dc)
    uwsgi.consul_session_node(node, dc)
    uwsgi.consul_session_list(dc)

Each parameter may be given by its name, and `None` or leaving it out are the same. dc: a datacenter, that of the option
`consul-datacenter` or else the agent's own unless given.

What the plugin `consul` watches is read from its cache, without a request, also while Consul is away; everything else is
asked of the agent that the plugin's options name, or else Consul's environment variables. All of them raise
`ConsulError`, and `InvalidValueError` for an argument that can't be right, before anything is sent.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any, Dict

from . import arguments, services, uwsgi_cache, vassal
from .api import Api
from .errors import InvalidValueError
from .kv import KV
from .sessions import Sessions
from .settings import Settings

_Found = Dict[str, Any]


def consul_services(dc: str | None = None) -> dict[str, list[str]]:
    """All services of the datacenter by name, each with the tags of its instances, sorted."""
    found = services.services(_api(), datacenter=arguments.datacenter(dc, "dc"))
    return {service["name"]: service["tags"] for service in found}


def consul_service(tag: str | None = None, name: str | None = None, dc: str | None = None) -> list[_Found]:
    """The passing instances of the service *name*, those with the *tag* only if one is given.

    In the order of node, port and id; each as a mapping: node, node_address, node_meta, datacenter, service, id, address
    (the service's, else the node's), port, tags, meta, tagged_addresses, weights, status. A service that Consul does not
    know has none. The cache answers where `consul-watch-service` names the service, with its last known instances while
    Consul is away.
    """
    service = arguments.name(_needed(name, "name"), "name")
    tag = None if tag is None else arguments.name(tag, "tag")
    arguments.datacenter(dc, "dc")
    for key, tags in _service_keys(service, tag, dc):
        item = uwsgi_cache.own(key)
        if item is not None:
            return [instance for instance in item["instances"] if _has_tags(instance, tags)]
    return services.instances(_api(), service, tags=[] if tag is None else [tag], datacenter=dc)


def consul_set(
    name: str | None = None,
    value: str | bytes | None = None,
    dc: str | None = None,
    cas: int | None = None,
    acquire: str | None = None,
    release: str | None = None,
) -> bool:
    """Writes a key; `False` when the condition does not hold, and then nothing was written.

    value: text, which is stored as UTF-8, or bytes. One condition at most: cas is the index that the key must have (0:
    there must be no such key), acquire and release are the id of a session that takes or gives back the key as a lock.
    """
    return _kv(dc).set(_needed(name, "name"), _needed(value, "value"), cas=cas, acquire=acquire, release=release)


def consul_get(name: str | None = None, dc: str | None = None) -> _Found | None:
    """The key as a mapping, or `None` when there is no such key.

    key, value (text; `None` where it is no UTF-8, with base64 beside it), flags, index (changes with each write, and is what `cas`
    takes), session (the id of the lock's holder, or `None`). The cache answers where `consul-watch-kv` has the key's
    prefix: what this process has just written may be missing in it for a few milliseconds.
    """
    key = arguments.text(_needed(name, "name"), "name")
    kv = _kv(dc)
    for prefix, watched in vassal.key_watches():
        if key.startswith(prefix) and _same_datacenter(watched, dc):
            item = uwsgi_cache.own(f"kv/{key}")
            if item is not None:
                return item
            listed = uwsgi_cache.cached(f"keys/{prefix}")
            # One that came between both reads is listed, and asked for.
            if listed is not None and key not in listed["keys"]:
                return None
    entry = kv.get(key)
    return None if entry is None else _as_in_the_cache(entry)


def consul_del(name: str | None = None, recurse: bool | None = None, dc: str | None = None) -> bool:
    """Deletes the key if there is one, or with *recurse* all keys that start with *name*: `app` takes `app2/x` along, `app/` does not."""
    return _kv(dc).delete(_needed(name, "name"), recurse=False if recurse is None else recurse)


def consul_session_create(
    lock_delay: float | str | None = None,
    name: str | None = None,
    node: str | None = None,
    checks: list[str] | str | None = None,
) -> str:
    """Makes a session and returns its id.

    lock_delay: seconds or a text such as `15s`, 0 to 60 s, Consul's 15 s unless given. node: the agent's own unless
    given. checks: ids of the node's checks, as a list or separated by commas, in place of `serfHealth`.
    """
    listed = [check.strip() for check in checks.split(",")] if isinstance(checks, str) else checks
    return _sessions(None).create("" if name is None else _needed(name, "name"), lock_delay=lock_delay, node=node, node_checks=listed)


def consul_session_destroy(id: str | None = None) -> bool:  # noqa: A002 - the RFC's own name
    """Ends a session at once, and gives its locks back; `True` also when there is no such session."""
    _sessions(None).destroy(_needed(id, "id"))
    return True


def consul_session_info(id: str | None = None, dc: str | None = None) -> _Found | None:  # noqa: A002 - the RFC's own name
    """The session, or `None` when there is none: id, name, node, lock_delay and ttl (seconds), behavior, node_checks, service_checks,
    create_index, modify_index."""
    return _sessions(dc).info(_needed(id, "id"))


def consul_session_node(node: str | None = None, dc: str | None = None) -> list[_Found]:
    """The sessions of a node, each as `consul_session_info` has it."""
    return _sessions(dc).node(_needed(node, "node"))


def consul_session_list(dc: str | None = None) -> list[_Found]:
    """All sessions of the datacenter, each as `consul_session_info` has it."""
    return _sessions(dc).list()


FUNCTIONS = (
    consul_services,
    consul_service,
    consul_set,
    consul_get,
    consul_del,
    consul_session_create,
    consul_session_destroy,
    consul_session_info,
    consul_session_node,
    consul_session_list,
)


def _needed(value: Any, what: str) -> Any:
    """A parameter that may not be left out, though one before it may."""
    if value is None or value == "":
        raise InvalidValueError(f"{what}: must be given", advice=f"Give it by its name, as in {what}='...'")
    return value


def _service_keys(service: str, tag: str | None, dc: str | None) -> Iterator[tuple[str, list[str]]]:
    """The cache's keys under which the answer may stand, and the tags by which it is still to be filtered."""
    for datacenter in _datacenters(dc):
        conditions = [f"dc={datacenter}"] if datacenter else []
        if tag is not None:
            yield _key(service, [*conditions, f"tag={tag}"]), []
        yield _key(service, conditions), [] if tag is None else [tag]


def _key(service: str, conditions: list[str]) -> str:
    return f"service/{service}?{'&'.join(conditions)}" if conditions else f"service/{service}"


def _datacenters(dc: str | None) -> list[str | None]:
    """The datacenter as a watch may have it: by name, or not at all where the options' datacenter is the one."""
    default = vassal.last("consul-datacenter")
    return [dc, default] if dc is None and default else [dc, None] if dc is not None and dc == default else [dc]


def _same_datacenter(watched: str | None, dc: str | None) -> bool:
    return watched in _datacenters(dc)


def _has_tags(instance: _Found, tags: list[str]) -> bool:
    # Consul compares tags without regard to case.
    own = {tag.lower() for tag in instance["tags"]}
    return all(tag.lower() in own for tag in tags)


def _as_in_the_cache(entry: _Found) -> _Found:
    found = {"key": entry["key"], "value": None, "flags": entry["flags"], "index": entry["modify_index"], "session": entry["session"]}
    try:
        found["value"] = entry["value"].decode()
    except UnicodeDecodeError:
        found["base64"] = base64.b64encode(entry["value"]).decode()
    return found


def _kv(dc: str | None) -> KV:
    return KV(_api(), datacenter=arguments.datacenter(dc, "dc"))


def _sessions(dc: str | None) -> Sessions:
    return Sessions(_api(), datacenter=arguments.datacenter(dc, "dc"))


class _Agents:
    """The `Api` of this process: made at the first call, and anew when the token's file changes, as the plugin has it."""

    def __init__(self) -> None:
        self._api: Api | None = None
        self._stamp: tuple[int, ...] | None = None

    def api(self) -> Api:
        # Two threads may both make one: the last one stays.
        stamp = _stamp(vassal.last("consul-token-file"))
        api = self._api
        if api is None or stamp != self._stamp:
            made = self._make(api)
            if made is not api:
                self._api, self._stamp = made, stamp
            api = made
        return api

    def _make(self, old: Api | None) -> Api:
        try:
            settings: Settings = vassal.settings()
        except InvalidValueError:
            if old is None:
                raise
            # A file that can't be read while it is replaced: the last token stays.
            return old
        return Api(settings)


def _stamp(path: str | None) -> tuple[int, ...] | None:
    """What changes when a file does; `None` where there is none."""
    if path is None:
        return None
    try:
        status = os.stat(os.path.expanduser(path))
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino


_api = _Agents().api


def attach() -> None:
    """Puts the functions into the module `uwsgi`; raises `ImportError` outside of uWSGI. The import of this module has done it already."""
    uwsgi = vassal.module()
    if uwsgi is None:
        raise ImportError(
            "uwsgi_consul.attach is for apps that uWSGI runs, and this process is none of uWSGI's: write import = uwsgi_consul.attach"
            " into the vassal; outside of uWSGI use uwsgi_consul.Discovery, KV and Sessions, which do the same",
            name="uwsgi",
        )
    for function in FUNCTIONS:
        setattr(uwsgi, function.__name__, function)


attach()

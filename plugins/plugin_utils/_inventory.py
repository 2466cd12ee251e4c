# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory: nodes of several datacenters, which of them are hosts, and their groups. Ansible's side is the plugin's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.arguments import datacenter as judged_datacenter
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.arguments import shown
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import (
    ConsulError,
    InvalidValueError,
    NoAgentError,
    ServerError,
)
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.overview import Overview
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.services import STATUSES
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings

try:
    from ansible.template import trust_as_template
except ImportError:
    trust_as_template = None

Node = dict[str, Any]


# So many datacenters are asked at a time.
_AT_ONCE = 16
_PATTERN = re.compile(r"[*?\[]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FIELDS = {"node": "name", "datacenter": "datacenter", "address": "address", "id": "id"}
# Names of hosts become arguments of ssh, names of files and templates: no leading hyphen, no blank, slash or brace.
_HOST = re.compile(r"\w[\w.@:+-]*", re.ASCII)
# An address may have a zone (fe80::1%eth0).
_ADDRESS = re.compile(r"[\w:][\w.:%-]*", re.ASCII)


def as_data(value: Any) -> Any:
    """The value such that Ansible takes no text in it for a template."""
    if trust_as_template:
        # From ansible-core 2.19 on nothing is one that is not said to be.
        return value
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(value)


class Source:
    """Asks for all nodes of the datacenters that are named or match a pattern.

    skip_unreachable: a datacenter that does not answer is left out, and told through *warn*. Raises `InvalidValueError`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        datacenters: Sequence[str],
        filter: str | None,  # noqa: A002 - Consul's own term
        skip_unreachable: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._settings, self._wanted, self._filter = settings, list(datacenters), filter
        self._skip, self._warn = skip_unreachable, warn
        for name in self._wanted:
            if not _PATTERN.search(str(name)):
                judged_datacenter(name, "datacenters")

    @property
    def fingerprint(self) -> str:
        """Tells questions apart: another one has another answer. Nothing of a token is in it."""
        asked = [list(map(str, self._settings.agents)), self._settings.datacenter, self._settings.consistency, self._wanted, self._filter]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]

    def nodes(self) -> tuple[list[Node], bool]:
        """All nodes, in the order of their datacenters' names; and whether all datacenters answered. Raises `ConsulError`."""
        said: list[str] = []
        with Api(self._settings) as api:
            names = self._datacenters(api)
            with ThreadPoolExecutor(min(len(names), _AT_ONCE)) as pool:
                answers = list(pool.map(lambda name: self._of(api, name, said.append), names))
        for sentence in sorted(said):
            self._warn(sentence)
        troubles = [answer for answer in answers if isinstance(answer, ConsulError)]
        if troubles and (not self._skip or len(troubles) == len(answers)):
            raise troubles[0]
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, ConsulError):
                self._warn(f"Datacenter {name} is left out of the inventory: {answer}")
        return [node for answer in answers if isinstance(answer, list) for node in answer], not troubles

    def _datacenters(self, api: Api) -> Sequence[str | None]:
        """The names; `None` is the datacenter of the connection's options, or the agent's own."""
        if not self._wanted:
            return [None]
        names = {name for name in self._wanted if not _PATTERN.search(name)}
        if patterns := [name for name in self._wanted if name not in names]:
            known = Overview(api).datacenters()
            names |= {name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)}
            if not names:
                raise InvalidValueError(f"datacenters: {', '.join(patterns)} matches none of {', '.join(known)}")
        return sorted(names)

    def _of(self, api: Api, name: str | None, warn: Callable[[str], None]) -> list[Node] | ConsulError:
        try:
            return Overview(api, datacenter=name).nodes(filter=self._filter, warn=warn)
        except (ServerError, NoAgentError) as error:
            return error


class Selection:
    """Which nodes are hosts, under which name and address, by the plugin's options. Raises `InvalidValueError`."""

    def __init__(self, get_option: Callable[[str], Any]) -> None:
        self._hostname, self._addresses = get_option("hostname"), get_option("addresses")
        self._services = get_option("services")
        self._node_meta = {str(key): _text(value) for key, value in get_option("node_meta").items()}
        self._statuses = STATUSES[get_option("status")]
        names = _PLACEHOLDER.findall(self._hostname)
        if not names or any(name not in _FIELDS for name in names):
            raise InvalidValueError(
                f"hostname: {shown(self._hostname)} is no name of a node", advice="Give text with {node}, {datacenter}, {address} or {id}"
            )

    def hosts(self, nodes: Iterable[Node], warn: Callable[[str], None]) -> dict[str, Node]:
        """Each host's name and its node. Raises `InvalidValueError` when two nodes are one host."""
        named: dict[str, Node] = {}
        for node in nodes:
            if not self._is_wanted(node):
                continue
            host = _PLACEHOLDER.sub(lambda match, node=node: str(node[_FIELDS[match[1]]]), self._hostname)  # type: ignore[misc]
            where, address = f"node {shown(node['name'])} of datacenter {node['datacenter']}", self.address(node)
            if not _HOST.fullmatch(host) or not _ADDRESS.fullmatch(address):
                warn(f"{where} is left out of the inventory: a host can't have the name {shown(host)} and the address {shown(address)}")
                continue
            if host in named:
                first = named[host]
                raise InvalidValueError(
                    f"hostname: {shown(host)} would be both node {shown(first['name'])} of datacenter {first['datacenter']} and {where}",
                    advice="Give a hostname that tells them apart, such as {node}.{datacenter}",
                )
            named[host] = node
        return named

    def address(self, node: Node) -> str:
        tagged = node["tagged_addresses"]
        return str(next((tagged[name] for name in self._addresses if tagged.get(name)), node["address"]))

    def instances(self, node: Node) -> list[dict[str, Any]]:
        """The services of a node that are well enough."""
        return [service for service in node["services"] if service["status"] in self._statuses]

    def _is_wanted(self, node: Node) -> bool:
        if node["status"] not in self._statuses or any(node["meta"].get(key) != value for key, value in self._node_meta.items()):
            return False
        names = {service["name"] for service in self.instances(node)}
        return not self._services or any(fnmatchcase(name, pattern) for name in names for pattern in self._services)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Groups:
    """The names of a node's groups."""

    def __init__(self, prefix: str, kinds: Iterable[str], sanitize: Callable[[str], str]) -> None:
        self._prefix, self._kinds, self._sanitize = prefix, list(kinds), sanitize
        self._origins: dict[str, set[str]] = {}

    def of(self, node: Node, instances: Sequence[dict[str, Any]]) -> list[str]:
        """Sorted; *instances* are the services of the node that count."""
        origins = {
            "datacenter": [node["datacenter"]],
            "service": [service["name"] for service in instances],
            "tag": [tag for service in instances for tag in service["tags"]],
            "health": [node["status"]],
            "meta": [f"{key}_{value}" for key, value in node["meta"].items()],
        }
        found = set()
        for kind in self._kinds:
            for origin in origins[kind]:
                group = self._sanitize(f"{self._prefix}{kind}_{origin}")
                self._origins.setdefault(group, set()).add(f"{kind} {origin}")
                found.add(group)
        return sorted(found)

    def clashes(self) -> Iterator[str]:
        """A sentence for each group that stands for several things."""
        for group, origins in sorted(self._origins.items()):
            if len(origins) > 1:
                yield f"Group {group} holds the hosts of {' and of '.join(map(shown, sorted(origins)))}: their names become the same"

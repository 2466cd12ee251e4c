# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documentation of our plugins says, with its fragments, without Ansible's loader."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import yaml

PLUGINS = "ansible_collections.uwsgi.consul.plugins"
CONNECTION = ("uwsgi.consul.connection", "uwsgi.consul.token", "uwsgi.consul.tls")


def documentation(kind: str, name: str) -> dict[str, Any]:
    """That of a plugin as it stands."""
    found: dict[str, Any] = yaml.safe_load(import_module(f"{PLUGINS}.{kind}.{name}").DOCUMENTATION)
    return found


def options(kind: str, name: str, without: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """All options of a plugin, except for those of some fragments; what the plugin itself says of one counts."""
    said = documentation(kind, name)
    found: dict[str, dict[str, Any]] = said.get("options") or {}
    for fragment in said["extends_documentation_fragment"]:
        if fragment not in without:
            for option, parts in _of_fragment(fragment).items():
                found[option] = parts | found.get(option, {})
    return found


def _of_fragment(fragment: str) -> dict[str, dict[str, Any]]:
    namespace, _collection, group, *variation = fragment.split(".")
    package = "ansible.plugins" if namespace == "ansible" else PLUGINS
    documented = import_module(f"{package}.doc_fragments.{group}").ModuleDocFragment
    found: dict[str, dict[str, Any]] = yaml.safe_load(getattr(documented, (variation or ["documentation"])[0].upper())).get("options", {})
    return found

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules against two real datacenters with ACLs and TLS, and holds each to what all modules promise."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modules import run_module

from ..conftest import ConsulAgent

Result = dict[str, Any]


@pytest.fixture
def module(datacenters) -> Callable[..., Result]:
    """Runs a module once, as the administrator of dc1 unless options say otherwise; `module(name, check=True, ...)` in check mode."""

    def call(name: str, /, check: bool = False, **params: Any) -> Result:
        result = run_module(name, check=check, **{**datacenters.options(), **params})
        assert datacenters.token not in str(result)
        return result

    return call


@pytest.fixture
def fails(module) -> Callable[..., str]:
    """Runs a module that must fail on what it is given, in check mode as well, and gives its message."""

    def call(name: str, /, **params: Any) -> str:
        messages = []
        for check in (True, False):
            result = module(name, check=check, **params)
            assert result.get("failed"), result
            assert not result.get("changed")
            messages.append(result["msg"])
        assert messages[0] == messages[1]
        return messages[0]

    return call


@pytest.fixture
def ensure(module) -> Callable[..., Result]:
    """Runs a module that must change something: in check mode, then for real, then again; gives the real run's result.

    The check must foresee the change and make none, and the run after the change must find nothing to do. `same=False`
    lets the real diff have more than the check could know, such as an ID.
    """

    def call(name: str, /, same: bool = True, **params: Any) -> Result:
        foreseen, again = module(name, check=True, **params), module(name, check=True, **params)
        assert not foreseen.get("failed"), foreseen
        assert foreseen["changed"], foreseen
        assert again["diff"] == foreseen["diff"], "the check changed something"
        done = module(name, **params)
        assert not done.get("failed"), done
        assert done["changed"], done
        if same:
            assert done["diff"] == foreseen["diff"]
        unchanged(module, name, **params)
        return done

    return call


def unchanged(module: Callable[..., Result], name: str, /, **params: Any) -> Result:
    """Runs a module that must find nothing to do, in check mode and for real."""
    for check in (True, False):
        result = module(name, check=check, **params)
        assert not result.get("failed"), result
        assert not result["changed"], result.get("diff")
        assert "diff" not in result
    return result


@pytest.fixture
def keeps(module) -> Callable[..., Result]:
    """Runs a module that must find nothing to do; gives its result."""

    def call(name: str, /, **params: Any) -> Result:
        return unchanged(module, name, **params)

    return call


@pytest.fixture(scope="session")
def oldest_with_acls(tmp_path_factory) -> Iterator[ConsulAgent]:
    """An agent of Consul 1.8 with ACLs that deny by default; its `token` may do everything."""
    token = str(uuid.uuid4())
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"master": token, "agent": token}}
    agent = ConsulAgent(tmp_path_factory.mktemp("oldest-acls"), {"acl": acl}, token=token, binary=os.environ["CONSUL_OLDEST_BIN"])
    try:
        yield agent.start()
    finally:
        agent.stop()

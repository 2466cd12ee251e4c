# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option groups: documentation, argument spec and settings say the same."""

from __future__ import annotations

import inspect
import re

import pytest
import yaml
from ansible.module_utils.basic import env_fallback

from ansible_collections.uwsgi.consul.plugins.doc_fragments import connection, tls, token
from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import ENVIRONMENT, Settings

FRAGMENTS = [connection.ModuleDocFragment, token.ModuleDocFragment, tls.ModuleDocFragment]
DOCUMENTED = {name: option for one in FRAGMENTS for name, option in yaml.safe_load(one.DOCUMENTATION)["options"].items()}
SOURCES = {name: option for one in FRAGMENTS for name, option in yaml.safe_load(one.PLUGINS)["options"].items()}


def test_the_same_options_everywhere():
    of_settings = set(inspect.signature(Settings.resolve).parameters) - {"environ"}
    assert set(DOCUMENTED) == set(SOURCES) == set(ConnectionOptions.ARGUMENT_SPEC) == of_settings


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documentation_and_argument_spec_agree(name):
    documented, spec = DOCUMENTED[name], ConnectionOptions.ARGUMENT_SPEC[name]
    for part in ("type", "elements", "default", "choices"):
        assert documented.get(part) == spec.get(part), part
    assert all(line.endswith(".") for line in documented["description"])


@pytest.mark.parametrize("name", SOURCES)
def test_plugins_and_modules_read_consuls_own_variables(name):
    variables = ENVIRONMENT.get(name, ())
    assert tuple(one["name"] for one in SOURCES[name].get("env", [])) == variables
    assert tuple(re.findall(r"E\((\w+)\)", " ".join(DOCUMENTED[name]["description"]))) == variables
    assert ConnectionOptions.ARGUMENT_SPEC[name].get("fallback", (env_fallback, [])) == (env_fallback, list(variables))


@pytest.mark.parametrize("name", SOURCES)
def test_plugins_read_one_variable_and_one_ini_key_of_the_options_name(name):
    assert SOURCES[name]["vars"] == [{"name": f"uwsgi_consul_{name}"}]
    # A token does not belong into a file that is often committed.
    assert SOURCES[name].get("ini") == (None if name == "token" else [{"section": "uwsgi_consul", "key": name}])


def test_the_defaults_are_those_of_the_library(monkeypatch):
    for variables in ENVIRONMENT.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
    defaults = {name: spec.get("default") for name, spec in ConnectionOptions.ARGUMENT_SPEC.items()}
    assert ConnectionOptions.settings(defaults.get) == Settings.resolve(environ={})


def test_the_token_is_hidden_by_ansible():
    assert ConnectionOptions.ARGUMENT_SPEC["token"]["no_log"] is True

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the connection options of a module or plugin."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils._connection import ConnectionOptions
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """The settings from options given in the task or elsewhere, and from the environment; FILE is a file with a token."""
    (tmp_path / "token").write_text("from-file")

    def resolve(values, environ=None, direct=()):
        values, environ = (
            {name: str(tmp_path / "token") if value == "FILE" else value for name, value in one.items()} for one in (values, environ or {})
        )
        for name in ("CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE"):
            monkeypatch.setenv(name, environ.get(name, ""))
        # Ansible has put the environment's values into the options that nobody gave.
        values = {"token": environ.get("CONSUL_HTTP_TOKEN"), "token_file": environ.get("CONSUL_HTTP_TOKEN_FILE")} | values
        return ConnectionOptions.settings(values.get, direct)

    return resolve


@pytest.mark.parametrize(
    ("values", "environ", "direct", "token"),
    [
        ({}, {}, (), None),
        ({"token": "given"}, {}, (), "given"),
        ({"token_file": "FILE"}, {}, (), "from-file"),
        ({"token": "given"}, {"CONSUL_HTTP_TOKEN_FILE": "FILE"}, (), "given"),
        ({"token_file": "FILE"}, {"CONSUL_HTTP_TOKEN": "env"}, (), "from-file"),
        ({}, {"CONSUL_HTTP_TOKEN": "env", "CONSUL_HTTP_TOKEN_FILE": "FILE"}, (), "from-file"),
        ({"token": "variable", "token_file": "FILE"}, {}, ("token_file",), "from-file"),
        ({"token": "given", "token_file": "FILE"}, {}, ("token", "timeout"), "given"),
    ],
)
def test_the_nearest_token_counts(settings, values, environ, direct, token):
    assert settings(values, environ, direct).token == token


@pytest.mark.parametrize("direct", [(), ("token", "token_file")])
def test_two_tokens_in_one_place_are_refused(settings, direct):
    with pytest.raises(InvalidValueError, match="token and token_file: give one of them"):
        settings({"token": "given", "token_file": "FILE"}, direct=direct)


def test_every_option_arrives(settings):
    values = {
        "agents": ["web1", "web2:1"],
        "timeout": 3.5,
        "datacenter": "dc2",
        "consistency": "stale",
        "ca_path": "/ca",
        "client_cert": "/cert",
        "client_key": "/key",
        "validate_certs": False,
        "tls_server_name": "server.dc2.consul",
    }
    found = settings(values)
    assert [str(agent) for agent in found.agents] == ["web1:8500", "web2:1"]
    assert {name: getattr(found, name) for name in values if name != "agents"} == {n: v for n, v in values.items() if n != "agents"}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens, with ACLs on: they work from wherever they come, and never show."""

from __future__ import annotations

import pytest

MANAGEMENT = "9d0f4a62-1111-4222-8333-0123456789ab"
KEY = "{{ lookup('uwsgi.consul.consul_kv', 'secret/colour') }}"


@pytest.fixture(scope="module")
def guarded(start_agent):
    """An agent that denies by default, with a key and a service."""
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": MANAGEMENT}}
    agent = start_agent({"acl": acl}, management_token=MANAGEMENT, node="guarded")
    agent.put("/v1/kv/secret/colour", b"blue")
    agent.put("/v1/agent/service/register", {"Name": "hidden", "Port": 1})
    return agent


@pytest.fixture(scope="module")
def token(guarded):
    """A token that may read keys, and no service."""
    policy = guarded.put("/v1/acl/policy", {"Name": "keys", "Rules": 'key_prefix "" { policy = "read" }'})
    return guarded.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]})["SecretID"]


def sources(token, tmp_path):
    """For each way to give a token: the call's options, arguments of the command, and the environment."""
    (tmp_path / "token").write_text(f"{token}\n")
    (tmp_path / "vars.json").write_text(f'{{"uwsgi_consul_token": "{token}", "my_token": "{token}"}}')
    variables = ("-e", f"@{tmp_path}/vars.json")
    return {
        "environment": ("", (), {"CONSUL_HTTP_TOKEN": token}),
        "environment's file": ("", (), {"CONSUL_HTTP_TOKEN_FILE": str(tmp_path / "token")}),
        "variable": ("", variables, {}),
        "option": (", token=my_token", variables, {}),
        "option token_file": (f", token_file='{tmp_path}/token'", (), {"CONSUL_HTTP_TOKEN": "not-this-one"}),
    }


SOURCES = ["environment", "environment's file", "variable", "option", "option token_file"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_token_works_from_wherever_it_comes_and_never_shows(render, guarded, token, source, tmp_path):
    options, arguments, environment = sources(token, tmp_path)[source]
    log = tmp_path / "ansible.log"
    environment |= {"CONSUL_HTTP_ADDR": guarded.address, "ANSIBLE_LOG_PATH": str(log)}
    template = KEY.replace(") }}", f"{options}) }}}}")
    run = render(template, *arguments, "-vvv", **environment)
    assert run.code == 0, run.output
    assert '"msg": "blue"' in run.stdout
    assert token not in run.output + log.read_text()


@pytest.mark.parametrize(
    ("template", "address", "message"),
    [
        ("{{ lookup('uwsgi.consul.consul_kv', 'x', datacenter='dc9'OPTIONS) }}", None, "No path to datacenter"),
        ("{{ lookup('uwsgi.consul.consul_kv', 'x'OPTIONS) }}", "dead", "no Consul agent answered"),
        ("{{ lookup('uwsgi.consul.consul_kv', 'x'OPTIONS) }}", None, "key x does not exist"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "option"])
def test_a_token_is_in_no_error(render, guarded, dead, token, source, tmp_path, template, address, message):
    options, arguments, environment = sources(token, tmp_path)[source]
    environment |= {"CONSUL_HTTP_ADDR": dead if address else guarded.address}
    run = render(template.replace("OPTIONS", options), *arguments, "-vvv", **environment)
    assert message in run.error
    assert token not in run.output


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "No token was given: give one with that permission by token, token_file or CONSUL_HTTP_TOKEN"),
        ("00000000-dead-beef-0000-000000000000", "Consul does not know the token"),
    ],
)
def test_a_refusal_says_what_is_needed(render, guarded, token, message):
    error = render(KEY, CONSUL_HTTP_ADDR=guarded.address, CONSUL_HTTP_TOKEN=token).error
    assert "403 " in error
    assert message in error
    assert not token or token not in error


def test_results_that_acls_cut_give_a_warning(render, guarded, token):
    ask = "{{ query('uwsgi.consul.consul_service', 'hidden') }}"
    run = render(ask, CONSUL_HTTP_ADDR=guarded.address, CONSUL_HTTP_TOKEN=token)
    assert run.message == []
    assert "Consul left out instances of service hidden that the token has no permission to see" in " ".join(run.stderr.split())
    assert len(render(ask, CONSUL_HTTP_ADDR=guarded.address, CONSUL_HTTP_TOKEN=MANAGEMENT).message) == 1


def test_a_default_in_place_of_keys_that_acls_hide_gives_a_warning(render, guarded):
    ask = "{{ lookup('uwsgi.consul.consul_kv', 'secret', tree=true, default={}) }}"
    # Consul does not tell those who have no token at all.
    token = guarded.put("/v1/acl/token", {"Description": "may read nothing"})["SecretID"]
    run = render(ask, CONSUL_HTTP_ADDR=guarded.address, CONSUL_HTTP_TOKEN=token)
    assert run.message == {}
    assert "Consul left out keys that the token has no permission to see" in " ".join(run.stderr.split())

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Explicit values, Consul's environment variables, defaults: which one counts, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Agent, Settings


@pytest.mark.parametrize(
    ("address", "agent", "shown"),
    [
        ("web1", Agent("web1", 8500), "web1:8500"),
        (" 10.0.0.1:8501 ", Agent("10.0.0.1", 8501), "10.0.0.1:8501"),
        ("[::1]:8500", Agent("::1", 8500), "[::1]:8500"),
        ("[fe80::1%eth0]", Agent("fe80::1%eth0", 8500), "[fe80::1%eth0]:8500"),
        ("http://web1", Agent("web1", 80), "web1:80"),
        ("https://web1", Agent("web1", 443, True), "https://web1:443"),
        ("https://web1:8501/", Agent("web1", 8501, True), "https://web1:8501"),
        ("https://web1:8501/consul/", Agent("web1", 8501, True, "/consul"), "https://web1:8501/consul"),
        ("unix:///run/consul.sock", Agent(socket="/run/consul.sock"), "unix:///run/consul.sock"),
        ("/run/consul.sock", Agent(socket="/run/consul.sock"), "unix:///run/consul.sock"),
    ],
)
def test_addresses(address, agent, shown):
    assert Agent.parse(address) == agent
    assert str(agent) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://",
        "ftp://web1",
        "web1:0",
        "web1:70000",
        "web1:port",
        "web1/path",
        "we b1",
        "web1?x=1",
        "http://web1/#x",
        "::1:8500:",
        "unix://run/consul.sock",
        "web1\r\nX: y",
        "wéb1",
        "http://web1/a b",
        "[::1",
    ],
)
def test_addresses_that_are_none(address):
    with pytest.raises(InvalidValueError, match=r"^agents: "):
        Agent.parse(address)


def test_an_address_with_a_password_is_refused_without_showing_it():
    with pytest.raises(InvalidValueError) as caught:
        Agent.parse("https://user:hunter2@web1")
    assert "hunter2" not in str(caught.value)


def test_defaults():
    assert Settings.resolve(environ={}) == Settings(agents=(Agent("127.0.0.1", 8500),), timeout=10, consistency="default")


def test_the_environment_counts_where_nothing_is_given():
    settings = Settings.resolve(
        environ={
            "CONSUL_HTTP_ADDR": "web1,https://web2",
            "CONSUL_HTTP_TOKEN": "t0ken",
            "CONSUL_HTTP_SSL": "true",
            "CONSUL_HTTP_SSL_VERIFY": "0",
            "CONSUL_CAPATH": "/etc/ca",
            "CONSUL_CLIENT_CERT": "/c",
            "CONSUL_CLIENT_KEY": "/k",
            "CONSUL_TLS_SERVER_NAME": "server.dc1.consul",
        }
    )
    assert settings == Settings(
        agents=(Agent("web1", 8501, True), Agent("web2", 443, True)),
        token="t0ken",  # noqa: S106
        ca_path="/etc/ca",
        client_cert="/c",
        client_key="/k",
        validate_certs=False,
        tls_server_name="server.dc1.consul",
    )


def test_what_is_given_counts_before_the_environment():
    given = {"agents": ["a:1"], "token": "mine", "ca_path": "/x", "client_cert": "/c", "client_key": "/k", "validate_certs": True}
    environ = {
        "CONSUL_HTTP_ADDR": "b:2",
        "CONSUL_HTTP_TOKEN": "theirs",
        "CONSUL_CACERT": "/y",
        "CONSUL_CLIENT_CERT": "/d",
        "CONSUL_CLIENT_KEY": "/l",
        "CONSUL_HTTP_SSL_VERIFY": "false",
    }
    assert Settings.resolve(**given, environ=environ) == Settings.resolve(**given, environ={})


def test_a_url_keeps_its_scheme_whatever_the_environment():
    assert Settings.resolve(agents=["http://web1"], environ={"CONSUL_HTTP_SSL": "1"}).agents == (Agent("web1", 80),)


def test_empty_variables_are_as_good_as_none():
    environ = dict.fromkeys(["CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "CONSUL_HTTP_SSL_VERIFY"], "")
    assert Settings.resolve(environ=environ) == Settings.resolve(environ={})


@pytest.mark.parametrize(
    ("given", "environ", "token"),
    [
        ({"token": "given"}, {"CONSUL_HTTP_TOKEN": "env"}, "given"),
        ({"token": "given"}, {"CONSUL_HTTP_TOKEN_FILE": "FILE"}, "given"),
        ({"token_file": "FILE"}, {"CONSUL_HTTP_TOKEN": "env"}, "from-file"),
        ({}, {"CONSUL_HTTP_TOKEN": "env"}, "env"),
        ({}, {"CONSUL_HTTP_TOKEN_FILE": "FILE"}, "from-file"),
        ({}, {"CONSUL_HTTP_TOKEN": "env", "CONSUL_HTTP_TOKEN_FILE": "FILE"}, "from-file"),
        ({"token": ""}, {"CONSUL_HTTP_TOKEN": "env"}, None),
    ],
)
def test_which_token_counts(given, environ, token, tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    given, environ = ({name: str(file) if value == "FILE" else value for name, value in one.items()} for one in (given, environ))
    assert Settings.resolve(**given, environ=environ).token == token


def test_the_token_is_in_no_representation():
    assert "s3cret" not in repr(Settings.resolve(token="s3cret", environ={}))  # noqa: S106


@pytest.mark.parametrize("token", ["s3cret\n", "s3 cret", "s3cr\u00e9t", "s3cret\r\nX-Evil: 1", "s3cret\x00"])
def test_a_token_that_can_stand_in_no_header_is_refused_without_showing_it(token):
    with pytest.raises(InvalidValueError) as caught:
        Settings.resolve(token=token, environ={})
    assert str(caught.value).startswith("token: ")
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agents": []}, "agents: needs at least one address"),
        ({"agents": " , "}, "agents: needs at least one address"),
        ({"timeout": 0}, "timeout: 0 is no number of seconds"),
        ({"timeout": -1}, "timeout: -1 is no number"),
        ({"timeout": float("nan")}, "timeout: nan is no number"),
        ({"timeout": float("inf")}, "timeout: inf is no number"),
        ({"timeout": "soon"}, "timeout: 'soon' is no number"),
        ({"datacenter": "dc 2"}, "datacenter: 'dc 2' is no name"),
        ({"datacenter": ""}, "datacenter: '' is no name"),
        ({"consistency": "eventual"}, "consistency: 'eventual' is none of default, consistent, stale"),
        ({"token": "a", "token_file": "/b"}, "token and token_file: give one of them"),
        ({"token_file": "/does/not/exist"}, "token_file: /does/not/exist can't be read: No such file"),
        ({"client_key": "/k"}, "client_key: is of no use without client_cert"),
        ({"environ": {"CONSUL_HTTP_SSL": "perhaps"}}, "CONSUL_HTTP_SSL: 'perhaps' is neither true nor false"),
        ({"environ": {"CONSUL_HTTP_SSL_VERIFY": "no!"}}, "CONSUL_HTTP_SSL_VERIFY: 'no!' is neither true nor false"),
    ],
)
def test_bad_values_are_named(options, message):
    with pytest.raises(InvalidValueError) as caught:
        Settings.resolve(**{"environ": {}, **options})
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
def test_a_token_file_without_token_is_named(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(InvalidValueError, match=f"token_file: {file} holds no token"):
        Settings.resolve(token_file=str(file), environ={})


def test_repeated_agents_count_once():
    assert len(Settings.resolve(agents="a:1,b:1,a:1", environ={}).agents) == 2

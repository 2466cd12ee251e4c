# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of what the plugin's options say, on a module `uwsgi` as uWSGI makes it."""

from __future__ import annotations

import os
import types

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import InvalidValueError, vassal


def in_uwsgi(monkeypatch, *, own=None, **of_plugin):
    """*own*: `uwsgi.opt`, of_plugin: what the plugin says of its options, if it does."""
    module = types.SimpleNamespace(opt=own or {})
    if of_plugin:
        module.consul_options = {name.replace("_", "-"): values for name, values in of_plugin.items()}
    monkeypatch.setattr(vassal, "_found", module)
    monkeypatch.setattr(vassal, "_looked", True)


def test_outside_of_uwsgi_nothing_is_given():
    assert vassal.module() is None
    assert vassal.option("consul-agent") == []
    assert vassal.last("consul-cache") is None
    assert not vassal.has_watches()
    assert str(vassal.settings().agents[0]) == "127.0.0.1:8500"


@pytest.mark.parametrize(
    ("masterpid", "master"), [(os.getpid(), True), (os.getpid() + 1, False), (0, False)], ids=["itself", "another", "none"]
)
def test_the_master_is_known(monkeypatch, masterpid, master):
    in_uwsgi(monkeypatch)
    vassal.module().masterpid = lambda: masterpid
    assert vassal.is_master() is master


def test_the_plugins_word_counts_more_than_uwsgis_own_table(monkeypatch):
    in_uwsgi(monkeypatch, own={"consul-agent": b"b:2"}, consul_agent=["a:1", "b:2"])
    assert vassal.option("consul-agent") == ["a:1", "b:2"]
    in_uwsgi(monkeypatch, own={"consul-agent": b"b:2", "consul-watch-kv": [b"a/", b"b/"], "master": True})
    assert vassal.option("consul-agent") == ["b:2"]
    assert vassal.option("consul-watch-kv") == ["a/", "b/"]
    assert vassal.option("master") == ["True"]


def test_settings(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    in_uwsgi(
        monkeypatch,
        consul_agent=["a:1,b:2", "https://c:3"],
        consul_token_file=[str(tmp_path / "token")],
        consul_ca=["/ca"],
        consul_cert=["/cert"],
        consul_key=["/key"],
        consul_datacenter=["dc1", "dc2"],
        consul_consistency_mode=["stale"],
        consul_timeout=["500ms"],
    )
    settings = vassal.settings()
    assert [str(agent) for agent in settings.agents] == ["a:1", "b:2", "https://c:3"]
    assert (settings.token, settings.ca_path, settings.client_cert, settings.client_key) == ("secret", "/ca", "/cert", "/key")
    assert (settings.datacenter, settings.consistency) == ("dc2", "stale")
    # For each of three agents.
    assert settings.timeout == 1.5


def test_what_the_options_leave_out_is_the_environments(monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "elsewhere:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "secret")
    in_uwsgi(monkeypatch, consul_timeout=["3"])
    settings = vassal.settings()
    assert (str(settings.agents[0]), settings.token, settings.timeout) == ("elsewhere:1", "secret", 3.0)


@pytest.mark.parametrize("name", ["consul_agent", "consul_timeout", "consul_consistency_mode", "consul_datacenter"])
def test_a_wrong_value_is_refused(monkeypatch, name):
    in_uwsgi(monkeypatch, **{name: ["no such:thing"]})
    with pytest.raises(InvalidValueError):
        vassal.settings()


@pytest.mark.parametrize(
    ("text", "watch"),
    [
        ("app/", ("app/", None)),
        ("app/,dc=dc2", ("app/", "dc2")),
        ("app/ , on-change=reload , dc=dc2", ("app/", "dc2")),
        ('"a,b/",dc=dc2', ("a,b/", "dc2")),
        (r'"say \"hi\"\\",dc="d"', (r'say "hi"' + "\\", "d")),
        ("ü/", ("ü/", None)),
    ],
)
def test_watches_of_keys(monkeypatch, text, watch):
    in_uwsgi(monkeypatch, consul_watch_kv=[text, "other/"])
    assert vassal.key_watches() == [watch, ("other/", None)]
    assert vassal.has_watches()

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all lookups share."""

from __future__ import annotations

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleLookupError

from ansible_collections.uwsgi.consul.plugins.doc_fragments import cache, connection, tls, token
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from ansible_collections.uwsgi.consul.plugins.plugin_utils import _lookup
from ansible_collections.uwsgi.consul.plugins.plugin_utils._answers import SharingApi


class Asker:
    """Stands for `Api`; remembers the settings that it was made with."""

    made: list = []  # noqa: RUF012

    def __init__(self, settings):
        self.made.append(settings)


@pytest.fixture(autouse=True)
def clients(monkeypatch):
    monkeypatch.setattr(_lookup, "Api", Asker)
    monkeypatch.setattr(Asker, "made", [])
    _lookup._api_for.cache_clear()
    yield Asker.made
    _lookup._api_for.cache_clear()


class Lookup(_lookup.ConsulLookup):
    """A lookup with the connection options only."""

    _load_name = "lookup_of_the_test"

    def results(self, api, terms):
        return [(type(api).__name__, terms)]


@pytest.fixture
def lookup():
    options = {}
    for fragment in (connection, token, tls):
        sources = yaml.safe_load(fragment.ModuleDocFragment.PLUGINS)["options"]
        for name, option in yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"].items():
            options[name] = option | sources[name]
    options |= yaml.safe_load(cache.ModuleDocFragment.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("lookup", Lookup._load_name, options)
    return Lookup()


def test_options_come_from_the_task_then_from_variables(lookup, clients):
    lookup.run(["web"], variables={"uwsgi_consul_agents": ["a:1"], "uwsgi_consul_datacenter": "dc2"}, datacenter="dc3", timeout=2)
    assert (str(clients[0].agents[0]), clients[0].datacenter, clients[0].timeout) == ("a:1", "dc3", 2)


def test_one_api_for_all_lookups_with_the_same_settings(lookup, clients):
    for _ in range(3):
        lookup.run(["web"], agents=["a:1"])
    lookup.run(["web"], agents=["b:1"])
    assert len(clients) == 2


def test_the_word_of_older_releases_is_no_unknown_option(lookup):
    assert lookup.run(["web"], wantlist=True) == [("Asker", ["web"])]


def test_answers_are_shared_only_when_told_and_where_an_old_one_will_do(lookup, monkeypatch):
    name = SharingApi.__name__
    assert lookup.run(["web"]) == [("Asker", ["web"])]
    assert lookup.run(["web"], cache=True) == [(name, ["web"])]
    assert lookup.run(["web"], variables={"uwsgi_consul_cache": True}) == [(name, ["web"])]
    assert lookup.run(["web"], variables={"uwsgi_consul_cache": True}, cache=False) == [("Asker", ["web"])]
    assert lookup.run(["web"], cache=True, cache_timeout=0) == [("Asker", ["web"])]
    monkeypatch.setattr(lookup, "may_share", lambda: False)
    assert lookup.run(["web"], cache=True) == [("Asker", ["web"])]


def test_lists_of_terms_are_flattened(lookup):
    assert lookup.run([["a", "b"], "c"]) == [("Asker", ["a", "b", "c"])]


def test_errors_are_ansibles(lookup, monkeypatch):
    def fail(_client, _terms):
        raise NoAgentError("no Consul agent answered (time-out 1 s): a:1: refused", asked="GET /v1/x", advice="Start one")

    monkeypatch.setattr(lookup, "results", fail)
    with pytest.raises(AnsibleLookupError) as caught:
        lookup.run(["web"])
    assert str(caught.value) == "GET /v1/x: no Consul agent answered (time-out 1 s): a:1: refused. Start one"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datacentre": "dc2"}, "datacentre: no such option. The options are agents, "),
        ({"agents": ["web1:port"]}, "agents: 'web1:port' is no address"),
        ({"timeout": -1}, "timeout: -1.0 is no number of seconds"),
        ({"token": "two words"}, "token: holds a character"),
        ({"cache": True, "cache_timeout": -1}, "cache_timeout: -1.0 is no number of seconds"),
    ],
)
def test_bad_options_are_errors_before_anything_is_done(lookup, clients, options, message):
    with pytest.raises(AnsibleLookupError) as caught:
        lookup.run(["web"], **options)
    assert message in str(caught.value)
    assert "two words" not in str(caught.value)
    assert not clients

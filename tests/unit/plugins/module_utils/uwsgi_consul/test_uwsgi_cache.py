# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of reading uWSGI's cache, on a module `uwsgi` whose cache is a mapping."""

from __future__ import annotations

import threading
import types

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import uwsgi_cache, vassal


class Cache(dict):
    """The items of the caches by name and key, and how often each was read."""

    def get_item(self, key, name):
        return self.get((name, key))


@pytest.fixture
def cache(monkeypatch):
    made = Cache()
    module = types.SimpleNamespace(cache_get=made.get_item, consul_options={"consul-watch-service": ["web"]})
    monkeypatch.setattr(vassal, "_found", module)
    monkeypatch.setattr(vassal, "_looked", True)
    monkeypatch.setattr(uwsgi_cache, "_remembered", {})
    made.module = module
    return made


def test_outside_of_uwsgi_there_is_none():
    assert not uwsgi_cache.available()
    assert uwsgi_cache.cached("service/web") is None
    assert uwsgi_cache.own("service/web") is None


def test_an_item_is_decoded_only_when_it_has_changed(cache):
    assert uwsgi_cache.available()
    assert uwsgi_cache.cached("service/web") is None
    cache["consul", "service/web"] = b'{"instances": []}'
    first = uwsgi_cache.cached("service/web")
    assert first == {"instances": []}
    cache["consul", "service/web"] = bytes(bytearray(cache["consul", "service/web"]))
    assert uwsgi_cache.cached("service/web") is first
    cache["consul", "service/web"] = b'{"instances": [1]}'
    assert uwsgi_cache.cached("service/web") == {"instances": [1]}
    del cache["consul", "service/web"]
    assert uwsgi_cache.cached("service/web") is None


def test_an_item_of_ones_own_is_nobody_elses(cache):
    cache["consul", "kv/a"] = b'{"value": "1"}'
    shared, own = uwsgi_cache.cached("kv/a"), uwsgi_cache.own("kv/a")
    own["value"] = "changed"
    assert uwsgi_cache.cached("kv/a") is shared
    assert shared == {"value": "1"}


def test_the_cache_that_the_option_names(cache):
    cache["other", "agent"] = b'{"state": "connected"}'
    assert uwsgi_cache.cached("agent") is None
    cache.module.consul_options["consul-cache"] = ["consul", "other"]
    assert uwsgi_cache.name() == "other"
    assert uwsgi_cache.cached("agent") == {"state": "connected"}


@pytest.mark.parametrize("raw", [b"", b"no JSON", b"[]", b"7", b"\xff\xfe", b'{"cut": ', b"[" * 100_000])
def test_what_the_plugin_did_not_write_is_no_item(cache, raw):
    cache["consul", "agent"] = raw
    assert uwsgi_cache.cached("agent") is None
    assert uwsgi_cache.own("agent") is None


def test_an_instance_that_watches_nothing_has_no_cache_to_read(cache):
    cache.module.consul_options = {"consul-agent": ["127.0.0.1:8500"]}
    assert not uwsgi_cache.available()


def test_what_is_remembered_is_bounded_and_threads_do_not_disturb_each_other(cache, monkeypatch):
    monkeypatch.setattr(uwsgi_cache, "_MOST_REMEMBERED", 10)
    for number in range(40):
        cache["consul", f"kv/{number}"] = f'{{"value": {number}}}'.encode()
    wrong = []

    def read():
        for turn in range(2000):
            number = turn * 7 % 40
            if uwsgi_cache.cached(f"kv/{number}") != {"value": number}:
                wrong.append(number)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    # Each thread may add one more before it sees that there are too many.
    assert len(uwsgi_cache._remembered) <= 14

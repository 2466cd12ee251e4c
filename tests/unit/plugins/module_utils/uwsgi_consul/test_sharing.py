# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import unquote

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.sharing import (
    KEYS,
    SERVICES,
    Group,
    choose_direct,
    common_folder,
    group_of,
    sentinels_of,
    troubles,
)

WEB, KEY = Group(SERVICES, ()), Group(KEYS, ())


@pytest.mark.parametrize(
    ("path", "params", "group"),
    [
        ("/v1/health/service/web", (), WEB),
        ("/v1/health/service/web", (("tag", "a"), ("passing", "1"), ("filter", "x"), ("near", "_agent")), WEB),
        ("/v1/health/service/web", (("dc", "dc2"), ("tag", "a")), Group(SERVICES, (("dc", "dc2"),))),
        ("/v1/kv/app/x", (), KEY),
        ("/v1/kv/app/", (("recurse", "1"), ("stale", "1")), Group(KEYS, (("stale", "1"),))),
        # What is asked for in another way may change by other things.
        ("/v1/kv/app/", (("keys", "1"),), None),
        ("/v1/health/service/web", (("cached", "1"),), None),
        ("/v1/health/connect/web", (), None),
        ("/v1/catalog/nodes", (), None),
    ],
)
def test_only_what_the_sentinels_look_out_for_shares_them(path: str, params: tuple[tuple[str, str], ...], group: Group | None) -> None:
    assert group_of(path, params) == group


def queries_needed(groups: list[Group | None], direct: set[int]) -> int:
    shared = {group for position, group in enumerate(groups) if position not in direct and group is not None}
    return len(direct) + sum(group.sentinels for group in shared)


def test_as_many_as_fit_have_a_query_of_their_own() -> None:
    assert choose_direct([WEB] * 7, 7) == set(range(7))
    assert choose_direct([WEB] * 8, 7) == set(range(4))
    assert choose_direct([KEY] * 100, 7) == set(range(6))
    assert choose_direct([], 7) == set()


@pytest.mark.parametrize("count", range(1, 40))
def test_the_slots_are_never_exceeded_by_watches_of_one_datacenter(count: int) -> None:
    groups: list[Group | None] = [WEB, KEY] * count
    direct = choose_direct(groups, 7)
    assert queries_needed(groups, direct) <= 7
    assert len(direct) == len(groups) or queries_needed(groups, direct) == 7


def test_what_cannot_share_has_its_own_however_many_there_are() -> None:
    groups = [None] * 20 + [WEB] * 20
    assert choose_direct(groups, 7) == set(range(20))


@pytest.mark.parametrize(
    ("keys", "folder"),
    [
        (["app/one", "app/two"], "app/"),
        (["app/one", "app/one/two"], "app/"),
        (["app/", "app/x"], "app/"),
        (["app", "apple"], ""),
        (["a/b/c", "a/bc/d"], "a/"),
        # Consul would clean this path if it ended in the dot.
        (["a/.x", "a/.y"], "a/"),
        (["one", "two"], ""),
        (["a%20b/x", "a%20b/y"], "a b/"),
        ([""], ""),
        ([], ""),
    ],
)
def test_keys_have_in_common_what_they_begin_with_up_to_a_slash(keys: list[str], folder: str) -> None:
    assert common_folder(f"/v1/kv/{key}" for key in keys) == folder


def test_every_key_lies_below_its_sentinel() -> None:
    paths = ["/v1/kv/a%25b/%C3%A9/x", "/v1/kv/a%25b/%C3%A9/y/z"]
    ((path, params),) = sentinels_of(Group(KEYS, (("dc", "dc2"),)), paths)
    assert all(unquote(one).startswith(unquote(path)) for one in paths)
    assert params == (("keys", "1"), ("separator", "/"), ("dc", "dc2"))


def test_the_sentinels_of_services_ask_in_their_datacenter() -> None:
    assert all(("dc", "dc2") in params for _path, params in sentinels_of(Group(SERVICES, (("dc", "dc2"),)), []))


@pytest.mark.parametrize("answer", [{"a": 1}, [1], [{}], 7, None, [None]])
def test_what_is_no_list_of_checks_is_refused(answer: object) -> None:
    with pytest.raises((TypeError, KeyError, AttributeError)):
        troubles(answer)

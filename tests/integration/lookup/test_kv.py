# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`consul_kv` with a real agent."""

from __future__ import annotations

from urllib.parse import quote

import pytest

FOLDER = "kv-of-the-lookup-test"
KEYS = {
    "colour": b"blue",
    "a b?&#%": b"odd",
    "\u00e9/\u20ac": "\u00fc".encode(),
    "empty": b"",
    "binary": b"\xff\x00",
    "limits": b'{"requests": 7}',
}


@pytest.fixture(scope="module", autouse=True)
def written(consul):
    for key, value in KEYS.items():
        consul.put(f"/v1/kv/{quote(f'{FOLDER}/{key}')}", value)
    consul.put(f"/v1/kv/{FOLDER}-neighbour", b"not of the folder")


@pytest.fixture
def kv(render, consul):
    def call(*calls):
        templates = [f"{{{{ {call} }}}}" for call in calls]
        return render(templates, CONSUL_HTTP_ADDR=consul.address)

    return call


def test_values_come_back_as_they_are(kv):
    odd, accents, empty, joined, several, decoded, encoded = kv(
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/a b?&#%')",
        f"lookup('consul_kv', '{FOLDER}/\u00e9/\u20ac')",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/empty')",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/colour', '{FOLDER}/empty')",
        f"query('uwsgi.consul.consul_kv', '{FOLDER}/colour', '{FOLDER}/empty')",
        f"(lookup('uwsgi.consul.consul_kv', '{FOLDER}/limits') | from_json).requests",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/binary', encoding='base64')",
    ).message
    assert (odd, accents, empty, joined) == ("odd", "\u00fc", "", "blue,")
    assert (several, int(decoded), encoded) == (["blue", ""], 7, "/wA=")


def test_a_folder(kv):
    tree, mapping, single, none = kv(
        f"query('uwsgi.consul.consul_kv', '{FOLDER}/', recurse=true, encoding='base64')",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/l', '{FOLDER}/c', recurse=true) | items2dict",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/c', recurse=true)",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/nix/', recurse=true, fail_on_missing=false)",
    ).message
    assert [entry["key"] for entry in tree] == sorted(f"{FOLDER}/{key}" for key in KEYS)
    assert mapping == {f"{FOLDER}/limits": '{"requests": 7}', f"{FOLDER}/colour": "blue"}
    assert single == [{"key": f"{FOLDER}/colour", "value": "blue", "flags": 0}]
    assert none == []


def test_folders_names_and_decoded_values(kv):
    tree, names, limits, many = kv(
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}', tree=true, encoding='base64')",
        f"query('uwsgi.consul.consul_kv', '{FOLDER}/', keys_only=true, separator='/')",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/limits', decode='json').requests + 1",
        f"query('uwsgi.consul.consul_kv', '{FOLDER}/a b?&#%', '{FOLDER}/nix', '{FOLDER}/\u00e9/\u20ac', default='none')",
    ).message
    assert (tree["binary"], tree["empty"], list(tree["\u00e9"])) == ("/wA=", "", ["\u20ac"])
    assert f"{FOLDER}/\u00e9/" in names
    assert f"{FOLDER}/colour" in names
    assert int(limits) == 8
    assert many == ["odd", "none", "\u00fc"]


def test_a_missing_key_where_it_may_be_missing(kv):
    assert kv(
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/nix', default='red')",
        f"query('uwsgi.consul.consul_kv', '{FOLDER}/nix', '{FOLDER}/colour', fail_on_missing=false)",
        f"lookup('uwsgi.consul.consul_kv', '{FOLDER}/nix', fail_on_missing=false) | default('grey', true)",
    ).message == ["red", ["blue"], "grey"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (f"'{FOLDER}/nix'", f"key {FOLDER}/nix does not exist in Consul's key/value store. Give default or fail_on_missing=false"),
        (f"'{FOLDER}/nix/', recurse=true", f"prefix {FOLDER}/nix/ does not exist"),
        (f"'/{FOLDER}/colour'", "must not start with a slash"),
        (f"'{FOLDER}/../colour'", "which Consul's HTTP API can't address"),
        (f"'{FOLDER}/binary'", f"the value of {FOLDER}/binary is not UTF-8 text. Read it with encoding=base64"),
    ],
)
def test_errors_say_what_is_wrong(kv, call, message):
    assert message in kv(f"lookup('uwsgi.consul.consul_kv', {call})").error

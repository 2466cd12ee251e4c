# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client that users of python-consul2 and py-consul know, on our transport; runs with either library."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import consul
import pytest
from consul import base

import ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul as uwsgi_consul
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import AsyncClient, Client, ConsulError, errors

# python-consul2 warns of its own parts for old releases of Consul.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:consul")

TOKEN = "3f1b0c6e-secret-of-the-test"  # noqa: S105
COLLECTIONS = Path(uwsgi_consul.__file__).parents[6]


def make(agent, **options):
    return Client(agents=[agent.address], timeout=5, **options)


def test_it_is_the_librarys_client_with_all_its_parts(fake_agent):
    class Plain(base.Consul):
        def http_connect(self, *_arguments, **_options):
            return None

    client = make(fake_agent())
    assert isinstance(client, base.Consul)
    for name, part in vars(Plain()).items():
        assert hasattr(client, name)
        if not isinstance(part, (str, type(None))):
            assert type(getattr(client, name)) is type(part)
            assert getattr(client, name) is getattr(client, name)
    with pytest.raises(AttributeError, match="'Client' object has no attribute 'kw'"):
        client.kw  # noqa: B018


@pytest.mark.parametrize("address", ["http://[::1]:8500", "localhost", "a:1,b:2,c:3", "127.0.0.1:1"])
def test_the_environment_overrides_nothing_that_is_given(fake_agent, monkeypatch, address):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-the-environment")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    agent = fake_agent()
    client = Client(agents=[f"http://{agent.address}"], token=TOKEN)
    client.kv.get("key", recurse=True)
    assert agent.requests[0].headers["x-consul-token"] == TOKEN


def test_a_value_of_the_kv_store(fake_agent, reply):
    agent = fake_agent(reply('[{"Key": "a b", "Value": "Ymx1ZQ==", "Flags": 0}]', X_Consul_Index="7"))
    index, entry = make(agent).kv.get("a b")
    assert (int(index), entry["Value"]) == (7, b"blue")
    assert agent.requests[0].target == "/v1/kv/a%20b"


def test_a_missing_key_is_none(fake_agent, reply):
    index, entry = make(fake_agent(reply("", 404, X_Consul_Index="9"))).kv.get("none")
    assert (int(index), entry) == (9, None)


def test_writes_carry_their_body(fake_agent, reply):
    agent = fake_agent(reply("true"))
    client = make(agent)
    assert client.kv.put("key", "välue", cas=3) is True
    assert client.kv.put("empty", "") is True
    assert client.agent.service.register("web", service_id="web-1", port=2001) is True
    assert client.kv.delete("key") is True
    assert [(one.method, one.target, one.headers["content-length"]) for one in agent.requests[:2]] == [
        ("PUT", "/v1/kv/key?cas=3", "6"),
        ("PUT", "/v1/kv/empty", "0"),
    ]
    assert agent.requests[0].body == "välue".encode()
    assert json.loads(agent.requests[2].body)["name" if b'"name"' in agent.requests[2].body else "Name"] == "web"
    assert agent.requests[3].method == "DELETE"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.health.service("web", passing=True),
        lambda client: client.health.node("n"),
        lambda client: client.health.checks("web"),
        lambda client: client.health.state("any"),
        lambda client: client.catalog.service("web"),
        lambda client: client.catalog.services(),
        lambda client: client.catalog.nodes(),
        lambda client: client.kv.get("key", recurse=True),
        lambda client: client.session.list(),
        lambda client: client.event.list(),
        lambda client: client.coordinate.nodes(),
    ],
)
def test_datacenter_consistency_and_token_are_on_every_read_of_the_library(fake_agent, call):
    agent = fake_agent()
    call(make(agent, datacenter="dc2", consistency="stale", token=TOKEN))
    path, _mark, query = agent.requests[0].target.partition("?")
    assert sorted(part for part in query.split("&") if part in ("dc=dc2", "stale=1")) == ["dc=dc2", "stale=1"], path
    assert query.count("stale") == query.count("dc=") == 1
    assert agent.requests[0].headers["x-consul-token"] == TOKEN


def test_the_mode_of_the_call_counts_before_that_of_the_client(fake_agent):
    agent = fake_agent()
    client = make(agent, consistency="stale")
    client.kv.get("key", recurse=True, consistency="default")
    client.kv.get("key", recurse=True, consistency="consistent")
    client.request("GET", "/v1/health/service/web", consistency="default")
    assert [one.target.partition("?")[2] for one in agent.requests] == ["recurse=1", "recurse=1&consistent=1", ""]


@pytest.mark.parametrize(
    ("call", "target"),
    [
        (
            lambda client: client.health.service("web", passing=True, consistency="consistent"),
            "/v1/health/service/web?passing=1&consistent=1",
        ),
        (lambda client: client.health.node("n", cached=1), "/v1/health/node/n?cached=1"),
        (lambda client: client.health.state("any", consistency="stale", peer="east"), "/v1/health/state/any?peer=east&stale=1"),
        (lambda client: client.catalog.datacenters(partition="p", ns=None), "/v1/catalog/datacenters?partition=p"),
        (lambda client: client.agent.services(filter='Service == "a&b"'), "/v1/agent/services?filter=Service+%3D%3D+%22a%26b%22"),
    ],
)
def test_calls_take_what_the_library_forgot(fake_agent, call, target):
    agent = fake_agent()
    call(make(agent))
    assert agent.requests[0].target == target


def test_what_one_call_was_given_is_gone_in_the_next(fake_agent):
    agent = fake_agent()
    client = make(agent)
    client.health.service("web", consistency="stale", token=TOKEN)
    client.health.service("web")
    assert [one.target for one in agent.requests] == ["/v1/health/service/web?stale=1", "/v1/health/service/web"]
    assert [one.headers.get("x-consul-token") for one in agent.requests] == [TOKEN, None]
    with pytest.raises(TypeError, match="colour"):
        client.health.service("web", colour="blue")
    with pytest.raises(errors.InvalidValueError, match="'strict' is none of default, consistent, stale"):
        client.health.service("web", consistency="strict")


def test_several_tags_are_each_a_parameter(fake_agent):
    agent = fake_agent()
    make(agent).health.service("web", tag=["v1", "blue"])
    assert agent.requests[0].target == "/v1/health/service/web?tag=v1&tag=blue"


def test_a_prepared_query_gets_no_template_that_nobody_asked_for(fake_agent, reply):
    agent = fake_agent(reply('{"ID": "1"}'))
    client = make(agent)
    client.query.create("web", name="nearest")
    client.query.create("web", name="geo", regexp="^geo-(.*)$")
    definition = {"Name": "nearest", "Service": {"Service": "web", "Failover": {"NearestN": 3}}}
    client.query.create(definition)
    bodies = [json.loads(one.body) for one in agent.requests]
    assert "template" not in bodies[0]
    assert bodies[1]["template"] == {"type": "name_prefix_match", "regexp": "^geo-(.*)$"}
    assert bodies[2] == definition


@pytest.mark.parametrize("ttl", [15, "15s"])
def test_a_session_takes_its_time_as_a_number_or_a_duration(fake_agent, reply, ttl):
    agent = fake_agent(reply('{"ID": "1"}'))
    assert make(agent).session.create(ttl=ttl, behavior="delete") == "1"
    assert json.loads(agent.requests[0].body)["ttl"] == "15s"


def test_what_came_with_the_last_answer(fake_agent, reply):
    headers = {"X_Consul_LastContact": "120", "X_Consul_KnownLeader": "true", "X_Cache": "HIT", "Age": "3"}
    client = make(fake_agent(reply("[]", X_Consul_Index="7", **headers)))
    client.health.service("web")
    last = client.last_answer
    assert (last.index, last.last_contact, last.known_leader, last.cache_age, last.status) == (7, 0.12, True, 3.0, 200)
    assert last.content == b""


def test_what_did_not_come_with_the_last_answer(fake_agent, reply):
    client = make(fake_agent(reply("[]", X_Consul_Index="-7")))
    client.health.service("web")
    last = client.last_answer
    assert (last.index, last.last_contact, last.known_leader, last.cache_age) == (0, None, None, None)


def test_a_token_file_is_read_again_when_it_changes(fake_agent, tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    agent = fake_agent()
    client = make(agent, token_file=str(file))
    client.health.service("web")
    for change in (lambda: file.write_text("second\n"), lambda: file.write_text("no token\n"), file.unlink):
        change()
        client.health.service("web")
    assert [one.headers["x-consul-token"] for one in agent.requests] == ["first", "second", "second", "second"]


def test_calls_can_be_awaited(fake_agent, reply):
    agent = fake_agent(lambda received: reply("", 403) if "secret" in received.target else reply('[{"Value": "Ymx1ZQ=="}]'))

    async def main():
        async with AsyncClient(agents=[agent.address], timeout=5) as client:
            assert isinstance(client, base.Consul)
            found = await asyncio.gather(*(client.kv.get(f"key{number}", consistency="stale") for number in range(5)))
            assert [entry["Value"] for _index, entry in found] == [b"blue"] * 5
            with pytest.raises(consul.ACLPermissionDenied):
                await client.kv.get("secret")
            assert client.last_answer.index == 1
            assert (await client.request("GET", "/v1/status/leader")).status == 200

    asyncio.run(main())
    asyncio.run(main())
    assert "/v1/kv/key0?stale=1" in {one.target for one in agent.requests}


def test_the_token_goes_where_the_libraries_leave_it_out(fake_agent, reply):
    agent = fake_agent(reply('{"Results": []}'))
    client = make(agent, token=TOKEN)
    client.txn.put([])
    client.status.leader()
    client.query.create("web", name="q")
    assert {one.headers.get("x-consul-token") for one in agent.requests} == {TOKEN}
    assert not any(TOKEN.encode() in one.body or TOKEN in one.target for one in agent.requests)


@pytest.mark.skipif(not hasattr(base, "CB"), reason="py-consul has no such calls")
def test_old_calls_that_put_the_token_into_the_url_do_not(fake_agent):
    agent = fake_agent()
    make(agent).acl.legacy_tokens.list(token=TOKEN)
    assert TOKEN not in agent.requests[0].target
    assert agent.requests[0].headers["x-consul-token"] == TOKEN


@pytest.mark.parametrize(
    ("status", "ours", "theirs"),
    [
        (400, errors.BadRequestError, "BadRequest"),
        (401, errors.PermissionDeniedError, "ACLDisabled"),
        (403, errors.PermissionDeniedError, "ACLPermissionDenied"),
        (409, errors.BadRequestError, "ClientError"),
        (500, errors.ServerError, "ConsulException"),
        (301, errors.BadAnswerError, "ConsulException"),
    ],
)
def test_errors_are_ours_and_the_librarys(fake_agent, reply, status, ours, theirs):
    places = (consul, base, getattr(consul, "exceptions", None))
    theirs = next(getattr(place, theirs) for place in places if hasattr(place, theirs))
    client = make(fake_agent(reply("because", status)))
    for call in (lambda: client.kv.get("key"), lambda: client.request("GET", "/v1/kv/key")):
        with pytest.raises(ours) as caught:
            call()
        assert isinstance(caught.value, (ConsulError, theirs))
        assert isinstance(caught.value, theirs)
        assert str(caught.value).startswith(f"GET /v1/kv/key of {client.settings.agents[0]}: ")


def test_no_agent_is_an_error_of_the_library_too(refusing):
    with pytest.raises(consul.ConsulException) as caught:
        Client(agents=[refusing]).health.service("web")
    assert isinstance(caught.value, errors.NoAgentError)
    assert caught.value.attempts == {refusing: "connection refused"}


@pytest.mark.parametrize("body", ["", "<html>", "[1, 2", "7", '{"a": 1}', "[[]]"])
def test_an_answer_that_is_none_is_a_bad_answer(fake_agent, reply, body):
    with pytest.raises(errors.BadAnswerError):
        make(fake_agent(reply(body))).kv.get("key")


def test_the_token_is_in_no_error_of_the_library(fake_agent, reply):
    agent = fake_agent(lambda received: reply(f"{received.headers['x-consul-token']} lacks permission", 403))
    client = make(agent, token=TOKEN)
    with pytest.raises(consul.ACLPermissionDenied) as caught:
        client.kv.get("key")
    assert TOKEN not in repr(caught.value) + str(caught.value) + repr(client)


def run(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", f"import sys; sys.path.insert(0, {str(COLLECTIONS)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_the_library_only_the_client_is_missing():
    result = run(
        "sys.modules['consul'] = None\n"
        "from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Client, Settings, ConsulError\n"
        "try: Client()\n"
        "except ConsulError as error: print(error)\n"
    )
    assert result.stdout == (
        f"the Python library python-consul2 is not installed. Install it for {sys.executable}: "
        f"{sys.executable} -m pip install python-consul2 (or py-consul)\n"
    ), result.stderr


def test_the_library_is_not_imported_before_it_is_needed():
    result = run(
        "import ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul as c\n"
        "print(sorted({'consul', 'requests', 'ansible'} & set(sys.modules)))\n"
        "c.Client()\n"
        "print('consul' in sys.modules, 'ansible' in sys.modules)\n"
    )
    assert result.stdout == "[]\nTrue False\n", result.stderr


def test_the_package_stands_alone_under_its_own_name():
    folder = Path(uwsgi_consul.__file__).parents[1]
    result = run(f"sys.path.insert(0, {str(folder)!r})\nimport uwsgi_consul\nprint(uwsgi_consul.Client(agents='web1').settings.agents[0])")
    assert result.stdout == "web1:8500\n", result.stderr

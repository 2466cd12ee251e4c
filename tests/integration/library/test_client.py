# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users of python-consul2 write, on our client, against a real Consul; and the same awaited."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
import uuid

import consul as consul_library
import pytest
from consul import Check
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import (
    Api,
    AsyncClient,
    Client,
    NoAgentError,
    PermissionDeniedError,
    background,
)

# python-consul2 warns of its own parts for old releases of Consul.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:consul")

MANAGEMENT = str(uuid.uuid4())


@pytest.fixture
def client(consul):
    with Client(agents=[consul.address]) as made:
        yield made


@pytest.fixture
def name():
    return f"client-{uuid.uuid4().hex[:8]}"


def test_a_service_registers_itself_and_is_found(client, name):
    def instances(**options):
        return client.health.service(name, **options)[1]

    client.agent.service.register(
        name=name,
        service_id=f"{name}-host1-2001",
        address="192.0.2.1",
        port=2001,
        tags=["v2", "primary"],
        meta={"version": "2.4.1", "region": "us-east"},
        check=Check.ttl("30s"),
    )
    try:
        wait_for("Consul has it", lambda: instances())
        assert not instances(passing=True)
        client.agent.check.ttl_pass(f"service:{name}-host1-2001")
        wait_for("Consul has it", lambda: instances(passing=True))
        assert instances(passing=True, tag="v2", consistency="consistent")[0]["Service"]["Meta"]["region"] == "us-east"
        assert [entry["Service"]["Port"] for entry in instances(consistency="stale", dc="dc1", filter="Service.Port == 2001")] == [2001]
        assert not instances(filter="Service.Port == 1")
    finally:
        client.agent.service.deregister(f"{name}-host1-2001")
    wait_for("Consul has it", lambda: not instances())


def test_a_blocking_query_answers_when_something_changes(client, name):
    index, found = client.health.service(name, passing=True)
    assert found == []
    timer = threading.Timer(0.3, lambda: client.agent.service.register(name, service_id=name))
    timer.start()
    started = time.monotonic()
    try:
        new_index, found = client.health.service(name, passing=True, index=index, wait="30s")
        assert (len(found), int(new_index) > int(index)) == (1, True)
        assert time.monotonic() - started < 15
    finally:
        timer.join()
        client.agent.service.deregister(name)
    assert client.last_answer.known_leader is None
    client.kv.get(name)
    assert (client.last_answer.known_leader, client.last_answer.last_contact) == (True, 0)


def test_a_lock_as_everybody_writes_it(client, name):
    session_id = client.session.create(ttl="15s", behavior="delete")
    other = client.session.create(ttl=15)
    assert client.kv.put(f"locks/{name}", b"owner-1", acquire=session_id)
    assert not client.kv.put(f"locks/{name}", b"owner-2", acquire=other)
    assert client.kv.get(f"locks/{name}")[1]["Session"] == session_id
    assert client.kv.put(f"locks/{name}", b"", release=session_id)
    client.session.destroy(session_id)
    client.session.destroy(other)


def test_a_prepared_query_is_executed_by_its_name(client, name):
    client.agent.service.register(name, service_id=name, port=1)
    query = client.query.create({"Name": f"nearest-{name}", "Service": {"Service": name, "Failover": {"NearestN": 3}, "OnlyPassing": True}})
    plain = client.query.create(name, name=f"plain-{name}")
    try:
        wait_for("Consul has it", lambda: client.query.execute(f"nearest-{name}")["Nodes"])
        assert client.query.execute(f"plain-{name}")["Nodes"][0]["Service"]["Port"] == 1
    finally:
        client.query.delete(query["ID"])
        client.query.delete(plain["ID"])
        client.agent.service.deregister(name)


def test_a_configuration_is_watched(client, name):
    client.kv.put(f"{name}/colour", "blue")
    index, data = client.kv.get(f"{name}/", recurse=True)
    timer = threading.Timer(0.2, lambda: client.kv.put(f"{name}/colour", "green"))
    timer.start()
    new_index, data = client.kv.get(f"{name}/", recurse=True, index=index, wait="20s")
    timer.join()
    assert {item["Key"]: item["Value"].decode() for item in data} == {f"{name}/colour": "green"}
    assert int(new_index) > int(index)


def test_calls_are_awaited_side_by_side(consul, name):
    async def main():
        async with AsyncClient(agents=[consul.address]) as client:
            assert await client.kv.put(name, "blue")
            index, entry = await client.kv.get(name)
            waiting = [asyncio.ensure_future(client.kv.get(name, index=index, wait="20s")) for _ in range(20)]
            await asyncio.sleep(0.2)
            await client.kv.put(name, "green")
            values = {entry["Value"] for _index, entry in await asyncio.wait_for(asyncio.gather(*waiting), 15)}
            return entry["Value"], values

    assert asyncio.run(main()) == (b"blue", {b"green"})


def test_a_client_used_before_a_fork_is_right_in_both_processes(consul, name):
    client = Client(agents=[consul.address])
    keys = [f"{name}/{number}" for number in range(40)]
    for key in keys:
        client.kv.put(key, key)

    def wrong():
        found = sum(client.kv.get(key)[1]["Value"].decode() != key for key in keys)
        shared = background.api(client.settings)
        return found + sum(background.run(shared.request("GET", f"/v1/kv/{key}")).json()[0]["Key"] != key for key in keys)

    assert wrong() == 0
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = min(98, sum(wrong() for _ in range(5)))
            finally:
                os._exit(code)
        children.append(child)
    assert sum(wrong() for _ in range(5)) == 0
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]


def test_the_next_agent_answers_when_one_dies(consul_agents, name):
    first, second = consul_agents(), consul_agents(node="node2")
    client = Client(agents=[first.address, second.address], timeout=10)
    client.kv.put(name, "first")
    second.put(f"/v1/kv/{name}", b"second")
    assert client.kv.get(name)[1]["Value"] == b"first"
    first.stop()
    assert client.kv.get(name)[1]["Value"] == b"second"
    second.stop()
    with pytest.raises(NoAgentError) as caught:
        client.kv.get(name)
    assert isinstance(caught.value, consul_library.ConsulException)
    assert set(caught.value.attempts) == {first.address, second.address}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, consul):
    acl = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": MANAGEMENT}}
    agent = type(consul)(tmp_path_factory.mktemp("guarded"), {"acl": acl}, token=MANAGEMENT, node="guarded")
    try:
        yield agent.start()
    finally:
        agent.stop()


def test_a_token_shows_nowhere(guarded, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    secret = guarded.put("/v1/acl/token", {"Description": "may do nothing"})["SecretID"]
    file = tmp_path / "token"
    file.write_text(secret)
    shown = []
    for options in ({"token": secret}, {"token_file": str(file)}):
        client = Client(agents=[guarded.address], **options)
        with pytest.raises(PermissionDeniedError) as caught:
            client.kv.put("secret", "1")
        with pytest.raises(consul_library.ACLPermissionDenied):
            client.kv.put("secret", "1")
        shown += [
            str(caught.value),
            repr(caught.value),
            repr(vars(caught.value)),
            repr(client),
            repr(client.settings),
            repr(client.last_answer),
        ]
        shown += [repr(Api(client.settings)), repr(background.api(client.settings))]
    assert "key:write" in shown[0]
    assert secret not in "".join(shown) + caplog.text + guarded.log.read_text()


def test_a_token_is_renewed_in_its_file(guarded, tmp_path):
    policy = guarded.put("/v1/acl/policy", {"Name": f"p{uuid.uuid4().hex[:8]}", "Rules": 'key_prefix "" { policy = "write" }'})
    tokens = [guarded.put("/v1/acl/token", {"Policies": [{"ID": policy["ID"]}]}) for _ in range(2)]
    file = tmp_path / "token"
    file.write_text(tokens[0]["SecretID"])
    client = Client(agents=[guarded.address], token_file=str(file))
    assert client.kv.put("renewed", "1")
    guarded.request("DELETE", f"/v1/acl/token/{tokens[0]['AccessorID']}")
    wait_for("Consul has it", lambda: not _may_write(client))
    file.write_text(tokens[1]["SecretID"])
    assert client.kv.put("renewed", "2")


def _may_write(client):
    try:
        return client.kv.put("renewed", json.dumps(time.time()))
    except PermissionDeniedError:
        return False

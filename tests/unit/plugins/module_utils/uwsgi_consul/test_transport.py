# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transports, of threads and of event loops, against agents that refuse, hang, lie, stop half-way, or come back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections import Counter

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import async_connection, connection, transport
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import build_request
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transport import AsyncTransport

TOKEN = "3f1b0c6e-secret-of-the-test"  # noqa: S105
NO_LEADER = "rpc error making call: No cluster leader"


@pytest.fixture(autouse=True)
def kind(transport_class, monkeypatch):
    monkeypatch.setattr(make, "kind", transport_class, raising=False)


def make(*agents, **options):
    options.setdefault("timeout", 5)
    return make.kind(Settings.resolve(agents=[getattr(agent, "address", agent) for agent in agents], environ={}, **options))


def send(sender, method="GET", path="/v1/catalog/services", timeout=None, **options):
    return sender.send(build_request(sender.settings, method, path, **options), timeout)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.01)


def took(started):
    return time.monotonic() - started


def hang(received):
    """Answers nothing for as long as the client waits."""
    received.socket.recv(1)


# Failover


def test_the_first_agent_that_answers_is_kept(fake_agent, refusing):
    second, third = fake_agent(), fake_agent()
    sender = make(refusing, second, third)
    assert [send(sender).agent for _ in range(3)] == [second.address] * 3
    assert (second.connections, third.connections) == (1, 0)


def test_an_agent_that_dies_is_left_and_not_returned_to(fake_agent):
    first, second = fake_agent(), fake_agent()
    sender = make(first, second)
    assert send(sender).agent == first.address
    first.close()
    assert [send(sender).agent for _ in range(2)] == [second.address] * 2


def test_no_agent_lists_each_with_its_reason(fake_agent, refusing, tmp_path, reply):
    liar = fake_agent(b"SSH-2.0-OpenSSH_9.2\r\n")
    no_socket = f"unix://{tmp_path}/none"
    with pytest.raises(NoAgentError) as caught:
        send(make(refusing, liar, no_socket))
    assert caught.value.attempts == {
        refusing: "connection refused",
        liar.address: "what answers there is no HTTP server: 'SSH-2.0-OpenSSH_9.2'",
        no_socket: "no such file or directory",
    }
    text = str(caught.value)
    assert text.startswith("GET /v1/catalog/services: no Consul agent answered (time-out 5 s): ")
    assert all(f"{agent}: {reason}" in text for agent, reason in caught.value.attempts.items())


def test_a_name_that_cannot_be_resolved_is_a_reason(fake_agent):
    alive = fake_agent()
    assert send(make("no-such-host.invalid", alive)).agent == alive.address
    with pytest.raises(NoAgentError, match=r"the name no-such-host\.invalid can't be resolved"):
        send(make("no-such-host.invalid"))


# Time-outs


def test_a_hanging_agent_costs_its_share_of_the_time_out(fake_agent):
    hanging = fake_agent(hang)
    alive = fake_agent()
    started = time.monotonic()
    assert send(make(hanging, alive, timeout=1)).agent == alive.address
    assert 0.4 < took(started) < 0.9


def test_the_time_out_holds_for_all_agents_together(fake_agent):
    hanging = [fake_agent(hang) for _ in range(3)]
    started = time.monotonic()
    with pytest.raises(NoAgentError) as caught:
        send(make(*hanging, timeout=0.6))
    assert 0.5 < took(started) < 1.2
    assert caught.value.attempts == {agent.address: "no answer in time" for agent in hanging}


def test_an_agent_that_takes_no_connection_is_left_early(fake_agent, silent, monkeypatch):
    monkeypatch.setattr(transport, "CONNECT_LIMIT", 0.2)
    alive = fake_agent()
    started = time.monotonic()
    assert send(make(silent, alive, timeout=20)).agent == alive.address
    assert took(started) < 2


def test_an_answer_that_drips_ends_at_the_time_out(fake_agent):
    def drip(received):
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not agent.stopped.wait(0.02):
            received.socket.sendall(b"x")

    agent = fake_agent(drip)
    started = time.monotonic()
    with pytest.raises(NoAgentError, match="no answer in time"):
        send(make(agent, timeout=0.5))
    assert took(started) < 1.2


def test_a_body_that_drips_ends_at_the_time_out(fake_agent):
    def drip(received):
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not agent.stopped.wait(0.02):
            received.socket.sendall(b"1\r\nx\r\n")

    agent = fake_agent(drip)
    started = time.monotonic()
    with pytest.raises(NoAgentError, match="no answer in time"):
        send(make(agent, timeout=0.5))
    assert took(started) < 1.2


def test_a_resolver_that_hangs_ends_at_the_time_out(monkeypatch):
    released = threading.Event()
    real = socket.getaddrinfo

    def hang(host, *arguments, flags=0, **options):
        if not flags & socket.AI_NUMERICHOST:
            released.wait(10)
        return real(host, *arguments, flags=flags, **options)

    monkeypatch.setattr(connection.socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(NoAgentError, match="no answer in time"):
        send(make("localhost:1", timeout=0.3))
    assert took(started) < 1
    released.set()


def test_a_time_out_of_the_call_counts_before_that_of_the_settings(fake_agent):
    agent = fake_agent(hang)
    started = time.monotonic()
    with pytest.raises(NoAgentError, match=r"time-out 0\.2 s"):
        send(make(agent, timeout=30), timeout=0.2)
    assert took(started) < 1


def test_a_blocking_query_may_be_held_for_its_wait(fake_agent, reply):
    agent = fake_agent(lambda _received: None if agent.stopped.wait(0.6) else reply())
    assert send(make(agent, timeout=0.3), params=[("index", 7), ("wait", "1s")]).status == 200
    with pytest.raises(NoAgentError):
        send(make(agent, timeout=0.3))


# Broken answers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2", "its answer was cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n[1, 2", "its answer was cut off"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP server"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n", "can't be read"),
    ],
    ids=["body", "chunk", "nothing", "status", "header"],
)
def test_a_broken_answer_is_a_reason_and_the_next_agent_is_asked(fake_agent, answer, reason):
    def broken(received):
        received.socket.sendall(answer)

    liar, alive = fake_agent(broken), fake_agent()
    assert send(make(liar, alive)).agent == alive.address
    with pytest.raises(NoAgentError, match=reason):
        send(make(liar))


def test_an_answer_cut_off_in_its_headers_is_no_empty_result(fake_agent):
    def broken(received):
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")

    with pytest.raises(NoAgentError, match="its answer was cut off"):
        send(make(fake_agent(broken)))


def test_an_endless_body_is_given_up(fake_agent, monkeypatch):
    def endless(received):
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            received.socket.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    monkeypatch.setattr(transport._Transport, "answer_limit", 1_000_000)
    with pytest.raises(NoAgentError, match="larger than 1000000 bytes"):
        send(make(fake_agent(endless)))


def test_a_body_announced_as_too_large_is_given_up(fake_agent, monkeypatch, reply):
    monkeypatch.setattr(transport._Transport, "answer_limit", 10)
    with pytest.raises(NoAgentError, match="larger than 10 bytes"):
        send(make(fake_agent(reply("[" + " " * 100 + "]"))))


def test_an_answer_without_keep_alive_is_read_whole(fake_agent):
    def closing(received):
        received.socket.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 300_000)

    agent = fake_agent(closing)
    sender = make(agent)
    assert [len(send(sender).content) for _ in range(2)] == [300_000] * 2
    assert agent.connections == 2


def test_a_redirect_is_returned_and_not_followed(fake_agent, reply):
    elsewhere = fake_agent()
    agent = fake_agent(reply(status=301, Location=f"http://{elsewhere.address}/"))
    assert send(make(agent, token=TOKEN)).status == 301
    assert elsewhere.connections == 0


# Retries


def test_a_read_without_leader_is_asked_again(fake_agent, reply):
    answers = iter([reply(NO_LEADER, 500), reply("rate limit exceeded", 429), reply("[1]")])
    agent = fake_agent(lambda _received: next(answers))
    assert send(make(agent)).json() == [1]


def test_the_retries_end(fake_agent, reply):
    agent = fake_agent(reply(NO_LEADER, 500))
    answer = send(make(agent))
    assert (answer.status, len(agent.requests)) == (500, transport.ROUNDS)


def test_another_agent_is_asked_before_any_pause(fake_agent, monkeypatch, reply):
    monkeypatch.setattr(transport, "FIRST_PAUSE", 60)
    troubled, alive = fake_agent(reply("leadership lost", 500)), fake_agent()
    assert send(make(troubled, alive)).agent == alive.address


def test_a_500_that_says_the_request_is_wrong_is_not_retried(fake_agent, reply):
    agent = fake_agent(reply("Failed to create boolean expression evaluator", 500))
    assert send(make(agent)).status == 500
    assert len(agent.requests) == 1


def test_an_unknown_datacenter_is_final_at_once(fake_agent, reply):
    agent, other = fake_agent(reply("No path to datacenter", 500)), fake_agent()
    assert send(make(agent, other)).status == 500
    assert (len(agent.requests), len(other.requests)) == (1, 0)


def test_a_write_is_not_sent_twice(fake_agent, reply):
    troubled, other = fake_agent(reply(NO_LEADER, 500)), fake_agent()
    assert send(make(troubled, other), "PUT", "/v1/session/create").status == 500
    assert (len(troubled.requests), len(other.requests)) == (1, 0)


def test_a_write_whose_answer_is_lost_says_so(fake_agent):
    lossy, other = fake_agent(lambda _received: None), fake_agent()
    with pytest.raises(NoAgentError, match="not known whether it was done"):
        send(make(lossy, other), "PUT", "/v1/session/create")
    assert (len(lossy.requests), len(other.requests)) == (1, 0)


def test_a_write_that_was_never_sent_goes_to_the_next_agent(fake_agent, refusing):
    alive = fake_agent()
    assert send(make(refusing, alive), "PUT", "/v1/session/create", body="{}").agent == alive.address
    assert alive.requests[0].body == b"{}"


def test_a_write_that_may_be_sent_twice_is(fake_agent, reply):
    answers = iter([reply(NO_LEADER, 500), reply("true")])
    agent = fake_agent(lambda _received: next(answers))
    assert send(make(agent), "PUT", "/v1/agent/service/register", idempotent=True).json() is True


# Connections


def test_one_connection_serves_many_requests(fake_agent):
    agent = fake_agent()
    sender = make(agent)
    for _ in range(20):
        send(sender)
    assert agent.connections == 1


def test_an_idle_connection_that_the_agent_closed_is_no_failure(fake_agent, reply):
    def once(received):
        received.socket.sendall(reply())

    agent = fake_agent(once)
    sender = make(agent)
    for _ in range(3):
        # Without keep-alive in word, so that only the end of the stream tells.
        assert send(sender, "PUT").status == 200
        deadline = time.monotonic() + 5
        while any(idle.is_usable() for _owner, _agent, idle in sender._idle._connections) and time.monotonic() < deadline:
            time.sleep(0.005)
    assert agent.connections == 3


def test_each_thread_gets_its_own_answer(fake_agent, reply):
    agent = fake_agent(lambda received: reply(json.dumps(received.target)))
    sender = make(agent)
    wrong = []

    def work(number):
        for count in range(40):
            path = f"/v1/kv/{number}-{count}"
            if send(sender, path=path).json() != path:
                wrong.append(path)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong
    assert len(agent.requests) == 320
    assert agent.connections <= 16


def test_after_a_fork_both_processes_get_their_own_answers(fake_agent, reply):
    agent = fake_agent(lambda received: reply(json.dumps(received.target)))
    sender = make(agent)
    send(sender)
    assert agent.connections == 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        wrong = 1
        try:
            wrong = sum(send(sender, path=f"/v1/kv/child{n}").json() != f"/v1/kv/child{n}" for n in range(50))
        finally:
            os.write(writer, str(wrong).encode())
            os._exit(0)
    assert all(send(sender, path=f"/v1/kv/parent{n}").json() == f"/v1/kv/parent{n}" for n in range(50))
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"0"
    # The parent kept its connection, and the child spoke on one of its own.
    by_connection = {(one.target[7:12], one.connection) for one in agent.requests if "kv" in one.target}
    assert Counter(who for who, _connection in by_connection) == {"paren": 1, "child": 1}
    assert len({number for _who, number in by_connection}) == 2


def test_no_more_than_a_few_idle_connections_are_kept(fake_agent, reply):
    together = threading.Barrier(12)
    agent = fake_agent(lambda _received: reply(str(together.wait(10))))
    sender = make(agent)
    threads = [threading.Thread(target=send, args=(sender,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert agent.connections == 12
    assert len(sender._idle._connections) == 8
    sender.close()
    assert not sender._idle._connections


def test_event_loops_that_live_at_the_same_time_have_each_their_own_connections(fake_agent):
    agent = fake_agent()
    sender = AsyncTransport(Settings.resolve(agents=agent.address, environ={}))
    loops = [asyncio.new_event_loop() for _ in range(3)]
    try:
        for loop in loops * 10:
            answer = loop.run_until_complete(sender.send(build_request(sender.settings, "GET", "/v1/catalog/services")))
            assert answer.status == 200
        assert agent.connections == len(loops)
    finally:
        for loop in loops:
            loop.run_until_complete(sender.close())
            # An aborted connection is closed by the loop's next turn.
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


def test_without_a_thread_to_look_up_a_name_there_is_no_agent(fake_agent, monkeypatch):
    def no_thread(*_arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(connection, "look_up", no_thread)
    name = fake_agent().address.replace("127.0.0.1", "localhost")
    transport_of_threads = transport.Transport(Settings.resolve(agents=name, environ={}))
    with pytest.raises(NoAgentError, match="can't start new thread"):
        transport_of_threads.send(build_request(transport_of_threads.settings, "GET", "/v1/catalog/services"))


def test_who_is_cancelled_in_the_moment_of_the_result_is_cancelled():
    async def main():
        result = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(async_connection._by(time.monotonic() + 60, result))
        await asyncio.sleep(0.01)
        result.set_result(None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_unix_socket(fake_agent, tmp_path):
    agent = fake_agent(path=tmp_path / "consul.sock")
    answer = send(make(agent))
    assert (answer.status, answer.agent) == (200, f"unix://{tmp_path}/consul.sock")
    assert agent.requests[0].headers["host"] == "localhost"


def test_a_prefix_of_the_address_stands_before_the_path(fake_agent):
    agent = fake_agent()
    send(make(f"http://{agent.address}/consul/"))
    assert agent.requests[0].target == "/consul/v1/catalog/services"


def test_proxies_of_the_environment_are_ignored(fake_agent, monkeypatch):
    proxy, agent = fake_agent(), fake_agent()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{proxy.address}")
    assert send(make(agent)).agent == agent.address
    assert proxy.connections == 0


# The token


def test_the_token_is_in_the_header_only(fake_agent):
    agent = fake_agent()
    answer = send(make(agent, token=TOKEN), params=[("index", "3")])
    received = agent.requests[0]
    assert received.headers["x-consul-token"] == TOKEN
    assert TOKEN not in received.target + str(answer)


def test_the_token_is_in_no_error_even_if_an_agent_repeats_it(fake_agent, reply):
    mirror = fake_agent(lambda received: f"{received.headers['x-consul-token']} what?\r\n".encode())
    failing = fake_agent(lambda received: reply(f"No cluster leader {received.headers['x-consul-token']}", 500))
    sender = make(mirror, failing, token=TOKEN)
    assert send(sender).status == 500
    failing.close()
    with pytest.raises(NoAgentError) as caught:
        send(sender)
    assert TOKEN not in str(caught.value) + repr(caught.value) + repr(sender) + repr(vars(caught.value))
    assert "(token)" in caught.value.attempts[mirror.address]

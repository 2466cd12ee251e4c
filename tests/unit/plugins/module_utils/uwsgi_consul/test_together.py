# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests that are sent together on one connection, and agents that answer some of them, late, or none."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import AsyncApi
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.wire import AnswersReader, WireError

FIRST = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
SECOND = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
THIRD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def contents(reader):
    return [answer.content for answer in reader.answers]


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_answers_are_told_from_each_other_however_they_arrive(piece):
    reader, data = AnswersReader(100, 3), FIRST + SECOND + THIRD
    for start in range(0, len(data), piece):
        assert not reader.complete
        reader.feed(data[start : start + piece])
    assert (reader.complete, reader.keep_alive, contents(reader)) == (True, True, [b"one", b"two", b""])


def test_what_comes_after_the_last_answer_is_not_kept_for_the_next():
    reader = AnswersReader(100, 2)
    reader.feed(FIRST + SECOND + THIRD)
    assert (reader.complete, reader.keep_alive, contents(reader)) == (True, False, [b"one", b"two"])


def test_an_end_in_between_is_an_error_and_what_came_before_is_there():
    reader = AnswersReader(100, 3)
    reader.feed(FIRST + SECOND[:20])
    with pytest.raises(WireError, match="cut off"):
        reader.feed(b"")
    assert (reader.complete, reader.keep_alive, contents(reader)) == (False, False, [b"one"])


def put(agents, count, timeout=10.0, times=1):
    """The answers' texts, of each time that so many requests are sent together."""

    async def main():
        async with AsyncApi(agents=[getattr(agent, "address", agent) for agent in agents]) as api:
            updates = [("PUT", f"/v1/agent/check/update/{number}", f"body {number}") for number in range(count)]
            return [[answer.text for answer in await api.send_together(updates, timeout)] for _ in range(times)]

    return asyncio.run(main())


def test_many_requests_are_sent_on_one_connection_which_is_kept(fake_agent, reply):
    agent = fake_agent(lambda received: reply(received.target.rpartition("/")[2] + received.body.decode()))
    assert put([agent], 50, times=3) == [[f"{number}body {number}" for number in range(50)]] * 3
    assert agent.connections == 1
    assert [received.method for received in agent.requests] == ["PUT"] * 150


def test_an_agent_that_closes_in_between_has_answered_what_it_has(fake_agent, reply):
    agent = fake_agent(lambda received: None if received.target.endswith("/3") else reply("yes"))
    assert put([agent], 10, times=2) == [["yes"] * 3] * 2
    assert agent.connections == 2


def test_an_agent_that_says_that_it_closes_is_left(fake_agent, reply):
    agent = fake_agent(lambda received: reply("yes", Connection="close") if received.target.endswith("/3") else reply("yes"))
    assert len(put([agent], 4)[0]) == 4
    assert put([agent], 4, times=2)[1] == ["yes"] * 4
    assert agent.connections == 3


def test_an_agent_that_hangs_is_waited_for_until_the_timeout(fake_agent, reply):
    release = threading.Event()
    agent = fake_agent(lambda received: (release.wait(60) and None) if received.target.endswith("/1") else reply("yes"))
    started = time.monotonic()
    assert put([agent], 3, timeout=0.3) == [["yes"]]
    assert 0.25 < time.monotonic() - started < 10
    release.set()


def test_no_agent_and_no_server_answer_nothing(fake_agent, refusing):
    assert put([refusing], 3) == [[]]
    assert put([fake_agent(b"SSH-2.0-OpenSSH_9.2\r\n")], 3) == [[]]


def test_a_path_that_is_none_is_told_before_anything_is_sent(fake_agent):
    agent = fake_agent()

    async def main():
        async with AsyncApi(agents=[agent.address]) as api:
            await api.send_together([("PUT", "/v1/a", ""), ("GET", "v1 b", None)], 1.0)

    with pytest.raises(InvalidValueError):
        asyncio.run(main())
    assert not agent.requests

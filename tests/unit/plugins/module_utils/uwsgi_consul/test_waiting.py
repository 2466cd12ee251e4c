# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for an answer, by blocking queries, on a clock that the test moves."""

from __future__ import annotations

from email.message import Message

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import waiting
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError, PermissionDeniedError, ServerError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer, seconds

NO_LEADER = ServerError("500 No cluster leader", status=500, answer="No cluster leader")
NO_PATH = ServerError("500 No path to datacenter", status=500, answer="No path to datacenter")


class Consul:
    """Answers from a script: (seconds after which the answer comes, index, value), or an error."""

    def __init__(self, monkeypatch):
        self.now, self.script, self.asked, self.slept = 100.0, [], [], []
        monkeypatch.setattr(waiting.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(waiting.time, "sleep", self.sleep)

    def sleep(self, pause):
        assert pause >= 0
        self.slept.append(pause)
        self.now += pause

    def ask(self, held):
        self.asked.append(dict(held))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        took, index, value = step
        self.now += seconds(dict(held)["wait"]) if took is None else took
        headers = Message()
        if index:
            headers["X-Consul-Index"] = str(index)
        return Answer(200, headers, str(value).encode(), "GET /v1/x", "a:1")

    def until(self, least, wait, *script):
        self.script = list(script)
        return waiting.until(self.ask, lambda answer: int(answer.text), lambda value: value >= least, wait)


@pytest.fixture
def consul(monkeypatch):
    return Consul(monkeypatch)


def test_what_is_enough_at_once_is_asked_once(consul):
    assert consul.until(2, 30, (0, 7, 2)) == 2
    assert consul.asked == [{}]


def test_without_time_what_there_is_is_enough(consul):
    assert consul.until(2, 0, (0, 7, 1)) == 1


def test_it_asks_again_when_something_changes(consul):
    assert consul.until(2, 17, (0, 7, 0), (5, 8, 1), (5, 9, 2)) == 2
    assert [one.get("index") for one in consul.asked] == [None, 7, 8]
    # With Consul's jitter of a sixteenth the answer comes in time.
    assert [one.get("wait") for one in consul.asked] == [None, "16s", "11294ms"]
    assert consul.slept == []


def test_it_ends_in_time_with_what_there_is(consul):
    assert consul.until(2, 30, (0, 7, 1), *[(None, 7, 1)] * 5) == 1
    assert 129.9 < consul.now <= 130
    assert len(consul.asked) <= 5


def test_a_long_wait_is_asked_for_in_parts(consul):
    consul.until(2, 600, (0, 7, 1), (None, 7, 1), (1, 8, 2))
    assert consul.asked[1]["wait"] == "56471ms"


def test_an_index_that_goes_back_begins_anew(consul):
    consul.until(2, 30, (0, 7, 1), (3, 4, 1), (0, 4, 2))
    assert [one.get("index") for one in consul.asked] == [None, 7, None]


@pytest.mark.parametrize("index", [7, 0])
def test_answers_without_news_that_come_too_soon_are_paced(consul, index):
    consul.until(2, 30, (0, index, 1), (0, index, 1), (0, index, 1), (0, index, 2))
    assert len(consul.slept) >= 2
    assert all(0.3 <= pause <= 1 for pause in consul.slept)


@pytest.mark.parametrize("error", [NoAgentError("down"), NO_LEADER])
def test_passing_trouble_is_waited_out(consul, error):
    assert consul.until(2, 30, (0, 7, 1), error, error, (0, 9, 2)) == 2
    assert len(consul.slept) == 2
    # What was known before may be of other servers.
    assert consul.asked[-1] == {}


def test_trouble_that_does_not_pass_in_time_is_raised(consul):
    with pytest.raises(NoAgentError):
        consul.until(2, 3, *[NoAgentError("down")] * 50)
    assert consul.now <= 103


@pytest.mark.parametrize("error", [PermissionDeniedError("403", status=403), NO_PATH])
def test_what_waiting_does_not_mend_is_raised_at_once(consul, error):
    with pytest.raises(type(error)):
        consul.until(2, 30, error)
    assert consul.slept == []

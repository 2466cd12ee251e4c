# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that the processes of a run share."""

from __future__ import annotations

import multiprocessing
import os
import stat
from email.message import Message

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import NoAgentError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.protocol import Answer
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings
from ansible_collections.uwsgi.consul.plugins.plugin_utils import _answers

HIDDEN = "not-in-a-name"
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def consul(monkeypatch, tmp_path):
    """What was asked of Consul, which answers with bytes that are no text; its errors are what stands in `failures`."""
    asked, failures = [], []

    def request(self, method, path, params=(), body=None, **options):
        asked.append((method, path, list(params)))
        if failures:
            raise failures.pop()
        headers = Message()
        headers["X-Consul-Index"] = str(len(asked))
        return Answer(200, headers, b"\xff%d" % len(asked), f"{method} {path}", "a:1")

    monkeypatch.setattr(_answers.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(Api, "request", request)
    request.asked, request.failures = asked, failures
    return request


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(_answers.time, "monotonic", lambda: now[0])
    return now


def sharing(seconds=30.0, **options):
    return _answers.SharingApi(Settings.resolve(environ={}, **options), seconds)


def test_a_question_is_asked_once_for_all(consul):
    first = sharing().request("GET", "/v1/x", [("tag", "a")])
    second = sharing().request("GET", "/v1/x", [("tag", "a")])
    assert len(consul.asked) == 1
    assert (second.status, second.content, second.index, second.asked, second.agent) == (200, b"\xff1", 1, "GET /v1/x", "a:1")
    assert dict(second.headers) == {name.lower(): value for name, value in first.headers.items()}


def test_transactions_that_only_read_are_shared(consul):
    def read(key):
        return sharing().request("PUT", "/v1/txn", body=b'[{"KV": {"Verb": "get-or-empty", "Key": "%s"}}]' % key)

    assert [read(key).content for key in (b"a", b"a", b"b")] == [b"\xff1", b"\xff1", b"\xff2"]


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, {"path": "/v1/y"}),
        ({}, {"params": [("tag", "b")]}),
        ({}, {"token": "another"}),
        ({}, {"consistency": "stale"}),
        ({}, {"allow": (404,)}),
        ({"agents": "other:8500"}, {}),
        ({"datacenter": "dc2"}, {}),
        ({"token": "another"}, {}),
        ({"consistency": "stale"}, {}),
    ],
)
def test_another_question_is_asked(consul, options, call):
    sharing().request("GET", "/v1/x")
    sharing(**options).request("GET", **{"path": "/v1/x", **call})
    assert len(consul.asked) == 2


@pytest.mark.parametrize(
    ("options", "call"),
    [
        ({}, {"method": "PUT"}),
        ({}, {"method": "PUT", "path": "/v1/txn", "body": '[{"KV": {"Verb": "get"}}, {"KV": {"Verb": "set"}}]'}),
        ({}, {"method": "PUT", "path": "/v1/txn", "body": '[{"Session": {"Verb": "delete"}}]'}),
        ({}, {"params": [("index", 7)]}),
        ({}, {"consistency": "consistent"}),
        ({"consistency": "consistent"}, {}),
    ],
)
def test_what_must_be_new_is_asked_each_time(consul, options, call):
    for _ in range(2):
        sharing(**options).request(**{"method": "GET", "path": "/v1/x", **call})
    assert len(consul.asked) == 2


def test_an_answer_gets_old(consul, clock):
    api = sharing(seconds=5)
    contents = []
    for moment in (1000, 1004.9, 1005, 1009, 10, 14):
        clock[0] = moment
        contents.append(api.request("GET", "/v1/x").content)
    # The last moments are those of a machine that was started again.
    assert contents == [b"\xff1", b"\xff1", b"\xff2", b"\xff2", b"\xff3", b"\xff3"]


def test_an_error_is_not_shared(consul):
    consul.failures.append(NoAgentError("down"))
    with pytest.raises(NoAgentError):
        sharing().request("GET", "/v1/x")
    assert sharing().request("GET", "/v1/x").content == b"\xff2"


def test_what_a_killed_writer_left_is_nothing(consul, tmp_path):
    sharing().request("GET", "/v1/x")
    (file,) = (tmp_path / "uwsgi_consul").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    assert [sharing().request("GET", "/v1/x").content for _ in range(2)] == [b"\xff2", b"\xff2"]


def test_nobody_else_may_read_them_and_no_name_tells_a_token(consul, tmp_path):
    sharing(token=HIDDEN).request("GET", "/v1/x")
    folder = tmp_path / "uwsgi_consul"
    (file,) = folder.iterdir()
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, file)] == [0o700, 0o600]
    assert HIDDEN not in file.name
    assert HIDDEN.encode() not in file.read_bytes()


def test_without_the_folder_nothing_is_shared(consul, monkeypatch):
    monkeypatch.setattr(_answers.constants, "DEFAULT_LOCAL_TMP", "/dev/null/none")
    assert [sharing().request("GET", "/v1/x").content for _ in range(2)] == [b"\xff1", b"\xff2"]


def _ask(barrier, answers):
    barrier.wait()
    try:
        answers.put(sharing().request("GET", "/v1/x").content)
    except NoAgentError as error:
        answers.put(str(error))


def together(workers, monkeypatch, request):
    """The answers of so many processes that ask at the same time."""
    monkeypatch.setattr(Api, "request", request)
    barrier, answers = FORK.Barrier(workers), FORK.Queue()
    processes = [FORK.Process(target=_ask, args=(barrier, answers)) for _ in range(workers)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    return found


def test_of_many_that_ask_at_the_same_time_one_does(consul, monkeypatch):
    asked = FORK.Value("i", 0)

    def request(self, *_arguments, **_options):
        _answers.time.sleep(0.3)
        with asked.get_lock():
            asked.value += 1
        return Answer(200, Message(), b"%d" % os.getpid(), "GET /v1/x", "a:1")

    found = together(6, monkeypatch, request)
    assert asked.value == 1
    assert len(set(found)) == 1


def test_those_who_waited_for_one_that_failed_ask_at_the_same_time(consul, monkeypatch):
    asking, most = FORK.Value("i", 0), FORK.Value("i", 0)

    def request(self, *_arguments, **_options):
        with asking.get_lock():
            asking.value += 1
            most.value = max(most.value, asking.value)
        _answers.time.sleep(1)
        with asking.get_lock():
            asking.value -= 1
        raise NoAgentError("down")

    assert together(4, monkeypatch, request) == ["down"] * 4
    assert most.value > 1

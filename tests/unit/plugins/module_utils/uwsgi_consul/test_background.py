# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one thread for what goes on beside the app."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import background, vassal
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConsulError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.settings import Settings


async def name_of_thread():
    return threading.current_thread().name


async def fail():
    raise KeyError("x")


def test_all_goes_on_in_one_thread():
    names = {background.run(name_of_thread()) for _ in range(3)} | {background.start(name_of_thread()).result(5)}
    assert names == {"uwsgi-consul"}
    assert sum(thread.name == "uwsgi-consul" for thread in threading.enumerate()) == 1
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "uwsgi-consul")


def test_its_errors_are_the_callers():
    with pytest.raises(KeyError, match="x"):
        background.run(fail())


def test_a_wait_that_ends_cancels_what_it_waited_for():
    cancelled = threading.Event()

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        background.run(wait(), timeout=0.05)
    assert cancelled.wait(5)


def test_it_can_be_awaited_in_another_event_loop():
    async def main():
        return await asyncio.wrap_future(background.start(name_of_thread()))

    assert asyncio.run(main()) == "uwsgi-consul"


def test_it_does_not_wait_for_itself():
    async def wait():
        background.run(name_of_thread())

    with pytest.raises(RuntimeError, match="can't wait for itself"):
        background.run(wait())


def test_a_child_gets_its_own(fake_agent):
    settings = Settings.resolve(agents=[fake_agent().address], environ={})
    api = background.api(settings)
    assert background.api(settings) is api
    background.run(api.request("GET", "/v1/catalog/services"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            own = background.api(settings)
            done = background.run(own.request("GET", "/v1/catalog/services"), timeout=10).status == 200
            code = 0 if done and own is not api else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert background.run(api.request("GET", "/v1/catalog/services")).status == 200


FORKED_WITHOUT_HOOKS = """
import ctypes, faulthandler, os, sys, threading
sys.path.insert(0, sys.argv[1])
from uwsgi_consul import background

async def name_of_thread():
    return threading.current_thread().name

with background._locks.get():
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        faulthandler.dump_traceback_later(20, exit=True)
        os._exit(0 if background.run(name_of_thread(), timeout=10) == "uwsgi-consul" else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_child_that_is_forked_without_hooks_waits_for_nobody():
    # As uWSGI forks its workers, while the parent begins to use the background. In a process without any other thread, for what
    # becomes of a lock of Python's own that one holds at such a fork is not ours to say.
    folder = Path(background.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", FORKED_WITHOUT_HOOKS, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, False),
        ({"threads": b"1"}, False),
        ({"threads": b"4"}, True),
        ({"enable-threads": True}, True),
        ({b"enable-threads": b"true"}, True),
    ],
)
def test_a_uwsgi_without_threads_is_told(monkeypatch, options, allowed):
    monkeypatch.setattr(vassal, "_found", types.SimpleNamespace(opt=options, masterpid=lambda: 1))
    monkeypatch.setattr(vassal, "_looked", True)
    monkeypatch.setattr(background, "_current", None)
    if allowed:
        assert background.run(name_of_thread()) == "uwsgi-consul"
        background._current.loop.call_soon_threadsafe(background._current.loop.stop)
        return
    with pytest.raises(ConsulError, match="enable-threads = true"):
        background.run(name_of_thread())


def test_a_master_that_forks_workers_is_told(monkeypatch):
    monkeypatch.setattr(vassal, "_found", types.SimpleNamespace(opt={"enable-threads": b"true"}, masterpid=os.getpid))
    monkeypatch.setattr(vassal, "_looked", True)
    monkeypatch.setattr(background, "_current", None)
    with pytest.raises(ConsulError, match="lazy-apps = true"):
        background.run(name_of_thread())

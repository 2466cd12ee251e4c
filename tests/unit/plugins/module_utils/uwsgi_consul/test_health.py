# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health endpoint: what checks may return and do, and what the endpoint makes of it."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import time

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import health as module
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import InvalidValueError
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.health import OUTPUT_LIMIT, Health


def ask_wsgi(health, method="GET"):
    """Status code, headers, body."""
    begun = []
    body = b"".join(health.wsgi({"REQUEST_METHOD": method}, lambda status, headers: begun.append((status, dict(headers)))))
    ((status, headers),) = begun
    return int(status.split()[0]), headers, body


async def ask_asgi(health, method="GET"):
    sent = []

    async def send(message):
        sent.append(message)

    await health.asgi({"type": "http", "method": method}, None, send)
    start, body = sent
    return start["status"], {name.decode().title(): value.decode() for name, value in start["headers"]}, body["body"]


def ask_both(health, method="GET"):
    """The answer, which is the same by WSGI and ASGI."""
    by_wsgi = ask_wsgi(health, method)
    assert asyncio.run(ask_asgi(health, method)) == by_wsgi
    return by_wsgi


class UnprintableError(Exception):
    def __str__(self):
        raise ValueError


@pytest.fixture
def gate():
    """What a check that hangs waits for; it is open at the end of the test."""
    gate = threading.Event()
    yield gate
    gate.set()


# Verdicts


@pytest.mark.parametrize(
    ("result", "status", "note"),
    [
        (None, "passing", ""),
        (True, "passing", ""),
        (False, "critical", ""),
        ("warning", "warning", ""),
        ("critical", "critical", ""),
        (("warning", "9 of 10 in use"), "warning", "9 of 10 in use"),
        ((True, None), "passing", ""),
        ((False, 7), "critical", "7"),
        (["passing", "by list"], "passing", "by list"),
        (0, "critical", "the check returned 0, which is no status"),
        ("fine", "critical", "the check returned 'fine', which is no status"),
        (("passing", "a", "b"), "critical", "the check returned ('passing', 'a', 'b'), which is no status"),
    ],
)
def test_what_a_check_returns_is_its_status(result, status, note):
    check = Health({"it": lambda: result}).report()["checks"]["it"]
    assert (check["status"], check["note"]) == (status, note)


@pytest.mark.parametrize(
    ("error", "status", "note"),
    [
        (ConnectionError("refused"), "critical", "ConnectionError: refused"),
        (ValueError(), "critical", "ValueError"),
        (ValueError("two\nlines"), "critical", "ValueError: two lines"),
        (SystemExit(3), "critical", "SystemExit: 3"),
        (Warning("busy"), "warning", "busy"),
        (UserWarning(), "warning", "UserWarning"),
        (UnprintableError(), "critical", "the check's result can't be shown: ValueError"),
        (ValueError("x" * 5000), "critical", f"ValueError: {'x' * 188}..."),
    ],
)
def test_what_a_check_raises_is_its_status(error, status, note):
    def check():
        raise error

    found = Health({"it": check}).report()["checks"]["it"]
    assert (found["status"], found["note"]) == (status, note)


def test_the_worst_check_is_the_status_of_all():
    health = Health({"a": lambda: True, "b": lambda: "warning"}, cache=0)
    assert health.report()["status"] == "warning"
    health.add("c", lambda: False)
    assert health.report()["status"] == "critical"
    assert health() == ("critical", "b: warning; c: critical")
    assert Health({"a": lambda: True})() == ("passing", "1 checks passing")


# The endpoint


@pytest.mark.parametrize(("result", "code"), [("passing", 200), ("warning", 429), ("critical", 503)])
def test_the_code_is_what_consul_takes_for_the_status(result, code):
    found, headers, body = ask_both(Health({"it": lambda: (result, "note")}, cache=60))
    assert found == code
    assert headers == {"Content-Type": "application/json", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
    answer = json.loads(body)
    assert isinstance(answer["checks"]["it"].pop("seconds"), float)
    assert answer == {"status": result, "checks": {"it": {"status": result, "note": "note"}}}


def test_an_app_without_checks_is_passing():
    assert ask_both(Health(cache=60))[0] == 200


def test_a_head_has_the_headers_of_a_get_alone():
    health = Health({"it": lambda: True}, cache=60)
    code, headers, body = ask_both(health, "HEAD")
    assert (code, body) == (200, b"")
    assert headers == ask_both(health)[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", ""])
def test_other_methods_are_refused_and_run_no_check(method):
    calls = []
    code, headers, _body = ask_both(Health({"it": lambda: calls.append(1)}), method)
    assert (code, headers["Allow"], calls) == (405, "GET, HEAD", [])


def test_an_asgi_server_is_told_what_is_not_served():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Health().asgi({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close"}]
    with pytest.raises(RuntimeError, match="lifespan"):
        asyncio.run(Health().asgi({"type": "lifespan"}, None, send))


def test_notes_can_be_left_out():
    health = Health({"it": lambda: (False, "password=secret")}, notes=False)
    assert b"secret" not in ask_both(health)[2]
    assert health.report()["checks"]["it"]["note"] == "password=secret"


@pytest.mark.parametrize("count", [5, 20, 40, 300])
def test_however_many_checks_there_are_consul_can_keep_the_answer(count):
    checks = {f"check number {number}": lambda: (True, "n" * 300) for number in range(count)}
    health = Health({**checks, "bad": lambda: (False, "w\u00f6rse" * 50)})
    body = ask_wsgi(health)[2]
    answer = json.loads(body)
    assert len(body) <= OUTPUT_LIMIT
    assert len(answer["checks"]) + answer.get("left_out", 0) == count + 1
    assert next(iter(answer["checks"])) == "bad"
    assert answer["status"] == "critical"


def test_after_a_stop_the_endpoint_is_critical_at_once():
    calls = []
    health = Health({"it": lambda: calls.append(1)}, cache=60)
    assert ask_both(health)[0] == 200
    health.stop("deploying")
    code, _headers, body = ask_both(health)
    assert (code, len(calls)) == (503, 1)
    assert json.loads(body)["checks"]["stopped"]["note"] == "deploying"


# Checks that hang


def test_a_check_that_hangs_holds_up_nobody_and_is_called_once(gate):
    calls = []

    def hang():
        calls.append(1)
        gate.wait()

    health = Health({"hangs": hang, "good": lambda: True}, timeout=0.2, cache=0)
    threads = threading.active_count()
    started = time.monotonic()
    found = [health.report() for _ in range(20)]
    # Only the first one waits for the time-out.
    assert time.monotonic() - started < 2
    assert {report["checks"]["good"]["status"] for report in found} == {"passing"}
    assert {report["checks"]["hangs"]["status"] for report in found} == {"critical"}
    assert "no answer for " in found[0]["checks"]["hangs"]["note"]
    assert len(calls) == 1
    assert threading.active_count() <= threads + 2
    gate.set()
    deadline = time.monotonic() + 10
    while health.report()["status"] != "passing" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert health.report()["status"] == "passing"


def test_each_check_has_its_own_timeout(gate):
    health = Health({"slow": gate.wait}, timeout=60)
    health.add("fast", lambda: True)

    @health.check("hangs", timeout=0.1)
    def hang():
        gate.wait()

    threading.Timer(0.3, gate.set).start()
    report = health.report()
    assert {name: check["status"] for name, check in report["checks"].items()} == {
        "slow": "passing",
        "fast": "passing",
        "hangs": "critical",
    }


def test_checks_run_side_by_side():
    barrier = threading.Barrier(3, timeout=10)
    health = Health({name: lambda: barrier.wait() >= 0 for name in "abc"})
    assert health.report()["status"] == "passing"


def test_requests_at_the_same_time_share_one_run(gate):
    calls = []

    def check():
        calls.append(1)
        gate.wait(10)

    health = Health({"it": check}, timeout=20, cache=0)
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(health.report())) for _ in range(10)]
    for thread in threads:
        thread.start()
    while not calls:
        time.sleep(0.01)
    time.sleep(0.1)
    gate.set()
    for thread in threads:
        thread.join()
    assert len(reports) == 10
    # A thread that is late may start a second run, and no more.
    assert len(calls) <= 2


def test_a_result_is_told_again_for_a_moment():
    calls = []
    health = Health({"it": lambda: calls.append(1)}, cache=0.3)
    for _ in range(3):
        health.report()
    assert len(calls) == 1
    # A heartbeat wants to know how it is now.
    health()
    assert len(calls) == 2
    time.sleep(0.35)
    health.report()
    assert len(calls) == 3


# Async


def test_async_checks_run_in_the_loop_of_the_server():
    loops = []

    async def check():
        loops.append(asyncio.get_running_loop())
        return "warning", "async"

    health = Health({"it": check}, cache=0)

    async def main():
        assert (await ask_asgi(health))[0] == 429
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())
    # Elsewhere there is none, and it has one of its own.
    assert ask_wsgi(health)[0] == 429
    assert loops[0] is not loops[1]


def test_a_blocking_check_does_not_hold_up_the_loop(gate):
    health = Health({"it": lambda: gate.wait(20)}, timeout=20)

    async def main():
        asked = asyncio.ensure_future(ask_asgi(health))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not asked.done()
        gate.set()
        assert (await asked)[0] == 200

    asyncio.run(main())


def test_an_async_check_that_hangs_is_cancelled():
    ended = []

    async def hang():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    health = Health({"it": hang}, timeout=0.1, cache=0)

    async def main():
        assert (await ask_asgi(health))[0] == 503
        while not ended:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_an_async_check_that_raises_a_timeout_is_critical():
    async def check():
        raise TimeoutError("of the database")

    assert asyncio.run(Health({"it": check}).report_async())["checks"]["it"]["note"] == "TimeoutError: of the database"


def test_a_request_that_is_given_up_takes_nothing_from_the_others(gate):
    health = Health({"it": lambda: gate.wait(20)}, timeout=20)

    async def main():
        first, second = asyncio.ensure_future(ask_asgi(health)), asyncio.ensure_future(ask_asgi(health))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.05)
        gate.set()
        assert (await second)[0] == 200

    asyncio.run(main())


def test_a_loop_that_has_ended_leaves_no_check_running_for_ever():
    async def hang():
        await asyncio.sleep(3600)

    health = Health({"it": hang}, timeout=0.1, cache=0)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(health.report_async())
    # The task may still be there: what counts is that its loop is not.
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    calls = []
    health._probes["it"].function = lambda: calls.append(1)
    assert health.report()["status"] == "passing"
    assert calls == [1]


# Processes and threads


def test_a_child_runs_the_checks_itself(gate):
    """Also where its parent was about to, when it was forked."""
    health = Health({"it": lambda: gate.wait(20)}, timeout=20)
    threading.Thread(target=health.report, daemon=True).start()
    while health._probes["it"]._call is None:
        time.sleep(0.01)
    child = os.fork()
    if not child:
        gate.set()
        os._exit(0 if health.report()["status"] == "passing" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_no_thread_to_be_had_is_critical(monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    health = Health({"it": lambda: True})
    assert health.report()["checks"]["health"]["note"] == "RuntimeError: can't start new thread"
    probe = module.Probe("it", lambda: True, 5)
    assert probe.call().wait()[:2] == ("critical", "RuntimeError: can't start new thread")


# Arguments


def test_a_decorated_function_has_its_own_name_or_the_one_that_is_given():
    health = Health()

    @health.check
    def database():
        return True

    @health.check("the queue")
    def queue():
        return True

    assert database() is queue() is True
    assert list(health.report()["checks"]) == ["database", "the queue"]


@pytest.mark.parametrize(
    "call",
    [
        lambda health: health.add("", print),
        lambda health: health.add("a\nb", print),
        lambda health: health.add(None, print),
        lambda health: health.add("x", None),
        lambda health: health.add("there", print),
        lambda health: health.add("x", print, timeout=0),
        lambda health: health.add("x", print, timeout="1"),
        lambda health: health.check(7),
        lambda health: health.check("x")(7),
        lambda health: health.stop(None),
        lambda _health: Health(["a"]),
        lambda _health: Health({"a": 1}),
        lambda _health: Health({1: print}),
        lambda _health: Health(timeout=0),
        lambda _health: Health(timeout=float("nan")),
        lambda _health: Health(cache=-1),
        lambda _health: Health(notes="no"),
    ],
)
def test_wrong_arguments_are_told(call):
    with pytest.raises(InvalidValueError):
        call(Health({"there": lambda: True}))


# Frameworks: one line each


def test_django():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of the test")  # noqa: S106
        django.setup()
    from django.test import Client as DjangoClient
    from django.urls import path

    health = Health({"it": lambda: "warning"})
    global urlpatterns
    urlpatterns = [path("health", health.django)]
    client = DjangoClient()
    answer = client.get("/health")
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (429, "application/json", "no-store")
    assert json.loads(answer.content)["status"] == "warning"
    assert (client.head("/health").status_code, client.head("/health").content) == (429, b"")
    assert (client.post("/health").status_code, client.post("/health")["Allow"]) == (405, "GET, HEAD")


def test_flask():
    import flask

    health = Health({"it": lambda: "warning"})
    app = flask.Flask("of the test")
    app.add_url_rule("/health", "health", health.flask)
    client = app.test_client()
    answer = client.get("/health")
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (429, "application/json", "no-store")
    assert answer.json["status"] == "warning"
    assert (client.head("/health").status_code, client.head("/health").data) == (429, b"")
    assert client.post("/health").status_code == 405


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_fastapi_and_starlette(framework):
    import httpx

    place, name = {"fastapi": ("fastapi", "FastAPI"), "starlette": ("starlette.applications", "Starlette")}[framework]
    app = getattr(importlib.import_module(place), name)()

    async def check():
        return "warning"

    health = Health({"it": check})
    app.mount("/health", health.asgi)
    app.add_route("/exact", health.asgi)

    async def ask(method, path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app", follow_redirects=True) as client:
            return await client.request(method, path)

    for path in ("/health", "/health/", "/exact"):
        answer = asyncio.run(ask("GET", path))
        assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
            429,
            "application/json",
            "no-store",
        )
        assert answer.json()["status"] == "warning"
        assert asyncio.run(ask("HEAD", path)).status_code == 429
        assert asyncio.run(ask("POST", path)).status_code == 405
    assert not asyncio.run(ask("GET", "/exact")).history

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a registration with an agent that plays each fault: what is asked of it, what is said, and for how long."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
import time
from urllib.parse import unquote

import pytest
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import checks, exits, heartbeat
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import (
    BadRequestError,
    ConsulError,
    InvalidValueError,
    PermissionDeniedError,
)
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.health import Health
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.registration import ExternalService, Service

TTL = 0.3
NONCE = "uwsgi-instance"


class Registry:
    """What an agent knows of services and their checks; `fault` may answer in its place."""

    def __init__(self, reply):
        self.reply = reply
        self.services, self.checks, self.notes = {}, {}, {}
        self.fault = lambda _received: None

    def __call__(self, received):
        fault = self.fault(received)
        if fault is not None:
            return fault() if callable(fault) else fault
        path = unquote(received.target.partition("?")[0])
        if path == "/v1/agent/service/register":
            body = json.loads(received.body)
            self.services[body["ID"]] = body
            for check in body["Checks"]:
                self.checks.setdefault(check["CheckID"], check.get("Status", "critical"))
        elif path.startswith("/v1/agent/check/update/"):
            check, body = path[len("/v1/agent/check/update/") :], json.loads(received.body)
            if check not in self.checks:
                return self.reply("Unknown check ID", 404)
            self.checks[check], self.notes[check] = body["Status"], body["Output"]
        elif path.startswith("/v1/agent/service/deregister/"):
            self.forget(path[len("/v1/agent/service/deregister/") :])
        else:
            service = self.services.get(path[len("/v1/agent/service/") :])
            return self.reply(json.dumps(service)) if service else self.reply("unknown service ID", 404)
        return self.reply("")

    def forget(self, service):
        for check in self.services.pop(service)["Checks"]:
            self.checks.pop(check["CheckID"])


@pytest.fixture
def registry(reply):
    return Registry(reply)


@pytest.fixture
def agent(fake_agent, registry):
    return fake_agent(registry)


@pytest.fixture
def make(agent):
    """Makes services with a short TTL; what is left of them is ended after the test."""
    made = []

    def service(name="web", **options):
        options = {"id": "web-1", "checks": checks.ttl(TTL), "client": Api(agents=[agent.address], timeout=5), **options}
        made.append(Service(name, **options))
        return made[-1]

    yield service
    for one in made:
        one._abandon()


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(heartbeat, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(heartbeat, "HEALTH_INTERVAL", 0.05)


def close():
    """No answer, and the end of the connection."""


def asked(agent, method="PUT", part=""):
    return [received for received in agent.requests if received.method == method and part in received.target]


def asked_on(agent, connection):
    return [received for received in agent.requests if received.connection == connection]


# What is registered


def test_everything_that_a_service_can_have_is_registered(agent, registry, make):
    service = make(
        "shop",
        id="shop/1 ?",
        address="192.0.2.7",
        port=8000,
        tags=["v1", "blue"],
        meta={"team": "a"},
        weights={"passing": 10},
        tagged_addresses={"wan": {"address": "192.0.2.1", "port": 80}, "lan": {"address": "app"}},
        checks=[checks.ttl(TTL), checks.http("http://192.0.2.7:8000/health")],
        extra={"EnableTagOverride": True, "Name": "not this one"},
        deregister_after="10m",
    )
    assert service.register()
    first = agent.requests[0]
    assert (first.method, first.target) == ("PUT", "/v1/agent/service/register?replace-existing-checks=true")
    body = json.loads(first.body)
    assert len(body["Meta"].pop(NONCE)) == 36
    assert body == {
        "ID": "shop/1 ?",
        "Name": "shop",
        "Address": "192.0.2.7",
        "Port": 8000,
        "Tags": ["v1", "blue"],
        "Meta": {"team": "a"},
        "Weights": {"Passing": 10, "Warning": 1},
        "TaggedAddresses": {"wan": {"Address": "192.0.2.1", "Port": 80}, "lan": {"Address": "app"}},
        "EnableTagOverride": True,
        "Checks": [
            {"CheckID": "service:shop/1 ?", "TTL": "300ms", "DeregisterCriticalServiceAfter": "600s", "Status": "passing"},
            {
                "CheckID": "service:shop/1 ?:2",
                "HTTP": "http://192.0.2.7:8000/health",
                "Interval": "10s",
                "DeregisterCriticalServiceAfter": "600s",
            },
        ],
    }
    assert service.deregister()
    assert asked(agent)[-1].target == "/v1/agent/service/deregister/shop%2F1%20%3F"
    assert not registry.services


def test_a_service_has_a_check_and_an_id_of_its_own(make, registry):
    with_port, without = make(id=None, port=80, checks=None), make(id=None, checks=None)
    assert with_port.id.endswith("-80")
    assert without.id.endswith(f"-{os.getpid()}")
    assert with_port.register()
    assert registry.services[with_port.id]["Checks"] == [
        {"CheckID": f"service:{with_port.id}", "TTL": "10s", "DeregisterCriticalServiceAfter": "90s", "Status": "passing"}
    ]
    with_port.deregister()


def test_a_status_is_what_the_service_starts_with(make, registry):
    with make(status="critical") as service:
        assert registry.checks == {"service:web-1": "critical"}
        service.passing()
        wait_for("it came to Consul", lambda: registry.checks == {"service:web-1": "passing"})


def test_a_registration_of_before_is_put_right(make, registry):
    """Consul ignores the status of a check that it has already."""
    registry.checks["service:web-1"] = "critical"
    with make():
        assert registry.checks["service:web-1"] == "passing"


# Faces


def test_it_is_a_decorator_and_a_context_manager(make, registry):
    service = make()

    @service
    def work(number, *, more):
        """Works."""
        assert service.registered
        return list(registry.services), number + more

    assert work(1, more=2) == (["web-1"], 3)
    assert work.__doc__ == "Works."
    assert not registry.services
    assert not service.registered
    with service:
        assert list(registry.services) == ["web-1"]
    assert not registry.services
    with pytest.raises(ZeroDivisionError), service:
        _ = 1 / 0
    assert not registry.services


def test_the_same_for_coroutines(make, registry):
    service = make()

    @service
    async def work(number):
        return list(registry.services), number

    assert asyncio.run(work(7)) == (["web-1"], 7)
    assert not registry.services

    async def main():
        async with service as entered:
            assert entered is service
            assert list(registry.services) == ["web-1"]

    asyncio.run(main())
    assert not registry.services


def test_a_service_is_registered_once_at_a_time(make):
    service = make()
    with service, pytest.raises(ConsulError, match="already"):
        service.register()
    assert service.deregister()


# Beats


def test_the_checks_are_fed_at_a_third_of_the_ttl(make, agent):
    service = make(checks=checks.ttl(1.5))
    with service:
        started, before = time.monotonic(), len(asked(agent, part="/check/update/"))
        time.sleep(2.25)
        beats = len(asked(agent, part="/check/update/")) - before
        thirds = (time.monotonic() - started) / 0.5
    # The first one is somewhere in the first third.
    assert 3 <= beats <= thirds + 1
    assert agent.connections <= 2


def test_a_change_is_sent_at_once_and_the_same_again_is_not(make, agent, registry, monkeypatch):
    # No beat comes in between.
    monkeypatch.setattr(heartbeat.random, "uniform", lambda _least, most: most)
    with make(checks=checks.ttl(600)) as service:
        before = len(agent.requests)
        for number in range(50):
            service.passing(f"number {number}")
        time.sleep(0.1)
        assert len(agent.requests) == before
        for tell, status in ((service.warning, "warning"), (service.critical, "critical"), (service.passing, "passing")):
            tell(f"it is {status}")
            wait_for("it came to Consul", lambda status=status: registry.notes.get("service:web-1") == f"it is {status}")
            assert registry.checks["service:web-1"] == status


def test_a_change_that_comes_while_one_is_sent_follows_it(make, registry, reply):
    held = threading.Event()
    with make(checks=checks.ttl(600)) as service:
        registry.fault = lambda received: held.wait(20) and None if b"warning" in received.body else None
        service.warning("first")
        time.sleep(0.1)
        service.critical("second")
        held.set()
        wait_for("it came to Consul", lambda: registry.checks["service:web-1"] == "critical")


def test_a_status_that_changes_all_the_time_leaves_nothing_behind(make, registry, monkeypatch):
    monkeypatch.setattr(heartbeat, "_TIDY", 10)
    with make(checks=checks.ttl(86400)) as service:
        line = next(line for api, line in heartbeat._lines.items() if api.settings is service._settings)
        for number in range(200):
            tell, status = (service.warning, "warning") if number % 2 else (service.critical, "critical")
            tell()
            wait_for("it came to Consul", lambda status=status: registry.checks["service:web-1"] == status)
        assert len(line._waiting) < 30


def test_many_services_share_a_thread_and_few_connections(make, agent, registry):
    services = [make(id=f"web-{number}") for number in range(60)]
    threads = threading.active_count()
    # The fake agent has a thread for each connection.
    for service in services:
        assert service.register()
    wait_for("it came to Consul", lambda: len(asked(agent, part="/check/update/")) > 400)
    assert agent.connections <= heartbeat._WIDTH
    assert threading.active_count() <= threads + 1 + agent.connections
    assert set(registry.checks.values()) == {"passing"}
    assert exits.leave([service._forget() for service in services])
    assert not registry.services


def test_one_that_the_agent_forgot_takes_nothing_from_those_it_beats_with(make, registry, agent):
    services = [make(id=f"web-{number}") for number in range(20)]
    for service in services:
        assert service.register()
    for forgotten in ("web-3", "web-7"):
        registry.forget(forgotten)
    services[5].critical("told meanwhile")
    wait_for("it came to Consul", lambda: len(registry.services) == 20 and registry.checks["service:web-5"] == "critical")
    assert [status for check, status in registry.checks.items() if check != "service:web-5"] == ["passing"] * 19
    assert exits.leave([service._forget() for service in services])


@pytest.mark.parametrize("closes", [1, 3])
def test_an_agent_that_can_not_take_beats_together_has_them_one_by_one(make, registry, agent, closes):
    """Such as a proxy that closes the connection after a request, or after some."""
    beats = []

    def close_after(received):
        if "/check/update/" in received.target:
            beats.append(received)
            if len(asked_on(agent, received.connection)) > closes:
                return close
        return None

    services = [make(id=f"web-{number}") for number in range(10)]
    for service in services:
        assert service.register()
    registry.fault = close_after
    started = len(beats)
    wait_for("it came to Consul", lambda: len({received.target for received in beats[started:]}) == 10)
    time.sleep(2 * TTL)
    assert all(service.registered for service in services)
    assert set(registry.checks.values()) == {"passing"}
    registry.fault = lambda _received: None
    assert exits.leave([service._forget() for service in services])


# Health functions


def test_a_health_function_is_what_the_checks_say(make, registry):
    said = {"result": ("warning", "warming up")}
    health = make(health=lambda: said["result"])
    with health:
        # From the first moment on.
        assert registry.checks["service:web-1"] == "warning"
        said["result"] = True
        wait_for("it came to Consul", lambda: registry.checks["service:web-1"] == "passing")
        said["result"] = "nonsense"
        wait_for("it came to Consul", lambda: registry.checks["service:web-1"] == "critical")
        assert "no status" in registry.notes["service:web-1"]


def test_a_health_endpoint_is_a_health_function(make, registry):
    health = Health({"database": lambda: (False, "gone")}, cache=600)
    with make(health=health):
        assert registry.checks["service:web-1"] == "critical"
        assert registry.notes["service:web-1"] == "database: gone"


def test_a_health_function_that_hangs_holds_up_nothing(make, registry, agent):
    gate, calls = threading.Event(), []

    def hang():
        calls.append(1)
        gate.wait(60)

    try:
        with make(health=hang, health_timeout=0.2), make(id="web-2"):
            assert registry.checks["service:web-1"] == "critical"
            assert "no answer for" in registry.notes["service:web-1"]
            before = len(asked(agent, part="/check/update/"))
            wait_for("it came to Consul", lambda: len(asked(agent, part="/check/update/")) > before + 8)
            assert len(calls) == 1
            gate.set()
            wait_for("it came to Consul", lambda: registry.checks["service:web-1"] == "passing")
    finally:
        gate.set()


# An agent that is away, forgets, refuses or hangs


def lines(caplog, about=""):
    """about: a part of the lines; a service of an earlier test may still be told of in others."""
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [line for line in told if about in line]


def test_an_agent_that_is_away_is_asked_until_it_is_there(make, registry, agent, caplog):
    away = threading.Event()
    registry.fault = lambda _received: None if away.is_set() else close
    service, other = make(), make(id="web-2")
    assert service.register() is False
    assert other.register() is False
    assert not service.registered
    time.sleep(0.5)
    away.set()
    wait_for("it came to Consul", lambda: service.registered and other.registered)
    assert sorted(registry.services) == ["web-1", "web-2"]
    service.deregister()
    other.deregister()
    # However often it was asked.
    said = lines(caplog, agent.address)
    assert "no agent takes the services" in said[0]
    assert len([line for line in said if "no agent takes" in line]) == 1
    assert lines(caplog, "takes the services of this process again")


def test_a_permission_that_is_missing_for_a_while_is_said_once(make, registry, reply, caplog):
    with make() as service:
        registry.fault = lambda _received: reply("Permission denied", 403)
        time.sleep(0.5)
        registry.fault = lambda _received: None
        registry.forget("web-1")
        wait_for("it came to Consul", lambda: "web-1" in registry.services and service.registered)
        wait_for("it came to Consul", lambda: len(lines(caplog, "service web-1: Consul")) == 2)
    assert "service web-1: Consul does not take it" in lines(caplog, "service web-1: Consul")[0]
    assert "service web-1: Consul has it again" in lines(caplog, "service web-1: Consul")[1]


def test_a_wait_that_is_over_does_not_end_the_trying(make, registry, reply):
    hold = threading.Event()
    registry.fault = lambda _received: None if hold.is_set() else lambda: hold.wait(60) and None
    service = make()
    started = time.monotonic()
    assert service.register(wait=0.1) is False
    assert time.monotonic() - started < 2
    hold.set()
    wait_for("it came to Consul", lambda: service.registered)
    assert list(registry.services) == ["web-1"]


def test_what_the_agent_forgot_is_registered_again_as_it_is(make, registry):
    with make() as service:
        service.warning("busy")
        wait_for("it came to Consul", lambda: registry.checks["service:web-1"] == "warning")
        nonce = registry.services["web-1"]["Meta"][NONCE]
        registry.forget("web-1")
        wait_for("it came to Consul", lambda: "web-1" in registry.services)
        assert registry.checks["service:web-1"] == "warning"
        assert registry.services["web-1"]["Meta"][NONCE] == nonce


def test_a_check_that_was_taken_from_the_service_comes_back(make, registry):
    with make():
        registry.checks.clear()
        wait_for("it came to Consul", lambda: "service:web-1" in registry.checks)


def test_a_service_without_a_check_to_feed_comes_back_too(make, registry, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.registration._LOOK_INTERVAL",
        0.1,
    )
    with make(checks=()):
        assert registry.services["web-1"]["Checks"] == []
        registry.forget("web-1")
        wait_for("it came to Consul", lambda: "web-1" in registry.services)


@pytest.mark.parametrize(("status", "error"), [(400, BadRequestError), (403, PermissionDeniedError)])
def test_what_is_wrong_in_itself_is_raised_and_not_tried_again(make, registry, agent, reply, caplog, status, error):
    registry.fault = lambda received: reply("no", status) if "register?" in received.target else None
    service = make()
    with pytest.raises(error), service:
        pytest.fail("it was entered")
    time.sleep(0.3)
    assert len(asked(agent, part="register?")) == 1
    assert lines(caplog, "service web-1: Consul") == []
    registry.fault = lambda _received: None
    assert service.register()


def test_an_agent_that_hangs_holds_up_the_end_for_a_moment_only(make, registry, monkeypatch, caplog):
    monkeypatch.setattr(exits, "LIMIT", 0.3)
    release = threading.Event()
    service = make()
    service.register()
    registry.fault = lambda _received: lambda: release.wait(60) and None
    started = time.monotonic()
    assert service.deregister() is False
    assert time.monotonic() - started < 5
    release.set()
    assert lines(caplog, "not deregistered within 0.3 s")


def test_an_answer_that_is_none_ends_nothing(make, registry, reply):
    with make() as service:
        registry.fault = lambda received: reply("[") if received.method == "GET" else reply("", 404)
        time.sleep(0.5)
        registry.fault = lambda _received: None
        registry.forget("web-1")
        wait_for("it came to Consul", lambda: "web-1" in registry.services and service.registered)


# Two instances with one id


def test_the_last_one_to_register_has_the_id_until_it_leaves(make, registry, caplog):
    first, second = make(), make()
    first.register()
    second.register()
    nonce = registry.services["web-1"]["Meta"][NONCE]
    wait_for("it came to Consul", lambda: not first.registered)
    first.critical("of the first")
    time.sleep(0.3)
    assert registry.checks["service:web-1"] == "passing"
    assert [line for line in lines(caplog) if "another instance" in line] == [
        "service web-1: another instance has registered this id, and this one waits until it is free"
    ]
    assert second.deregister()
    wait_for("it came to Consul", lambda: first.registered)
    assert registry.services["web-1"]["Meta"][NONCE] != nonce
    assert registry.checks["service:web-1"] == "critical"
    assert first.deregister()
    assert not registry.services


def test_nobody_deregisters_a_successor(make, registry, agent):
    first, second = make(checks=checks.ttl(600)), make(checks=checks.ttl(600))
    first.register()
    second.register()
    assert first.deregister()
    assert not asked(agent, part="deregister")
    assert list(registry.services) == ["web-1"]


# Processes and signals


def test_a_child_has_nothing_to_end(make, registry):
    service = make()
    service.register()
    child = os.fork()
    if not child:
        told = 3
        try:
            service.passing()
        except ConsulError:
            told = 0
        exits._leave_all()
        os._exit(told if service.deregister() and not service.registered else 4)
    assert os.waitpid(child, 0)[1] == 0
    assert list(registry.services) == ["web-1"]


def test_sigterm_deregisters_and_goes_on_to_the_earlier_handler(make, registry):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append((number, list(registry.services))))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        first, second = make(), make(id="web-2")
        first.register()
        second.register()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for("it came to Consul", lambda: seen)
        assert seen == [(signal.SIGTERM, [])]
        first.deregister()
        second.deregister()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_of_the_app_that_calls_ours_is_no_circle(make, registry):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_arguments: seen.append("first"))
    try:
        make().register()
        ours = signal.getsignal(signal.SIGTERM)

        def apps(number, frame):
            seen.append("app")
            ours(number, frame)

        signal.signal(signal.SIGTERM, apps)
        make(id="web-2").register()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for("it came to Consul", lambda: "first" in seen)
        assert seen == ["app", "first"]
        assert registry.services == {}
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_end_of_a_child_without_hooks_deregisters_nothing(make, registry, monkeypatch):
    """uWSGI forks its workers without the hooks of Python."""
    child = os.getpid() + 1
    with make():
        monkeypatch.setattr(os, "getpid", lambda: child)
        exits._leave_all()
        monkeypatch.undo()
        assert list(registry.services) == ["web-1"]
    assert registry.services == {}


@pytest.mark.parametrize("handler", [signal.SIG_IGN, None])
def test_a_handler_that_python_can_not_call_is_left_alone(make, monkeypatch, handler):
    monkeypatch.setattr(signal, "getsignal", lambda _number: handler)
    monkeypatch.setattr(signal, "signal", lambda *_arguments: pytest.fail("it was replaced"))
    with make():
        pass


def test_another_thread_leaves_the_signals_alone(make):
    before = signal.getsignal(signal.SIGTERM)
    service = make()
    thread = threading.Thread(target=service.register)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    service.deregister()


# External services


def test_an_external_service_is_written_to_the_catalog(fake_agent, reply):
    agent = fake_agent(reply("true"))
    service = ExternalService(
        "database",
        node="db1",
        address="192.0.2.9",
        port=5432,
        tags=["main"],
        node_meta={"rack": "7"},
        checks=[checks.tcp("192.0.2.9:5432", name="port"), checks.http("http://192.0.2.9/", deregister_after=90)],
        datacenter="dc2",
        client=Api(agents=[agent.address]),
    )
    service.register()
    service.tell("critical", "no answer")
    service.deregister()
    service.deregister(with_node=True)
    assert {received.target for received in agent.requests} == {"/v1/catalog/register", "/v1/catalog/deregister"}
    # The address's is not looked at.
    assert {json.loads(received.body)["Datacenter"] for received in agent.requests} == {"dc2"}
    first, told, *gone = [json.loads(received.body) for received in agent.requests]
    assert first["Node"] == "db1"
    assert first["Address"] == "192.0.2.9"
    assert first["NodeMeta"] == {"rack": "7", "external-node": "true", "external-probe": "true"}
    assert first["Service"] == {"ID": "database", "Service": "database", "Port": 5432, "Tags": ["main"], "Meta": {}}
    assert first["Checks"] == [
        {
            "Node": "db1",
            "CheckID": "service:database",
            "ServiceID": "database",
            "Status": "passing",
            "Name": "port",
            "Definition": {"TCP": "192.0.2.9:5432", "Interval": "10s"},
        },
        {
            "Node": "db1",
            "CheckID": "service:database:2",
            "ServiceID": "database",
            "Status": "passing",
            "Name": "Service 'database' check",
            "Definition": {"HTTP": "http://192.0.2.9/", "Interval": "10s", "DeregisterCriticalServiceAfter": "90s"},
        },
    ]
    assert {(check["Status"], check["Output"]) for check in told["Checks"]} == {("critical", "no answer")}
    assert gone == [{"Node": "db1", "ServiceID": "database", "Datacenter": "dc2"}, {"Node": "db1", "Datacenter": "dc2"}]


# Arguments


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a\x00b"},
        {"name": 7},
        {"id": ""},
        {"id": "a\nb"},
        {"address": "0.0.0.0"},  # noqa: S104
        {"address": "a b"},
        {"address": "http://app"},
        {"port": 0},
        {"port": 65536},
        {"port": "80"},
        {"port": True},
        {"tags": "v1"},
        {"tags": [1]},
        {"tags": 7},
        {"meta": {"a b": "c"}},
        {"meta": {"a": 1}},
        {"meta": {"a": "x" * 513}},
        {"meta": {str(number): "x" for number in range(64)}},
        {"meta": {NONCE: "mine"}},
        {"meta": ["a"]},
        {"weights": {"passing": 0}},
        {"weights": {"Passing": 1}},
        {"weights": 10},
        {"tagged_addresses": {"lan": "192.0.2.1"}},
        {"tagged_addresses": {"lan": {"address": "192.0.2.1", "port": "80"}}},
        {"checks": "ttl"},
        {"checks": (), "health": print},
        {"health": 7},
        {"health_timeout": 0},
        {"status": "good"},
        {"deregister_after": 30},
        {"deregister_after": "soon"},
        {"extra": {"Connect": object()}},
        {"client": "127.0.0.1:8500"},
    ],
)
def test_what_can_not_be_right_is_told_before_anything_is_sent(make, agent, options):
    with pytest.raises(InvalidValueError):
        make(options.pop("name", "web"), **options)
    assert not agent.requests


@pytest.mark.parametrize("wait", [-1, "1", None, float("nan")])
def test_a_wait_that_is_none_registers_nothing(make, agent, wait):
    service = make()
    with pytest.raises(InvalidValueError):
        service.register(wait)
    with pytest.raises(InvalidValueError):
        service.passing(7)
    assert not agent.requests


@pytest.mark.parametrize(
    "options",
    [
        {"node": ""},
        {"node": None},
        {"address": ""},
        {"datacenter": "d c"},
        {"status": "good"},
        {"checks": 7},
        {"node_meta": {"a b": ""}},
        {"client": 7},
    ],
)
def test_the_same_for_external_services(agent, options):
    with pytest.raises(InvalidValueError):
        ExternalService("db", **{"node": "db1", "address": "192.0.2.9", "client": Api(agents=[agent.address]), **options})
    service = ExternalService("db", node="db1", address="192.0.2.9", client=Api(agents=[agent.address]))
    with pytest.raises(InvalidValueError):
        service.tell("passing")
    with pytest.raises(InvalidValueError):
        service.deregister(with_node="yes")
    assert not agent.requests

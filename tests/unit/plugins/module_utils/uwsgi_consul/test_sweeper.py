# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweeper: what counts as critical for how long, and what keeps it from removing."""

from __future__ import annotations

import json

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import Api, ConsulError, Sweeper, errors, sweeper

NODE = ("serfHealth", "passing", "")


class Datacenter:
    """What the agent answers: checks by node, as (id, status, id of the service); its index grows when one changes."""

    def __init__(self, reply):
        self.nodes, self.index, self.services = {}, {}, {}
        self.own, self.unknown = "n1", False
        self.before_second_look = lambda: None
        self.removed = []
        self._reply = reply

    def set(self, node, *checks):
        for check in checks:
            if check not in self.nodes.get(node, ()):
                self.index[node, check[0]] = self.index.get((node, check[0]), 0) + 1
        self.nodes[node] = list(checks)

    def __call__(self, received):
        path = received.target.partition("?")[0]
        if path == "/v1/health/state/any":
            return self._checks(list(self.nodes))
        if path.startswith("/v1/health/node/"):
            self.before_second_look()
            return self._checks([path[16:]])
        if path.startswith("/v1/catalog/node/"):
            services = self.services.get(path[17:], [])
            return self._reply(json.dumps({"Services": {name: {"ID": name, "Service": name.partition("-")[0]} for name in services}}))
        if path == "/v1/agent/self":
            return self._reply(json.dumps({"Config": {"NodeName": self.own, "Datacenter": "dc1"}}))
        if path.startswith("/v1/agent/service/deregister/"):
            self.removed.append(path[29:])
            return self._reply("", 404 if self.unknown else 200)
        self.removed.append(json.loads(received.body))
        return self._reply("true")

    def _checks(self, nodes):
        found = [
            {
                "Node": node,
                "CheckID": check,
                "Status": status,
                "ServiceID": service,
                "ServiceName": service.partition("-")[0],
                "Output": "because",
                "ModifyIndex": self.index[node, check],
            }
            for node in nodes
            for check, status, service in self.nodes[node]
        ]
        return self._reply(json.dumps(found))


@pytest.fixture
def datacenter(reply):
    return Datacenter(reply)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(sweeper.time, "time", lambda: now[0])
    return now


@pytest.fixture
def make(fake_agent, datacenter, clock):
    agent = fake_agent(datacenter)

    def of(**options):
        return Sweeper(Api(agents=[agent.address]), **options)

    return of


def critical(service, check=None):
    return (check or f"check-{service}", "critical", service)


def ids(found):
    return [one["id"] for one in found]


def test_it_counts_from_the_first_look_that_saw_it(make, datacenter, clock):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make()
    assert sweep.find(60) == []
    clock[0] += 59.9
    assert sweep.find(60) == []
    clock[0] += 0.1
    (found,) = sweep.find("1m")
    assert found == {
        "node": "n1",
        "service": "web",
        "id": "web-1",
        "check": "check-web-1",
        "since": 1000.0,
        "seconds": pytest.approx(60),
        "output": "because",
        "by": "agent",
    }


@pytest.mark.parametrize("strict", [True, False])
def test_a_record_that_changed_counts_anew_if_strict(make, datacenter, clock, strict):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make(strict=strict)
    sweep.find(60)
    datacenter.index["n1", "check-web-1"] += 2
    clock[0] += 61
    assert ids(sweep.find(60)) == ([] if strict else ["web-1"])
    clock[0] += 61
    assert ids(sweep.find(60)) == ["web-1"]


@pytest.mark.parametrize("strict", [True, False])
def test_one_that_was_seen_passing_counts_anew(make, datacenter, clock, strict):
    sweep = make(strict=strict)
    for status in ("critical", "passing", "critical"):
        datacenter.set("n1", NODE, ("check", status, "web-1"))
        assert sweep.find(60) == []
        clock[0] += 61
    assert ids(sweep.find(60)) == ["web-1"]


def test_a_clock_that_was_set_back_makes_nothing_older(make, datacenter, clock):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make()
    sweep.find(60)
    clock[0] -= 500
    sweep.find(60)
    clock[0] += 59
    assert sweep.find(60) == []


def test_which_checks_count(make, datacenter, clock):
    datacenter.set("n1", NODE, ("disk", "critical", ""), ("a", "passing", "web-1"), ("b", "warning", "web-2"), critical("web-3"))
    datacenter.set("n2", NODE, critical("web-4"), ("_node_maintenance", "critical", ""))
    datacenter.set("n3", NODE, critical("web-5"), ("_service_maintenance:web-5", "critical", "web-5"), critical("web-6"))
    datacenter.set("n4", NODE, critical("consul"), ("_service_maintenance:web-7", "critical", "web-7"))
    datacenter.set("n5", ("serfHealth", "critical", ""), ("a", "passing", "web-8"))
    datacenter.services["n5"] = ["web-8", "web-9", "consul"]
    datacenter.set("n6", critical("web-10"))
    sweep = make()
    sweep.find(60)
    clock[0] += 60
    found = sweep.find(60)
    assert {one["id"]: one["by"] for one in found} == {
        "web-3": "agent",
        "web-6": "agent",
        "web-8": "catalog",
        "web-9": "catalog",
        "web-10": "catalog",
    }
    assert [one["check"] for one in found if one["node"] == "n5"] == ["serfHealth"] * 2
    assert [(one["node"], one["id"]) for one in found] == sorted((one["node"], one["id"]) for one in found)
    assert sweep.find(60, services=["we", "consul", "web?"]) == []
    assert len(sweep.find(60, services=["x", "w*"])) == 5


def test_the_check_that_is_critical_the_longest_is_named(make, datacenter, clock):
    sweep = make()
    datacenter.set("n1", NODE, critical("web-1", "b"))
    sweep.find(60)
    clock[0] += 60
    datacenter.set("n1", NODE, critical("web-1", "a"), critical("web-1", "b"))
    assert [one["check"] for one in sweep.find(60)] == ["b"]


def test_a_look_alone_and_a_dry_run_remove_nothing(make, datacenter, clock):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make()
    sweep.find(60)
    clock[0] += 60
    assert [(one["removed"], one["problem"]) for one in sweep.sweep(60)] == [(False, "dry run")]
    assert datacenter.removed == []
    assert [one["removed"] for one in sweep.sweep(60, dry_run=False)] == [True]
    assert datacenter.removed == ["web-1"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: one.set("n1", NODE, ("check-web-1", "passing", "web-1")), "its check has changed just now"),
        (lambda one: one.set("n1", NODE), "its check has changed just now"),
        (lambda one: one.index.update({("n1", "check-web-1"): 9}), "its check has changed just now"),
        (lambda one: one.set("n1", NODE, critical("web-1"), ("_node_maintenance", "critical", "")), "it is in maintenance since just now"),
        (lambda one: one.set("n1", ("serfHealth", "critical", ""), critical("web-1")), "its node has failed, or come back, just now"),
        (lambda one: setattr(one, "own", "n2"), "its agent, which alone can remove it for good, is not known"),
    ],
)
def test_what_changed_since_the_look_is_left(make, datacenter, clock, change, problem):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make()
    sweep.find(60)
    clock[0] += 60
    datacenter.before_second_look = lambda: change(datacenter)
    (done,) = sweep.sweep(60, dry_run=False)
    assert done["removed"] is False
    assert problem in done["problem"]
    assert datacenter.removed == []


def test_what_its_agent_does_not_know_is_removed_from_the_catalog(make, datacenter, clock):
    datacenter.set("n1", NODE, critical("web-1"))
    datacenter.unknown = True
    sweep = make(datacenter="dc1")
    sweep.find(60)
    clock[0] += 60
    (done,) = sweep.sweep(60, dry_run=False)
    assert done["removed"] is True
    assert datacenter.removed == ["web-1", {"Node": "n1", "ServiceID": "web-1", "Datacenter": "dc1"}]


def test_a_node_of_that_name_in_another_datacenter_is_not_asked(make, datacenter, clock):
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make(datacenter="dc2", agent=lambda _node: sweep.client.settings.agents[0].__str__())
    sweep.find(60)
    clock[0] += 60
    (done,) = sweep.sweep(60, dry_run=False)
    assert "is that of node n1 in dc1" in done["problem"]
    assert datacenter.removed == []


@pytest.mark.parametrize("address", [7, "", "a b", "user:password@host"])
def test_an_address_that_is_none_is_told_and_nothing_is_removed(make, datacenter, clock, address):
    datacenter.own = "n9"
    datacenter.set("n1", NODE, critical("web-1"))
    sweep = make(agent=lambda _node: address)
    sweep.find(60)
    clock[0] += 60
    (done,) = sweep.sweep(60, dry_run=False)
    assert done["problem"].startswith("agent")
    assert datacenter.removed == []


@pytest.mark.parametrize(
    ("dead", "alive", "limits", "goes"),
    [
        (1, 0, {}, True),
        (2, 0, {}, False),
        (2, 2, {}, True),
        (3, 2, {}, False),
        (3, 2, {"fraction": 1}, True),
        (3, 9, {"limit": 2}, False),
        (1, 9, {"fraction": 0}, True),
        (10, 10, {}, True),
        (11, 20, {}, False),
        (11, 20, {"limit": 11}, True),
    ],
)
def test_limits(make, datacenter, clock, dead, alive, limits, goes):
    checks = [(f"c{number}", "critical" if number < dead else "passing", f"web-{number}") for number in range(dead + alive)]
    datacenter.set("n1", NODE, *checks)
    sweep = make()
    sweep.find(60)
    clock[0] += 60
    if goes:
        assert all(one["removed"] for one in sweep.sweep(60, dry_run=False, **limits))
    else:
        with pytest.raises(ConsulError, match=f"{dead} of {dead + alive} instances are to be removed"):
            sweep.sweep(60, dry_run=False, **limits)
    assert len(datacenter.removed) == (dead if goes else 0)


def test_the_state_file(make, datacenter, clock, tmp_path):
    state = tmp_path / "state"
    datacenter.set("n1", NODE, critical("web-1"))
    make(state=str(state)).find(60)
    clock[0] += 60
    assert ids(make(state=str(state)).find(60)) == ["web-1"]
    assert json.loads(state.read_text()) == {"datacenter": None, "checks": [["n1", "check-web-1", 1000.0, 1]]}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize(
    "content", ["", "7", "{}", "[]", '{"datacenter": null, "checks": [[1]]}', '{"datacenter": null, "checks": 7}', b"\xff"]
)
def test_a_file_that_is_no_state_is_left_alone(make, datacenter, tmp_path, content):
    state = tmp_path / "state"
    state.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConsulError, match="holds no state of a sweeper"):
        make(state=str(state)).find(60)
    assert state.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_a_token_that_sees_nothing_makes_nothing_forgotten(make, datacenter, tmp_path):
    state = tmp_path / "state"
    datacenter.set("n1", NODE, critical("web-1"))
    make(state=str(state)).find(60)
    before = state.read_text()
    datacenter.nodes.clear()
    with pytest.raises(ConsulError, match="shows no check at all"):
        make(state=str(state)).find(60)
    assert state.read_text() == before


def test_a_place_that_cannot_be_written_is_told(make, datacenter, tmp_path):
    datacenter.set("n1", NODE)
    with pytest.raises(ConsulError, match="can't be written: No such file or directory"):
        make(state=str(tmp_path / "none" / "state")).find(60)
    with pytest.raises(ConsulError, match="can't be read: Is a directory"):
        make(state=str(tmp_path)).find(60)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": "soon"}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"services": "web"}, "services"),
        ({"dry_run": 0}, "dry_run"),
        ({"limit": 0}, "limit"),
        ({"fraction": 1.1}, "fraction"),
        ({"fraction": True}, "fraction"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(fake_agent, options, what):
    agent = fake_agent()
    with pytest.raises(errors.InvalidValueError, match=f"^{what}: "):
        Sweeper(Api(agents=[agent.address])).sweep(**{"threshold": 60, **options})
    assert not agent.requests


@pytest.mark.parametrize(
    "options", [{"state": ""}, {"state": 7}, {"state": "a\0"}, {"agent": "web1"}, {"strict": 1}, {"datacenter": "d c"}]
)
def test_what_is_wrong_with_a_sweeper_is_refused(make, options):
    (what,) = options
    with pytest.raises(errors.InvalidValueError, match=f"^{what}: "):
        make(**options)


@pytest.mark.parametrize("body", ["null", "7", "[7]", "[{}]"])
def test_an_answer_of_another_shape_is_a_bad_answer(fake_agent, reply, body):
    with pytest.raises(errors.BadAnswerError):
        Sweeper(Api(agents=[fake_agent(reply(body)).address])).find(60)

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ten functions in the module `uwsgi`, called by an app in a real uWSGI with the plugin."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import slowness, wait_for

from ..plugin.conftest import Agent, Build, Instance, Options, debian, launch, name, pypi, usual_options

__all__ = ["debian", "name", "pypi"]

LIBRARY = Path(__file__).parents[3] / "plugins/module_utils"
APP = Path(__file__).parent / "attach_app.py"
NO_SUCH = "00000000-0000-0000-0000-000000000000"

Attached = Callable[..., Instance]


@pytest.fixture
def attached(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Attached]:
    """Starts an instance of the app with `import = uwsgi_consul.attach`, in Debian's uWSGI unless the test names others."""
    build: Build = request.getfixturevalue(getattr(request, "param", "debian"))
    instances: list[Instance] = []

    def begin(options: Options, environment: dict[str, str] | None = None) -> Instance:
        directory = tmp_path / f"instance{len(instances)}"
        directory.mkdir()
        mine = {"wsgi-file": str(APP), "pythonpath": str(LIBRARY), "import": "uwsgi_consul.attach", "disable-logging": "true"}
        instances.append(launch(build, directory, usual_options(build, directory) | mine | options, environment))
        instances[-1].wait_log("spawned uWSGI worker 1|uWSGI worker 1 ")
        return instances[-1]

    yield begin
    for instance in instances:
        instance.kill_all()


def ask(instance: Instance, function: str, *arguments: Any, times: int = 0, **named: Any) -> Any:
    asked = {
        "function": function,
        "arguments": [argument.decode() if isinstance(argument, bytes) else argument for argument in arguments],
        "bytes": [index for index, argument in enumerate(arguments) if isinstance(argument, bytes)],
        "named": named,
        "times": times,
    }
    request = urllib.request.Request(f"http://127.0.0.1:{instance.port}/", json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def result(instance: Instance, function: str, *arguments: Any, times: int = 0, **named: Any) -> Any:
    """What the function returns; one that raises fails the test with its text."""
    answer = ask(instance, function, *arguments, times=times, **named)
    assert "result" in answer, answer
    return answer["result"]


def register(agent: Agent, service: str, number: int, tags: list[str], status: str = "passing") -> None:
    """An instance on a node of its own, which no agent looks after."""
    identity = f"{service}-{number}"
    agent.put(
        "/v1/catalog/register",
        {
            "Node": identity,
            "Address": f"10.0.0.{number}",
            "Service": {"ID": identity, "Service": service, "Port": 8000 + number, "Tags": tags},
            "Check": {"CheckID": f"check-{identity}", "Name": "check", "ServiceID": identity, "Status": status},
        },
    )


def ids(instances: Any) -> list[str]:
    return [instance["id"] for instance in instances]


@pytest.mark.parametrize("attached", ["debian", "pypi"], indirect=True)
def test_all_ten_by_position_and_by_name(consul: Agent, attached: Attached, name: str) -> None:
    for number, tags, status in ((1, ["blue", "v1"], "passing"), (2, ["green"], "passing"), (3, ["blue"], "critical")):
        register(consul, name, number, tags, status)
    instance = attached({"consul-agent": consul.address})

    assert result(instance, "consul_services")[name] == ["blue", "green", "v1"]
    assert result(instance, "consul_services", "dc1") == result(instance, "consul_services", dc=None)

    found = result(instance, "consul_service", None, name)
    assert ids(found) == [f"{name}-1", f"{name}-2"]
    assert found[0] == {
        "node": f"{name}-1",
        "node_address": "10.0.0.1",
        "node_meta": {},
        "datacenter": "dc1",
        "service": name,
        "id": f"{name}-1",
        "address": "10.0.0.1",
        "port": 8001,
        "tags": ["blue", "v1"],
        "meta": {},
        "tagged_addresses": found[0]["tagged_addresses"],
        "weights": {"passing": 1, "warning": 1},
        "status": "passing",
    }
    assert ids(result(instance, "consul_service", "green", name, "dc1")) == [f"{name}-2"]
    assert ids(result(instance, "consul_service", name=name, tag="blue")) == [f"{name}-1"]
    assert result(instance, "consul_service", None, f"{name}-none") == []

    key = f"{name}/a key"
    assert result(instance, "consul_get", key) is None
    assert result(instance, "consul_set", key, "grün", None, 0) is True
    assert result(instance, "consul_set", key, "other", cas=0) is False
    entry = result(instance, "consul_get", key)
    assert entry == {"key": key, "value": "grün", "flags": 0, "index": entry["index"], "session": None}
    assert result(instance, "consul_set", key, b"bytes", "dc1", entry["index"]) is True
    assert result(instance, "consul_get", name=key, dc="dc1")["value"] == "bytes"
    consul.put(f"/v1/kv/{name}/binary", b"\xff\x00")
    binary = result(instance, "consul_get", f"{name}/binary")
    assert binary["value"] is None
    assert base64.b64decode(binary["base64"]) == b"\xff\x00"

    session = result(instance, "consul_session_create", "1s", name, None, "serfHealth")
    other = result(instance, "consul_session_create", lock_delay=0, node="node1", checks=[])
    info = result(instance, "consul_session_info", session)
    assert (info["id"], info["name"], info["node"], info["lock_delay"]) == (session, name, "node1", 1.0)
    assert (info["node_checks"], info["ttl"], info["behavior"]) == (["serfHealth"], None, "release")
    assert result(instance, "consul_session_info", other, "dc1")["node_checks"] == []
    for listed in (result(instance, "consul_session_node", "node1", "dc1"), result(instance, "consul_session_list", dc="dc1")):
        assert {session, other} <= {one["id"] for one in listed}

    lock = f"{name}/lock"
    assert result(instance, "consul_set", lock, "held", None, None, session) is True
    assert result(instance, "consul_get", lock)["session"] == session
    assert result(instance, "consul_set", lock, "stolen", acquire=other) is False
    assert result(instance, "consul_set", lock, "free", None, None, None, session) is True
    assert result(instance, "consul_get", lock)["session"] is None
    for one in (session, other):
        assert result(instance, "consul_session_destroy", one) is True
        assert result(instance, "consul_session_info", one) is None

    assert result(instance, "consul_del", lock) is True
    assert result(instance, "consul_get", lock) is None
    assert result(instance, "consul_del", f"{name}/", True, "dc1") is True
    assert result(instance, "consul_get", key) is None
    # What the plugin itself has put there stays.
    assert "RuntimeError" in ask(instance, "consul_health", "passing")["raised"]


@pytest.mark.parametrize("attached", ["debian", "pypi"], indirect=True)
def test_what_is_watched_is_read_from_the_cache_also_while_consul_is_away(
    consul_agents: Callable[..., Agent], attached: Attached, name: str
) -> None:
    agent = consul_agents()
    register(agent, name, 1, ["Blue"])
    register(agent, name, 2, ["green"])
    for prefix in ("first", "second"):
        agent.put(f"/v1/kv/{name}/{prefix}/key", prefix.encode())
    instance = attached(
        {
            "consul-agent": agent.address,
            "consul-timeout": "500ms",
            "consul-watch-service": [name, f"{name}-other,dc=dc1,tag=blue"],
            "consul-watch-kv": [f'"{name}/first/"', f"{name}/second/,dc=dc1"],
        }
    )
    assert ids(result(instance, "consul_service", None, name)) == [f"{name}-1", f"{name}-2"]
    agent.stop()

    # As Consul has it: without regard to case.
    assert ids(result(instance, "consul_service", "blue", name)) == [f"{name}-1"]
    assert result(instance, "consul_service", "blue", f"{name}-other", "dc1") == []
    found = result(instance, "consul_get", f"{name}/first/key")
    assert (found["value"], found["session"]) == ("first", None)
    assert result(instance, "consul_get", f"{name}/first/none") is None
    assert result(instance, "consul_get", f"{name}/second/key", "dc1")["value"] == "second"
    each = result(instance, "consul_service", None, name, times=500)
    assert each < 0.001 * slowness()

    # The same key of the agent's own datacenter is not what is watched; nor is another service.
    for function, arguments in (
        ("consul_get", [f"{name}/second/key"]),
        ("consul_service", [None, f"{name}-none"]),
        ("consul_service", [None, name, "dc2"]),
        ("consul_services", []),
        ("consul_set", ["key", "value"]),
        ("consul_session_list", []),
    ):
        answer = ask(instance, function, *arguments)
        assert "NoAgentError" in answer.get("raised", []), (function, answer)
        assert agent.address in answer["text"]


def test_a_change_is_seen_and_a_callers_changes_are_his_own(consul: Agent, attached: Attached, name: str) -> None:
    register(consul, name, 1, [])
    instance = attached({"consul-agent": consul.address, "consul-watch-service": name, "consul-watch-kv": f"{name}/"})
    assert ids(result(instance, "consul_service", None, name)) == [f"{name}-1"]
    register(consul, name, 2, [])
    wait_for("the second instance", lambda: ids(result(instance, "consul_service", None, name)) == [f"{name}-1", f"{name}-2"])
    assert result(instance, "consul_set", f"{name}/key", "1") is True
    wait_for("the key", lambda: (result(instance, "consul_get", f"{name}/key") or {}).get("value") == "1")
    assert result(instance, "consul_del", f"{name}/key") is True
    wait_for("the key's end", lambda: result(instance, "consul_get", f"{name}/key") is None)


def test_wrong_arguments_are_refused_before_anything_is_sent(attached: Attached) -> None:
    # Nobody is asked: there is no agent at all.
    instance = attached({"consul-agent": "127.0.0.1:1"})
    for function, arguments, named, text in (
        ("consul_service", [], {}, "name: must be given"),
        ("consul_service", ["tag"], {}, "name: must be given"),
        ("consul_service", [], {"name": "a\nb"}, "is no name"),
        ("consul_services", ["d c"], {}, "is no name of a datacenter"),
        ("consul_service", [None, "web", "d c"], {}, "is no name of a datacenter"),
        ("consul_get", [], {}, "name: must be given"),
        ("consul_get", ["/key"], {}, "must not start with a slash"),
        ("consul_set", ["key"], {}, "value: must be given"),
        ("consul_set", ["key", 5], {}, "value: is neither text nor bytes"),
        ("consul_set", ["key", "value"], {"cas": -1}, "cas: -1"),
        ("consul_set", ["key", "value"], {"cas": 1, "acquire": NO_SUCH}, "give one of them"),
        ("consul_del", [], {}, "name: must be given"),
        ("consul_del", ["key", "yes"], {}, "recurse: 'yes'"),
        ("consul_session_create", ["61s"], {}, "lock_delay: '61s'"),
        ("consul_session_create", [], {"checks": "a,,b"}, "checks"),
        ("consul_session_destroy", ["x"], {}, "is no id of a session"),
        ("consul_session_info", [], {}, "id: must be given"),
        ("consul_session_node", [""], {}, "node: must be given"),
    ):
        answer = ask(instance, function, *arguments, **named)
        assert "InvalidValueError" in answer.get("raised", []), (function, arguments, named, answer)
        assert text in answer["text"]


def test_which_agents_and_which_token(consul_agents: Callable[..., Agent], attached: Attached, name: str, tmp_path: Path) -> None:
    """Several agents, of which the last answers; ACLs, with a token that is replaced while the app runs."""
    secret = str(uuid.uuid4())
    agent = consul_agents({"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": secret}}}, token=secret)
    agent.put(f"/v1/kv/{name}", b"value")
    token = tmp_path / "token"
    token.write_text("wrong")
    options = {
        "consul-agent": ["127.0.0.1:1", agent.address, "127.0.0.1:2"],
        "consul-token-file": str(token),
        "consul-timeout": "2s",
        # One that was not called between both changes would know neither.
        "processes": 1,
    }
    instance = attached(options, {"CONSUL_HTTP_ADDR": "127.0.0.1:3", "CONSUL_HTTP_TOKEN": "of-the-environment"})
    refused = ask(instance, "consul_get", name)
    assert "PermissionDeniedError" in refused["raised"]
    assert "wrong" not in refused["text"]
    token.write_text(secret)
    assert result(instance, "consul_get", name)["value"] == "value"
    # While the file is away the last token stays.
    token.unlink()
    assert result(instance, "consul_get", name)["value"] == "value"
    # Without options of the plugin it is the environment that counts.
    from_environment = {"CONSUL_HTTP_ADDR": agent.address, "CONSUL_HTTP_TOKEN": secret}
    assert result(attached({}, from_environment), "consul_get", name)["value"] == "value"


def test_outside_of_uwsgi_the_error_says_what_to_do() -> None:
    code = "import uwsgi_consul.attach"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(LIBRARY)}, check=False)
    assert done.returncode == 1
    assert "ImportError: uwsgi_consul.attach is for apps that uWSGI runs" in done.stderr
    assert "import = uwsgi_consul.attach" in done.stderr
    # The rest works without uWSGI.
    code = (
        "from uwsgi_consul import uwsgi_cache, vassal; print(uwsgi_cache.available(), uwsgi_cache.cached('service/web'), vassal.settings())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(LIBRARY)}, check=True)
    assert done.stdout.startswith("False None Settings(")

"""The whole life of a service under valgrind, and with the address and undefined behaviour sanitizers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from polling import wait_for

from .conftest import SOURCES, Agent, Build, Instance, Options, Start, note, wait_state
from .rpc import call, rpc_options

PATIENCE = 60.0


def change(agent: Agent, instance: Instance, name: str, value: str) -> None:
    """Something of each kind that is watched changes, and the instance has seen it."""
    agent.put(f"/v1/kv/{name}/key", value.encode())
    wait_for("the touched file", lambda: (instance.directory / "touched").exists(), PATIENCE)
    (instance.directory / "touched").unlink()


def live_and_die(agent: Agent, instance: Instance, name: str) -> None:
    """Register, lead, be suspended and resumed, lose the workers, lose the registration, reload, stop; what is watched changes."""
    wait_state(agent, name, "passing", PATIENCE)
    instance.wait_log("this instance is the leader", PATIENCE)
    change(agent, instance, name, "one")
    instance.signal(signal.SIGTSTP)
    wait_state(agent, name, "critical", PATIENCE)
    instance.signal(signal.SIGTSTP)
    wait_state(agent, name, "passing", PATIENCE)
    for pid in instance.workers.values():
        os.kill(pid, signal.SIGKILL)
    wait_for("new workers", lambda: instance.text().count("Respawned uWSGI worker") == 2, PATIENCE)
    wait_state(agent, name, "passing", PATIENCE)
    agent.put(f"/v1/agent/service/deregister/{name}")
    instance.wait_log("has lost it", PATIENCE)
    wait_state(agent, name, "passing", PATIENCE)
    change(agent, instance, name, "two")
    wait_for("the workers to accept", lambda: note(agent, name).startswith("2/2 workers ready"), PATIENCE)
    instance.signal(signal.SIGHUP)
    wait_for("the reload", lambda: instance.text().count("registered as") == 3, PATIENCE)
    wait_for("the note", lambda: note(agent, name).startswith("2/2 workers ready"), PATIENCE)
    led = instance.text().count("this instance is the leader")
    session = agent.get(f"/v1/kv/uwsgi/election/{name}")[0].get("Session")
    if session:
        agent.put(f"/v1/session/destroy/{session}")
    wait_for("another term", lambda: instance.text().count("this instance is the leader") > led, PATIENCE)
    change(agent, instance, name, "three")
    agent.request("DELETE", f"/v1/kv/{name}/?recurse")  # type: ignore[attr-defined]
    wait_for("the touched file", lambda: (instance.directory / "touched").exists(), PATIENCE)
    instance.signal(signal.SIGINT)
    wait_state(agent, name, "absent", PATIENCE)
    instance.wait(PATIENCE)


def options_for(agent: Agent, name: str, token: Path) -> Options:
    token.write_text("unused")
    agent.put(f"/v1/kv/{name}/key", b"first")
    agent.put(f"/v1/kv/{name}/other", b"\xff\x00")
    agent.request("POST", "/v1/query", {"Name": name, "Service": {"Service": name}})  # type: ignore[attr-defined]
    return {
        "consul-agent": f"127.0.0.1:1,{agent.address}",
        "consul-service-name": name,
        "consul-service-id": name,
        "consul-service-tags": "a,b",
        "consul-service-meta": "a=b",
        "consul-token-file": str(token),
        "consul-check-ttl": "3s",
        "consul-election": f"{name},lock-delay=1s",
        "consul-election-gain": ["true", "exit 3"],
        "consul-election-loss": "true",
        "consul-timeout": "10s",  # of valgrind's time
        "consul-watch-service": [name, f"{name},tag=a,status=any,dc=dc1"],
        "consul-watch-kv": f"{name}/,on-change=touch:touched",
        "consul-watch-query": f"{name},interval=1s",
    }


OURS = re.compile(r"[(/](?:" + "|".join(re.escape(path.name) for path in SOURCES.rglob("*.c")) + r"):\d+|consul_plugin\.so")


def ours(report: str) -> list[str]:
    """The errors and losses of a valgrind report whose stack goes through the plugin. Python's and the core's are theirs:
    that one loses the texts of a cache's options."""
    blocks = re.split(r"(?m)^==\d+== *$", report)
    return [
        block
        for block in blocks
        if " 0x" in block and OURS.search(block) and "by uwsgi_cache_create" not in re.sub("0x[0-9A-F]+: ", "", block)
    ]


def valgrind(directory: Path) -> list[str]:
    return [
        "valgrind",
        "--trace-children=yes",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
        "--num-callers=30",
        f"--log-file={directory}/valgrind.%p",
    ]


def test_valgrind(consul: Agent, build: Build, start: Start, name: str, tmp_path: Path) -> None:
    wrapper = valgrind(tmp_path)
    instance = start(build, options_for(consul, name, tmp_path / "token"), environment={"PYTHONMALLOC": "malloc"}, wrapper=wrapper)
    live_and_die(consul, instance, name)
    reports = {path: path.read_text() for path in tmp_path.glob("valgrind.*")}
    agents = set(re.findall(r"agent process started \(pid (\d+)\)", instance.text()))
    assert len(agents) == 2
    for pid in agents:
        report = reports[tmp_path / f"valgrind.{pid}"]
        assert "LEAK SUMMARY" in report or "All heap blocks were freed" in report
    assert not [error for report in reports.values() for error in ours(report)]


@pytest.fixture
def sanitized(debian: Build, tmp_path: Path) -> Build:
    build = Build("sanitized", debian.binary, debian.plugins, tmp_path / "sanitized")
    build.compile("-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer")
    return build


def sanitizers(directory: Path) -> dict[str, str]:
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={library}"], capture_output=True, text=True, check=True).stdout.strip()
        for library in ("libasan.so", "libubsan.so")
    ]
    return {
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={directory}/asan:verify_asan_link_order=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={directory}/asan",
    }


def test_sanitizers(consul: Agent, sanitized: Build, start: Start, name: str, tmp_path: Path) -> None:
    instance = start(sanitized, options_for(consul, name, tmp_path / "token"), environment=sanitizers(tmp_path))
    live_and_die(consul, instance, name)
    found = [path.read_text() for path in tmp_path.glob("asan.*")]
    assert not [report for report in found if OURS.search(report)]


def call_everything(agent: Agent, instance: Instance, name: str) -> None:
    """Right and wrong, from a thread that ends and from a fork."""
    wait_state(agent, name, "passing", PATIENCE)
    session = call(instance, "consul_session_create", "1s", "a", "", "serfHealth")
    for value in ("text", b"\0\xff", "", "x" * 65535):
        assert call(instance, "consul_set", name, value) is True
        assert call(instance, "consul_get", name)["key"] == name
    assert call(instance, "consul_set", name, "v", "", "", session) is True
    assert call(instance, "consul_session_info", session)["ID"] == session
    assert call(instance, "consul_session_node", "node1")
    assert call(instance, "consul_session_list", how="thread")
    assert call(instance, "consul_session_destroy", session) is True
    assert name in call(instance, "consul_services", how="fork")
    # Its only worker is busy with the question: when that takes long the instance is not passing.
    assert isinstance(call(instance, "consul_service", "a", name), list)
    assert len(call(instance, "consul_service", "", "consul")) == 1
    assert call(instance, "consul_health", "passing", "note", "5s") is True
    assert call(instance, "consul_del", name, "true") is True
    assert call(instance, "consul_get", name, how="thread") is None
    for wrong in (
        ["consul_get"],
        ["consul_get", "/"],
        ["consul_get", b"\xff"],
        ["consul_set", name, "x" * 65536],
        ["consul_get", "k", "dc9"],
    ):
        assert "error" in call(instance, *wrong)  # type: ignore[arg-type]
    for wrong in (["consul_set", name, "", "", "x", "y"], ["consul_session_create", "a", "", "", ","], ["consul_health", "x", "", "y"]):
        assert "error" in call(instance, *wrong)
    instance.signal(signal.SIGINT)
    instance.wait(PATIENCE)


def calls_options(agent: Agent, build: Build, name: str, directory: Path) -> Options:
    return rpc_options(build, directory) | options_for(agent, name, directory / "token") | {"enable-threads": "true", "processes": 1}


def test_valgrind_of_calls(consul: Agent, debian: Build, start: Start, name: str, tmp_path: Path) -> None:
    options = calls_options(consul, debian, name, tmp_path)
    instance = start(debian, options, environment={"PYTHONMALLOC": "malloc", "BOOT_KEY": "none"}, wrapper=valgrind(tmp_path))
    call_everything(consul, instance, name)
    # The app's own fork leaves its copy of the parent's connection alone, which is a loss to valgrind.
    reports = [(tmp_path / f"valgrind.{pid}").read_text() for pid in (instance.process.pid, instance.agent_process, instance.workers[1])]
    assert "LEAK SUMMARY" in reports[2]
    assert not [error for report in reports for error in ours(report)]


def test_sanitizers_of_calls(consul: Agent, sanitized: Build, start: Start, name: str, tmp_path: Path) -> None:
    options = calls_options(consul, sanitized, name, tmp_path)
    instance = start(sanitized, options, environment=sanitizers(tmp_path) | {"BOOT_KEY": "none"})
    call_everything(consul, instance, name)
    found = [path.read_text() for path in tmp_path.glob("asan.*")]
    assert not [report for report in found if OURS.search(report)]

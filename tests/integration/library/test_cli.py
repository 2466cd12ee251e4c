# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `uwsgi-consul` against a real Consul."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from polling import wait_for

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.cli.program import program

LIBRARY = Path(__file__).parents[3] / "plugins/module_utils"
COMMAND = [sys.executable, "-m", "uwsgi_consul.cli"]
# Seconds for what takes an instant on a machine that has time.
PATIENCE = 30.0


@pytest.fixture
def environment(consul: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = {"CONSUL_HTTP_ADDR": consul.address, "PYTHONPATH": str(LIBRARY), "XDG_STATE_HOME": str(tmp_path / "state")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


def run(*arguments: Any, **how: Any) -> Any:
    return CliRunner().invoke(program, [str(argument) for argument in arguments], **how)


def read(*arguments: Any) -> Any:
    """The JSON that a command prints."""
    shown = run("--json", *arguments)
    assert shown.exit_code in (0, 1, 2), shown.output
    return json.loads(shown.stdout)


@contextlib.contextmanager
def started(*arguments: Any, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, *map(str, arguments)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        # What it has started may live on, and has its pipes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)


def register(consul: Any, service: str, number: int, status: str = "passing") -> None:
    identity = f"{service}-{number}"
    consul.put(
        "/v1/catalog/register",
        {
            "Node": identity,
            "Address": f"10.0.0.{number}",
            "Service": {"ID": identity, "Service": service, "Port": 8000 + number, "Tags": ["odd" if number % 2 else "even"]},
            "Check": {"CheckID": f"check-{identity}", "Name": "check", "ServiceID": identity, "Status": status},
        },
    )


def test_services(consul: Any, environment: dict[str, str]) -> None:
    register(consul, "cli-web", 1)
    register(consul, "cli-web", 2, "warning")
    assert {"name": "cli-web", "tags": ["even", "odd"]} in read("services")
    assert [one["id"] for one in read("service", "cli-web")] == ["cli-web-1"]
    assert [one["id"] for one in read("service", "cli-web", "--status", "warning")] == ["cli-web-1", "cli-web-2"]
    assert read("service", "cli-web", "--status", "any", "--tag", "even", "--filter", "Service.Port == 8002")[0]["port"] == 8002
    table = run("service", "cli-web").stdout.splitlines()
    assert table[0].split() == ["NODE", "ADDRESS", "PORT", "STATUS", "ID", "TAGS"]
    assert table[1].split() == ["cli-web-1", "10.0.0.1", "8001", "passing", "cli-web-1", "odd"]
    nothing = run("service", "cli-none")
    assert nothing.exit_code == 1
    # A name that ends in the middle, for the shell.
    words = {"_UWSGI_CONSUL_COMPLETE": "bash_complete", "COMP_WORDS": "uwsgi-consul service cli-w", "COMP_CWORD": "2"}
    assert run(prog_name="uwsgi-consul", env=words).stdout.split() == ["plain,cli-web"]


def test_health_judges_as_monitoring_plugins_do(consul: Any, environment: dict[str, str]) -> None:
    for number, status in enumerate(("passing", "critical"), 1):
        register(consul, "cli-half", number, status)
    register(consul, "cli-well", 1)
    register(consul, "cli-dead", 1, "critical")
    for names, status, word in (
        (["cli-well"], 0, "OK: 1 services"),
        (["cli-well", "cli-half"], 1, "WARNING: cli-half warning (1 of 2 usable)"),
        (["cli-well", "cli-half", "cli-dead"], 2, "CRITICAL: cli-half warning (1 of 2 usable), cli-dead critical (0 of 1 usable)"),
        (["cli-half", "--min", 2], 2, "CRITICAL"),
        (["cli-none"], 2, "CRITICAL"),
    ):
        shown = run("health", *names)
        assert shown.exit_code == status
        assert shown.stdout.splitlines()[0].startswith(word)
    # Of all services, the worst counts.
    assert run("health").exit_code == 2
    assert run("health", "--agent", "127.0.0.1:1").exit_code == 3
    counts = {"instances": 2, "usable": 1, "passing": 1, "warning": 0, "critical": 1, "maintenance": 0}
    assert read("health", "cli-half") == [{"service": "cli-half", "level": "warning", **counts}]


def test_keys(consul: Any, environment: dict[str, str], tmp_path: Path) -> None:
    missing = run("kv", "get", "cli/key")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert run("kv", "set", "cli/key", "value").exit_code == 0
    assert run("kv", "get", "cli/key").stdout_bytes == b"value"
    assert run("kv", "set", "cli/stdin", input=b"a\x00\xff\n").exit_code == 0
    assert run("kv", "get", "cli/stdin").stdout_bytes == b"a\x00\xff\n"
    (tmp_path / "file").write_bytes(b"from a file")
    assert run("kv", "set", "cli/file", f"@{tmp_path / 'file'}", "--flags", 42).exit_code == 0
    entry = read("kv", "get", "cli/file")
    assert (entry["value"], entry["flags"]) == ("from a file", 42)
    assert run("kv", "set", "cli/file", "other", "--cas", entry["modify_index"] + 1).exit_code == 1
    assert run("kv", "set", "cli/file", "other", "--cas", entry["modify_index"]).exit_code == 0
    listed = read("kv", "tree", "cli/")
    assert [one["key"] for one in listed] == ["cli/file", "cli/key", "cli/stdin"]
    assert (listed[2]["value"], listed[2]["base64"]) == (None, "YQD/Cg==")
    assert run("kv", "tree", "cli/", "--keys").stdout.split() == ["cli/file", "cli/key", "cli/stdin"]
    assert run("kv", "tree", "cli/").stdout.splitlines()[3].split() == ["cli/stdin", "(4", "bytes)"]
    assert run("kv", "del", "cli/key").exit_code == 0
    refused = run("kv", "del", "--recurse", "cli/", input="n\n")
    assert refused.exit_code == 1
    assert "2 keys begin with cli/" in refused.stderr
    assert run("kv", "tree", "cli/").exit_code == 0
    # Nobody is there to answer.
    assert run("kv", "del", "--recurse", "cli/", input="").exit_code == 1
    assert run("kv", "del", "--recurse", "cli/", "--yes").exit_code == 0
    assert run("kv", "tree", "cli/").exit_code == 1


def editor(tmp_path: Path, script: str) -> dict[str, str]:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"EDITOR": str(path), "VISUAL": "", "TMPDIR": str(tmp_path)}


def test_an_edit_never_overwrites_what_somebody_else_has_written(consul: Any, environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        assert run("kv", "edit", "cli-edit/a.json", env=editor(tmp_path, 'echo new > "$1"')).exit_code == 0
        assert run("kv", "get", "cli-edit/a.json").stdout == "new"
        # The editor puts a newline at the end where there was none; where there was one it stays.
        run("kv", "set", "cli-edit/lines", "one\n")
        assert run("kv", "edit", "cli-edit/lines", env=editor(tmp_path, 'echo two >> "$1"')).exit_code == 0
        assert run("kv", "get", "cli-edit/lines").stdout == "one\ntwo\n"
        before = read("kv", "get", "cli-edit/a.json")
        untouched = run("kv", "edit", "cli-edit/a.json", env=editor(tmp_path, "exit 0"))
        assert (untouched.exit_code, read("kv", "get", "cli-edit/a.json")) == (0, before)
        url = f"http://{consul.address}/v1/kv/cli-edit/a.json"
        put = f"{sys.executable} -c \"import urllib.request as r; r.urlopen(r.Request('{url}', b'theirs', method='PUT'))\""
        lost = run("kv", "edit", "cli-edit/a.json", env=editor(tmp_path, f'{put}; echo mine > "$1"'))
        assert lost.exit_code == 1
        assert run("kv", "get", "cli-edit/a.json").stdout == "theirs"
        kept = Path(lost.stderr.split("Your text is kept in ")[1].splitlines()[0])
        assert kept.read_text() == "mine\n"
        assert kept.stat().st_mode & 0o077 == 0 or kept.parent.stat().st_mode & 0o077 == 0
        assert run("kv", "edit", "cli-edit/a.json", env=editor(tmp_path, "exit 3")).exit_code != 0
        assert [path.name for path in tmp_path.glob("uwsgi-consul-*")] == [kept.parent.name]


def test_watch_tells_each_change(consul: Any, environment: dict[str, str]) -> None:
    with started("--json", "watch", "cli-watched", "--count", 3, environment=environment) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["instances"] == []
        for number in (1, 2):
            register(consul, "cli-watched", number)
            line = json.loads(process.stdout.readline())
            assert line["service"] == "cli-watched"
            assert [one["id"] for one in line["instances"]] == [f"cli-watched-{known}" for known in range(1, number + 1)]
        assert process.wait(PATIENCE) == 0
    with started("watch", "--kv", "cli-watched/", environment=environment) as process:
        assert process.stdout
        assert process.stdout.readline().endswith(", 0 found\n")
        consul.put("/v1/kv/cli-watched/key", b"value")
        assert process.stdout.readline().endswith(", 1 found\n")
        assert process.stdout.readline() == "+ cli-watched/key value\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr
        assert process.stderr.read() == ""


def lock(name: str, *options: Any, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    line = [*COMMAND, "lock", name, *map(str, options), "--", *command]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=120, stdin=subprocess.DEVNULL)


def held(consul: Any, name: str) -> str:
    """The session that holds the lock; nothing while none does."""
    with contextlib.suppress(urllib.error.HTTPError):
        return str(consul.get(f"/v1/kv/{name}")[0].get("Session") or "")
    return ""


def test_lock_runs_the_command_while_it_holds_the_lock(consul: Any, environment: dict[str, str]) -> None:
    first = lock("cli-lock/a", command=["sh", "-c", 'echo "$CONSUL_LOCK_KEY $CONSUL_LOCK_TOKEN"; exit 7'], environment=environment)
    assert first.returncode == 7, first.stderr
    key, token = first.stdout.split()
    assert key == "cli-lock/a"
    again = lock("cli-lock/a", command=["sh", "-c", 'echo "$CONSUL_LOCK_TOKEN"; env | grep ^UWSGI_'], environment=environment)
    assert int(again.stdout) > int(token)
    assert lock("cli-lock/a", command=["sh", "-c", "kill -9 $$"], environment=environment).returncode == 137
    assert lock("cli-lock/a", command=["/no/such/command"], environment=environment).returncode == 127
    assert lock("cli-lock/a", command=["/etc/passwd"], environment=environment).returncode == 126
    away = lock("cli-lock/a", "--agent", "127.0.0.1:1", command=["true"], environment=environment)
    assert (away.returncode, "no Consul agent answered" in away.stderr) == (125, True)


def test_lock_excludes_and_hands_on_signals(consul: Any, environment: dict[str, str]) -> None:
    script = 'trap "exit 9" TERM; echo running; while :; do sleep 0.1; done'
    with started("lock", "cli-lock/b", "--", "sh", "-c", script, environment=environment) as process:
        assert process.stdout
        assert process.stdout.readline() == "running\n"
        busy = lock("cli-lock/b", "--wait", 0, command=["true"], environment=environment)
        assert (busy.returncode, "was not to be had" in busy.stderr) == (124, True)
        # Ctrl-Z would stop the one who renews the lock, and nobody else.
        process.send_signal(signal.SIGTSTP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 9
    # It was given back, so nobody has to wait for the lock delay.
    assert lock("cli-lock/b", "--wait", 5, command=["true"], environment=environment).returncode == 0


@pytest.mark.parametrize(("trap", "told"), [('trap "echo told; exit 0" TERM', "told\n"), ('trap "" TERM', "")])
def test_a_lost_lock_ends_the_command(consul: Any, environment: dict[str, str], trap: str, told: str) -> None:
    key = f"cli-lock/lost-{len(told)}"
    script = f"{trap}; echo running; while :; do sleep 0.1; done"
    with started("lock", key, "--ttl", "10s", "--grace", 0.5, "--", "sh", "-c", script, environment=environment) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "running\n"
        consul.put(f"/v1/session/destroy/{wait_for('a holder', lambda: held(consul, key))}")
        assert process.wait(PATIENCE) == 123
        assert process.stdout.read() == told
        assert "was lost" in process.stderr.read()


def test_a_lost_lock_ends_what_the_command_has_started_too(consul: Any, environment: dict[str, str]) -> None:
    """Though the command itself ends at once."""
    script = '(trap "" TERM; while :; do sleep 0.1; done) & echo $!; wait'
    with started("lock", "cli-lock/group", "--grace", 0.5, "--", "sh", "-c", script, environment=environment) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        consul.put(f"/v1/session/destroy/{wait_for('a holder', lambda: held(consul, 'cli-lock/group'))}")
        assert process.wait(PATIENCE) == 123
        wait_for("its end", lambda: is_gone(child))


def test_a_signal_that_is_ignored_stays_so(consul: Any, environment: dict[str, str]) -> None:
    """As by `nohup`; the command may handle it all the same."""
    command = [*COMMAND, "lock", "cli-lock/nohup", "--", "sh", "-c", "echo running; sleep 1; exit 4"]
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 4


def is_gone(process: int) -> bool:
    """Whether it has ended, though nobody may have asked for its exit status."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_sessions_and_sweep(consul: Any, environment: dict[str, str]) -> None:
    session = consul.put("/v1/session/create", {"Name": "cli session", "LockDelay": "1s"})["ID"]
    assert [one["name"] for one in read("sessions", "--node", "node1") if one["id"] == session] == ["cli session"]
    assert f"{session}  cli session  node1" in run("sessions").stdout
    consul.put(f"/v1/session/destroy/{session}")
    register(consul, "cli-swept", 1, "critical")
    # The first look is the one from which it counts.
    assert read("sweep", "--older-than", "1s", "--service", "cli-swept") == []
    time.sleep(1.1)
    found = read("sweep", "--older-than", "1s", "--service", "cli-swept")
    assert [(one["id"], one["removed"]) for one in found] == [("cli-swept-1", False)]
    removed = run("sweep", "--older-than", "1s", "--service", "cli-swept", "--yes", "--fraction", "1")
    assert removed.exit_code == 0, removed.output
    assert "removed" in removed.stdout
    assert run("service", "cli-swept", "--status", "any").exit_code == 1

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit tests of the command: options, errors and their exit statuses, output; with an agent that answers as a test says."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.cli.program import program

LIBRARY = Path(__file__).parents[6] / "plugins/module_utils"
SERVICES = json.dumps({"web": ["v1", "blue"], "a\x1b[31mb": []})


# What goes to stderr is apart from the rest: always since click 8.2, the last one for Python 3.8 has to be told.
APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments, **how):
    return CliRunner(**APART).invoke(program, [str(argument) for argument in arguments], **how)


@pytest.fixture
def agent(fake_agent, reply):
    return fake_agent(reply(SERVICES))


def test_a_table_for_people_leaves_nothing_to_act_on_the_terminal(agent):
    shown = run("services", "--agent", agent.address)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == ["NAME        TAGS", r"a\x1b[31mb", "web         blue, v1"]


def test_json_for_programs(agent):
    shown = run("--json", "--agent", agent.address, "services")
    assert json.loads(shown.stdout) == [{"name": "a\x1b[31mb", "tags": []}, {"name": "web", "tags": ["blue", "v1"]}]


def test_the_shared_options_stand_before_or_after_the_command(agent, tmp_path):
    (tmp_path / "token").write_text("secret-of-mine")
    shared = ["--agent", agent.address, "--dc", "dc2", "--token-file", tmp_path / "token", "--consistency", "stale", "--timeout", 5]
    for line in (["services", *shared], [*shared, "services"], [*shared[:4], "services", *shared[4:]]):
        assert run(*line).exit_code == 0
    assert len({request.target for request in agent.requests}) == 1
    assert agent.requests[0].target == "/v1/catalog/services?dc=dc2&stale=1"
    assert {request.headers["x-consul-token"] for request in agent.requests} == {"secret-of-mine"}


def test_several_agents_and_the_environment(agent, refusing):
    assert run("services", "--agent", refusing, "--agent", agent.address).exit_code == 0
    assert run("services", env={"CONSUL_HTTP_ADDR": agent.address}).exit_code == 0


def test_a_token_is_no_argument():
    assert run("services", "--token", "secret").exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        ["services", "--agent", "a b"],
        ["services", "--timeout", "0"],
        ["services", "--dc", "d c"],
        ["services", "--consistency", "perhaps"],
        ["services", "--token-file", "/nowhere"],
        ["services", "--client-key", "/key"],
        ["service", ""],
        ["service", "a\nb"],
        ["service", "web", "--status", "well"],
        ["kv", "get", "/key"],
        ["kv", "set", "a//b", "value"],
        ["kv", "set", "key", "@/nowhere"],
        ["kv", "set", "key", "value", "--cas", "-1"],
        ["kv", "set", "key", "value", "--acquire", "x"],
        ["kv", "del", "key", "--recurse", "--yes", "--cas", "3"],
        ["watch"],
        ["watch", "web", "--kv", "prefix"],
        ["health", "--min", "-1"],
        ["sweep", "--older-than", "long"],
        ["lock", "name"],
        ["lock", "/name", "--", "true"],
        ["lock", "name", "--ttl", "1s", "--", "true"],
        ["nonsense"],
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_before_anything_is_asked(agent, line, tmp_path):
    shown = run(*line, env={"CONSUL_HTTP_ADDR": agent.address, "XDG_STATE_HOME": str(tmp_path)})
    assert (shown.exit_code, agent.requests) == (2, []), shown.output
    assert shown.stdout == ""
    assert shown.stderr


def test_what_consul_refuses_or_nobody_answers_is_status_3_and_shows_no_token(fake_agent, reply, refusing, tmp_path):
    (tmp_path / "token").write_text("secret-of-mine")
    denied = fake_agent(reply("Permission denied: token secret-of-mine", status=403))
    for address, said in ((denied.address, "403"), (refusing, "no Consul agent answered")):
        shown = run("services", "--agent", address, "--token-file", tmp_path / "token")
        assert (shown.exit_code, shown.stdout) == (3, "")
        assert said in shown.stderr
        assert "secret-of-mine" not in shown.output


def test_what_consul_says_does_nothing_to_a_terminal(fake_agent, reply):
    shown = run("services", "--agent", fake_agent(reply("\x1b]0;owned\x07 no", status=403)).address)
    assert shown.exit_code == 3
    assert r"\x1b]0;owned\x07 no" in shown.stderr


def test_completion_is_silent_when_consul_is_away(refusing, agent):
    def complete(line, address):
        environment = {"_UWSGI_CONSUL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()))}
        shown = run(prog_name="uwsgi-consul", env={"CONSUL_HTTP_ADDR": address, **environment})
        return shown.stdout.split(), shown.stderr

    assert complete("uwsgi-consul service ", agent.address) == (["plain,web"], "")
    assert complete("uwsgi-consul service ", refusing) == ([], "")
    assert "plain,services" in complete("uwsgi-consul ", refusing)[0]


def test_completion_leaves_out_what_a_shell_would_run(fake_agent, reply):
    names = ["web", "größe_1.2-b", "$(reboot)", "`reboot`", "a b", "a;b", "a'b", 'a"b', "*", "a\nb", "a>b", "~", "a\\b"]
    agent = fake_agent(reply(json.dumps({name: [] for name in names})))
    environment = {"_UWSGI_CONSUL_COMPLETE": "bash_complete", "COMP_WORDS": "uwsgi-consul service ", "COMP_CWORD": "2"}
    shown = run(prog_name="uwsgi-consul", env={"CONSUL_HTTP_ADDR": agent.address, **environment})
    assert shown.stdout.splitlines() == ["plain,größe_1.2-b", "plain,web"]


def test_json_does_nothing_to_a_terminal(fake_agent, reply):
    name = "a\x9b31mb\x7f\ud800"
    agent = fake_agent(reply(json.dumps({name: []})))
    shown = run("--json", "--agent", agent.address, "services")
    assert json.loads(shown.stdout) == [{"name": name, "tags": []}]
    assert shown.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("key", ["app/$(reboot)", "app/`x`.yaml", 'app/a"b', "app/;x", "app/-x", "app/" + "ö" * 200, "app/$/", "app/..."])
def test_the_file_that_is_edited_has_a_name_that_no_shell_acts_upon(fake_agent, reply, monkeypatch, key):
    """Older releases of click hand it to one."""
    agent = fake_agent(reply(status=404))
    edited = []
    monkeypatch.setattr("click.edit", lambda filename: edited.append(Path(filename).name))
    shown = run("kv", "edit", key, "--agent", agent.address)
    assert (shown.exit_code, len(edited)) == (0, 1), shown.output
    assert re.fullmatch(r"[\w.+][\w.+-]*", edited[0], re.ASCII)
    assert edited[0].endswith(".yaml") is key.endswith(".yaml")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_reads(shell):
    shown = run("completion", shell)
    assert "_UWSGI_CONSUL_COMPLETE" in shown.stdout


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_what_it_needs(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from uwsgi_consul.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(LIBRARY)}, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert f"uwsgi-consul needs {missing}" in done.stderr
    assert "pip install 'uwsgi-consul[cli]'" in done.stderr

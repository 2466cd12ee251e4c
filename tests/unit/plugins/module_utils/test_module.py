# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules share: how a function's change, results and errors become a module's result."""

from __future__ import annotations

import contextlib
import io
import json
import types

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils._module import Change, Task, run
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.errors import ConflictError, PermissionDeniedError
from modules import given_arguments


def result(function, spec=None, *, check=False, diff=True, **params):
    printed = io.StringIO()
    arguments = {"_ansible_check_mode": check, "_ansible_diff": diff, **params}
    with given_arguments(arguments), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        run(function, spec or {})
    return json.loads(printed.getvalue())


@pytest.mark.parametrize(
    ("before", "after", "diff"),
    [
        (None, {"a": 1}, {"before": "", "after": {"a": 1}}),
        ({"a": 1}, None, {"before": {"a": 1}, "after": ""}),
        ("old\n", "new\n", {"before": "old\n", "after": "new\n"}),
        ([1], [2], {"before": {"value": [1]}, "after": {"value": [2]}}),
    ],
)
def test_a_change_is_told_and_shown(before, after, diff):
    told = result(lambda _task: Change(before, after))
    assert (told["changed"], told["diff"]) == (True, diff)
    assert "diff" not in result(lambda _task: Change(before, after), diff=False)


@pytest.mark.parametrize("change", [None, Change(None, None), Change({"a": [1]}, {"a": [1]})])
def test_no_change(change):
    told = result(lambda _task: change)
    assert told["changed"] is False
    assert "diff" not in told


def test_results_are_returned_and_the_check_mode_is_known():
    def function(task: Task):
        task.results["seen"] = (task.check_mode, task.given("name", "other"))

    told = result(function, {"name": {"type": "str"}, "other": {"type": "str"}}, check=True, name="x")
    assert told["seen"] == [True, {"name": "x"}]


def test_an_error_has_its_parts_and_what_was_done_until_then():
    def function(task: Task):
        task.results["written"] = ["a"]
        task.changed = True
        raise PermissionDeniedError("403 no", asked="PUT /v1/kv/b", agent="a:1", advice="Give it key:write", status=403)

    told = result(function)
    assert told["failed"]
    assert told["msg"] == "PUT /v1/kv/b of a:1: 403 no. Give it key:write"
    assert (told["changed"], told["written"], told["status"], told["agent"]) == (True, ["a"], 403, "a:1")


def test_an_error_of_the_options_is_one_of_the_module():
    told = result(lambda task: task.api.request("GET", "/v1/status/leader"), agents=["http://a b"])
    assert told["failed"]
    assert told["msg"].startswith("agents: 'http://a b' is no address of an agent")


@pytest.mark.parametrize(("answers", "warned"), [([], 0), ([False], 0), ([True, False], 1)])
def test_what_consul_left_out_is_told(answers, warned):
    said = []

    def function(task: Task):
        task.warn = said.append
        for filtered in answers:
            task.api._note(types.SimpleNamespace(filtered_by_acls=filtered))
        task.warn_if_filtered("there may be more")

    result(function)
    assert said == ["Consul left out what the token may not see: there may be more"] * warned


def test_no_token_is_told():
    def function(task: Task):
        raise ConflictError(f"with {task.params['token']}")

    assert "s3cret" not in json.dumps(result(function, **{"token": "s3cret"}))

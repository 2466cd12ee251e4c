# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health endpoint as a real agent's http check reads it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.health import Health

WITHIN = 60


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture
def serve():
    """Serves a WSGI app and gives its URL."""
    with contextlib.ExitStack() as stack:

        def start(app):
            server = stack.enter_context(make_server("127.0.0.1", 0, app, handler_class=Quiet))
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            return f"http://127.0.0.1:{server.server_port}/"

        yield start


def output_of(consul, check_id, status):
    """What the agent keeps as the check's output, once it has the status."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        check = consul.get("/v1/agent/checks")[check_id]
        if check["Status"] == status and check["Output"]:
            return check["Output"]
        time.sleep(0.05)
    return pytest.fail(f"not {status} but {check}")


@pytest.mark.parametrize("count", [1, 200])
def test_the_agent_reads_each_status_and_keeps_the_whole_answer(consul, serve, count):
    said = {"it": True}
    health = Health({f"check number {number}": lambda: (True, "as it should be " * 10) for number in range(count)}, cache=0)
    health.add("it", lambda: (said["it"], "as the test says"))
    name = f"health-of-the-library-{count}"
    check = {"CheckID": name, "HTTP": serve(health.wsgi), "Interval": "1s", "Timeout": "10s"}
    consul.put("/v1/agent/service/register", {"Name": name, "Check": check})
    try:
        for result, status in ((True, "passing"), ("warning", "warning"), (False, "critical")):
            said["it"] = result
            answer = json.loads(output_of(consul, name, status).partition("Output: ")[2])
            assert answer["status"] == status
            assert status == "passing" or answer["checks"]["it"]["note"] == "as the test says"
        said["it"] = True
        output_of(consul, name, "passing")
        health.stop()
        assert "shutting down" in output_of(consul, name, "critical")
    finally:
        consul.put(f"/v1/agent/service/deregister/{name}")

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`KV` against a real Consul: all verbs, and counters of many processes through faults."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul import errors, keys
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.transactions import Operation, TransactionError

COLLECTIONS = Path(__file__).parents[3] / "collections"
MANAGEMENT = str(uuid.uuid4())
NOBODY = str(uuid.uuid4())


@pytest.fixture
def kv(consul):
    return KV(Api(agents=[consul.address], timeout=30))


@pytest.fixture
def folder(kv):
    """A folder of the test's own, with a slash at its end."""
    name = f"kv-{uuid.uuid4().hex[:8]}/"
    yield name
    kv.delete(name, recurse=True)


@pytest.fixture
def session(consul):
    made = consul.put("/v1/session/create", {"LockDelay": "0s"})["ID"]
    yield made
    consul.put(f"/v1/session/destroy/{made}")


# ---- single keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [b"", b"\xff\x00\n", b"plain", "\u00fc\U0001f600".encode(), bytes(range(256)) * 2048], ids=lambda value: str(len(value))
)
def test_values_come_back_as_they_are(kv, folder, value):
    assert kv.set(f"{folder}k", value) is True
    assert kv.get(f"{folder}k")["value"] == value


@pytest.mark.parametrize(
    "name", ["a b?&#%+", "\u00e9/\u20ac", "\U0001f600", "%2F", "a..b", "x y/ z", "'\"\\<>", "~a=b;c,d@e:f!g$h*(i)[j]{k}|l^`", "k" * 4000]
)
def test_names_come_back_as_they_are(kv, folder, name):
    key = folder + name
    assert kv.set(key, name)
    assert kv.get(key)["key"] == key
    assert kv.keys(folder) == [key]
    assert kv.transaction([Operation.get(key)])[0]["value"] == name.encode()
    assert kv.update(key, lambda value: value + b"!") == name.encode() + b"!"
    assert kv.delete(key)
    assert kv.get(key) is None


def test_the_longest_key(kv, folder):
    # In UTF-8 and quoted it is 12 times as long, which is the worst that a request's line may be.
    key = folder + "\U0001f600" * (keys.LONGEST_KEY - len(folder))
    assert kv.set(key, "v")
    assert kv.get(key)["value"] == b"v"


@pytest.mark.parametrize("name", [" a", "a ", "a\u00a0b", "a\u200b", "a\ue000"])
def test_what_consul_refuses_as_a_key_is_refused_here(consul, kv, name):
    with pytest.raises(errors.InvalidValueError):
        kv.get(name)
    with pytest.raises(errors.ConsulError, match=r"40|500"):
        kv.client.request("GET", f"/v1/kv/{quote(name)}")


def test_flags(kv, folder):
    key = f"{folder}k"
    kv.set(key, "v", flags=2**64 - 1)
    assert kv.get(key)["flags"] == 2**64 - 1
    kv.update(key, lambda value: b"w")
    assert kv.get(key)["flags"] == 2**64 - 1
    kv.set(key, "v")
    assert kv.get(key)["flags"] == 0


def test_conditions(kv, folder):
    key = f"{folder}k"
    assert kv.set(key, "1", cas=0) is True
    assert kv.set(key, "2", cas=0) is False
    index = kv.get(key)["modify_index"]
    assert kv.set(key, "2", cas=index) is True
    assert kv.set(key, "3", cas=index) is False
    assert kv.delete(key, cas=index) is False
    assert kv.get(key)["value"] == b"2"
    assert kv.delete(key, cas=kv.get(key)["modify_index"]) is True
    assert kv.get(key) is None
    assert kv.delete(key, cas=index) is True


def test_a_lock(consul, kv, folder, session):
    other = consul.put("/v1/session/create", {"LockDelay": "0s"})["ID"]
    key = f"{folder}k"
    assert kv.set(key, "mine", acquire=session) is True
    assert kv.set(key, "theirs", acquire=other) is False
    assert (kv.get(key)["session"], kv.get(key)["lock_index"]) == (session, 1)
    assert kv.set(key, "theirs", release=other) is False
    assert kv.set(key, "free", release=session) is True
    assert (kv.get(key)["session"], kv.get(key)["value"]) == (None, b"free")
    with pytest.raises(errors.ServerError, match="invalid session"):
        kv.set(key, "x", acquire=NOBODY)


def test_a_value_of_the_largest_size_and_one_byte_more(kv, folder):
    assert kv.set(f"{folder}k", b"x" * keys.LARGEST_VALUE)
    with pytest.raises(errors.InvalidValueError, match="has 524289 bytes"):
        kv.set(f"{folder}k", b"x" * (keys.LARGEST_VALUE + 1))
    with pytest.raises(errors.BadRequestError, match="413"):
        kv.client.request("PUT", f"/v1/kv/{folder}k", body=b"x" * (keys.LARGEST_VALUE + 1))


# ---- folders --------------------------------------------------------------------------------------------------------------


def test_keys_and_trees(kv, folder):
    for name in ("b/2", "b/1", "a", "c/d/e", "bc"):
        kv.set(folder + name, name)
    assert kv.keys(folder) == [folder + name for name in ("a", "b/1", "b/2", "bc", "c/d/e")]
    assert kv.keys(folder, "/") == [folder + name for name in ("a", "b/", "bc", "c/")]
    assert kv.keys(f"{folder}b") == [folder + name for name in ("b/1", "b/2", "bc")]
    assert [entry["value"] for entry in kv.tree(f"{folder}b/")] == [b"b/1", b"b/2"]
    assert kv.delete(f"{folder}b/", recurse=True)
    assert kv.keys(folder, "/") == [folder + name for name in ("a", "bc", "c/")]
    assert folder + "a" in kv.keys("")


def test_a_mapping_and_back(kv, folder):
    mapping = {"a": "1", "b": {"c": "\u00fc", "d": {"e": ""}, "made": {}}}
    assert kv.set_mapping(folder, mapping) == 4
    assert kv.keys(folder) == [folder + name for name in ("a", "b/c", "b/d/e", "b/made/")]
    assert kv.mapping(folder) == kv.mapping(folder[:-1]) == mapping
    assert kv.mapping(f"{folder}b/d", encoding=None) == {"e": b""}
    kv.set(f"{folder}b", "both")
    with pytest.raises(errors.InvalidValueError, match=f"{folder}b: is a key and a folder at the same time"):
        kv.mapping(folder)


def test_the_whole_store_is_deleted_only_when_told(consul_agents):
    kv = KV(Api(agents=[consul_agents().address]))
    kv.set("a", "1")
    with pytest.raises(errors.InvalidValueError):
        kv.delete("", recurse=True)
    assert kv.mapping("") == {"a": "1"}
    assert kv.delete("", recurse=True, everything=True)
    assert kv.keys("") == []


# ---- transactions ---------------------------------------------------------------------------------------------------------


def test_every_verb(kv, folder, session):
    a, b, lock = f"{folder}a", f"{folder}t/b", f"{folder}lock"
    made = kv.transaction([Operation.set(a, b"\xff", flags=7), Operation.cas(b, "1", 0), Operation.lock(lock, "", session)])
    assert [entry["key"] for entry in made] == [a, b, lock]
    assert [entry["flags"] for entry in made] == [7, 0, 0]
    index = made[0]["modify_index"]
    assert index == kv.get(a)["modify_index"]
    read = kv.transaction(
        [
            Operation.check_index(a, index),
            Operation.check_session(lock, session),
            Operation.check_not_exists(f"{folder}nix"),
            Operation.get(a),
            Operation.get_tree(f"{folder}t/"),
            Operation.get_or_empty(f"{folder}nix"),
            Operation.get_or_empty(b),
        ]
    )
    assert [entry["key"] for entry in read[:2]] == [a, lock]
    assert (read[2], read[5]) == (None, None)
    assert (read[3]["value"], read[4][0]["value"], read[6]["value"]) == (b"\xff", b"1", b"1")
    kv.transaction([Operation.cas(a, "2", index), Operation.unlock(lock, "free", session)])
    assert (kv.get(a)["value"], kv.get(lock)["session"], kv.get(lock)["value"]) == (b"2", None, b"free")
    index = kv.get(a)["modify_index"]
    gone = [Operation.delete_cas(a, index), Operation.delete(lock), Operation.delete(lock), Operation.delete_tree(f"{folder}t/")]
    assert kv.transaction(gone) == [None] * 4
    assert kv.keys(folder) == []
    assert kv.transaction([Operation.get_tree(folder)]) == [[]]


def test_what_makes_each_verb_fail(kv, folder, session):
    a, nix = f"{folder}a", f"{folder}nix"
    kv.set(a, "1")
    failing = [
        Operation.cas(a, "2", 1),
        Operation.cas(a, "2", 0),
        Operation.lock(a, "2", NOBODY),
        Operation.unlock(a, "2", session),
        Operation.check_index(a, 1),
        Operation.check_session(a, session),
        Operation.check_not_exists(a),
        Operation.delete_cas(a, 1),
        Operation.get(nix),
    ]
    for operation in failing:
        with pytest.raises(TransactionError) as failed:
            kv.transaction([Operation.set(f"{folder}other", "x"), operation])
        [failure] = failed.value.failures
        assert (failure.index, failure.verb, failure.key) == (1, operation.verb, operation.key)
        assert failure.reason
    assert kv.mapping(folder) == {"a": "1"}


def test_64_operations_and_65(kv, folder):
    operations = [Operation.set(f"{folder}{number:03}", str(number)) for number in range(65)]
    assert len(kv.transaction(operations[:64])) == 64
    assert kv.delete(folder, recurse=True)
    with pytest.raises(errors.InvalidValueError, match="65 are more than the 64"):
        kv.transaction(operations)
    assert kv.keys(folder) == []
    assert [entry["key"] for entry in kv.transaction(operations, split=True)] == [operation.key for operation in operations]


def test_a_thousand_operations(kv, folder):
    operations = [Operation.set(f"{folder}{number:04}", b"x" * (number * 13)) for number in range(1000)]
    started = time.monotonic()
    results = kv.transaction(operations, split=True)
    assert time.monotonic() - started < 20
    assert [entry["key"] for entry in results] == [operation.key for operation in operations] == kv.keys(folder)
    read = kv.transaction([Operation.get(operation.key) for operation in operations], split=True)
    assert [entry["value"] for entry in read] == [operation.value for operation in operations]


def test_of_a_thousand_operations_it_is_known_which_were_done(kv, folder):
    operations = [Operation.set(f"{folder}{number:04}", "x") for number in range(1000)]
    operations[700] = Operation.check_not_exists(f"{folder}0003")
    with pytest.raises(TransactionError) as failed:
        kv.transaction(operations, split=True)
    error = failed.value
    assert [failure.index for failure in error.failures] == [700]
    assert (error.done, error.unknown, len(error.results)) == (640, 0, 640)
    assert kv.keys(folder) == [operation.key for operation in operations[:640]]


def test_the_largest_value_in_a_transaction(kv, folder):
    room = (512 * 1024 - 2 - len(Operation.set(f"{folder}k", b"").encoded())) // 4 * 3
    assert kv.transaction([Operation.set(f"{folder}k", b"x" * room)])
    with pytest.raises(errors.InvalidValueError, match="too large for a transaction"):
        kv.transaction([Operation.set(f"{folder}k", b"x" * (room + 3))], split=True)
    assert len(kv.get(f"{folder}k")["value"]) == room


def test_a_token_that_may_write_one_folder(consul_agents):
    agent = consul_agents(
        {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": MANAGEMENT}}}, token=MANAGEMENT
    )
    agent.put("/v1/acl/policy", {"Name": "one", "Rules": 'key_prefix "mine/" { policy = "write" }'})
    token = agent.put("/v1/acl/token", {"Policies": [{"Name": "one"}]})["SecretID"]
    kv = KV(Api(agents=[agent.address], token=token))
    assert kv.set("mine/a", "1")
    assert kv.update("mine/a", lambda value: b"2", receipts="mine/receipts") == b"2"
    for refused in (
        lambda: kv.set("theirs/a", "1"),
        lambda: kv.transaction([Operation.set("mine/a", "3"), Operation.set("theirs/a", "1")]),
        lambda: kv.update("mine/a", lambda value: b"3", receipts="theirs"),
    ):
        with pytest.raises(errors.PermissionDeniedError) as denied:
            refused()
        assert token not in str(denied.value)
    assert kv.mapping("mine") == {"a": "2"}


# ---- counters -------------------------------------------------------------------------------------------------------------

WRITER = """
import json, sys
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.api import Api
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.kv import KV
from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.updates import OutcomeUnknownError

address, key, receipts, count = sys.argv[1:]
kv = KV(Api(agents=[address], timeout=10))
values, unknown = [], 0
for _ in range(int(count)):
    try:
        values.append(int(kv.update(key, lambda value: str(int(value or 0) + 1), timeout=100, receipts=receipts or None)))
    except OutcomeUnknownError:
        unknown += 1
print(json.dumps([values, unknown]))
"""


class Writers:
    """Processes that increment a counter, each so many times."""

    def __init__(self, address, key, receipts="", processes=20, count=10):
        self.total = processes * count
        arguments = [sys.executable, "-c", WRITER, address, key, receipts, str(count)]
        environment = os.environ | {"PYTHONPATH": str(COLLECTIONS)}
        self._processes = [subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(processes)]

    def results(self):
        """All values that the updates gave, sorted, and how many updates have an unknown outcome."""
        results = []
        for process in self._processes:
            output, _nothing = process.communicate(timeout=150)
            assert process.returncode == 0
            results.append(json.loads(output))
        return sorted(value for values, _unknown in results for value in values), sum(unknown for _values, unknown in results)

    def kill(self):
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def writers():
    made = []

    def make(*arguments, **options):
        made.append(Writers(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to an agent, and closes the connection in place of some answers to writes: before the request was
    passed on, after the answer to it came, or while it is on its way."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream, faults, seed=7):
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream, self.faults, self.random = upstream, faults, random.Random(seed)  # noqa: S311
        self.lost = {"before": 0, "after": 0, "on its way": 0}
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that went away, or an agent that is being restarted

    def fault(self):
        if self.random.random() >= self.faults:
            return None
        kind = self.random.choice(list(self.lost))
        self.lost[kind] += 1
        return kind


class _Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._pass_on(None)

    def do_DELETE(self):
        self._pass_on(None)

    def do_PUT(self):
        self._pass_on(self.server.fault())

    def _pass_on(self, fault):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "before":
            self.close_connection = True
            return
        if fault == "on its way":
            # The caller asks again while this one has not arrived yet.
            self.close_connection = True
            threading.Timer(self.server.random.uniform(0.01, 0.3), self._ask, (body,)).start()
            return
        status, headers, content = self._ask(body)
        if fault:
            self.close_connection = True
            return
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        if "X-Consul-Index" in headers:
            self.send_header("X-Consul-Index", headers["X-Consul-Index"])
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, body):
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def proxy():
    made = []

    def make(upstream, faults):
        made.append(Proxy(upstream, faults))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()
        one.server_close()


def test_twenty_writers_of_one_counter(consul, kv, folder, writers):
    key = f"{folder}counter"
    running = writers(consul.address, key)
    values, unknown = running.results()
    assert unknown == 0
    # Each value was given to one of them.
    assert values == list(range(1, running.total + 1))
    assert kv.get(key)["value"] == str(running.total).encode()


def test_twenty_writers_through_lost_answers_lose_and_double_nothing_with_receipts(consul, kv, folder, writers, proxy):
    key = f"{folder}counter"
    kv.set(key, "0")
    faulty = proxy(consul.address, faults=0.2)
    running = writers(faulty.address, key, f"{folder}receipts", count=6)
    values, unknown = running.results()
    assert sum(faulty.lost.values()) > 5
    assert unknown == 0
    assert values == list(range(1, running.total + 1))
    assert kv.get(key)["value"] == str(running.total).encode()
    assert kv.keys(f"{folder}receipts/") == []


def test_without_receipts_they_lose_and_double_nothing_silently(consul, kv, folder, writers, proxy):
    key = f"{folder}counter"
    faulty = proxy(consul.address, faults=0.1)
    running = writers(faulty.address, key, count=6)
    values, unknown = running.results()
    assert sum(faulty.lost.values()) > 5
    assert len(values) + unknown == running.total
    # No value was given twice, and what is not in the counter was told as unknown.
    assert len(set(values)) == len(values)
    # Late writes may still arrive.
    time.sleep(0.5)
    assert len(values) <= int(kv.get(key)["value"]) <= len(values) + unknown


def test_twenty_writers_while_the_server_is_killed_and_started_again(consul, tmp_path, writers):
    # A server that keeps its data, unlike one of -dev.
    config = {"server": True, "bootstrap": True, "data_dir": str(tmp_path / "data"), "performance": {"raft_multiplier": 1}}
    server = type(consul)(tmp_path, config)

    def start():
        with server.log.open("ab") as log:
            arguments = [os.environ["CONSUL_BIN"], "agent", f"-config-file={server.config_file}"]
            server.process = subprocess.Popen(arguments, stdout=log, stderr=log)

    def wait_until(condition, within=60):
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, server.log.read_text()[-4000:]
            time.sleep(0.05)

    kv = KV(Api(agents=[server.address]))

    def counter():
        try:
            return int((kv.get("counter") or {"value": b"0"})["value"])
        except errors.ConsulError:
            return -1

    start()
    try:
        wait_until(lambda: counter() >= 0)
        kv.set("counter", "0")
        running = writers(server.address, "counter", "receipts")
        wait_until(lambda: counter() >= running.total / 4)
        server.process.kill()
        server.process.wait()
        start()
        values, unknown = running.results()
        assert unknown == 0
        assert values == list(range(1, running.total + 1))
        assert counter() == running.total
    finally:
        server.stop()

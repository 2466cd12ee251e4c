"""What the tests of the RPC functions stand on: an app that calls what it is told to call, and agents that do not do what they should."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .conftest import Build, Instance, Options, Start, usual_options

APP = """
import json, os, threading
import uwsgi

BOOT = uwsgi.call(b"consul_get", os.environ["BOOT_KEY"].encode()) if "BOOT_KEY" in os.environ else None

def mine(key):
    return uwsgi.call(b"consul_get", key)

uwsgi.register_rpc("mine", mine)

def in_thread(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]

def in_fork(work):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, work() or b"")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    os.waitpid(child, 0)
    return result

def answer(asked):
    how, arguments = asked["how"], [text.encode("latin-1") for text in asked["arguments"]]
    work = lambda: uwsgi.call(asked["function"].encode(), *arguments)
    if how == "boot":
        return BOOT
    if how == "python":
        return json.dumps(uwsgi.consul_health(*asked["arguments"], **asked["named"])).encode()
    if how == "thread":
        return in_thread(work)
    if how == "fork":
        return in_fork(work)
    if how:
        return uwsgi.rpc(how.encode(), asked["function"].encode(), *arguments)
    return work()

def application(environ, start_response):
    try:
        result = answer(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
    except Exception as error:
        result = json.dumps({"raised": type(error).__name__, "text": str(error)}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(None if result is None else result.decode()).encode()]
"""


def rpc_options(build: Build, directory: Path) -> Options:
    (directory / "rpc_app.py").write_text(APP)
    return usual_options(build, directory) | {"wsgi-file": str(directory / "rpc_app.py"), "disable-logging": "true"}


def begin(start: Start, build: Build, directory: Path, options: Options, environment: dict[str, str] | None = None) -> Instance:
    """An instance of the app, once it serves."""
    instance = start(build, rpc_options(build, directory) | options, environment=environment)
    instance.wait_log("spawned uWSGI worker 1|uWSGI worker 1 ")
    return instance


def call(
    instance: Instance,
    function: str = "",
    *arguments: str | bytes,
    how: str = "",
    named: dict[str, Any] | None = None,
) -> Any:
    """What the app's call of a function gives, decoded. `how`: in another thread, in a fork, ..., or the address of a socket."""
    texts = [argument.encode() if isinstance(argument, str) and how != "python" else argument for argument in arguments]
    asked = {
        "function": function,
        "arguments": [text.decode("latin-1") if isinstance(text, bytes) else text for text in texts],
        "how": how,
        "named": named or {},
    }
    request = urllib.request.Request(f"http://127.0.0.1:{instance.port}/", json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = json.loads(answer.read())
    return "nothing" if text is None else json.loads(text)


class Agent:
    """Takes connections and reads requests.

    Answers as `answers` says, in turn: bytes of JSON; b"" closes without a word, None never answers. The last one stays.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.open, self.made = 0, 0  # connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    self._sockets.append(connection)
                    self.open += 1
                    self.made += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _next_answer(self, line: str) -> bytes | None:
        with self._lock:
            self.requests.append(line)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while first := stream.readline():
                length = 0
                while (header := stream.readline()) not in (b"\r\n", b""):
                    key, _, value = header.partition(b":")
                    length = int(value) if key.lower() == b"content-length" else length
                stream.read(length)
                answer = self._next_answer(first.decode().rpartition(" ")[0])
                if answer == b"":
                    break
                if answer is not None:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self.open -= 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            connection.close()


@contextlib.contextmanager
def agent(*answers: bytes | None) -> Iterator[Agent]:
    fake = Agent(*answers)
    try:
        yield fake
    finally:
        fake.close()

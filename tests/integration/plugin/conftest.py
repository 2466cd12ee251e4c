"""Builds the uWSGI plugin for a real uWSGI, starts instances with it, and watches what Consul says of them."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from polling import slowness, wait_for

from ports import free_port

SOURCES = Path(__file__).parents[3] / "roles/uwsgi/files/plugins/consul"
CACHE = Path(os.environ.get("UWSGI_CONSUL_CACHE", Path.home() / ".cache/uwsgi-consul"))
# Of those on PyPI: today's, and the first whose master stands still while its workers end (Debian 13 has it too).
PYPI_VERSIONS = {"pypi": "2.0.31", "pypi28": "2.0.28"}
STRICT = "-g -Werror -Wunused-parameter -Wmissing-field-initializers -Wshadow"
APP = """
import os, pathlib, time
time.sleep(float(os.environ.get("APP_LOADS_FOR", "0")))
if "APP_FAILS" in os.environ:
    raise RuntimeError("this app does not load")
if "APP_LOADED" in os.environ:
    pathlib.Path(os.environ["APP_LOADED"]).touch()
def application(environ, start_response):
    time.sleep(float(environ.get("QUERY_STRING") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""

T = TypeVar("T")
Options = dict[str, Any]


class Agent(Protocol):
    """What the tests need of the agent that `tests/integration/conftest.py` starts."""

    address: str
    process: subprocess.Popen[bytes] | None

    def get(self, path: str, token: str = "") -> Any: ...

    def put(self, path: str, body: Any = b"", token: str = "") -> Any: ...

    def start(self) -> Any: ...

    def stop(self) -> None: ...


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def entry(agent: Agent, name: str, token: str = "") -> dict[str, Any] | None:
    """What the catalog says of the only instance of a service, check and state."""
    found = agent.get(f"/v1/health/service/{name}", token)
    if not found:
        return None
    assert len(found) == 1, found
    check = next((check for check in found[0]["Checks"] if check["ServiceID"]), None)
    if check is None:
        return None
    return {"service": found[0]["Service"], "check": check, "state": check["Status"]}


def state(agent: Agent, name: str) -> str:
    found = entry(agent, name)
    return found["state"] if found else "absent"


def note(agent: Agent, name: str) -> str:
    """What the check of an instance says to people. The agent knows; the catalog gets a note that is all that changed minutes later."""
    notes = [check["Output"] for check in agent.get("/v1/agent/checks").values() if check["ServiceName"] == name]
    return str(notes[0]) if notes else ""


def wait_state(agent: Agent, name: str, wanted: str, within: float = 10.0) -> None:
    wait_for(f"{name} {wanted} in Consul (it was {state(agent, name)})", lambda: state(agent, name) == wanted, within)


class Watch:
    """Asks Consul for the passing instances of a service every 20 ms, and remembers when there was none."""

    def __init__(self, agent: Agent, name: str) -> None:
        self.path, self.address = f"/v1/health/service/{name}?passing", agent.address
        self.asked, self.missed = 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        while not self._stop.wait(0.02):
            connection.request("GET", self.path)
            self.missed += not json.loads(connection.getresponse().read())
            self.asked += 1
        connection.close()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Client:
    """Asks Consul for the passing instances of a service, then the instance that it finds, and counts the answers that it does not get.

    Between a look and a request an instance may go: it counts only when Consul still has it after the request failed.
    """

    def __init__(self, agent: Agent, name: str) -> None:
        self.agent, self.name = agent, name
        self.served, self.failed = 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _found(self) -> Any:
        return self.agent.get(f"/v1/health/service/{self.name}?passing")

    def _run(self) -> None:
        while not self._stop.is_set():
            found = self._found()
            if not found:
                self._stop.wait(0.01)
                continue
            service = found[0]["Service"]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{service['Port']}/", timeout=5) as answer:
                    self.served += answer.read() == b"served"
            except OSError:
                self.failed += bool(self._found())

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass
class Build:
    """One uWSGI and our plugin built for it."""

    name: str
    binary: str
    plugins: list[str]
    directory: Path

    def compile(self, flags: str = "") -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"PYTHON": sys.executable, "UWSGI_CONSUL_CFLAGS": f"{STRICT} {flags}"}
        done = subprocess.run(
            [self.binary, "--build-plugin", str(SOURCES)], cwd=self.directory, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in done.stdout + done.stderr
        assert (self.directory / "consul_plugin.so").is_file()


def debian_binary() -> str:
    binary = shutil.which("uwsgi")
    if not binary:
        raise RuntimeError("no uwsgi: apt-get install uwsgi-core uwsgi-plugin-python3")
    return binary


def pypi_binary(version: str) -> str:
    """uWSGI from PyPI, built once into a venv that later runs find again."""
    venv = CACHE / f"venv-uwsgi-{version}"
    binary = venv / "bin/uwsgi"
    if not binary.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "--quiet", f"uwsgi=={version}"], check=True)
    return str(binary)


def _make_build(name: str, directory: Path) -> Build:
    debian = name == "debian"
    build = Build(name, debian_binary() if debian else pypi_binary(PYPI_VERSIONS[name]), ["python3"] if debian else [], directory)
    build.compile()
    return build


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return _make_build("debian", tmp_path_factory.mktemp("debian"))


@pytest.fixture(scope="session")
def pypi(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return _make_build("pypi", tmp_path_factory.mktemp("pypi"))


@pytest.fixture(scope="session")
def pypi28(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return _make_build("pypi28", tmp_path_factory.mktemp("pypi28"))


@pytest.fixture(params=["debian", "pypi"])
def build(request: pytest.FixtureRequest) -> Build:
    """Each uWSGI in turn, for what must hold in all of them."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Build)
    return found


_names = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A service name that no other test uses."""
    return f"service-{os.getpid()}-{next(_names)}"


@dataclass
class Instance:
    """A uWSGI process with all its children, in a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    directory: Path
    started: float = field(default_factory=time.monotonic)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_log(self, pattern: str, within: float = 10.0) -> re.Match[str]:
        return wait_for(f"/{pattern}/ in the log:\n{self.text()}", lambda: re.search(pattern, self.text()), within)

    def wait_agent_process(self, count: int, within: float = 10.0) -> None:
        """Until so many of them were started since the beginning."""
        wait_for(f"agent process number {count}", lambda: self.text().count("agent process started") == count, within)

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def wait(self, within: float = 15.0) -> int:
        return self.process.wait(within * slowness())

    @property
    def workers(self) -> dict[int, int]:
        """The pid of each worker, as last logged."""
        return {int(worker): int(pid) for worker, pid in re.findall(r"spawned uWSGI worker (\d+) \((?:new )?pid: (\d+)", self.text())}

    @property
    def agent_process(self) -> int:
        return int(re.findall(r"\[consul\] agent process started \(pid (\d+)\)", self.text())[-1])

    @property
    def port(self) -> int:
        return int(re.findall(r"bound to TCP address [^ ]*:(\d+) ", self.text())[0])

    def command(self, letters: str) -> None:
        """Writes to the master's fifo, which `master-fifo = %dfifo` makes."""
        with (self.directory / "fifo").open("w") as fifo:
            fifo.write(letters)

    def ask(self, query: str = "", within: float = 10.0) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/?{query}", timeout=within) as answer:
            return str(answer.read().decode())

    def kill_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def ini(options: Options) -> str:
    lines = ["[uwsgi]"]
    for key, value in options.items():
        lines += [f"{key} = {item}" for item in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


class Start(Protocol):
    """Starts uWSGI with these options (a list repeats one; underscores stand for dashes) on top of the usual ones."""

    def __call__(
        self,
        build: Build,
        options: Options | None = None,
        /,
        *,
        environment: dict[str, str] | None = None,
        wrapper: list[str] | None = None,
    ) -> Instance: ...


def usual_options(build: Build, directory: Path) -> Options:
    (directory / "app.py").write_text(APP)
    return {
        "plugins-dir": str(build.directory),
        "need-plugin": [*build.plugins, "consul"],
        "strict": "true",
        "wsgi-file": str(directory / "app.py"),
        "processes": 2,
        "http-socket": f"127.0.0.1:{free_port()}",
        "die-on-term": "true",
    }


def launch(
    build: Build, directory: Path, options: Options, environment: dict[str, str] | None = None, wrapper: list[str] | None = None
) -> Instance:
    """Starts uWSGI in this directory with these options and no others; an option that is None is left out."""
    given = {key: value for key, value in options.items() if value is not None}
    (directory / "uwsgi.ini").write_bytes(ini(given).encode(errors="surrogateescape"))
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*(wrapper or []), build.binary, "--ini", str(directory / "uwsgi.ini")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
    return Instance(process, log, directory)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    instances: list[Instance] = []

    def begin(
        build: Build, options: Options | None = None, /, *, environment: dict[str, str] | None = None, wrapper: list[str] | None = None
    ) -> Instance:
        directory = tmp_path / f"instance{len(instances)}"
        directory.mkdir()
        instances.append(launch(build, directory, usual_options(build, directory) | (options or {}), environment, wrapper))
        return instances[-1]

    yield begin
    for instance in instances:
        instance.kill_all()

"""Loading: the plugin is there, or uWSGI does not start; one that was built for another uWSGI refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .conftest import Build


def verify(build: Build, directory: Path) -> subprocess.CompletedProcess[str]:
    """How the deployment finds out whether a plugin loads, without starting a server."""
    return subprocess.run(
        [build.binary, "--need-plugin", str(directory / "consul_plugin.so"), "--version"], capture_output=True, text=True, check=False
    )


def test_loads_where_it_was_built(build: Build) -> None:
    done = verify(build, build.directory)
    assert done.returncode == 0, done.stderr
    assert "[consul]" not in done.stdout + done.stderr


def test_is_missed(build: Build, tmp_path: Path) -> None:
    assert verify(build, tmp_path).returncode == 1


def test_refuses_another_uwsgi(debian: Build, pypi: Build) -> None:
    for here, there in ((debian, pypi), (pypi, debian)):
        done = verify(here, there.directory)
        assert done.returncode == 1
        assert "this plugin was built for another uWSGI" in done.stderr
        assert "--build-plugin" in done.stderr


def test_exports_one_symbol(build: Build) -> None:
    """What is visible could clash with another plugin's or with the core's."""
    table = subprocess.run(
        ["nm", "-D", "--defined-only", str(build.directory / "consul_plugin.so")], capture_output=True, text=True, check=True
    )
    assert [line.split()[-1] for line in table.stdout.splitlines()] == ["consul_plugin"]


def test_leaves_nothing_in_the_sources(build: Build) -> None:
    from .conftest import SOURCES

    assert {path.suffix for path in SOURCES.rglob("*") if path.is_file()} == {".c", ".h", ".py"}

# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that depends on ansible-core, with each version of it that the collection supports: `make matrix`, or `nox`.

One version alone: `nox -s core-2.17`. Some tasks of it: `nox -s core-2.17 -- units sanity`. The tags `oldest` and `newest` are the ends of
what this machine has a Python for; `make ends` runs them. Each version has one virtual environment in `.cache/nox`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import nox

nox.needs_version = ">=2025.2.9"
nox.options.envdir = ".cache/nox"
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "venv"

# The Pythons of a controller with each version, the one to take first: all from 3.10 to 3.13 are among the first ones.
CORES = {
    "2.16": ("3.10", "3.11", "3.12"),
    "2.17": ("3.12", "3.11", "3.10"),
    "2.18": ("3.13", "3.12", "3.11"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.13", "3.12", "3.14"),
}
# ansible-lint's releases each support some versions of ansible-core; pip finds the one that fits.
REQUIREMENTS = ("ansible-lint", "cryptography", "hypothesis>=6.100,<7", "pytest>=8", "pytest-xdist>=3", "python-consul2>=0.1.5")
# Those tests of sanity whose findings differ from version to version: each knows other Pythons, options and documentation.
VERSIONED = ("ansible-doc", "compile", "ignores", "import", "runtime-metadata", "validate-modules")


def _find_python(versions: tuple[str, ...]) -> str | None:
    found = subprocess.run(["tests/run/find-python", *versions], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return found.stdout.strip() or None


PYTHONS = {core: _find_python(versions) for core, versions in CORES.items()}
RUNNABLE = [core for core, python in PYTHONS.items() if python]


def lint(session: nox.Session) -> None:
    session.run("ansible-lint", "--offline")
    session.run(
        "ansible-playbook", "--syntax-check", "--inventory=molecule/default/inventory/hosts.yml", "playbooks/site.yml", "playbooks/demo.yml"
    )


def sanity(session: nox.Session) -> None:
    session.run("tests/run/sanity", external=True)


def versioned_sanity(session: nox.Session) -> None:
    session.run("tests/run/sanity", *(f"--test={name}" for name in VERSIONED), external=True)


def units(session: nox.Session) -> None:
    # The library knows nothing of Ansible; `make unit` and tests/run/python38 have it.
    library = "tests/unit/plugins/module_utils/uwsgi_consul"
    session.run("pytest", "-q", "-p", "no:cacheprovider", f"--ignore={library}", "tests/unit/plugins", "tests/unit/roles")


def examples(session: nox.Session) -> None:
    # Each of them is a playbook of its own, which uses one processor.
    session.run("pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=2", "tests/integration/examples")


def integration(session: nox.Session) -> None:
    session.run("pytest", "-q", "-p", "no:cacheprovider", "tests/integration/lookup", "tests/integration/modules")


TASKS: dict[str, Callable[[nox.Session], None]] = {
    "lint": lint,
    "units": units,
    "examples": examples,
    "integration": integration,
    "sanity": sanity,
    "versioned-sanity": versioned_sanity,
}
ALL = ("lint", "units", "examples", "integration", "sanity")


def _missing(core: str) -> str:
    return f"ansible-core {core} was NOT tested: it needs Python {', '.join(sorted(CORES[core]))}, and this machine has none of them"


def _add_session(core: str) -> None:
    def run(session: nox.Session) -> None:
        """All that depends on this version of ansible-core, or the tasks after `--`."""
        if not PYTHONS[core]:
            session.skip(_missing(core))
        session.install("--quiet", f"ansible-core~={core}.0", *REQUIREMENTS)
        session.run("ansible-galaxy", "--version")
        for task in session.posargs or ALL:
            TASKS[task](session)

    tags = [tag for tag, ends in (("oldest", RUNNABLE[:1]), ("newest", RUNNABLE[-1:])) if core in ends]
    nox.session(run, name=f"core-{core}", python=PYTHONS[core] or False, tags=tags)


for _core in CORES:
    _add_session(_core)

if __name__ == "__main__":
    for _core in CORES:
        if not PYTHONS[_core]:
            print(_missing(_core))

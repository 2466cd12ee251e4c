# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The command `uwsgi-consul`. What it needs beyond the library, click and rich, comes with the extra `cli`."""

from __future__ import annotations

import sys

# EX_UNAVAILABLE of sysexits.h
EXTRA_MISSING = 69


def main() -> int:
    """Runs the command; where the extra is missing it says so and gives an exit status of its own."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        sys.stderr.write(
            f"uwsgi-consul needs {error.name}, which is not installed for {sys.executable}: pip install 'uwsgi-consul[cli]'"
            " (Debian: apt-get install python3-click python3-rich)\n"
        )
        return EXTRA_MISSING
    from .program import program

    program(prog_name="uwsgi-consul")
    return 0

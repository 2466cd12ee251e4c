# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Files that are written anew, all or nothing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A file for its owner only, which takes the name *path* at the end of the block, if nothing fails in it. Raises `OSError`.

    Who reads *path* finds what was there before or all that is written, also after a crash or a loss of power.
    """
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it is closed below, and has another name then
        prefix=f".{os.path.basename(path)[:100]}.", dir=os.path.dirname(path) or ".", delete=False
    )
    try:
        with file:
            yield file
            file.flush()
            # Or a loss of power could leave an empty file in the place of the old one.
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise


def sync_folder(path: str) -> None:
    """Has the new name of a file survive a loss of power. Raises `OSError`."""
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

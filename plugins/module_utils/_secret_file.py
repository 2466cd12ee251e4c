# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file on the target that holds one secret, and that nobody can read at any moment whom its owner did not let."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from .uwsgi_consul.acl import secret
from .uwsgi_consul.arguments import shown
from .uwsgi_consul.errors import InvalidValueError
from .uwsgi_consul.files import replacing, sync_folder

_LARGEST = 4096


class SecretFile:
    """The file that the option *what* names. Raises `InvalidValueError` for a place where there can be none."""

    def __init__(self, path: str, what: str) -> None:
        if not path or "\0" in path:
            raise InvalidValueError(f"{what}: {shown(path)} is no path of a file")
        self._what, self.path = what, os.path.realpath(path)
        directory = os.path.dirname(self.path)
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            # To read a pipe would take for ever.
            raise InvalidValueError(f"{what}: {path} is no regular file")
        if not os.access(directory, os.W_OK | os.X_OK):
            raise InvalidValueError(
                f"{what}: {path} can't be written",
                advice="Its directory must exist, and the user that Ansible becomes must be allowed to write there",
            )

    def read(self, warn: Callable[[str], None]) -> str | None:
        """The secret, or `None` without a file. Raises `InvalidValueError` for a file that holds anything else."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                text = file.read(_LARGEST).strip()
                mode = os.fstat(file.fileno()).st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidValueError(f"{self._what}: {self.path} can't be read: {error.strerror}") from None
        # Who lets a service's group read it has a reason.
        if mode & 0o027:
            warn(f"{self.path} can be read or written by others (its mode is {mode & 0o777:04o})")
        try:
            return secret(text, self._what)
        except InvalidValueError:
            raise InvalidValueError(
                f"{self._what}: {self.path} holds something else than the secret of a token",
                advice="Give another path, or move that file away",
            ) from None

    def write(self, value: str) -> None:
        """Puts the secret there, all or nothing: it is on the disk before it has its name. Of a file that is
        replaced, owner and group are kept, and whether the group may read it.
        """
        try:
            with replacing(self.path) as file:
                with contextlib.suppress(OSError):
                    there = os.stat(self.path)
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                    os.fchmod(file.fileno(), 0o600 | there.st_mode & 0o040)
                file.write(f"{value}\n".encode())
            sync_folder(self.path)
        except OSError as error:
            raise InvalidValueError(f"{self._what}: {self.path} can't be written: {error.strerror}") from None

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

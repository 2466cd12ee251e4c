# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""`lock NAME -- command`: runs a command while holding a lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import click

from ..errors import ConsulError, InvalidValueError, LostError
from ..lock import Lock
from .base import Command, Failure, api, complete_key

# Where the command has not run, or not to its end; as env, timeout and container engines have it.
LOST, NOT_ACQUIRED, CANNOT, NOT_EXECUTABLE, NOT_FOUND = 123, 124, 125, 126, 127
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


@click.command(cls=Command)
@click.argument("name", shell_complete=complete_key)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--wait", type=click.FloatRange(0), metavar="SECONDS", help="Wait for the lock so long at most (without end); 0 tries once.")
@click.option("--ttl", default="15s", show_default=True, metavar="DURATION", help="After which a holder that died may lose it, 10s to 24h.")
@click.option("--lock-delay", default="15s", show_default=True, metavar="DURATION", help="Nobody gets a lost lock for so long, 0s to 60s.")
@click.option("--grace", type=click.FloatRange(0), default=5.0, metavar="SECONDS", help="After a loss, from SIGTERM to SIGKILL (5).")
@click.pass_context
def lock(context: click.Context, name: str, command: tuple[str, ...], wait: float | None, ttl: str, lock_delay: str, grace: float) -> None:
    """Run COMMAND while holding the lock on the key NAME; write `--` before it.

    It gets CONSUL_LOCK_KEY and CONSUL_LOCK_TOKEN, a number that grows with each holder: what the command writes to can
    refuse a smaller one than it has seen. When the lock is lost it gets SIGTERM, and SIGKILL after --grace.

    Exit status: that of the command (128 and the signal's number when a signal ended it); 123 the lock was lost, 124 it
    was not to be had in --wait, 125 Consul can't be asked, 126 COMMAND can't be run, 127 there is no such COMMAND.
    """
    try:
        held = Lock(name, client=api(context), wait=wait, ttl=ttl, lock_delay=lock_delay, name=f"uwsgi-consul lock {name}"[:128])
        if not held.acquire():
            raise Failure(f"the lock {name} was not to be had within {wait:g} s", NOT_ACQUIRED)
    except InvalidValueError:
        raise
    except ConsulError as error:
        raise Failure(str(error), CANNOT) from None
    try:
        status = _Run(list(command), held, grace).status()
    finally:
        lost = _release(held)
    if lost:
        raise Failure(lost, LOST)
    context.exit(status)


def _release(held: Lock) -> str:
    """Why it was lost before, or nothing."""
    try:
        if not held.release():
            click.echo("uwsgi-consul: Consul did not confirm the release: the lock is free when its session ends", err=True)
    except LostError as error:
        return str(error)
    except ConsulError as error:
        # The session ends by itself.
        click.echo(f"uwsgi-consul: {error}", err=True)
    return ""


class _Run:
    """The command's process, ended when the lock is lost, and told of the signals that come to us."""

    def __init__(self, command: list[str], held: Lock, grace: float) -> None:
        self._held, self._grace = held, grace
        # Processes that it starts are ended with it, but for a terminal, which only a process of its own group can read.
        self._own_group = not sys.stdin.isatty()
        self._environment = {**os.environ, "CONSUL_LOCK_KEY": held.key, "CONSUL_LOCK_TOKEN": str(held.token)}
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def status(self) -> int:
        """The exit status of the command, when it has ended."""
        # Before it begins, for a signal that ended or stopped us alone would leave it without the lock. What is ignored, as by
        # nohup, stays so.
        forwarded = (*_FORWARDED, signal.SIGTSTP) if self._own_group else _FORWARDED
        numbers = [number for number in forwarded if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._forward) for number in numbers}
        ended = threading.Event()
        watcher = threading.Thread(target=self._end_when_lost, args=(ended,), daemon=True)
        try:
            process = self._process = self._begun()
            for number in self._early:
                self._signal(number)
            watcher.start()
            code = process.wait()
        finally:
            ended.set()
            for number, handler in before.items():
                signal.signal(number, handler)
        watcher.join(self._grace + 1)
        return code if code >= 0 else 128 - code

    def _begun(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(self._command, env=self._environment, start_new_session=self._own_group)  # noqa: S603 - the user's own command
        except FileNotFoundError:
            raise Failure(f"there is no command {self._command[0]}", NOT_FOUND) from None
        except OSError as error:
            raise Failure(f"{self._command[0]} can't be run: {error.strerror}", NOT_EXECUTABLE) from None

    def _end_when_lost(self, ended: threading.Event) -> None:
        while not self._held.lost.wait(0.2):
            if ended.is_set():
                return
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace
        while not (ended.is_set() and self._is_gone()):
            if time.monotonic() >= deadline:
                self._signal(signal.SIGKILL)
                return
            time.sleep(0.05)

    def _is_gone(self) -> bool:
        """Whether none of the processes is left that are to be ended, once the command has."""
        return not (self._own_group and self._signal(0))

    def _forward(self, number: int, _frame: Any) -> None:
        # The terminal tells its whole group by itself. A stop is for nobody: whoever stops can't renew the lock.
        if number in ((signal.SIGTSTP,) if self._own_group else (signal.SIGINT, signal.SIGQUIT)):
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._signal(number)

    def _signal(self, number: int) -> bool:
        """Whether there was somebody to send it to."""
        if self._process is None:
            return False
        try:
            if self._own_group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            return False
        return True

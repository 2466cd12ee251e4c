"""What a person sees: one short line per step, on stderr, and never a silence of more than a few seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TICK_SECONDS = 4.0
TAIL_LINES = 15

Command = Sequence[str | Path]
_print_lock = threading.Lock()


class LabError(Exception):
    """Says what failed and what to do about it."""


def say(text: str) -> None:
    """Announce a step: what is done, and why."""
    with _print_lock:
        print(f"==> {text}", file=sys.stderr, flush=True)


def detail(text: str) -> None:
    with _print_lock:
        print(f"    {text}", file=sys.stderr, flush=True)


@contextmanager
def ticking(what: str) -> Iterator[None]:
    """Print now and then that it still goes on."""
    done = threading.Event()
    started = time.monotonic()

    def tick() -> None:
        while not done.wait(TICK_SECONDS):
            detail(f"{time.monotonic() - started:.0f} s: {what}")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def as_root(command: Command) -> list[str]:
    return [*([] if os.geteuid() == 0 else ["sudo"]), *map(str, command)]


def run(command: Command, *, check: bool = True, stdin: str = "", timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a short command and give its output."""
    arguments = [str(word) for word in command]
    try:
        result = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{arguments[0]} is not installed: run molecule/lab/prerequisites lab") from error
    except subprocess.TimeoutExpired:
        result = subprocess.CompletedProcess(arguments, 124, "", f"no answer within {timeout} s")
    if check and result.returncode != 0:
        raise LabError(
            f"`{' '.join(arguments)}` failed with {result.returncode}:\n{_indented((result.stderr or result.stdout).splitlines())}"
        )
    return result


def stream(command: Command, what: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a long command; show its latest line now and then, and its last ones when it fails."""
    arguments = [str(word) for word in command]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise LabError(f"{arguments[0]} is not installed: run molecule/lab/prerequisites lab") from error

    def collect() -> None:
        assert process.stdout is not None
        tail.extend(line.rstrip() for line in process.stdout if line.strip())

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    try:
        while True:
            try:
                process.wait(TICK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                detail(f"{time.monotonic() - started:.0f} s: {what}: {tail[-1][:110] if tail else 'started'}")
    except BaseException:
        process.terminate()
        raise
    reader.join(TICK_SECONDS)
    if process.returncode != 0:
        raise LabError(f"{what} failed: `{' '.join(arguments)}` ended with {process.returncode}:\n{_indented(tail)}")


def _indented(lines: Sequence[str] | deque[str]) -> str:
    return "\n".join(f"    {line}" for line in list(lines)[-TAIL_LINES:])

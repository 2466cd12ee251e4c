"""Runs the benchmarks that are named, else all: each module of this folder that has a `run` is one."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import pytest

from .kit import SCALE, Lab

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem not in ("kit", "peer"))


def machine() -> str:
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    scale = "" if SCALE == 1 else f", BENCH_SCALE={SCALE:g}: no numbers to keep"
    return f"{os.cpu_count()} processors, load {load}{scale}"


def main(wanted: list[str]) -> int:
    if unknown := [name for name in wanted if name not in NAMES]:
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    # What was started is stopped also where this is told to end.
    signal.signal(signal.SIGTERM, lambda signum, _: sys.exit(128 + signum))
    failed = []
    for name in wanted or NAMES:
        module = importlib.import_module(f"bench.{name}")
        print(f"==> {name}: {(module.__doc__ or '').splitlines()[0]} ({machine()})", flush=True)
        started = time.monotonic()
        try:
            with Lab() as lab:
                module.run(lab)
        except (Exception, pytest.fail.Exception):
            traceback.print_exc()
            failed.append(name)
        print(f"    {name}: {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))

"""The commands of lab.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import console, engine, hosts, plan


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except console.LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. What is there is used again by the next run.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab.py", description="Containers that are hosts: the lab of the demo and of the molecule scenarios."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("up", _up, "start the hosts of an inventory; what runs already is used again"),
        ("down", _down, "remove the hosts and their network"),
        ("status", _status, "show each host's state"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("inventory", type=Path, help="folder of a static inventory (hosts.yml), such as molecule/demo/inventory")
        if name == "up":
            command.add_argument("hosts", nargs="*", metavar="HOST", help="only these hosts")
        command.add_argument("--engine", choices=("podman", "docker"), default="", help="default: LAB_ENGINE, else podman, else docker")
        command.set_defaults(run=run)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    lab = plan.read(arguments.inventory)
    hosts.up(engine.find(arguments.engine), lab, arguments.hosts)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    hosts.down(engine.find(arguments.engine), plan.read(arguments.inventory))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    return 0 if hosts.status(engine.find(arguments.engine), plan.read(arguments.inventory)) else 1

"""The commands of lab.py."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from . import archive, console, engine, hosts, paths, plan, ssh


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    os.umask(0o022)  # what goes into an image is read by others than root
    try:
        return int(arguments.run(arguments))
    except console.LabError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as in `status | head`: nobody reads on
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

    inside = commands.add_parser(
        "exec", help="run a command on a host, as root and by ssh", description="Run a command on a host, or a shell."
    )
    inside.add_argument("inventory", type=Path)
    inside.add_argument("host", metavar="HOST")
    inside.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="without one: a shell")
    inside.set_defaults(run=_exec)

    consul = commands.add_parser(
        "consul",
        help="print the path of Consul's release archive",
        description="Print the path of Consul's release archive. CONSUL_ARCHIVE names one, CONSUL_VERSION another version.",
    )
    consul.add_argument("--binary", action="store_true", help="unpack it for this machine and print the binary's path")
    consul.set_defaults(run=_consul)
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


def _exec(arguments: argparse.Namespace) -> int:
    (host,) = plan.read(arguments.inventory).only([arguments.host])
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    command = ssh.command(host.address, *terminal)
    os.execvp(command[0], [*command, *([shlex.join(arguments.command)] if arguments.command else [])])  # noqa: S606


def _consul(arguments: argparse.Namespace) -> int:
    request = archive.wanted()
    with paths.locked(request.cache):
        path = archive.find(request, archive.sources())
        print(archive.binary(path, request.cache) if arguments.binary else path)
    return 0

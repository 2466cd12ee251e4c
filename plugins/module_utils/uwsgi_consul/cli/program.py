# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The command `uwsgi-consul` and all that it can do."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .base import Command, Program
from .key_commands import kv
from .lock_command import lock
from .operations_commands import sessions, sweep
from .service_commands import health, service, services, watch


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def program() -> None:
    """Services, keys and locks of Consul, for people and for scripts.

    The options below can stand before or after a command; what they leave out is taken from Consul's environment
    variables (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, ...). Exit status: 0; 1 the answer is no; 2 the command line is
    wrong; 3 Consul can't be asked, or refuses. `health` and `lock` have their own.
    """


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print what completes commands and names in a shell: eval "$(uwsgi-consul completion bash)"."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(found(program, {}, "uwsgi-consul", "_UWSGI_CONSUL_COMPLETE").source())


for command in (completion, health, kv, lock, service, services, sessions, sweep, watch):
    program.add_command(command)

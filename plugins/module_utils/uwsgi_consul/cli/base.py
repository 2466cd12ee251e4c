# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What all commands share: how Consul is reached, what becomes of errors, and what `NAME` completes to."""

from __future__ import annotations

import re
from typing import Any, Callable

import click

from .. import services
from ..api import Api
from ..errors import ConsulError, InvalidValueError
from ..kv import KV
from ..settings import CONSISTENCY_MODES

# Exit statuses beside 0: the answer is no; the command line is wrong (click's own); Consul can't be asked, or refuses.
NO, USAGE, FAILED = 1, 2, 3

_GIVEN = "uwsgi_consul.options"
# bash puts a completion into the line as it is, and would run a name such as $(reboot).
_HARMLESS = re.compile(r"[\w@%+=:.,/-]+")


def escaped(text: str) -> str:
    """The text on one line, without characters that would act on a terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class Failure(click.ClickException):
    """Ends the command with a message and this status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        # What an agent has answered may be in it.
        super().__init__(escaped(message))
        self.status = status

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self.status


def given(context: click.Context) -> dict[str, Any]:
    """The shared options, wherever on the command line they stood."""
    options: dict[str, Any] = context.meta.setdefault(_GIVEN, {})
    return options


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # Not 0, which is a value.
    if value is not None and value is not False and value != () and parameter.name:
        given(context)[parameter.name] = value


def _shared_options() -> list[click.Parameter]:
    def option(*names: str, **how: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, **how)

    return [
        option("--agent", multiple=True, metavar="ADDRESS", help="An agent: host:port, https://..., unix:///path; repeat it for several."),
        option("--datacenter", "--dc", metavar="NAME", help="The datacenter; the agent's own unless given."),
        option("--token-file", metavar="FILE", help="A file with the ACL token."),
        option("--ca-path", metavar="PATH", help="A file or folder with certificates to trust."),
        option("--client-cert", metavar="FILE", help="The client certificate."),
        option("--client-key", metavar="FILE", help="Its private key."),
        option("--tls-server-name", metavar="NAME", help="The name that the agent's certificate must have."),
        option("--insecure", is_flag=True, help="Do not check the agent's certificate."),
        option("--consistency", type=click.Choice(CONSISTENCY_MODES), help="Of what is read."),
        option("--timeout", type=float, metavar="SECONDS", help="For each request, with failover and retries (10)."),
        option("--json", is_flag=True, help="JSON, for programs."),
    ]


class Command(click.Command):
    """A command that takes the shared options, too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params = [*self.params, *_shared_options()]


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


class Program(Group):
    """The group of all commands: errors of the library end it with a message and a status."""

    group_class = Group

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params = [*self.params, *_shared_options()]

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except InvalidValueError as error:
            raise Failure(str(error), USAGE) from None
        except ConsulError as error:
            raise Failure(str(error)) from None
        except KeyboardInterrupt:
            # As a shell has it, and without click's word of it.
            raise SystemExit(130) from None


def api(context: click.Context) -> Api:
    """How Consul is reached: by the options, and for what they leave out by Consul's environment variables."""
    options = dict(given(context))
    options.pop("json", None)
    if options.pop("insecure", False):
        options["validate_certs"] = False
    return Api(agents=list(options.pop("agent", ())) or None, **options)


def wants_json(context: click.Context) -> bool:
    return bool(given(context).get("json"))


def complete_service(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of services that begin so, for the shell."""
    return _completions(context, lambda asked: [one["name"] for one in services.services(asked)], incomplete)


def complete_key(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The keys, and folders of keys, that begin so."""
    return _completions(context, lambda asked: KV(asked).keys(incomplete, "/"), incomplete)


def _completions(context: click.Context, ask: Callable[[Api], list[str]], incomplete: str) -> list[str]:
    # A shell that waits, or gets a message in the middle of a line, is of no help to anybody.
    given(context).setdefault("timeout", 2.0)
    try:
        return [name for name in ask(api(context)) if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]
    except ConsulError:
        return []

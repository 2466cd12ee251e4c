# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the objects that stand for a part of Consul's API share: their client, their datacenter, how they read answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from . import arguments
from .errors import InvalidValueError
from .protocol import Answer

if TYPE_CHECKING:
    from .api import Api
    from .transport import Sink


class Bound:
    """A part of Consul's API, asked through *client*; without one, through the agent that the environment names.

    datacenter: of which it is asked, unless it is that of the client's settings. Raises `InvalidValueError`.
    """

    def __init__(self, client: Api | None = None, *, datacenter: str | None = None) -> None:
        self.datacenter = arguments.datacenter(datacenter)
        self.client = arguments.client(client)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.client!r})"

    def _ask(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: Any = None,
        *,
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
        into: Sink | None = None,
    ) -> Answer:
        """The answer to a request in the datacenter; a body that is neither bytes nor a view is sent as JSON."""
        # What an agent itself holds has no datacenter.
        query = [*params, *([("dc", self.datacenter)] if self.datacenter and not path.startswith("/v1/agent/") else [])]
        data = body if isinstance(body, (bytes, memoryview, type(None))) else json.dumps(body)
        return self.client.request(
            method, path, query, body=data, consistency=consistency, timeout=timeout, idempotent=idempotent, allow=allow, into=into
        )

    def _one_agent(self, what: str) -> None:
        """Refuses a client of several agents for *what* one agent holds: failover would ask another one without a word."""
        agents = self.client.settings.agents
        if len(agents) > 1:
            raise InvalidValueError(
                f"client: {what} belongs to one agent, and the client has {len(agents)}: {', '.join(map(str, agents))}",
                advice="Make a client with the address of that agent only",
            )


def read(answer: Answer, function: Callable[[Any], Any]) -> Any:
    """What *function* makes of the answer's JSON; raises `BadAnswerError` when it has another shape than the function needs."""
    data = answer.json()
    try:
        return function(data)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        raise answer.bad() from None

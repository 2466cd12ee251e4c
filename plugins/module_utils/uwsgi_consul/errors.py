# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What can go wrong between a program and Consul, said so that a person can act on it.

Every error is a `ConsulError`. Its text has what was asked, of which agent, what came back and what to do about it;
the parts are attributes too. No text ever holds a token.
"""

from __future__ import annotations

from collections.abc import Mapping


class ConsulError(Exception):
    """The base of all errors of this package.

    problem: what is wrong, in a sentence without its full stop.
    asked: the request, such as `GET /v1/kv/name`; empty when none was made.
    agent: the agent that answered, as it stands in the settings; empty when none did.
    advice: what the user can do; may be empty.
    """

    def __init__(self, problem: str, *, asked: str = "", agent: str = "", advice: str = "") -> None:
        super().__init__(problem)
        self.problem, self.asked, self.agent, self.advice = problem, asked, agent, advice

    def __str__(self) -> str:
        asked = " of ".join(part for part in (self.asked, self.agent) if part)
        text = f"{asked}: {self.problem}" if asked else self.problem
        if not self.advice:
            return text
        # Consul's own texts end as they like.
        return f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} {self.advice}"


class InvalidValueError(ConsulError, ValueError):
    """An option or argument that can't be right; found before anything is sent."""


class LibraryMissingError(ConsulError):
    """Neither python-consul2 nor py-consul can be imported."""


class NoAgentError(ConsulError):
    """No agent gave an answer that can be used, within the time-out.

    attempts: each agent that was tried, with the reason why it did not answer.
    """

    def __init__(
        self, problem: str, *, asked: str = "", agent: str = "", advice: str = "", attempts: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problem, asked=asked, agent=agent, advice=advice)
        self.attempts = dict(attempts or {})


class NoInstanceError(ConsulError):
    """A service has no instance that may be used, or not enough of them in time."""


class TooStaleError(ConsulError):
    """Consul is away, and what was known last is older than the caller may use.

    age: seconds since Consul last confirmed it.
    """

    def __init__(self, problem: str, *, asked: str = "", agent: str = "", advice: str = "", age: float = 0.0) -> None:
        super().__init__(problem, asked=asked, agent=agent, advice=advice)
        self.age = age


class BadAnswerError(ConsulError):
    """An agent's answer is not what Consul's API promises: no JSON, no index, a redirect."""


class RequestError(ConsulError):
    """Consul answered that it did not do what was asked.

    status: the HTTP status. answer: the text that came with it.
    """

    def __init__(self, problem: str, *, asked: str = "", agent: str = "", advice: str = "", status: int = 0, answer: str = "") -> None:
        super().__init__(problem, asked=asked, agent=agent, advice=advice)
        self.status, self.answer = status, answer


class BadRequestError(RequestError):
    """400 and every other 4xx without a class of its own, 409 (a conflict in a transaction) among them."""


class PermissionDeniedError(RequestError):
    """401 (ACLs are off) and 403 (the token is unknown, or lacks a permission that the text names)."""


class NotFoundError(RequestError):
    """404."""


class ServerError(RequestError):
    """5xx and 429: no leader, overloaded, or a datacenter that can't be reached; after the retries."""


class ConflictError(ConsulError):
    """What stands in Consul has another use or limit than was asked of it, or others changed it each time. Nothing was changed."""


class NotAcquiredError(ConsulError):
    """A lock or a place of a semaphore could not be had within the time that was given."""


class LostError(ConsulError):
    """What was held was lost before it was released: somebody else may have held it meanwhile.

    token: the fencing token of what was lost.
    """

    def __init__(self, problem: str, *, advice: str = "", token: int = 0) -> None:
        super().__init__(problem, advice=advice)
        self.token = token

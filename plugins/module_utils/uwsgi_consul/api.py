# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Consul's HTTP API, asked through whichever agent answers: what everything else in this package stands on.

Source: https://developer.hashicorp.com/consul/api-docs
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from . import arguments
from .errors import ConsulError, InvalidValueError
from .protocol import Answer, Request, build_request, check
from .settings import Settings
from .transport import AsyncTransport, Sink, Transport

_Self = TypeVar("_Self")


class _Asker:
    """What both share: the settings, and what a client of a Consul library makes of answers and errors."""

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        self.settings = Settings.resolve(**options) if settings is None else settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    def _request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]],
        body: bytes | str | memoryview | None,
        token: str | None,
        consistency: str | None,
        timeout: float | None,
        idempotent: bool | None,
        allow: Collection[int],
    ) -> Request:
        """The request, when all that is given can be right; raises `InvalidValueError`."""
        if timeout is not None:
            arguments.seconds(timeout, "timeout")
        if isinstance(allow, str) or not isinstance(allow, Collection) or not all(isinstance(status, int) for status in allow):
            raise InvalidValueError(f"allow: {arguments.shown(allow)} are no statuses of HTTP")
        return build_request(self.settings, method, path, params, body, token, consistency, idempotent)

    def _note(self, answer: Answer) -> Answer:
        return answer

    def _error(self, error: ConsulError) -> ConsulError:
        return error


class Api(_Asker):
    """Asks Consul, from any thread; needs no Consul library.

    Either *settings*, or the options of `Settings.resolve` by name. Raises `InvalidValueError`.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        super().__init__(settings, **options)
        self._transport = Transport(self.settings)

    def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | memoryview | None = None,
        *,
        token: str | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
        into: Sink | None = None,
    ) -> Answer:
        """The answer to any request of Consul's HTTP API; datacenter, consistency and token are the settings' unless given.

        path: quoted, from `/v1/` on. timeout: seconds for the whole call. idempotent: whether it may be sent twice; a
        GET may. allow: statuses that are no error here, such as 404. body: a view (`memoryview`) is sent without a copy.
        into: a function without arguments, called for each attempt; what it returns takes the body of a success, piece by piece,
        and the answer has none. Raises `ConsulError`.
        """
        try:
            if into is not None:
                arguments.function(into, "into")
            request = self._request(method, path, params, body, token, consistency, timeout, idempotent, allow)
            return self._note(check(self._transport.send(request, timeout, into), request, allow))
        except ConsulError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Closes the idle connections; it can still be used."""
        self._transport.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class AsyncApi(_Asker):
    """As `Api`, for programs of an event loop: many requests at a time in one thread."""

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        super().__init__(settings, **options)
        self._transport = AsyncTransport(self.settings)

    async def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, Any]] = (),
        body: bytes | str | None = None,
        *,
        token: str | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        idempotent: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """As `Api.request`."""
        if isinstance(body, memoryview):
            raise InvalidValueError("body: a view is sent by an Api only")
        try:
            request = self._request(method, path, params, body, token, consistency, timeout, idempotent, allow)
            return self._note(check(await self._transport.send(request, timeout), request, allow))
        except ConsulError as error:
            raise self._error(error) from None

    async def send_together(self, requests: Sequence[tuple[str, str, str | None]], timeout: float) -> list[Answer]:
        """The answers to requests of method, path and body, whatever their status, as `AsyncTransport.send_together` gives them."""
        built = [build_request(self.settings, method, path, body=body) for method, path, body in requests]
        return await self._transport.send_together(built, timeout)

    async def close(self) -> None:
        """Closes the idle connections; it can still be used."""
        await self._transport.close()

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What asks on behalf of all watches of a process with the same settings: coroutines in the background, on few connections.

Nobody but `watch.py` uses it. A link is what is known of one datacenter: whether Consul answers for it. While nothing is
heard of it a probe asks, since an agent that hangs looks just like one that has no news. When it is lost, all requests are
given up, and begin anew once the probe is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any

from .api import AsyncApi
from .errors import ConsulError, RequestError, ServerError
from .pace import Backoff, Pace
from .protocol import Answer
from .sharing import Group, Params, choose_direct, group_of, sentinels_of, service_of, troubles
from .turns import Turns
from .watched import Query, Snapshot

# At most so many connections at a time: for queries that wait, for short questions, and for the probe.
_WAITING, _ASKING, _PROBING = 7, 2, 1
MAX_CONNECTIONS = _WAITING + _ASKING + _PROBING

# How long Consul holds an answer back while nothing changes; short while there are more queries than connections.
_LONG_WAIT, _SHORT_WAIT = 60.0, 1.0
# The first time after a change: if a snapshot was restored just then, the index is ahead, and the answer tells it at the end only.
_WAIT_AFTER_CHANGE = 3.0
# Nothing heard for so many seconds: the agent must say something within so many.
_PROBE_AFTER, _PROBE_LIMIT = 5.0, 2.0
# Seconds between tries while Consul is away.
_RETRY = (0.3, 1.0)
# Seconds between requests when answers have no index to wait for.
_POLL = (0.8, 1.2)
# Seconds before the same again, when an answer without news came too soon.
_TOO_SOON = (0.2, 0.5)
# After so many seconds a group whose sentinels were refused is tried again.
_REFUSED_FOR = 300.0

log = logging.getLogger("uwsgi_consul")


class _Link:
    """What is known of one datacenter. heard: when something of it was heard last (monotonic)."""

    def __init__(self, datacenter: str) -> None:
        self.datacenter = datacenter
        self.heard = time.monotonic()
        # The agent that answered last.
        self.agent = ""
        # Without one only stale reads are answered.
        self.has_leader = True
        self.away: ConsulError | None = None
        # Whether all requests are about to begin anew, and how soon they may: agents can take turns in failing.
        self.beginning = False
        self.pace = Pace(interval=1.0, burst=2)
        self.doubt = asyncio.Event()
        self.verdicts: list[asyncio.Future[None]] = []


class _Shared:
    """The watches of a group, and the sentinels that look out for them."""

    def __init__(self, watcher: Watcher, group: Group, members: list[Query], requests: list[tuple[str, Params]]) -> None:
        self.group, self.members, self.requests = group, members, requests
        self.sentinels = [_Sentinel(watcher, self, path, params) for path, params in requests]
        # Whether each sentinel has an index, so that no change after it is missed.
        self.based = False


class _Sentinel:
    """A blocking query whose news mean that watches must be asked again."""

    def __init__(self, watcher: Watcher, shared: _Shared, path: str, params: Params) -> None:
        self.watcher, self.shared, self.path, self.params = watcher, shared, path, params
        self.datacenter = shared.members[0].datacenter
        self.index = 0
        self._tells_which = path == "/v1/health/state/any"
        self._troubles: set[tuple[str, str, str, int]] = set()
        self._newest = 0
        # What says which services to ask makes less work, so it may come more often.
        self.pace = Pace(interval=0.5 if self._tells_which else 1.0, burst=20)

    async def take(self, answer: Answer, moved: bool) -> float:
        """Has the watches asked again for which the answer means a change; gives the seconds of processor time that it took."""
        touched = self._touched(answer) if moved else []
        if not touched or not self.shared.based:
            return 0.0
        started = time.thread_time()
        self.watcher.ask(touched)
        await self.watcher.asked()
        return time.thread_time() - started

    def fail(self, error: ConsulError) -> None:
        self.watcher.refuse(self.shared.group, error)

    def _touched(self, answer: Answer) -> list[Query]:
        members = self.shared.members
        went_back, self._newest = answer.index < self._newest, answer.index
        if not self._tells_which:
            return members
        try:
            found = troubles(answer.json())
        except (TypeError, KeyError, AttributeError):
            raise answer.bad("the answer is no list of checks") from None
        services = {service for service, *_check in found ^ self._troubles}
        self._troubles = found
        # A check of a node counts for all services on it, and after a reset anything may be different.
        return members if went_back or "" in services else [query for query in members if service_of(query.path) in services]


class Watcher:
    """Asks for all queries with the same settings.

    start: starts a coroutine in the background, in which everything here runs but `join` and `leave`.
    """

    def __init__(self, api: AsyncApi, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self.settings = api.settings
        self._api, self._start = api, start
        self._lock = threading.Lock()
        self._queries: dict[Hashable, Query] = {}
        # Of the event loop.
        self._slots = Turns(_WAITING)
        self._probe_slots = Turns(_PROBING)
        self._arranging = False
        self._wait = _LONG_WAIT
        self._links: dict[str, tuple[_Link, asyncio.Task[None]]] = {}
        self._tasks: dict[Query | Group, tuple[str, asyncio.Task[None]]] = {}
        self._groups: dict[Group, _Shared] = {}
        self._refused: set[Group] = set()
        self._to_ask: dict[Query, None] = {}
        self._asking: dict[Query, asyncio.Task[None]] = {}
        self._idle: list[asyncio.Future[None]] = []
        # Why each query fails that does while Consul is there.
        self._failing: dict[Query, str] = {}

    # For any thread.

    def join(self, path: str, params: Params, decode: Callable[[Answer], Any], known: Snapshot | None) -> Query:
        """The query for this request, which is dropped when `leave` was called as often as this; known: what it begins with.

        Raises `ConsulError` where threads can't run.
        """
        key = (path, params, decode)
        with self._lock:
            query = self._queries.get(key)
            if query is None:
                query = Query(self, path, params, decode, known)
                self._start(self._arrange_soon())
                self._queries[key] = query
            query.users += 1
        return query

    def leave(self, query: Query) -> None:
        with self._lock:
            query.users -= 1
            if query.users:
                return
            self._queries.pop((query.path, query.params, query.decode), None)
        self._start(self._arrange_soon())

    # Who asks what.

    async def _arrange_soon(self) -> None:
        """Arranges once for all that join or leave at the same time."""
        if not self._arranging:
            self._arranging = True
            await asyncio.sleep(0.001)
            self._arranging = False
            self._arrange()

    def _arrange(self) -> None:
        """Starts and stops tasks so that each query has one of its own or a place in a group, if its datacenter is there."""
        with self._lock:
            queries = list(self._queries.values())
        groups = [self._usable_group(query) for query in queries]
        direct = choose_direct(groups, _WAITING)
        members: dict[Group, list[Query]] = {}
        for position, (query, group) in enumerate(zip(queries, groups)):
            if group is not None and position not in direct:
                members.setdefault(group, []).append(query)
        self._arrange_links(queries)
        self._choose_wait(len(direct) + sum(group.sentinels for group in members))
        alone = {queries[position] for position in direct}
        for key in [key for key in self._tasks if key not in alone and key not in members]:
            self._stop(key)
        kept = set(queries)
        for query in [query for query in (*self._to_ask, *self._asking) if query not in kept or query in alone]:
            self._forget_ask(query)
        for query in [query for query in self._failing if query not in kept]:
            del self._failing[query]
        for query in (queries[position] for position in sorted(direct)):
            if query not in self._tasks and self._is_there(query.datacenter):
                self._run(query, query.datacenter, self._follow(query))
        for group, ones in members.items():
            self._arrange_group(group, ones)
        if not queries:
            task = asyncio.ensure_future(self._api.close())
            task.add_done_callback(lambda _task: None)

    def _usable_group(self, query: Query) -> Group | None:
        group = group_of(query.path, query.params)
        return None if group in self._refused else group

    def _arrange_links(self, queries: list[Query]) -> None:
        wanted = {query.datacenter for query in queries}
        for datacenter in [datacenter for datacenter in self._links if datacenter not in wanted]:
            self._links.pop(datacenter)[1].cancel()
        for datacenter in wanted - set(self._links):
            link = _Link(datacenter)
            self._links[datacenter] = (link, asyncio.ensure_future(self._keep(link)))
        for query in queries:
            away = self._links[query.datacenter][0].away
            if away is not None and query.error is None:
                query.lose(away)

    def _choose_wait(self, queries: int) -> None:
        wait = _LONG_WAIT if queries <= _WAITING else _SHORT_WAIT
        if wait < self._wait:
            # Those that wait long would keep the others from their turn. They go on from their index.
            for key in list(self._tasks):
                self._stop(key)
        self._wait = wait

    def _arrange_group(self, group: Group, members: list[Query]) -> None:
        requests = sentinels_of(group, [query.path for query in members])
        shared = self._groups.get(group)
        if shared is not None and shared.requests == requests and group in self._tasks:
            known = set(shared.members)
            shared.members = members
            if shared.based:
                self.ask([query for query in members if query not in known])
            return
        self._stop(group)
        datacenter = members[0].datacenter
        if self._is_there(datacenter):
            self._groups[group] = shared = _Shared(self, group, members, requests)
            self._run(group, datacenter, self._look_out(shared))

    def _is_there(self, datacenter: str) -> bool:
        return self._links[datacenter][0].away is None

    def _run(self, key: Query | Group, datacenter: str, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks[key] = (datacenter, asyncio.ensure_future(coroutine))

    def _stop(self, key: Query | Group) -> None:
        if key in self._tasks:
            self._tasks.pop(key)[1].cancel()
        if isinstance(key, Group):
            self._groups.pop(key, None)

    def refuse(self, group: Group, error: ConsulError) -> None:
        """The group's sentinels can't be asked, so its watches do without; for a while, since permissions change."""
        log.warning("Watches can't share queries, so each asks for itself, in turns: %s", error)
        self._refused.add(group)
        loop = asyncio.get_running_loop()
        loop.call_later(_REFUSED_FOR, self._refused.discard, group)
        loop.call_soon(self._arrange)

    # Requests.

    async def _get(self, path: str, params: Params, index: int = 0, wait: float = 0.0, consistency: str | None = None) -> Answer:
        query = [*params, ("index", index), ("wait", f"{wait:g}s")] if index else list(params)
        return await self._request(path, query, allow=(404,), consistency=consistency)

    async def _request(self, path: str, params: Params | list[tuple[str, Any]], **options: Any) -> Answer:
        """Raises `ConsulError`, whatever fails: another one, as when no thread can be started, would end a watch for ever."""
        try:
            return await self._api.request("GET", path, params, **options)
        except ConsulError:
            raise
        except Exception as error:
            raise ConsulError(f"the request failed: {type(error).__name__}: {error}", asked=f"GET {path}") from error

    def note_failure(self, query: Query, error: ConsulError) -> None:
        """Logs why a query fails, once for all that fail for that reason at the time."""
        if query not in self._failing:
            if error.problem not in self._failing.values():
                log.warning("A watch fails, and is tried again and again (others for the same reason are not logged): %s", error)
            self._failing[query] = error.problem

    def note_success(self, query: Query) -> None:
        reason = self._failing.pop(query, None)
        if reason is not None and reason not in self._failing.values():
            log.info("%s is answered again", query.asked)

    async def _follow(self, source: Query | _Sentinel) -> None:
        """Asks again and again, each time for what has a newer index than the answer before."""
        backoff, resets = Backoff(0.2, 10.0), Backoff(0.1, 10.0)
        moved = True
        while self._is_wanted(source):
            try:
                async with self._slots:
                    wait, started = min(self._wait, _WAIT_AFTER_CHANGE if moved else _LONG_WAIT), time.monotonic()
                    answer = await self._get(source.path, source.params, source.index, wait)
                if not self._is_wanted(source):
                    return
                took, last = time.monotonic() - started, source.index
                self._hear(source.datacenter, answer)
                if answer.index < last:
                    # It was reset, as by a snapshot that is restored. Or the agent has lost its servers: then it may answer
                    # with nothing instead of an error (hashicorp/consul#20790). What is true says an answer without waiting.
                    source.index, moved = 0, True
                    await asyncio.sleep(resets.pause())
                    continue
                moved = not last or answer.index != last
                source.index = answer.index
                work = await source.take(answer, moved)
            except ConsulError as error:
                source.index, moved = 0, True
                if await self._is_its_own(source.datacenter, error):
                    source.fail(error)
                await asyncio.sleep(backoff.pause())
                continue
            backoff.reset()
            if last:
                resets.reset()
            if not answer.index:
                await asyncio.sleep(random.uniform(*_POLL))  # noqa: S311
            elif moved:
                await asyncio.sleep(source.pace.pause(work))
            elif took < wait / 2:
                # So end the queries of an agent that is stopping, and of servers that a snapshot is restored on: with the
                # index from before, which is no good any more.
                source.index = 0
                await asyncio.sleep(random.uniform(*_TOO_SOON))  # noqa: S311

    async def _look_out(self, shared: _Shared) -> None:
        """Asks each sentinel for its index, then all watches of the group, and then waits for what comes."""
        backoff = Backoff(0.2, 10.0)
        for sentinel in shared.sentinels:
            while not sentinel.index and self._is_wanted(sentinel):
                try:
                    answer = await self._get(sentinel.path, sentinel.params)
                    self._hear(sentinel.datacenter, answer)
                    await sentinel.take(answer, True)
                    sentinel.index = answer.index
                    if not answer.index:
                        raise answer.bad("the answer has no index")
                except ConsulError as error:
                    if await self._is_its_own(sentinel.datacenter, error):
                        sentinel.fail(error)
                    await asyncio.sleep(backoff.pause())
        if self._groups.get(shared.group) is not shared:
            return
        shared.based = True
        self.ask(shared.members)
        await asyncio.gather(*(self._follow(sentinel) for sentinel in shared.sentinels))

    def _is_wanted(self, source: Query | _Sentinel) -> bool:
        """Whether the task that asks this is still to follow the source.

        A cancelled one may not have noticed: before Python 3.12 `asyncio.wait_for` forgets it when what is waited for
        comes at the same moment.
        """
        if isinstance(source, _Sentinel):
            return self._groups.get(source.shared.group) is source.shared
        return source in self._tasks and self._tasks[source][1] is asyncio.current_task()

    def ask(self, queries: Iterable[Query]) -> None:
        """Has them asked without waiting, a few at a time. One that is being asked is asked once more: it may be too late."""
        self._to_ask.update(dict.fromkeys(queries))
        self._ask_next()

    async def asked(self) -> None:
        """Returns when nothing is left to ask."""
        if self._to_ask or self._asking:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    def _ask_next(self) -> None:
        for query in [query for query in self._to_ask if query not in self._asking]:
            if len(self._asking) >= _ASKING:
                return
            del self._to_ask[query]
            self._asking[query] = asyncio.ensure_future(self._ask(query))
        if not self._to_ask and not self._asking:
            idle, self._idle = self._idle, []
            _resolve(idle)

    async def _ask(self, query: Query) -> None:
        retry = False
        try:
            # A server that lags behind could answer as before the change.
            consistency = "default" if self.settings.consistency == "stale" else None
            answer = await self._get(query.path, query.params, consistency=consistency)
            if self._asking.get(query) is asyncio.current_task():
                self._hear(query.datacenter, answer)
                query.accept(answer)
        except ConsulError as error:
            retry = True
            if await self._is_its_own(query.datacenter, error):
                query.fail(error)
        finally:
            # Whoever cancelled this has put another one in its place, or forgotten it.
            if self._asking.get(query) is asyncio.current_task():
                del self._asking[query]
                self._ask_next()
        if retry:
            asyncio.get_running_loop().call_later(random.uniform(1.0, 3.0), self._ask_again, query)  # noqa: S311

    def _ask_again(self, query: Query) -> None:
        if any(query in shared.members for shared in self._groups.values()):
            self.ask([query])

    def _forget_ask(self, query: Query) -> None:
        self._to_ask.pop(query, None)
        task = self._asking.pop(query, None)
        if task is not None:
            task.cancel()
        self._ask_next()

    # Whether Consul is there.

    def _hear(self, datacenter: str, answer: Answer) -> None:
        if datacenter not in self._links:
            return
        link = self._links[datacenter][0]
        link.heard = time.monotonic()
        if link.agent and answer.agent != link.agent and not link.beginning:
            # Another agent answers because the one before did not: what still waits for that one begins anew.
            link.beginning = True
            asyncio.get_running_loop().call_later(link.pace.pause(), self._begin_anew, link)
        link.agent = answer.agent

    def _begin_anew(self, link: _Link) -> None:
        link.beginning = False
        if self._is_kept(link):
            self._give_up(link.datacenter)
            self._arrange()

    def _give_up(self, datacenter: str) -> None:
        """Drops all requests of a datacenter."""
        for key in [key for key, (place, _task) in self._tasks.items() if place == datacenter]:
            self._stop(key)
        for query in self._of(datacenter):
            query.index = 0
            self._forget_ask(query)

    def _of(self, datacenter: str) -> list[Query]:
        with self._lock:
            return [query for query in self._queries.values() if query.datacenter == datacenter]

    def _is_kept(self, link: _Link) -> bool:
        return link.datacenter in self._links and self._links[link.datacenter][0] is link

    async def _is_its_own(self, datacenter: str, error: ConsulError) -> bool:
        """Whether the error is of that request alone. If it is not, Consul is away, and whoever asks this is cancelled."""
        if isinstance(error, RequestError) and not (isinstance(error, ServerError) and error.status != 429):
            return True
        if datacenter in self._links:
            link = self._links[datacenter][0]
            verdict = asyncio.get_running_loop().create_future()
            link.verdicts.append(verdict)
            link.doubt.set()
            await verdict
            return link.away is None
        return True

    async def _keep(self, link: _Link) -> None:
        """Finds out whether Consul answers for the datacenter, when it was silent or in doubt, and acts on it."""
        # To be cancelled is not enough: `asyncio.wait_for` may overlook it before Python 3.12.
        while self._is_kept(link):
            silent = time.monotonic() - link.heard
            if link.away is None and silent < _PROBE_AFTER and not link.doubt.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(link.doubt.wait(), _PROBE_AFTER - silent)
                continue
            link.doubt.clear()
            verdicts, link.verdicts = link.verdicts, []
            error = await self._probe(link)
            if error is None:
                self._found(link)
            else:
                self._lost(link, error)
            _resolve(verdicts)
            if error is not None:
                await asyncio.sleep(random.uniform(*_RETRY))  # noqa: S311

    async def _probe(self, link: _Link) -> ConsulError | None:
        params = [("dc", link.datacenter)] if link.datacenter else []
        try:
            async with self._probe_slots:
                answer = await self._request("/v1/status/leader", params, timeout=_PROBE_LIMIT)
            link.has_leader = bool(answer.json())
            if not link.has_leader and self.settings.consistency != "stale":
                return ServerError("the datacenter has no leader", asked=answer.asked, agent=answer.agent, status=answer.status)
        except RequestError as error:
            return error if isinstance(error, ServerError) and error.status != 429 else None
        except ConsulError as error:
            return error
        self._hear(link.datacenter, answer)
        return None

    def _found(self, link: _Link) -> None:
        now = time.time()
        link.heard = time.monotonic()
        if link.away is None:
            for query in self._of(link.datacenter):
                if link.has_leader:
                    query.confirm(now)
                else:
                    query.doubt()
            return
        link.away = None
        log.info("Consul answers again%s", _where(link.datacenter))
        for query in self._of(link.datacenter):
            query.hope()
        self._arrange()

    def _lost(self, link: _Link, error: ConsulError) -> None:
        if link.away is None:
            log.warning("Consul is away%s; what was known last stays: %s", _where(link.datacenter), error)
        link.away, link.agent = error, ""
        self._give_up(link.datacenter)
        for query in self._of(link.datacenter):
            query.lose(error)


def _where(datacenter: str) -> str:
    return f" in datacenter {datacenter}" if datacenter else ""


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a request to Consul and its answer are, without input or output: every transport stands on this.

Source: https://developer.hashicorp.com/consul/api-docs/api-structure
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from . import arguments
from .errors import BadAnswerError, BadRequestError, InvalidValueError, NotFoundError, PermissionDeniedError, RequestError, ServerError
from .settings import Settings, check_consistency, check_token
from .wire import Headers

_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# Consul's own limits of a blocking query, in seconds; the wait is jittered by up to a sixteenth.
_DEFAULT_WAIT, _LONGEST_WAIT = 300.0, 600.0

# In characters; Consul takes far less.
_LARGEST_BODY = 2**28
_VALUES = (str, bytes, int, float)

_PASSING_TROUBLE = re.compile(
    r"no cluster leader|leadership|no known consul servers|rpc error|raft|not ready|EOF|time-?out|connection re(fused|set)|rate limit", re.I
)


@dataclass(frozen=True)
class Request:
    """One request.

    target: path and query as they stand on the request line, never with a token in them. idempotent: whether it may be
    sent twice. hold: for how many seconds Consul may hold the answer back.
    """

    method: str
    target: str
    body: bytes | memoryview | None
    token: str | None = field(repr=False)
    idempotent: bool
    hold: float

    def __str__(self) -> str:
        return f"{self.method} {self.target}"

    def redact(self, text: str) -> str:
        """The text without the token, should an agent or proxy repeat it."""
        return text.replace(self.token, "(token)") if self.token else text


@dataclass(frozen=True)
class Answer:
    """An agent's answer: status, headers (by name, whatever its case), body."""

    status: int
    headers: Headers
    content: bytes
    asked: str
    agent: str

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def index(self) -> int:
        """The index to hand to the next blocking query for the same; 0 where there is none, or none that can be right."""
        return self._number("X-Consul-Index") or 0

    @property
    def last_contact(self) -> float | None:
        """For how many seconds the server that answered had not heard from the leader; 0 from the leader itself."""
        return _thousandth(self._number("X-Consul-LastContact"))

    @property
    def known_leader(self) -> bool | None:
        """Whether the server that answered knew a leader."""
        value = self.headers["X-Consul-KnownLeader"]
        return None if value is None else value == "true"

    @property
    def cache_age(self) -> float | None:
        """How many seconds ago the agent's own cache was filled; `None` when the answer is not from there (`cached`)."""
        age = self._number("Age")
        return None if self.headers["X-Cache"] is None or age is None else float(age)

    @property
    def filtered_by_acls(self) -> bool:
        """Whether Consul left results out because the token may not see them (Consul 1.11 and later say so)."""
        return self.headers["X-Consul-Results-Filtered-By-ACLs"] == "true"

    def json(self) -> Any:
        """The decoded body; raises `BadAnswerError`."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise self.bad(f"the answer is no JSON: {excerpt(self.text)}") from None

    def bad(self, problem: str = "the answer is not what Consul's API promises") -> BadAnswerError:
        """The error that says so of this answer."""
        return BadAnswerError(problem, asked=self.asked, agent=self.agent)

    def _number(self, header: str) -> int | None:
        value = self.headers[header]
        return int(value) if value and re.fullmatch(r"\d{1,19}", value, re.ASCII) else None


def _thousandth(number: int | None) -> float | None:
    return None if number is None else number / 1000


def build_request(
    settings: Settings,
    method: str,
    path: str,
    params: Sequence[tuple[str, Any]] = (),
    body: bytes | str | memoryview | None = None,
    token: str | None = None,
    consistency: str | None = None,
    idempotent: bool | None = None,
) -> Request:
    """The request for a quoted *path*, with the settings' token, datacenter and consistency where the call has none.

    idempotent: whether it may be sent twice; unless given, only a GET may. Raises `InvalidValueError`.
    """
    if not isinstance(method, str) or not re.fullmatch(r"[A-Z]{1,20}", method):
        raise InvalidValueError(f"method: {arguments.shown(method)} is no method of HTTP")
    if not isinstance(path, str) or not re.fullmatch(r"/[\x21-\x7e]*", path) or any(sign in path for sign in "?#"):
        raise InvalidValueError(f"path: {arguments.shown(path)} is no path of Consul's API")
    if idempotent is not None:
        arguments.boolean(idempotent, "idempotent")
    query = _query(params)
    names = {name for name, _value in query}
    if "token" in names:
        raise InvalidValueError("params: a token must not stand in an address", advice="Give it by token, which goes into a header")
    # What an agent itself holds has neither datacenter nor consistency.
    if not path.startswith("/v1/agent/"):
        if settings.datacenter and "dc" not in names:
            query.append(("dc", settings.datacenter))
        consistency = check_consistency(consistency) or settings.consistency
        reads = method == "GET" or (path == "/v1/txn" and idempotent)
        if reads and consistency != "default" and not names & {"consistent", "stale", "cached"}:
            query.append((consistency, "1"))
    return Request(
        method=method,
        target=f"{path}?{_encode(query)}" if query else path,
        body=_body(body),
        token=check_token(token) or settings.current_token(),
        idempotent=method == "GET" if idempotent is None else idempotent,
        hold=hold_of(dict(query)),
    )


def _query(params: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Names and values of the query; a value that is a list stands for the parameter once for each element, as `tag` does."""
    try:
        query = [(name, one) for name, value in params for one in (value if isinstance(value, (list, tuple)) else (value,))]
    except (TypeError, ValueError):
        query = [("", None)]
    if isinstance(params, (str, bytes, bytearray, Mapping)) or not all(
        isinstance(name, str) and isinstance(one, _VALUES) for name, one in query
    ):
        raise InvalidValueError(f"params: {arguments.shown(params)} are no pairs of names and values")
    return query


def _encode(query: Sequence[tuple[str, Any]]) -> str:
    try:
        return urlencode(query)
    except ValueError:  # half a character, or a number that is too long to be written
        raise InvalidValueError(f"params: {arguments.shown(query)} can't be written into a URL") from None


def _body(given: bytes | str | memoryview | None) -> bytes | memoryview | None:
    if given is None or isinstance(given, (bytes, memoryview)):
        return given
    return arguments.text(given, "body", _LARGEST_BODY).encode()


def hold_of(params: Mapping[str, Any]) -> float:
    """For how many seconds Consul may hold the answer back: a blocking query's wait and its jitter, else 0."""
    if "index" not in params:
        return 0.0
    wait = min(seconds(str(params["wait"])), _LONGEST_WAIT) if "wait" in params else _DEFAULT_WAIT
    return wait * 17 / 16


def seconds(duration: str) -> float:
    """The seconds of a duration as Consul writes it (`10s`, `1m30s`, `1.5h`); raises `InvalidValueError`."""
    if not re.fullmatch(r"(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+", duration):
        raise InvalidValueError(f"{duration!r} is no duration such as 10s or 1m30s")
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", duration))


def duration(seconds: float) -> str:
    """Seconds as Consul reads a duration, to the millisecond: `15s`, `1500ms`."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def segment(text: str, what: str) -> str:
    """A name as one quoted segment of a path; raises `InvalidValueError` for what can't be a name. *what* it is goes into the error."""
    if not isinstance(text, str) or not text.strip() or text in (".", "..") or re.search(r"[\x00-\x1f\x7f]", text):
        raise InvalidValueError(f"{what}: {text!r} is no name")
    return quote(text, safe="")


def may_succeed_elsewhere(answer: Answer) -> bool:
    """Whether another agent may answer better: overload, or a failing server or agent."""
    # A datacenter that one agent has no path to is a matter of the cluster, or of a wrong name.
    return answer.status == 429 or (answer.status >= 500 and "No path to datacenter" not in answer.text)


def may_succeed_later(answer: Answer) -> bool:
    """Whether the same request may succeed in a moment; Consul says 500 to some requests that are wrong, too."""
    return is_passing(answer.status, answer.text)


def is_passing(status: int, text: str) -> bool:
    """Whether trouble of that status and text may be over in a moment."""
    return status in (429, 502, 503, 504) or (status == 500 and bool(_PASSING_TROUBLE.search(text)))


def check(answer: Answer, request: Request, allow: Collection[int] = ()) -> Answer:
    """The answer if it is a success or of a status in *allow*; else raises the error that says what to do."""
    status = answer.status
    if 200 <= status < 300 or (status in allow and not _is_missing_page(answer, request)):
        return answer
    said = request.redact(excerpt(answer.text))
    if _is_missing_page(answer, request):
        raise BadAnswerError(
            "answered 404 without an index, as Consul does for no key, so what answers there is no agent",
            asked=answer.asked,
            agent=answer.agent,
            advice="Give the address of an agent's HTTP API",
        )
    if status < 400:
        raise BadAnswerError(
            f"answered by a redirect ({status}), which is never followed, for it could carry the token elsewhere",
            asked=answer.asked,
            agent=answer.agent,
            advice="Give the address of the agent itself, with the right scheme (https:// for TLS)",
        )
    kind: type[RequestError] = BadRequestError
    advice = ""
    # Old releases refuse the keyring with 500.
    if status in (401, 403) or (status == 500 and re.search("denied (by|due to) ACLs", answer.text)):
        kind, advice = PermissionDeniedError, _acl_advice(answer, request)
    elif status == 404:
        kind = NotFoundError
    elif status == 429 or status >= 500:
        kind = ServerError
        if "No path to datacenter" in answer.text:
            advice = "Is the datacenter's name right, and are the datacenters federated (consul members -wan)?"
        elif "No cluster leader" in answer.text:
            advice = "The datacenter has no leader: are most of its servers up (consul operator raft list-peers)?"
    raise kind(f"{status} {said}".rstrip(), asked=answer.asked, agent=answer.agent, advice=advice, status=status, answer=said)


def _is_missing_page(answer: Answer, request: Request) -> bool:
    """Whether a key seems to be missing because some other web server answers, that has no such page."""
    return (
        answer.status == 404
        and request.method == "GET"
        and request.target.startswith("/v1/kv/")
        and answer.headers["X-Consul-Index"] is None
    )


def excerpt(text: str, length: int = 300) -> str:
    """The text on one line, cut to *length* characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."


# What a request needs, by its path; `write` stands for reading where the request reads. Releases before 1.11 often do not say.
_PERMISSIONS = (
    (r"acl/token/[^/]+/clone|acl/", "acl:write"),
    (r"agent/(service|check)/", "service:write (node:write for a check of the node)"),
    (r"agent/(services|checks|health)", "service:read (node:read for checks of the node)"),
    (r"agent/", "agent:write"),
    (r"catalog/(de)?register", "node:write, and service:write for a service"),
    (r"(catalog|health)/", "service:read and node:read"),
    (r"config\b", "of its kind, such as service:write, service:intentions, mesh:write or operator:write"),
    (r"connect/intentions|discovery-chain", "service:intentions or service:write of the service"),
    (r"coordinate/", "node:write"),
    (r"event/", "event:write"),
    (r"kv/|txn", "key:write"),
    (r"operator/keyring", "keyring:write"),
    (r"operator/|connect/ca", "operator:write"),
    (r"query", "query:write"),
    (r"session/", "session:write"),
    (r"snapshot", "acl:write and everything else (the policy global-management)"),
)
_READS = re.compile(r"/v1/(session/(info|node|list)|event/list)|/v1/query/[^/]+/(execute|explain)")


def permission(method: str, target: str) -> str:
    """The permission that a request needs, as Consul's documentation has it; empty for one that is not known here."""
    needed = next((needed for path, needed in _PERMISSIONS if re.match(rf"/v1/({path})", target)), "")
    return needed.replace("write", "read") if (method == "GET" and "/snapshot" not in target) or _READS.match(target) else needed


def _acl_advice(answer: Answer, request: Request) -> str:
    if answer.status == 401 or "ACL support disabled" in answer.text:
        return "ACLs are switched off on that agent"
    if "must be bootstrapped" in answer.text:
        return "No token was made yet: make the first one (consul acl bootstrap, or the module consul_acl_bootstrap)"
    if "ACL not found" in answer.text:
        if request.token:
            return "Consul does not know the token: was it deleted, has it expired, or is it of another cluster?"
        return (
            "No token was given, and Consul does not know the agent's own default one: give one by token, token_file or CONSUL_HTTP_TOKEN"
        )
    # Newer releases say what is missing.
    told = re.search(r"lacks permission|Missing \w+:\w+|no longer allowed", answer.text)
    needed = "" if told else permission(request.method, request.target)
    which = f"the permission {needed}" if needed else "that permission"
    if request.token:
        return f"The token needs {which}"
    return f"No token was given: give one with {which} by token, token_file or CONSUL_HTTP_TOKEN"

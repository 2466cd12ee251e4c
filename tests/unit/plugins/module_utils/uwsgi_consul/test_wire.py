# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers put together from pieces of any size, and what is none."""

from __future__ import annotations

import pytest

from ansible_collections.uwsgi.consul.plugins.module_utils.uwsgi_consul.wire import AnswerReader, Headers, WireError, request_bytes

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Consul-Index: 7\r\n\r\n"
    b"5;extension=1\r\nhello\r\nA\r\n, world!!!\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
FIXED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def read(data, size, limit=1000):
    reader = AnswerReader(limit)
    for start in range(0, len(data), size):
        assert not reader.complete
        reader.feed(data[start : start + size])
    return reader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize(
    ("data", "status", "content"),
    [(CHUNKED, 200, b"hello, world!!!"), (FIXED, 404, b"none"), (INTERIM, 200, b"ok"), (EMPTY, 204, b"")],
    ids=["chunked", "fixed", "interim", "empty"],
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data, status, content, size):
    reader = read(data, size)
    assert (reader.complete, reader.status, reader.content, reader.keep_alive) == (True, status, content, True)


def test_an_answer_without_length_ends_with_the_connection():
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nabc", 5)
    assert not reader.complete
    reader.feed(b"")
    assert (reader.complete, reader.content, reader.keep_alive) == (True, b"abc", False)


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.1 200 OK", True),
    ],
)
def test_the_connection_is_kept_when_the_agent_keeps_it(head, kept):
    assert read(head + b"\r\nContent-Length: 1\r\n\r\nx", 1000).keep_alive is kept


def test_nothing_may_follow_an_answer():
    assert not read(FIXED + b"HTTP/1.1 200 OK\r\n", 1000).keep_alive


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH", "no HTTP server: 'SSH-2.0-OpenSSH'"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP server"),
        (b"HTTP/1.1 2000\r\n\r\n", "no HTTP server"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a header without its name"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "'-1' is no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "the coding 'gzip' is unknown"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk without its size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000, "a chunk without its size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", "longer than its size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "headers are too long"),
    ],
)
def test_what_is_no_answer_is_told(data, reason):
    with pytest.raises(WireError, match=reason):
        AnswerReader(1000).feed(data)


@pytest.mark.parametrize("length", range(len(FIXED)))
def test_every_answer_that_is_cut_off_is_told(length):
    reader = AnswerReader(1000)
    if length:
        reader.feed(FIXED[:length])
    with pytest.raises(WireError, match="cut off" if length else "without an answer"):
        reader.feed(b"")


def test_headers_have_any_case():
    headers = Headers({"X-Consul-Index": "7"})
    assert (headers["x-consul-index"], headers.get("X-CONSUL-INDEX"), headers["other"], headers.get("other", "0")) == ("7", "7", None, "0")
    assert list(headers) == ["x-consul-index"]


def test_a_request_as_bytes():
    assert request_bytes("GET", "/v1/kv/a%20b", {"Host": "a:1"}, None) == b"GET /v1/kv/a%20b HTTP/1.1\r\nHost: a:1\r\n\r\n"
    assert request_bytes("PUT", "/v1/x", {"Host": "a"}, b"{}").endswith(b"Host: a\r\nContent-Length: 2\r\n\r\n{}")
    assert request_bytes("PUT", "/v1/x", {"Host": "a"}, None).endswith(b"Content-Length: 0\r\n\r\n")

# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""HTTP/1.1 as bytes, without input or output: what is sent, and how an answer is put together from its pieces.

`http.client` reads from sockets that block, so it can serve no event loop; here threads and event loops read answers by
the same rules. Only what Consul's API needs is understood. Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Mapping

# A status line with all headers, and the line before a chunk, may not be longer, in bytes.
_HEAD_LIMIT, _CHUNK_LINE_LIMIT = 65536, 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.(\d) (\d{3})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")


class WireError(Exception):
    """What came is no answer, or not all of one; the text is the reason, for a person."""


class Headers(Mapping[str, str]):
    """Headers by name, whatever its case; `None` for one that is not there. Of several with one name the last counts."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name.lower(): value for name, value in (values or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._values.get(name.lower())  # type: ignore[return-value]  # the libraries ask for what may be missing

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return self._values.get(key.lower(), default)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes | memoryview | None) -> bytes:
    """The request as it is sent. The caller has judged target and headers: neither holds a space or line break that is not its own.

    A body that is a view may be larger than memory, so its caller sends it after what is returned.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None or method not in ("GET", "HEAD"):
        lines.append(f"Content-Length: {len(body or b'')}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body if isinstance(body, bytes) else b"")


class AnswerReader:
    """Puts one answer together. `feed` it what arrives until it is `complete`.

    limit: an answer's body may not be larger, in bytes. sink: gets the pieces of the body of a success, which is not in `content`
    then. Raises `WireError` for what is none.
    """

    def __init__(self, limit: int, sink: Callable[[bytes], object] | None = None) -> None:
        self.complete = False
        self.status = 0
        self.headers = Headers()
        self.keep_alive = False
        self._limit, self._sink = limit, sink
        self._length = 0
        self._waiting = bytearray()
        self._content = bytearray()
        self._read = self._read_head
        # Of the body or the chunk; `None` while it ends with the connection.
        self._left: int | None = 0

    @property
    def content(self) -> bytes:
        return bytes(self._content)

    @property
    def surplus(self) -> bytes:
        """What came after the complete answer."""
        return bytes(self._waiting)

    def feed(self, data: bytes) -> None:
        """Takes the next piece, an empty one at the end of the connection."""
        if not data:
            self._end_of_connection()
            return
        self._waiting += data
        while not self.complete and self._read():
            pass
        if self.complete and self._waiting:
            # Nobody asked for more, so what follows can't be told from the next answer.
            self.keep_alive = False

    def _end_of_connection(self) -> None:
        if self._read == self._read_body and self._left is None:
            self.complete = True
            return
        raise WireError("its answer was cut off" if self.status or self._waiting else "it closed the connection without an answer")

    # Each of these takes its part from what waits, and says whether there was enough for it.

    def _read_head(self) -> bool:
        if not self._waiting.startswith(b"HTTP/1."[: len(self._waiting)]):
            raise self._no_server()
        end = self._waiting.find(b"\r\n\r\n")
        if max(end, len(self._waiting) if end < 0 else 0) > _HEAD_LIMIT:
            raise WireError("its answer can't be read: its headers are too long")
        if end < 0:
            return False
        first, *lines = bytes(self._waiting[:end]).split(b"\r\n")
        status_line = _STATUS_LINE.fullmatch(first)
        if not status_line:
            raise self._no_server()
        del self._waiting[: end + 4]
        self.status = int(status_line[2])
        if self.status < 200:
            self.status = 0
            return True
        self.headers = Headers(dict(map(_header, lines)))
        connection = (self.headers.get("connection") or "").lower()
        self.keep_alive = connection != "close" and (status_line[1] != b"0" or connection == "keep-alive")
        self._choose_body()
        return True

    def _choose_body(self) -> None:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self.status in (204, 304):
            self.complete = True
        elif coding is not None:
            if coding.lower() != "chunked":
                raise WireError(f"its answer can't be read: the coding {coding[:60]!r} is unknown")
            self._read = self._read_chunk_line
        elif length is not None:
            if not re.fullmatch(r"\d{1,15}", length, re.ASCII):
                raise WireError(f"its answer can't be read: {length[:60]!r} is no length")
            self._left, self._read = self._judge(int(length)), self._read_body
            self.complete = self._left == 0
        else:
            self._left, self._read, self.keep_alive = None, self._read_body, False

    def _read_body(self) -> bool:
        self._take()
        self.complete = self._left == 0
        return False

    def _read_chunk_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.split(b";", maxsplit=1)[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,12}", size):
            raise WireError("its answer can't be read: a chunk without its size")
        self._left = self._judge(self._length + int(size, 16)) - self._length
        self._read = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        self._take()
        if self._left or len(self._waiting) < 2:
            return False
        if self._waiting[:2] != b"\r\n":
            raise WireError("its answer can't be read: a chunk is longer than its size")
        del self._waiting[:2]
        self._read = self._read_chunk_line
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self.complete = not line
        return True

    def _take(self) -> None:
        part = len(self._waiting) if self._left is None else min(self._left, len(self._waiting))
        piece = self._waiting[:part] if part < len(self._waiting) else self._waiting
        self._length += part
        if self._sink and self.status == 200:
            self._sink(bytes(piece))
        else:
            self._content += piece
        del self._waiting[:part]
        if self._left is None:
            self._judge(self._length)
        else:
            self._left -= part

    def _line(self) -> bytes | None:
        end = self._waiting.find(b"\r\n", 0, _CHUNK_LINE_LIMIT)
        if end < 0:
            if len(self._waiting) > _CHUNK_LINE_LIMIT:
                raise WireError("its answer can't be read: a chunk without its size")
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 2]
        return line

    def _judge(self, length: int) -> int:
        if length > self._limit:
            raise WireError(f"the answer is larger than {self._limit} bytes")
        return length

    def _no_server(self) -> WireError:
        line = bytes(self._waiting[:200]).split(b"\r\n")[0].split(b"\n")[0].decode("latin-1")
        return WireError(f"what answers there is no HTTP server: {line[:60]!r}")


class AnswersReader:
    """Puts together the answers to requests that were sent one after the other without waiting; otherwise as `AnswerReader`."""

    def __init__(self, limit: int, count: int) -> None:
        self.answers: list[AnswerReader] = []
        self.complete = False
        self._limit, self._count = limit, count
        self._reader = AnswerReader(limit)

    @property
    def keep_alive(self) -> bool:
        return self.complete and self._reader.keep_alive

    def feed(self, data: bytes) -> None:
        while not self.complete:
            self._reader.feed(data)
            if not self._reader.complete:
                return
            self.answers.append(self._reader)
            self.complete = len(self.answers) == self._count
            data = self._reader.surplus
            if not self.complete:
                self._reader = AnswerReader(self._limit)
                if not data:
                    return


def _header(line: bytes) -> tuple[str, str]:
    found = _HEADER.fullmatch(line)
    if not found:
        raise WireError("its answer can't be read: a header without its name")
    return found[1].decode("ascii"), found[2].decode("latin-1").rstrip()

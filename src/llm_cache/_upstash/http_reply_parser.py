"""A parser of HTTP/1.1 replies (RFC 9112), with no I/O: connections feed it the bytes they receive.

It refuses every reply whose end is unclear, and bounds what it holds in memory.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from llm_cache._upstash.http_messages import (
    INFORMATIONAL,
    MAX_DIGITS,
    SUCCESS,
    ConnectionDropped,
    HttpReply,
    invalid_reply,
)

MAX_HEAD = 65_536  # bytes of all status lines and headers before a body, and of its trailers
MAX_REPLY = 20_000_000  # bytes; Upstash's own limit of a request, in base64, and half as much again
_SWITCHING, _BODILESS = 101, (204, 304)
_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")

ReplyParser: TypeAlias = Generator[None, bytes, HttpReply]
"""Send it the bytes received, and ``b""`` once the server has closed; it returns the reply."""


def start_parser(*, tunnel: bool = False) -> ReplyParser:
    """Return a ``parse_reply`` that takes bytes at once."""
    parser = parse_reply(tunnel=tunnel)
    next(parser)
    return parser


def parse_reply(*, tunnel: bool = False) -> ReplyParser:
    """Parse one reply; raise ``ConnectionDropped``, or ``StoreGarbled`` for an invalid one.

    Informational replies (1xx) are skipped. ``tunnel``: the request is ``CONNECT``, and a success
    has no body.
    """
    buffer = _ReceiveBuffer()
    while (head := _parse_head((yield from buffer.read_head()))).status // 100 == INFORMATIONAL:
        if head.status == _SWITCHING:
            raise invalid_reply("another protocol")
    status, headers, reusable = head.status, head.headers, _keeps_alive(head)
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if headers.get("content-encoding", "identity") != "identity":
        raise invalid_reply("a content encoding that was not requested")
    if status in _BODILESS or (tunnel and status // 100 == SUCCESS):
        body = b""
    elif coding is not None:
        if coding.lower() != "chunked" or head.http_1_0:
            raise invalid_reply("an unknown transfer encoding")
        reusable = reusable and length is None
        body = yield from buffer.read_chunks()
    elif length is not None:
        body = yield from buffer.read_exactly(_content_length(length))
    else:
        reusable = False
        body = yield from buffer.read_to_close()
    return HttpReply(status, headers, body, reusable and not buffer.data)


class _ReceiveBuffer:
    """The bytes received and not yet read."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._head_bytes = 0

    def read_head(self) -> Generator[None, bytes, bytes]:
        """Read a status line, headers and the empty line after them."""
        while not (size := _head_size(self.data)):
            self._count_head(0, len(self.data))
            yield from self._receive()
        self._count_head(size)
        return self._take(size)

    def read_exactly(self, count: int) -> Generator[None, bytes, bytes]:
        """Read ``count`` bytes."""
        if count > MAX_REPLY:
            raise invalid_reply("a reply without end")
        while len(self.data) < count:
            yield from self._receive()
        return self._take(count)

    def read_to_close(self) -> Generator[None, bytes, bytes]:
        """Read all bytes until the server closes."""
        while received := (yield):
            self.data += received
            if len(self.data) > MAX_REPLY:
                raise invalid_reply("a reply without end")
        return self._take(len(self.data))

    def read_chunks(self) -> Generator[None, bytes, bytes]:
        """Read a chunked body and its trailers (RFC 9112, section 7.1)."""
        body = bytearray()
        while size := _chunk_size((yield from self._read_line())):
            if len(body) + size > MAX_REPLY:
                raise invalid_reply("a reply without end")
            body += yield from self.read_exactly(size)
            if (yield from self._read_line()):
                raise invalid_reply("a chunk longer than its size")
            self._head_bytes = 0
        while (yield from self._read_line()):
            pass
        return bytes(body)

    def _read_line(self) -> Generator[None, bytes, bytes]:
        """Read one line, without its end."""
        while (at := self.data.find(b"\n")) < 0:
            self._count_head(0, len(self.data))
            yield from self._receive()
        self._count_head(at + 1)
        return self._take(at + 1).rstrip(b"\r\n")

    def _receive(self) -> Generator[None, bytes, None]:
        received = yield
        if not received:
            text = "no connection to Upstash (closed before the reply was complete)"
            raise ConnectionDropped(text)
        self.data += received

    def _take(self, count: int) -> bytes:
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken

    def _count_head(self, taken: int, waiting: int = 0) -> None:
        self._head_bytes += taken
        if self._head_bytes + waiting > MAX_HEAD:
            raise invalid_reply("headers without end")


def _head_size(data: bytearray) -> int:
    """Return the length of a complete head, else 0. A line may end in LF (RFC 9112, 2.2)."""
    at = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, None if at < 0 else at)
    return bare + 2 if bare >= 0 else at + 3 if at >= 0 else 0


class _Head(NamedTuple):
    status: int
    headers: dict[str, str]
    http_1_0: bool


def _parse_head(head: bytes) -> _Head:
    """Parse a status line and headers; repeated headers are joined by commas."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    version, status = first[:9], first[9:12]
    if version not in ("HTTP/1.1 ", "HTTP/1.0 "):
        raise invalid_reply("not HTTP/1.1")
    if not _DIGITS.issuperset(status.encode()) or first[9:13].strip() != status:
        raise invalid_reply("no status")
    return _Head(int(status), _parse_headers(lines), version == "HTTP/1.0 ")


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:  # folded (RFC 9112, section 5.2)
            headers[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise invalid_reply("a header without a name")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _keeps_alive(head: _Head) -> bool:
    options = head.headers.get("connection", "").lower()
    return "keep-alive" in options if head.http_1_0 else "close" not in options


def _content_length(value: str) -> int:
    """Return the length in a ``Content-Length``; equal repetitions are one."""
    first, *others = (part.strip() for part in value.split(","))
    if {*others} - {first}:
        raise invalid_reply("an unclear length")
    return _number(first.encode(), _DIGITS, 10, "length")


def _chunk_size(line: bytes) -> int:
    """Return the size in the first line of a chunk; extensions after it are ignored."""
    return _number(line.partition(b";")[0].strip(), _HEX, 16, "chunk size")


def _number(text: bytes, digits: frozenset[int], base: int, what: str) -> int:
    """Return a number of digits alone: ``int`` also takes signs, spaces and underscores."""
    if not digits.issuperset(text) or not 0 < len(text) <= MAX_DIGITS:
        raise invalid_reply(f"an unclear {what}")
    return int(text, base)

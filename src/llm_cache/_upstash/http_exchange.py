"""One HTTP/1.1 request and its reply, with no I/O.

``Request.encode`` returns the bytes to send. ``reading`` is a generator that takes the bytes
received and returns the reply. The connections in ``blocking`` and ``asynchronous`` drive both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, NoReturn

from llm_cache._errors import StoreGarbled, StoreUnavailable
from llm_cache._version import __version__

MAX_HEAD = 65_536  # bytes of all status lines and headers before a body, and of its trailers
MAX_REPLY = 20_000_000  # bytes; Upstash's own limit of a request, in base64, and half as much again
MAX_VALUES = 100_000  # of JSON: text comes in base64, and the longest list is a page of keys
_INFORMATIONAL, _SUCCESS, _REDIRECT = 1, 2, 3  # the first digit of a status
_SWITCHING, _BODILESS = 101, (204, 304)
_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_LONGEST = 15  # digits of a number
_MARKS = (b",", b"[", b"{")  # at least one stands before or in each value


class Dropped(StoreUnavailable):
    """The server closed or reset the connection before the reply was complete."""


class Reply(NamedTuple):
    """A complete reply. Header names are in lower case.

    ``reusable``: whether the connection may carry another request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool

    def json(self) -> Any:
        """Return the JSON value of the body; raise ``StoreGarbled`` if it holds none."""
        if self.status // 100 == _REDIRECT:
            _refuse("a redirect, which is not followed: correct the URL")
        body = self.body
        if len(body) > MAX_VALUES < sum(body.count(mark) for mark in _MARKS):
            _refuse("too many values")
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            _refuse(type(error).__name__)

    def retry_after(self) -> float | None:
        """Return the seconds that ``Retry-After`` says to wait (RFC 9110, section 10.2.3)."""
        told = self.headers.get("retry-after", "")
        if told.isascii() and told.isdigit():
            return float(told[:_LONGEST])
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None


class Request:
    """The part of a request that stays the same: method, target, and the fixed headers.

    ``headers`` must hold no line breaks; the callers check what they put in.
    """

    def __init__(self, method: str, target: str, host: str, headers: Mapping[str, str]) -> None:
        fixed = {"Host": host, "User-Agent": f"lambda-llm-cache/{__version__}", **headers}
        # A few bytes may not become a great many.
        fixed["Accept-Encoding"] = "identity"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._head = f"{method} {target} HTTP/1.1\r\n{lines}".encode("latin-1")

    def encode(self, body: bytes = b"", headers: str = "") -> bytes:
        """Return the bytes to send; ``headers`` are further complete header lines."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return b"".join((self._head, f"{headers}{length}\r\n".encode("latin-1"), body))


Reading = Generator[None, bytes, Reply]


def start_reading(*, tunnel: bool = False) -> Reading:
    """Return a started ``reading``: send it bytes, or ``b""`` once the server has closed."""
    started = reading(tunnel=tunnel)
    next(started)
    return started


def reading(*, tunnel: bool = False) -> Reading:
    """Read one reply (RFC 9112); raise ``Dropped``, or ``StoreGarbled`` for what is none.

    Informational replies (1xx) are skipped. ``tunnel``: the reply is to ``CONNECT``, and has no
    body if it is a success.
    """
    held = _Held()
    while (status := (head := _parsed((yield from held.head()))).status) // 100 == _INFORMATIONAL:
        if status == _SWITCHING:
            _refuse("another protocol")
    headers = head.headers
    if headers.get("content-encoding", "identity") != "identity":
        _refuse("an encoding that was not asked for")
    options = headers.get("connection", "").lower()
    reusable = "keep-alive" in options if head.old else "close" not in options
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if status in _BODILESS or (tunnel and status // 100 == _SUCCESS):
        body = b""
    elif coding is not None:
        if coding.lower() != "chunked" or head.old:
            _refuse("an unknown transfer encoding")
        reusable = reusable and length is None
        body = yield from held.chunks()
    elif length is not None:
        body = yield from held.exactly(_length(length))
    else:
        reusable = False
        body = yield from held.rest()
    return Reply(status, headers, body, reusable and not held.more)


class _Held:
    """The bytes received and not yet taken."""

    def __init__(self) -> None:
        self.more = bytearray()
        self._head = 0

    def _receive(self) -> Generator[None, bytes, None]:
        received = yield
        if not received:
            raise Dropped("no connection to Upstash (closed before the reply was complete)")
        self.more += received

    def _take(self, count: int) -> bytes:
        taken = bytes(self.more[:count])
        del self.more[:count]
        return taken

    def head(self) -> Generator[None, bytes, bytes]:
        """Take a status line, headers and the empty line after them."""
        while not (end := _end(self.more)):
            self._count(0, len(self.more))
            yield from self._receive()
        self._count(end)
        return self._take(end)

    def line(self) -> Generator[None, bytes, bytes]:
        """Take one line, without its end."""
        while (at := self.more.find(b"\n")) < 0:
            self._count(0, len(self.more))
            yield from self._receive()
        self._count(at + 1)
        return self._take(at + 1).rstrip(b"\r\n")

    def exactly(self, count: int) -> Generator[None, bytes, bytes]:
        """Take so many bytes."""
        if count > MAX_REPLY:
            _refuse("a reply without end")
        while len(self.more) < count:
            yield from self._receive()
        return self._take(count)

    def rest(self) -> Generator[None, bytes, bytes]:
        """Take all bytes until the server closes."""
        while received := (yield):
            self.more += received
            if len(self.more) > MAX_REPLY:
                _refuse("a reply without end")
        return self._take(len(self.more))

    def chunks(self) -> Generator[None, bytes, bytes]:
        """Take a chunked body and its trailers (RFC 9112, section 7.1)."""
        body = bytearray()
        while size := _size((yield from self.line())):
            if len(body) + size > MAX_REPLY:
                _refuse("a reply without end")
            body += yield from self.exactly(size)
            if (yield from self.line()):
                _refuse("a chunk longer than its size")
            self._head = 0
        while (yield from self.line()):
            pass
        return bytes(body)

    def _count(self, taken: int, waiting: int = 0) -> None:
        self._head += taken
        if self._head + waiting > MAX_HEAD:
            _refuse("headers without end")


def _end(data: bytearray) -> int:
    """Return how long a head is; 0: it has not ended. A line may end in LF (RFC 9112, 2.2)."""
    at = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, None if at < 0 else at)
    return bare + 2 if bare >= 0 else at + 3 if at >= 0 else 0


class _Head(NamedTuple):
    """A status and headers; ``old``: of HTTP/1.0."""

    status: int
    headers: dict[str, str]
    old: bool


def _parsed(head: bytes) -> _Head:
    """Read a status line and headers; repeated headers are joined by commas."""
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    version, status = first[:9], first[9:12]
    if version not in ("HTTP/1.1 ", "HTTP/1.0 "):
        _refuse("not HTTP/1.1")
    if not _DIGITS.issuperset(status.encode()) or first[9:13].strip() != status:
        _refuse("no status")
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:  # folded (RFC 9112, section 5.2)
            headers[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            _refuse("a header without a name")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return _Head(int(status), headers, version == "HTTP/1.0 ")


def _length(told: str) -> int:
    """Return the one length that ``Content-Length`` tells, once or several times."""
    first, *others = (one.strip() for one in told.split(","))
    if {*others} - {first}:
        _refuse("an unclear length")
    return _number(first.encode(), _DIGITS, 10, "length")


def _size(line: bytes) -> int:
    """Return the size in the first line of a chunk, less its extensions."""
    return _number(line.partition(b";")[0].strip(), _HEX, 16, "size of a chunk")


def _number(told: bytes, digits: frozenset[int], base: int, what: str) -> int:
    """Return a number of digits alone: ``int`` also takes signs, spaces and underscores."""
    if not digits.issuperset(told) or not 0 < len(told) <= _LONGEST:
        _refuse(f"an unclear {what}")
    return int(told, base)


def _refuse(why: str) -> NoReturn:
    raise StoreGarbled(f"not an answer of Upstash ({why})")

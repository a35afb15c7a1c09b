"""Encode commands and parse replies in RESP2, the protocol of Redis, without I/O.

hiredis and the Redis clients parse a status (`+OK`) and a string (`$2 OK`) to one type, and some
rewrite replies. The REST protocol distinguishes the two and returns RESP2 byte for byte, so a reply
here keeps its bytes.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

END = b"\r\n"


class SimpleString(bytes):
    """A simple string, such as `+OK`."""

    __slots__ = ()


class RedisError(bytes):
    """An error reply, such as `-WRONGTYPE Operation against ...`."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The text of the error."""
        return self.decode("utf-8", "replace")


Value: TypeAlias = "SimpleString | RedisError | bytes | int | list[Value] | None"


@dataclass(frozen=True, slots=True)
class RedisReply:
    """A reply of Redis: its value and its bytes."""

    value: Value
    raw: bytes

    @classmethod
    def string(cls, value: bytes) -> Self:
        """Make a string reply."""
        return cls(value, b"$%d\r\n%b\r\n" % (len(value), value))

    @classmethod
    def array(cls, items: list[Value]) -> Self:
        """Make an array reply; the items are strings or such arrays."""
        return cls(items, _pack_array(items))

    @classmethod
    def error(cls, text: str) -> Self:
        """Make an error reply."""
        value = RedisError(text.encode())
        return cls(value, b"-" + value + END)


def pack(args: Sequence[bytes]) -> bytes:
    """Encode one command."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        parts += (b"$%d\r\n" % len(arg), arg, END)
    return b"".join(parts)


def _pack_array(items: list[Value]) -> bytes:
    parts = [
        _pack_array(item) if isinstance(item, list) else RedisReply.string(_bytes(item)).raw
        for item in items
    ]
    return b"*%d\r\n" % len(items) + b"".join(parts)


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Parser:
    """Parses replies from bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._pending = self._value()

    def feed(self, data: bytes) -> Iterator[RedisReply]:
        """Yield each reply that the new bytes complete; raise ValueError if they are not RESP2."""
        self._buffer += data
        while self._buffer:
            try:
                next(self._pending)
            except StopIteration as done:
                yield self._finish(done.value)
            else:
                return

    def _finish(self, value: Value) -> RedisReply:
        raw = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        self._pending = self._value()
        return RedisReply(value, raw)

    def _value(self) -> Generator[None, None, Value]:
        line = yield from self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else (yield from self._exactly(int(rest)))
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return SimpleString(rest)
        if kind == b"-":
            return RedisError(rest)
        if kind == b"*":
            return None if rest == b"-1" else (yield from self._array(int(rest)))
        raise ValueError(f"not RESP2: {line!r}")

    def _array(self, length: int) -> Generator[None, None, list[Value]]:
        items: list[Value] = []
        for _ in range(length):
            items.append((yield from self._value()))  # noqa: PERF401 - no comprehension can yield
        return items

    def _line(self) -> Generator[None, None, bytes]:
        while (end := self._buffer.find(END, self._at)) < 0:
            yield
        line = bytes(self._buffer[self._at : end])
        self._at = end + len(END)
        return line

    def _exactly(self, size: int) -> Generator[None, None, bytes]:
        end = self._at + size
        while len(self._buffer) < end + len(END):
            yield
        data = bytes(self._buffer[self._at : end])
        self._at = end + len(END)
        return data

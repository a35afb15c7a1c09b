"""RESP2, the protocol Redis speaks, without I/O: commands to bytes, bytes to replies.

hiredis and the Redis clients give a status (`+OK`) and a string (`$2 OK`) the same type, and some
rewrite replies. The REST protocol tells the two apart and promises RESP2 byte for byte, so a reply
here keeps its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

END = b"\r\n"


class Status(bytes):
    """A simple string, such as `+OK`."""

    __slots__ = ()


class Failure(bytes):
    """An error reply, such as `-WRONGTYPE Operation against ...`."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The error as Redis worded it."""
        return self.decode("utf-8", "replace")


Value: TypeAlias = "Status | Failure | bytes | int | list[Value] | None"


@dataclass(frozen=True, slots=True)
class Reply:
    """What Redis answered: the value and the bytes it came as."""

    value: Value
    raw: bytes

    @classmethod
    def string(cls, value: bytes) -> Reply:
        """Make a reply of our own that is a string."""
        return cls(value, b"$%d\r\n%b\r\n" % (len(value), value))

    @classmethod
    def array(cls, items: list[Value]) -> Reply:
        """Make a reply of our own that is an array of strings and of such arrays."""
        return cls(items, _pack_array(items))

    @classmethod
    def failure(cls, text: str) -> Reply:
        """Make a reply of our own that is an error."""
        value = Failure(text.encode())
        return cls(value, b"-" + value + END)


def pack(args: Sequence[bytes]) -> bytes:
    """Encode one command."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        parts += (b"$%d\r\n" % len(arg), arg, END)
    return b"".join(parts)


def _pack_array(items: list[Value]) -> bytes:
    parts = [
        _pack_array(item) if isinstance(item, list) else Reply.string(_bytes(item)).raw
        for item in items
    ]
    return b"*%d\r\n" % len(items) + b"".join(parts)


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Parser:
    """Turn bytes, in whatever pieces they arrive, into whole replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._pending = self._value()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take more bytes and yield each reply that they complete.

        Raises ValueError when the bytes are not RESP2.
        """
        self._buffer += data
        while self._buffer:
            try:
                next(self._pending)
            except StopIteration as done:
                yield self._finish(done.value)
            else:
                return

    def _finish(self, value: Value) -> Reply:
        raw = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        self._pending = self._value()
        return Reply(value, raw)

    def _value(self) -> Generator[None, None, Value]:
        line = yield from self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else (yield from self._exactly(int(rest)))
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Failure(rest)
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

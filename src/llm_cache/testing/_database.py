"""Strings with an expiry, kept in memory by the rules of Redis."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

Reply: TypeAlias = "bytes | int | str | list[Reply] | None"
"""A reply of Redis; text without encoding is a status, such as ``OK``."""

OK = "OK"
FULL = "OOM command not allowed when used memory > 'maxmemory'."


class RedisError(Exception):
    """An error reply of Redis."""


class UnknownCommand(BaseException):
    """The database in memory lacks a command, an option or a script.

    A ``BaseException``: the cache turns each ``Exception`` into a miss, which would hide it.
    """


class _Value(NamedTuple):
    data: bytes
    until: int | None  # milliseconds of the clock


class Database:
    """The keys of one database. ``clock`` returns seconds, ``is_full`` whether it refuses data."""

    def __init__(self, clock: Callable[[], float], is_full: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_full = is_full
        self._values: dict[bytes, _Value] = {}
        self.begin_command()

    def begin_command(self) -> None:
        """Begin a command or a script; a script that has deleted may also write when full."""
        self._has_deleted = False

    def live_keys(self) -> list[bytes]:
        """Return the keys that have not expired, in order."""
        return sorted(key for key in self._values if self.get(key) is not None)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``; None if there is none."""
        found = self._live(key)
        return found.data if found else None

    def mget(self, *keys: bytes) -> list[bytes | None]:
        """Return the values of ``keys``."""
        return [self.get(key) for key in keys]

    def getrange(self, key: bytes, end: int) -> bytes:
        """Return the first bytes of a value, up to and including ``end``."""
        return (self.get(key) or b"")[: end + 1]

    def pttl(self, key: bytes) -> int:
        """Return the milliseconds that ``key`` has left; -1: no expiry, -2: no key."""
        found = self._live(key)
        if found is None:
            return -2
        return -1 if found.until is None else found.until - self._now()

    def set(self, key: bytes, data: bytes, *, milliseconds: int | None = None) -> None:
        """Replace the value of ``key`` and its expiry; None: it has none."""
        self._put(key, _Value(data, milliseconds and self._now() + milliseconds))

    def set_keeping_ttl(self, key: bytes, data: bytes) -> None:
        """Replace the value of ``key``, and keep its expiry."""
        found = self._live(key)
        self._put(key, _Value(data, found and found.until))

    def exists(self, *keys: bytes) -> int:
        """Return how many of ``keys`` exist."""
        return sum(self.get(key) is not None for key in keys)

    def unlink(self, *keys: bytes) -> int:
        """Delete ``keys``; return how many existed."""
        self._has_deleted = True
        live = {key for key in keys if self.get(key) is not None}
        for key in live:
            del self._values[key]
        return len(live)

    def flush(self) -> None:
        """Delete every key."""
        self._has_deleted = True
        self._values.clear()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor and about ``count`` keys.

        The order is by a hash of the key, so changes between two pages hide no other key.
        """
        left = sorted((at, key) for key in self.live_keys() if (at := zlib.crc32(key)) >= cursor)
        if len(left) <= count:
            return 0, [key for _, key in left]
        last = left[count - 1][0]
        return last + 1, [key for at, key in left if at <= last]

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _live(self, key: bytes) -> _Value | None:
        found = self._values.get(key)
        expired = found and found.until is not None and found.until <= self._now()
        return None if expired else found

    def _put(self, key: bytes, value: _Value) -> None:
        if self._is_full() and not self._has_deleted:
            raise RedisError(FULL)
        self._values[key] = value

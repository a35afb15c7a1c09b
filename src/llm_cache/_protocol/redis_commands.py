"""The Redis commands of the cache. Each knows the shape of its reply.

A reply of another shape is no reply of Upstash: parsing it raises ``StoreGarbled``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from llm_cache._errors import StoreGarbled
from llm_cache._protocol.effects import Command


def mget(*keys: str) -> Command[list[str | None]]:
    """Read the values of ``keys``; None for a key that is missing or not a string."""
    return Command(("MGET", *keys), partial(texts, count=len(keys)))


def unlink(key: str) -> Command[int]:
    """Delete ``key``; return how many keys were deleted."""
    return Command(("UNLINK", key), number)


def scan(cursor: str, pattern: str, count: int) -> Command[tuple[str, list[str]]]:
    """Read one page of the keys that match ``pattern``; return the next cursor and the keys."""
    return Command(("SCAN", cursor, "MATCH", pattern, "COUNT", count), page)


def flushdb(mode: str) -> Command[None]:
    """Delete every key of the database. ``mode``: ``SYNC`` or ``ASYNC``."""
    return Command(("FLUSHDB", mode), ok)


def script(source: str, keys: tuple[str, ...], *args: str | int) -> Command[int]:
    """Run a Lua script that returns a number."""
    return Command(("EVAL", source, len(keys), *keys, *args), number)


def ok(reply: object) -> None:
    """Accept ``OK``, which Upstash's client turns into True."""
    if reply is not True and reply != "OK":
        raise StoreGarbled("not a reply of Upstash (no OK)")


def number(reply: object) -> int:
    """Return an integer."""
    if isinstance(reply, bool) or not isinstance(reply, int):
        raise StoreGarbled("not a reply of Upstash (no number)")
    return reply


def texts(reply: object, count: int) -> list[str | None]:
    """Return ``count`` values, each a string or None."""
    values: list[Any] = reply if isinstance(reply, list) else []
    if len(values) != count or not all(value is None or isinstance(value, str) for value in values):
        raise StoreGarbled(f"not a reply of Upstash (not {count} values)")
    return values


def page(reply: object) -> tuple[str, list[str]]:
    """Return the cursor and the keys of one ``SCAN``."""
    match reply:
        case [str() | int() as cursor, [*names]]:
            keys = [name for name in names if isinstance(name, str)]
            if len(keys) == len(names):
                return str(cursor), keys
    raise StoreGarbled("not a reply of Upstash (no page of keys)")

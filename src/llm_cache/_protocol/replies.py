"""The shapes of Redis' replies that the operations rely on.

What has another is no answer of Upstash, whatever it is: each raises ``StoreGarbled`` for it.
"""

from __future__ import annotations

from typing import Any

from llm_cache._errors import StoreGarbled


def done(reply: object) -> None:
    """Take the ``OK`` of ``SET`` or ``FLUSHDB``, which Upstash's client has made True of."""
    if reply is not True and reply != "OK":
        raise StoreGarbled("not an answer of Upstash (no OK)")


def number(reply: object) -> int:
    """Return a count, or what a script says by one."""
    if isinstance(reply, bool) or not isinstance(reply, int):
        raise StoreGarbled("not an answer of Upstash (no number)")
    return reply


def texts(reply: object, count: int) -> list[str | None]:
    """Return the values of ``MGET``, one for each of ``count`` keys."""
    values: list[Any] = reply if isinstance(reply, list) else []
    if len(values) != count or not all(value is None or isinstance(value, str) for value in values):
        raise StoreGarbled("not an answer of Upstash (other values than were asked for)")
    return values


def page(reply: object) -> tuple[str, list[str]]:
    """Return the cursor and the keys of one ``SCAN``."""
    match reply:
        case [str() | int() as cursor, [*names]]:
            keys = [name for name in names if isinstance(name, str)]
            if len(keys) == len(names):
                return str(cursor), keys
    raise StoreGarbled("not an answer of Upstash (no page of keys)")

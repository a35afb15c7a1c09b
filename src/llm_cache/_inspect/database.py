"""The size of the whole database, where the token may read it."""

from __future__ import annotations

import re
from typing import NamedTuple

from llm_cache._errors import StoreGarbled, StoreRefused
from llm_cache._protocol.effects import Command, Operation
from llm_cache._protocol.redis_commands import number


class Database(NamedTuple):
    """The keys of a database, and the bytes in use; None: Upstash does not tell."""

    keys: int | None
    used_bytes: int | None


def read_database() -> Operation[Database]:
    """Read the size of the database. Two commands, each of which a token may lack."""
    try:
        keys = yield from Command(("DBSIZE",), number)
    except StoreRefused:
        keys = None
    try:
        used = yield from Command(("INFO", "memory"), _used_memory)
    except StoreRefused:
        used = None
    return Database(keys, used)


def _used_memory(reply: object) -> int | None:
    if not isinstance(reply, str):
        raise StoreGarbled("not a reply of Upstash (no text)")
    found = re.search(r"^used_memory:(\d+)", reply, re.MULTILINE)
    return int(found[1]) if found else None

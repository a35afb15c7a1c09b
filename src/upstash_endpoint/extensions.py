"""What Upstash adds to Redis: `ACL RESTTOKEN`, WITHTYPE for SCAN, and a flag for scripts.

The flag: https://upstash.com/docs/redis/features/key-locking
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from upstash_endpoint.resp import Reply, pack

if TYPE_CHECKING:
    from upstash_endpoint.pool import Connection
    from upstash_endpoint.resp import Value
    from upstash_endpoint.rest import Command


class Extension(Enum):
    """A command that Redis would not understand."""

    REST_TOKEN = auto()
    SCAN_WITH_TYPES = auto()


def extension_of(command: Command) -> Extension | None:
    """Return the extension a command asks for, or None when it is Redis's own."""
    words = [word.upper() for word in command]
    if words[:2] == [b"ACL", b"RESTTOKEN"] and len(words) == 4:  # noqa: PLR2004 - user, password
        return Extension.REST_TOKEN
    if words[:1] == [b"SCAN"] and words[-1] == b"WITHTYPE" and words[-2:-1] != [b"MATCH"]:
        return Extension.SCAN_WITH_TYPES
    return None


def without_own_flag(command: Command) -> Command:
    """Return a script's command less `allow-key-locking`, a flag that Redis itself rejects.

    It changes what a script locks, not what it does. The script is then known by the digest of what
    is left: `EVALSHA` with the digest of the whole is answered with NOSCRIPT, and clients go on.
    """
    words = [word.upper() for word in command[:2]]
    place = 2 if words == [b"SCRIPT", b"LOAD"] else 1 if words[:1] in _EVALS else None
    if place is None or len(command) <= place or not command[place].startswith(b"#!"):
        return command
    first, newline, rest = command[place].partition(b"\n")
    plain = _FLAGS.sub(_own_flag_removed, first)
    return [*command[:place], plain + newline + rest, *command[place + 1 :]]


_EVALS = ([b"EVAL"], [b"EVAL_RO"])
_FLAGS = re.compile(rb"\s+flags=(\S*)")


def _own_flag_removed(flags: re.Match[bytes]) -> bytes:
    kept = [flag for flag in flags[1].split(b",") if flag != b"allow-key-locking"]
    return b" flags=" + b",".join(kept) if kept else b""


async def scan_with_types(connection: Connection, command: Command) -> Reply:
    """Run `SCAN cursor ... WITHTYPE`: the keys, each followed by its type."""
    scanned = await connection.call(command[:-1])
    match scanned.value:
        case [bytes() as cursor, list() as keys]:
            connection.send(*(pack([b"TYPE", key]) for key in keys if isinstance(key, bytes)))
            types = [(await connection.receive()).value for _ in keys]
            pairs: list[Value] = [item for pair in zip(keys, types, strict=True) for item in pair]
            return Reply.array([cursor, pairs])
        case _:
            return scanned

"""Upstash's extensions of Redis: `ACL RESTTOKEN`, WITHTYPE for SCAN, and a flag of scripts.

The flag: https://upstash.com/docs/redis/features/key-locking
"""

import re
from enum import Enum, auto

from upstash_endpoint.connection_pool import RedisConnection
from upstash_endpoint.resp import RedisReply, Value, pack
from upstash_endpoint.rest_request import Command


class Extension(Enum):
    """A command that Redis itself does not support."""

    REST_TOKEN = auto()
    SCAN_WITH_TYPES = auto()


def extension_of(command: Command) -> Extension | None:
    """Return the extension that a command uses, or None."""
    words = [word.upper() for word in command]
    if words[:2] == [b"ACL", b"RESTTOKEN"] and len(words) == 4:  # noqa: PLR2004 - user, password
        return Extension.REST_TOKEN
    if words[:1] == [b"SCAN"] and words[-1] == b"WITHTYPE" and words[-2:-1] != [b"MATCH"]:
        return Extension.SCAN_WITH_TYPES
    return None


def without_key_locking_flag(command: Command) -> Command:
    """Return a command without the script flag `allow-key-locking`, which Redis rejects.

    The flag changes the locks of a script, not its result. Without it, the digest is another:
    `EVALSHA` with the original digest returns NOSCRIPT, and clients send the script again.
    """
    words = [word.upper() for word in command[:2]]
    place = 2 if words == [b"SCRIPT", b"LOAD"] else 1 if words[:1] in _EVALS else None
    if place is None or len(command) <= place or not command[place].startswith(b"#!"):
        return command
    first, newline, rest = command[place].partition(b"\n")
    plain = _FLAGS.sub(_flag_removed, first)
    return [*command[:place], plain + newline + rest, *command[place + 1 :]]


_EVALS = ([b"EVAL"], [b"EVAL_RO"])
_FLAGS = re.compile(rb"\s+flags=(\S*)")


def _flag_removed(flags: re.Match[bytes]) -> bytes:
    kept = [flag for flag in flags[1].split(b",") if flag != b"allow-key-locking"]
    return b" flags=" + b",".join(kept) if kept else b""


async def scan_with_types(connection: RedisConnection, command: Command) -> RedisReply:
    """Run `SCAN cursor ... WITHTYPE` and return the keys, each followed by its type."""
    scanned = await connection.call(command[:-1])
    match scanned.value:
        case [bytes() as cursor, list() as keys]:
            connection.send(*(pack([b"TYPE", key]) for key in keys if isinstance(key, bytes)))
            types = [(await connection.receive()).value for _ in keys]
            pairs: list[Value] = [item for pair in zip(keys, types, strict=True) for item in pair]
            return RedisReply.array([cursor, pairs])
        case _:
            return scanned

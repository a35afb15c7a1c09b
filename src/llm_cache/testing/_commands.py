"""The commands of the library, over the database in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from llm_cache.testing._database import OK, Database, Reply, UnknownCommand
from llm_cache.testing._scripts import TWINS

Handler: TypeAlias = Callable[[Database, list[bytes]], Reply]


def run(database: Database, name: str, args: list[bytes]) -> Reply:
    """Run a command; raise ``RedisError``, or ``UnknownCommand`` if there is no code for it."""
    handler = COMMANDS.get(name.upper())
    if handler is None:
        raise UnknownCommand(
            f"upstash in memory has no command {name}: it has {', '.join(COMMANDS)}"
        )
    database.begin_command()
    return handler(database, args)


def _mget(database: Database, keys: list[bytes]) -> Reply:
    return [*database.mget(*keys)]


def _unlink(database: Database, keys: list[bytes]) -> Reply:
    return database.unlink(*keys)


def _flushdb(database: Database, args: list[bytes]) -> Reply:
    if args not in ([], [b"SYNC"], [b"ASYNC"]):
        raise _unknown_options("FLUSHDB", args)
    database.flush()
    return OK


def _scan(database: Database, args: list[bytes]) -> Reply:
    match args:
        case [cursor, b"MATCH", pattern, b"COUNT", count]:
            following, page = database.scan(int(cursor), int(count))
            matches = _glob(pattern).fullmatch
            return [str(following).encode(), [key for key in page if matches(key)]]
    raise _unknown_options("SCAN", args)


def _glob(pattern: bytes) -> re.Pattern[bytes]:
    """Return the regular expression of a pattern of ``*`` and ``?`` with escaped characters."""
    parts = []
    for escaped, single in re.findall(rb"\\(.)|(.)", pattern, re.DOTALL):
        if single == b"[":
            raise _unknown_options("SCAN", [b"MATCH with a class of characters"])
        parts.append({b"*": b".*", b"?": b"."}.get(single, re.escape(escaped or single)))
    return re.compile(b"".join(parts), re.DOTALL)


def _eval(database: Database, args: list[bytes]) -> Reply:
    source, count, *rest = args
    twin = TWINS.get(source.decode())
    if twin is None:
        first_line = source.decode().strip().partition("\n")[0]
        raise UnknownCommand(
            f"upstash in memory has no twin of the script {first_line!r}: "
            "add its source and a function to TWINS in llm_cache/testing/_scripts.py"
        )
    return twin(database, rest[: int(count)], rest[int(count) :])


def _unknown_options(command: str, args: list[bytes]) -> UnknownCommand:
    shown = b" ".join(args).decode(errors="replace")
    return UnknownCommand(f"upstash in memory does not have these options of {command}: {shown}")


COMMANDS: dict[str, Handler] = {
    "EVAL": _eval,
    "FLUSHDB": _flushdb,
    "MGET": _mget,
    "SCAN": _scan,
    "UNLINK": _unlink,
}

"""What Upstash adds to Redis's own commands: `ACL RESTTOKEN`, and WITHTYPE for SCAN."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from local_cloud.resp import Reply, pack

if TYPE_CHECKING:
    from local_cloud.resp import Value
    from local_cloud.upstash.pool import Connection
    from local_cloud.upstash.rest import Command


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

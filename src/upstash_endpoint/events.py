"""SUBSCRIBE, PSUBSCRIBE and MONITOR, as server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upstash_endpoint.resp import Failure, Value, pack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from upstash_endpoint.pool import Connection, Pool
    from upstash_endpoint.resp import Reply
    from upstash_endpoint.rest import Command


class Events:
    """What one listening connection receives, until the caller or Redis hangs up."""

    def __init__(self, connection: Connection, first: Reply) -> None:
        self._connection = connection
        self.first = first

    @classmethod
    async def open(cls, pool: Pool, command: Command) -> Events:
        """Start listening, on a connection of its own; `first` may be an error."""
        connection = await pool.connect()
        try:
            connection.send(pack(command))
            first = await connection.receive()
        except BaseException:
            connection.close()
            raise
        if isinstance(first.value, Failure):
            connection.close()
        return cls(connection, first)

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield each event, as `data:` lines."""
        try:
            yield b'data: "OK"\n\n' if self.first.value == b"OK" else _event(self.first.value)
            while True:
                # SUBSCRIBE to n channels is one command with n replies: more than it is owed.
                yield _event((await self._connection.receive()).value)
        except ConnectionError:
            return
        finally:
            self._connection.close()


def _event(value: Value) -> bytes:
    lines = _text(value).splitlines() or [b""]
    return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def _text(value: Value) -> bytes:
    if isinstance(value, list):
        return b",".join(_text(item) for item in value)
    return value if isinstance(value, bytes) else str(value).encode()

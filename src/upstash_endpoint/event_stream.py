"""Stream SUBSCRIBE, PSUBSCRIBE and MONITOR as server-sent events."""

from collections.abc import AsyncIterator
from typing import Self

from upstash_endpoint.connection_pool import ConnectionPool, RedisConnection
from upstash_endpoint.resp import RedisError, RedisReply, Value, pack
from upstash_endpoint.rest_request import Command


class EventStream:
    """The messages of one connection, until the client or Redis closes it."""

    def __init__(self, connection: RedisConnection, first: RedisReply) -> None:
        self._connection = connection
        self.first = first

    @classmethod
    async def open(cls, pool: ConnectionPool, command: Command) -> Self:
        """Run the command on a new connection; `first` is its first reply, perhaps an error."""
        connection = await pool.connect()
        try:
            connection.send(pack(command))
            first = await connection.receive()
        except BaseException:
            connection.close()
            raise
        if isinstance(first.value, RedisError):
            connection.close()
        return cls(connection, first)

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield each message as `data:` lines."""
        try:
            yield b'data: "OK"\n\n' if self.first.value == b"OK" else _data_lines(self.first.value)
            while True:
                # SUBSCRIBE to n channels has n replies, not one.
                yield _data_lines((await self._connection.receive()).value)
        except ConnectionError:
            return
        finally:
            self._connection.close()


def _data_lines(value: Value) -> bytes:
    lines = _text(value).splitlines() or [b""]
    return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def _text(value: Value) -> bytes:
    if isinstance(value, list):
        return b",".join(_text(item) for item in value)
    return value if isinstance(value, bytes) else str(value).encode()

"""A pool of connections to Redis; each serves one request at a time."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Self, cast

from upstash_endpoint.resp import Parser, RedisReply, pack

_MOST_IDLE = 64


class RedisConnection(asyncio.Protocol):
    """A connection to Redis: send commands, then receive their replies in order."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._replies: deque[RedisReply] = deque()
        self._outstanding = 0
        self._lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect; raise OSError if Redis cannot be reached."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    @property
    def reusable(self) -> bool:
        """Whether the connection is open and no reply is outstanding."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._lost and not self._outstanding and not self._replies

    def send(self, *packed: bytes) -> None:
        """Send commands in RESP; call `receive` once for each."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection to Redis is closed")
        self._outstanding += len(packed)
        self._transport.write(b"".join(packed))

    async def receive(self) -> RedisReply:
        """Return the next reply; raise ConnectionError if Redis closes the connection."""
        while not self._replies:
            if self._lost:
                raise ConnectionError("Redis closed the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._outstanding -= 1
        return self._replies.popleft()

    async def call(self, args: Sequence[bytes]) -> RedisReply:
        """Send one command and return its reply."""
        self.send(pack(args))
        return await self.receive()

    def close(self) -> None:
        """Close without waiting for outstanding replies."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)  # as TCP transports are

    def data_received(self, data: bytes) -> None:
        """Collect replies (called by the event loop)."""
        try:
            self._replies.extend(self._parser.feed(data))
        except ValueError:
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - fixed signature
        """Record the end (called by the event loop)."""
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ConnectionPool:
    """The connections of one Redis user."""

    def __init__(self, connect: Callable[[], Awaitable[RedisConnection]]) -> None:
        self.connect = connect
        self._idle: list[RedisConnection] = []

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[RedisConnection]:
        """Use an idle connection, or a new one.

        A connection with outstanding replies is closed afterwards, not reused: after an error, a
        cancelled request, or the end of the connection. No command is sent twice, because Redis
        may have run it before the connection ended.
        """
        connection = self._pick() or await self.connect()
        try:
            yield connection
        finally:
            if connection.reusable and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _pick(self) -> RedisConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

"""Connections to Redis, lent to one request at a time and never lent again in doubt."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, cast

from upstash_endpoint.resp import Parser, Reply, pack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

_MOST_IDLE = 64


class Connection(asyncio.Protocol):
    """One connection to Redis: send commands, receive as many replies, in order."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._replies: deque[Reply] = deque()
        self._owed = 0
        self._lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connect; raises OSError when Redis cannot be reached."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    @property
    def reusable(self) -> bool:
        """Whether the connection is open and every command sent has had its reply."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._lost and not self._owed and not self._replies

    def send(self, *packed: bytes) -> None:
        """Send packed commands at once; each is owed one `receive`."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection to Redis is closed")
        self._owed += len(packed)
        self._transport.write(b"".join(packed))

    async def receive(self) -> Reply:
        """Return the next reply; raises ConnectionError when Redis hung up before it."""
        while not self._replies:
            if self._lost:
                raise ConnectionError("Redis closed the connection")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._owed -= 1
        return self._replies.popleft()

    async def call(self, args: Sequence[bytes]) -> Reply:
        """Send one command and return its reply."""
        self.send(pack(args))
        return await self.receive()

    def close(self) -> None:
        """Close without waiting for what is owed."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)  # over TCP it is one

    def data_received(self, data: bytes) -> None:
        """Collect replies (called by the event loop)."""
        try:
            self._replies.extend(self._parser.feed(data))
        except ValueError:
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Note the end (called by the event loop)."""
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Pool:
    """The connections of one Redis user."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self.connect = connect
        self._idle: list[Connection] = []

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[Connection]:
        """Lend a connection, a new one when no idle one is still open.

        It comes back only if all it was asked has been answered: after an error, a cancelled
        request or a hang-up in the middle of a reply it is closed. A command is never sent twice:
        one that Redis may have run before it hung up is reported, not repeated.
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

    def _pick(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

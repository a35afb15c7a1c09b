"""Connections of callers on an event loop: a pool for each loop, closed when the loop ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

from llm_cache._upstash.blocking_pool import KEEPALIVE, MOST_IDLE
from llm_cache._upstash.http_messages import ConnectionDropped, HttpEndpoint, HttpReply
from llm_cache._upstash.http_reply_parser import ReplyParser, start_parser
from llm_cache._upstash.socket_connect import connecting_socket
from llm_cache._upstash.tls_trust import tls_context


class AsyncConnection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._parser: ReplyParser | None = None
        self._reply: asyncio.Future[HttpReply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse the reply; close a connection that receives bytes without a request."""
        if self._parser is None:
            self.transport.abort()
            return
        try:
            self._parser.send(data)
        except StopIteration as done:
            self._end(done.value, None)
        except Exception as error:  # noqa: BLE001  raised by the exchange that waits for it
            self._end(None, error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange: with its reply, if that ends with the connection."""
        if self._parser is not None and exc is None:
            self.data_received(b"")
        kind = type(exc).__name__
        self._end(None, ConnectionDropped(f"no connection to Upstash ({kind})"))

    def _end(self, reply: HttpReply | None, error: Exception | None) -> None:
        waiting, self._parser, self._reply = self._reply, None, None
        if waiting is None or waiting.done():
            return
        if reply is not None:
            waiting.set_result(reply)
        elif error is not None:
            waiting.set_exception(error)

    async def exchange(self, request: bytes) -> HttpReply:
        """Send a request and return its reply; close the connection on failure."""
        self._parser = start_parser()
        self._reply = waiting = asyncio.get_running_loop().create_future()
        try:
            self.transport.write(request)
            reply: HttpReply = await waiting
        except BaseException:
            self._parser = self._reply = None
            self.transport.abort()
            raise
        return reply

    @property
    def usable(self) -> bool:
        """Whether it may carry another request."""
        idle = time.monotonic() - self.idle_since
        return not self.transport.is_closing() and idle < KEEPALIVE


class AsyncPool:
    """The connections of one event loop to one server."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint = endpoint
        self._idle: deque[AsyncConnection] = deque()
        self._free = asyncio.Semaphore(MOST_IDLE)

    async def send(self, request: bytes, deadline: float) -> HttpReply:
        """Send a request and return its reply; wait while ``MOST_IDLE`` others are being sent.

        The caller cancels it at the deadline. Raises as ``BlockingPool.send`` does.
        """
        async with self._free:
            connection = self._take_idle() or await self._open_connection(deadline)
            try:
                reply = await connection.exchange(request)
            except ConnectionDropped:
                self._abort_all()
                raise
        self._keep(connection, reply)
        return reply

    async def close(self) -> None:
        """Close all idle connections."""
        self._abort_all()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def _take_idle(self) -> AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.transport.abort()
        return None

    def _keep(self, connection: AsyncConnection, reply: HttpReply) -> None:
        if not reply.reusable:
            connection.transport.abort()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        while self._idle and not self._idle[0].usable:
            self._idle.popleft().transport.abort()

    def _abort_all(self) -> None:
        while self._idle:
            self._idle.pop().transport.abort()

    async def _open_connection(self, deadline: float) -> AsyncConnection:
        with connecting_socket(self._endpoint, deadline) as connecting:
            connected = await asyncio.wrap_future(connecting)
            secure = self._endpoint.secure
            _, connection = await asyncio.get_running_loop().create_connection(
                AsyncConnection,
                sock=connected,
                ssl=tls_context() if secure else None,
                server_hostname=self._endpoint.host if secure else None,
            )
        return connection


class AsyncPools:
    """A pool for each event loop.

    ``asyncio.run`` finishes the asynchronous generators of its loop at its end: a generator holds
    the loop's pool, and closes it then.
    """

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint = endpoint
        # The generator is kept with its pool: Python finishes a generator without references.
        self._pools: dict[
            asyncio.AbstractEventLoop, tuple[AsyncPool, AsyncIterator[AsyncPool]]
        ] = {}

    async def send(self, request: bytes, deadline: float) -> HttpReply:
        """Send a request from the running loop, as ``AsyncPool.send`` does."""
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            for closed in [other for other in self._pools if other.is_closed()]:
                del self._pools[closed]  # a loop that was closed without finishing its generators
            holder = self._hold(loop)
            self._pools[loop] = await anext(holder), holder
        return await self._pools[loop][0].send(request, deadline)

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[AsyncPool]:
        pool = AsyncPool(self._endpoint)
        try:
            yield pool
        finally:
            del self._pools[loop]
            await pool.close()

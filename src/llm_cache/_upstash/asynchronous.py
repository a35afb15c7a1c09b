"""Connections for callers on an event loop: a pool for each loop, closed when the loop ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

from llm_cache._upstash.blocking import KEEPALIVE, MOST_IDLE
from llm_cache._upstash.connecting import Origin, dialling
from llm_cache._upstash.http_exchange import Dropped, Reading, Reply, start_reading
from llm_cache._upstash.trust import trusted


class Connection(asyncio.Protocol):
    """One connection, which carries one exchange at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.since = 0.0
        self._reading: Reading | None = None
        self._reply: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read the reply; close a connection on which something comes unasked."""
        if self._reading is None or self._reply is None:  # nobody has asked for it
            self.transport.abort()
            return
        try:
            self._reading.send(data)
        except StopIteration as done:
            self._end(done.value, None)
        except Exception as error:  # noqa: BLE001  it is raised where the caller waits
            self._end(None, error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange: by its reply, if that ends with the connection."""
        if self._reading is not None and exc is None:
            self.data_received(b"")  # a body may end with its connection
        kind = type(exc).__name__
        self._end(None, Dropped(f"no connection to Upstash ({kind})"))

    def _end(self, reply: Reply | None, error: Exception | None) -> None:
        waiting, self._reading, self._reply = self._reply, None, None
        if waiting is None or waiting.done():
            return
        if reply is not None:
            waiting.set_result(reply)
        elif error is not None:
            waiting.set_exception(error)

    async def exchange(self, request: bytes) -> Reply:
        """Send a request and return its reply; close the connection if that is not to be."""
        self._reading = start_reading()
        self._reply = waiting = asyncio.get_running_loop().create_future()
        try:
            self.transport.write(request)
            reply: Reply = await waiting
        except BaseException:
            self._reading = self._reply = None
            self.transport.abort()
            raise
        return reply

    @property
    def usable(self) -> bool:
        """Whether it may carry another request."""
        return not self.transport.is_closing() and time.monotonic() - self.since < KEEPALIVE


class Pool:
    """The connections of one event loop to one server."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._idle: deque[Connection] = deque()
        self._free = asyncio.Semaphore(MOST_IDLE)

    async def send(self, request: bytes, until: float) -> Reply:
        """Send a request and return its reply; wait while ``MOST_IDLE`` others are on their way.

        The caller cancels it at the deadline, ``until``. Raises as ``Connections.send`` does.
        """
        async with self._free:
            connection = self._taken() or await self._opened(until)
            try:
                reply = await connection.exchange(request)
            except Dropped:
                self._abort_idle()
                raise
        self._keep(connection, reply)
        return reply

    async def close(self) -> None:
        """Close all idle connections."""
        self._abort_idle()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def _taken(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.transport.abort()
        return None

    def _keep(self, connection: Connection, reply: Reply) -> None:
        if not reply.reusable:
            connection.transport.abort()
            return
        connection.since = time.monotonic()
        self._idle.append(connection)
        while self._idle and not self._idle[0].usable:
            self._idle.popleft().transport.abort()

    def _abort_idle(self) -> None:
        while self._idle:
            self._idle.pop().transport.abort()

    async def _opened(self, until: float) -> Connection:
        with dialling(self._origin, until) as opening:
            connected = await asyncio.wrap_future(opening)
            secure = self._origin.secure
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection,
                sock=connected,
                ssl=trusted() if secure else None,
                server_hostname=self._origin.host if secure else None,
            )
        return connection


class PerLoop:
    """A pool of connections for each event loop.

    A loop that shuts down finishes its asynchronous generators, as ``asyncio.run`` does at its end:
    one holds the loop's pool, and so closes it.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        # A generator that nobody holds is finished at once, so it stands beside the pool.
        self._pools: dict[asyncio.AbstractEventLoop, tuple[Pool, AsyncIterator[Pool]]] = {}

    async def send(self, request: bytes, until: float) -> Reply:
        """Send a request from the running loop, as ``Pool.send`` does."""
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            for closed in [other for other in self._pools if other.is_closed()]:
                del self._pools[closed]  # one that was closed without shutting down
            holder = self._hold(loop)
            self._pools[loop] = await anext(holder), holder
        return await self._pools[loop][0].send(request, until)

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[Pool]:
        pool = Pool(self._origin)
        try:
            yield pool
        finally:
            del self._pools[loop]
            await pool.close()

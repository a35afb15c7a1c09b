"""What httpx leaves open: how long a call takes as a whole, and what may come back.

httpx bounds each wait by itself, so whoever sends a byte now and then, or resolves a name slowly,
holds its caller for as long as it likes; it reads, and decompresses, whatever comes; and an
asynchronous handshake that is given up leaves its socket open. It also takes what follows a reply
for the reply to the next request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import httpcore
import httpx

MAX_REPLY = 20_000_000  # bytes; Upstash's own limit of a request, in base64, and half as much again
MAX_VALUES = 100_000  # of JSON: text comes in base64, and the longest list is a page of keys
NEXT_ADDRESS = 0.25  # seconds until another address is tried; RFC 8305, section 8
PLAIN = {"accept-encoding": "identity"}  # headers: a few bytes may then not become a great many

T = TypeVar("T")
_deadline: ContextVar[float] = ContextVar("llm_cache_network_deadline")


def allow(seconds: float) -> None:
    """Let what this context does on the network from now on take so long in all."""
    _deadline.set(time.monotonic() + seconds)


def bound(client: httpx.Client) -> None:
    """Have a client's sockets keep to the deadline, those of its proxies too, and check replies."""
    transports = [client._transport, *client._mounts.values()]
    pools = [one._pool for one in transports if isinstance(one, httpx.HTTPTransport)]
    for pool in pools:
        pool._network_backend = _Backend()

    def check(response: httpx.Response) -> None:
        _refuse_encoded(response)
        response.stream = _Counted(cast("httpx.SyncByteStream", response.stream), pools)

    client.event_hooks = {"response": [check]}


def abound(client: httpx.AsyncClient) -> None:
    """Do the same for one whose callers cancel it at the deadline: its sockets are closed then."""
    transports = [client._transport, *client._mounts.values()]
    pools = [one._pool for one in transports if isinstance(one, httpx.AsyncHTTPTransport)]
    for pool in pools:
        pool._network_backend = _AsyncBackend()

    async def check(response: httpx.Response) -> None:
        _refuse_encoded(response)
        response.stream = _AsyncCounted(cast("httpx.AsyncByteStream", response.stream), pools)

    client.event_hooks = {"response": [check]}


def _out_of_step(connections: Iterable[Any]) -> list[Any]:
    """Return those that hold more than the reply: it would pass for the reply to what comes next.

    What comes later than the reply, httpcore notices itself.
    """
    states = ((one, getattr(one._connection, "_h11_state", None)) for one in connections)
    return [one for one, state in states if state and one.is_idle() and state.trailing_data[0]]


def _refuse_encoded(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("an encoding that was not asked for")


class _Measure:
    """Counts what has been read of a reply."""

    def __init__(self) -> None:
        self._bytes = self._values = 0

    def take(self, chunk: bytes) -> bytes:
        """Return ``chunk``; raise ``DecodingError`` if it makes the reply more than one can be."""
        self._bytes += len(chunk)
        self._values += chunk.count(b",") + chunk.count(b"[") + chunk.count(b"{")
        if self._bytes > MAX_REPLY or self._values > MAX_VALUES:
            raise httpx.DecodingError("a reply without end")
        return chunk


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, pools: list[httpcore.ConnectionPool]) -> None:
        self._stream, self._pools = stream, pools

    def __iter__(self) -> Iterator[bytes]:
        measure = _Measure()
        for chunk in self._stream:
            yield measure.take(chunk)

    def close(self) -> None:
        self._stream.close()
        for pool in self._pools:
            for connection in _out_of_step(pool.connections):
                connection.close()


class _AsyncCounted(httpx.AsyncByteStream):
    def __init__(
        self, stream: httpx.AsyncByteStream, pools: list[httpcore.AsyncConnectionPool]
    ) -> None:
        self._stream, self._pools = stream, pools

    async def __aiter__(self) -> AsyncIterator[bytes]:
        measure = _Measure()
        async for chunk in self._stream:
            yield measure.take(chunk)

    async def aclose(self) -> None:
        await self._stream.aclose()
        for pool in self._pools:
            for connection in _out_of_step(pool.connections):
                await connection.aclose()


def _left(late: type[Exception]) -> float:
    """Return the seconds left; raise ``late`` when there are none."""
    seconds = _deadline.get() - time.monotonic()
    if seconds <= 0:
        raise late("no time left")
    return seconds


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the deadline's is meant for the whole
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect in a thread: nothing else bounds the resolver, or a name of many addresses."""
        seconds = _left(httpcore.ConnectTimeout)
        connecting = _beside(
            lambda: httpcore.SyncBackend().connect_tcp(
                host, port, seconds, local_address, socket_options
            )
        )
        try:
            return _Stream(connecting.result(seconds))
        except TimeoutError:
            connecting.add_done_callback(_close)
            raise httpcore.ConnectTimeout("no connection in time") from None


def _beside(work: Callable[[], T]) -> Future[T]:
    """Do what cannot be given up in a thread that nobody waits for, not even at the exit."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  it is raised where the caller waits
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return done


def _close(connecting: Future[httpcore.NetworkStream]) -> None:
    if connecting.exception() is None:
        connecting.result().close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(min(max_bytes, _PIECE), _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write, a piece at a time, since a reader may take them one byte at a time."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        seconds = _left(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


_PIECE = 16_384  # bytes: what is read at once is parsed at once, with no look at the clock


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002  the caller's bounds the whole
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve in a thread: asyncio's own resolver is waited for when the loop ends."""

        async def connect(address: str, seconds: float | None) -> httpcore.AsyncNetworkStream:
            backend = self._backend
            return await backend.connect_tcp(address, port, seconds, local_address, socket_options)

        *others, last = await _resolved(host, port)
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _AsyncStream(await connect(address, NEXT_ADDRESS))
        return _AsyncStream(await connect(last, None))


async def _resolved(host: str, port: int) -> list[str]:
    resolving = _beside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        found = await asyncio.wrap_future(resolving)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, _PIECE), timeout)
        if len(data) == _PIECE:  # there may be more at hand: let the loop look at the clock
            await asyncio.sleep(0)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Close the socket of a handshake that is given up; httpcore 1.0 leaves it open."""
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._stream.aclose()
            raise
        return _AsyncStream(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""Sockets that keep to the deadline of the call they serve.

Only ``network`` imports this, when a client is made: like httpx itself, who only imports the
library does not pay for httpcore.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import httpcore

from llm_cache.beside import beside
from llm_cache.network import left

NEXT_ADDRESS = 0.25  # seconds until another address is tried; RFC 8305, section 8
PIECE = 16_384  # bytes: what is read at once is parsed at once, with no look at the clock


class Backend(httpcore.NetworkBackend):
    """Opens connections for one client of httpx, and bounds all that is done with them."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the deadline's is meant for the whole
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect in a thread: nothing else bounds the resolver, or a name of many addresses."""
        seconds = left(httpcore.ConnectTimeout)
        connecting = beside(
            lambda: httpcore.SyncBackend().connect_tcp(
                host, port, seconds, local_address, socket_options
            )
        )
        try:
            return _Stream(connecting.result(seconds))
        except TimeoutError:
            connecting.add_done_callback(_close)
            raise httpcore.ConnectTimeout("no connection in time") from None


def _close(connecting: Future[httpcore.NetworkStream]) -> None:
    if connecting.exception() is None:
        connecting.result().close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(min(max_bytes, PIECE), left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write, a piece at a time, since a reader may take them one byte at a time."""
        for start in range(0, len(buffer), PIECE):
            self._stream.write(buffer[start : start + PIECE], left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Close the socket when there is no time for a handshake; nobody else has it yet."""
        try:
            seconds = left(httpcore.ConnectTimeout)
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))
        except BaseException:
            self._stream.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Opens those of an asynchronous client, and closes them when their user is cancelled."""

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
    resolving = beside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        found = await asyncio.wrap_future(resolving)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, PIECE), timeout)
        if len(data) == PIECE:  # there may be more at hand: let the loop look at the clock
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

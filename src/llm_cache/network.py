"""What httpx leaves open: how long a call takes as a whole, and how much is read.

httpx bounds each wait by itself, so whoever sends a byte now and then, or resolves a name slowly,
holds its caller for as long as it likes; and it reads, and decompresses, whatever comes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, cast

import httpcore
import httpx

MAX_REPLY = 20_000_000  # bytes; Upstash's own limit of a request, in base64, and half as much again
PLAIN = {"accept-encoding": "identity"}  # headers: a few bytes may then not become a great many

_deadline: ContextVar[float] = ContextVar("llm_cache_network_deadline")


def allow(seconds: float) -> None:
    """Let what this context does on the network from now on take so long in all."""
    _deadline.set(time.monotonic() + seconds)


def bound(client: httpx.Client) -> None:
    """Have a client's sockets keep to the deadline, those of its proxies too."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend()


def check(response: httpx.Response) -> None:
    """Refuse a reply that is encoded, or too long, before it is read; a hook of httpx."""
    _refuse_encoded(response)
    response.stream = _Counted(cast("httpx.SyncByteStream", response.stream))


async def acheck(response: httpx.Response) -> None:
    """Refuse a reply as ``check`` does."""
    _refuse_encoded(response)
    response.stream = _AsyncCounted(cast("httpx.AsyncByteStream", response.stream))


def _refuse_encoded(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("an encoding that was not asked for")


def _count(so_far: int, chunk: bytes) -> int:
    if so_far + len(chunk) > MAX_REPLY:
        raise httpx.DecodingError("a reply without end")
    return so_far + len(chunk)


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for chunk in self._stream:
            read = _count(read, chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncCounted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read = _count(read, chunk)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


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
        connecting: Future[httpcore.NetworkStream] = Future()

        def connect() -> None:
            backend = httpcore.SyncBackend()
            try:
                stream = backend.connect_tcp(host, port, seconds, local_address, socket_options)
            except Exception as error:  # noqa: BLE001  it is raised where the caller waits
                connecting.set_exception(error)
            else:
                connecting.set_result(stream)

        threading.Thread(target=connect, daemon=True).start()
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
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

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


_PIECE = 65_536  # bytes

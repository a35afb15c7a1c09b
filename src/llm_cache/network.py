"""What httpx leaves open: how long a call takes as a whole, and what may come back.

httpx bounds each wait by itself, so whoever sends a byte now and then, or resolves a name slowly,
holds its caller for as long as it likes; it reads, and decompresses, whatever comes; and an
asynchronous handshake that is given up leaves its socket open. It also takes what follows a reply
for the reply to the next request.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, cast

import httpx

MAX_REPLY = 20_000_000  # bytes; Upstash's own limit of a request, in base64, and half as much again
MAX_VALUES = 100_000  # of JSON: text comes in base64, and the longest list is a page of keys
PLAIN = {"accept-encoding": "identity"}  # headers: a few bytes may then not become a great many

_deadline: ContextVar[float] = ContextVar("llm_cache_network_deadline")
_reply: ContextVar[_Reply | None] = ContextVar("llm_cache_network_reply", default=None)


class _Reply(NamedTuple):
    status: int
    retry_after: str


def expect_reply() -> None:
    """Note that no reply has come yet to what this context does from now on."""
    _reply.set(None)


def _note(response: httpx.Response) -> None:
    _reply.set(_Reply(response.status_code, response.headers.get("retry-after", "").strip()))


def replied() -> bool:
    """Whether a reply has begun to come: what fails then, fails at the reply."""
    return _reply.get() is not None


def throttled() -> bool:
    """Whether the last reply is HTTP 429: no request is served for a while (RFC 6585)."""
    reply = _reply.get()
    return reply is not None and reply.status == httpx.codes.TOO_MANY_REQUESTS


def retry_after() -> float | None:
    """Return the seconds that the last reply says to wait, if any (RFC 9110, section 10.2.3)."""
    reply = _reply.get()
    told = reply.retry_after if reply else ""
    if re.fullmatch("[0-9]{1,10}", told):
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def allow(seconds: float) -> None:
    """Let what this context does on the network from now on take so long in all."""
    _deadline.set(time.monotonic() + seconds)


def left(late: type[Exception]) -> float:
    """Return the seconds left; raise ``late`` when there are none."""
    seconds = _deadline.get() - time.monotonic()
    if seconds <= 0:
        raise late("no time left")
    return seconds


def bound(client: httpx.Client) -> None:
    """Have a client's sockets keep to the deadline, those of its proxies too, and check replies."""
    from llm_cache.sockets import Backend

    transports = [client._transport, *client._mounts.values()]
    pools = [one._pool for one in transports if isinstance(one, httpx.HTTPTransport)]
    for pool in pools:
        pool._network_backend = Backend()

    def check(response: httpx.Response) -> None:
        _note(response)
        _refuse_encoded(response)
        response.stream = _Counted(cast("httpx.SyncByteStream", response.stream), pools)

    client.event_hooks = {"response": [check]}


def abound(client: httpx.AsyncClient) -> None:
    """Do the same for one whose callers cancel it at the deadline: its sockets are closed then."""
    from llm_cache.sockets import AsyncBackend

    transports = [client._transport, *client._mounts.values()]
    pools = [one._pool for one in transports if isinstance(one, httpx.AsyncHTTPTransport)]
    for pool in pools:
        pool._network_backend = AsyncBackend()

    async def check(response: httpx.Response) -> None:
        _note(response)
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
    def __init__(self, stream: httpx.SyncByteStream, pools: list[Any]) -> None:
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
    def __init__(self, stream: httpx.AsyncByteStream, pools: list[Any]) -> None:
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

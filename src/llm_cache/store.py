"""The edge to Upstash: the only module that knows its client and the HTTP beneath it.

``upstash-redis`` 1.8 waits for ever on a silent server, sleeps three seconds before its one
retry, and drops an idle connection after five seconds; it has no option for the first and the
last. So its HTTP client is replaced, on objects of our own, by one with bounds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import httpx
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

from llm_cache.credentials import Credentials
from llm_cache.errors import (
    InvalidSettings,
    StoreError,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from llm_cache.operations import Command

KEEPALIVE = 60.0  # seconds; a warm function is often idle for longer than httpx' own five
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
_deadline: ContextVar[float] = ContextVar("llm_cache_store_deadline")

# One INFO line a request, with the database's address in it, is nothing for a function's log.
_httpx_log = logging.getLogger("httpx")
if _httpx_log.level == logging.NOTSET:
    _httpx_log.setLevel(logging.WARNING)


class UpstashStore:
    """Runs commands against one Upstash database, each within a bound.

    Nothing connects before the first command. Threads may share it; each event loop gets a client
    of its own, closed when the loop shuts down its asynchronous generators, as ``asyncio.run``
    does.
    """

    def __init__(self, locate: Callable[[], Credentials]) -> None:
        self._locate = locate
        self._lock = threading.Lock()
        self._client: Redis | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient] = {}

    @classmethod
    def beside(cls, redis_: object) -> UpstashStore:
        """Return a store for the database of a client that the caller made.

        The caller's client is left as it is: what is read of it is where it points.
        """
        if not isinstance(redis_, Redis):
            kind = type(redis_).__qualname__
            accepted = "an upstash_redis.Redis; it serves the asynchronous methods too"
            raise InvalidSettings("redis_", kind, accepted)
        credentials = Credentials(redis_._url, redis_._headers["Authorization"].split()[-1])
        return cls(lambda: credentials)

    def execute(self, command: Command, seconds: float) -> Any:
        """Run ``command`` in one request of at most ``seconds``; raise ``StoreError``.

        The first call also finds out where Upstash is, which has a bound of its own.
        """
        try:
            client = self._sync_client()
            _deadline.set(time.monotonic() + seconds)
            try:
                return client.execute(list(command))
            except _DROPPED:  # a pooled connection that died while idle: once more, at once
                return client.execute(list(command))
        except Exception as error:
            raise _as_store_error(error) from error

    async def aexecute(self, command: Command, seconds: float) -> Any:
        """Run ``command`` in one request of at most ``seconds``; raise ``StoreError``."""
        try:
            client = await self._async_client()
            async with asyncio.timeout(seconds):
                try:
                    return await client.execute(list(command))
                except _DROPPED:
                    return await client.execute(list(command))
        except Exception as error:
            raise _as_store_error(error) from error

    def _sync_client(self) -> Redis:
        with self._lock:
            if self._client is None:
                self._client = _bounded(self._locate())
                # Nobody closes a cache: what it opened is closed when it is collected.
                weakref.finalize(self, self._client.close)
            return self._client

    async def _async_client(self) -> AsyncRedis:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            credentials = await asyncio.to_thread(self._locate)
            if loop not in self._loops:  # another task may have come first
                holder = self._hold_client(loop, credentials)
                self._loops[loop] = _LoopClient(await anext(holder), holder)
        return self._loops[loop].client

    async def _hold_client(
        self, loop: asyncio.AbstractEventLoop, at: Credentials
    ) -> AsyncIterator[AsyncRedis]:
        """Yield a client; a loop that shuts down finishes its generators, and so closes it."""
        client = _unhurried(at)
        try:
            yield client
        finally:
            del self._loops[loop]
            await client.close()


@dataclass(frozen=True, slots=True)
class _LoopClient:
    client: AsyncRedis
    holder: AsyncIterator[AsyncRedis]  # kept: a generator that nobody holds is finished at once


def _bounded(at: Credentials) -> Redis:
    client = Redis(at.url, at.token, rest_retries=0, rest_retry_interval=0, allow_telemetry=False)
    client._http._client.close()
    client._http._client = httpx.Client(
        transport=_BoundedTransport(limits=httpx.Limits(keepalive_expiry=KEEPALIVE))
    )
    return client


def _unhurried(at: Credentials) -> AsyncRedis:
    client = AsyncRedis(
        at.url, at.token, rest_retries=0, rest_retry_interval=0, allow_telemetry=False
    )
    client._http._client = httpx.AsyncClient(
        timeout=None,  # noqa: S113  asyncio.timeout bounds the whole call
        limits=httpx.Limits(keepalive_expiry=KEEPALIVE),
    )
    return client


class _Remaining(dict[str, float]):
    """The timeouts of one request: whatever phase asks gets what is left of the whole."""

    def get(self, phase: str, default: object = None) -> float:  # noqa: ARG002
        return max(_deadline.get() - time.monotonic(), 0.001)


class _BoundedTransport(httpx.HTTPTransport):
    """Bounds a request and its response as a whole, where httpx bounds each read by itself."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = _Remaining()
        response = super().handle_request(request)
        response.stream = _BoundedStream(cast(httpx.SyncByteStream, response.stream))
        return response


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            if time.monotonic() > _deadline.get():
                raise httpx.ReadTimeout("the answer came too slowly")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _as_store_error(error: Exception) -> StoreError:
    """Map whatever the client raised, most specific first; no address or value is in it."""
    match error:
        case StoreError():
            return error
        case UpstashError():
            return StoreRefused(str(error))
        case httpx.TimeoutException() | TimeoutError():
            return StoreTimeout("no answer from Upstash in time")
        case httpx.HTTPError() | OSError():
            return StoreUnavailable(f"no connection to Upstash ({type(error).__name__})")
        case _:
            return StoreGarbled(f"not an answer of Upstash ({type(error).__name__})")

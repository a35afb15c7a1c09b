"""The edge to Upstash: the only module that knows its client and the HTTP beneath it.

``upstash-redis`` 1.8 waits for ever on a silent server, sleeps three seconds before its one
retry, and drops an idle connection after five seconds; it has no option for the first and the
last. So its HTTP client is replaced, on objects of our own, by one with bounds.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

from llm_cache import network
from llm_cache.credentials import Credentials
from llm_cache.errors import (
    InvalidSettings,
    LlmCacheError,
    StoreError,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from llm_cache.operations import Request
from llm_cache.seal import PendingSeal

KEEPALIVE = 60.0  # seconds; a warm function is often idle for longer than httpx' own five
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

# One INFO line a request, with the database's address in it, is nothing for a function's log.
_httpx_log = logging.getLogger("httpx")
if _httpx_log.level == logging.NOTSET:
    _httpx_log.setLevel(logging.WARNING)


class UpstashStore:
    """Runs commands against one Upstash database, each within a bound.

    Nothing connects before the first command. Threads and event loops may share it.
    """

    def __init__(self, locate: Callable[[], Credentials]) -> None:
        self._locate = locate
        self.disconnect()
        _stores.add(self)

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

    def execute(self, step: Request, seconds: float) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``.

        The first call also finds out where Upstash is, which has a bound of its own.
        """
        if isinstance(step, PendingSeal):
            return step.fetch()
        try:
            client = self._connected()
            network.allow(seconds)
            try:
                return client.execute(list(step))
            except _DROPPED:  # a pooled connection that died while idle: once more, at once
                return client.execute(list(step))
        except UpstashError as error:
            raise _refused(error) from None
        except Exception as error:
            raise _as_store_error(error) from error

    async def aexecute(self, step: Request, seconds: float) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``."""
        if isinstance(step, PendingSeal):
            return await asyncio.to_thread(step.fetch)
        try:
            client = self._async_client
            if client is None:
                client = await asyncio.to_thread(self._connected_async)
            async with asyncio.timeout(seconds):
                try:
                    return await client.execute(list(step))
                except _DROPPED:
                    return await client.execute(list(step))
        except UpstashError as error:
            raise _refused(error) from None
        except Exception as error:
            raise _as_store_error(error) from error

    def disconnect(self) -> None:
        """Connect anew at the next command, and look up anew where to.

        It is done in a process that was forked, whose parent goes on with the connections, and
        after a snapshot was restored, whose connections are dead.
        """
        self._lock = threading.Lock()
        self.at: Credentials | None = None
        self._client: Redis | None = None
        self._async_client: AsyncRedis | None = None

    def locate(self) -> Credentials:
        """Find out where Upstash is, if that is not known, and return it; raise ``StoreError``."""
        with self._lock:
            return self._found()

    @property
    def seal(self) -> PendingSeal:
        """The seal whose keys are fetched together with where Upstash is."""
        return PendingSeal(
            known=lambda: self.at.seal if self.at else None, fetch=lambda: self.locate().seal
        )

    def _found(self) -> Credentials:
        if self.at is None:
            self.at = self._locate()
        return self.at

    def _connected(self) -> Redis:
        with self._lock:
            if self._client is None:
                at = self._found()
                self._client = Redis(at.url, at.token, **_PLAIN)
                self._client._http._client.close()
                self._client._http._client = _blocking_http()
                # Nobody closes a cache: what it opened is closed when it is collected.
                weakref.finalize(self, self._client.close)
            return self._client

    def _connected_async(self) -> AsyncRedis:
        with self._lock:
            if self._async_client is None:
                at = self._found()
                self._async_client = AsyncRedis(at.url, at.token, **_PLAIN)
                self._async_client._http._client = cast(httpx.AsyncClient, _HttpPerLoop())
            return self._async_client


_stores: weakref.WeakSet[UpstashStore] = weakref.WeakSet()


def _disconnect_all() -> None:
    for store in list(_stores):
        store.disconnect()


os.register_at_fork(after_in_child=_disconnect_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Brought by the runtime; https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    from snapshot_restore_py import register_after_restore

    register_after_restore(_disconnect_all)

_PLAIN: dict[str, Any] = {
    "rest_retries": 0,
    "rest_retry_interval": 0,
    "allow_telemetry": False,
}
_HTTP: dict[str, Any] = {
    "headers": network.PLAIN,
    "limits": httpx.Limits(keepalive_expiry=KEEPALIVE),
    "timeout": None,  # the call is bounded as a whole
}


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the certificates once: it takes longer than a request does."""
    return httpx.create_ssl_context()


def _blocking_http() -> httpx.Client:
    """Return a client that bounds a request as a whole, where httpx bounds each read by itself."""
    client = httpx.Client(**_HTTP, verify=_tls())
    network.bound(client)
    return client


class _HttpPerLoop:
    """What the asynchronous client posts with: a client and its connections for each event loop.

    A loop that shuts down finishes its asynchronous generators, as ``asyncio.run`` does at its
    end: one holds the loop's client, and so closes it.
    """

    def __init__(self) -> None:
        self.loops: dict[asyncio.AbstractEventLoop, _Held] = {}

    async def post(self, url: str, **request: Any) -> httpx.Response:
        """Send a request from the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self.loops:
            for closed in [other for other in self.loops if other.is_closed()]:
                del self.loops[closed]  # one that was closed without shutting down
            holder = self._hold(loop)
            self.loops[loop] = _Held(await anext(holder), holder)
        return await self.loops[loop].client.post(url, **request)

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[httpx.AsyncClient]:
        # asyncio.timeout bounds the whole call
        client = httpx.AsyncClient(**_HTTP, verify=_tls())
        network.abound(client)
        try:
            yield client
        finally:
            del self.loops[loop]
            await client.aclose()


@dataclass(frozen=True, slots=True)
class _Held:
    client: httpx.AsyncClient
    holder: AsyncIterator[httpx.AsyncClient]  # a generator that nobody holds is finished at once


_ARGUMENTS = re.compile(r'["\[{\n]')
_MAX_ERROR = 200  # characters of Redis's own words


def _refused(error: UpstashError) -> StoreRefused:
    """Say what Upstash said, up to where it may repeat what it was sent: an answer, say."""
    return StoreRefused(_ARGUMENTS.split(str(error), maxsplit=1)[0][:_MAX_ERROR].strip())


def _as_store_error(error: Exception) -> LlmCacheError:
    """Map whatever the client raised, most specific first; no address or value is in it."""
    match error:
        case StoreError() | InvalidSettings():
            return error
        case httpx.TimeoutException() | TimeoutError():
            return StoreTimeout("no answer from Upstash in time")
        case httpx.DecodingError():
            return StoreGarbled(f"not an answer of Upstash ({error})")
        case httpx.HTTPError() | OSError():
            return StoreUnavailable(f"no connection to Upstash ({type(error).__name__})")
        case _:
            return StoreGarbled(f"not an answer of Upstash ({type(error).__name__})")

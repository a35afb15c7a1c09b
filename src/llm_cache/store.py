"""The edge to Upstash: the only module that knows its client.

``upstash-redis`` 1.8 waits for ever on a silent server, sleeps three seconds before its one
retry, and drops an idle connection after five seconds; it has no option for the first and the
last. So its HTTP client is replaced, on objects of our own, by one with bounds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import httpx
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

from llm_cache import connections, network
from llm_cache.credentials import Credentials, RefreshableCredentials, Within
from llm_cache.drivers import apause, pause
from llm_cache.errors import (
    InvalidSettings,
    LlmCacheError,
    QuotaExceeded,
    StoreError,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from llm_cache.steps import Command, Pause

_WRONG_TOKEN = ("WRONGPASS", "Unauthorized")  # as Upstash says it now, and said it before
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

# One INFO line a request, with the database's address in it, is nothing for a function's log.
_httpx_log = logging.getLogger("httpx")
if _httpx_log.level == logging.NOTSET:
    _httpx_log.setLevel(logging.WARNING)

Guard = Callable[[float], AbstractContextManager[None]]
"""Returns what each request of at most so many seconds runs inside."""


def _unguarded(_: float) -> AbstractContextManager[None]:
    return nullcontext()


class UpstashStore:
    """Runs commands against one Upstash database, each within a bound.

    Nothing connects before the first command. Threads and event loops may share it. What ``locate``
    returned is asked for again when it is ``max_age`` seconds old, or when Upstash says that the
    token is wrong; None: never.
    """

    def __init__(self, locate: Callable[[], Credentials], *, max_age: float | None = None) -> None:
        self._locate = locate
        self._max_age = max_age
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
        token = redis_._headers["Authorization"].removeprefix("Bearer ")
        names = ("the URL of redis_", "the token of redis_")
        credentials = Credentials(redis_._url, token, names=names)
        return cls(lambda: credentials)

    def execute(self, command: Command, seconds: float, guard: Guard = _unguarded) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``.

        The first call also finds out where Upstash is, which has a bound of its own. One whose
        token is wrong is sent again, once, if another token is found in what is left of the time.
        """
        with _translated():
            client = self._connected()
            network.allow(seconds)
        try:
            with guard(seconds), _translated():
                return _sent(client, command)
        except StoreRefused as error:
            if not str(error).startswith(_WRONG_TOKEN):
                raise
            with _translated():
                pause(Pause(network.left(TimeoutError), self._credentials.refresh()))
                renewed, left = self._connected(), network.left(TimeoutError)
            if renewed is client:
                raise
            with guard(left), _translated():
                return _sent(renewed, command)

    async def aexecute(self, command: Command, seconds: float, guard: Guard = _unguarded) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``."""
        now = asyncio.get_running_loop().time
        with _translated():
            client = await self._aconnected()
        until = now() + seconds
        try:
            with guard(seconds), _translated():
                return await _asent(client, command, until)
        except StoreRefused as error:
            if not str(error).startswith(_WRONG_TOKEN):
                raise
            await apause(Pause(until - now(), self._credentials.refresh()))
            with _translated():
                renewed = await self._aconnected()
            if renewed is client:
                raise
            with guard(until - now()), _translated():
                return await _asent(renewed, command, until)

    def disconnect(self) -> None:
        """Connect anew at the next command, and look up anew where to.

        It is done in a process that was forked, whose parent goes on with the connections, and
        after a snapshot was restored, whose connections are dead.
        """
        self._lock = threading.Lock()
        self._credentials = RefreshableCredentials(self._locate, self._max_age)
        self._at: Credentials | None = None  # where the clients lead to
        self._client: Redis | None = None
        self._async_client: AsyncRedis | None = None

    def secrets(self, within: Within = float) -> Credentials:
        """Return where Upstash is, and the seal; see ``RefreshableCredentials.get``."""
        return self._credentials.get(within)

    async def asecrets(self, within: Within = float) -> Credentials:
        """Return the same without blocking the event loop."""
        return await self._credentials.aget(within)

    def _connected(self) -> Redis:
        with self._lock:
            at = self._found()
            if self._client is None:
                self._client = _blocking(at)
            return self._client

    async def _aconnected(self) -> AsyncRedis:
        client = self._async_client
        if client is not None and self._credentials.get() == self._at:
            return client
        return await asyncio.to_thread(self._connected_async)

    def _connected_async(self) -> AsyncRedis:
        with self._lock:
            at = self._found()
            if self._async_client is None:
                self._async_client = AsyncRedis(at.url, at.token, **_PLAIN)
                self._async_client._http._client = cast(httpx.AsyncClient, connections.PerLoop())
            return self._async_client

    def _found(self) -> Credentials:
        """Return where Upstash is, and forget the clients that lead elsewhere."""
        at = self._credentials.get()
        if at != self._at:
            self._at, self._client, self._async_client = at, None, None
        return at


_stores: weakref.WeakSet[UpstashStore] = weakref.WeakSet()


def _disconnect_all() -> None:
    for store in list(_stores):
        store.disconnect()


os.register_at_fork(after_in_child=_disconnect_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Brought by the runtime; https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    from snapshot_restore_py import register_after_restore

    register_after_restore(_disconnect_all)

_PLAIN: dict[str, Any] = {"rest_retries": 0, "rest_retry_interval": 0, "allow_telemetry": False}


def _blocking(at: Credentials) -> Redis:
    client = Redis(at.url, at.token, **_PLAIN)
    client._http._client.close()
    client._http._client = http = connections.blocking()
    weakref.finalize(client, http.close)  # nobody else does: a command may still be using it
    return client


def _sent(client: Redis, step: Command) -> Any:
    try:
        return client.execute(list(step))
    except _DROPPED:  # a pooled connection that died while idle: once more, at once
        return _known(step, client.execute(list(step)))


async def _asent(client: AsyncRedis, step: Command, until: float) -> Any:
    async with asyncio.timeout_at(until):
        try:
            return await client.execute(list(step))
        except _DROPPED:
            return _known(step, await client.execute(list(step)))


def _known(step: Command, reply: Any) -> Any:
    """Return the reply to a command sent twice; raise where it does not say what the first did."""
    if step[0] == "UNLINK" and reply == 0:
        raise StoreUnavailable("the answer is gone; whether it was there is not known")
    return reply


_ARGUMENTS = re.compile(r'["\[{\n]')
_MAX_ERROR = 200  # characters of Redis's own words
# "max requests limit exceeded", "max daily request limit exceeded" and the like. Not the limits of
# one command ("max request size exceeded") nor of memory ("DB capacity quota exceeded"): a full
# database still serves hits. https://upstash.com/docs/redis/troubleshooting
_QUOTA = re.compile(
    r"(?![^.]*\bsize\b)[^.]*\b(requests?|commands?|connections?|bandwidth)\b[^.]*\bexceeded\b"
)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what the client raises as a ``StoreError``."""
    network.expect_reply()
    try:
        yield
    except LlmCacheError:
        raise
    except UpstashError as error:
        raise _refused(error) from None
    except Exception as error:
        raise _as_store_error(error) from error


def _refused(error: UpstashError) -> StoreRefused:
    """Say what Upstash said, up to where it may repeat what it was sent: an answer, say."""
    said = _ARGUMENTS.split(str(error), maxsplit=1)[0][:_MAX_ERROR].strip()
    if network.throttled() or _QUOTA.match(said):
        return QuotaExceeded(said, network.retry_after())
    return StoreRefused(said)


def _as_store_error(error: Exception) -> StoreError:
    """Map what the client raised, most specific first; the error holds no address and no value."""
    match error:
        case _ if network.throttled():
            return QuotaExceeded("Upstash takes no requests now (HTTP 429)", network.retry_after())
        case httpx.TimeoutException() | TimeoutError():
            return StoreTimeout("no answer from Upstash in time")
        case httpx.DecodingError():
            return StoreGarbled(f"not an answer of Upstash ({error})")
        case httpx.HTTPError() | OSError():
            return StoreUnavailable(f"no connection to Upstash ({type(error).__name__})")
        case _ if network.replied():
            return StoreGarbled(f"not an answer of Upstash ({type(error).__name__})")
        case UnicodeEncodeError():
            why = "the text of the command holds lone surrogates; replace them"
        case TypeError():
            why = "a command takes text and numbers only"
        case RuntimeError():
            why = "the event loop or the interpreter is shutting down; ask before it does"
        case _:
            why = "no fault of Upstash; see the cause, and report a bug"
    return StoreError(f"the request failed in this process: {why} ({type(error).__name__})")

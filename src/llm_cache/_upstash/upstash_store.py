"""The store of entries: one Upstash database, with a time limit for each command."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn, TypeAlias

from llm_cache._errors import (
    LlmCacheError,
    StoreError,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from llm_cache._protocol.drivers import apause, pause
from llm_cache._protocol.effects import CommandArgs, Pause
from llm_cache._upstash.blocking_connection import seconds_left
from llm_cache._upstash.credentials import Credentials, RefreshableCredentials, TimeLimit
from llm_cache._upstash.http_messages import ConnectionDropped
from llm_cache._upstash.rest_client import RestClient, credentials_of

WRONG_TOKEN = ("WRONGPASS", "Unauthorized")  # the texts of Upstash, today's and an earlier one

Guard: TypeAlias = Callable[[float], AbstractContextManager[None]]
"""Returns the block inside which a request of at most the given seconds runs."""


def no_guard(_: float) -> AbstractContextManager[None]:
    """Return a block that does nothing."""
    return nullcontext()


class UpstashStore:
    """Runs commands against one Upstash database, each within a time limit.

    Nothing connects before the first command. Threads and event loops may share it. ``locate``
    returns the credentials. It is called again ``max_age`` seconds later, and when Upstash refuses
    the token; with None, never.
    """

    def __init__(self, locate: Callable[[], Credentials], *, max_age: float | None = None) -> None:
        self._locate = locate
        self._max_age = max_age
        self.disconnect()
        _stores.add(self)

    @classmethod
    def from_client(cls, redis_: object) -> UpstashStore:
        """Return a store for the database of a client that the caller made."""
        credentials = credentials_of(redis_)
        return cls(lambda: credentials)

    def execute(self, command: CommandArgs, seconds: float, guard: Guard = no_guard) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``.

        The first call also reads the secrets, within a time limit of its own. If Upstash refuses
        the token and another is found in time, the command is sent once more. Each request runs
        inside a ``guard``, which includes no other work.
        """
        try:
            client = self._client_of(self._credentials.get())
            deadline = time.monotonic() + seconds
            try:
                with guard(seconds):
                    return client.execute(command, deadline)
            except StoreRefused as error:
                if not str(error).startswith(WRONG_TOKEN):
                    raise
                pause(Pause(seconds_left(deadline), self._credentials.refresh()))
                if (renewed := self._client_of(self._credentials.get())) is client:
                    raise
                with guard(seconds_left(deadline)):
                    return renewed.execute(command, deadline)
        except Exception as error:  # noqa: BLE001  raised as an error of the library
            _raise_store_error(error)

    async def aexecute(self, command: CommandArgs, seconds: float, guard: Guard = no_guard) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``."""
        try:
            client = self._client_of(await self._credentials.aget())
            deadline = time.monotonic() + seconds
            try:
                with guard(seconds):
                    async with asyncio.timeout(seconds):
                        return await client.aexecute(command, deadline)
            except StoreRefused as error:
                if not str(error).startswith(WRONG_TOKEN):
                    raise
                await apause(Pause(seconds_left(deadline), self._credentials.refresh()))
                if (renewed := self._client_of(await self._credentials.aget())) is client:
                    raise
                with guard(seconds_left(deadline)):
                    async with asyncio.timeout(seconds_left(deadline)):
                        return await renewed.aexecute(command, deadline)
        except Exception as error:  # noqa: BLE001  raised as an error of the library
            _raise_store_error(error)

    def secrets(self, limit: TimeLimit = float) -> Credentials:
        """Return the credentials, with the protection; see ``RefreshableCredentials.get``."""
        return self._credentials.get(limit)

    async def asecrets(self, limit: TimeLimit = float) -> Credentials:
        """Return the same without blocking the event loop."""
        return await self._credentials.aget(limit)

    def disconnect(self) -> None:
        """Connect again at the next command, with credentials that are fetched again.

        Called in a forked process, because the parent uses the connections, and after a snapshot
        was restored, because its connections are dead.
        """
        self._lock = threading.Lock()
        self._credentials = RefreshableCredentials(self._locate, self._max_age)
        self._at: Credentials | None = None  # the credentials of the client
        self._client: RestClient | None = None

    def _client_of(self, credentials: Credentials) -> RestClient:
        """Return the client for these credentials; a new one if they have changed."""
        with self._lock:
            if self._client is None or credentials != self._at:
                self._at, self._client = credentials, RestClient(credentials)
            return self._client


def _raise_store_error(error: Exception) -> NoReturn:
    """Raise the library's error for a failed command; it holds no address and no value."""
    match error:
        case ConnectionDropped():
            raise StoreUnavailable(str(error)) from error
        case LlmCacheError():
            raise error
        case TimeoutError():
            raise StoreTimeout("no reply from Upstash within the time allowed") from error
        case UnicodeEncodeError():
            reason = "the text of the command holds lone surrogates; replace them"
        case TypeError():
            reason = "a command takes only text and numbers"
        case RuntimeError():
            reason = "the event loop or the interpreter is shutting down; send requests earlier"
        case _:
            reason = "no fault of Upstash; see the cause, and report a bug"
    text = f"the request failed in this process: {reason} ({type(error).__name__})"
    raise StoreError(text) from error


_stores: weakref.WeakSet[UpstashStore] = weakref.WeakSet()


def disconnect_all() -> None:
    """Disconnect every store of the process."""
    for store in list(_stores):
        store.disconnect()


os.register_at_fork(after_in_child=disconnect_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Part of the runtime; https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    from snapshot_restore_py import register_after_restore

    register_after_restore(disconnect_all)

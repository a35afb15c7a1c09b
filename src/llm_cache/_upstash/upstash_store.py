"""Runs commands against one Upstash database: finds it, bounds each command, renews its token."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from llm_cache._errors import StoreRefused
from llm_cache._protocol.drivers import apause, pause
from llm_cache._protocol.effects import CommandArgs, Pause
from llm_cache._upstash.client import Client, credentials_of, raise_as_store_error
from llm_cache._upstash.connection import left
from llm_cache._upstash.credentials import Credentials, RefreshableCredentials, Within

_WRONG_TOKEN = ("WRONGPASS", "Unauthorized")  # as Upstash says it now, and said it before

Guard = Callable[[float], AbstractContextManager[None]]
"""Returns what each request of at most so many seconds runs inside."""


def unguarded(_: float) -> AbstractContextManager[None]:
    """Return a block that does nothing."""
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
        """Return a store for the database of a client that the caller made."""
        credentials = credentials_of(redis_)
        return cls(lambda: credentials)

    def execute(self, command: CommandArgs, seconds: float, guard: Guard = unguarded) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``.

        The first call also reads the secrets, which has a bound of its own. A command whose token
        is wrong is sent again, once, if another token is found in what is left of the time. Each
        request runs inside a ``guard``, which includes no other work.
        """
        try:
            client = self._client_at(self._credentials.get())
            until = time.monotonic() + seconds
            try:
                with guard(seconds):
                    return client.execute(command, until)
            except StoreRefused as error:
                if not str(error).startswith(_WRONG_TOKEN):
                    raise
                pause(Pause(left(until), self._credentials.refresh()))
                if (renewed := self._client_at(self._credentials.get())) is client:
                    raise
                with guard(left(until)):
                    return renewed.execute(command, until)
        except Exception as error:  # noqa: BLE001  each is raised as what it means
            raise_as_store_error(error)

    async def aexecute(self, command: CommandArgs, seconds: float, guard: Guard = unguarded) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``."""
        try:
            client = self._client_at(await self._credentials.aget())
            until = time.monotonic() + seconds
            try:
                with guard(seconds):
                    async with asyncio.timeout(seconds):
                        return await client.aexecute(command, until)
            except StoreRefused as error:
                if not str(error).startswith(_WRONG_TOKEN):
                    raise
                await apause(Pause(left(until), self._credentials.refresh()))
                if (renewed := self._client_at(await self._credentials.aget())) is client:
                    raise
                with guard(left(until)):
                    async with asyncio.timeout(left(until)):
                        return await renewed.aexecute(command, until)
        except Exception as error:  # noqa: BLE001  each is raised as what it means
            raise_as_store_error(error)

    def secrets(self, within: Within = float) -> Credentials:
        """Return where Upstash is, and the protection; see ``RefreshableCredentials.get``."""
        return self._credentials.get(within)

    async def asecrets(self, within: Within = float) -> Credentials:
        """Return the same without blocking the event loop."""
        return await self._credentials.aget(within)

    def disconnect(self) -> None:
        """Connect anew at the next command, and look up anew where to.

        It is done in a process that was forked, whose parent goes on with the connections, and
        after a snapshot was restored, whose connections are dead.
        """
        self._lock = threading.Lock()
        self._credentials = RefreshableCredentials(self._locate, self._max_age)
        self._at: Credentials | None = None  # where the clients lead to
        self._client: Client | None = None

    def _client_at(self, at: Credentials) -> Client:
        """Return the one client for where Upstash is now."""
        with self._lock:
            if self._client is None or at != self._at:
                self._at, self._client = at, Client(at)
            return self._client


_stores: weakref.WeakSet[UpstashStore] = weakref.WeakSet()


def _disconnect_all() -> None:
    for store in list(_stores):
        store.disconnect()


os.register_at_fork(after_in_child=_disconnect_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Brought by the runtime; https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    from snapshot_restore_py import register_after_restore

    register_after_restore(_disconnect_all)

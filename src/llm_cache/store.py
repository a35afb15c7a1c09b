"""Runs commands against one Upstash database: finds it, bounds each command, renews its token."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from llm_cache.credentials import Credentials, RefreshableCredentials
from llm_cache.drivers import apause, pause
from llm_cache.errors import StoreRefused
from llm_cache.seal import PendingSeal
from llm_cache.steps import Pause, Request
from llm_cache.upstash.client import Client, credentials_of, raise_as_store_error
from llm_cache.upstash.wire import left

_WRONG_TOKEN = ("WRONGPASS", "Unauthorized")  # as Upstash says it now, and said it before


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

    def execute(self, step: Request, seconds: float) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``.

        The first call also finds out where Upstash is, which has a bound of its own. One whose
        token is wrong is sent again, once, if another token is found in what is left of the time.
        """
        if isinstance(step, PendingSeal):
            return step.fetch()
        try:
            client = self._connected()
            until = time.monotonic() + seconds
            try:
                return client.execute(step, until)
            except StoreRefused as error:
                if not str(error).startswith(_WRONG_TOKEN):
                    raise
                pause(Pause(left(until), self._credentials.refresh()))
                if (renewed := self._connected()) is client:
                    raise
                return renewed.execute(step, until)
        except Exception as error:  # noqa: BLE001  each is raised as what it means
            raise_as_store_error(error)

    async def aexecute(self, step: Request, seconds: float) -> Any:
        """Run a command in one request of at most ``seconds``; raise ``StoreError``."""
        if isinstance(step, PendingSeal):
            return await asyncio.to_thread(step.fetch)
        try:
            client = await self._aconnected()
            until = time.monotonic() + seconds
            async with asyncio.timeout(seconds):
                try:
                    return await client.aexecute(step, until)
                except StoreRefused as error:
                    if not str(error).startswith(_WRONG_TOKEN):
                        raise
                    await apause(Pause(left(until), self._credentials.refresh()))
                    if (renewed := await self._aconnected()) is client:
                        raise
                    return await renewed.aexecute(step, until)
        except Exception as error:  # noqa: BLE001  each is raised as what it means
            raise_as_store_error(error)

    def disconnect(self) -> None:
        """Connect anew at the next command, and look up anew where to.

        It is done in a process that was forked, whose parent goes on with the connections, and
        after a snapshot was restored, whose connections are dead.
        """
        self._lock = threading.Lock()
        self._credentials = RefreshableCredentials(self._locate, self._max_age)
        self._at: Credentials | None = None  # where the clients lead to
        self._client: Client | None = None

    @property
    def seal(self) -> PendingSeal:
        """The seal whose keys are fetched together with where Upstash is."""
        return PendingSeal(
            known=lambda: self._credentials.known and self._credentials.known.seal,
            fetch=lambda: self._credentials.get().seal,
        )

    def _connected(self) -> Client:
        """Return the client for where Upstash is now."""
        with self._lock:
            at = self._credentials.get()
            if self._client is None or at != self._at:
                self._at, self._client = at, Client(at)
            return self._client

    async def _aconnected(self) -> Client:
        if self._credentials.known is None:
            return await asyncio.to_thread(self._connected)
        return self._connected()


_stores: weakref.WeakSet[UpstashStore] = weakref.WeakSet()


def _disconnect_all() -> None:
    for store in list(_stores):
        store.disconnect()


os.register_at_fork(after_in_child=_disconnect_all)
if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Brought by the runtime; https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    from snapshot_restore_py import register_after_restore

    register_after_restore(_disconnect_all)

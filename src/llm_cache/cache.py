"""LangChain's cache interface over the operations: the drop-in class."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.outputs import Generation

from llm_cache import entry, generations, operations, scope
from llm_cache.credentials import fetch
from llm_cache.drivers import arun, run
from llm_cache.errors import LlmCacheError, StoreTimeout
from llm_cache.keys import Keyspace, digest
from llm_cache.operations import Command, Miss, Operation, Unseen
from llm_cache.policy import DEFAULT_TTL, MAX_SECONDS, CachePolicy, Mode, Ttl, TtlBounds
from llm_cache.scope import LambdaContext, Outcome, Report, Status
from llm_cache.settings import DEFAULT_TIMEOUT, Settings, positive
from llm_cache.store import UpstashStore

logger = logging.getLogger(__name__)

RESERVE = 0.25  # seconds of an invocation that are never spent waiting for the cache
CLEAR_TIMEOUT = 30.0  # seconds; a FLUSHDB SYNC of a large database takes its time
_numbers = itertools.count()


class UpstashRedisCache(BaseCache):
    """Keep LangChain's model answers in Upstash Redis.

    A drop-in for ``langchain_community.cache.UpstashRedisCache(redis_, *, ttl=None)`` that also
    keeps chat answers. A hit costs one command in one request, a miss one, a store one.

    - ``redis_``: an ``upstash_redis.Redis``; it is left as it is and serves the asynchronous
      methods too
    - ``ttl``: how long answers live unless an invocation says otherwise; None: 30 days. Every entry
      expires.
    - ``namespace``: what the keys begin with, so that a clear touches nothing else. None: the whole
      database, as the class it replaces has it.
    - ``ttl_floor``, ``ttl_ceiling``: seconds; what an invocation asks for is clamped between them
    - ``timeout``: the seconds one command may take
    - ``clock``: the time, in Unix seconds

    ``lookup`` and ``update`` never raise: a cache that fails is a miss. Constructing raises
    ``InvalidSettings`` or ``InvalidPolicy``, clearing raises ``StoreError``.
    """

    def __init__(
        self,
        redis_: object,
        *,
        ttl: Ttl | None = None,
        namespace: str | None = None,
        ttl_floor: float = 1.0,
        ttl_ceiling: float = float(MAX_SECONDS),
        timeout: float = DEFAULT_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = redis_ if isinstance(redis_, UpstashStore) else UpstashStore.beside(redis_)
        self._keys = Keyspace(namespace)
        self._ttl = TtlBounds(DEFAULT_TTL if ttl is None else ttl, ttl_floor, ttl_ceiling)
        self._timeout = positive("timeout", timeout)
        self._clock = clock
        self._number = next(_numbers)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> UpstashRedisCache:
        """Build the cache that the environment describes (see ``Settings.from_env``).

        Connects, and reads SSM, on first use and not before. Raises ``InvalidSettings``.
        """
        settings = Settings.from_env(environ)
        return cls(
            UpstashStore(lambda: fetch(settings)),
            ttl=settings.ttl.default,
            namespace=settings.namespace,
            ttl_floor=settings.ttl.floor,
            ttl_ceiling=settings.ttl.ceiling,
            timeout=settings.timeout,
        )

    def policy(
        self, policy: CachePolicy | None = None, *, context: LambdaContext | None = None
    ) -> AbstractContextManager[Report]:
        """Use ``policy`` for every model call inside a ``with`` block, and report what came of it.

        Blocks nest: an inner policy's fields win. ``context`` is Lambda's: no wait for the cache
        then outlasts the invocation. Costs nothing.
        """
        return scope.entered(policy or CachePolicy(), context)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        return run(self._lookup(prompt, llm_string), self._execute)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        return await arun(self._lookup(prompt, llm_string), self._aexecute)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        run(self._update(prompt, llm_string, return_val), self._execute)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        await arun(self._update(prompt, llm_string, return_val), self._aexecute)

    def clear(self, *, asynchronous: bool = False, **unknown: Any) -> None:
        """Make every answer a miss. One command; raises ``StoreError`` when it did not happen.

        With a namespace it is instant at any size, and ``asynchronous`` changes nothing: the memory
        comes back as entries expire, or by ``CacheNamespace.reclaim``. Without one it deletes the
        **whole database**, in the background when ``asynchronous``.
        """
        run(self._clear(asynchronous=asynchronous, **unknown), self._execute_clear)

    async def aclear(self, *, asynchronous: bool = False, **unknown: Any) -> None:
        """Make every answer a miss, as ``clear`` does."""
        await arun(self._clear(asynchronous=asynchronous, **unknown), self._aexecute_clear)

    def _lookup(self, prompt: str, llm_string: str) -> Operation[list[Generation] | None]:
        within = scope.current()
        if within.policy.effective_mode is Mode.BYPASS:
            return None
        key = self._keys.entry(hashed := digest(prompt, llm_string))
        try:
            found = yield from operations.lookup(
                self._keys, hashed, policy=within.policy, now=self._clock(), read=generations.read
            )
        except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
            scope.remember_epoch((self._number, key), Unseen.LOOKUP_FAILED)
            within.report.add(_failure("lookup", key, error))
            return None
        if isinstance(found, Miss):
            scope.remember_epoch((self._number, key), found.epoch)
            within.report.add(Outcome(status=Status.MISS, key=key, why=found.why))
            return None
        saved = generations.tokens(found.answer)
        hit = Outcome(status=Status.HIT, key=key, age=found.age, ttl=found.remaining, tokens=saved)
        within.report.add(hit)
        return found.answer

    def _update(
        self, prompt: str, llm_string: str, answer: Sequence[Generation]
    ) -> Operation[None]:
        within = scope.current()
        hashed = digest(prompt, llm_string)
        try:
            outcome = yield from self._keep(within.policy, hashed, answer)
        except Exception as error:  # noqa: BLE001  the answer is paid for: it goes to its caller
            outcome = _failure("update", self._keys.entry(hashed), error)
        within.report.add(outcome)

    def _keep(
        self, policy: CachePolicy, hashed: str, answer: Sequence[Generation]
    ) -> Operation[Outcome]:
        key = self._keys.entry(hashed)
        seen = scope.recall_epoch((self._number, key))
        if not policy.effective_mode.stores:
            return _skipped(key, f"mode {policy.effective_mode}")
        now = self._clock()
        ttl = self._ttl.resolve(policy.ttl, answer, now)
        if ttl is None:
            return _skipped(key, "ttl 0")
        texts = generations.serialize(answer)
        if texts is None:
            return _skipped(key, "would not come back as it is")
        stored = yield from operations.store(
            self._keys,
            hashed,
            body=entry.body(now, ttl, texts),
            ttl=ttl,
            epoch=seen,
            token=secrets.token_hex(8),
        )
        if not stored:
            return _skipped(key, "may be older than a clear")
        return Outcome(status=Status.STORED, key=key, ttl=ttl)

    def _clear(self, *, asynchronous: bool, **unknown: Any) -> Operation[None]:
        if unknown:
            raise TypeError(f"clear() takes asynchronous alone, not {', '.join(unknown)}")
        if self._keys.namespace is None:
            return operations.flush_database(asynchronous=asynchronous)
        return operations.clear(self._keys, token=secrets.token_hex(8))

    def _execute(self, command: Command) -> Any:
        return self._store.execute(command, _allowed(self._timeout))

    async def _aexecute(self, command: Command) -> Any:
        return await self._store.aexecute(command, _allowed(self._timeout))

    def _execute_clear(self, command: Command) -> Any:
        return self._store.execute(command, CLEAR_TIMEOUT)

    async def _aexecute_clear(self, command: Command) -> Any:
        return await self._store.aexecute(command, CLEAR_TIMEOUT)


def _allowed(timeout: float) -> float:
    """Return the seconds a command may take; raise ``StoreTimeout`` when none are left."""
    remaining = scope.current().remaining
    seconds = timeout if remaining is None else min(timeout, remaining() - RESERVE)
    if seconds <= 0:
        raise StoreTimeout("the invocation has no time left for the cache")
    return seconds


def _skipped(key: str, why: str) -> Outcome:
    return Outcome(status=Status.SKIPPED, key=key, why=why)


def _failure(doing: str, key: str, error: Exception) -> Outcome:
    """Say what failed in the log, by its kind and never by its values."""
    why = str(error) if isinstance(error, LlmCacheError) else type(error).__name__
    logger.warning("cache %s failed: %s: %s", doing, type(error).__name__, why)
    return Outcome(status=Status.ERROR, key=key, why=why)

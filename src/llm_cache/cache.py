"""LangChain's cache interface over the operations: the drop-in class."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.outputs import Generation

from llm_cache import clearing, scope
from llm_cache.answers import RESERVE, Answers
from llm_cache.breaker import Breaker, Circuit
from llm_cache.credentials import fetch
from llm_cache.drivers import arun, finish, on_a_loop, run
from llm_cache.errors import InvalidSettings, StoreTimeout
from llm_cache.junk import Junk
from llm_cache.keys import Keyspace
from llm_cache.memory import MemoryTier
from llm_cache.operations import Operation, Request, unlocked
from llm_cache.policy import CachePolicy
from llm_cache.question import Question
from llm_cache.scope import LambdaContext, Report
from llm_cache.seal import PendingSeal, Seal, sealing
from llm_cache.settings import (
    DEFAULT_LEASE,
    DEFAULT_MAX_BYTES,
    DEFAULT_TIMEOUT,
    Settings,
    positive,
    positive_bytes,
)
from llm_cache.store import UpstashStore
from llm_cache.ttl import DEFAULT_TTL, MAX_SECONDS, Ttl, TtlBounds

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
    - ``ttl_jitter``: the share, less than 1, by which a TTL may be shortened at random, so that
      answers born together do not die together
    - ``timeout``: the seconds one command may take
    - ``max_bytes``: the bytes an answer may take in the request that stores it; a larger one is not
      stored. Upstash refuses requests above 1 MB, or 10 MB, by plan.
    - ``canonical_keys``: what cannot change an answer stays out of its key (see ``canonical``);
      off: the prompt and the settings enter as LangChain writes them
    - ``mark_hits``: a chat answer from the cache says that it is one (see ``hits.marked``); off:
      it comes back exactly as it was stored. None: as ``canonical_keys``, for without those a mark,
      with its age, enters the key of the turn after it, and no conversation replayed would hit.
    - ``do_not_store``: the kinds of answers that are not worth keeping, all by default
    - ``lease``: the seconds after which nobody waits any longer for who computes an answer (see
      ``CachePolicy.coalesce``)
    - ``memory``: a first tier in the process, off by default
    - ``breaker``: when an Upstash that fails is left alone; None: after 5 failures in a row, for 30
      seconds. Clearing and deleting ask all the same.
    - ``seal``: ``Signing(keys)`` or ``Encryption(keys)``, so that what is in Redis can be neither
      altered unseen, nor, of the second, read; off by default
    - ``clock``: the time, in Unix seconds

    ``lookup`` and ``update`` never raise, but for the ``CacheMiss`` that ``only_if_cached`` asks
    for: a cache that fails is a miss. Constructing raises ``InvalidSettings`` or ``InvalidPolicy``,
    clearing and deleting raise ``StoreError``.
    """

    def __init__(
        self,
        redis_: object,
        *,
        ttl: Ttl | None = None,
        namespace: str | None = None,
        ttl_floor: float = 1.0,
        ttl_ceiling: float = float(MAX_SECONDS),
        ttl_jitter: float = 0.0,
        timeout: float = DEFAULT_TIMEOUT,
        max_bytes: int = DEFAULT_MAX_BYTES,
        canonical_keys: bool = True,
        mark_hits: bool | None = None,
        do_not_store: Collection[Junk | str] = frozenset(Junk),
        lease: float = DEFAULT_LEASE,
        memory: MemoryTier | None = None,
        breaker: Breaker | None = None,
        seal: Seal | PendingSeal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = redis_ if isinstance(redis_, UpstashStore) else UpstashStore.beside(redis_)
        self._keys = Keyspace(namespace)
        self._timeout = positive("timeout", timeout)
        self._breaker = breaker or Breaker(slow=max(self._timeout / 2, 0.5))
        self._canonical_keys = canonical_keys
        self._memory = memory
        self._seal = seal
        default = DEFAULT_TTL if ttl is None else ttl
        self._answers = Answers(
            ttl=TtlBounds(default, ttl_floor, ttl_ceiling, ttl_jitter),
            do_not_store=_kinds(do_not_store),
            max_bytes=positive_bytes("max_bytes", max_bytes),
            clock=clock,
            lease=positive("lease", lease),
            memory=memory,
            mark_hits=canonical_keys if mark_hits is None else mark_hits,
            finish=self._finish,
        )
        self._number = next(_numbers)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> UpstashRedisCache:
        """Build the cache that the environment describes (see ``Settings.from_env``).

        Connects, and reads SSM, on first use and not before. Raises ``InvalidSettings``.
        """
        settings = Settings.from_env(environ)
        make = sealing(encrypts=settings.encrypts)
        store = UpstashStore(lambda: fetch(settings, make))
        return cls(
            store,
            ttl=settings.ttl.default,
            namespace=settings.namespace,
            ttl_floor=settings.ttl.floor,
            ttl_ceiling=settings.ttl.ceiling,
            ttl_jitter=settings.ttl.jitter,
            timeout=settings.timeout,
            max_bytes=settings.max_bytes,
            lease=settings.lease,
            memory=MemoryTier(seconds=settings.memory) if settings.memory else None,
            seal=store.seal if settings.seals else None,
        )

    @property
    def circuit(self) -> Circuit:
        """Whether this process asks Upstash: ``closed`` means that it does."""
        return self._breaker.state

    def policy(
        self, policy: CachePolicy | None = None, *, context: LambdaContext | None = None
    ) -> AbstractContextManager[Report]:
        """Use ``policy`` for every model call inside a ``with`` block, and report what came of it.

        Blocks nest: an inner policy's fields win. ``context`` is Lambda's: no wait for the cache
        then outlasts the invocation. Costs nothing.
        """
        return scope.entered(policy or CachePolicy(), context, lambda: self.circuit)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        asked = self._question(prompt, llm_string)
        return run(self._answers.lookup(asked, may_wait=not on_a_loop()), self._execute)

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        asked = self._question(prompt, llm_string)
        return await arun(self._answers.lookup(asked, may_wait=True), self._aexecute)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        asked = self._question(prompt, llm_string)
        run(self._answers.update(asked, return_val), self._execute)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        asked = self._question(prompt, llm_string)
        await arun(self._answers.update(asked, return_val), self._aexecute)

    def clear(self, *, asynchronous: bool = False, tag: str | None = None, **unknown: Any) -> None:
        """Make every answer, or those under a tag, a miss; raise ``StoreError`` if it failed.

        One command, instant at any size; the memory comes back as entries expire, or by
        ``CacheNamespace.reclaim``. Without a namespace and a tag it deletes the **whole database**,
        in the background when ``asynchronous``, as the class it replaces does. A tag that no answer
        can have raises ``InvalidPolicy``.
        """
        _refuse(unknown)
        run(self._clear(asynchronous, tag), self._execute_clear)

    async def aclear(
        self, *, asynchronous: bool = False, tag: str | None = None, **unknown: Any
    ) -> None:
        """Make every answer, or those under a tag, a miss, as ``clear`` does."""
        _refuse(unknown)
        await arun(self._clear(asynchronous, tag), self._aexecute_clear)

    def delete(self, prompt: str, llm_string: str) -> bool:
        """Delete one answer; return whether there was one. One command; raises ``StoreError``.

        The policy around the call counts: its tenant, salt and namespace are part of which answer.
        """
        return run(self._delete(prompt, llm_string), self._execute_clear)

    async def adelete(self, prompt: str, llm_string: str) -> bool:
        """Delete one answer, as ``delete`` does."""
        return await arun(self._delete(prompt, llm_string), self._aexecute_clear)

    def _clear(self, asynchronous: bool, tag: str | None) -> Operation[None]:
        try:
            if self._keys.namespace is None and tag is None:
                yield from clearing.flush_database(asynchronous=asynchronous)
            else:
                seal = yield from unlocked(self._seal if tag is not None else None)
                keys = self._keys.under(seal.names) if seal else self._keys
                yield from clearing.clear(keys, token=secrets.token_hex(8), tag=tag)
        finally:  # after the command, so that no entry read before it comes back
            if self._memory:
                self._memory.clear()

    def _delete(self, prompt: str, llm_string: str) -> Operation[bool]:
        asked = yield from self._question(prompt, llm_string).unlocked()
        try:
            return (yield from clearing.delete(asked.keys, asked.hashed))
        finally:
            if self._memory:
                self._memory.clear()

    def _finish(self, operation: Operation[None]) -> None:
        finish(operation, self._execute)

    def _question(self, prompt: str, llm_string: str) -> Question:
        as_written = not self._canonical_keys
        return Question.of(
            self._number, self._keys, self._seal, prompt, llm_string, as_written=as_written
        )

    def _execute(self, step: Request) -> Any:
        seconds = _allowed(self._timeout)
        with self._breaker.guard(fair=seconds >= self._timeout):
            return self._store.execute(step, seconds)

    async def _aexecute(self, step: Request) -> Any:
        seconds = _allowed(self._timeout)
        with self._breaker.guard(fair=seconds >= self._timeout):
            return await self._store.aexecute(step, seconds)

    def _execute_clear(self, step: Request) -> Any:
        return self._store.execute(step, CLEAR_TIMEOUT)

    async def _aexecute_clear(self, step: Request) -> Any:
        return await self._store.aexecute(step, CLEAR_TIMEOUT)


def _kinds(names: Collection[Junk | str]) -> frozenset[Junk]:
    if isinstance(names, str) or not {*names} <= {*Junk}:
        raise InvalidSettings("do_not_store", names, "a collection of " + ", ".join(Junk))
    return frozenset(map(Junk, names))


def _allowed(timeout: float) -> float:
    """Return the seconds a command may take; raise ``StoreTimeout`` when none are left."""
    left = scope.time_left()
    seconds = timeout if left is None else min(timeout, left - RESERVE)
    if seconds <= 0:
        raise StoreTimeout("the invocation has no time left for the cache")
    return seconds


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Refuse what ``BaseCache.clear(**kwargs)`` would let pass: clearing too much is no answer."""
    if unknown:
        raise TypeError(f"clear() takes asynchronous and tag alone, not {', '.join(unknown)}")

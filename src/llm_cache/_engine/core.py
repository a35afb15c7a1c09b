"""What every cache is over one database: its bounds, its policy, its clears.

It imports no LangChain, so that a function whose answers are not LangChain's starts without it.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from llm_cache._checks import function, instance
from llm_cache._config.cache_config import CacheConfig
from llm_cache._config.value_checks import protection_or_none
from llm_cache._engine import scope
from llm_cache._engine.answers import RESERVE, Answers, Kind
from llm_cache._engine.heartbeat import Heartbeat
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._engine.options import CacheValues, FullSignature
from llm_cache._engine.request import Asked, Question
from llm_cache._engine.scope import LambdaContext
from llm_cache._entries.keys import random_token
from llm_cache._errors import StoreTimeout
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.policy_arguments import PolicyArguments, as_policy
from llm_cache._protocol import clearing
from llm_cache._protocol.drivers import always, arun, finish, may_block, run
from llm_cache._protocol.effects import Command, Operation
from llm_cache._protocol.in_flight import Flight
from llm_cache._report import Circuit, Report
from llm_cache._upstash.breaker import Breaker
from llm_cache._upstash.store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

CLEAR_TIMEOUT = 30.0  # seconds; a FLUSHDB SYNC of a large database takes its time
_numbers = itertools.count()

A = TypeVar("A")


class Cache(Generic[A]):
    """Answers of one kind in Upstash Redis.

    - ``redis_``: an ``upstash_redis.Redis``. The cache does not change it, and uses its URL and
      token for the asynchronous methods too.
    - ``ttl``: how long answers live where no policy sets a TTL: seconds, a ``timedelta`` or a
      callable; None: 30 days. Every entry expires.
    - ``namespace``: prefix of the keys; a clear deletes only these. None: the whole database, as in
      the replaced class.
    - ``ttl_floor``, ``ttl_ceiling``: seconds; the shortest and the longest TTL
    - ``ttl_jitter``: the share, less than 1, by which a TTL may be shortened at random, so that
      answers stored together do not expire together
    - ``timeout``: seconds that one command may take
    - ``max_bytes``: the largest answer, in bytes of the request that stores it; a larger answer is
      not stored. Upstash refuses requests above 1 MB or 10 MB, by plan.
    - ``lease``: seconds after which waiters give up on a leader (see ``CachePolicy.coalesce``). A
      dead leader is replaced after 10 seconds at most.
    - ``memory``: a ``MemoryTier`` in the process; None: off
    - ``breaker``: when the cache stops sending commands to a failing Upstash; None: after 5
      failures in a row, for 30 seconds. Clearing and deleting send theirs all the same.
    - ``protection``: ``Signing(keys)`` or ``Encryption(keys)`` of the entries; None: off
    - ``clock``: returns the time in Unix seconds

    The constructor raises ``InvalidSettings`` or ``InvalidPolicy``; clearing and deleting raise
    ``StoreError``.
    """

    __signature__ = FullSignature()

    def __init__(
        self,
        redis_: object,
        kind: Kind[A],
        *,
        memory: MemoryTier | None = None,
        breaker: Breaker | None = None,
        protection: Protection | None = None,
        clock: Callable[[], float] = time.time,
        **values: Unpack[CacheValues],
    ) -> None:
        config = CacheConfig(**values)
        self._store = redis_ if isinstance(redis_, UpstashStore) else UpstashStore.beside(redis_)
        self._keys = config.keyspace
        self._timeout = config.timeout
        instance("breaker", breaker, Breaker | None, "a Breaker, or None")
        self._breaker = breaker or Breaker(slow=max(self._timeout / 2, 0.5))
        accepted = "a MemoryTier, as in MemoryTier(seconds=5), or None"
        self._memory = instance("memory", memory, MemoryTier | None, accepted)
        self._protection = protection_or_none(protection)
        self._answers = Answers(
            kind=kind,
            ttl=config.ttl_bounds,
            max_bytes=config.max_bytes,
            clock=function("clock", clock, "the time in Unix seconds"),
            lease=config.lease,
            memory=memory,
            finish=self._finish,
            aside=partial(self._finish, aside=True),
            keep=self._keep,
        )
        self._heartbeat = Heartbeat()
        self._number = next(_numbers)
        _caches.add(self)
        self._asked = False

    @property
    def circuit(self) -> Circuit:
        """Whether this process asks Upstash: ``closed`` means that it does."""
        return self._breaker.state

    def policy(
        self,
        policy: CachePolicy | None = None,
        *,
        context: LambdaContext | None = None,
        **fields: Unpack[PolicyArguments],
    ) -> AbstractContextManager[Report]:
        """Use a policy for every model call inside a ``with`` block, and return its report.

        ``policy(ttl=120)`` is short for ``policy(CachePolicy(ttl=120))``. Blocks nest: an inner
        policy's fields win. ``context`` is Lambda's: no wait for the cache then outlasts the
        invocation. Costs nothing. Raises ``InvalidPolicy``.
        """
        return scope.entered(as_policy(policy, fields), context, lambda: self.circuit, self._unused)

    def clear(
        self,
        *,
        asynchronous: bool = False,
        tag: str | None = None,
        tenant: str | None = None,
        **unknown: Any,
    ) -> None:
        """Make every answer, or those of a tag or a tenant, a miss; raise ``StoreError`` if not.

        One command, instant at any size; the memory comes back as entries expire, or by
        ``CacheNamespace.reclaim``. Without a namespace, a tag and a tenant it deletes the **whole
        database**, in the background when ``asynchronous``, as the class it replaces does. A tag
        or a tenant that no answer can have raises ``InvalidPolicy``, and so do both together.
        """
        _refuse(unknown)
        run(self._clear(asynchronous, tag, tenant), self._execute_clear)

    async def aclear(
        self,
        *,
        asynchronous: bool = False,
        tag: str | None = None,
        tenant: str | None = None,
        **unknown: Any,
    ) -> None:
        """Make every answer, or those of a tag or a tenant, a miss, as ``clear`` does."""
        _refuse(unknown)
        await self._store.asecrets(_left)
        await arun(self._clear(asynchronous, tag, tenant), self._aexecute_clear)

    def _lookup(self, asked: Question) -> A | None:
        return run(self._answers.lookup(asked, may_wait=may_block), self._execute)

    async def _alookup(self, asked: Question) -> A | None:
        await self._prefetch(asked)
        return await arun(self._answers.lookup(asked, may_wait=always), self._aexecute)

    def _update(self, asked: Question, answer: Any) -> None:
        run(self._answers.update(asked, answer), self._execute)

    async def _aupdate(self, asked: Question, answer: Any) -> None:
        await self._prefetch(asked)
        await arun(self._answers.update(asked, answer), self._aexecute)

    def _delete(self, asked: Question) -> bool:
        return run(self._deletion(asked), self._execute_clear)

    async def _adelete(self, asked: Question) -> bool:
        await self._store.asecrets(_left)
        return await arun(self._deletion(asked), self._aexecute_clear)

    def _clear(self, asynchronous: bool, tag: str | None, tenant: str | None) -> Operation[None]:
        token, now = random_token(), self._answers.clock()
        named = tag is not None or tenant is not None
        self._asked = True
        try:
            if self._keys.namespace is None and not named:
                flush = clearing.flush_database
                yield from flush(self._keys, token=token, now=now, asynchronous=asynchronous)
            else:
                protection = self._protecting() if named else None
                keys = self._keys.under(protection.names) if protection else self._keys
                yield from clearing.clear(keys, token=token, now=now, tag=tag, tenant=tenant)
        finally:  # after the command, so that no entry read before it comes back
            if self._memory:
                self._memory.clear()

    def _deletion(self, asked: Question) -> Operation[bool]:
        asked = asked.identified().protected()
        try:
            return (yield from clearing.delete(asked.keys, asked.hashed))
        finally:
            if self._memory:
                self._memory.clear()

    def start_fresh(self) -> None:
        """Leave the calls, the leases and the locks of a parent process to it, after a fork."""
        for part in (self._breaker, self._memory, self._heartbeat, self._answers.flights):
            if part:
                part.start_fresh()

    def _finish(self, operation: Operation[None], *, aside: bool = False) -> None:
        finish(operation, self._execute, aside=aside)

    def _keep(self, flight: Flight, operation: Callable[[], Operation[bool]]) -> None:
        self._heartbeat.keep(flight, lambda: run(operation(), self._execute))

    def _unused(self) -> None:
        """Note that a policy block of this cache has ended, in which no cache was asked."""

    def _about(self, asked: Asked) -> Question:
        self._asked = True
        within, began = scope.current(), time.perf_counter()
        return Question((self._number, "", ()), self._keys, asked, self._protecting, within, began)

    def _protecting(self) -> Protection | None:
        """Return the protection; the secrets are fetched if they are not known."""
        secrets = self._store.secrets(_left)
        return self._protection or secrets.protection

    async def _prefetch(self, asked: Question) -> None:
        """Fetch the secrets off the event loop, if they are not known and not left alone.

        What fails is raised again where ``_protecting`` is called: a failed fetch is not repeated
        for ``credentials.FIRST_AGAIN`` seconds.
        """
        if not asked.bypasses:
            with suppress(Exception):
                await self._store.asecrets(_left)

    def _guard(self, seconds: float) -> AbstractContextManager[None]:
        """Return the breaker's guard of a request that may take so many seconds."""
        return self._breaker.guard(fair=seconds >= self._timeout)

    def _execute(self, command: Command) -> Any:
        return self._store.execute(command, _allowed(self._timeout), self._guard)

    async def _aexecute(self, command: Command) -> Any:
        return await self._store.aexecute(command, _allowed(self._timeout), self._guard)

    def _execute_clear(self, command: Command) -> Any:
        return self._store.execute(command, CLEAR_TIMEOUT)

    async def _aexecute_clear(self, command: Command) -> Any:
        return await self._store.aexecute(command, CLEAR_TIMEOUT)


def _left(seconds: float) -> float:
    """Return the seconds that something may take within the invocation; 0 or less: none."""
    left = scope.time_left()
    return seconds if left is None else min(seconds, left - RESERVE)


def _allowed(timeout: float) -> float:
    """Return the seconds a command may take; raise ``StoreTimeout`` when none are left."""
    seconds = _left(timeout)
    if seconds <= 0:
        raise StoreTimeout("the invocation has no time left for the cache")
    return seconds


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Refuse what ``BaseCache.clear(**kwargs)`` lets pass, lest too much is cleared."""
    if unknown:
        accepted = "asynchronous, tag and tenant"
        raise TypeError(f"clear() takes {accepted}, not {', '.join(unknown)}")


_caches: weakref.WeakSet[Cache[Any]] = weakref.WeakSet()


def _start_fresh() -> None:
    for cache in list(_caches):
        cache.start_fresh()


os.register_at_fork(after_in_child=_start_fresh)

"""The parts and methods that every cache shares. It imports no LangChain."""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from llm_cache._checks import function, instance
from llm_cache._circuit import Circuit
from llm_cache._config.value_checks import protection_or_none
from llm_cache._engine import scope
from llm_cache._engine.answer_kind import AnswerKind
from llm_cache._engine.cache_call import CacheCall, KeyParts
from llm_cache._engine.command_runner import CommandRunner
from llm_cache._engine.leadership import Leadership
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._engine.options import CacheValues, FullSignature, checked_config
from llm_cache._engine.reader import Reader
from llm_cache._engine.scope import LambdaContext
from llm_cache._engine.tiers import Tiers
from llm_cache._engine.writer import Writer
from llm_cache._entries.keys import random_token
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.policy_arguments import PolicyArguments, as_policy
from llm_cache._policy.ttl import in_seconds
from llm_cache._protocol import clearing
from llm_cache._protocol.drivers import always, arun, may_block, run
from llm_cache._protocol.effects import Operation
from llm_cache._report import Report
from llm_cache._upstash.breaker import Breaker
from llm_cache._upstash.upstash_store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

_numbers = itertools.count()

A = TypeVar("A")


class Cache(Generic[A]):
    """Answers of one kind in Upstash Redis.

    - ``redis_``: an ``upstash_redis.Redis``. The cache does not change it, and uses its URL and
      token for the asynchronous methods too.
    - ``ttl``: how long answers live where no policy sets a TTL: seconds, a ``timedelta`` or a
      callable; None: 30 days. Every entry expires.
    - ``namespace``: prefix of the keys; a clear affects only these. None: the whole database, as in
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
      failures in a row, for 30 seconds. Clears and deletes ignore it.
    - ``protection``: ``Signing(keys)`` or ``Encryption(keys)`` of the entries; None: off
    - ``clock``: returns the time in Unix seconds

    The constructor raises ``InvalidSettings`` or ``InvalidPolicy``; clearing and deleting raise
    ``StoreError``.
    """

    __signature__ = FullSignature()

    def __init__(
        self,
        redis_: object,
        kind: AnswerKind[A],
        *,
        memory: MemoryTier | None = None,
        breaker: Breaker | None = None,
        protection: Protection | None = None,
        clock: Callable[[], float] = time.time,
        **values: Unpack[CacheValues],
    ) -> None:
        config = checked_config(values)
        self._keys = config.keyspace
        self._clock = function("clock", clock, "the time in Unix seconds")
        self._kind = kind
        instance("breaker", breaker, Breaker | None, "a Breaker, or None")
        accepted = "a MemoryTier, as in MemoryTier(seconds=5), or None"
        self._tiers = Tiers(instance("memory", memory, MemoryTier | None, accepted))
        self._runner = CommandRunner(
            store=redis_ if isinstance(redis_, UpstashStore) else UpstashStore.from_client(redis_),
            breaker=breaker or Breaker(slow=max(config.timeout / 2, 0.5)),
            timeout=config.timeout,
            own_protection=protection_or_none(protection),
        )
        self._leadership = Leadership(self._runner, config.lease)
        self._reader = Reader(kind, self._tiers, self._leadership)
        self._writer = Writer(
            kind=kind,
            tiers=self._tiers,
            leadership=self._leadership,
            ttl=config.ttl_bounds,
            max_bytes=config.max_bytes,
        )
        self._used = False
        self._number = next(_numbers)
        _caches.add(self)

    def __repr__(self) -> str:
        """Show the namespace, the default TTL and the circuit. No secret, and no command."""
        ttl = self._writer.ttl.default
        shown = "a function" if callable(ttl) else f"{in_seconds(ttl):.12g} s"
        name = f"namespace={self._keys.namespace!r}"
        return f"{type(self).__name__}({name}, ttl={shown}, circuit={self.circuit})"

    @property
    def circuit(self) -> Circuit:
        """The state of the circuit breaker; ``closed``: commands are sent."""
        return self._runner.breaker.state

    def policy(
        self,
        policy: CachePolicy | None = None,
        *,
        context: LambdaContext | None = None,
        **fields: Unpack[PolicyArguments],
    ) -> AbstractContextManager[Report]:
        """Use a policy for every call inside a ``with`` block; the block's value is its report.

        ``policy(ttl=120)`` is short for ``policy(CachePolicy(ttl=120))``. In nested blocks the
        fields of the inner policy win. With Lambda's ``context`` no wait for the cache outlasts the
        invocation. No command. Raises ``InvalidPolicy``.
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
        """Make every answer a miss, or every answer of a tag or a tenant.

        One command, instant at any size. Redis frees the memory as entries expire;
        ``CacheNamespace.reclaim`` frees it at once. Without a namespace, a tag and a tenant it
        deletes the **whole database**, in the background if ``asynchronous``, as the replaced class
        does. Raises ``StoreError``, and ``InvalidPolicy`` for an invalid name or for both names.
        """
        _refuse(unknown)
        run(self._clearing(asynchronous, tag, tenant), self._runner.execute_clear)

    async def aclear(
        self,
        *,
        asynchronous: bool = False,
        tag: str | None = None,
        tenant: str | None = None,
        **unknown: Any,
    ) -> None:
        """Make answers a miss, as ``clear`` does."""
        _refuse(unknown)
        await self._runner.read_secrets()
        await arun(self._clearing(asynchronous, tag, tenant), self._runner.aexecute_clear)

    def _lookup(self, call: CacheCall[A]) -> A | None:
        return run(self._reader.lookup(call, may_wait=may_block), self._runner.execute)

    async def _alookup(self, call: CacheCall[A]) -> A | None:
        await self._prefetch(call)
        return await arun(self._reader.lookup(call, may_wait=always), self._runner.aexecute)

    def _update(self, call: CacheCall[A], answer: Any) -> None:
        run(self._writer.update(call, answer), self._runner.execute)

    async def _aupdate(self, call: CacheCall[A], answer: Any) -> None:
        await self._prefetch(call)
        await arun(self._writer.update(call, answer), self._runner.aexecute)

    def _delete(self, target: CacheCall[A] | str) -> bool:
        return run(self._deletion(target), self._runner.execute_clear)

    async def _adelete(self, target: CacheCall[A] | str) -> bool:
        await self._runner.read_secrets()
        return await arun(self._deletion(target), self._runner.aexecute_clear)

    def _deletion(self, target: CacheCall[A] | str) -> Operation[bool]:
        """Delete the answer of a call, or the answer with a key."""
        if isinstance(target, CacheCall):
            request = target.protect(target.identify())
            deletion = clearing.delete(request.keys, request.hashed)
        else:  # a report's key: under a protection, it is keyed already
            self._used = True
            keys = scope.current().policy.keyspace(self._keys)
            deletion = clearing.delete_by_key(keys, target)
        return (yield from self._tiers.removing(deletion))

    def _clearing(self, asynchronous: bool, tag: str | None, tenant: str | None) -> Operation[None]:
        self._used = True
        return self._tiers.removing(self._clear_entries(asynchronous, tag, tenant))

    def _clear_entries(
        self, asynchronous: bool, tag: str | None, tenant: str | None
    ) -> Operation[None]:
        keys, token, now = self._keys, random_token(), self._clock()
        named = tag is not None or tenant is not None
        if keys.namespace is None and not named:
            flush = clearing.flush_database
            yield from flush(keys, token=token, now=now, asynchronous=asynchronous)
            return
        if named and (protection := self._runner.protection()):
            keys = keys.with_secret(protection.name_secret)
        yield from clearing.clear(keys, token=token, now=now, tag=tag, tenant=tenant)

    def start_fresh(self) -> None:
        """Drop the parent's in-flight calls, leases and locks, in a forked process."""
        parts = self._runner.breaker, self._tiers.memory, *self._leadership.parts
        for part in parts:
            if part:
                part.start_fresh()

    def _unused(self) -> None:
        """React to a policy block that ended without a call to the cache."""

    def _call(self, key_parts: KeyParts) -> CacheCall[A]:
        self._used = True
        return CacheCall(
            identity=(self._number, "", ()),
            keys=self._keys,
            key_parts=key_parts,
            protection=self._runner.protection,
            codec=self._kind,
            clock=self._clock,
            scope=scope.current(),
            began=time.perf_counter(),
        )

    async def _prefetch(self, call: CacheCall[A]) -> None:
        if not call.bypasses:
            await self._runner.prefetch_secrets()


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Refuse unknown arguments: if they were ignored, ``clear`` would clear too much."""
    if unknown:
        accepted = "asynchronous, tag and tenant"
        raise TypeError(f"clear() takes {accepted}, not {', '.join(unknown)}")


_caches: weakref.WeakSet[Cache[Any]] = weakref.WeakSet()


def start_all_fresh() -> None:
    """Start every cache of the process fresh."""
    for cache in list(_caches):
        cache.start_fresh()


os.register_at_fork(after_in_child=start_all_fresh)

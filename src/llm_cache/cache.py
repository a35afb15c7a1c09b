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

from llm_cache import clearing, entry, generations, operations, scope
from llm_cache.credentials import fetch
from llm_cache.drivers import arun, run
from llm_cache.errors import InvalidSettings, StoreTimeout
from llm_cache.junk import Junk, junk
from llm_cache.keys import Keyspace
from llm_cache.operations import Command, Hit, Operation, Unseen
from llm_cache.policy import CachePolicy, Mode
from llm_cache.question import Question
from llm_cache.scope import LambdaContext, Outcome, Report, Status
from llm_cache.settings import DEFAULT_TIMEOUT, Settings, positive
from llm_cache.store import UpstashStore
from llm_cache.ttl import DEFAULT_TTL, MAX_SECONDS, Ttl, TtlBounds

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
    - ``canonical_keys``: what cannot change an answer stays out of its key (see ``canonical``);
      off: the prompt and the settings enter as LangChain writes them
    - ``do_not_store``: the kinds of answers that are not worth keeping, all by default
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
        timeout: float = DEFAULT_TIMEOUT,
        canonical_keys: bool = True,
        do_not_store: Collection[Junk | str] = frozenset(Junk),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = redis_ if isinstance(redis_, UpstashStore) else UpstashStore.beside(redis_)
        self._keys = Keyspace(namespace)
        self._ttl = TtlBounds(DEFAULT_TTL if ttl is None else ttl, ttl_floor, ttl_ceiling)
        self._timeout = positive("timeout", timeout)
        self._canonical_keys = canonical_keys
        self._do_not_store = _kinds(do_not_store)
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

    def clear(self, *, asynchronous: bool = False, tag: str | None = None, **unknown: Any) -> None:
        """Make every answer, or those under a tag, a miss; raise ``StoreError`` if it failed.

        One command, instant at any size; the memory comes back as entries expire, or by
        ``CacheNamespace.reclaim``. Without a namespace and a tag it deletes the **whole database**,
        in the background when ``asynchronous``, as the class it replaces does.
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

    def _lookup(self, prompt: str, llm_string: str) -> Operation[list[Generation] | None]:
        asked = self._question(prompt, llm_string)
        if asked.policy.effective_mode is Mode.BYPASS:
            return None
        try:
            found = yield from operations.lookup(
                asked.keys,
                asked.hashed,
                policy=asked.policy,
                now=self._clock(),
                read=generations.read,
            )
        except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
            scope.remember_epochs(asked.identity, Unseen.LOOKUP_FAILED)
            asked.report.add(asked.failed("lookup", error))
            asked.allow_a_model_call("the cache failed")
            return None
        if isinstance(found, Hit):
            asked.report.add(_served(asked, Status.HIT, found))
            return found.answer
        scope.remember_epochs(asked.identity, found.epochs)
        asked.report.add(asked.missed(found.why))
        if found.stale:
            asked.report.spare = _served(asked, Status.STALE, found.stale), found.stale.answer
        asked.allow_a_model_call(found.why)
        return None

    def _update(
        self, prompt: str, llm_string: str, answer: Sequence[Generation]
    ) -> Operation[None]:
        asked = self._question(prompt, llm_string)
        try:
            outcome = yield from self._keep(asked, answer)
        except Exception as error:  # noqa: BLE001  the answer is paid for: it goes to its caller
            outcome = asked.failed("update", error)
        asked.report.add(outcome)

    def _keep(self, asked: Question, answer: Sequence[Generation]) -> Operation[Outcome]:
        seen = scope.recall_epochs(asked.identity)
        policy, now = asked.policy, self._clock()
        if not policy.effective_mode.stores:
            return asked.skipped(f"mode {policy.effective_mode}")
        if found := {kind for one in answer for kind in junk(one)} & self._do_not_store:
            return asked.skipped(", ".join(sorted(found)))
        ttl = self._ttl.resolve(policy.ttl, answer, now)
        if ttl is None:
            return asked.skipped("ttl 0")
        texts = generations.serialize(answer)
        if texts is None:
            return asked.skipped("would not come back as it is")
        stored = yield from operations.store(
            asked.keys,
            asked.hashed,
            body=entry.body(now, ttl, texts),
            ttl=self._ttl.kept(ttl, policy.kept_beyond),
            tags=policy.tag_hashes,
            epochs=seen,
            token=secrets.token_hex(8),
        )
        if not stored:
            return asked.skipped("may be older than a clear")
        return Outcome(status=Status.STORED, key=asked.key, ttl=ttl)

    def _clear(self, asynchronous: bool, tag: str | None) -> Operation[None]:
        if self._keys.namespace is None and tag is None:
            return clearing.flush_database(asynchronous=asynchronous)
        return clearing.clear(self._keys, token=secrets.token_hex(8), tag=tag)

    def _delete(self, prompt: str, llm_string: str) -> Operation[bool]:
        asked = self._question(prompt, llm_string)
        return clearing.delete(asked.keys, asked.hashed)

    def _question(self, prompt: str, llm_string: str) -> Question:
        as_written = not self._canonical_keys
        return Question.of(self._number, self._keys, prompt, llm_string, as_written=as_written)

    def _execute(self, command: Command) -> Any:
        return self._store.execute(command, _allowed(self._timeout))

    async def _aexecute(self, command: Command) -> Any:
        return await self._store.aexecute(command, _allowed(self._timeout))

    def _execute_clear(self, command: Command) -> Any:
        return self._store.execute(command, CLEAR_TIMEOUT)

    async def _aexecute_clear(self, command: Command) -> Any:
        return await self._store.aexecute(command, CLEAR_TIMEOUT)


def _kinds(names: Collection[Junk | str]) -> frozenset[Junk]:
    if isinstance(names, str) or not {*names} <= {*Junk}:
        raise InvalidSettings("do_not_store", names, "a collection of " + ", ".join(Junk))
    return frozenset(map(Junk, names))


def _allowed(timeout: float) -> float:
    """Return the seconds a command may take; raise ``StoreTimeout`` when none are left."""
    remaining = scope.current().remaining
    seconds = timeout if remaining is None else min(timeout, remaining() - RESERVE)
    if seconds <= 0:
        raise StoreTimeout("the invocation has no time left for the cache")
    return seconds


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Refuse what ``BaseCache.clear(**kwargs)`` would let pass: clearing too much is no answer."""
    if unknown:
        raise TypeError(f"clear() takes asynchronous and tag alone, not {', '.join(unknown)}")


def _served(asked: Question, status: Status, found: Hit[list[Generation]]) -> Outcome:
    return asked.served(status, found, generations.tokens(found.answer))

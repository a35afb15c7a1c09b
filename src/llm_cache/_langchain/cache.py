"""LangChain's cache interface over the operations: the drop-in class."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from langchain_core.caches import BaseCache
from langchain_core.outputs import Generation

from llm_cache._checks import instance
from llm_cache._config.cache_config import CacheConfig
from llm_cache._config.value_checks import header_names
from llm_cache._engine.cache_call import CacheCall
from llm_cache._engine.core import Cache
from llm_cache._engine.from_config import store_and_options
from llm_cache._engine.options import CacheOptions
from llm_cache._entries.keys import AS_WRITTEN, CANONICAL, OWN_KEY
from llm_cache._errors import InvalidSettings
from llm_cache._langchain.codec import GenerationCodec
from llm_cache._langchain.conversation_key import conversation_hash
from llm_cache._langchain.settings_key import settings_key
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.ttl import Ttl
from llm_cache._reasons import UNCACHEABLE, Reason
from llm_cache._upstash.upstash_store import UpstashStore

logger = logging.getLogger(__name__)


class UpstashRedisCache(Cache[list[Generation]], BaseCache):
    """Keep LangChain's model answers in Upstash Redis.

    A drop-in for ``langchain_community.cache.UpstashRedisCache(redis_, *, ttl=None)`` that also
    stores chat answers. A hit, a miss and a store cost one command each. ``Cache`` documents the
    other arguments.

    - ``canonical_keys``: True: only what can change an answer enters its key; False: the prompt and
      the model's settings enter as LangChain writes them
    - ``mark_hits``: True: a chat answer from the cache carries hit metadata; False: it equals the
      stored answer. None: as ``canonical_keys``, because without canonical keys the metadata would
      change the keys of the following turns, and a replayed conversation would miss.
    - ``do_not_store``: reasons not to store an answer, all by default
    - ``ignored_headers``: names of HTTP headers that do not change an answer and stay out of its
      key, in addition to the headers of credentials, tracing and transport

    The first policy block that ends without a call to the cache logs a warning: the model may lack
    the cache.

    ``lookup`` and ``update`` raise only ``CacheMiss``, for the mode ``only_if_cached``. A cache
    failure is a miss.
    """

    def __init__(
        self,
        redis_: object,
        *,
        canonical_keys: bool = True,
        mark_hits: bool | None = None,
        do_not_store: Collection[Reason | str] = UNCACHEABLE,
        ignored_headers: Collection[str] = (),
        **options: Unpack[CacheOptions],
    ) -> None:
        instance("canonical_keys", canonical_keys, bool, "True or False")
        instance("mark_hits", mark_hits, bool | None, "True, False or None")
        marks = canonical_keys if mark_hits is None else mark_hits
        super().__init__(redis_, GenerationCodec(_reasons(do_not_store), marks), **options)
        self._canonical_keys = canonical_keys
        self._ignored_headers = header_names("ignored_headers", ignored_headers)
        self._redis = None if isinstance(redis_, UpstashStore) else redis_
        self._ttl = options.get("ttl")

    @property
    def redis(self) -> Any:
        """The client that was passed in; None after ``from_env``.

        The cache does not send its commands through it, and setting it is not supported.
        """
        return self._redis

    @property
    def ttl(self) -> Ttl | None:
        """The default TTL that was passed in, or that ``from_env`` read; None: 30 days."""
        return self._ttl

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, namespace: str | None = None
    ) -> UpstashRedisCache:
        """Build a cache from environment variables (see ``docs/configuration.md``).

        It connects, and reads SSM, on first use. ``namespace`` overrides ``LLM_CACHE_NAMESPACE``;
        one of the two is required. Raises ``InvalidSettings``.
        """
        config = CacheConfig.from_env(environ, namespace=namespace)
        store, options = store_and_options(config)
        return cls(store, ignored_headers=config.ignored_headers, **options)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        return self._lookup(self._call_of(prompt, llm_string))

    async def alookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Return the stored answer, or None. One command."""
        return await self._alookup(self._call_of(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        self._update(self._call_of(prompt, llm_string), return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store an answer, unless the policy or the answer itself forbids it. One command."""
        await self._aupdate(self._call_of(prompt, llm_string), return_val)

    def delete(
        self, prompt: str | None = None, llm_string: str | None = None, *, key: str | None = None
    ) -> bool:
        """Delete one answer; return whether there was one. One command; raises ``StoreError``.

        - ``delete(prompt, llm_string)``: the arguments of ``lookup``. The policy around the call
          counts: its tenant, salt and namespace select the answer.
        - ``delete(key=outcome.key)``: the key in a report or in hit metadata; its 64 hexadecimal
          digits suffice. Raises ``InvalidPolicy`` for the key of another namespace.
        """
        return self._delete(self._to_delete(prompt, llm_string, key))

    async def adelete(
        self, prompt: str | None = None, llm_string: str | None = None, *, key: str | None = None
    ) -> bool:
        """Delete one answer, as ``delete`` does."""
        return await self._adelete(self._to_delete(prompt, llm_string, key))

    def _to_delete(
        self, prompt: str | None, llm_string: str | None, key: str | None
    ) -> CacheCall[list[Generation]] | str:
        if key is None and prompt is not None and llm_string is not None:
            return self._call_of(prompt, llm_string)
        if key is not None and prompt is None and llm_string is None:
            return key
        raise TypeError("delete() takes a prompt and an llm_string, or a key alone")

    def explain(self, prompt: str, llm_string: str, *, values: bool = False) -> dict[str, Any]:
        """Return every part of a call's key under the policy around it, as values of JSON.

        Equal ``parts`` mean equal keys; ``llm-cache explain`` compares two explanations. Texts and
        the numbers in messages are replaced by short hashes, unless ``values``. ``uncacheable`` is
        the reason why a call has no key. No command; a first use may read the secrets, as a lookup
        does, and raise ``StoreError``.
        """
        from llm_cache._engine.explanation import explain  # noqa: PLC0415  no lookup needs them
        from llm_cache._langchain.explanation import describe  # noqa: PLC0415

        call = self._call_of(prompt, llm_string)
        described = partial(describe, call, prompt, llm_string, self._ignored_headers)
        return explain(call, described, values=values)

    def _unused(self) -> None:
        if not self._used:
            self._used = True  # one warning is enough
            logger.warning(
                "no call of a model used the cache inside a policy block. If a model was called "
                "there, give it the cache (cache=... or set_llm_cache); for streams, use cached()"
            )

    def _call_of(self, prompt: str, llm_string: str) -> CacheCall[list[Generation]]:
        def key_parts(policy: CachePolicy) -> tuple[str, ...]:
            if policy.key is not None:
                return OWN_KEY, policy.key
            if not self._canonical_keys:
                return AS_WRITTEN, prompt, llm_string
            salted = policy.salt is not None
            enters = settings_key(llm_string, self._ignored_headers, salted=salted)
            return CANONICAL, conversation_hash(prompt), enters

        return self._call(key_parts)


def _reasons(names: Collection[Reason | str]) -> frozenset[Reason]:
    several = isinstance(names, Collection) and not isinstance(names, str)
    if not several or any(name not in list(UNCACHEABLE) for name in names):
        raise InvalidSettings("do_not_store", names, f"a collection of {sorted(UNCACHEABLE)}")
    return frozenset(map(Reason, names))

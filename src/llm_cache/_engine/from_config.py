"""Builds the store and the options of a cache from its configuration."""

from __future__ import annotations

from typing import cast

from llm_cache._config.cache_config import CacheConfig
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._engine.options import CacheOptions, CacheValues
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.upstash_store import UpstashStore


def store_and_options(config: CacheConfig) -> tuple[UpstashStore, CacheOptions]:
    """Return the store and the options of the cache that ``config`` describes.

    The store connects, and reads SSM, on first use.
    """
    protection = None
    if config.protects:
        from llm_cache._entries.protection import protection_factory

        protection = protection_factory(encrypts=config.encrypts)
    store = UpstashStore(lambda: fetch(config, protection), max_age=config.max_age)
    values = {name: getattr(config, name) for name in CacheValues.__annotations__}
    memory = MemoryTier(seconds=config.memory) if config.memory else None
    return store, cast("CacheOptions", {**values, "memory": memory})

"""What the operator decides of a cache, as its arguments and as the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

from llm_cache._config.cache_config import CacheConfig
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._policy.ttl import Ttl
from llm_cache._upstash.breaker import Breaker
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection


class Bounds(TypedDict, total=False):
    """What the operator decides of a cache; ``core.Cache`` says what each is."""

    ttl: Ttl | None
    namespace: str | None
    ttl_floor: float
    ttl_ceiling: float
    ttl_jitter: float
    timeout: float
    max_bytes: int
    lease: float
    memory: MemoryTier | None
    breaker: Breaker | None
    protection: Protection | None
    clock: Callable[[], float]


def configured(settings: CacheConfig) -> tuple[UpstashStore, Bounds]:
    """Return what the settings describe: where the database is, and what the operator decides.

    Connects, and reads SSM, on first use and not before.
    """
    protected = None
    if settings.protects:
        from llm_cache._entries.protection import protecting

        protected = protecting(encrypts=settings.encrypts)
    store = UpstashStore(lambda: fetch(settings, protected), max_age=settings.max_age)
    return store, Bounds(
        ttl=settings.ttl.default,
        namespace=settings.namespace,
        ttl_floor=settings.ttl.floor,
        ttl_ceiling=settings.ttl.ceiling,
        ttl_jitter=settings.ttl.jitter,
        timeout=settings.timeout,
        max_bytes=settings.max_bytes,
        lease=settings.lease,
        memory=MemoryTier(seconds=settings.memory) if settings.memory else None,
    )

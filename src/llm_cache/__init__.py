"""A cache for LangChain model calls on AWS Lambda, kept in Upstash Redis.

Names are loaded when first used (PEP 562), so that who only clears never imports LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llm_cache._version import __version__

if TYPE_CHECKING:
    from llm_cache.breaker import Breaker, Circuit
    from llm_cache.cache import UpstashRedisCache
    from llm_cache.clearing import Reclaimed
    from llm_cache.errors import (
        CacheMiss,
        CircuitOpen,
        ForgedEntry,
        InvalidPolicy,
        InvalidSettings,
        LlmCacheError,
        StoreError,
        StoreGarbled,
        StoreRefused,
        StoreTimeout,
        StoreUnavailable,
        Uncacheable,
        UnreadableEntry,
    )
    from llm_cache.fallback import or_stale
    from llm_cache.memory import MemoryTier
    from llm_cache.namespace import CacheNamespace
    from llm_cache.policy import CachePolicy, Coalesce, Mode
    from llm_cache.reason import Reason
    from llm_cache.report import Outcome, Report, Status
    from llm_cache.responses import ResponseCache, Uncached
    from llm_cache.seal import Encryption, Signing
    from llm_cache.settings import Settings
    from llm_cache.streaming import cached
    from llm_cache.telemetry import CacheMetrics
    from llm_cache.tracing import traced
    from llm_cache.verdict import uncacheable

_HOMES = {
    "Breaker": "breaker",
    "CacheMetrics": "telemetry",
    "CacheMiss": "errors",
    "CacheNamespace": "namespace",
    "CachePolicy": "policy",
    "Circuit": "breaker",
    "CircuitOpen": "errors",
    "Coalesce": "policy",
    "Encryption": "seal",
    "ForgedEntry": "errors",
    "InvalidPolicy": "errors",
    "InvalidSettings": "errors",
    "LlmCacheError": "errors",
    "MemoryTier": "memory",
    "Mode": "policy",
    "Outcome": "report",
    "Reclaimed": "clearing",
    "Reason": "reason",
    "Report": "report",
    "ResponseCache": "responses",
    "Settings": "settings",
    "Signing": "seal",
    "Status": "report",
    "StoreError": "errors",
    "StoreGarbled": "errors",
    "StoreRefused": "errors",
    "StoreTimeout": "errors",
    "StoreUnavailable": "errors",
    "Uncacheable": "errors",
    "Uncached": "responses",
    "UnreadableEntry": "errors",
    "UpstashRedisCache": "cache",
    "cached": "streaming",
    "or_stale": "fallback",
    "traced": "tracing",
    "uncacheable": "verdict",
}

__all__ = [
    "Breaker",
    "CacheMetrics",
    "CacheMiss",
    "CacheNamespace",
    "CachePolicy",
    "Circuit",
    "CircuitOpen",
    "Coalesce",
    "Encryption",
    "ForgedEntry",
    "InvalidPolicy",
    "InvalidSettings",
    "LlmCacheError",
    "MemoryTier",
    "Mode",
    "Outcome",
    "Reason",
    "Reclaimed",
    "Report",
    "ResponseCache",
    "Settings",
    "Signing",
    "Status",
    "StoreError",
    "StoreGarbled",
    "StoreRefused",
    "StoreTimeout",
    "StoreUnavailable",
    "Uncacheable",
    "Uncached",
    "UnreadableEntry",
    "UpstashRedisCache",
    "__version__",
    "cached",
    "or_stale",
    "traced",
    "uncacheable",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llm_cache' has no attribute {name!r}")
    value = getattr(import_module(f"llm_cache.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

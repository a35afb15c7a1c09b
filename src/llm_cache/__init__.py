"""A cache for LangChain model calls on AWS Lambda, kept in Upstash Redis.

Names are loaded when first used (PEP 562), so that clearing alone never imports LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llm_cache._version import __version__

if TYPE_CHECKING:
    from llm_cache._admin.namespace import CacheNamespace
    from llm_cache._circuit import Circuit
    from llm_cache._config.cache_config import CacheConfig
    from llm_cache._engine.memory_tier import MemoryTier
    from llm_cache._entries.protection import Encryption, Signing
    from llm_cache._errors import (
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
    from llm_cache._functions.response_cache import ResponseCache, Uncached
    from llm_cache._langchain.cache import UpstashRedisCache
    from llm_cache._langchain.stale_fallback import or_stale
    from llm_cache._langchain.streaming import cached
    from llm_cache._langchain.uncacheable import uncacheable
    from llm_cache._observe.metrics import CacheMetrics
    from llm_cache._observe.tracing import traced
    from llm_cache._policy.cache_policy import CachePolicy
    from llm_cache._policy.modes import Coalesce, Mode
    from llm_cache._protocol.clearing import Reclaimed
    from llm_cache._reasons import Reason
    from llm_cache._report import Outcome, Report, Status
    from llm_cache._upstash.breaker import Breaker

_NAMES = {
    "_admin.namespace": "CacheNamespace",
    "_config.cache_config": "CacheConfig",
    "_engine.memory_tier": "MemoryTier",
    "_entries.protection": "Encryption Signing",
    "_errors": "CacheMiss CircuitOpen ForgedEntry InvalidPolicy InvalidSettings LlmCacheError "
    "StoreError StoreGarbled StoreRefused StoreTimeout StoreUnavailable Uncacheable "
    "UnreadableEntry",
    "_functions.response_cache": "ResponseCache Uncached",
    "_langchain.cache": "UpstashRedisCache",
    "_langchain.stale_fallback": "or_stale",
    "_langchain.streaming": "cached",
    "_langchain.uncacheable": "uncacheable",
    "_observe.metrics": "CacheMetrics",
    "_observe.tracing": "traced",
    "_policy.cache_policy": "CachePolicy",
    "_policy.modes": "Coalesce Mode",
    "_protocol.clearing": "Reclaimed",
    "_reasons": "Reason",
    "_circuit": "Circuit",
    "_report": "Outcome Report Status",
    "_upstash.breaker": "Breaker",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Breaker",
    "CacheConfig",
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

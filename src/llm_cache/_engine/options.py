"""The options of a cache, for type checkers, ``help()`` and ``inspect.signature``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict

from llm_cache._config.cache_config import CacheConfig
from llm_cache._policy.ttl import Ttl

if TYPE_CHECKING:
    from inspect import Signature

    from llm_cache._engine.memory_tier import MemoryTier
    from llm_cache._entries.protection import Protection
    from llm_cache._upstash.breaker import Breaker


class CacheValues(TypedDict, total=False):
    """The options of a cache that ``CacheConfig`` checks and gives their defaults."""

    ttl: Ttl | None
    namespace: str | None
    ttl_floor: float
    ttl_ceiling: float
    ttl_jitter: float
    timeout: float
    max_bytes: int
    lease: float


class CacheOptions(CacheValues, total=False):
    """Every option of a cache; ``Cache`` documents them."""

    memory: MemoryTier | None
    breaker: Breaker | None
    protection: Protection | None
    clock: Callable[[], float]


def checked_config(values: CacheValues) -> CacheConfig:
    """Return the configuration of a cache; raise ``TypeError`` for other fields of CacheConfig.

    A cache would ignore them, and store entries in plain text under an ``encryption_key``.
    """
    for name in values.keys() - CacheValues.__annotations__.keys():
        raise TypeError(f"a cache got an unexpected keyword argument {name!r}")
    return CacheConfig(**values)


class FullSignature:
    """The ``__signature__`` of a cache's class: its own arguments, then every option."""

    def __set_name__(self, base: type[Any], _: str) -> None:
        self._base = base

    def __get__(self, _: object, owner: type[Any]) -> Signature:
        """Return the signature of the constructor of ``owner``; ``inspect`` is imported here."""
        from inspect import Parameter, Signature, signature

        names = CacheOptions.__annotations__
        _self, *own, _options = signature(owner.__init__).parameters.values()
        found = dict(signature(self._base.__init__).parameters)
        for each in fields(CacheConfig):
            kind = Parameter.KEYWORD_ONLY
            option = Parameter(each.name, kind, default=each.default, annotation=each.type)
            found.setdefault(each.name, option)
        options = [found[name] for name in names]
        return Signature([*(each for each in own if each.name not in names), *options])

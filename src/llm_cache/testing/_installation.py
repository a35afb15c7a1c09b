"""Puts a database in memory in the place of Upstash, for the duration of a test."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from llm_cache._admin import namespace
from llm_cache._config.cache_config import (
    ENCRYPTION_KEY,
    NAMESPACE,
    SIGNING_KEY,
    TOKEN,
    URL,
    CacheConfig,
)
from llm_cache._engine import core, from_config, lookup_state
from llm_cache._engine.core import Cache
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._upstash import credentials, upstash_store
from llm_cache._upstash.breaker import Breaker
from llm_cache.testing._in_memory_upstash import InMemoryUpstash

# The host does not exist (RFC 2606), so a request that escapes the fixture reaches nobody.
ENVIRONMENT = {URL: "https://in-memory.invalid", TOKEN: "in-memory", NAMESPACE: "test"}
PARAMETERS = (
    *("LLM_CACHE_URL_PARAMETER", "LLM_CACHE_TOKEN_PARAMETER"),
    *(f"{SIGNING_KEY}_PARAMETER", f"{ENCRYPTION_KEY}_PARAMETER"),
)
KEY = base64.b64encode(bytes(range(32))).decode()


@contextmanager
def installed() -> Iterator[InMemoryUpstash]:
    """Send each command of the library to an empty database in memory, whatever URL it names.

    Caches that exist already use it too. Before and after, they forget their connections, memory
    tier, circuit and lookups, so no answer and no failure reaches another test.
    """
    upstash = InMemoryUpstash()
    with pytest.MonkeyPatch.context() as patches:
        _set_environment(patches)
        _replace_client(patches, upstash)
        _advance_clocks(patches, lambda: upstash.advanced)
        _start_fresh()
        yield upstash
    _start_fresh()


def _start_fresh() -> None:
    upstash_store.disconnect_all()
    core.start_all_fresh()
    lookup_state.forget_all()


def _set_environment(patches: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        patches.setenv(name, value)
    for name in PARAMETERS:
        patches.delenv(name, raising=False)


def _replace_client(patches: pytest.MonkeyPatch, upstash: InMemoryUpstash) -> None:
    patches.setattr(upstash_store, "RestClient", lambda _credentials: upstash)

    def fetch(settings: CacheConfig, protection: Any) -> Any:
        return credentials.fetch(_without_ssm(settings), protection)

    for module in (from_config, namespace):
        patches.setattr(module, "fetch", fetch)


def _without_ssm(settings: CacheConfig) -> CacheConfig:
    """Return settings that hold values instead of the names of SSM parameters."""
    values: dict[str, Any] = {"url": ENVIRONMENT[URL], "token": ENVIRONMENT[TOKEN]}
    for name in ("signing_key", "encryption_key"):
        if getattr(settings, f"{name}_parameter"):
            values[name] = KEY
    for name in ("url", "token", "signing_key", "encryption_key"):
        values[f"{name}_parameter"] = None
    return replace(settings, **values)


def _advance_clocks(patches: pytest.MonkeyPatch, advanced: Callable[[], float]) -> None:
    for owner, name in ((Cache, "_clock"), (Breaker, "_clock"), (MemoryTier, "clock")):
        patches.setattr(owner, name, _AdvancedClock(name, advanced), raising=False)
    clocks = SimpleNamespace(time=lambda: time.time() + advanced(), monotonic=time.monotonic)
    patches.setattr(namespace, "time", clocks)


class _AdvancedClock:
    """Adds the advanced seconds to the clock in an attribute of each instance.

    A class attribute with ``__set__`` precedes the attributes of instances, also of older ones.
    """

    def __init__(self, name: str, advanced: Callable[[], float]) -> None:
        self._name = name
        self._advanced = advanced

    def __get__(self, instance: Any, _: Any) -> Callable[[], float]:
        clock = vars(instance)[self._name]
        return lambda: clock() + self._advanced()

    def __set__(self, instance: Any, clock: Callable[[], float]) -> None:
        vars(instance)[self._name] = clock

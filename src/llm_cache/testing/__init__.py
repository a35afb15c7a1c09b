"""Test your own functions without a network: a pytest plugin, and assertions about reports.

The plugin offers the fixtures ``upstash`` and ``fake_model`` (``docs/testing.md``). ``FakeModel``
and ``InMemoryUpstash`` are their types; they are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_cache.testing._assertions import assert_hit, assert_miss

if TYPE_CHECKING:
    from llm_cache.testing._fake_model import FakeModel
    from llm_cache.testing._in_memory_upstash import InMemoryUpstash

__all__ = ["FakeModel", "InMemoryUpstash", "assert_hit", "assert_miss"]


def __getattr__(name: str) -> Any:
    if name == "FakeModel":
        from llm_cache.testing._fake_model import FakeModel

        return FakeModel
    if name == "InMemoryUpstash":
        from llm_cache.testing._in_memory_upstash import InMemoryUpstash

        return InMemoryUpstash
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

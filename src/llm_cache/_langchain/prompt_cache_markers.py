"""Remove markers of a provider's prompt cache, which change an answer's price but not its text."""

from __future__ import annotations

from typing import Any

MARKERS = ("cache_control", "cachePoint", "cache_point", "prompt_cache_breakpoint")
_NESTED_FIELDS = ("content", "extras", "metadata", "source", "toolResult")


def without_markers(content: list[Any]) -> list[Any]:
    """Return content blocks or tools without markers and without blocks of markers alone."""
    kept = [_without(block) if isinstance(block, dict) else block for block in content]
    return [new for new, old in zip(kept, content, strict=True) if new or not old]


def _without(block: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in block.items()
        if name not in MARKERS or not isinstance(value, dict)
    }
    wrapper = block.get("type") == "non_standard" and "value" in block
    for name in (*_NESTED_FIELDS, "value") if wrapper else _NESTED_FIELDS:
        inner = kept.get(name)
        if isinstance(inner, list):
            kept[name] = without_markers(inner)
        elif isinstance(inner, dict) and inner:
            kept[name] = _without(inner)
            if not kept[name]:
                del kept[name]
    return {} if wrapper and "value" not in kept else kept

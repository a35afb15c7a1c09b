"""Markers of a provider's own prompt cache: they change the price of an answer, not the answer."""

from __future__ import annotations

from typing import Any

MARKERS = ("cache_control", "cachePoint", "cache_point", "prompt_cache_breakpoint")
_INNER = ("content", "extras", "metadata", "source", "toolResult")  # of a block, may hold markers


def without_markers(content: list[Any]) -> list[Any]:
    """Return content blocks or tools without markers; one that was nothing else leaves."""
    kept = [_unmarked(block) if isinstance(block, dict) else block for block in content]
    return [new for new, old in zip(kept, content, strict=True) if new or not old]


def _unmarked(block: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in block.items()
        if name not in MARKERS or not isinstance(value, dict)
    }
    wrapped = block.get("type") == "non_standard" and "value" in block
    for name in (*_INNER, "value") if wrapped else _INNER:
        inner = kept.get(name)
        if isinstance(inner, list):
            kept[name] = without_markers(inner)
        elif isinstance(inner, dict) and inner:
            kept[name] = _unmarked(inner)
            if not kept[name]:
                del kept[name]
    return {} if wrapped and "value" not in kept else kept

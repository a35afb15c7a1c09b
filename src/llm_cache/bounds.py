"""What a stored message may hold before LangChain's validators see it.

They take a kilobyte of memory and more for each item of a list that they refuse, and to complete
the arguments of a tool call that end too early (``parse_partial_json``) time that grows by the
square of their length. Without bounds an entry of 30 KB could take gigabytes, or a quarter of an
hour. What is out of bounds is not stored either, so that whatever is stored can be read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

MAX_ITEMS = 2_000  # generations of an answer; content blocks or tool calls of a message
MAX_UNFINISHED = 2_000  # characters of arguments that are no JSON yet: some 30 ms

_LISTS = ("content", "content_blocks", "tool_calls", "invalid_tool_calls", "tool_call_chunks")

T = TypeVar("T")


def few(items: Sequence[T]) -> Sequence[T]:
    """Return ``items``; raise ``ValueError`` if there are too many."""
    if len(items) > MAX_ITEMS:
        raise ValueError("too many items")
    return items


def bounded(kind: str, fields: Any) -> Any:
    """Return the fields of a message of a class; raise ``ValueError`` if they hold too much."""
    if not isinstance(fields, dict):
        raise ValueError("no fields")  # noqa: TRY004  unreadable, like the rest
    echoed = _echoed(fields)
    for items in (*map(fields.get, _LISTS), echoed):
        if isinstance(items, list):
            few(items)
    if kind == "AIMessageChunk":  # only of these are the arguments completed
        given = [chunk.get("args") for chunk in _dicts(fields.get("tool_call_chunks"))]
        told = [call.get("arguments") for call in _dicts([c.get("function") for c in echoed])]
        if sum(map(_unfinished, (*given, *told))) > MAX_UNFINISHED:
            raise ValueError("arguments that are no JSON, and too long")
    return fields


def _echoed(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the calls in OpenAI's form, which LangChain reads where there are no others."""
    extras = fields.get("additional_kwargs")
    return _dicts(extras.get("tool_calls")) if isinstance(extras, dict) else []


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _unfinished(text: Any) -> int:
    """Return the length of a text that is no JSON, 0 of anything else."""
    if not isinstance(text, str):
        return 0
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return len(text)
    return 0

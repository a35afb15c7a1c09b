"""LangChain's generations to JSON and back, against an explicit list of classes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence

from langchain_core.load import dumps, load
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache.entry import Entry
from llm_cache.errors import UnreadableEntry

# load is marked beta and warns at every call; what it wraps does not.
_load = inspect.unwrap(load)

# Nothing else is ever built from what Redis holds (CVE-2025-68664 is what comes of more).
READABLE = [
    Generation,
    GenerationChunk,
    ChatGeneration,
    ChatGenerationChunk,
    AIMessage,
    AIMessageChunk,
]


def serialize(generations: Sequence[Generation]) -> tuple[str, ...] | None:
    """Return each generation as JSON text, or None when one would not come back as it is now."""
    texts = tuple(dumps(generation) for generation in generations)
    if not texts or revive([json.loads(text) for text in texts]) != list(generations):
        return None
    return texts


def read(entry: Entry) -> list[Generation]:
    """Return the generations of a stored entry; raise ``UnreadableEntry`` for anything else."""
    try:
        return revive(entry.answer)
    except Exception as error:
        raise UnreadableEntry(f"not generations: {type(error).__name__}") from error


def revive(values: Sequence[object]) -> list[Generation]:
    """Build generations from JSON values; raise for a class that is not in ``READABLE``."""
    revived = [_load(value, allowed_objects=READABLE) for value in values]
    for generation in revived:
        if not isinstance(generation, Generation):
            raise TypeError(f"a {type(generation).__name__} where a generation belongs")
    return revived


def tokens(generations: Sequence[Generation]) -> int:
    """Return the tokens that computing ``generations`` took, 0 where the model did not say."""
    messages = (g.message for g in generations if isinstance(g, ChatGeneration))
    usages = (m.usage_metadata for m in messages if isinstance(m, AIMessage))
    return sum(usage["total_tokens"] for usage in usages if usage)

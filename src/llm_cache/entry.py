"""What one key of the cache holds: a versioned envelope around the answer.

The envelope is ASCII JSON, since Upstash's REST API carries text. The epoch stands first, so that a
script can tell a cleared entry from a live one by its first bytes alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_cache.errors import UnreadableEntry
from llm_cache.keys import MAX_TAGS

VERSION = 1
HEAD = f'{{"v":{VERSION},"epochs":{{"":"'
"""What every entry of this version begins with; its namespace's epoch and a quote follow."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer at rest.

    ``epochs`` holds the namespace's epoch under ``""``, and those of its tags under their hashes.
    ``created`` is in Unix seconds and ``ttl`` in seconds, both by the writer's clock: with them a
    hit knows its age and the time it has left without asking Redis. ``answer`` holds JSON values.
    """

    epochs: Mapping[str, str]
    created: float
    ttl: int
    answer: tuple[Any, ...]

    def age(self, now: float) -> float:
        """Return the seconds since the answer was stored, 0 when clocks disagree."""
        return max(0.0, now - self.created)

    def remaining(self, now: float) -> float:
        """Return the seconds the entry has left; 0 or less once it has expired."""
        return self.created + self.ttl - now


def before_tag(tag: str) -> str:
    """Return the text between the epoch before and the epoch of ``tag``, given the tag's hash."""
    return f'","{tag}":"'


def body(created: float, ttl: int, answer: Sequence[str]) -> str:
    """Return the text that follows the last epoch; ``answer`` is JSON text already."""
    return f'"}},"created":{created:.3f},"ttl":{ttl},"answer":[{",".join(answer)}]}}'


def decode(text: object) -> Entry:
    """Read what Redis returned; raise ``UnreadableEntry`` for what this version did not write."""
    try:
        fields = json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError) as error:
        raise UnreadableEntry("not JSON") from error
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise UnreadableEntry(f"not an entry of version {VERSION}")
    match fields:
        case {
            "epochs": {"": str()} as epochs,
            "created": int() | float() as created,
            "ttl": int() as ttl,
            "answer": [_, *_] as answer,
        } if _are_epochs(epochs):
            return Entry(epochs, created, ttl, tuple(answer))
    raise UnreadableEntry("a field is missing or of the wrong type")


def _are_epochs(epochs: Mapping[str, object]) -> bool:
    """Whether a lookup may ask Redis for these: a foreign entry could name any key, and many."""
    tags = [tag for tag in epochs if tag]
    known = len(tags) <= MAX_TAGS and all(re.fullmatch("[0-9a-f]{32}", tag) for tag in tags)
    return known and all(isinstance(epoch, str) for epoch in epochs.values())

"""What one key of the cache holds: a versioned envelope around the answer.

The envelope is ASCII JSON, since Upstash's REST API carries text. The epoch stands first, so that a
script can tell a cleared entry from a live one by its first bytes alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_cache.errors import UnreadableEntry

VERSION = 1
HEAD = f'{{"v":{VERSION},"epoch":"'
"""What every entry of this version begins with; its epoch and a quote follow."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer at rest.

    ``created`` is in Unix seconds and ``ttl`` in seconds, both by the writer's clock: with them a
    hit knows its age and the time it has left without asking Redis. ``answer`` holds JSON values.
    """

    epoch: str
    created: float
    ttl: int
    answer: tuple[Any, ...]

    def age(self, now: float) -> float:
        """Return the seconds since the answer was stored, 0 when clocks disagree."""
        return max(0.0, now - self.created)

    def remaining(self, now: float) -> float:
        """Return the seconds the entry has left; 0 or less once it has expired."""
        return self.created + self.ttl - now


def body(created: float, ttl: int, answer: Sequence[str]) -> str:
    """Return the text that follows ``HEAD`` and the epoch; ``answer`` is JSON text already."""
    return f'","created":{created:.3f},"ttl":{ttl},"answer":[{",".join(answer)}]}}'


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
            "epoch": str() as epoch,
            "created": int() | float() as created,
            "ttl": int() as ttl,
            "answer": [_, *_] as answer,
        }:
            return Entry(epoch, created, ttl, tuple(answer))
    raise UnreadableEntry("a field is missing or of the wrong type")

"""What an operation may ask of its driver: a command of Redis, a pause, the keys of a seal.

Apart from what a lookup and a store do, so that a clear is imported without it.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from llm_cache.seal import Names, PendingSeal

T = TypeVar("T")
Command: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait of at most ``seconds``, which ends sooner if ``until`` is done."""

    seconds: float
    until: Future[Any] | None = None


Request: TypeAlias = Command | PendingSeal
"""What a store is asked to do."""
Operation: TypeAlias = Generator[Request | Pause, Any, T]


def unlocked(seal: Names | PendingSeal | None) -> Operation[Any]:
    """Return the seal, its keys fetched if they were not. No command."""
    return (yield seal) if isinstance(seal, PendingSeal) else seal

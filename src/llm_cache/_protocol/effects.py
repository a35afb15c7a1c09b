"""What an operation may ask of its driver: a command of Redis, or a pause.

Apart from what a lookup and a store do, so that a clear is imported without it.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
Command: TypeAlias = tuple[str | int, ...]


class Pause(NamedTuple):
    """A wait of at most ``seconds``, which ends sooner if ``until`` is done."""

    seconds: float
    until: Future[Any] | None = None


Operation: TypeAlias = Generator[Command | Pause, Any, T]

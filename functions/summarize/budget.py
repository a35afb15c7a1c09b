"""What a try to summarize one document may spend: model calls, and the invocation's time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from summary_errors import OutOfTime, TransientError

MAX_RATIO = 3  # paid calls per needed call; above it, a try that pays uses an attempt
NEEDED = 20.0  # seconds that must be left to start a document or a model call
RESERVE = 5.0  # seconds kept to write the summary and to report failed messages


@dataclass(slots=True)
class Budget:
    """The invocation's remaining time, and the model calls that are or may be billed."""

    context: Any
    """Lambda's context."""
    paid_before: int = 0
    """The calls of earlier tries."""
    needed: int = 0
    """The calls that the document has needed so far, if the cache held none of its answers."""
    stored: int = 0
    """The answers of this try that the cache stored: no later try pays for them."""
    _calls: list[None] = field(default_factory=list)  # list.append is thread-safe

    @property
    def paid(self) -> int:
        """The calls of all tries so far."""
        return self.paid_before + len(self._calls)

    @property
    def wasted(self) -> bool:
        """Whether the calls of this try bring the document no nearer to its summary.

        Either the cache stored no answer (it is down, or the TTL is 0), or it loses answers.
        """
        return bool(self._calls) and (not self.stored or self.paid > MAX_RATIO * self.needed)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a model call, unless it raises ``TransientError`` and so is not billed."""
        self._calls.append(None)
        try:
            yield
        except TransientError:
            self._calls.pop()
            raise

    def require_time(self) -> None:
        """Raise ``OutOfTime`` if the invocation would end before what starts now."""
        if self._seconds_left() < NEEDED:
            raise OutOfTime

    def waiting_time(self) -> float:
        """Return the seconds that the function may wait for answers."""
        return max(0.0, self._seconds_left() - RESERVE)

    def _seconds_left(self) -> float:
        seconds: float = self.context.get_remaining_time_in_millis() / 1000
        return seconds

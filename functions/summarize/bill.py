"""The model calls that one document has cost, over all tries of its message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from faults import NotNow

MOST = 3  # times the calls that a document needs, after which every try that pays is an attempt


@dataclass(slots=True)
class Bill:
    """Counts the calls of this try that are, or may be, billed."""

    before: int = 0
    """The calls of earlier tries."""
    needed: int = 0
    """The calls that the document has needed so far, if none of its answers was in the cache."""
    stored: int = 0
    """The answers of this try that the cache has stored: no later try pays for them."""
    _calls: list[None] = field(default_factory=list)  # appending to a list is safe among threads

    @property
    def total(self) -> int:
        """The calls of all tries so far."""
        return self.before + len(self._calls)

    @property
    def wasted(self) -> bool:
        """Whether the calls of this try bring the document no nearer to its summary.

        The cache stored no answer (it is down, the TTL is 0), or it loses what it stores.
        """
        return bool(self._calls) and (not self.stored or self.total > MOST * self.needed)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call of the model, unless it raises ``NotNow``: such a call is not billed."""
        self._calls.append(None)
        try:
            yield
        except NotNow:
            self._calls.pop()
            raise

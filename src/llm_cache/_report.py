"""The report of a policy block: the outcome of each lookup and update in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from llm_cache._circuit import Circuit
from llm_cache._reasons import Reason


class Status(StrEnum):
    """The result of one lookup or update."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    STORED = "stored"
    SKIPPED = "skipped"
    ERROR = "error"


class Tokens(NamedTuple):
    """Tokens that a model read and wrote; the two have different prices."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """Return the sum of input and output tokens."""
        return self.input + self.output


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One lookup or update: its status, its key in Redis, and the seconds of age and TTL left.

    ``why`` is None for a store and for a hit that Redis answered. ``detail`` explains it, without
    any value of the call. ``seconds`` is the duration, with the wait for an in-flight call.
    """

    status: Status
    key: str
    why: Reason | None = None
    detail: str = ""
    age: float = 0.0
    ttl: float | None = None
    tokens: Tokens = NO_TOKENS
    seconds: float = 0.0


@dataclass(slots=True)
class Report:
    """The outcomes in one ``with cache.policy(...)`` block, in order."""

    outcomes: list[Outcome] = field(default_factory=list)
    stale_answer: tuple[Outcome, Any] | None = field(default=None, repr=False)
    """The last expired answer that may be served if the model fails."""
    breaker: Callable[[], Circuit] = field(default=lambda: Circuit.CLOSED, repr=False)
    """Returns the state of the cache's circuit breaker."""
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False, compare=False)
    began: float = field(init=False, repr=False, compare=False)
    """The time of ``clock`` at which the block began."""

    def __post_init__(self) -> None:
        self.began = self.clock()

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one lookup or update."""
        self.outcomes.append(outcome)

    def serve_stale(self) -> tuple[Outcome, Any] | None:
        """Return the stale answer, if there is one, and add its outcome."""
        if self.stale_answer is not None:
            self.add(self.stale_answer[0])
        return self.stale_answer

    def having(self, status: Status) -> list[Outcome]:
        """Return the outcomes with a status."""
        return [outcome for outcome in self.outcomes if outcome.status is status]

    @property
    def hits(self) -> int:
        """Return the number of hits."""
        return len(self.having(Status.HIT))

    @property
    def misses(self) -> int:
        """Return the number of misses."""
        return len(self.having(Status.MISS))

    @property
    def miss_reasons(self) -> Counter[Reason]:
        """Return the number of misses by reason."""
        return Counter(miss.why for miss in self.having(Status.MISS) if miss.why)

    @property
    def stored(self) -> int:
        """Return the number of answers that were stored."""
        return len(self.having(Status.STORED))

    @property
    def skipped(self) -> int:
        """Return the number of answers not stored; ``having(Status.SKIPPED)`` has the reasons."""
        return len(self.having(Status.SKIPPED))

    @property
    def errors(self) -> int:
        """Return the number of lookups and updates that failed; none reached the caller."""
        return len(self.having(Status.ERROR))

    @property
    def last(self) -> Outcome | None:
        """Return the latest outcome; None if the cache was not used."""
        return self.outcomes[-1] if self.outcomes else None

    @property
    def saved(self) -> Tokens:
        """Return the tokens that hits saved, as counted when the answers were computed."""
        hits = self.having(Status.HIT)
        return Tokens(sum(hit.tokens.input for hit in hits), sum(hit.tokens.output for hit in hits))

    @property
    def tokens_saved(self) -> int:
        """Return the input and output tokens that hits saved."""
        return self.saved.total

    @property
    def circuit(self) -> Circuit:
        """Return the present state of the cache's circuit breaker."""
        return self.breaker()

    @property
    def milliseconds(self) -> float:
        """Return the total duration of the lookups and updates."""
        return 1000 * sum(outcome.seconds for outcome in self.outcomes)

    @property
    def elapsed(self) -> float:
        """Return the seconds since the block began, for the model and the cache together."""
        return self.clock() - self.began

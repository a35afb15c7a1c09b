"""What a cache did, told to whoever has asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from llm_cache._reasons import Reason


class Circuit(StrEnum):
    """What a breaker does with the next command."""

    CLOSED = "closed"
    """Lets it pass."""
    OPEN = "open"
    """Refuses it, at once."""
    HALF_OPEN = "half_open"
    """Has let one pass, to see; refuses others until that is back."""


class Status(StrEnum):
    """What became of one lookup or one update."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    STORED = "stored"
    SKIPPED = "skipped"
    ERROR = "error"


class Tokens(NamedTuple):
    """Tokens of a model, which prices those it reads and those it writes each by itself."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """Of both kinds."""
        return self.input + self.output


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One lookup or update: its key in Redis, seconds of age and of life left, and why.

    ``why`` is None for a hit that Redis answered and for a store. ``detail`` says more in words,
    and holds no value of the call. ``seconds`` includes the wait for another caller's answer.
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
    """What the cache did inside one ``with cache.policy(...)`` block, in the order it happened."""

    outcomes: list[Outcome] = field(default_factory=list)
    stale_answer: tuple[Outcome, Any] | None = field(default=None, repr=False)
    """The last expired answer that may be served should the model fail."""
    breaker: Callable[[], Circuit] = field(default=lambda: Circuit.CLOSED, repr=False)
    """Tells the state of the circuit breaker of the cache whose block it is."""
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False, compare=False)
    began: float = field(init=False, repr=False, compare=False)
    """When the block was entered, by ``clock``."""

    def __post_init__(self) -> None:
        self.began = self.clock()

    def add(self, outcome: Outcome) -> None:
        """Note what became of one lookup or update."""
        self.outcomes.append(outcome)

    def serve_stale(self) -> tuple[Outcome, Any] | None:
        """Note that the expired answer is served, and return it; None: there is none to spare."""
        if self.stale_answer is not None:
            self.add(self.stale_answer[0])
        return self.stale_answer

    def having(self, status: Status) -> list[Outcome]:
        """Return the outcomes of one kind."""
        return [outcome for outcome in self.outcomes if outcome.status is status]

    @property
    def hits(self) -> int:
        """How many lookups were answered from the cache."""
        return len(self.having(Status.HIT))

    @property
    def misses(self) -> int:
        """How many lookups found nothing to return."""
        return len(self.having(Status.MISS))

    @property
    def miss_reasons(self) -> Counter[Reason]:
        """How many misses had each reason."""
        return Counter(miss.why for miss in self.having(Status.MISS) if miss.why)

    @property
    def stored(self) -> int:
        """How many answers were stored."""
        return len(self.having(Status.STORED))

    @property
    def skipped(self) -> int:
        """How many answers were not stored; ``having(Status.SKIPPED)`` says why."""
        return len(self.having(Status.SKIPPED))

    @property
    def errors(self) -> int:
        """How many lookups and updates the cache failed at; none of them reached the caller."""
        return len(self.having(Status.ERROR))

    @property
    def last(self) -> Outcome | None:
        """The latest outcome; None when the cache had no part."""
        return self.outcomes[-1] if self.outcomes else None

    @property
    def saved(self) -> Tokens:
        """Tokens of the model that hits made unnecessary, as counted when they were computed."""
        hits = self.having(Status.HIT)
        return Tokens(sum(hit.tokens.input for hit in hits), sum(hit.tokens.output for hit in hits))

    @property
    def tokens_saved(self) -> int:
        """Those of both kinds."""
        return self.saved.total

    @property
    def circuit(self) -> Circuit:
        """Whether the cache is asked now, or left alone after failures."""
        return self.breaker()

    @property
    def milliseconds(self) -> float:
        """How long the lookups and updates took in all."""
        return 1000 * sum(outcome.seconds for outcome in self.outcomes)

    @property
    def elapsed(self) -> float:
        """Seconds since the block was entered: what the model took, and what the cache took."""
        return self.clock() - self.began

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

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return {
            "status": self.status.value,
            "key": self.key,
            "why": self.why.value if self.why else None,
            "detail": self.detail,
            "age": self.age,
            "ttl": self.ttl,
            "tokens": self.tokens._asdict(),
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Report:
    """The outcomes in one ``with cache.policy(...)`` block, in order.

    ``str(report)`` is one line for a log. A pickled or copied report keeps the outcomes, and the
    circuit and the elapsed time of that moment; it leaves out the stale answer.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    stale_answer: tuple[Outcome, Any] | None = field(default=None, repr=False)
    """The last expired answer that may be served if the model fails."""
    breaker: Callable[[], Circuit] = field(
        default=lambda: Circuit.CLOSED, repr=False, compare=False
    )
    """Returns the state of the cache's circuit breaker."""
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False, compare=False)
    began: float = field(init=False, repr=False, compare=False)
    """The time of ``clock`` at which the block began."""

    def __post_init__(self) -> None:
        self.began = self.clock()

    def __getstate__(self) -> tuple[list[Outcome], Circuit, float]:
        return self.outcomes, self.circuit, self.elapsed

    def __setstate__(self, state: tuple[list[Outcome], Circuit, float]) -> None:
        outcomes, circuit, elapsed = state
        self.__init__(outcomes, breaker=lambda: circuit, clock=lambda: elapsed)  # type: ignore[misc]
        self.began = 0.0

    def __str__(self) -> str:
        """Return one line: ``2 lookups: 1 hit, 1 miss (cleared), 15 tokens saved``.

        Stores are expected after misses, so it counts them only if there was no lookup.
        """
        lookups = self.hits + self.misses
        parts = [
            _part(self.having(Status.HIT), "hit"),
            _part(self.having(Status.MISS), "miss", "misses"),
            _part(self.having(Status.STALE), "stale answer"),
            "" if lookups else _part(self.having(Status.STORED), "answer stored", "answers stored"),
            _part(self.having(Status.SKIPPED), "answer not stored", "answers not stored"),
            _part(self.having(Status.ERROR), "error"),
            f"{_count(self.tokens_saved, 'token')} saved" if self.tokens_saved else "",
        ]
        # A failed operation may have been a lookup.
        none = "" if self.errors else "no lookups"
        counted = _count(lookups, "lookup") if lookups else none
        return ": ".join(filter(None, [counted, ", ".join(filter(None, parts))]))

    def as_dict(self) -> dict[str, Any]:
        """Return the counts and the outcomes as plain values, for JSON; no prompt and no answer."""
        return {
            "hits": self.hits,
            "misses": self.misses,
            "miss_reasons": {why.value: count for why, count in self.miss_reasons.items()},
            "stale": len(self.having(Status.STALE)),
            "stored": self.stored,
            "skipped": self.skipped,
            "errors": self.errors,
            "saved": self.saved._asdict(),
            "tokens_saved": self.tokens_saved,
            "circuit": self.circuit.value,
            "milliseconds": self.milliseconds,
            "elapsed": self.elapsed,
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
        }

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


def _part(outcomes: list[Outcome], one: str, several: str = "") -> str:
    """Return the number of outcomes with their reasons; nothing if there are none."""
    if not outcomes:
        return ""
    counts = Counter(outcome.why.value for outcome in outcomes if outcome.why)
    return _count(len(outcomes), one, several) + _reasons(counts, len(outcomes))


def _reasons(counts: Counter[str], total: int) -> str:
    if not counts:
        return ""
    if list(counts.values()) == [total]:
        return f" ({next(iter(counts))})"
    return f" ({', '.join(f'{count} {why}' for why, count in counts.most_common())})"


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"

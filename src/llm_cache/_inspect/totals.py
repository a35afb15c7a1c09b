"""Sums over entries, in memory that does not grow with their number."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_cache._inspect.entry_pages import Listed, State

LARGEST = 10  # entries to name
MAX_NAMESPACES = 1_000  # to count one by one; the smallest others are counted together
OTHERS = "(others)"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
TTL_BOUNDS = (MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, math.inf)
"""The upper ends, in seconds, of the ranges in which the time left is counted."""
_STEP = math.log(1.05)  # the width of a bucket of ages


class Share(NamedTuple):
    """A number of entries, and the bytes of their values."""

    entries: int = 0
    bytes: int = 0

    def plus(self, other: Share) -> Share:
        """Return the sum."""
        return Share(self.entries + other.entries, self.bytes + other.bytes)


@dataclass(slots=True)
class Ages:
    """Ages in seconds: the youngest and the oldest exactly, the median to within 5 percent."""

    youngest: float = math.inf
    oldest: float = -math.inf
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, age: float) -> None:
        """Count an age."""
        self.youngest, self.oldest = min(self.youngest, age), max(self.oldest, age)
        self.buckets[int(math.log1p(age) / _STEP)] += 1

    def merge(self, other: Ages) -> None:
        """Count the ages of ``other`` too."""
        self.youngest = min(self.youngest, other.youngest)
        self.oldest = max(self.oldest, other.oldest)
        self.buckets += other.buckets

    @property
    def median(self) -> float | None:
        """The middle age; None without an age."""
        left = (self.buckets.total() + 1) // 2
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                middle = math.expm1((bucket + 0.5) * _STEP)
                return min(max(middle, self.youngest), self.oldest)
        return None


@dataclass(slots=True)
class Totals:
    """Sums over entries: by state, by namespace, by age and by time left, and the largest."""

    states: dict[State, Share] = field(default_factory=dict)
    namespaces: dict[str, dict[State, Share]] = field(default_factory=dict)
    ages: Ages = field(default_factory=Ages)
    left: Counter[float] = field(default_factory=Counter)
    largest: list[Listed] = field(default_factory=list)

    def add(self, entries: Sequence[Listed]) -> None:
        """Count entries."""
        counts: Counter[tuple[str, State]] = Counter()
        sizes: Counter[tuple[str, State]] = Counter()
        for entry in entries:
            place = entry.namespace, entry.state
            counts[place] += 1
            sizes[place] += entry.found.bytes
            if (age := entry.age) is not None:
                self.ages.add(age)
            if entry.state is State.LIVE and (remaining := entry.remaining) is not None:
                self.left[next(bound for bound in TTL_BOUNDS if remaining < bound)] += 1
        for (namespace, state), count in counts.items():
            share = Share(count, sizes[namespace, state])
            _add(self.states, state, share)
            _add(self.namespaces.setdefault(namespace, {}), state, share)
        self._keep_largest(entries)

    def merge(self, other: Totals) -> None:
        """Count what ``other`` has counted too."""
        _merge(self.states, other.states)
        for name, states in other.namespaces.items():
            _merge(self.namespaces.setdefault(name, {}), states)
        self._fold_namespaces()
        self.ages.merge(other.ages)
        self.left += other.left
        self._keep_largest(other.largest)

    @property
    def sum(self) -> Share:
        """All entries."""
        return total(self.states)

    def _keep_largest(self, entries: Sequence[Listed]) -> None:
        both = [*self.largest, *entries]
        self.largest = heapq.nlargest(LARGEST, both, key=lambda entry: entry.found.bytes)

    def _fold_namespaces(self) -> None:
        """Count the smallest namespaces together if there are too many."""
        if len(self.namespaces) <= MAX_NAMESPACES:
            return
        others = self.namespaces.pop(OTHERS, {})
        kept = dict(list(self.by_size())[: MAX_NAMESPACES - 1])
        for name in self.namespaces.keys() - kept.keys():
            _merge(others, self.namespaces[name])
        self.namespaces = {**kept, OTHERS: others}

    def by_size(self) -> Iterator[tuple[str, dict[State, Share]]]:
        """Yield the namespaces and their shares by state, the largest first."""
        yield from sorted(self.namespaces.items(), key=lambda item: -total(item[1]).bytes)


def total(states: dict[State, Share]) -> Share:
    """Return the sum over all states."""
    return Share(
        sum(share.entries for share in states.values()),
        sum(share.bytes for share in states.values()),
    )


def _add(states: dict[State, Share], state: State, share: Share) -> None:
    states[state] = states.get(state, Share()).plus(share)


def _merge(states: dict[State, Share], others: dict[State, Share]) -> None:
    for state, share in others.items():
        _add(states, state, share)

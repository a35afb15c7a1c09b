"""The TTL of answers: times in seconds, and the operator's bounds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from llm_cache._checks import ABOVE_0, BELOW_1, Range
from llm_cache._errors import InvalidPolicy

MAX_SECONDS = 10 * 365 * 86_400  # ten years; Redis may refuse a later expiry
DEFAULT_TTL = 30 * 86_400.0
SECONDS = Range(f"0 to {MAX_SECONDS} seconds as a number, or a timedelta", most=MAX_SECONDS)
POSITIVE_SECONDS = Range(
    f"more than 0 seconds, at most {MAX_SECONDS}", least=ABOVE_0, most=MAX_SECONDS
)
SHARE = Range("a share: 0 or more and less than 1", most=BELOW_1)

Seconds = float | timedelta
Ttl = Seconds | Callable[[Any, float], Seconds | None]
"""Seconds, a ``timedelta``, or ``(answer, now) -> seconds | None``; None: do not store it."""


def in_seconds(value: Seconds) -> float:
    """Return a valid time as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def check_seconds(field: str, value: Any) -> None:
    """Raise ``InvalidPolicy`` that names ``field`` unless ``value`` is a time in seconds."""
    if in_seconds(value) not in SECONDS:
        raise InvalidPolicy(field, value, SECONDS.accepted)


@dataclass(frozen=True, slots=True)
class TtlBounds:
    """The operator's default TTL, and the shortest and longest TTL of an answer, in seconds.

    ``jitter`` is the share of each TTL that may be cut at random, so that answers stored together
    do not expire together. ``random`` returns 0 or more and less than 1. ``CacheConfig`` checks the
    values.
    """

    default: Ttl
    floor: float
    ceiling: float
    jitter: float = 0.0
    # the kernel's generator: Python's own repeats its numbers in each copy of a Lambda snapshot
    random: Callable[[], float] = field(
        default=random.SystemRandom().random, repr=False, compare=False
    )

    def resolve(self, wanted: Ttl | None, answer: object, now: float) -> int | None:
        """Return the whole seconds to keep ``answer``; None: do not store it.

        ``wanted`` is the policy's TTL, None the default. The result is clamped between floor and
        ceiling, shortened by the jitter, though not below the floor, and rounded up, because Redis'
        ``EX`` takes whole seconds. Raises the errors of a callable TTL.
        """
        ttl = self.default if wanted is None else wanted
        chosen = ttl(answer, now) if callable(ttl) else ttl
        if chosen is None or (seconds := in_seconds(chosen)) <= 0:
            return None
        longest = min(max(seconds, self.floor), self.ceiling)
        return math.ceil(max(self.floor, longest * (1 - self.jitter * self.random())))

    def kept(self, ttl: int, beyond: int) -> int:
        """Return the whole seconds to keep an answer: its TTL, and ``beyond`` to serve it stale.

        The ceiling limits the sum.
        """
        return min(ttl + beyond, math.ceil(self.ceiling))

"""How long answers live: what counts as seconds, and how far the operator lets a wish go."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from llm_cache._checks import number
from llm_cache._errors import InvalidPolicy, InvalidSettings

MAX_SECONDS = 10 * 365 * 86_400  # ten years: beyond it Redis may refuse an expiry
DEFAULT_TTL = 30 * 86_400.0

Seconds = float | timedelta
Ttl = Seconds | Callable[[Any, float], Seconds | None]
"""Seconds, a ``timedelta``, or ``(answer, now) -> seconds | None``; None: it is not stored."""


def in_seconds(value: Seconds) -> float:
    """Return what is known to be a time as seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds(field: str, value: object) -> float:
    """Return ``value`` as seconds; raise ``InvalidPolicy`` naming ``field`` otherwise."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidPolicy(field, value, "seconds as a number, or a timedelta")
    if not 0 <= number <= MAX_SECONDS:
        raise InvalidPolicy(field, value, f"0 to {MAX_SECONDS} seconds")
    return float(number)


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is a time above 0 seconds; raise ``InvalidSettings`` otherwise."""
    accepted = f"more than 0 seconds, at most {MAX_SECONDS}"
    return number(name, value, accepted, lambda given: 0 < given <= MAX_SECONDS)


def share(name: str, value: float) -> float:
    """Return ``value`` if it is a share of less than all; raise ``InvalidSettings`` otherwise."""
    accepted = "a share: 0 or more and less than 1"
    return number(name, value, accepted, lambda given: 0 <= given < 1)


@dataclass(frozen=True, slots=True)
class TtlBounds:
    """How long answers live, by the operator: ``default``, ``floor``, ``ceiling``, in seconds.

    ``jitter`` is the share, 0 or more and less than 1, by which a TTL may be shortened at random,
    so that answers born together do not die together; ``random`` returns 0 or more, less than 1.
    """

    default: Ttl = DEFAULT_TTL
    floor: float = 1.0
    ceiling: float = float(MAX_SECONDS)
    jitter: float = 0.0
    # the kernel's: those restored from one snapshot would all draw alike from Python's own
    random: Callable[[], float] = field(
        default=random.SystemRandom().random, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if positive("ttl_floor", self.floor) > positive("ttl_ceiling", self.ceiling):
            accepted = f"at most ttl_ceiling={self.ceiling}"
            raise InvalidSettings("ttl_floor", self.floor, accepted)
        if not callable(self.default):
            seconds("ttl", self.default)
        share("ttl_jitter", self.jitter)

    def resolve(self, wanted: Ttl | None, answer: object, now: float) -> int | None:
        """Return the whole seconds to keep ``answer``, or None when it is not to be stored.

        Shortened at random by at most ``jitter``, though not below the floor. Fractions round up,
        since Redis' ``EX`` takes whole seconds. What a callable raises passes through; ``update``
        then leaves the answer unstored.
        """
        ttl = self.default if wanted is None else wanted
        given = ttl(answer, now) if callable(ttl) else ttl
        if given is None:
            return None
        asked = in_seconds(given)
        if asked <= 0:
            return None
        most = min(max(asked, self.floor), self.ceiling)
        return math.ceil(max(self.floor, most * (1 - self.jitter * self.random())))

    def kept(self, ttl: int, beyond: int) -> int:
        """Return the whole seconds to keep an answer in all, ``beyond`` its TTL too.

        The ceiling holds for the whole: an error later is no reason to keep more than that.
        """
        return max(ttl, min(ttl + beyond, math.ceil(self.ceiling)))

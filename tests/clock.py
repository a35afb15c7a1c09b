"""A clock that a test sets."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds since any fixed moment."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

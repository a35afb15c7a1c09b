"""The states of the circuit breaker, which reports and metrics name."""

from __future__ import annotations

from enum import StrEnum


class Circuit(StrEnum):
    """The state of a circuit breaker, and its effect on the next command."""

    CLOSED = "closed"
    """Sends it."""
    OPEN = "open"
    """Refuses it at once."""
    HALF_OPEN = "half_open"
    """Refuses it while one test command is in flight."""

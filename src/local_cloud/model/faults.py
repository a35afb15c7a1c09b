"""Failures of Bedrock, on demand: what a test asks for and what a client then sees."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A way in which Bedrock fails or drags."""

    THROTTLED = "throttled"
    BROKEN = "broken"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"
    DENIED = "denied"
    SLOW = "slow"
    HANGS = "hangs"


ERRORS: dict[Fault, tuple[int, str]] = {
    Fault.THROTTLED: (429, "ThrottlingException"),
    Fault.BROKEN: (500, "InternalServerException"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailableException"),
    Fault.TIMED_OUT: (408, "ModelTimeoutException"),
    Fault.DENIED: (403, "AccessDeniedException"),
}
"""Status and error type, as the API reference of Bedrock's Converse lists them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Fail the next `times` calls with `fault`; for ever when `times` is None."""

    fault: Fault
    times: int | None = None
    seconds: float = 0.0


class Faults:
    """The plan in force, used up call by call by the threads of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plan: Plan | None = None

    def set(self, plan: Plan | None) -> None:
        """Put a plan in force, or none."""
        with self._lock:
            self._plan = plan

    def take(self) -> Plan | None:
        """Return what the present call shall suffer, and count it."""
        with self._lock:
            plan = self._plan
            if plan is None or plan.times is None:
                return plan
            left = plan.times - 1
            self._plan = Plan(plan.fault, left, plan.seconds) if left > 0 else None
            return plan

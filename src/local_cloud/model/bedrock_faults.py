"""Faults of Bedrock that tests inject, and the errors that clients receive."""

import threading
from dataclasses import dataclass
from enum import StrEnum


class BedrockFault(StrEnum):
    """A failure or a delay of Bedrock."""

    THROTTLED = "throttled"
    BROKEN = "broken"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"
    DENIED = "denied"
    SLOW = "slow"
    HANGS = "hangs"


ERRORS: dict[BedrockFault, tuple[int, str]] = {
    BedrockFault.THROTTLED: (429, "ThrottlingException"),
    BedrockFault.BROKEN: (500, "InternalServerException"),
    BedrockFault.UNAVAILABLE: (503, "ServiceUnavailableException"),
    BedrockFault.TIMED_OUT: (408, "ModelTimeoutException"),
    BedrockFault.DENIED: (403, "AccessDeniedException"),
}
"""Status and error type, as the API reference of Bedrock's Converse lists them."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """Apply `fault` to the next `times` calls, or to all if `times` is None."""

    fault: BedrockFault
    times: int | None = None
    seconds: float = 0.0


class FaultSchedule:
    """The active fault; each call of any thread uses up one of its times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plan: PlannedFault | None = None

    def set(self, plan: PlannedFault | None) -> None:
        """Activate a fault, or none."""
        with self._lock:
            self._plan = plan

    def take(self) -> PlannedFault | None:
        """Return the fault of the present call, and count the call."""
        with self._lock:
            plan = self._plan
            if plan is None or plan.times is None:
                return plan
            left = plan.times - 1
            self._plan = PlannedFault(plan.fault, left, plan.seconds) if left > 0 else None
            return plan

"""What comes back from a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a function returned, or how it failed.

    `error` is None, or what Lambda calls the FunctionError; the payload is then the error's JSON:
    `errorType`, `errorMessage`, perhaps `stackTrace`. `seconds` is what the caller waited.
    """

    payload: Any
    error: str | None
    seconds: float

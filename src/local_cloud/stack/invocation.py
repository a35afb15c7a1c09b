"""The result of a function's invocation."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function's payload or error, and the seconds that the caller waited.

    `error` is Lambda's FunctionError, or None. With an error, the payload is its JSON: `errorType`,
    `errorMessage` and perhaps `stackTrace`.
    """

    payload: Any
    error: str | None
    seconds: float

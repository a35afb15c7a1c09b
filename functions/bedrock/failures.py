"""Why a call of the model brought no answer."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

BUSY = {
    "ModelNotReadyException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "TooManyRequestsException",
}
SLOW = {"ModelTimeoutException"}


class Cause(StrEnum):
    """What went wrong, by the name that callers and logs are told."""

    TIMEOUT = "model_timeout"
    """No answer came in time."""
    BUSY = "model_busy"
    """The model takes no more requests now."""
    FAILED = "model_failed"
    """The model refused the request, or could not be asked."""


TEXTS = {
    Cause.TIMEOUT: "the model did not answer in time",
    Cause.BUSY: "the model takes no more requests now",
    Cause.FAILED: "the model could not be asked",
}


class Failure(NamedTuple):
    """A cause, a sentence that holds no prompt, and when to try again, if the model said so."""

    cause: Cause
    message: str
    retry_after: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Tell what an error of the model, or of its client, means."""
        if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
            return cls(Cause.TIMEOUT, TEXTS[Cause.TIMEOUT])
        if not isinstance(error, ClientError):
            return cls(Cause.FAILED, TEXTS[Cause.FAILED])
        code = error.response.get("Error", {}).get("Code", "")
        if code in BUSY:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return cls(Cause.BUSY, TEXTS[Cause.BUSY], headers.get("retry-after"))
        if code in SLOW:
            return cls(Cause.TIMEOUT, TEXTS[Cause.TIMEOUT])
        return cls(Cause.FAILED, f"the model refused the request ({code})")

"""Why a call of the model failed, and whose fault that is.

The codes are Bedrock's: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple, Self

from botocore import exceptions as botocore

THROTTLED = {
    "ModelNotReadyException",
    "ServiceQuotaExceededException",
    "ThrottlingException",
    "TooManyRequestsException",
}
TRANSIENT = {"InternalServerException", "ModelErrorException", "ServiceUnavailableException"}
SLOW = {"ModelTimeoutException"}
REFUSED = {"ValidationException"}
TIMEOUTS = (botocore.ConnectTimeoutError, botocore.ReadTimeoutError, TimeoutError)
CONNECTIONS = (botocore.ConnectionError, botocore.HTTPClientError)
_CODE = re.compile("[A-Za-z]{1,60}Exception")


class Cause(StrEnum):
    """The cause of a failure, as callers and logs name it."""

    TIMEOUT = "model_timeout"
    """The model did not answer in time. A retry may succeed."""
    BUSY = "model_busy"
    """The model is throttled or unavailable. A later retry succeeds."""
    REFUSED = "model_refused"
    """The model refused the request as invalid. A retry fails again."""
    MISCONFIGURED = "model_misconfigured"
    """The function may not call this model, or the model does not exist. The operator must act."""


TEXTS = {
    Cause.TIMEOUT: "the model did not answer in time",
    Cause.BUSY: "the model is not available now",
    Cause.REFUSED: "the model refused the request",
    Cause.MISCONFIGURED: "the function cannot call its model",
}


class Failure(NamedTuple):
    """A cause, Bedrock's error code, and the model's ``Retry-After`` if it sent one.

    Holds no text of the request or of the model.
    """

    cause: Cause
    code: str
    retry_after: str | None = None

    @property
    def message(self) -> str:
        """A sentence for the caller."""
        return f"{TEXTS[self.cause]} ({self.code})"

    @classmethod
    def of(cls, error: Exception) -> Self | None:
        """Return why a call of the model failed; None if the error is not of Bedrock or its client.

        Such an error is a fault of the function's own code, and nothing should catch it.
        """
        if isinstance(error, botocore.ClientError):
            return cls._of_bedrock(error)
        if isinstance(error, TIMEOUTS):
            return cls(Cause.TIMEOUT, type(error).__name__)
        if isinstance(error, CONNECTIONS):
            return cls(Cause.BUSY, type(error).__name__)
        if isinstance(error, botocore.BotoCoreError):  # no credentials, no region
            return cls(Cause.MISCONFIGURED, type(error).__name__)
        return None

    @classmethod
    def _of_bedrock(cls, error: botocore.ClientError) -> Self:
        reply = error.response.get("ResponseMetadata", {})
        code = error.response.get("Error", {}).get("Code") or ""
        if not _CODE.fullmatch(code):
            code = "unknown"
        if code in SLOW:
            return cls(Cause.TIMEOUT, code)
        if code in THROTTLED | TRANSIENT or reply.get("HTTPStatusCode", 400) >= 500:  # noqa: PLR2004
            return cls(Cause.BUSY, code, reply.get("HTTPHeaders", {}).get("retry-after"))
        return cls(Cause.REFUSED if code in REFUSED else Cause.MISCONFIGURED, code)

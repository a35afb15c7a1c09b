"""The cause of a failed AWS call, by its error code and HTTP status.

- Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
- S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple, Self

from botocore import exceptions as botocore


class Cause(Enum):
    """Why a call failed, and whether a retry can succeed."""

    TIMEOUT = auto()
    """No answer in time. A retry may succeed."""
    BUSY = auto()
    """Throttled, unavailable or unreachable. A later retry succeeds."""
    REFUSED = auto()
    """The request or the object is invalid. A retry fails again."""
    DENIED = auto()
    """No permission, credentials or key. The operator must act."""
    UNKNOWN = auto()
    """Any other error in the 4xx range."""


CODES = {
    "ModelTimeoutException": Cause.TIMEOUT,
    **dict.fromkeys(
        [
            *("ModelNotReadyException", "ServiceQuotaExceededException", "ThrottlingException"),
            *("TooManyRequestsException", "InternalServerException", "ModelErrorException"),
            *("ServiceUnavailableException", "OperationAborted", "RequestTimeout"),
        ],
        Cause.BUSY,
    ),
    **dict.fromkeys(["ValidationException", "InvalidObjectState", "NoSuchBucket"], Cause.REFUSED),
    **dict.fromkeys(["ExpiredToken", "TokenRefreshRequired"], Cause.DENIED),
}
STATUSES = {403: Cause.DENIED, 429: Cause.BUSY}
TIMEOUTS = (botocore.ConnectTimeoutError, botocore.ReadTimeoutError, TimeoutError)
CONNECTIONS = (botocore.ConnectionError, botocore.HTTPClientError)
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")


class AwsFailure(NamedTuple):
    """A cause, AWS's error code, and the ``Retry-After`` header of a busy service.

    Holds no text of the request or the reply.
    """

    cause: Cause
    code: str
    retry_after: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Self | None:
        """Return why a call failed; None if the error is not of AWS or its client.

        The caller must not catch such an error: it is a bug in the function's own code.
        """
        if isinstance(error, botocore.ClientError):
            return cls._of_reply(error)
        name = type(error).__name__
        if isinstance(error, TIMEOUTS):
            return cls(Cause.TIMEOUT, name)
        if isinstance(error, CONNECTIONS):
            return cls(Cause.BUSY, name)
        if isinstance(error, botocore.BotoCoreError):  # no credentials, no region
            return cls(Cause.DENIED, name)
        return None

    @classmethod
    def _of_reply(cls, error: botocore.ClientError) -> Self:
        reply, code = error.response.get("ResponseMetadata", {}), code_of(error)
        cause = _cause(code, reply.get("HTTPStatusCode", 400))
        retry_after = reply.get("HTTPHeaders", {}).get("retry-after")
        return cls(cause, code, retry_after if cause is Cause.BUSY else None)


def code_of(error: botocore.ClientError) -> str:
    """Return AWS's error code, or "unknown" if it does not look like one."""
    code = str(error.response.get("Error", {}).get("Code"))
    return code if _CODE.fullmatch(code) else "unknown"


def _cause(code: str, status: int) -> Cause:
    if code in CODES:
        return CODES[code]
    if code.startswith("KMS."):
        return Cause.DENIED
    return Cause.BUSY if status >= 500 else STATUSES.get(status, Cause.UNKNOWN)  # noqa: PLR2004

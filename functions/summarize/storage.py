"""S3: its client, and whose fault an error of S3 is."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from faults import NotNow, NotSummarized, Permanent

for _name in ("botocore", "urllib3"):  # at DEBUG they log names and what is written
    logging.getLogger(_name).setLevel(logging.INFO)

ABSENT = {"NoSuchKey", "404"}  # who may not list the bucket gets 403 instead
PERMANENT = {"InvalidObjectState", "NoSuchBucket"}  # the former: the object is archived
TRANSIENT = {"ExpiredToken", "OperationAborted", "RequestTimeout", "TokenRefreshRequired"}
THROTTLED, DENIED = 429, 403
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")


@cache
def s3() -> Any:
    """Return the client, made on first use: a snapshot then holds no connection and no secret."""
    patience = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})
    return boto3.client("s3", config=patience)


def code_of(error: ClientError) -> str:
    """Return S3's code of an error."""
    code = str(error.response.get("Error", {}).get("Code"))
    return code if _CODE.fullmatch(code) else "unknown"


@contextmanager
def failures() -> Iterator[None]:
    """Raise errors of S3 as ``NotSummarized``, by whose fault they are.

    ``NotNow``: S3 or the network fails, or S3 denies access, which the operator must mend.
    """
    try:
        yield
    except ClientError as error:
        raise _kind(error)(f"S3 failed: {code_of(error)}") from None
    except BotoCoreError as error:
        raise NotNow(f"S3 was not reached: {type(error).__name__}") from None


def _kind(error: ClientError) -> type[NotSummarized]:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in PERMANENT:
        return Permanent
    if code in TRANSIENT or code.startswith("KMS.") or status in (DENIED, THROTTLED):
        return NotNow
    return NotNow if status >= 500 else NotSummarized  # noqa: PLR2004

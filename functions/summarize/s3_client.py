"""The S3 client, and its errors as ``SummaryError``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bedrock.aws_failures import AwsFailure, Cause
from summary_errors import PermanentError, SummaryError, TransientError

for _name in ("botocore", "urllib3"):  # at DEBUG they log names and content
    logging.getLogger(_name).setLevel(logging.INFO)

ABSENT = {"NoSuchKey", "404"}  # a function without permission to list the bucket gets 403
ERRORS = {Cause.REFUSED: PermanentError, Cause.UNKNOWN: SummaryError}  # others are transient


@cache
def s3() -> Any:
    """Return the client, created on first use: a snapshot holds no connection and no secret."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})
    return boto3.client("s3", config=config)


@contextmanager
def s3_errors() -> Iterator[None]:
    """Raise errors of S3 in the block as ``SummaryError``, by their cause."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        failure = AwsFailure.of(error)
        assert failure is not None  # noqa: S101  of AWS or its client
        kind = ERRORS.get(failure.cause, TransientError)
        raise kind(f"S3 failed: {failure.code}") from None

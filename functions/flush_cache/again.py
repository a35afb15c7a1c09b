"""Has ``ask`` ask again what was asked most. Imports AWS's client: only who refills does."""

from __future__ import annotations

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

logger = Logger()

REFILL = b'{"refill": true}'  # which questions, and whose: ask and its cache know
CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})


def ask_again(function: str) -> bool:
    """Invoke ``function``, wait for nothing, and return whether it was; the clear is done anyway.

    A failure is logged.
    """
    try:
        boto3.client("lambda", config=CONFIG).invoke(
            FunctionName=function, InvocationType="Event", Payload=REFILL
        )
    except Exception:  # the cache is cleared, and fills by itself
        logger.exception("not refilled")
        return False
    return True

"""Has ``ask`` ask again what was asked most."""

from __future__ import annotations

import os

from aws_lambda_powertools import Logger

from flush import Flush

logger = Logger()

VARIABLE = "REFILL_FUNCTION"  # names who asks; empty: nobody does
REFILL = b'{"refill": true}'  # which questions, and whose: ask and its cache know


def refill(asked: Flush) -> bool:
    """Have it done after a clear of all, where that is wanted; return whether it will be.

    Waits for nothing. A failure is logged: the cache is cleared, and fills by itself.
    """
    function = os.environ.get(VARIABLE)
    if not function or not asked.clears_all:
        return False
    import boto3  # noqa: PLC0415  who does not refill needs no client of AWS
    from botocore.config import Config  # noqa: PLC0415  the same

    bounds = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        boto3.client("lambda", config=bounds).invoke(
            FunctionName=function, InvocationType="Event", Payload=REFILL
        )
    except Exception:
        logger.exception("not refilled")
        return False
    return True

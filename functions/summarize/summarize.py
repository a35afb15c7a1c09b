"""SQS: a message names a document in S3, and its summary is written beside it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from attempt import attempted
from document import max_bytes
from lifetimes import lifetimes
from llm_cache import traced
from message import Message, records
from summary import counted

logger = Logger()
lifetimes(), max_bytes()  # a wrong setting fails here, at the start, and not a message


def done(record: dict[str, Any]) -> bool:
    """Summarize what a record names; return whether SQS may delete its message."""
    logger.set_correlation_id(record["messageId"])
    tried = [attempted(message) for message in Message.of(record).split()]
    return all(tried)


@traced
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Summarize what each message of a batch names, and tell SQS which ones failed."""
    with counted(context):
        failed = [record["messageId"] for record in records(event) if not done(record)]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}

"""The Lambda handler of ``summarize``: a batch of SQS, whose messages name documents in S3."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from attempt import process
from document import max_bytes
from llm_cache import traced
from message import Message, records
from summary import report_of
from summary_ttl import summary_ttls

logger = Logger()
summary_ttls(), max_bytes()  # an invalid setting must fail at start-up


def process_record(record: dict[str, Any], context: Any) -> bool:
    """Summarize the documents of a record; return whether SQS may delete its message."""
    logger.set_correlation_id(record["messageId"])
    done = [process(message, context) for message in Message.of(record).split()]
    return all(done)


@traced
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Summarize the documents of a batch; return which messages failed."""
    with report_of(context):
        failed = [
            record["messageId"] for record in records(event) if not process_record(record, context)
        ]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}

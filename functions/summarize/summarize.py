"""SQS: a message names a document in S3, and its summary is written beside it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities import batch
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from document import max_bytes
from lifetimes import asked_for, lifetimes
from llm_cache import traced
from naming import named
from refusals import why
from summary import counted, summarize
from visibility import come_again

logger = Logger()
lifetimes(), max_bytes()  # a wrong setting fails here, at the start, and not a message


def one(record: SQSRecord) -> None:
    """Summarize what a message names; raise, and it comes again, in the end to the dead letters."""
    logger.set_correlation_id(record.message_id)
    try:
        for document in named(record.body):
            done = summarize(document, asked_for(record.message_attributes))
            logger.info("summarized", extra={"document": document.hashed, "done": done})
    except Exception as error:
        logger.warning("not summarized", extra={"why": why(error)})
        come_again(record, error)
        raise


@traced
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Summarize what each message of a batch names, and tell SQS which ones failed."""
    processor = batch.BatchProcessor(batch.EventType.SQS, raise_on_entire_batch_failure=False)
    with counted(context):
        return batch.process_partial_response(event, one, processor)

"""When a message comes again whose document is not at fault: soon, and not after half an hour."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from refusals import NotNow

logger = Logger()

VARIABLE = "DOCUMENT_MESSAGES"  # the queue's URL; without it a message comes as the queue has it
FIRST, FACTOR, LAST = 120, 4, 1800  # seconds: 2 minutes, 8, and then half an hour


@cache
def sqs() -> Any:
    """Return the client, made on first use: a snapshot then holds no connection and no secret."""
    patience = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("sqs", config=patience)


def come_again(record: SQSRecord, error: Exception) -> None:
    """Have SQS show a message again when it may do, by how often it has come; never raises.

    One request, for ``NotNow`` alone. Where SQS does not take it, that is logged, and the message
    comes again as the queue has it.
    """
    queue = os.environ.get(VARIABLE)
    if not (queue and isinstance(error, NotNow)):
        return
    times = int(record.attributes.approximate_receive_count)
    seconds = min(FIRST * FACTOR ** (times - 1), LAST)
    try:
        sqs().change_message_visibility(
            QueueUrl=queue, ReceiptHandle=record.receipt_handle, VisibilityTimeout=seconds
        )
    except (ClientError, BotoCoreError) as failure:
        told = {"cause": type(failure).__name__}
        logger.warning("comes again as the queue has it", extra=told)

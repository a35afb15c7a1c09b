"""Send messages: back to the queue of documents, or to the dead letters."""

from __future__ import annotations

import base64
import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from message import REASON, RETRY, Message, RetryHistory
from summary_ttl import ATTRIBUTE

logger = Logger()

MESSAGES, FAILURES = "DOCUMENT_MESSAGES", "DOCUMENT_FAILURES"  # variables with the queues' URLs
MAX_ATTRIBUTES = 10  # SQS's limit per message


@cache
def sqs() -> Any:
    """Return the client, created on first use: a snapshot holds no connection and no secret."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("sqs", config=config)


def put_back(message: Message, retry: RetryHistory, delay: int) -> bool:
    """Send a copy that appears after ``delay`` seconds; return whether it was sent.

    SQS counts the receives of a copy from zero, so ``retry`` carries the attempts.
    """
    return _send(MESSAGES, message, RETRY, str(retry), delay)


def dead_letter(message: Message, reason: str) -> bool:
    """Send a message to the dead letters with its reason; return whether it was sent."""
    return _send(FAILURES, message, REASON, reason, 0)


def _send(variable: str, message: Message, attribute: str, value: str, delay: int) -> bool:
    """Send a copy with one more attribute. Without the queue, SQS's own retries remain."""
    if not (queue := os.environ.get(variable)):
        return False
    own = {attribute: {"DataType": "String", "StringValue": value}}
    try:
        sqs().send_message(
            QueueUrl=queue,
            MessageBody=message.body,
            DelaySeconds=delay,
            MessageAttributes=_kept(message) | own,
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("not sent", extra={"queue": variable, "cause": type(error).__name__})
        return False
    return True


def _kept(message: Message) -> dict[str, Any]:
    """Return the sender's attributes in boto3's form.

    If the message has the maximum of ten, drop one that this function does not read.
    """
    names = sorted(message.attributes, key=lambda name: (name != ATTRIBUTE, name))
    return {name: _boto3_form(message.attributes[name]) for name in names[: MAX_ATTRIBUTES - 1]}


def _boto3_form(attribute: dict[str, Any]) -> dict[str, Any]:
    kind = attribute["dataType"]
    if kind.startswith("Binary"):
        return {"DataType": kind, "BinaryValue": base64.b64decode(attribute["binaryValue"])}
    return {"DataType": kind, "StringValue": attribute["stringValue"]}

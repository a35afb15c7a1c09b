"""The two queues that the function sends to: a message is put back, or becomes a dead letter."""

from __future__ import annotations

import base64
import os
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lifetimes import ATTRIBUTE
from message import REASON, RETRY, Message, Retry

logger = Logger()

MESSAGES, FAILURES = "DOCUMENT_MESSAGES", "DOCUMENT_FAILURES"  # variables with the queues' URLs
MOST_ATTRIBUTES = 10  # of a message of SQS


@cache
def sqs() -> Any:
    """Return the client, made on first use: a snapshot then holds no connection and no secret."""
    patience = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("sqs", config=patience)


def put_back(message: Message, retry: Retry, delay: int) -> bool:
    """Send a copy of a message, which appears after ``delay`` seconds; return if it is sent.

    SQS counts the receives of a copy anew, so only ``retry`` spends attempts.
    """
    return _send(MESSAGES, message, RETRY, str(retry), delay)


def dead_letter(message: Message, reason: str) -> bool:
    """Send a message to the dead letters, with the reason as an attribute; return if it is sent."""
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
    """Return the sender's attributes as boto3 has them.

    A message may have ten: of so many, one that this function does not read makes room.
    """
    names = sorted(message.attributes, key=lambda name: (name != ATTRIBUTE, name))
    return {name: _sent(message.attributes[name]) for name in names[: MOST_ATTRIBUTES - 1]}


def _sent(attribute: dict[str, Any]) -> dict[str, Any]:
    kind = attribute["dataType"]
    if kind.startswith("Binary"):
        return {"DataType": kind, "BinaryValue": base64.b64decode(attribute["binaryValue"])}
    return {"DataType": kind, "StringValue": attribute["stringValue"]}

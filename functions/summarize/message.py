"""A message of SQS and its history of retries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import notification

RETRY, REASON = "retry", "reason"
"""The attributes that this function adds: to a message put back, and to a dead letter."""


@dataclass(frozen=True, slots=True)
class RetryHistory:
    """The history of a message that was put back: JSON in its attribute ``retry``."""

    since: int
    """When the first message was sent, in milliseconds since 1970; 0 if unknown."""
    attempts: int = 0
    """Failed attempts."""
    delays: int = 0
    """Tries that ended in a backoff."""
    paid: int = 0
    """Paid model calls."""

    @classmethod
    def of(cls, text: object, sent: int) -> Self:
        """Return the history, or a new one if the text is not a valid history."""
        try:
            history = cls(**json.loads(str(text)))
        except (ValueError, TypeError, RecursionError):
            return cls(sent)
        valid = all(type(count) is int and count >= 0 for count in asdict(history).values())
        return history if valid else cls(sent)

    def __str__(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Message:
    """A body, the sender's attributes in Lambda's form, and the number of receives."""

    body: str
    attributes: Mapping[str, Any]
    received: int
    """SQS also counts a receive whose process crashed."""
    retry: RetryHistory

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return the message of a record in Lambda's event."""
        system = record.get("attributes") or {}
        attributes = {**(record.get("messageAttributes") or {})}
        history, sent = attributes.pop(RETRY, {}), int(system.get("SentTimestamp", 0))
        retry = RetryHistory.of(history.get("stringValue"), sent)
        attributes.pop(REASON, None)
        received = int(system.get("ApproximateReceiveCount", 1))
        return cls(record["body"], attributes, received, retry)

    @property
    def attempts(self) -> int:
        """The attempts at the document, this one included."""
        return self.retry.attempts + self.received

    def age(self, now: float) -> float:
        """Return the seconds since the first message was sent."""
        return max(0.0, now - self.retry.since / 1000) if self.retry.since else 0.0

    def split(self) -> list[Self]:
        """Return one message per document, so that each can fail alone."""
        return [replace(self, body=body) for body in notification.split_records(self.body)]


def records(event: object) -> list[dict[str, Any]]:
    """Return the records of a batch of SQS; raise ``ValueError`` for any other event."""
    match event:
        case {"Records": list(found)}:
            if all(isinstance(it, dict) and {"messageId", "body"} <= it.keys() for it in found):
                return found
    raise ValueError("the event is not a batch of SQS messages")

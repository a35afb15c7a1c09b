"""A message of SQS as Lambda passes it, and how often its document was tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import notification

RETRY, REASON = "retry", "reason"
"""The attributes that this function adds to a message: to its copy, and to its dead letter."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The history of a message that was put back, as its attribute ``retry`` holds it in JSON."""

    since: int
    """When the first message was sent, in milliseconds since 1970; 0 if that is unknown."""
    attempts: int = 0
    """The attempts that failed."""
    delays: int = 0
    """The times that it was put back with a delay."""
    paid: int = 0
    """The model calls that were paid for."""

    @classmethod
    def of(cls, text: object, sent: int) -> Self:
        """Return the history, or a new one for a message without a valid one."""
        try:
            told = cls(**json.loads(str(text)))
        except (ValueError, TypeError, RecursionError):
            return cls(sent)
        valid = all(type(count) is int and count >= 0 for count in asdict(told).values())
        return told if valid else cls(sent)

    def __str__(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Message:
    """A body, the sender's attributes in Lambda's form, and the receives that count."""

    body: str
    attributes: Mapping[str, Any]
    received: int
    """SQS counts a receive after which the process crashed, too."""
    retry: Retry

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return the message of a record of Lambda's event."""
        system = record.get("attributes") or {}
        attributes = {**(record.get("messageAttributes") or {})}
        history, sent = attributes.pop(RETRY, {}), int(system.get("SentTimestamp", 0))
        retry = Retry.of(history.get("stringValue"), sent)
        attributes.pop(REASON, None)
        received = int(system.get("ApproximateReceiveCount", 1))
        return cls(record["body"], attributes, received, retry)

    @property
    def attempts(self) -> int:
        """The attempts at its document, this one included."""
        return self.retry.attempts + self.received

    def age(self, now: float) -> float:
        """Return the seconds since the first message was sent."""
        return max(0.0, now - self.retry.since / 1000) if self.retry.since else 0.0

    def split(self) -> list[Self]:
        """Return a message for each document, so that none depends on another's failure."""
        return [replace(self, body=body) for body in notification.split(self.body)]


def records(event: object) -> list[dict[str, Any]]:
    """Return the records of a batch of SQS; raise ``ValueError`` for any other event."""
    match event:
        case {"Records": list(found)}:
            if all(isinstance(it, dict) and {"messageId", "body"} <= it.keys() for it in found):
                return found
    raise ValueError("the event is not a batch of messages of SQS")

"""SQS with an injected clock, at the wire of the function's client.

Implements visibility, delays, receive counts, redrive, retention and SQS's limits:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from tests.clock import Clock
from tests.functions.documents import deliver

import queues

_numbers = count()


def reply(status: int, body: object, error: str = "") -> AWSResponse:
    """Return a response of the wire for a botocore client."""

    class Raw(BytesIO):
        def stream(self, **_: object) -> Iterator[bytes]:
            yield self.read()

    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return AWSResponse("https://aws", status, {"x-amzn-errortype": error}, Raw(content))


@dataclass
class Sent:
    """A message in a queue; ``visible``: when it may be received."""

    body: str
    attributes: dict[str, Any]
    sent: float
    visible: float
    received: int = 0
    number: int = field(default_factory=_numbers.__next__)

    @property
    def record(self) -> dict[str, Any]:
        attributes = {
            name: {
                "dataType": value["DataType"],
                "stringValue": value.get("StringValue"),
                "binaryValue": value.get("BinaryValue"),
            }
            for name, value in self.attributes.items()
        }
        system = {
            "ApproximateReceiveCount": str(self.received),
            "SentTimestamp": str(int(1000 * self.sent)),
        }
        return {
            "messageId": str(self.number),
            "receiptHandle": f"handle {self.number}",
            "body": self.body,
            "attributes": system,
            "messageAttributes": attributes,
            "eventSource": "aws:sqs",
        }

    def text(self, attribute: str) -> str:
        return str(self.attributes[attribute]["StringValue"])

    @property
    def retry(self) -> dict[str, int]:
        history: dict[str, int] = json.loads(self.text("retry"))
        return history


@dataclass
class Queue:
    """A standard queue; times in seconds."""

    clock: Clock
    dead: "Queue | None" = None
    max_receives: int = 6  # one more than the attempts, so that the function can write the reason
    visibility: float = 1800
    retention: float = 604_800
    messages: list[Sent] = field(default_factory=list)
    expired: list[Sent] = field(default_factory=list)

    def send(self, body: object, attributes: Any = None, delay: int = 0) -> Sent:
        text = body if isinstance(body, str) else json.dumps(body)
        now = self.clock()
        sent = Sent(text, dict(attributes or {}), now, now + delay)
        self.messages.append(sent)
        return sent

    def receive(self, most: int = 1) -> list[Sent]:
        """Receive visible messages; one received too often becomes a dead letter."""
        now, found = self.clock(), list[Sent]()
        for sent in [it for it in self.messages if now - it.sent > self.retention]:
            self.messages.remove(sent)
            self.expired.append(sent)
        for sent in sorted(self.messages, key=lambda it: it.visible):
            if sent.visible > now or len(found) == most:
                break
            if self.dead and sent.received >= self.max_receives:
                self.delete(sent)
                self.dead.messages.append(sent)
                continue
            sent.received, sent.visible = sent.received + 1, now + self.visibility
            found.append(sent)
        return found

    @property
    def only(self) -> Sent:
        (sent,) = self.messages
        return sent

    def delete(self, sent: Sent) -> None:
        self.messages.remove(sent)


@dataclass
class Sqs:
    """The function's two queues."""

    clock: Clock
    refuses: bool = False
    delivered: int = 0
    dead: Queue = field(init=False)
    messages: Queue = field(init=False)

    def __post_init__(self) -> None:
        self.dead = Queue(self.clock)
        self.messages = Queue(self.clock, self.dead)

    def answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        assert request.headers["X-Amz-Target"] == b"AmazonSQS.SendMessage"
        command = json.loads(request.body)
        queue = {"https://sqs/messages": self.messages, "https://sqs/dead": self.dead}
        attributes, delay = command["MessageAttributes"], command["DelaySeconds"]
        if self.refuses or len(attributes) > 10 or not 0 <= delay <= 900:
            return reply(400, {"message": "no"}, "com.amazonaws.sqs#InvalidParameterValue")
        queue[command["QueueUrl"]].send(command["MessageBody"], attributes, delay)
        return reply(200, {"MessageId": "1", "MD5OfMessageBody": ""})

    def deliver(self, left: float | Callable[[], float] = 300) -> list[str]:
        """Deliver one message once it is visible; return its id if it failed."""
        self.clock.now = max(self.clock.now, min(it.visible for it in self.messages.messages))
        (sent,) = self.messages.receive()
        self.delivered += 1
        assert self.delivered < 100, "endless deliveries"
        failed = deliver(sent.record, left=left)
        if not failed:
            self.messages.delete(sent)
        return failed

    def deliver_all(self) -> int:
        """Deliver until the queue is empty; return the deliveries."""
        before = self.delivered
        while self.messages.messages:
            self.deliver()
        return self.delivered - before

    @contextmanager
    def connected(self, setenv: Callable[[str, str], None]) -> Iterator["Sqs"]:
        """Connect the function's client to the queues."""
        setenv("AWS_DEFAULT_REGION", "us-east-1")
        setenv(queues.MESSAGES, "https://sqs/messages")
        setenv(queues.FAILURES, "https://sqs/dead")
        events = queues.sqs().meta.events
        events.register_first("before-send.sqs", self.answer)
        try:
            yield self
        finally:
            queues.sqs.cache_clear()


def binary(value: bytes) -> dict[str, Any]:
    """Return an attribute of bytes, as the wire has it."""
    return {"DataType": "Binary", "BinaryValue": base64.b64encode(value).decode()}


def string(value: str, kind: str = "String") -> dict[str, Any]:
    return {"DataType": kind, "StringValue": value}

"""Deliver batches of SQS to `summarize`, and find the outcome of each document."""

import json
from typing import Any, cast

from tests.functions.documents import Documents
from tests.functions.events import Context
from tests.functions.sqs import Queue, Sqs
from upstash_redis import Redis

import summarize

REPORT, SECOND, UNICODE = "documents/report.txt", "documents/second.txt", "documents/café € +.txt"
DOCUMENTS = (REPORT, SECOND, UNICODE)
DONE, DEAD = "done", "dead letter"
BACK, FAILED = "put back", "failed"
MAX_DELIVERIES = 100  # of messages that were put back


class World:
    """A bucket with the documents that the events name, and both queues."""

    def __init__(self, documents: Documents, sqs: Sqs, redis: Redis) -> None:
        self.documents, self.sqs, self.redis = documents, sqs, redis
        for key in DOCUMENTS:
            documents.put(key, f"The text of {key}.")

    def deliver(self, records: list[dict[str, Any]], seconds: float = 300) -> list[str]:
        """Deliver a batch; return the outcome of each document's message."""
        back, dead = len(self.sqs.messages.messages), len(self.sqs.dead.messages)
        reply = summarize.handler({"Records": records}, cast(Any, Context(seconds)))
        failed = {failure["itemIdentifier"] for failure in reply["batchItemFailures"]}
        sent = [(piece, BACK) for piece in sent_since(self.sqs.messages, back, "retry")]
        sent += [(piece, DEAD) for piece in sent_since(self.sqs.dead, dead, "reason")]
        outcomes = []
        for record in records:
            for piece in pieces(record["body"]):
                outcome = next((outcome for same, outcome in sent if same == piece), DONE)
                if outcome != DONE:
                    sent.remove((piece, outcome))
                assert outcome == DONE or record["messageId"] not in failed, piece
                outcomes.append(FAILED if record["messageId"] in failed else outcome)
        assert sent == [], "a message is sent twice"
        return outcomes

    def settle(self, seconds: float = 300) -> int:
        """Deliver what was put back until nothing is left; return the deliveries."""
        queue, deliveries = self.sqs.messages, 0
        while queue.messages:
            self.sqs.clock.now = max(sent.visible for sent in queue.messages)
            (sent,) = queue.receive()
            if FAILED not in self.deliver([sent.record], seconds):
                queue.delete(sent)
            deliveries += 1
            assert deliveries < MAX_DELIVERIES, "endless deliveries"
        return deliveries

    @property
    def summarized(self) -> list[str]:
        """The documents that have a summary."""
        return [key for key in DOCUMENTS if self.documents.summary(key)]

    def reset(self) -> None:
        """Delete the summaries, the cached answers and the messages."""
        self.redis.flushdb()
        for key in self.summarized:
            self.documents.s3.delete_object(Bucket=self.documents.name, Key=f"summaries/{key}.json")
        self.sqs.messages.messages.clear()
        self.sqs.dead.messages.clear()


def sent_since(queue: Queue, before: int, attribute: str) -> list[Any]:
    """Return the documents of newer messages of a queue; each message has the attribute."""
    newer = queue.messages[before:]
    assert all(sent.text(attribute) for sent in newer)
    return [piece for sent in newer for piece in pieces(sent.body)]


def pieces(body: str) -> list[Any]:
    """Return the parsed body; one per record of a notification."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return [body]
    match parsed:
        case {"Records": [_, _, *_] as records}:
            return [{"Records": [record]} for record in records]
    return [parsed]

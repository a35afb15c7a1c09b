"""`summarize` loses no message of a queue, repeats none for ever, and refuses other events."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, cast

import attempt
import pytest
from tests.clock import Clock
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents, bucket
from tests.functions.events import Context, event, names
from tests.functions.fronts import ALL, front
from tests.functions.sqs import Sent, Sqs
from upstash_redis import Redis

import summarize

REPORT, SECOND, UNICODE = "documents/report.txt", "documents/second.txt", "documents/café € +.txt"
DOCUMENTS = (REPORT, SECOND, UNICODE)
SENT = 1_763_889_600  # seconds since 1970: what the events say
DONE, DEAD = "done", "dead letter"
BACK, FAILED = "put back", "failed"
OUTCOMES: dict[str, tuple[list[str], list[str]]] = {  # of each document; the summaries
    "batch_of_many": ([DONE, DEAD, DONE, DONE, DEAD], [REPORT, SECOND]),
    "dead_letter_of_lambda": ([DEAD], []),
    "empty_body": ([DEAD], []),
    "eventbridge_custom": ([DEAD], []),
    "eventbridge_s3_object_created": ([DONE], [REPORT]),
    "eventbridge_s3_object_deleted": ([DONE], []),
    "fifo": ([DONE, DONE], [REPORT, SECOND]),
    "json_scalar_bodies": ([DEAD] * 4, []),
    "lambda_destination": ([DEAD], []),
    "own_body": ([DONE], [REPORT]),
    "own_body_indented": ([DONE], [REPORT]),
    "own_body_with_attributes": ([DONE], [REPORT]),
    "question_body": ([DEAD], []),
    "s3_absent_document": ([DONE], []),  # deleted before its turn
    "s3_absent_version": ([DONE], []),
    "s3_delete": ([DONE], []),
    "s3_empty_version": ([DONE], [REPORT]),
    "s3_folder": ([DONE], []),
    "s3_long_event_name": ([DONE], [REPORT]),
    "s3_multipart": ([DONE], [REPORT]),
    "s3_one_bad_record": ([DEAD, DONE], [REPORT]),
    "s3_put": ([DONE], [REPORT]),
    "s3_test_event": ([DONE], []),
    "s3_two_records": ([DONE, DONE], [REPORT, SECOND]),
    "s3_unicode_key": ([DONE], [UNICODE]),
    "sns_of_s3": ([DONE], [REPORT]),
    "sns_own_text": ([DEAD], []),
    "sns_raw_delivery": ([DONE], [REPORT]),
    "sns_test_event": ([DONE], []),
    "summary_of_its_own": ([DEAD], []),
    "xml_body": ([DEAD], []),
}
SHAPES = [  # whose messages differ in what becomes of them
    *("own_body", "s3_two_records", "s3_one_bad_record", "s3_absent_document", "sns_of_s3"),
    *("eventbridge_s3_object_created", "fifo", "batch_of_many"),
]
SQS = [name.removeprefix("sqs/") for name in names("sqs")]
OTHERS = {name: event(name) for name in names("http", "unsupported", "services", "schedules")}
OTHERS |= {f"fronts/{name}": front(name) for name in ALL}


class World:
    """A bucket with the documents that the events name, and the queues of the function."""

    def __init__(self, documents: Documents, sqs: Sqs, redis: Redis) -> None:
        self.documents, self.sqs, self.redis = documents, sqs, redis
        for key in DOCUMENTS:
            documents.put(key, f"The text of {key}.")

    def deliver(self, records: list[dict[str, Any]], seconds: float = 300) -> list[str]:
        """Hand a batch over; return what became of each document's message."""
        back, dead = self.sqs.messages.messages, self.sqs.dead.messages
        before = len(back), len(dead)
        reply = summarize.handler({"Records": records}, cast(Any, Context(seconds)))
        failed = {failure["itemIdentifier"] for failure in reply["batchItemFailures"]}
        assert all("retry" in sent.attributes for sent in back[before[0] :])
        assert all(sent.text("reason") for sent in dead[before[1] :])
        sent = {BACK: bodies(back[before[0] :]), DEAD: bodies(dead[before[1] :])}
        ended = []
        for record in records:
            for piece in pieces(record["body"]):
                ways = [way for way in (BACK, DEAD) for _ in range(sent[way].count(piece))]
                ways += [FAILED] if record["messageId"] in failed else []
                assert len(ways) <= 1, (piece, ways)
                ended.append(ways[0] if ways else DONE)
        assert ended.count(BACK) + ended.count(DEAD) == len(back) + len(dead) - sum(before)
        return ended

    def settle(self, seconds: float = 300) -> int:
        """Deliver what was put back until nothing is left; return the deliveries."""
        queue = self.sqs.messages
        for deliveries in count():
            if not queue.messages:
                return deliveries
            self.sqs.clock.now = max(sent.visible for sent in queue.messages)
            (sent,) = queue.receive()
            if FAILED not in self.deliver([sent.record], seconds):
                queue.delete(sent)
        raise AssertionError

    @property
    def summarized(self) -> list[str]:
        """The documents that have a summary."""
        return [key for key in DOCUMENTS if self.documents.summary(key)]

    def forget(self) -> None:
        """Delete the summaries, the cached answers and the messages."""
        self.redis.flushdb()
        for key in self.summarized:
            self.documents.s3.delete_object(Bucket=self.documents.name, Key=f"summaries/{key}.json")
        self.sqs.messages.messages.clear()
        self.sqs.dead.messages.clear()


def bodies(messages: Iterable[Sent]) -> list[Any]:
    return [piece for sent in messages for piece in pieces(sent.body)]


def pieces(body: str) -> list[Any]:
    """Return what a body asks for: a notification of several objects is several pieces."""
    try:
        told = json.loads(body)
    except ValueError:
        return [body]
    match told:
        case {"Records": [_, _, *_] as records}:
            return [{"Records": [record]} for record in records]
    return [told]


@pytest.fixture
def world(
    model: Bedrock, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    clock.now = SENT + 60
    monkeypatch.setattr(attempt, "clock", clock)
    with bucket(model, monkeypatch) as documents, Sqs(clock).connected(monkeypatch.setenv) as sqs:
        yield World(documents, sqs, redis)


def test_each_message_ends_in_one_way(world: World) -> None:
    assert sorted(OUTCOMES) == SQS
    found = {}
    for name in SQS:
        ended = world.deliver(event(f"sqs/{name}")["Records"])
        found[name] = (ended, world.summarized)
        world.forget()
    assert found == OUTCOMES


def throttled(model: Bedrock) -> float:
    model.status, model.error = 429, "ThrottlingException"
    return 300


def broken(model: Bedrock) -> float:
    model.status, model.error = 500, "InternalServerException"
    return 300


def refused(model: Bedrock) -> float:
    model.status, model.error = 400, "ValidationException"
    return 300


def blocked(model: Bedrock) -> float:
    model.stops = "guardrail_intervened"
    return 300


def late(_: Bedrock) -> float:
    return 1


@pytest.mark.parametrize("fault", [throttled, broken, late])
def test_message_that_is_put_back_ends_when_the_fault_has_ended(
    world: World, model: Bedrock, fault: Callable[[Bedrock], float]
) -> None:
    for name in SHAPES:
        ends, summarized = OUTCOMES[name]
        seconds = fault(model)
        ended = world.deliver(event(f"sqs/{name}")["Records"], seconds)
        assert world.summarized == [], name
        assert ended.count(BACK) >= len(summarized), name
        model.status, model.error = 200, ""
        world.settle()
        dead = len(world.sqs.dead.messages)
        assert (dead, world.summarized) == (ends.count(DEAD), summarized), name
        world.forget()


@pytest.mark.parametrize("fault", [refused, blocked])
def test_message_whose_fault_lasts_becomes_a_dead_letter(
    world: World, model: Bedrock, fault: Callable[[Bedrock], float]
) -> None:
    for name in SHAPES:
        ends, summarized = OUTCOMES[name]
        world.deliver(event(f"sqs/{name}")["Records"], fault(model))
        assert world.settle() <= 5 * len(ends), name
        assert len(world.sqs.dead.messages) == ends.count(DEAD) + len(summarized), name
        world.forget()


def test_message_that_cannot_be_sent_is_left_to_the_retries_of_sqs(
    world: World, model: Bedrock
) -> None:
    throttled(model)
    world.sqs.refuses = True
    for name in SHAPES:
        ends, summarized = OUTCOMES[name]
        ended = world.deliver(event(f"sqs/{name}")["Records"])
        kept = len(summarized) + ends.count(DEAD)
        assert ended.count(FAILED) >= kept > 0 or kept == 0, (name, ended)


def test_event_of_no_queue_is_an_error_that_says_so(world: World, model: Bedrock) -> None:
    for name, sent in OTHERS.items():
        with pytest.raises(Exception, match="SQS") as raised:
            summarize.handler(sent, cast(Any, Context()))
        assert len(str(raised.value)) < 500, name
    assert (world.summarized, model.requests) == ([], [])

"""`summarize` loses no message of a queue, repeats none without end, and refuses other events."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from tests.clock import Clock
from tests.functions.bedrock import Bedrock
from tests.functions.changes import JSON, changed
from tests.functions.documents import Documents, bucket
from tests.functions.events import Context, event, names
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import attempt
import summarize

REPORT, SECOND, UNICODE = "documents/report.txt", "documents/second.txt", "documents/café € +.txt"
DOCUMENTS = (REPORT, SECOND, UNICODE)
DONE, DEAD = "done", "dead letter"
BACK, FAILED = "put back", "failed"
SENT = 1_763_889_600  # the time in the events, in seconds since 1970
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
SHAPES = ["own_body", "s3_two_records", "s3_one_bad_record", "sns_of_s3", "batch_of_many"]
"""Batches whose messages have different outcomes."""
SQS = [name.removeprefix("sqs/") for name in names("sqs")]
OTHERS = {name: event(name) for name in names() if not name.startswith("sqs/")}


class World:
    """A bucket with the documents that the events name, and both queues."""

    def __init__(self, documents: Documents, sqs: Sqs, redis: Redis) -> None:
        self.documents, self.sqs, self.redis = documents, sqs, redis
        for key in DOCUMENTS:
            documents.put(key, f"The text of {key}.")

    def deliver(self, records: list[dict[str, Any]], seconds: float = 300) -> list[str]:
        """Deliver a batch; return the outcome of each document's message."""
        queues = {BACK: (self.sqs.messages, "retry"), DEAD: (self.sqs.dead, "reason")}
        before = {outcome: len(queue.messages) for outcome, (queue, _) in queues.items()}
        reply = summarize.handler({"Records": records}, cast(Any, Context(seconds)))
        failed = {failure["itemIdentifier"] for failure in reply["batchItemFailures"]}
        sent = []
        for outcome, (queue, attribute) in queues.items():
            for message in queue.messages[before[outcome] :]:
                assert message.text(attribute)
                sent += [(piece, outcome) for piece in pieces(message.body)]
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

    @property
    def summarized(self) -> list[str]:
        return [key for key in DOCUMENTS if self.documents.summary(key)]

    def reset(self) -> None:
        """Delete the summaries, the cached answers and the messages."""
        self.redis.flushdb()
        for key in self.summarized:
            self.documents.s3.delete_object(Bucket=self.documents.name, Key=f"summaries/{key}.json")
        self.sqs.messages.messages.clear()
        self.sqs.dead.messages.clear()


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


@pytest.fixture
def world(
    model: Bedrock, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    clock.now = SENT + 60
    monkeypatch.setattr(attempt, "clock", clock)
    with bucket(model, monkeypatch) as documents, Sqs(clock).connected(monkeypatch.setenv) as sqs:
        yield World(documents, sqs, redis)


def test_each_document_has_one_outcome(world: World) -> None:
    assert sorted(OUTCOMES) == SQS
    found = {}
    for name in SQS:
        outcomes = world.deliver(event(f"sqs/{name}")["Records"])
        found[name] = (outcomes, world.summarized)
        world.reset()
    assert found == OUTCOMES


FAULTS: dict[str, tuple[dict[str, Any], float, bool]] = {  # the model; seconds; whether it ends
    "throttled": ({"status": 429, "error": "ThrottlingException"}, 300, True),
    "late": ({}, 1, True),
    "blocked": ({"stops": "guardrail_intervened"}, 300, False),
    "unexpected": ({"content": [{"unknown": 1}]}, 300, False),
}


@pytest.mark.parametrize(("model_fields", "seconds", "ends"), FAULTS.values(), ids=FAULTS)
def test_message_is_put_back_or_becomes_a_dead_letter_if_the_fault_lasts(
    world: World, model: Bedrock, model_fields: dict[str, Any], seconds: float, ends: bool
) -> None:
    for name in SHAPES:
        outcomes, summarized = OUTCOMES[name]
        vars(model).update(model_fields)
        first = world.deliver(event(f"sqs/{name}")["Records"], seconds)
        assert world.summarized == [], name
        if ends:
            assert first.count(BACK) >= len(summarized), name
            model.recover()
        assert world.sqs.deliver_all() <= 4 * len(outcomes), (
            name
        )  # after the first of five attempts
        dead = outcomes.count(DEAD) + (0 if ends else len(summarized))
        assert len(world.sqs.dead.messages) == dead, name
        assert world.summarized == (summarized if ends else []), name
        world.reset()


def test_message_that_cannot_be_sent_is_left_to_the_retries_of_sqs(world: World) -> None:
    world.sqs.refuses = True
    for name in SHAPES:
        outcomes, summarized = OUTCOMES[name]
        found = world.deliver(event(f"sqs/{name}")["Records"], seconds=1)
        assert found.count(FAILED) >= len(summarized) + outcomes.count(DEAD), (name, found)


RECORDS = [record for name in SQS for record in event(f"sqs/{name}")["Records"]]
BODIES = [json.loads(record["body"]) for record in RECORDS if record["body"].startswith("{")]


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(body=JSON | changed(BODIES))
def test_message_with_any_body_is_done_or_becomes_a_dead_letter(world: World, body: object) -> None:
    outcomes = world.deliver([{**RECORDS[0], "body": json.dumps(body)}])
    assert not {BACK, FAILED} & set(outcomes)


@pytest.mark.parametrize("sent", [*OTHERS.values(), {}, [], None, {"Records": 1}])
def test_other_event_raises_an_error_that_names_sqs(model: Bedrock, sent: Any) -> None:
    with pytest.raises(ValueError, match=r"^the event is not a batch of SQS messages$"):
        summarize.handler(sent, cast(Any, Context()))
    assert model.requests == []

"""`summarize` loses no message of a queue, repeats none without end, and refuses other events."""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from tests.clock import Clock
from tests.functions.bedrock import Bedrock
from tests.functions.changes import JSON, changed
from tests.functions.deliveries import BACK, DEAD, DONE, FAILED, REPORT, SECOND, UNICODE, World
from tests.functions.documents import bucket
from tests.functions.events import Context, event, names
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import attempt
import summarize

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


def failing(status: int, error: str) -> Callable[[Bedrock], float]:
    """Return a fault that sets the model's failure, and returns the invocation's seconds."""

    def fault(model: Bedrock) -> float:
        model.fail(status, error)
        return 300

    return fault


def answering(**fields: Any) -> Callable[[Bedrock], float]:
    def fault(model: Bedrock) -> float:
        for name, value in fields.items():
            setattr(model, name, value)
        return 300

    return fault


@pytest.mark.parametrize(
    "fault",
    [failing(429, "ThrottlingException"), failing(500, "InternalServerException"), lambda _: 1],
    ids=["throttled", "broken", "late"],
)
def test_message_that_is_put_back_ends_after_the_fault(
    world: World, model: Bedrock, fault: Callable[[Bedrock], float]
) -> None:
    for name in SHAPES:
        outcomes, summarized = OUTCOMES[name]
        seconds = fault(model)
        first = world.deliver(event(f"sqs/{name}")["Records"], seconds)
        assert world.summarized == [], name
        assert first.count(BACK) >= len(summarized), name
        model.recover()
        world.settle()
        dead = len(world.sqs.dead.messages)
        assert (dead, world.summarized) == (outcomes.count(DEAD), summarized), name
        world.reset()


@pytest.mark.parametrize(
    "fault",
    [
        failing(400, "ValidationException"),
        answering(stops="guardrail_intervened"),
        answering(content=[{"unknown": 1}]),  # an unexpected error
    ],
    ids=["refused", "blocked", "unreadable"],
)
def test_message_with_a_lasting_fault_becomes_a_dead_letter(
    world: World, model: Bedrock, fault: Callable[[Bedrock], float]
) -> None:
    for name in SHAPES:
        outcomes, summarized = OUTCOMES[name]
        world.deliver(event(f"sqs/{name}")["Records"], fault(model))
        assert world.settle() <= 4 * len(outcomes), name  # after the first of five attempts
        assert len(world.sqs.dead.messages) == outcomes.count(DEAD) + len(summarized), name
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

"""`summarize` loses no message of a queue, repeats none for ever, and refuses other events."""

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
from tests.functions.fronts import ALL, front
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import attempt
import summarize

SENT = 1_763_889_600  # seconds since 1970: what the events say
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
"""Those whose messages differ in what becomes of them."""
SQS = [name.removeprefix("sqs/") for name in names("sqs")]
OTHERS = {name: event(name) for name in names("http", "unsupported", "services", "schedules")}
OTHERS |= {f"fronts/{name}": front(name) for name in ALL}


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


def unreadable(model: Bedrock) -> float:
    model.content = [{"unknown": 1}]  # an error that no code expects
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


@pytest.mark.parametrize("fault", [refused, blocked, unreadable])
def test_message_whose_fault_lasts_becomes_a_dead_letter(
    world: World, model: Bedrock, fault: Callable[[Bedrock], float]
) -> None:
    for name in SHAPES:
        ends, summarized = OUTCOMES[name]
        world.deliver(event(f"sqs/{name}")["Records"], fault(model))
        assert world.settle() <= 4 * len(ends), name  # after the first of five attempts
        assert len(world.sqs.dead.messages) == ends.count(DEAD) + len(summarized), name
        world.forget()


def test_message_that_cannot_be_sent_is_left_to_the_retries_of_sqs(world: World) -> None:
    world.sqs.refuses = True
    for name in SHAPES:
        ends, summarized = OUTCOMES[name]
        ended = world.deliver(event(f"sqs/{name}")["Records"], seconds=1)
        assert ended.count(FAILED) >= len(summarized) + ends.count(DEAD), (name, ended)


RECORDS = [record for name in SQS for record in event(f"sqs/{name}")["Records"]]
BODIES = [json.loads(record["body"]) for record in RECORDS if record["body"].startswith("{")]


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(body=JSON | changed(BODIES))
def test_message_with_any_body_ends_in_one_way(world: World, body: object) -> None:
    ended = world.deliver([{**RECORDS[0], "body": json.dumps(body)}])
    assert not {BACK, FAILED} & set(ended)


def test_event_of_no_queue_is_an_error_that_says_so(world: World, model: Bedrock) -> None:
    for name, sent in OTHERS.items():
        with pytest.raises(Exception, match="SQS") as raised:
            summarize.handler(sent, cast(Any, Context()))
        assert len(str(raised.value)) < 500, name
    assert (world.summarized, model.requests) == ([], [])

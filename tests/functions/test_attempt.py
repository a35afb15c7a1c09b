"""Which failures of a document spend its five attempts, and when it is tried again."""

import json
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from tests.functions.bedrock import Bedrock, throttle
from tests.functions.documents import KEY, Documents, body
from tests.functions.sqs import Sqs, reply, string

import attempt
import budget
import s3_client
import summary

DAY = 86_400.0


def s3_fails(documents: Documents, operation: str, status: int, code: str) -> None:
    """Let S3 answer the function with an error from now on."""

    def fail(**_: object) -> AWSResponse:
        return reply(status, f"<Error><Code>{code}</Code></Error>".encode())

    s3_client.s3().meta.events.register_first(f"before-send.s3.{operation}", fail)


def test_throttled_message_is_put_back_after_2_then_8_then_15_minutes(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    delays = []
    for _ in range(6):
        assert sqs.deliver() == []
        delays.append(sqs.messages.only.visible - sqs.clock.now)
    assert delays == [120, 480, 900, 900, 900, 900]
    assert sqs.messages.only.retry["attempts"] == 0
    model.status, model.error = 200, ""
    sqs.deliver()
    assert (sqs.messages.messages, sqs.dead.messages) == ([], [])


NOT_NOW = {
    "ModelErrorException": 424,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ModelTimeoutException": 408,
    "AccessDeniedException": 403,
}


@pytest.mark.parametrize("error", NOT_NOW)
def test_fault_of_the_model_or_its_operator_spends_no_attempt(
    model: Bedrock, sqs: Sqs, error: str
) -> None:
    model.status, model.error = NOT_NOW[error], error
    sqs.messages.send(body(KEY))
    assert sqs.deliver() == []
    assert sqs.messages.only.retry | {"since": 0} == {
        "attempts": 0,
        "delays": 1,
        "paid": 0,
        "since": 0,
    }


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "RequestTimeout"),
        (403, "AccessDenied"),
        (400, "KMS.DisabledException"),
    ],
)
def test_fault_of_s3_or_its_operator_spends_no_attempt(
    documents: Documents,
    sqs: Sqs,
    operation: str,
    status: int,
    code: str,
) -> None:
    s3_fails(documents, operation, status, code)
    sqs.messages.send(body(KEY))
    assert sqs.deliver() == []
    assert sqs.messages.only.retry["attempts"] == 0


@pytest.mark.parametrize(("status", "code"), [(403, "InvalidObjectState"), (404, "NoSuchBucket")])
def test_permanent_fault_of_s3_makes_a_dead_letter_at_once(
    documents: Documents, sqs: Sqs, status: int, code: str
) -> None:
    s3_fails(documents, "GetObject", status, code)
    sqs.messages.send(body(KEY))
    assert sqs.deliver() == []
    assert sqs.dead.only.text("reason") == f"S3 failed: {code}"


def test_unexpected_error_costs_five_attempts_then_makes_a_dead_letter(
    sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def broken(*_: object) -> str:
        calls.append(None)
        raise ZeroDivisionError("no word of this is told")

    monkeypatch.setattr(attempt, "summarize", broken)
    sqs.messages.send(body(KEY))
    began = sqs.clock.now
    while sqs.messages.messages:
        assert sqs.deliver() == []
    assert (len(calls), sqs.clock.now - began) == (5, 4 * 900)
    assert sqs.dead.only.text("reason") == "ZeroDivisionError"


def test_throttles_between_do_not_renew_the_five_attempts(
    model: Bedrock, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeds, faults = summary.summarize, 0

    def fails_every_second_time(*asked: Any) -> str:
        nonlocal faults
        if sqs.messages.messages[-1].number % 2:
            faults += 1
            raise ZeroDivisionError
        return succeeds(*asked)

    monkeypatch.setattr(attempt, "summarize", fails_every_second_time)
    throttle(model)
    sqs.messages.send(body(KEY))
    while sqs.messages.messages:
        sqs.deliver()
    assert faults == 5
    assert len(sqs.dead.messages) == 1


def test_crashes_count_as_attempts_and_the_sixth_receive_calls_no_model(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    sqs.deliver()
    model.requests.clear()
    copy = sqs.messages.only
    history = {**copy.retry, "attempts": 3}
    copy.attributes["retry"] = string(json.dumps(history))
    for _ in range(2):  # the process crashes: SQS counts, and brings it again
        sqs.clock.now = copy.visible
        assert sqs.messages.receive() == [copy]
    assert sqs.deliver() == []
    assert sqs.dead.only.text("reason") == "the last attempt crashed or timed out"
    assert model.requests == []


def test_message_that_was_never_begun_is_put_back_for_a_few_seconds(sqs: Sqs) -> None:
    sqs.messages.send(body(KEY))
    assert sqs.deliver(lambda: 19) == []
    copy = sqs.messages.only
    assert copy.visible - sqs.clock.now == 10
    assert (copy.retry["attempts"], copy.retry["delays"]) == (0, 0)


def test_message_is_put_back_for_a_week_at_most(model: Bedrock, sqs: Sqs) -> None:
    throttle(model)
    sent = sqs.messages.send(body(KEY))
    sqs.clock.now += 6 * DAY
    sqs.deliver()
    assert sqs.messages.only.retry["since"] == int(1000 * sent.sent)
    sqs.clock.now += 2 * DAY
    sqs.deliver()
    reason = "the model is not available now (ThrottlingException)"
    assert sqs.dead.only.text("reason") == reason


def test_large_document_that_the_cache_does_not_keep_costs_five_attempts(
    model: Bedrock, documents: Documents, sqs: Sqs
) -> None:
    documents.put(KEY, "\n\n".join(f"Paragraph {number}. " * 200 for number in range(12)))
    sqs.messages.send(body(KEY), {"cache-ttl": string("0", "Number")})

    def left(due: int) -> float:
        return 300 if len(model.requests) == due else budget.NEEDED - 1

    times = 0
    while sqs.messages.messages:
        times, due = times + 1, len(model.requests)
        sqs.deliver(partial(left, due))
    assert times == 5
    assert len(model.requests) <= 5 * summary.AT_ONCE
    assert sqs.dead.only.text("reason") == "the invocation has too little time left"

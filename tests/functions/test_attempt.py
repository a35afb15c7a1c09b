"""Which failures use one of a document's five attempts, and when the document is retried."""

import json
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from tests.functions.bedrock import Bedrock
from tests.functions.documents import KEY, Documents, body
from tests.functions.sqs import Sqs, reply, string

import attempt
import budget
import s3_client
import summary

DAY = 86_400.0


def fail_s3(operation: str, status: int, code: str) -> None:
    """Let S3 answer the function with an error from now on."""

    def fail(**_: object) -> AWSResponse:
        return reply(status, f"<Error><Code>{code}</Code></Error>".encode())

    s3_client.s3().meta.events.register_first(f"before-send.s3.{operation}", fail)


def test_throttled_message_is_put_back_after_2_then_8_then_15_minutes(
    model: Bedrock, sqs: Sqs
) -> None:
    model.throttle()
    sqs.messages.send(body(KEY))
    delays = []
    for _ in range(6):
        assert sqs.deliver() == []
        delays.append(sqs.messages.only.visible - sqs.clock.now)
    assert delays == [120, 480, 900, 900, 900, 900]
    assert sqs.messages.only.retry["attempts"] == 0
    model.recover()
    sqs.deliver()
    assert (sqs.messages.messages, sqs.dead.messages) == ([], [])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (424, "ModelErrorException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (408, "ModelTimeoutException"),
        (403, "AccessDeniedException"),
    ],
)
def test_failed_model_uses_no_attempt(model: Bedrock, sqs: Sqs, status: int, error: str) -> None:
    model.fail(status, error)
    sqs.messages.send(body(KEY))
    assert sqs.deliver() == []
    retry = sqs.messages.only.retry
    assert (retry["attempts"], retry["delays"], retry["paid"]) == (0, 1, 0)


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
@pytest.mark.parametrize(
    ("status", "code", "attempts"),  # None: a dead letter
    [
        (503, "SlowDown", 0),
        (500, "InternalError", 0),
        (400, "RequestTimeout", 0),
        (400, "ExpiredToken", 0),
        (403, "AccessDenied", 0),
        (400, "KMS.DisabledException", 0),
        (400, "InvalidRequest", 1),
        (403, "InvalidObjectState", None),
        (404, "NoSuchBucket", None),
    ],
)
def test_failed_s3_uses_no_attempt_unless_the_request_or_the_object_is_at_fault(
    sqs: Sqs, operation: str, status: int, code: str, attempts: int | None
) -> None:
    fail_s3(operation, status, code)
    sqs.messages.send(body(KEY))
    assert sqs.deliver() == []
    if attempts is None:
        assert sqs.dead.only.text("reason") == f"S3 failed: {code}"
    else:
        assert sqs.messages.only.retry["attempts"] == attempts


def test_unexpected_error_uses_five_attempts_then_makes_a_dead_letter(
    sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def broken(*_: object) -> str:
        calls.append(None)
        raise ZeroDivisionError("a text that no log may hold")

    monkeypatch.setattr(attempt, "summarize", broken)
    sqs.messages.send(body(KEY))
    began = sqs.clock.now
    sqs.deliver_all()
    assert (len(calls), sqs.clock.now - began) == (5, 4 * 900)
    assert sqs.dead.only.text("reason") == "ZeroDivisionError"


def test_throttles_between_failures_do_not_renew_the_five_attempts(
    model: Bedrock, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeds, failures = summary.summarize, 0

    def fails_every_second_time(*arguments: Any) -> str:
        nonlocal failures
        if sqs.messages.messages[-1].number % 2:
            failures += 1
            raise ZeroDivisionError
        return succeeds(*arguments)

    monkeypatch.setattr(attempt, "summarize", fails_every_second_time)
    model.throttle()
    sqs.messages.send(body(KEY))
    sqs.deliver_all()
    assert failures == 5
    assert len(sqs.dead.messages) == 1


def test_crash_uses_an_attempt_and_the_sixth_receive_calls_no_model(
    model: Bedrock, sqs: Sqs
) -> None:
    model.throttle()
    sqs.messages.send(body(KEY))
    sqs.deliver()
    model.requests.clear()
    copy = sqs.messages.only
    copy.attributes["retry"] = string(json.dumps({**copy.retry, "attempts": 3}))
    for _ in range(2):  # the process crashes: SQS counts the receive
        sqs.clock.now = copy.visible
        assert sqs.messages.receive() == [copy]
    assert sqs.deliver() == []
    assert sqs.dead.only.text("reason") == "the last attempt crashed or timed out"
    assert model.requests == []


def test_message_without_time_to_start_is_put_back_for_seconds(
    model: Bedrock, documents: Documents, sqs: Sqs
) -> None:
    sqs.messages.send(body(KEY))
    assert sqs.deliver(19) == []
    assert (documents.calls, model.requests) == ([], [])
    copy = sqs.messages.only
    assert copy.visible - sqs.clock.now == 10
    assert (copy.retry["attempts"], copy.retry["delays"]) == (0, 0)


def test_message_becomes_a_dead_letter_after_a_week(model: Bedrock, sqs: Sqs) -> None:
    model.throttle()
    sent = sqs.messages.send(body(KEY))
    sqs.clock.now += 6 * DAY
    sqs.deliver()
    assert sqs.messages.only.retry["since"] == int(1000 * sent.sent)
    sqs.clock.now += 2 * DAY
    sqs.deliver()
    reason = "the model is not available now (ThrottlingException)"
    assert sqs.dead.only.text("reason") == reason


def test_large_document_without_a_cache_uses_five_attempts(
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

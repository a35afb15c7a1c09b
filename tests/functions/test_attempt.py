"""What becomes of a message whose document has no summary."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.awsrequest import AWSResponse
from tests.clock import Clock
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents, body, bucket, deliver
from tests.functions.events import Context
from tests.functions.sqs import Queue, Sent, Sqs, binary, reply, string

import attempt
import queues
import storage
import summarize
import summary
from local_cloud import events

KEY, TEXT = "documents/report.txt", "A report of the harvest."
DAY = 86_400.0


@pytest.fixture
def documents(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    with bucket(model, monkeypatch) as made:
        made.put(KEY, TEXT)
        yield made


@pytest.fixture
def sqs(documents: Documents, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sqs]:
    monkeypatch.setattr(attempt, "clock", clock)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with Sqs(clock).connected(monkeypatch.setenv) as connected:
        yield connected


def receive(sqs: Sqs, left: Callable[[], float] = lambda: 300) -> list[str]:
    """Let Lambda receive one message, when it is visible; return what failed."""
    queue = sqs.messages
    sqs.clock.now = max(sqs.clock.now, min(it.visible for it in queue.messages))
    (sent,) = queue.receive()
    failed = deliver(sent.record, left=left)
    if not failed:
        queue.delete(sent)
    return failed


def only(queue: Queue) -> Sent:
    (sent,) = queue.messages
    return sent


def retry(sent: Sent) -> dict[str, int]:
    told: dict[str, int] = json.loads(sent.text("retry"))
    return told


def throttle(model: Bedrock) -> None:
    model.status, model.error = 429, "ThrottlingException"


def s3_fails(documents: Documents, operation: str, status: int, code: str) -> None:
    """Let S3 answer the function with an error from now on."""

    def fail(**_: object) -> AWSResponse:
        return reply(status, f"<Error><Code>{code}</Code></Error>".encode())

    storage.s3().meta.events.register_first(f"before-send.s3.{operation}", fail)


def test_throttled_message_is_put_back_after_2_then_8_then_15_minutes(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    delays = []
    for _ in range(6):
        assert receive(sqs) == []
        delays.append(only(sqs.messages).visible - sqs.clock.now)
    assert delays == [120, 480, 900, 900, 900, 900]
    assert retry(only(sqs.messages))["attempts"] == 0
    model.status, model.error = 200, ""
    receive(sqs)
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
    assert receive(sqs) == []
    assert retry(only(sqs.messages)) | {"since": 0} == {
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
    assert receive(sqs) == []
    assert retry(only(sqs.messages))["attempts"] == 0


@pytest.mark.parametrize(("status", "code"), [(403, "InvalidObjectState"), (404, "NoSuchBucket")])
def test_permanent_fault_of_s3_makes_a_dead_letter_at_once(
    documents: Documents, sqs: Sqs, status: int, code: str
) -> None:
    s3_fails(documents, "GetObject", status, code)
    sqs.messages.send(body(KEY))
    assert receive(sqs) == []
    assert only(sqs.dead).text("reason") == f"S3 failed: {code}"


def test_unexpected_error_costs_five_attempts_then_makes_a_dead_letter(
    sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def broken(*_: object) -> str:
        calls.append(None)
        raise ZeroDivisionError("no word of this is told")

    monkeypatch.setattr(attempt, "summarize", broken)
    sqs.messages.send(body(KEY))
    while sqs.messages.messages:
        assert receive(sqs) == []
    assert len(calls) == 5
    assert only(sqs.dead).text("reason") == "ZeroDivisionError"


def test_throttles_between_do_not_renew_the_five_attempts(
    model: Bedrock, sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeds, faults = attempt.summarize, 0

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
        receive(sqs)
    assert faults == 5
    assert len(sqs.dead.messages) == 1


def test_crashes_count_as_attempts_and_the_sixth_receive_calls_no_model(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    receive(sqs)
    model.requests.clear()
    copy = only(sqs.messages)
    history = {**retry(copy), "attempts": 3}
    copy.attributes["retry"] = string(json.dumps(history))
    for _ in range(2):  # the process crashes: SQS counts, and brings it again
        sqs.clock.now = copy.visible
        assert sqs.messages.receive() == [copy]
    assert receive(sqs) == []
    assert only(sqs.dead).text("reason") == "the last attempt crashed or timed out"
    assert model.requests == []


def refuse(model: Bedrock) -> None:
    model.status, model.error = 400, "ValidationException"


def truncate(model: Bedrock) -> None:
    model.stops = "max_tokens"


PERMANENT: dict[str, tuple[Any, Callable[[Bedrock], None], str]] = {
    "no JSON": ("no JSON", lambda _: None, "the message is not JSON"),
    "truncated": (
        body(KEY),
        truncate,
        "the model's answer is no summary: truncated",
    ),
    "refused": (body(KEY), refuse, "the model refused the request (ValidationException)"),
}


@pytest.mark.parametrize(("told", "before", "reason"), PERMANENT.values(), ids=PERMANENT)
def test_fault_that_no_retry_changes_makes_a_dead_letter_at_once(
    model: Bedrock, sqs: Sqs, told: Any, before: Callable[[Bedrock], None], reason: str
) -> None:
    before(model)
    sent = sqs.messages.send(told, {"from": string("a user"), "raw": binary(b"\x00\xff")})
    assert receive(sqs) == []
    dead = only(sqs.dead)
    assert dead.body == sent.body
    assert dead.attributes == {**sent.attributes, "reason": string(reason)}
    assert len(model.requests) <= 1


def test_redriven_dead_letter_has_five_attempts_again(model: Bedrock, sqs: Sqs) -> None:
    truncate(model)
    sqs.messages.send(body(KEY), {"retry": string(json.dumps({"since": 1, "attempts": 4}))})
    receive(sqs)
    dead = only(sqs.dead)
    model.stops = "end_turn"
    throttle(model)
    sqs.messages.send(dead.body, dead.attributes)
    assert receive(sqs) == []
    copy = only(sqs.messages)
    assert copy.attributes.keys() == {"retry"}
    assert retry(copy)["attempts"] == 0


def test_message_that_was_never_begun_is_put_back_for_a_few_seconds(sqs: Sqs) -> None:
    sqs.messages.send(body(KEY))
    assert receive(sqs, lambda: 19) == []
    copy = only(sqs.messages)
    assert copy.visible - sqs.clock.now == 10
    assert (retry(copy)["attempts"], retry(copy)["delays"]) == (0, 0)


def test_message_is_put_back_for_a_week_at_most(model: Bedrock, sqs: Sqs) -> None:
    throttle(model)
    sent = sqs.messages.send(body(KEY))
    sqs.clock.now += 6 * DAY
    receive(sqs)
    assert retry(only(sqs.messages))["since"] == int(1000 * sent.sent)
    sqs.clock.now += 2 * DAY
    receive(sqs)
    reason = "the model is not available now (ThrottlingException)"
    assert only(sqs.dead).text("reason") == reason


@pytest.mark.parametrize("forged", ["", "no JSON", "[]", '{"since": -1}', '{"since": "x"}', "{}"])
def test_invalid_history_counts_as_none(model: Bedrock, sqs: Sqs, forged: str) -> None:
    throttle(model)
    sqs.messages.send(body(KEY), {"retry": string(forged)})
    assert receive(sqs) == []
    assert retry(only(sqs.messages))["since"] == int(1000 * sqs.clock.now)


def test_message_with_ten_attributes_keeps_those_that_the_function_reads(
    model: Bedrock, sqs: Sqs
) -> None:
    throttle(model)
    own = {f"a{number}": string("x") for number in range(9)} | {"cache-ttl": string("60", "Number")}
    sqs.messages.send(body(KEY), own)
    assert receive(sqs) == []
    kept = only(sqs.messages).attributes
    assert kept.keys() == own.keys() - {"a8"} | {"retry"}
    assert kept["cache-ttl"] == string("60", "Number")


@pytest.mark.parametrize("variable", [queues.MESSAGES, queues.FAILURES])
@pytest.mark.parametrize("lost", ["no name", "refused"])
def test_message_that_cannot_be_sent_on_is_reported_as_failed(
    model: Bedrock, sqs: Sqs, variable: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lost == "no name":
        monkeypatch.delenv(variable)
    sqs.refuses = lost == "refused"
    throttle(model)
    sent = sqs.messages.send(body(KEY) if variable == queues.MESSAGES else "no document")
    assert receive(sqs) == [str(sent.number)]
    assert sqs.dead.messages == []


def test_each_document_of_a_message_is_tried_and_has_its_own_outcome(
    model: Bedrock, documents: Documents, sqs: Sqs
) -> None:
    documents.put("documents/other.txt", "Another report.")
    records = [
        *events.uploaded(documents.name, KEY)["Records"],
        {"eventName": "ObjectCreated:Put"},
        *events.uploaded(documents.name, "documents/other.txt")["Records"],
        *events.uploaded(documents.name, "documents/gone.txt")["Records"],
    ]
    sqs.messages.send({"Records": records})
    assert receive(sqs) == []
    assert documents.summary(KEY) is not None
    assert documents.summary("documents/other.txt") is not None
    assert json.loads(only(sqs.dead).body) == {"Records": [records[1]]}
    assert sqs.messages.messages == []


def test_large_document_that_the_cache_does_not_keep_costs_five_attempts(
    model: Bedrock, documents: Documents, sqs: Sqs
) -> None:
    documents.put(KEY, "\n\n".join(f"Paragraph {number}. " * 200 for number in range(12)))
    sqs.messages.send(body(KEY), {"cache-ttl": string("0", "Number")})
    times = 0
    while sqs.messages.messages:
        times, due = times + 1, len(model.requests)
        receive(sqs, lambda due=due: 300 if len(model.requests) == due else summary.NEEDED - 1)
    assert times == 5
    assert len(model.requests) <= 5 * summary.AT_ONCE
    assert only(sqs.dead).text("reason") == "the invocation has too little time left"


def test_age_and_dead_letters_are_metrics(
    model: Bedrock, sqs: Sqs, capsys: pytest.CaptureFixture[str]
) -> None:
    throttle(model)
    sqs.messages.send(body(KEY))
    sqs.clock.now += 90
    receive(sqs)
    sqs.messages.delete(only(sqs.messages))
    sqs.messages.send("no document")
    receive(sqs)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line.get("DocumentAge") for line in lines] == [[90], None]
    assert [line.get("DocumentsFailed") for line in lines] == [None, [1]]


@pytest.mark.parametrize("event", [{}, [], None, events.uploaded("documents", KEY), {"Records": 1}])
def test_event_of_another_source_raises_one_clear_error(documents: Documents, event: Any) -> None:
    with pytest.raises(ValueError, match="not a batch of messages of SQS"):
        summarize.handler(event, cast(Any, Context()))

"""`summarize` loses no message of a queue, repeats none for ever, and refuses other events."""

from collections.abc import Iterator
from typing import Any, cast

import boto3
import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents, bucket
from tests.functions.events import Context, event, names
from tests.functions.fronts import ALL, front

import summarize

REPORT, SECOND, UNICODE = "documents/report.txt", "documents/second.txt", "documents/café € +.txt"
DONE, DEAD = "done", "dead letter"
BACK, FAILED = "put back", "failed"
OUTCOMES: dict[str, tuple[list[str], list[str]]] = {  # of each message; the documents summarized
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
    "s3_one_bad_record": ([DEAD], [REPORT]),
    "s3_put": ([DONE], [REPORT]),
    "s3_test_event": ([DONE], []),
    "s3_two_records": ([DONE], [REPORT, SECOND]),
    "s3_unicode_key": ([DONE], [UNICODE]),
    "sns_of_s3": ([DONE], [REPORT]),
    "sns_own_text": ([DEAD], []),
    "sns_raw_delivery": ([DONE], [REPORT]),
    "sns_test_event": ([DONE], []),
    "summary_of_its_own": ([DEAD], []),
    "xml_body": ([DEAD], []),
}
SQS = [name.removeprefix("sqs/") for name in names("sqs")]
OTHERS = {name: event(name) for name in names("http", "unsupported", "services", "schedules")}
OTHERS |= {f"fronts/{name}": front(name) for name in ALL}


class World:
    """A bucket with the documents that the events name, and the two queues of the function."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.sqs: Any = boto3.client("sqs")
        self.messages, self.failures = (
            self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("messages", "failures")
        )
        for key in (REPORT, SECOND, UNICODE):
            documents.put(key, f"The text of {key}.")

    def deliver(self, sent: Any, seconds: float = 300) -> list[set[str]]:
        """Hand a batch over; return what became of each message besides being done."""
        reply = summarize.handler(sent, cast(Any, Context(seconds)))
        failed = [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]
        back = self.taken(self.messages, "retry")
        dead = self.taken(self.failures, "reason")
        records = sent["Records"]
        assert len(back) + len(dead) + len(failed) <= len(records)
        assert set(back) | set(dead) <= {record["body"] for record in records}
        return [
            {
                what
                for what, happened in (
                    (FAILED, record["messageId"] in failed),
                    (BACK, record["body"] in back),
                    (DEAD, record["body"] in dead),
                )
                if happened
            }
            or {DONE}
            for record in records
        ]

    def taken(self, queue: str, attribute: str) -> dict[str, str]:
        """Take all messages of a queue; return an attribute of each by its body."""
        found: dict[str, str] = {}
        ask = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
        while messages := self.sqs.receive_message(**ask).get("Messages"):
            for one in messages:
                found[one["Body"]] = one["MessageAttributes"][attribute]["StringValue"]
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return found

    @property
    def summarized(self) -> list[str]:
        """The documents that have a summary."""
        return [key for key in (REPORT, SECOND, UNICODE) if self.documents.summary(key)]

    def forget(self) -> None:
        """Delete the summaries."""
        for key in self.summarized:
            self.documents.s3.delete_object(Bucket=self.documents.name, Key=f"summaries/{key}.json")


@pytest.fixture
def world(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with bucket(model, monkeypatch) as documents:
        there = World(documents)
        monkeypatch.setenv("DOCUMENT_MESSAGES", there.messages)
        monkeypatch.setenv("DOCUMENT_FAILURES", there.failures)
        yield there


def test_each_message_ends_in_one_way(world: World) -> None:
    assert sorted(OUTCOMES) == SQS
    found = {}
    for name in SQS:
        ended = world.deliver(event(f"sqs/{name}"))
        assert all(len(ways) == 1 for ways in ended), (name, ended)
        found[name] = ([way for ways in ended for way in ways], world.summarized)
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


@pytest.mark.parametrize("fault", [throttled, broken, refused, blocked, late])
def test_no_message_is_lost_whatever_fails(world: World, model: Bedrock, fault: Any) -> None:
    seconds = fault(model)
    for name in SQS:
        ended = world.deliver(event(f"sqs/{name}"), seconds)
        assert all(len(ways) == 1 for ways in ended), (name, ended)
        if OUTCOMES[name][1]:  # a document that the model was wanted for
            assert any(ways != {DONE} for ways in ended), name
        assert world.summarized == []


def test_event_of_no_queue_is_an_error_that_says_so(world: World, model: Bedrock) -> None:
    for name, sent in OTHERS.items():
        with pytest.raises(Exception, match="SQS") as raised:
            summarize.handler(sent, cast(Any, Context()))
        assert len(str(raised.value)) < 500, name
    assert (world.summarized, model.requests) == ([], [])

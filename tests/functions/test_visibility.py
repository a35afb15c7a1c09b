"""When SQS shows a message again that failed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents, body, bucket, deliver, message

import visibility

KEY = "documents/report.txt"
HALF_AN_HOUR = 1800


@pytest.fixture
def documents(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with bucket(model, monkeypatch) as there:
        there.put(KEY, "A report.")
        yield there


class Queue:
    """A queue of SQS, and what the function has asked of it."""

    def __init__(self) -> None:
        self.sqs: Any = boto3.client("sqs")
        timeout = {"VisibilityTimeout": str(HALF_AN_HOUR)}
        self.url: str = self.sqs.create_queue(QueueName="q", Attributes=timeout)["QueueUrl"]
        self.asked: list[int] = []
        visibility.sqs().meta.events.register("provide-client-params.sqs", self._note)

    def _note(self, params: dict[str, Any], **_: object) -> None:
        self.asked.append(params["VisibilityTimeout"])

    def received(self, told: object, times: int = 1) -> dict[str, Any]:
        """Send a message and receive it, as Lambda does; ``times``: how often, as it says."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(told))
        (found,) = self.sqs.receive_message(QueueUrl=self.url)["Messages"]
        record = message(told)
        attributes = {**record["attributes"], "ApproximateReceiveCount": str(times)}
        return {**record, "receiptHandle": found["ReceiptHandle"], "attributes": attributes}


@pytest.fixture
def queue(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setenv(visibility.VARIABLE, queue.url)
    return queue


def throttles(model: Bedrock) -> None:
    model.status, model.error = 429, "ThrottlingException"


@pytest.mark.parametrize(
    ("times", "seconds"), [(1, 120), (2, 480), (3, HALF_AN_HOUR), (4, HALF_AN_HOUR)]
)
def test_what_the_model_has_no_room_for_comes_again_soon_and_then_later(
    model: Bedrock, queue: Queue, times: int, seconds: int
) -> None:
    throttles(model)
    assert deliver(queue.received(body(KEY), times)) == ["message-1"]
    assert queue.asked == [seconds]


def test_what_there_was_no_time_for_comes_again_soon(queue: Queue) -> None:
    assert deliver(queue.received(body(KEY)), seconds=19) == ["message-1"]
    assert queue.asked == [120]


def refused(model: Bedrock) -> None:
    model.status, model.error = 400, "ValidationException"


@pytest.mark.parametrize(
    ("told", "before", "failed"),
    [
        ("no document", lambda _: None, ["message-1"]),
        (body("documents/none.txt"), lambda _: None, ["message-1"]),
        (body(KEY), refused, ["message-1"]),
        (body(KEY), lambda _: None, []),
    ],
)
def test_no_other_message_is_touched(
    model: Bedrock,
    queue: Queue,
    told: object,
    before: Callable[[Bedrock], None],
    failed: list[str],
) -> None:
    before(model)
    assert deliver(queue.received(told)) == failed
    assert queue.asked == []


def test_of_a_batch_only_what_may_do_comes_again_soon(model: Bedrock, queue: Queue) -> None:
    throttles(model)
    batch = [queue.received("no document"), queue.received(body(KEY))]
    assert deliver(*batch) == ["message-1", "message-1"]
    assert queue.asked == [120]


def test_sqs_shows_it_again_after_so_long(
    model: Bedrock, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "FIRST", 0)
    throttles(model)
    record = queue.received(body(KEY))
    assert "Messages" not in queue.sqs.receive_message(QueueUrl=queue.url)
    deliver(record)
    assert len(queue.sqs.receive_message(QueueUrl=queue.url)["Messages"]) == 1


def test_a_queue_that_does_not_take_it_changes_nothing(
    model: Bedrock, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    throttles(model)
    record = {**queue.received(body(KEY)), "receiptHandle": "of another queue"}
    assert deliver(record) == ["message-1"]
    assert "comes again as the queue has it" in caplog.text


def test_without_the_queues_name_it_asks_nothing(
    model: Bedrock, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(visibility.VARIABLE)
    throttles(model)
    assert deliver(queue.received(body(KEY))) == ["message-1"]
    assert queue.asked == []

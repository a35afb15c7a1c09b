"""All log lines of one request have its id."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from tests.functions.asking import invoke
from tests.functions.bedrock import Bedrock
from tests.functions.documents import body, bucket, deliver, message
from tests.functions.events import HTTP, Context, event, front

import ask
import flush_cache
import summarize

pytestmark = pytest.mark.usefixtures("model")

TRACE = "Root=1-6922c3f0-0123456789abcdef01234567"
LOAD_BALANCER = {"alb", "alb_multi_value"}


@contextmanager
def log(logger: Logger) -> Iterator[list[dict[str, Any]]]:
    """Collect the lines that a logger writes within the block."""
    lines: list[dict[str, Any]] = []
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logger.registered_formatter)
    logger._logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger._logger.removeHandler(handler)
        lines += map(json.loads, handler.stream.getvalue().splitlines())


def ids(lines: list[dict[str, Any]]) -> set[str | None]:
    assert lines
    return {line.get("correlation_id") for line in lines}


@pytest.mark.parametrize("name", HTTP)
def test_lines_of_a_front_have_the_request_id_of_aws(name: str) -> None:
    sent = front(name)
    with log(ask.logger) as lines:
        invoke(sent)
    known = TRACE if name in LOAD_BALANCER else sent["requestContext"]["requestId"]
    assert ids(lines) == {known}


@pytest.mark.parametrize(
    "sent",
    [
        front("direct"),
        {"requestContext": "x"},
        {"requestContext": {}, "headers": ["x"]},
        ["x"],
        "x",
        None,
    ],
)
def test_lines_without_a_request_id_do_not_have_the_last_one(sent: object) -> None:
    invoke(front("function_url_iam"))
    with log(ask.logger) as lines:
        invoke(sent)
        ask.logger.info("after it")
    assert ids(lines) == {None}
    assert lines[0]["function_request_id"] == Context.aws_request_id


def test_lines_of_a_scheduled_flush_have_the_id_of_its_event() -> None:
    scheduled = event("schedules/scheduler_without_input")
    with log(flush_cache.logger) as lines:
        flush_cache.handler(scheduled, Context())
    assert ids(lines) == {scheduled["id"]}


def metric_ids(out: str) -> list[str | None]:
    """Return the id in each line of metrics."""
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"_aws"')]
    return [line.get("correlation_id") for line in lines]


def test_metrics_have_the_id_of_the_log_lines(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, scheduled = front("function_url_iam"), event("schedules/scheduler_without_input")
    invoke(sent)
    invoke(front("direct"))
    flush_cache.handler(scheduled, Context())
    with bucket(model, monkeypatch):
        deliver(message(body("documents/none.txt"), 1))
    known = [sent["requestContext"]["requestId"], None, scheduled["id"], "message-1"]
    assert metric_ids(capsys.readouterr().out) == known


def test_lines_of_a_message_have_its_id(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket(model, monkeypatch) as documents, log(summarize.logger) as lines:
        documents.put("documents/one.txt", "A report.")
        deliver(message(body("documents/one.txt"), 1), message("?", 2))
    found = {line["message"]: line["correlation_id"] for line in lines}
    assert found == {"message done": "message-1", "not summarized": "message-2"}

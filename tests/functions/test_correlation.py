"""What the lines of one request have in common in the log."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from aws_lambda_powertools import Logger
from tests.functions.asking import cold
from tests.functions.bedrock import Bedrock
from tests.functions.documents import body, bucket, deliver, message
from tests.functions.events import Context
from tests.functions.fronts import HTTP, front
from tests.functions.test_flush_cache import SCHEDULED

import ask
import flush_cache
import summarize

TRACE = "Root=1-6922c3f0-0123456789abcdef01234567"
OF_A_LOAD_BALANCER = {"alb", "alb_multi_value"}


@contextmanager
def log(logger: Logger) -> Iterator[list[dict[str, Any]]]:
    """Collect the lines that a logger writes within the block."""
    lines: list[dict[str, Any]] = []
    heard = logging.StreamHandler(io.StringIO())
    heard.setFormatter(logger.registered_formatter)
    logger._logger.addHandler(heard)
    try:
        yield lines
    finally:
        logger._logger.removeHandler(heard)
        lines += map(json.loads, heard.stream.getvalue().splitlines())


def ids(lines: list[dict[str, Any]]) -> set[str | None]:
    assert lines
    return {line.get("correlation_id") for line in lines}


@pytest.fixture(autouse=True)
def _cold(model: Bedrock) -> None:
    cold()


@pytest.mark.parametrize("name", HTTP)
def test_a_fronts_lines_have_what_aws_calls_the_request(name: str) -> None:
    event = front(name)
    with log(ask.logger) as lines:
        ask.handler(event, cast(Any, Context()))
    known = TRACE if name in OF_A_LOAD_BALANCER else event["requestContext"]["requestId"]
    assert ids(lines) == {known}


def test_what_has_no_id_has_not_that_of_the_last() -> None:
    ask.handler(front("function_url_iam"), cast(Any, Context()))
    with log(ask.logger) as lines:
        ask.handler(front("direct"), cast(Any, Context()))
    assert ids(lines) == {None}
    assert lines[0]["function_request_id"] == Context.aws_request_id


@pytest.mark.parametrize(
    "told", [{"requestContext": "x"}, {"requestContext": {}, "headers": ["x"]}, ["x"], "x", None]
)
def test_an_event_of_another_form_has_none(told: object) -> None:
    with log(ask.logger) as lines:
        ask.handler(cast(Any, told), cast(Any, Context()))
        ask.logger.info("after it")
    assert ids(lines) == {None}


def test_a_scheduled_flush_has_that_of_its_event() -> None:
    with log(flush_cache.logger) as lines:
        flush_cache.handler(SCHEDULED, Context())
    assert ids(lines) == {SCHEDULED["id"]}


def test_each_message_has_its_own(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket(model, monkeypatch) as documents, log(summarize.logger) as lines:
        documents.put("documents/one.txt", "A report.")
        deliver(message(body("documents/one.txt"), 1), message("?", 2))
    told = {line["message"]: line["correlation_id"] for line in lines}
    assert told == {"message done": "message-1", "not summarized": "message-2"}

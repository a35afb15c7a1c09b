"""Requests made to break the function: each is refused, in bounded time and memory."""

import base64
import json
import time
import tracemalloc
from typing import Any

import pytest
from tests.functions.asking import QUESTION, call, handle
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url

MEGABYTE = 1_000_000
SECONDS = 5.0  # of the processor, with each allocation traced
DEEP = 100_000

BODIES = {
    "more than there may be": ('{"question": "' + "x" * 2 * MEGABYTE + '"}', 413),
    "nothing but space": (" " * 3 * MEGABYTE, 413),
    "nested lists": ('{"question": ' + "[" * DEEP + "]" * DEEP + "}", 422),
    "nested objects": ('{"cache": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}", 422),
    "never closed": ('{"cache": ' + "[" * MEGABYTE, 422),
    "many lists": ('{"question": "q", "cache": {"a": [' + "[]," * 300_000 + "[]]}}", 422),
    "many fields": (json.dumps({**QUESTION, **{str(n): n for n in range(100_000)}}), 422),
    "many tags": (json.dumps({**QUESTION, "cache": {"tags": ["t"] * 100_000}}), 422),
    "many turns": (json.dumps({**QUESTION, "messages": [{}] * 100_000}), 422),
    "a long name": (json.dumps({**QUESTION, "x" * MEGABYTE: 1}), 422),
    "a long value": (json.dumps({**QUESTION, "cache": {"mode": "x" * MEGABYTE}}), 422),
    "a long number": ('{"question": "q", "cache": {"ttl": ' + "9" * 100_000 + "}}", 422),
    "a number beyond floats": ('{"question": "q", "cache": {"ttl": 1e999}}', 422),
    "not a number": ('{"question": "q", "cache": {"ttl": NaN}}', 422),
    "half a character": ('{"question": "\\ud800"}', 422),
    "UTF-16": (json.dumps(QUESTION).encode("utf-16").decode("latin-1"), 422),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_hostile_body_is_refused_in_bounded_time_and_memory(model: Bedrock, body: str) -> None:
    text, status = BODIES[body]
    event = function_url("POST", "/ask", text)
    tracemalloc.start()
    began = time.process_time()
    try:
        reply = handle(event)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply.status == status
    assert time.process_time() - began < SECONDS
    assert peak < 100 * MEGABYTE
    assert len(json.dumps(reply.body)) < 1000
    assert model.requests == []


@pytest.mark.parametrize("header", ["max-age=" + "9" * MEGABYTE, "a=," * 300_000, '"' * MEGABYTE])
def test_a_hostile_cache_control_is_read_in_bounded_time(model: Bedrock, header: str) -> None:
    began = time.process_time()
    assert call(QUESTION, cache_control=header).status in {200, 422}
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "path",
    ["/..", "/health/../ask", "/%2e%2e/ask", "/ask/../ask", "//ask", "/ask/", "/ASK", "/ask;x", ""],
)
def test_no_other_path_leads_to_the_question(model: Bedrock, path: str) -> None:
    reply = call(QUESTION, path=path, host="evil.example")
    assert reply.status == 404
    assert "location" not in reply.headers
    assert model.requests == []


def test_the_path_that_counts_is_the_one_that_aws_tells(model: Bedrock) -> None:
    event = function_url("POST", "/health", QUESTION)
    assert handle({**event, "rawPath": "/ask"}).status == 405


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "POST /ask HTTP/1.1\r\nx", "TRACE"])
def test_only_post_asks(model: Bedrock, method: str) -> None:
    assert call(QUESTION, method=method).status == 405
    assert model.requests == []


def test_a_request_within_the_body_is_text(model: Bedrock) -> None:
    inner = f"POST /ask HTTP/1.1\r\nContent-Length: 2\r\n\r\n{json.dumps(QUESTION)}"
    assert call(inner, content_length="0", transfer_encoding="chunked").status == 422
    assert model.requests == []


def test_text_that_is_base64_is_read_as_the_flag_says(model: Bedrock) -> None:
    event = function_url("POST", "/ask", QUESTION)
    assert handle({**event, "isBase64Encoded": False}).status == 422
    twice = base64.b64encode(event["body"].encode()).decode()
    assert handle({**event, "body": twice}).status == 422
    assert model.requests == []


EVENTS: dict[str, dict[str, Any]] = {
    "no front's": {"question": "q", "requestContext": {}},
    "a web socket's": {"requestContext": {"connectionId": "1", "eventType": "MESSAGE"}},
    "a false flag": {**function_url("POST", "/ask", QUESTION), "body": "not base64!"},
    "a port that is none": function_url("POST", "/ask", QUESTION, {"host": "a:b:c"}),
}


@pytest.mark.parametrize("event", EVENTS)
def test_what_no_url_sends_fails_before_anything_is_asked(model: Bedrock, event: str) -> None:
    with pytest.raises((RuntimeError, ValueError)):  # a queue keeps what its function fails at
        handle(EVENTS[event])
    assert model.requests == []

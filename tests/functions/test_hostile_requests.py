"""Requests made to break the function: each is refused, in bounded time and memory."""

import base64
import codecs
import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, call, handle
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url
from tests.functions.fronts import HTTP, UNNAMED, front

from ask_request import MAX_BYTES, MAX_CHARACTERS

MEGABYTE = 1_000_000
SECONDS = 5.0  # of the processor, with each allocation traced
DEEP = 100_000

FIELDS = {str(number): number for number in range(150_000)}

BODIES = {
    "more than there may be": ('{"question": "' + "x" * MAX_BYTES + '"}', 413),
    "nothing but space": (" " * (MAX_BYTES + 1), 413),
    "as much space as there may be": (" " * MAX_BYTES, 422),
    "nested lists": ('{"question": ' + "[" * DEEP + "]" * DEEP + "}", 422),
    "nested objects": ('{"cache": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}", 422),
    "never closed": ('{"cache": ' + "[" * MEGABYTE, 422),
    "a text that is never closed": ('{"question": "' + '\\"' * MEGABYTE, 422),
    "many lists": ('{"question": "q", "cache": {"a": [' + "[]," * 300_000 + "[]]}}", 422),
    "many fields": (json.dumps({**QUESTION, **FIELDS}), 422),
    "many fields of a turn": (json.dumps({**QUESTION, "messages": [FIELDS]}), 422),
    "many tags": (json.dumps({**QUESTION, "cache": {"tags": ["t"] * 100_000}}), 422),
    "many turns": (json.dumps({**QUESTION, "messages": [{}] * 100_000}), 422),
    "a long name": (json.dumps({**QUESTION, "x" * MEGABYTE: 1}), 422),
    "a long value": (json.dumps({**QUESTION, "cache": {"mode": "x" * MEGABYTE}}), 422),
    "a long number": ('{"question": "q", "cache": {"ttl": ' + "9" * 100_000 + "}}", 422),
    "a number beyond floats": ('{"question": "q", "cache": {"ttl": 1e999}}', 422),
    "not a number": ('{"question": "q", "cache": {"ttl": NaN}}', 422),
    "half a character": ('{"question": "\\ud800"}', 422),
    "UTF-16": (json.dumps(QUESTION).encode("utf-16").decode("latin-1"), 422),  # as text, no UTF-16
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
    assert peak < 5 * len(text) + MEGABYTE
    assert len(json.dumps(reply.body)) < 1000
    assert model.requests == []


@pytest.mark.parametrize("header", ["max-age=" + "9" * MEGABYTE, "a=," * 300_000, '"' * MEGABYTE])
def test_a_hostile_cache_control_is_read_in_bounded_time(model: Bedrock, header: str) -> None:
    began = time.process_time()
    assert call(QUESTION, cache_control=header).status in {200, 422}
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/health/../ask",
        "/%2e%2e/ask",
        "/ask/../ask",
        "//ask",
        "/ask//",
        "/ASK",
        "/ask;x",
        "",
    ],
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


# --- what only a front checks, or does not check --------------------------------------------------

HEADERS: dict[str, dict[str, Any]] = {
    "an address of IPv6": {"host": "[::ffff:a9fe:a9fe]:80"},
    "a host without its port": {"host": "x:"},
    "a host of three parts": {"host": "a:b:c"},
    "a host whose port is no number": {"host": "x:port"},
    "an endless port": {"host": "x:" + "9" * 5_000},
    "two ports": {"x-forwarded-port": "443,80"},
    "no port": {"x-forwarded-port": ""},
    "a port that is no number": {"x-forwarded-port": "https"},
    "another scheme": {"x-forwarded-proto": "gopher"},
    "null": {"x-empty": None, "host": None},
    "no text": {"x-number": 7, "x-list": ["a", None], "x-object": {}, "host": 80},
    "half of a surrogate pair": {"x-half": "\ud800", "\ud800": "x"},
    "no name": {"": ""},
}
NO_HEADERS: dict[str, Any] = {"no headers": None, "a list": [], "a text": "x", "empty": {}}


def in_lists(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, list) else [value] for name, value in headers.items()}


def with_headers(event: dict[str, Any], headers: str) -> dict[str, Any]:
    """Return a front's event with these headers, in each form in which it has some."""
    single, several = event.get("headers") or {}, event.get("multiValueHeaders")
    if headers in NO_HEADERS:
        given = {"headers": NO_HEADERS[headers], "multiValueHeaders": NO_HEADERS[headers]}
    else:
        more = HEADERS[headers]
        given = {"headers": single | more, "multiValueHeaders": (several or {}) | in_lists(more)}
    return {**event, **{name: given[name] for name in given if name == "headers" or several}}


@pytest.mark.parametrize("headers", [*HEADERS, *NO_HEADERS])
def test_no_header_makes_a_front_fail(model: Bedrock, headers: str) -> None:
    for name in HTTP:
        event = with_headers(front(name), headers)
        assert handle(event).status == (403 if name in UNNAMED else 200), name


@pytest.mark.parametrize("field", ["body", "path", "method"])
@pytest.mark.parametrize("wrong", [7, ["x"], {"a": 1}, True])
def test_request_that_cannot_be_read_is_400_in_the_form_of_its_front(
    model: Bedrock, field: str, wrong: object
) -> None:
    for name in HTTP:
        event = front(name)
        at = event["requestContext"].get("http", event)
        at = event if field == "body" else at
        at["httpMethod" if field == "method" and "httpMethod" in event else field] = wrong
        reply = handle(event)
        assert (reply.status, reply.body["error"]["code"]) == (400, "not_readable"), name
        assert reply.headers["cache-control"] == "no-store"
    assert model.requests == []


@pytest.mark.parametrize("body", ["not base64!", "e30", "ä", "\ud800", "e30=\n"])
def test_body_that_is_no_base64_is_400(model: Bedrock, body: str) -> None:
    event = {**function_url("POST", "/ask", QUESTION), "body": body}
    reply = handle(event)
    assert (reply.status, reply.body["error"]["field"]) == (400, "body")


def test_body_that_is_no_utf8_is_400(model: Bedrock) -> None:
    event = {**front("function_url_iam"), "body": "\ud800", "isBase64Encoded": False}
    assert handle(event).status == 400


@pytest.mark.parametrize("nothing", [None, ""])
def test_request_without_a_body_is_422(model: Bedrock, nothing: str | None) -> None:
    for name in HTTP:
        reply = handle({**front(name), "body": nothing})
        assert reply.status == (403 if name in UNNAMED else 422), name


@pytest.mark.parametrize(
    "query", [None, [], "x", {}, {"a": None}, {"a": ["b", None]}, {"\ud800": "\ud800"}, {"a": 7}]
)
def test_no_query_makes_a_front_fail(model: Bedrock, query: object) -> None:
    for name in HTTP:
        event = front(name)
        for field in ("queryStringParameters", "multiValueQueryStringParameters"):
            event[field] = query
        event["rawQueryString"] = query
        event["cookies"] = query
        assert handle(event).status == (403 if name in UNNAMED else 200), name


@pytest.mark.parametrize("missing", ["http", "method", "path", "sourceIp", "identity"])
def test_no_event_without_a_part_makes_the_function_fail(model: Bedrock, missing: str) -> None:
    for name in HTTP:
        event = front(name)
        for fields in (event, event["requestContext"], event["requestContext"].get("http", {})):
            fields.pop({"method": "httpMethod"}.get(missing, missing), None)
            fields.pop(missing, None)
        assert handle(event).status in {200, 400, 403}, name


# --- content codings ------------------------------------------------------------------------------


def posted(body: bytes, **headers: str) -> Reply:
    event = function_url("POST", "/ask", QUESTION, headers)
    return handle({**event, "body": base64.b64encode(body).decode()})


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "gzip, identity", "x", "identity, gzip"])
def test_compressed_body_is_415_that_tells_what_is_accepted(model: Bedrock, coding: str) -> None:
    reply = posted(gzip.compress(json.dumps(QUESTION).encode()), **{"content-encoding": coding})
    assert (reply.status, reply.body["error"]["code"]) == (415, "not_readable")
    assert reply.headers["accept-encoding"] == "identity"


def test_compressed_body_without_its_header_is_415(model: Bedrock) -> None:
    assert posted(gzip.compress(json.dumps(QUESTION).encode())).status == 415


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-16-be"])
def test_body_that_is_no_utf8_is_not_asked(model: Bedrock, encoding: str) -> None:
    marked = encoding in {"utf-16", "utf-32"}
    assert posted(json.dumps(QUESTION).encode(encoding)).status == (415 if marked else 422)
    assert model.requests == []


def test_byte_order_mark_of_utf8_is_no_part_of_the_body(model: Bedrock) -> None:
    body = json.dumps(QUESTION).encode()
    assert posted(body, **{"content-encoding": "identity"}).cache == "miss"
    assert posted(codecs.BOM_UTF8 + body).cache == "hit"


def test_longest_question_is_accepted(model: Bedrock) -> None:
    turn = {"role": "user", "content": "\U0001f600" * MAX_CHARACTERS}
    question = {"question": turn["content"], "system": turn["content"], "messages": [turn] * 40}
    body = json.dumps(question, ensure_ascii=False).encode()
    assert MAX_BYTES > len(body) > MAX_BYTES - 100_000
    assert posted(body).status == 200

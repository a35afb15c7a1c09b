"""`ask` refuses hostile requests, in bounded time and memory."""

import base64
import codecs
import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, call, handle, invoke, question
from tests.functions.bedrock import Bedrock
from tests.functions.events import HTTP, UNIDENTIFIED, front, function_url

from ask_request import MAX_BYTES, MAX_CHARACTERS

pytestmark = pytest.mark.usefixtures("model")

MEGABYTE = 1_000_000
SECONDS = 5.0  # of CPU, while allocations are traced
DEEP = 100_000
FIELDS = {str(number): number for number in range(150_000)}
BODIES = {
    "too large": ('{"question": "' + "x" * MAX_BYTES + '"}', 413),
    "only spaces, too large": (" " * (MAX_BYTES + 1), 413),
    "only spaces": (" " * MAX_BYTES, 422),
    "nested lists": ('{"question": ' + "[" * DEEP + "]" * DEEP + "}", 422),
    "nested objects": ('{"cache": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}", 422),
    "unclosed lists": ('{"cache": ' + "[" * MEGABYTE, 422),
    "an unclosed text": ('{"question": "' + '\\"' * MEGABYTE, 422),
    "many lists": ('{"question": "q", "cache": {"a": [' + "[]," * 300_000 + "[]]}}", 422),
    "many fields": (json.dumps(question(**FIELDS)), 422),
    "many fields of a turn": (json.dumps(question(messages=[FIELDS])), 422),
    "many tags": (json.dumps(question(cache={"tags": ["t"] * 100_000})), 422),
    "many turns": (json.dumps(question(messages=[{}] * 100_000)), 422),
    "a long name": (json.dumps({**QUESTION, "x" * MEGABYTE: 1}), 422),
    "a long value": (json.dumps(question(cache={"mode": "x" * MEGABYTE})), 422),
    "a long number": ('{"question": "q", "cache": {"ttl": ' + "9" * 100_000 + "}}", 422),
    "a number beyond floats": ('{"question": "q", "cache": {"ttl": 1e999}}', 422),
    "not a number": ('{"question": "q", "cache": {"ttl": NaN}}', 422),
    "a lone surrogate": ('{"question": "\\ud800"}', 422),
    "UTF-16 as text": (json.dumps(QUESTION).encode("utf-16").decode("latin-1"), 422),
}


@pytest.mark.parametrize("body", BODIES)
def test_hostile_body_is_refused_in_bounded_time_and_memory(model: Bedrock, body: str) -> None:
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
def test_hostile_cache_control_is_read_in_bounded_time(header: str) -> None:
    began = time.process_time()
    assert call(QUESTION, cache_control=header).status in {200, 422}
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "path",
    [
        *("/..", "/health/../ask", "/%2e%2e/ask", "/ask/../ask", "//ask", "/ask//"),
        *("/ASK", "/ask;x", ""),
    ],
)
def test_other_path_is_404_without_a_redirect(model: Bedrock, path: str) -> None:
    reply = call(QUESTION, path=path, host="evil.example")
    assert (reply.status, reply.error["code"]) == (404, "http")
    assert not {"location", "allow"} & set(reply.headers)
    assert model.requests == []


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "POST /ask HTTP/1.1\r\nx", "TRACE"])
def test_method_other_than_post_is_405(model: Bedrock, method: str) -> None:
    reply = call(QUESTION, method=method)
    assert (reply.status, reply.error["code"]) == (405, "http")
    assert reply.headers["allow"] == "POST"
    assert model.requests == []


def test_request_inside_the_body_is_not_served(model: Bedrock) -> None:
    inner = f"POST /ask HTTP/1.1\r\nContent-Length: 2\r\n\r\n{json.dumps(QUESTION)}"
    assert call(inner, content_length="0", transfer_encoding="chunked").status == 422
    assert model.requests == []


def test_base64_body_is_decoded_once_and_only_with_its_flag(model: Bedrock) -> None:
    event = function_url("POST", "/ask", QUESTION)
    assert handle({**event, "isBase64Encoded": False}).status == 422
    twice = base64.b64encode(event["body"].encode()).decode()
    assert handle({**event, "body": twice}).status == 422
    assert model.requests == []


# --- fields of the event that a client controls ---------------------------------------------------


def expected(name: str, status: int = 200) -> int:
    """Return the status behind a front: some fronts identify no caller."""
    return 403 if name in UNIDENTIFIED else status


FORMS = ["function_url_iam", "rest_api_iam", "alb", "alb_multi_value"]
HEADERS = ["content-encoding", "cache-control", "if-none-match"]
IGNORED_HEADERS = [
    *("host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-for", "content-type"),
    *("content-length", "transfer-encoding", "cookie", "x-amzn-trace-id", "origin", "", "\ud800"),
]
VALUES: list[Any] = [
    *(None, 7, -1.5, True, [], ["a"], [None], {}),
    *("", " ", ":", "x:", "a:b:c", "a:99999", "443,80", "-1", "1e3", "0x1", "9" * 5000),
    *("[::ffff:a9fe:a9fe]:80", "[2001:db8::1]", "::1", "[", "]:80", "[::1]:x", "user@host:80"),
    *("x" * 100_000, "caf\u00e9", "\u20ac", "\ud800", "\x00", "a\r\nb: c", "a\tb", "\x7f"),
    *("gzip", "text/plain; charset=nope", "multipart/form-data", "*/*;q=2", 'W/"', "max-age=-1"),
]
QUERIES: list[Any] = [
    None,
    [],
    "x",
    {},
    {"a": None},
    {"a": ["b", None]},
    {"\ud800": "\ud800"},
    {"a": 7},
]
IGNORED_FIELDS: dict[str, list[Any]] = {
    "headers": [None, [], "x", {}],
    "multiValueHeaders": [None, [], "x", {}, {"host": None}, {"host": []}],
    "queryStringParameters": QUERIES,
    "multiValueQueryStringParameters": QUERIES,
    "rawQueryString": [*QUERIES, "%", "a=%ff&&=", "\u20ac"],
    "cookies": [*QUERIES, [""], ["\u20ac"]],
}
PATHS = ["", "/", "//", "/%", "/ask\u20ac", "/ask?x", "*"]
FIELDS_READ: dict[str, list[Any]] = {
    "body": [None, "", "{", "null", "\ud800", "not base64!", "AAAA"],
    "isBase64Encoded": [None, True, False],
    "path": PATHS,
    "rawPath": PATHS,
}


def with_header(event: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return an event with a header, in each form that the event has."""
    for field, form in (("headers", value), ("multiValueHeaders", [value])):
        if field in event:
            kept = {key: old for key, old in event[field].items() if key.lower() != name}
            event[field] = {**kept, name: form}
    return event


@pytest.mark.parametrize("name", FORMS)
def test_header_changes_the_status_only_if_it_is_read(name: str) -> None:
    for header in [*HEADERS, *IGNORED_HEADERS]:
        for value in VALUES:
            status = handle(with_header(front(name), header, value)).status
            refused = header in HEADERS and 400 <= status < 500
            assert status == expected(name) or refused, (header, value)


@pytest.mark.parametrize("name", HTTP)
def test_field_changes_the_status_only_if_it_is_read(name: str) -> None:
    for field, values in (IGNORED_FIELDS | FIELDS_READ).items():
        for value in values:
            if "eaders" in field and field not in front(name):
                continue
            status = handle({**front(name), field: value}).status
            refused = field in FIELDS_READ and 400 <= status < 500
            assert status == expected(name) or refused, (field, value)


@pytest.mark.parametrize("missing", ["http", "method", "path", "sourceIp", "identity"])
def test_event_without_a_part_gets_a_reply(missing: str) -> None:
    for name in HTTP:
        event = front(name)
        for fields in (event, event["requestContext"], event["requestContext"].get("http", {})):
            fields.pop({"method": "httpMethod"}.get(missing, missing), None)
            fields.pop(missing, None)
        assert handle(event).status in {200, 400, 403}, name


@pytest.mark.parametrize("field", ["body", "path", "method"])
@pytest.mark.parametrize("wrong", [7, ["x"], {"a": 1}, True])
def test_unreadable_request_is_400_in_the_form_of_its_front(
    model: Bedrock, field: str, wrong: object
) -> None:
    for name in HTTP:
        event = front(name)
        at = event if field == "body" else event["requestContext"].get("http", event)
        at["httpMethod" if field == "method" and "httpMethod" in event else field] = wrong
        reply = handle(event)
        assert (reply.status, reply.error["code"]) == (400, "not_readable"), name
        assert reply.headers["cache-control"] == "no-store"
        form = "multiValueHeaders" if event.get("multiValueHeaders") else "headers"
        assert {"headers", "multiValueHeaders"} & set(invoke(event)) == {form}
    assert model.requests == []


@pytest.mark.parametrize("body", ["not base64!", "e30", "ä", "\ud800", "e30=\n"])
def test_body_that_is_not_base64_is_400(body: str) -> None:
    reply = handle({**function_url("POST", "/ask", QUESTION), "body": body})
    assert (reply.status, reply.error["field"]) == (400, "body")


@pytest.mark.parametrize("body", [None, ""])
def test_request_without_a_body_is_422(body: str | None) -> None:
    for name in HTTP:
        assert handle({**front(name), "body": body}).status == expected(name, 422), name


# --- encodings ------------------------------------------------------------------------------------


def posted(body: bytes, **headers: str) -> Reply:
    event = function_url("POST", "/ask", QUESTION, headers)
    return handle({**event, "body": base64.b64encode(body).decode()})


@pytest.mark.parametrize(
    "coding", [None, "gzip", "br", "GZIP", "gzip, identity", "x", "identity, gzip"]
)
def test_compressed_body_is_415_that_names_the_accepted_encoding(coding: str | None) -> None:
    headers = {"content-encoding": coding} if coding else {}
    reply = posted(gzip.compress(json.dumps(QUESTION).encode()), **headers)
    assert (reply.status, reply.error["code"]) == (415, "not_readable")
    assert reply.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("encoding", "status"),
    [("utf-16", 415), ("utf-32", 415), ("utf-16-le", 422), ("utf-16-be", 422)],
)
def test_body_that_is_not_utf8_is_refused(model: Bedrock, encoding: str, status: int) -> None:
    assert posted(json.dumps(QUESTION).encode(encoding)).status == status
    assert model.requests == []


def test_byte_order_mark_of_utf8_is_ignored() -> None:
    body = json.dumps(QUESTION).encode()
    assert posted(body, **{"content-encoding": "identity"}).cache == "miss"
    assert posted(codecs.BOM_UTF8 + body).cache == "hit"


def test_longest_question_is_accepted() -> None:
    turn = {"role": "user", "content": "\U0001f600" * MAX_CHARACTERS}
    longest = {"question": turn["content"], "system": turn["content"], "messages": [turn] * 40}
    body = json.dumps(longest, ensure_ascii=False).encode()
    assert MAX_BYTES > len(body) > MAX_BYTES - 100_000
    assert posted(body).status == 200

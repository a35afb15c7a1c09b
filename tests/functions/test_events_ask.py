"""`ask` replies to every event that AWS sends, in the form that its front understands."""

import json
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from tests.functions.bedrock import Bedrock
from tests.functions.changes import JSON, changed
from tests.functions.events import Context, event, names
from tests.functions.fronts import ALL, front

import ask

STATUS = {  # 200 for the others
    "http/alb_health_check_multi_value": 404,
    "http/alb_ipv6": 403,
    "http/alb_repeated_headers": 403,
    "http/function_url_null_headers": 422,
    "http/function_url_root": 404,
    "http/http_api_lambda_authorizer": 403,
    "http/http_api_lambda_authorizer_simple": 403,
    "http/http_api_no_body": 422,
    "http/http_api_none": 403,
    "http/http_api_payload_1_none": 403,
    "http/http_api_stage": 404,
    "http/rest_api_api_key": 403,
    "http/rest_api_custom_domain": 404,
    "http/rest_api_null_fields": 403,
    "http/rest_api_preflight": 405,
}
FRONTS = {  # how the problem names the front, by how the event's name begins
    "vpc_lattice": "VPC Lattice",
    "websocket": "WebSocket",
    "authorizer": "authorizer",
    "lambda_at_edge": "Lambda@Edge",
    "s3": "S3",
    "sns": "SNS",
}


def invoke(sent: object) -> Any:
    """Invoke the function, and check that Lambda can return what it returns."""
    reply = ask.handler(cast(Any, sent), cast(Any, Context()))
    json.dumps(reply, allow_nan=False).encode()
    return reply


def understood(sent: dict[str, Any], reply: dict[str, Any]) -> int:
    """Check that a reply has the form of its front's payload; return its status."""
    forms = {"headers", "multiValueHeaders"}
    if "elb" in sent["requestContext"] or sent.get("version") == "2.0":
        forms &= set(sent)
    assert set(reply) - {"cookies"} == {"statusCode", "body", "isBase64Encoded"} | forms
    assert all(isinstance(value, str) for value in reply.get("headers", {}).values())
    assert all(isinstance(value, list) for value in reply.get("multiValueHeaders", {}).values())
    assert isinstance(reply["body"], str)
    assert isinstance(reply["isBase64Encoded"], bool)
    status = reply["statusCode"]
    assert type(status) is int
    return status


def test_supported_front_gets_a_reply_in_its_own_form(model: Bedrock) -> None:
    sent = {name: event(name) for name in names("http")}
    statuses = {name: understood(one, invoke(one)) for name, one in sent.items()}
    assert statuses == dict.fromkeys(sent, 200) | STATUS


def problem(reply: Any) -> Any:
    """Return the problem of a reply, which an HTTP front or an invocation gets."""
    if "statusCode" not in reply:
        return reply["error"]
    assert 400 <= reply["statusCode"] < 500
    return json.loads(reply["body"])["error"]


def test_unsupported_front_gets_a_problem_that_names_it(model: Bedrock) -> None:
    errors = {name: problem(invoke(event(name))) for name in names("unsupported")}
    assert {error["code"] for error in errors.values()} == {"unsupported_front"}
    assert [name for name, error in errors.items() if front_of(name) not in error["message"]] == []
    assert model.requests == []


def front_of(name: str) -> str:
    """Return how a problem names the front of an event."""
    (found,) = {FRONTS[begins] for begins in FRONTS if name.startswith(f"unsupported/{begins}")}
    return found


def test_event_of_another_service_gets_a_problem(model: Bedrock) -> None:
    codes = {name: problem(invoke(event(name)))["code"] for name in names("services", "schedules")}
    assert set(codes.values()) == {"invalid", "unsupported_front"}, codes
    assert model.requests == []


def test_queue_keeps_its_messages(model: Bedrock) -> None:
    for name in names("sqs"):
        sent = event(name)
        reply = invoke(sent)
        assert problem(reply)["code"] == "unsupported_front", name
        kept = [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]
        assert kept == [record["messageId"] for record in sent["Records"]], name
    assert model.requests == []


# --- what a client can put into a request ---------------------------------------------------------

FORMS = ["function_url_iam", "rest_api_iam", "alb", "alb_multi_value"]
HEADERS = [
    *("host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-for"),
    *("content-type", "content-length", "content-encoding", "transfer-encoding", "cookie"),
    *("cache-control", "if-none-match", "x-amzn-trace-id", "origin", ""),
]
VALUES: list[Any] = [
    *(None, 7, -1.5, True, [], ["a"], [None], {}),
    *("", " ", ":", "x:", "a:b:c", "a:99999", "443,80", "-1", "1e3", "0x1", "9" * 5000),
    *("[::ffff:a9fe:a9fe]:80", "[2001:db8::1]", "::1", "[", "]:80", "[::1]:x", "user@host:80"),
    *("x" * 100_000, "caf\u00e9", "\u20ac", "\ud800", "\x00", "a\r\nb: c", "a\tb", "\x7f"),
    *("gzip", "text/plain; charset=nope", "multipart/form-data", "*/*;q=2", 'W/"', "max-age=-1"),
]


@pytest.mark.parametrize("name", FORMS)
def test_no_header_value_ends_in_an_exception(name: str, model: Bedrock) -> None:
    for header in HEADERS:
        for value in VALUES:
            status = invoke(with_header(front(name), header, value))["statusCode"]
            assert status == 200 or 400 <= status < 500, (header, value)


def with_header(sent: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    """Return an event whose header has another value, in each form that the event has of it."""
    for field, of in (("headers", value), ("multiValueHeaders", [value])):
        if field in sent:
            kept = {key: old for key, old in sent[field].items() if key.lower() != name}
            sent[field] = {**kept, name: of}
    return sent


SENT_BY_CLIENTS: dict[str, list[Any]] = {
    "headers": [None, {}, [], "x"],
    "multiValueHeaders": [None, {}, {"host": None}, {"host": []}],
    "body": [None, "", "{", "null", "\ud800", "not base64!", "AAAA"],
    "isBase64Encoded": [None, True, False],
    "queryStringParameters": [None, {}, {"a": None}, {"": ""}],
    "multiValueQueryStringParameters": [None, {}, {"a": []}, {"a": [None]}],
    "rawQueryString": [None, "%", "a=%ff&&=", "\u20ac"],
    "cookies": [None, [], [""], ["\u20ac"]],
    "path": ["", "/", "//", "/%", "/ask\u20ac", "/ask?x", "*"],
    "rawPath": ["", "/", "//", "/%", "/ask\u20ac", "/ask?x", "*"],
}


@pytest.mark.parametrize("name", FORMS)
def test_no_part_of_a_request_ends_in_an_exception(name: str, model: Bedrock) -> None:
    for field, values in SENT_BY_CLIENTS.items():
        for value in values if field in front(name) else []:
            status = invoke({**front(name), field: value})["statusCode"]
            assert status == 200 or 400 <= status < 500, (field, value)


# --- direct invocations ---------------------------------------------------------------------------

EVENTS = [*map(event, names()), *map(front, ALL)]


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(sent=JSON | changed(EVENTS))
def test_no_invocation_ends_in_an_exception(model: Bedrock, sent: object) -> None:
    reply = invoke(sent)
    assert "error" in reply or "answer" in reply or reply["statusCode"] < 500

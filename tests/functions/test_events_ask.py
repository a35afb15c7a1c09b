"""`ask` replies to every event of AWS in the form that the sender understands."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from tests.functions import asking
from tests.functions.asking import QUESTION
from tests.functions.bedrock import Bedrock
from tests.functions.changes import JSON, changed
from tests.functions.events import event, names
from upstash_redis import Redis

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
FRONTS = {  # the front's name in the problem, by the beginning of the event's name
    "vpc_lattice": "VPC Lattice",
    "websocket": "WebSocket",
    "authorizer": "authorizer",
    "lambda_at_edge": "Lambda@Edge",
    "s3": "S3",
    "sns": "SNS",
}
OTHERS: list[tuple[Any, str]] = [
    ({"requestContext": {"of": "the future"}}, "an unknown front"),
    ({"requestContext": {"http": {}}, "Records": [{"eventSource": "\ud800"}]}, "\ud800"),
    ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}, "aws:kinesis"),
    ({"Records": [{"body": json.dumps(QUESTION)}]}, "an unknown queue"),
    ({"Records": None, **QUESTION}, "an unknown queue"),
    ({"detail-type": "x", "source": "y", "detail": QUESTION}, "EventBridge"),
]


def invoke(sent: object) -> Any:
    """Invoke the function, and check that Lambda can return the result."""
    reply = asking.invoke(sent)
    json.dumps(reply, allow_nan=False).encode()
    return reply


def status(sent: dict[str, Any], reply: dict[str, Any]) -> int:
    """Check that a reply has the form of its front's payload; return its status."""
    forms = {"headers", "multiValueHeaders"}
    if "elb" in sent["requestContext"] or sent.get("version") == "2.0":
        forms &= set(sent)
    assert set(reply) - {"cookies"} == {"statusCode", "body", "isBase64Encoded"} | forms
    assert all(isinstance(value, str) for value in reply.get("headers", {}).values())
    assert all(isinstance(value, list) for value in reply.get("multiValueHeaders", {}).values())
    assert isinstance(reply["body"], str)
    assert isinstance(reply["isBase64Encoded"], bool)
    assert type(reply["statusCode"]) is int
    return int(reply["statusCode"])


def test_supported_front_gets_a_reply_in_its_own_form(model: Bedrock) -> None:
    sent = {name: event(name) for name in names("http")}
    statuses = {name: status(one, invoke(one)) for name, one in sent.items()}
    assert statuses == dict.fromkeys(sent, 200) | STATUS


def problem(sent: Any) -> dict[str, str]:
    """Return the problem that the sender of an event gets."""
    reply = invoke(sent)
    http = isinstance(sent, dict) and ("requestContext" in sent or "raw_path" in sent)
    assert reply.get("statusCode") == (400 if http else None)
    error: dict[str, str] = (json.loads(reply["body"]) if http else reply)["error"]
    return error


def front_of(name: str) -> str:
    """Return the name of an event's front in a problem."""
    (found,) = {FRONTS[begins] for begins in FRONTS if name.startswith(f"unsupported/{begins}")}
    return found


def test_unsupported_front_gets_a_problem_that_names_it(model: Bedrock, redis: Redis) -> None:
    sent = [(event(name), front_of(name)) for name in names("unsupported")]
    for one, front in [*sent, *OTHERS]:
        error = problem(one)
        assert error["code"] == "unsupported_front"
        assert front in error["message"].partition(";")[0]
    assert (model.requests, redis.keys("*")) == ([], [])


def test_event_of_another_service_gets_a_problem(model: Bedrock) -> None:
    codes = {name: problem(event(name))["code"] for name in names("services", "schedules")}
    assert set(codes.values()) == {"invalid", "unsupported_front"}, codes
    assert model.requests == []


def test_queue_keeps_its_messages(model: Bedrock) -> None:
    for name in names("sqs"):
        sent = event(name)
        assert "SQS" in problem(sent)["message"], name
        kept = [failure["itemIdentifier"] for failure in invoke(sent)["batchItemFailures"]]
        assert kept == [record["messageId"] for record in sent["Records"]], name
    assert model.requests == []


EVENTS = [event(name) for name in names()]


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(sent=JSON | changed(EVENTS))
def test_any_event_gets_a_reply(model: Bedrock, sent: object) -> None:
    reply = invoke(sent)
    assert "error" in reply or "answer" in reply or reply["statusCode"] < 500

"""Every front's event is answered, to the caller that AWS names in it and to nobody else."""

import json
from copy import deepcopy
from typing import Any, cast

import pytest
from tests.functions.asking import QUESTION, Reply, cold, handle
from tests.functions.bedrock import Bedrock
from tests.functions.events import Context
from tests.functions.fronts import ALL, HTTP, NOT_HTTP, UNNAMED, front
from upstash_redis import Redis

import ask
import flush_cache
import middleware
from ask_request import MAX_BYTES
from llm_cache import InvalidPolicy, InvalidSettings

NAMED = [name for name in HTTP if name not in UNNAMED]
SAME = {  # AWS names one caller in both
    "rest_api_iam": "function_url_iam",
    "rest_api_iam_cognito": "http_api_iam",
    "http_api_jwt_payload_1": "http_api_jwt",
    "rest_api_cognito": "http_api_jwt",
}


@pytest.fixture(autouse=True)
def _patient(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "10")  # none of this is about time
    monkeypatch.delenv("SHARE_ANSWERS", raising=False)
    cold()


def invoke(event: object) -> Any:
    return ask.handler(cast(Any, event), cast(Any, Context()))


def tell(name: str, **given: Any) -> Any:
    """Return a front's event with other fields in its ``requestContext``."""
    event = front(name)
    event["requestContext"] |= given
    return event


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_a_front_that_says_who_asks_gets_its_answer(name: str, model: Bedrock) -> None:
    first, again = handle(front(name)), handle(front(name))
    assert (first.status, first.cache) == (200, "miss")
    assert (again.status, again.cache, again.body["answer"]) == (200, "hit", "Answer 1.")
    assert again.headers["cache-status"].startswith("llm-cache; hit")
    assert first.body["cache"]["ttl"] == 120
    assert len(model.requests) == 1


@pytest.mark.parametrize("name", UNNAMED)
def test_a_front_that_does_not_is_refused_until_everybody_shares(
    name: str, model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = handle(front(name))
    assert (reply.status, reply.body["error"]["code"]) == (403, "no_identity")
    assert model.requests == []
    monkeypatch.setenv("SHARE_ANSWERS", "all")
    cold()
    assert handle(front(name)).cache == "miss"


def test_a_load_balancer_with_multi_value_headers_is_answered_in_kind(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARE_ANSWERS", "all")
    cold()
    reply = invoke(front("alb_multi_value"))
    assert "headers" not in reply
    assert reply["multiValueHeaders"]["content-type"] == ["application/json"]
    assert "multiValueHeaders" not in invoke(front("alb"))


def test_each_caller_is_somebody_else_however_they_came_unless_aws_names_the_same(
    model: Bedrock,
) -> None:
    asked: list[str] = []
    for name in [*NAMED, *NOT_HTTP]:
        event = front(name)
        if name == "step_functions":
            event = front("direct")
        cache = invoke(event) if name in NOT_HTTP else handle(event).body
        same = SAME.get(name) in asked or name == "step_functions"
        assert cache["cache"]["status"] == ("hit" if same else "miss"), name
        asked.append(name)
    assert len(model.requests) == len(asked) - len(SAME) - 1


def another(name: str) -> list[dict[str, Any]]:
    """Return the same event of others: each differs in one thing that AWS says of who asks."""
    context = front(name)["requestContext"]
    others = []
    for path in WHO[name]:
        changed = deepcopy(context)
        *way, last = path.split(".")
        at = changed
        for step in way:
            at = at[step]
        at[last] = f"{at[last]}0"
        others.append(tell(name, **changed))
    return others


WHO = {
    "function_url_iam": ["authorizer.iam.accountId", "authorizer.iam.callerId"],
    "http_api_iam": [
        "authorizer.iam.accountId",
        "authorizer.iam.cognitoIdentity.identityId",
        "authorizer.iam.cognitoIdentity.identityPoolId",
    ],
    "http_api_jwt": ["authorizer.jwt.claims.iss", "authorizer.jwt.claims.sub"],
    "http_api_jwt_payload_1": ["authorizer.claims.iss", "authorizer.claims.sub"],
    "rest_api_cognito": ["authorizer.claims.iss", "authorizer.claims.sub"],
    "rest_api_lambda": ["apiId", "authorizer.principalId"],
    "rest_api_iam": ["identity.accountId", "identity.caller"],
    "rest_api_iam_cognito": [
        "identity.accountId",
        "identity.cognitoIdentityId",
        "identity.cognitoIdentityPoolId",
    ],
}


@pytest.mark.parametrize("name", NAMED)
def test_another_caller_of_the_same_front_is_another(name: str) -> None:
    assert handle(front(name)).cache == "miss"
    assert [handle(event).cache for event in another(name)] == ["miss"] * len(WHO[name])
    assert handle(front(name)).cache == "hit"


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("nothing", [None, "", [], {"sub": "alice"}, 7])
def test_a_caller_of_whom_a_part_is_missing_is_nobody(name: str, nothing: object) -> None:
    for path in WHO[name]:
        if path == "identity.cognitoIdentityPoolId" and nothing is None:
            continue  # in part missing, in part there: the next test
        event = front(name)
        *way, last = path.split(".")
        at = event["requestContext"]
        for step in way:
            at = at[step]
        at[last] = nothing
        assert handle(event).status == 403, path


@pytest.mark.parametrize("part", ["cognitoIdentityId", "cognitoIdentityPoolId"])
def test_half_an_identity_of_a_pool_is_not_its_role(part: str) -> None:
    event = front("rest_api_iam_cognito")
    event["requestContext"]["identity"][part] = None
    assert handle(event).status == 403


@pytest.mark.parametrize(
    ("value", "name", "status"),
    [
        ("account", "function_url_iam", "hit"),
        ("account", "http_api_iam", "hit"),
        ("account", "rest_api_iam_cognito", "hit"),
        ("account", "http_api_jwt", "miss"),
        ("account", "rest_api_lambda", "miss"),
        ("role", "function_url_iam", "hit"),
        ("role", "http_api_jwt", "miss"),
    ],
)
def test_who_has_no_account_or_role_shares_with_nobody_of_one(
    monkeypatch: pytest.MonkeyPatch, value: str, name: str, status: str
) -> None:
    monkeypatch.setenv("SHARE_ANSWERS", value)
    cold()
    first = front("rest_api_iam")
    first["requestContext"]["identity"]["caller"] = "AROAEXAMPLEROLE:bob"
    assert (handle(first).cache, handle(front(name)).cache) == ("miss", status)


@pytest.mark.parametrize("value", ["role", "account"])
@pytest.mark.parametrize("name", ["http_api_jwt", "rest_api_cognito", "rest_api_lambda"])
def test_subjects_of_tokens_do_not_share(
    monkeypatch: pytest.MonkeyPatch, value: str, name: str
) -> None:
    monkeypatch.setenv("SHARE_ANSWERS", value)
    cold()
    replies = [handle(front(name)), *map(handle, another(name))]
    assert {reply.cache for reply in replies} == {"miss"}


# --- forged ---------------------------------------------------------------------------------------

ALICE = {"authorizer": front("function_url_iam")["requestContext"]["authorizer"]}
CLAIM = {"authorizer": front("http_api_jwt")["requestContext"]["authorizer"]}


@pytest.mark.parametrize("name", HTTP)
@pytest.mark.parametrize("forged", [ALICE, CLAIM], ids=["IAM", "JWT"])
def test_a_request_context_in_the_body_is_no_request_context(
    name: str, forged: dict[str, Any], model: Bedrock
) -> None:
    body = json.dumps({**QUESTION, "requestContext": forged})
    reply = handle({**front(name), "body": body, "isBase64Encoded": False})
    assert reply.status == (403 if name in UNNAMED else 422)
    assert model.requests == []


@pytest.mark.parametrize("name", UNNAMED)
def test_no_header_names_a_caller_to_a_front_that_names_none(name: str, model: Bedrock) -> None:
    event = front(name)
    told = {
        "x-amzn-request-context": json.dumps(ALICE),
        "x-amzn-oidc-identity": "alice",
        "x-amzn-oidc-data": "e30.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        "authorization": "Bearer e30.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
    }
    event.get("headers", {}).update(told)
    event.get("multiValueHeaders", {}).update({key: [value] for key, value in told.items()})
    assert handle(event).status == 403
    assert model.requests == []


@pytest.mark.parametrize("name", [name for name in HTTP if "lambda" in name])
def test_what_an_authorisers_function_adds_to_its_context_is_no_identity(
    name: str, redis: Redis
) -> None:
    event = front(name)
    event["requestContext"]["authorizer"] = {"lambda": {**ALICE["authorizer"], "principalId": "a"}}
    assert handle(event).status == 403
    assert redis.keys("*") == []


def test_a_lambda_authoriser_cannot_name_an_iam_caller(model: Bedrock) -> None:
    assert handle(front("rest_api_iam")).cache == "miss"
    told = {"principalId": "AROAEXAMPLEROLE:alice", "iam": "AROAEXAMPLEROLE:alice"}
    assert handle(tell("rest_api_lambda", authorizer=told)).cache == "miss"
    told = {"principalId": "AROAEXAMPLEROLE:alice", "claims": "iss sub"}
    assert handle(tell("rest_api_lambda", authorizer=told, apiId="111122223333")).cache == "miss"


def test_the_path_that_counts_is_the_one_of_the_front(model: Bedrock) -> None:
    assert handle({**front("rest_api_iam"), "path": "/other/ask"}).status == 404
    assert handle({**front("alb"), "path": "/health", "httpMethod": "GET"}).status == 200


def with_path(name: str, path: str, method: str = "POST") -> Any:
    event = front(name)
    at = event["requestContext"].get("http", event)
    at |= {"path": path, "httpMethod" if at is event else "method": method}
    return event


@pytest.mark.parametrize(
    ("prefix", "path", "status"),
    [
        ("", "/ask/", 200),
        ("", "/ask//", 404),
        ("", "//ask", 404),
        ("", "/prod/ask", 404),
        ("/prod", "/prod/ask", 200),
        ("/prod", "/prod/ask/", 200),
        ("/prod", "/ask", 200),
        ("/prod", "/production/ask", 404),
        ("/prod", "/prodask", 404),
        ("/prod", "/prod/prod/ask", 404),
        ("/prod", "/prod", 404),
        ("/v1/chat", "/v1/chat/ask", 200),
        ("/v1/chat", "/v1/ask", 404),
        ("/ask", "/ask/ask", 200),
    ],
)
def test_prefix_of_the_front_is_no_part_of_the_path(
    monkeypatch: pytest.MonkeyPatch, prefix: str, path: str, status: int
) -> None:
    monkeypatch.setenv("PATH_PREFIX", prefix)
    cold()
    for name in ("function_url_iam", "http_api_jwt_payload_1", "rest_api_iam"):
        assert handle(with_path(name, path)).status == status, name


# --- browsers -------------------------------------------------------------------------------------

ORIGIN = "https://app.example"


def from_a_page(name: str, method: str = "POST", path: str = "/ask", origin: str = ORIGIN) -> Reply:
    event = with_path(name, path, method)
    asks = {"access-control-request-method": "POST"}
    headers = {"origin": origin, **(asks if method == "OPTIONS" else {})}
    event.setdefault("headers", {}).update(headers)
    return handle(event)


def allowed(reply: Reply) -> str | None:
    return reply.headers.get("access-control-allow-origin")


@pytest.mark.parametrize(
    ("origins", "allows"),
    [
        ("", None),
        ("*", "*"),
        (ORIGIN, ORIGIN),
        (f"https://b.example, {ORIGIN}", ORIGIN),
        ("https://b.example", None),
    ],
)
def test_pages_of_the_origins_that_are_set_may_call(
    monkeypatch: pytest.MonkeyPatch, origins: str, allows: str | None
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    cold()
    for name in ("http_api_jwt", "rest_api_iam"):
        reply = from_a_page(name)
        assert (reply.status, allowed(reply)) == (200, allows)
        assert reply.headers.get("vary") == ("Origin" if origins else None)
        refused = from_a_page(name, path="/nowhere")
        assert (refused.status, allowed(refused)) == (404, allows)
        if allows:
            assert "ETag" in reply.headers["access-control-expose-headers"]


def test_preflight_is_answered_without_an_identity(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert from_a_page("alb", "OPTIONS").status == 405
    monkeypatch.setenv("CORS_ORIGINS", ORIGIN)
    cold()
    reply = from_a_page("alb", "OPTIONS")
    assert (reply.status, allowed(reply)) == (200, ORIGIN)
    assert {"POST", "GET"} <= set(reply.headers["access-control-allow-methods"].split(", "))
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()
    assert from_a_page("rest_api_iam", "OPTIONS", origin="https://evil.example").status == 400
    assert model.requests == []


def test_function_url_answers_browsers_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", ORIGIN)
    cold()
    reply = from_a_page("function_url_iam")
    assert (reply.status, allowed(reply), reply.headers.get("vary")) == (200, None, None)


PREFIXES = ("prod", "/prod/", "/", "//", "/a b", "/é", "/a?b", "/a//b")
ORIGINS = ("app.example", "https://a/", "*, https://a", "https://a b", "null")


@pytest.mark.parametrize(
    ("variable", "value"),
    [(middleware.PREFIX, value) for value in PREFIXES]
    + [(middleware.ORIGINS, value) for value in ORIGINS],
)
def test_wrong_prefix_or_origin_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    read = middleware.prefix if variable == middleware.PREFIX else middleware.origins
    read.cache_clear()
    with pytest.raises(InvalidSettings, match=f"{variable}="):
        read()


# --- caches between -------------------------------------------------------------------------------


def test_no_cache_between_keeps_a_response(model: Bedrock) -> None:
    told = [
        (method, path) for method in ("GET", "POST", "HEAD") for path in ("/ask", "/health", "/x")
    ]
    for method, path in told:
        reply = handle(with_path("function_url_iam", path, method))
        assert reply.headers["cache-control"] == "no-store", (method, path)
        assert (reply.body is None) == (method == "HEAD")
    assert handle(front("function_url_none")).headers["cache-control"] == "no-store"
    described = handle(with_path("function_url_iam", "/openapi.json", "GET"))
    assert described.headers["cache-control"] == "max-age=300"


# --- invoked without HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOT_HTTP)
def test_the_event_is_the_question_and_the_result_the_answer(name: str, model: Bedrock) -> None:
    first, again = invoke(front(name)), invoke(front(name))
    assert set(first) == {"answer", "stop_reason", "cache", "usage"}
    assert (first["answer"], first["cache"]["status"]) == ("Answer 1.", "miss")
    assert (again["answer"], again["cache"]["status"]) == ("Answer 1.", "hit")
    assert again["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    assert json.loads(json.dumps(again)) == again


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (429, "ThrottlingException", "model_busy"),
        (408, "ModelTimeoutException", "model_timeout"),
        (400, "ValidationException", "model_refused"),
        (403, "AccessDeniedException", "model_misconfigured"),
    ],
)
def test_direct_invocation_without_an_answer_returns_the_problem(
    model: Bedrock, status: int, error: str, code: str
) -> None:
    model.status, model.error = status, error
    reply = invoke(QUESTION)
    assert reply["error"]["code"] == code
    assert "do not show" not in str(reply)


def test_direct_invocation_tells_that_the_answer_has_no_text(model: Bedrock) -> None:
    model.content, model.stops = [], "guardrail_intervened"
    error = invoke(QUESTION)["error"]
    assert (error["code"], error["stop_reason"]) == ("no_answer", "guardrail_intervened")


def test_direct_invocation_with_only_if_cached_returns_the_problem(model: Bedrock) -> None:
    reply = invoke({**QUESTION, "cache": {"mode": "only_if_cached"}})
    assert (reply["error"]["code"], model.requests) == ("not_cached", [])


def test_time_that_runs_out_is_told_before_lambda_ends_the_function(model: Bedrock) -> None:
    reply = ask.handler(QUESTION, Context(seconds=1.001))
    assert reply["error"]["code"] == "model_timeout"


@pytest.mark.parametrize("name", ALL)
def test_unexpected_error_leaves_the_handler_behind_every_front(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("web.tenant_of", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        invoke(front(name))


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "question"),
        ({"question": 7}, "question"),
        ({"question": " "}, "question"),
        ({"question": "\ud800"}, "body"),
        ([QUESTION], "body"),
        ("What?", "body"),
        (None, "body"),
        ({**QUESTION, "tenant": "alice"}, "tenant"),
        ({**QUESTION, "cache": {"tenant": "alice"}}, "cache.tenant"),
        ({**QUESTION, "cache": {"key": "alice"}}, "cache.key"),
        ({**QUESTION, "cache": {"ttl": "soon"}}, "cache.ttl"),
        ({**QUESTION, "httpMethod": "POST", "body": json.dumps(QUESTION)}, "httpMethod"),
        ({**QUESTION, "headers": {"x-tenant": "alice"}}, "headers"),
    ],
)
def test_an_event_that_is_no_question_says_so(event: object, field: str, model: Bedrock) -> None:
    error = invoke(event)["error"]
    assert (error["code"], error["field"], model.requests) == ("invalid", field, [])


def test_a_question_too_large_says_so(model: Bedrock) -> None:
    assert invoke({"question": "x" * MAX_BYTES})["error"]["code"] == "too_large"


def test_a_question_beside_a_request_context_is_not_asked(model: Bedrock) -> None:
    contexts: list[object] = [{}, ALICE, {"elb": {}}, {"http": {}}, {"http": None}, None, "x"]
    for context in contexts:
        assert handle({**QUESTION, "requestContext": context}).status == 400
    both = handle({**front("function_url_iam"), **QUESTION, "body": "{}"})
    assert (both.status, model.requests) == (422, [])


# --- fronts that are not supported ----------------------------------------------------------------

SQS = [{"messageId": one, "eventSource": "aws:sqs", "body": "{}"} for one in ("1", "2")]
LATTICE = {"serviceNetworkArn": "arn:…", "serviceArn": "arn:…", "targetGroupArn": "arn:…"}
AUTHORIZED = {"type": "REQUEST", "requestContext": {"http": {"method": "POST", "path": "/ask"}}}
WITH_STATUS: dict[str, tuple[dict[str, Any], str]] = {
    "Lattice 1": ({"raw_path": "/ask", "method": "POST", "headers": {}}, "VPC Lattice"),
    "Lattice 2": ({"version": "2.0", "requestContext": LATTICE, "path": "/ask"}, "VPC Lattice"),
    "WebSocket": ({"requestContext": {"connectionId": "1", "routeKey": "$default"}}, "WebSocket"),
    "authorizer of an HTTP API": ({"version": "2.0", "routeArn": "a", **AUTHORIZED}, "authorizer"),
    "authorizer of a REST API": ({**front("rest_api_iam"), "methodArn": "arn:…"}, "authorizer"),
    "unknown": ({"requestContext": {"of": "the future"}}, "unknown"),
}
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "authorizer of tokens": ({"type": "TOKEN", "methodArn": "a"}, "authorizer"),
    "SQS": ({"Records": SQS}, "SQS"),
    "SNS": ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]}, "SNS"),
    "S3": ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "S3"),
    "Kinesis": ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}, "aws:kinesis"),
    "CloudFront": ({"Records": [{"cf": {"request": {"uri": "/ask"}}}]}, "Lambda@Edge"),
    "records": ({"Records": [{"body": json.dumps(QUESTION)}]}, "unknown queue"),
    "no records": ({"Records": None, **QUESTION}, "unknown queue"),
    "EventBridge": ({"detail-type": "x", "source": "y", "detail": QUESTION}, "EventBridge"),
}


@pytest.mark.parametrize("name", [*WITH_STATUS, *OTHERS])
def test_front_that_is_not_supported_gets_one_error_that_names_it(
    name: str, model: Bedrock, redis: Redis
) -> None:
    event, named = (WITH_STATUS | OTHERS)[name]
    reply = invoke(event)
    problem = json.loads(reply["body"]) if name in WITH_STATUS else reply
    assert reply.get("statusCode") == (400 if name in WITH_STATUS else None)
    assert problem["error"]["code"] == "unsupported_front"
    assert named in problem["error"]["message"].partition(";")[0]
    assert (model.requests, redis.keys("*")) == ([], [])


def test_messages_that_ask_does_not_take_stay_in_their_queue() -> None:
    failed = invoke({"Records": SQS})["batchItemFailures"]
    assert failed == [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]


# --- who invokes directly -------------------------------------------------------------------------


def test_who_invokes_directly_shares_with_everybody_only_where_all_share(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("nobody", "role", "account"):
        monkeypatch.setenv("SHARE_ANSWERS", value)
        cold()
        question = {"question": value}
        event = {**front("rest_api_iam"), "body": json.dumps(question)}
        assert handle(event).cache == "miss"
        assert invoke(question)["cache"]["status"] == "miss"
    monkeypatch.setenv("SHARE_ANSWERS", "all")
    cold()
    assert handle({**event, "body": json.dumps({"question": "all"})}).cache == "miss"
    assert invoke({"question": "all"})["cache"]["status"] == "hit"
    monkeypatch.setenv("SHARE_ANSWERS", "nobody")
    cold()
    assert invoke({"question": "all"})["cache"]["status"] == "miss"


@pytest.mark.parametrize("iam", ["direct", '"direct"', '["direct"]', ""])
def test_no_caller_of_a_front_is_taken_for_who_invokes_directly(iam: str, model: Bedrock) -> None:
    question = {"question": front("function_url_iam")["body"]}
    assert invoke(question)["cache"]["status"] == "miss"
    event = {**front("function_url_iam"), "body": json.dumps(question)}
    for who in ({"accountId": iam, "callerId": iam}, {"accountId": iam, "callerId": ""}):
        event["requestContext"]["authorizer"] = {"iam": who}
        assert handle(event).body.get("cache", {}).get("status") != "hit"


# --- the flush ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_no_event_of_a_question_clears_anything(name: str, model: Bedrock) -> None:
    assert invoke(QUESTION)["cache"]["status"] == "miss"
    with pytest.raises(InvalidPolicy):
        flush_cache.handler(front(name), Context())
    assert invoke(QUESTION)["cache"]["status"] == "hit"

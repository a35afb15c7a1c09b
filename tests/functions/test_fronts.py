"""`ask` behind each front: identification, paths, CORS, caches, direct invocations."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, handle, invoke, question
from tests.functions.bedrock import Bedrock
from tests.functions.events import DIRECT, HTTP, IDENTIFIED, UNIDENTIFIED, front
from upstash_redis import Redis

from ask_request import MAX_BYTES

pytestmark = pytest.mark.usefixtures("model")

SAME = {  # AWS identifies one caller in both
    "rest_api_iam": "function_url_iam",
    "rest_api_iam_cognito": "http_api_iam",
    "http_api_jwt_payload_1": "http_api_jwt",
    "rest_api_cognito": "http_api_jwt",
}
CALLER = {  # the fields of ``requestContext`` that identify the caller
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


def changed(name: str, path: str, change: Callable[[Any], object]) -> Any:
    """Return a front's event with one changed field of its ``requestContext``."""
    event = front(name)
    *parents, last = path.split(".")
    at = event["requestContext"]
    for parent in parents:
        at = at[parent]
    at[last] = change(at[last])
    return event


def other_callers(name: str) -> list[Any]:
    """Return the event of other callers; each differs in one field."""
    return [changed(name, path, lambda value: f"{value}0") for path in CALLER[name]]


def with_context(name: str, **fields: Any) -> Any:
    event = front(name)
    event["requestContext"] |= fields
    return event


# --- identification -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDENTIFIED)
def test_identified_caller_gets_an_answer_and_another_caller_does_not_get_it(
    name: str, model: Bedrock
) -> None:
    first = handle(front(name))
    assert (first.status, first.cache, first.body["cache"]["ttl"]) == (200, "miss", 120)
    assert [handle(event).cache for event in other_callers(name)] == ["miss"] * len(CALLER[name])
    again = handle(front(name))
    assert (again.status, again.cache, again.body["answer"]) == (200, "hit", "Answer 1.")
    assert again.headers["cache-status"].startswith("llm-cache; hit")
    assert len(model.requests) == 1 + len(CALLER[name])


@pytest.mark.parametrize("name", UNIDENTIFIED)
def test_unidentified_caller_is_refused_unless_all_callers_share_answers(
    name: str, model: Bedrock, configure: Callable[..., None]
) -> None:
    for value in ("", "nobody", "role", "account"):
        configure(SHARE_ANSWERS=value)
        reply = handle(front(name))
        assert (reply.status, reply.error["code"]) == (403, "no_identity")
    assert model.requests == []
    configure(SHARE_ANSWERS="all")
    assert handle(front(name)).cache == "miss"


def test_caller_shares_answers_with_itself_across_fronts_only(model: Bedrock) -> None:
    seen: list[str] = []
    for name in [*IDENTIFIED, *DIRECT]:
        event = front("direct" if name == "step_functions" else name)
        body = invoke(event) if name in DIRECT else handle(event).body
        same = SAME.get(name) in seen or name == "step_functions"
        assert body["cache"]["status"] == ("hit" if same else "miss"), name
        seen.append(name)
    assert len(model.requests) == len(seen) - len(SAME) - 1


@pytest.mark.parametrize("name", IDENTIFIED)
@pytest.mark.parametrize("value", [None, "", [], {"sub": "alice"}, 7])
def test_caller_with_an_invalid_field_is_refused(name: str, value: object) -> None:
    for path in CALLER[name]:
        assert handle(changed(name, path, lambda _: value)).status == 403, path


@pytest.mark.parametrize(
    ("value", "name", "status"),
    [
        ("account", "function_url_iam", "hit"),
        ("account", "http_api_iam", "hit"),
        ("account", "rest_api_iam_cognito", "hit"),
        ("account", "http_api_jwt", "miss"),
        ("account", "rest_api_cognito", "miss"),
        ("account", "rest_api_lambda", "miss"),
        ("role", "function_url_iam", "hit"),
        ("role", "http_api_jwt", "miss"),
        ("role", "rest_api_cognito", "miss"),
        ("role", "rest_api_lambda", "miss"),
    ],
)
def test_only_callers_with_the_account_or_role_share_its_answers(
    configure: Callable[..., None], value: str, name: str, status: str
) -> None:
    configure(SHARE_ANSWERS=value)
    first = changed("rest_api_iam", "identity.caller", lambda _: "AROAEXAMPLEROLE:bob")
    assert (handle(first).cache, handle(front(name)).cache) == ("miss", status)
    if status == "miss":
        assert {handle(event).cache for event in other_callers(name)} == {"miss"}


# --- forged identities ----------------------------------------------------------------------------

ALICE = {"authorizer": front("function_url_iam")["requestContext"]["authorizer"]}
CLAIM = {"authorizer": front("http_api_jwt")["requestContext"]["authorizer"]}
FORGED_HEADERS = {
    "x-amzn-request-context": json.dumps(ALICE),
    "x-amzn-oidc-identity": "alice",
    "x-amzn-oidc-data": "e30.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
    "authorization": "Bearer e30.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
}


@pytest.mark.parametrize("name", HTTP)
def test_request_context_in_the_body_identifies_no_caller(name: str, model: Bedrock) -> None:
    for forged in (ALICE, CLAIM):
        body = json.dumps(question(requestContext=forged))
        reply = handle({**front(name), "body": body, "isBase64Encoded": False})
        assert reply.status == (403 if name in UNIDENTIFIED else 422)
    assert model.requests == []


@pytest.mark.parametrize("name", UNIDENTIFIED)
def test_header_identifies_no_caller(name: str, model: Bedrock) -> None:
    event = front(name)
    lists = {key: [value] for key, value in FORGED_HEADERS.items()}
    event.get("headers", {}).update(FORGED_HEADERS)
    event.get("multiValueHeaders", {}).update(lists)
    assert handle(event).status == 403
    assert model.requests == []


@pytest.mark.parametrize("name", [name for name in HTTP if "lambda" in name])
def test_context_of_a_lambda_authorizer_identifies_no_caller(name: str, redis: Redis) -> None:
    added = {"lambda": {**ALICE["authorizer"], "principalId": "a"}}
    assert handle(with_context(name, authorizer=added)).status == 403
    assert redis.keys("*") == []


def test_lambda_authorizer_cannot_name_an_iam_caller() -> None:
    assert handle(front("rest_api_iam")).cache == "miss"
    principal = "AROAEXAMPLEROLE:alice"
    forged = {"principalId": principal, "iam": principal}
    assert handle(with_context("rest_api_lambda", authorizer=forged)).cache == "miss"
    forged = {"principalId": principal, "claims": "iss sub"}
    event = with_context("rest_api_lambda", authorizer=forged, apiId="111122223333")
    assert handle(event).cache == "miss"


# --- paths, CORS and caches -----------------------------------------------------------------------


def with_path(name: str, path: str, method: str = "POST") -> Any:
    event = front(name)
    at = event["requestContext"].get("http", event)
    at |= {"path": path, "httpMethod" if at is event else "method": method}
    return event


def test_path_of_the_event_decides() -> None:
    assert handle(with_path("rest_api_iam", "/other/ask")).status == 404
    assert handle({**with_path("function_url_iam", "/health"), "rawPath": "/ask"}).status == 405
    assert handle(with_path("alb", "/health", "GET")).status == 200


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
def test_path_prefix_is_removed(
    configure: Callable[..., None], prefix: str, path: str, status: int
) -> None:
    configure(PATH_PREFIX=prefix)
    for name in ("function_url_iam", "http_api_jwt_payload_1", "rest_api_iam"):
        assert handle(with_path(name, path)).status == status, name


ORIGIN = "https://app.example"


def from_page(name: str, method: str = "POST", path: str = "/ask", origin: str = ORIGIN) -> Reply:
    event = with_path(name, path, method)
    preflight = {"access-control-request-method": "POST"} if method == "OPTIONS" else {}
    event.setdefault("headers", {}).update({"origin": origin, **preflight})
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
def test_pages_of_configured_origins_may_call(
    configure: Callable[..., None], origins: str, allows: str | None
) -> None:
    configure(CORS_ORIGINS=origins)
    for name in ("http_api_jwt", "rest_api_iam"):
        reply = from_page(name)
        assert (reply.status, allowed(reply)) == (200, allows)
        assert reply.headers.get("vary") == ("Origin" if origins else None)
        unknown = from_page(name, path="/nowhere")
        assert (unknown.status, allowed(unknown)) == (404, allows)
        if allows:
            assert "ETag" in reply.headers["access-control-expose-headers"]


def test_preflight_needs_no_identity(model: Bedrock, configure: Callable[..., None]) -> None:
    assert from_page("alb", "OPTIONS").status == 405
    configure(CORS_ORIGINS=ORIGIN)
    reply = from_page("alb", "OPTIONS")
    assert (reply.status, allowed(reply)) == (200, ORIGIN)
    assert {"POST", "GET"} <= set(reply.headers["access-control-allow-methods"].split(", "))
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()
    assert from_page("rest_api_iam", "OPTIONS", origin="https://evil.example").status == 400
    assert model.requests == []


def test_function_url_handles_cors_itself(configure: Callable[..., None]) -> None:
    configure(CORS_ORIGINS=ORIGIN)
    reply = from_page("function_url_iam")
    assert (reply.status, allowed(reply), reply.headers.get("vary")) == (200, None, None)


def test_responses_forbid_caches_except_the_description() -> None:
    for method in ("GET", "POST", "HEAD"):
        for path in ("/ask", "/health", "/x"):
            reply = handle(with_path("function_url_iam", path, method))
            assert reply.headers["cache-control"] == "no-store", (method, path)
            assert (reply.body is None) == (method == "HEAD")
    assert handle(front("function_url_none")).headers["cache-control"] == "no-store"
    described = handle(with_path("function_url_iam", "/openapi.json", "GET"))
    assert described.headers["cache-control"] == "max-age=300"


# --- direct invocations ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRECT)
def test_direct_invocation_returns_the_answer_to_its_event(name: str) -> None:
    first, again = invoke(front(name)), invoke(front(name))
    assert set(first) == {"answer", "stop_reason", "cache", "usage"}
    assert (first["answer"], first["cache"]["status"]) == ("Answer 1.", "miss")
    assert (again["answer"], again["cache"]["status"]) == ("Answer 1.", "hit")
    assert again["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    assert json.loads(json.dumps(again)) == again


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        ({}, "invalid", "question"),
        ({"question": "\ud800"}, "invalid", "body"),
        ([QUESTION], "invalid", "body"),
        ("What?", "invalid", "body"),
        (None, "invalid", "body"),
        (question(tenant="alice"), "invalid", "tenant"),
        (question(httpMethod="POST", body=json.dumps(QUESTION)), "invalid", "httpMethod"),
        (question(headers={"x-tenant": "alice"}), "invalid", "headers"),
        (question(cache={"mode": "only_if_cached"}), "not_cached", None),
        ({"question": "x" * MAX_BYTES}, "too_large", None),
    ],
)
def test_direct_invocation_without_an_answer_returns_the_problem(
    event: object, code: str, field: str | None, model: Bedrock
) -> None:
    error = invoke(event)["error"]
    assert (error["code"], error.get("field"), model.requests) == (code, field, [])


def test_direct_invocation_returns_the_problem_before_the_invocation_ends() -> None:
    assert invoke(QUESTION, seconds=1.001)["error"]["code"] == "model_timeout"


def test_question_with_a_request_context_is_not_answered(model: Bedrock) -> None:
    contexts: list[object] = [{}, ALICE, {"elb": {}}, {"http": {}}, {"http": None}, None, "x"]
    for context in contexts:
        assert handle(question(requestContext=context)).status == 400
    both = handle({**front("function_url_iam"), **QUESTION, "body": "{}"})
    assert (both.status, model.requests) == (422, [])


def test_direct_invocations_share_answers_only_if_all_callers_share(
    configure: Callable[..., None],
) -> None:
    def statuses(value: str) -> tuple[str, str]:
        configure(SHARE_ANSWERS=value)
        asked = {"question": value}
        first = handle({**front("rest_api_iam"), "body": json.dumps(asked)})
        return first.cache, invoke(asked)["cache"]["status"]

    assert {statuses(value) for value in ("nobody", "role", "account")} == {("miss", "miss")}
    assert statuses("all") == ("miss", "hit")
    configure(SHARE_ANSWERS="nobody")
    assert invoke({"question": "all"})["cache"]["status"] == "miss"


@pytest.mark.parametrize("iam", ["direct", '"direct"', '["direct"]', ""])
def test_no_caller_of_a_front_has_the_tenant_of_direct_invocations(iam: str) -> None:
    asked = {"question": front("function_url_iam")["body"]}
    assert invoke(asked)["cache"]["status"] == "miss"
    for signer in ({"accountId": iam, "callerId": iam}, {"accountId": iam, "callerId": ""}):
        event = with_context("function_url_iam", authorizer={"iam": signer})
        event["body"] = json.dumps(asked)
        assert handle(event).body.get("cache", {}).get("status") != "hit"

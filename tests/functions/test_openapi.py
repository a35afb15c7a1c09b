"""``GET /openapi.json`` describes every status, header and field of `ask`."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, call, handle, question
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url

from ask_request import MAX_BYTES, MAX_TURNS


def documented() -> dict[str, Any]:
    description: dict[str, Any] = call(method="GET", path="/openapi.json").body
    return description


def operation() -> dict[str, Any]:
    described: dict[str, Any] = documented()["paths"]["/ask"]["post"]
    return described


def failing(
    model: Bedrock, status: int, error: str, parameters: dict[str, Any] | None = None
) -> Reply:
    model.fail(status, error, **{"Retry-After": "7"})
    return call(question(parameters=parameters))


def silent(model: Bedrock) -> Reply:
    model.content = []
    return call(QUESTION)


REQUESTS: dict[str, list[Callable[[Bedrock], Reply]]] = {
    "200": [lambda _: call(QUESTION), lambda _: call(question(parameters={"max_tokens": 3}))],
    "304": [lambda _: call(QUESTION, if_none_match=call(QUESTION).headers["etag"])],
    "400": [lambda _: handle({**function_url("POST", "/ask"), "body": "not base64!"})],
    "403": [lambda _: call(QUESTION, iam={})],
    "413": [lambda _: call(" " * (MAX_BYTES + 1))],
    "415": [lambda _: call(QUESTION, content_encoding="gzip")],
    "422": [
        lambda _: call({}),
        lambda model: failing(model, 400, "ValidationException", {"top_p": 1}),
        lambda _: call(QUESTION, cache_control="max-age=soon"),
    ],
    "500": [lambda model: failing(model, 400, "ValidationException")],
    "502": [silent],
    "503": [lambda model: failing(model, 429, "ThrottlingException")],
    "504": [lambda _: call(QUESTION, cache_control="only-if-cached")],
}


def test_every_described_status_occurs(model: Bedrock) -> None:
    assert set(operation()["responses"]) == set(REQUESTS)


@pytest.mark.parametrize(
    ("status", "request_of"), [(status, one) for status, all_ in REQUESTS.items() for one in all_]
)
def test_reply_matches_its_description(
    model: Bedrock, status: str, request_of: Callable[[Bedrock], Reply]
) -> None:
    reply = request_of(model)
    described = operation()["responses"][status]
    assert reply.status == int(status)
    assert {name.lower() for name in described.get("headers", {})} - {"age"} <= set(reply.headers)
    if "content" not in described:
        assert reply.body is None
        return
    check(reply.body, described["content"][reply.headers["content-type"]]["schema"])


def check(value: object, schema: dict[str, Any]) -> None:
    """Check a value by the part of JSON Schema that the description uses."""
    if "$ref" in schema:
        schema = documented()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert type(value) in {KINDS[one["type"]] for one in schema["anyOf"]}
        return
    assert type(value) is KINDS[schema["type"]]
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for name, field in value.items():
            check(field, schema["properties"][name])


KINDS = {"object": dict, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def test_every_described_request_header_is_read(model: Bedrock) -> None:
    headers = {"Cache-Control": "max-age=soon", "If-None-Match": call(QUESTION).headers["etag"]}
    assert {one["name"] for one in operation()["parameters"]} == set(headers)
    for name, value in headers.items():
        assert call(QUESTION, **{name: value}).status in {304, 422}  # type: ignore[arg-type]


def test_description_has_what_client_generators_need(
    model: Bedrock, configure: Callable[..., None]
) -> None:
    described = documented()
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert [one["operationId"] for one in operations] == ["ask", "health", "openapi"]
    (scheme,) = described["security"][0]
    signature = described["components"]["securitySchemes"][scheme]
    assert signature["x-amazon-apigateway-authtype"] == "awsSigv4"
    named = json.dumps(described).split("#/components/schemas/")[1:]
    assert {part.split('"')[0] for part in named} == set(described["components"]["schemas"])
    assert described["servers"] == [{"url": "/"}]
    configure(PATH_PREFIX="/prod")
    assert documented()["servers"] == [{"url": "/prod"}]


def test_question_schema_has_every_checked_limit(model: Bedrock) -> None:
    schema = documented()["components"]["schemas"]["Question"]
    fields = schema["properties"]
    assert schema["additionalProperties"] is False
    assert set(fields) == {"question", "system", "messages", "parameters", "cache"}
    (turns,) = (one for one in fields["messages"]["anyOf"] if one["type"] == "array")
    assert turns["maxItems"] == MAX_TURNS
    (first,) = turns["prefixItems"]
    role = {"role": {"const": "user"}}
    assert first == turns["items"] | {"properties": turns["items"]["properties"] | role}
    assert "pattern" in fields["question"]  # not blank
    (policy,) = (one for one in fields["cache"]["anyOf"] if one["type"] == "object")
    assert policy["additionalProperties"] is False
    assert set(policy["properties"]) == {
        *("ttl", "max_age", "min_fresh", "max_stale", "stale_if_error"),
        *("mode", "coalesce", "tags", "salt"),
    }

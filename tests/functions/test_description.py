"""``GET /openapi.json`` says what the function does: each status, header and field of it is met."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, call, cold, handle
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url

import openapi
from ask_request import MAX_BYTES, MAX_TURNS
from upstash_endpoint.children import wait_until


def documented() -> dict[str, Any]:
    told: dict[str, Any] = call(method="GET", path="/openapi.json").body
    return told


def failing(
    model: Bedrock, status: int, error: str, parameters: dict[str, Any] | None = None
) -> Reply:
    model.status, model.error, model.headers = status, error, {"Retry-After": "7"}
    return call({**QUESTION, "parameters": parameters})


def silent(model: Bedrock) -> Reply:
    model.content = []
    return call(QUESTION)


def cut(_: Bedrock) -> Reply:
    return call({**QUESTION, "parameters": {"max_tokens": 3}})


def known(_: Bedrock) -> Reply:
    return call(QUESTION, if_none_match=call(QUESTION).headers["etag"])


def slow(model: Bedrock) -> Reply:
    model.hold = threading.Event()
    reply = call(QUESTION, seconds=1.5)
    model.hold.set()
    wait_until(lambda: call(QUESTION).cache == "hit", seconds=60, what="the late answer")
    return reply


def unreadable(_: Bedrock) -> Reply:
    return handle({**function_url("POST", "/ask"), "body": "not base64!"})


REACHED: dict[str, list[Callable[[Bedrock], Reply]]] = {
    "200": [lambda _: call(QUESTION), cut],
    "304": [known],
    "400": [unreadable],
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
    "504": [slow, lambda _: call(QUESTION, cache_control="only-if-cached")],
}


def test_every_status_is_reached(model: Bedrock) -> None:
    assert set(documented()["paths"]["/ask"]["post"]["responses"]) == set(REACHED)


@pytest.mark.parametrize(
    ("status", "way"), [(status, way) for status, ways in REACHED.items() for way in ways]
)
def test_what_is_reached_is_as_described(
    model: Bedrock, status: str, way: Callable[[Bedrock], Reply]
) -> None:
    reply = way(model)
    told = documented()["paths"]["/ask"]["post"]["responses"][status]
    assert reply.status == int(status)
    if "content" not in told:
        assert reply.body is None
        return
    kind = reply.headers["content-type"]
    matches(reply.body, told["content"][kind]["schema"])


def matches(value: object, schema: dict[str, Any]) -> None:
    """Check the part of JSON Schema that replies are described in, and that no field is missing."""
    if "$ref" in schema:
        schema = documented()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert type(value) in {KINDS[one["type"]] for one in schema["anyOf"]}
        return
    assert type(value) is KINDS[schema["type"]]
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"])
        for name, field in value.items():
            matches(field, schema["properties"][name])


KINDS = {"object": dict, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def test_every_header_that_is_told_is_sent(model: Bedrock) -> None:
    answers = documented()["paths"]["/ask"]["post"]["responses"]
    busy = REACHED["503"][0](model)
    model.status, model.error = 200, ""
    assert [call(QUESTION).cache, (hit := call(QUESTION)).cache] == ["miss", "hit"]
    assert {name.lower() for name in answers["200"]["headers"]} <= set(hit.headers)
    assert {name.lower() for name in answers["503"]["headers"]} <= set(busy.headers)


def test_every_header_that_is_taken_is_read(model: Bedrock) -> None:
    wrong = {"Cache-Control": "max-age=soon", "If-None-Match": call(QUESTION).headers["etag"]}
    taken = {one["name"] for one in documented()["paths"]["/ask"]["post"]["parameters"]}
    assert taken == set(wrong)
    for name, value in wrong.items():
        assert call(QUESTION, **{name: value}).status in {304, 422}  # type: ignore[arg-type]


def test_the_description_is_json(model: Bedrock) -> None:
    assert json.loads(json.dumps(openapi.description(""))) == openapi.description("")


def test_description_has_what_client_generators_need(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = documented()
    operations = [one for path in told["paths"].values() for one in path.values()]
    assert [one["operationId"] for one in operations] == ["ask", "health", "openapi"]
    (scheme,) = told["security"][0]
    described = told["components"]["securitySchemes"][scheme]
    assert described["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert told["servers"] == [{"url": "/"}]
    monkeypatch.setenv("PATH_PREFIX", "/prod")
    cold()
    assert documented()["servers"] == [{"url": "/prod"}]


def test_description_of_a_question_has_every_limit_that_is_checked(model: Bedrock) -> None:
    asked = documented()["components"]["schemas"]["Question"]["properties"]
    (turns,) = (one for one in asked["messages"]["anyOf"] if one["type"] == "array")
    assert turns["maxItems"] == MAX_TURNS
    (first,) = turns["prefixItems"]
    role = {"role": {"const": "user"}}
    assert first == turns["items"] | {"properties": turns["items"]["properties"] | role}
    assert "pattern" in asked["question"]  # no blank text
    (policy,) = (one for one in asked["cache"]["anyOf"] if one["type"] == "object")
    assert policy["additionalProperties"] is False
    assert set(policy["properties"]) == {
        *("ttl", "max_age", "min_fresh", "max_stale", "stale_if_error"),
        *("mode", "coalesce", "tags", "salt"),
    }

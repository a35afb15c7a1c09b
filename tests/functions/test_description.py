"""``GET /openapi.json`` says what the function does: each status, header and field of it is met."""

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, Reply, call
from tests.functions.bedrock import Bedrock
from tests.functions.serving import served

import description
from local_cloud.children import wait_until


def documented() -> dict[str, Any]:
    told: dict[str, Any] = call(method="GET", path="/openapi.json").body
    return told


def failing(model: Bedrock, status: int, error: str, **headers: str) -> Reply:
    model.status, model.error, model.headers = status, error, headers
    return call(QUESTION)


def silent(model: Bedrock) -> Reply:
    model.content = []
    return call(QUESTION)


def cut(_: Bedrock) -> Reply:
    return call({**QUESTION, "parameters": {"max_tokens": 3}})


def known(_: Bedrock) -> Reply:
    return call(QUESTION, if_none_match=call(QUESTION).headers["etag"])


def broken(_: Bedrock) -> Reply:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cache_status.body", lambda *_: 1 / 0)
        return call(QUESTION)


def slow(model: Bedrock) -> Reply:
    model.hold = threading.Event()
    reply = call(QUESTION, seconds=1.5)
    model.hold.set()
    wait_until(lambda: call(QUESTION).cache == "hit", seconds=60, what="the late answer")
    return reply


def no_http(_: Bedrock) -> Reply:
    with served() as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.putrequest("POST", "/ask", skip_host=True)
        client.endheaders(b"\x00")
        response = client.getresponse()
        told = Reply(response.status, None, dict(response.headers))
        client.close()
    return told


REACHED: dict[str, list[Callable[[Bedrock], Reply]]] = {
    "200": [lambda _: call(QUESTION), cut],
    "304": [known],
    "400": [no_http],
    "403": [lambda _: call(QUESTION, iam={})],
    "413": [lambda _: call(" " * 2_000_001)],
    "422": [
        lambda _: call({}),
        lambda _: call(QUESTION, cache_control="max-age=soon"),
    ],
    "500": [broken, lambda model: failing(model, 400, "ValidationException")],
    "502": [silent],
    "503": [lambda model: failing(model, 429, "ThrottlingException", **{"Retry-After": "7"})],
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
    wrong = {"Cache-Control": "max-age=soon", "If-None-Match": "*"}
    taken = {one["name"] for one in documented()["paths"]["/ask"]["post"]["parameters"]}
    assert taken == set(wrong)
    for name, value in wrong.items():
        assert call(QUESTION, **{name: value}).status in {304, 422}  # type: ignore[arg-type]


def test_the_description_is_json(model: Bedrock) -> None:
    assert json.loads(json.dumps(description.description(""))) == description.description("")

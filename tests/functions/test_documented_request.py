"""The request and the reply that docs/ask.md shows, and the route of CONTRIBUTING.md."""

import json
from typing import Any

import pytest
from tests.functions.asking import call
from tests.functions.bedrock import Bedrock
from tests.repository.pages import blocks

import llm_cache
import web

REQUEST, REPLY = (
    json.loads(block.text) for block in blocks("docs/ask.md") if block.language == "json"
)


def test_second_documented_request_gets_a_reply_of_the_documented_form(model: Bedrock) -> None:
    first, second = call(REQUEST), call(REQUEST)
    assert [first.cache, second.cache] == ["miss", REPLY["cache"]["status"]]
    assert second.body.keys() == REPLY.keys()
    for field in ("cache", "usage"):
        shown, sent = REPLY[field], second.body[field]
        assert {key: type(value) for key, value in sent.items()} == {
            key: type(value) for key, value in shown.items()
        }
    assert {**second.body["usage"], "saved_tokens": 14} == REPLY["usage"]


def test_documented_request_has_every_field_of_a_question(model: Bedrock) -> None:
    description = call(method="GET", path="/openapi.json").body
    schema = description["paths"]["/ask"]["post"]["requestBody"]["content"]["application/json"]
    question = schema["schema"]
    while "$ref" in question:
        question = description["components"]["schemas"][question["$ref"].rpartition("/")[2]]
    assert REQUEST.keys() == question["properties"].keys()


def test_documented_route_answers(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    (code,) = (block.text for block in blocks("CONTRIBUTING.md") if "ROUTE" in block.text)
    exec(code, names)
    monkeypatch.setattr(web.app.router, "routes", [*web.app.router.routes, names["ROUTE"]])
    assert call(method="GET", path="/version").body == {"version": llm_cache.__version__}

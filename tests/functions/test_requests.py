"""What else a caller may ask of ``ask``: parameters, conditions, a stale answer, a description."""

import json
from typing import Any

import pytest
from tests.functions.asking import QUESTION, call, cold
from tests.functions.bedrock import Bedrock

import answer
from llm_cache import InvalidSettings

MODEL = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "stop": ["END"]}


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({}, {"temperature": 0.0}),
        ({"top_p": 0.9}, {"topP": 0.9}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": None, "top_p": 0.9}, {"topP": 0.9}),
        ({"temperature": 0, "top_p": 0.9}, {"temperature": 0.0, "topP": 0.9}),
        ({"max_tokens": 9}, {"temperature": 0.0, "maxTokens": 9}),
    ],
)
def test_model_is_sent_what_the_caller_chose_and_its_default_temperature_only_without_top_p(
    model: Bedrock, parameters: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert call({**QUESTION, "parameters": parameters}).cache == "miss"
    assert model.requests[0]["inferenceConfig"] == {"maxTokens": 512, **sent}


def test_parameters_reach_the_model_and_enter_the_key(model: Bedrock) -> None:
    first, other = call({**QUESTION, "parameters": MODEL}), call(QUESTION)
    assert (first.cache, other.cache) == ("miss", "miss")
    assert model.requests[0]["inferenceConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxTokens": 100,
        "stopSequences": ["END"],
    }
    assert model.requests[1]["inferenceConfig"] == {"maxTokens": 512, "temperature": 0.0}
    assert call({**QUESTION, "parameters": MODEL}).cache == "hit"
    assert call({**QUESTION, "parameters": {}}).cache == "hit"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"temperature": 2}, "parameters.temperature"),
        ({"top_p": -0.1}, "parameters.top_p"),
        ({"max_tokens": 513}, "parameters.max_tokens"),
        ({"max_tokens": 0}, "parameters.max_tokens"),
        ({"stop": []}, "parameters.stop"),
        ({"stop": ["a"] * 5}, "parameters.stop"),
        ({"stop": ["a" * 101]}, "parameters.stop.0"),
        ({"model": "a dearer one"}, "parameters.model"),
        ({"system": "x"}, "parameters.system"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_named(
    model: Bedrock, parameters: dict[str, Any], field: str
) -> None:
    reply = call({**QUESTION, "parameters": parameters})
    assert (reply.status, reply.body["error"]["field"]) == (422, field)
    assert model.requests == []


@pytest.mark.parametrize("known", ["{}", '"other, with a comma", {}', 'W/"other",{}, *'])
def test_who_has_an_answer_is_not_sent_it_again(model: Bedrock, known: str) -> None:
    tag = call(QUESTION).headers["etag"]
    assert tag.startswith('W/"')  # the fields about the cache differ in each reply
    assert call(QUESTION, if_none_match=tag.removeprefix("W/")).status == 304
    again = call(QUESTION, if_none_match=known.format(tag))
    assert (again.status, again.body) == (304, None)
    assert again.headers["etag"] == tag
    assert again.headers["cache-status"].startswith("llm-cache; hit")
    assert 0 <= int(again.headers["age"]) < 60


def test_who_has_another_answer_is_sent_this_one(model: Bedrock) -> None:
    tag = call(QUESTION).headers["etag"]
    other = call({"question": "Another?"}, if_none_match=tag)
    assert (other.status, other.body["answer"]) == (200, "Answer 2.")
    assert other.headers["etag"] != tag


@pytest.mark.parametrize("known", ["*", " * ", "", "x", 'W/"x"', '"', "W/"])
def test_answer_that_no_entity_tag_names_is_sent_to_who_paid_for_it(
    model: Bedrock, known: str
) -> None:
    for cache in ("miss", "hit"):
        reply = call(QUESTION, if_none_match=known)
        assert (reply.status, reply.body["answer"], reply.cache) == (200, "Answer 1.", cache)


def test_entity_tag_names_the_answer_to_its_question(model: Bedrock) -> None:
    model.content = [{"text": "Yes."}]
    tags = [call({"question": text}).headers["etag"] for text in ("Is it?", "Is it not?")]
    assert tags[0] != tags[1]


def throttled(model: Bedrock) -> None:
    model.status, model.error = 429, "ThrottlingException"


def test_an_expired_answer_stands_in_for_a_model_that_throttles(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STALE_IF_ERROR", "600")
    monkeypatch.setenv("LLM_CACHE_TTL_FLOOR", "0.001")
    cold()
    first = call({**QUESTION, "cache": {"ttl": 0.001}})
    throttled(model)
    stale = until_expired(QUESTION)
    assert (stale.status, stale.body["answer"]) == (200, first.body["answer"])
    assert stale.body["cache"]["status"] == "stale"
    assert stale.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 0}
    assert "; hit; ttl=" in stale.headers["cache-status"]
    assert stale.headers["cache-status"].endswith("; detail=stale-if-error")
    model.status, model.error = 200, ""
    renewed = call({**QUESTION, "cache": {"ttl": 60}})
    assert renewed.headers["cache-status"].startswith("llm-cache; fwd=stale; stored; ttl=60; ")
    assert renewed.headers["cache-status"].endswith("; detail=expired")
    assert renewed.body["cache"]["why"] == "expired"
    throttled(model)
    assert int(stale.headers["age"]) >= 1
    assert call({"question": "Another?"}).status == 503


def test_reply_without_an_answer_tells_what_the_cache_did(model: Bedrock) -> None:
    refused = call(QUESTION, cache_control="only-if-cached")
    key = refused.headers["cache-status"].partition("key=")[2]
    assert refused.headers["cache-status"] == f"llm-cache; key={key}"
    assert key.endswith("; detail=unknown")
    throttled(model)
    busy = call(QUESTION)
    assert (refused.status, busy.status) == (504, 503)
    assert busy.headers["cache-status"] == f"llm-cache; fwd=uri-miss; key={key}"
    model.status, model.error, model.content = 200, "", []
    assert call(QUESTION).headers["cache-status"] == f"llm-cache; fwd=uri-miss; key={key}"
    bypassed = call(QUESTION, cache_control="no-cache, no-store")
    assert (bypassed.status, bypassed.headers["cache-status"]) == (502, "llm-cache; fwd=bypass")
    assert "cache-status" not in call({}).headers


def until_expired(question: object) -> Any:
    while (reply := call(question)).cache == "hit":
        pass
    return reply


def test_a_wrong_setting_of_stale_answers_fails_at_the_start(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("soon", "-1", "nan"):
        monkeypatch.setenv("STALE_IF_ERROR", wrong)
        answer.default_policy.cache_clear()
        with pytest.raises(InvalidSettings, match=f"STALE_IF_ERROR='{wrong}' is not accepted"):
            answer.default_policy()


def test_the_description_is_whole_and_of_what_is_checked(model: Bedrock) -> None:
    told = call(method="GET", path="/openapi.json")
    assert told.status == 200
    schemas = told.body["components"]["schemas"]
    assert set(schemas["Question"]["properties"]) == {
        *("question", "system", "messages", "parameters", "cache")
    }
    assert schemas["Question"]["additionalProperties"] is False
    text = json.dumps(told.body)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(schemas)

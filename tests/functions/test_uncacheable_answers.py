"""`ask` stores only complete answers, and serves only entries of its own form."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, at_once, call, question
from tests.functions.bedrock import USAGE, Bedrock
from tests.functions.documents import plant, stored
from tests.functions.events import function_url
from tests.repository.pages import blocks
from upstash_redis import Redis

import answer
from bedrock.usage import MAX_COUNT
from llm_cache import Reason

TRUNCATED = question(parameters={"max_tokens": 3})
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}
CALL = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}


@pytest.mark.parametrize(
    ("stops", "why"),
    [
        ("guardrail_intervened", Reason.WITHHELD),
        ("content_filtered", Reason.WITHHELD),
        ("malformed_model_output", Reason.FAILED),
        ("malformed_tool_use", Reason.FAILED),
        ("model_context_window_exceeded", Reason.TRUNCATED),
        ("max_tokens", Reason.TRUNCATED),
    ],
)
def test_incomplete_answer_is_returned_and_not_stored(
    model: Bedrock, redis: Redis, stops: str, why: Reason
) -> None:
    model.stops = stops
    reply = call(QUESTION)
    assert (reply.status, reply.body["answer"]) == (200, "Answer 1.")
    assert reply.body["stop_reason"] == stops
    assert reply.body["usage"]["output_tokens"] == USAGE["outputTokens"]
    cache = reply.body["cache"]
    assert (cache["status"], cache["stored"], cache["why"]) == ("miss", False, why)
    assert "stored" not in reply.headers["cache-status"]
    assert stored(redis) == []
    model.recover()
    assert call(QUESTION).cache == "miss"


def test_miss_and_hit_report_the_stop_reason_and_that_the_answer_is_stored(model: Bedrock) -> None:
    model.stops = "stop_sequence"
    for why in ("unknown", None):
        reply = call(QUESTION)
        assert reply.body["stop_reason"] == "stop_sequence"
        assert (reply.body["cache"]["stored"], reply.body["cache"]["why"]) == (True, why)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("policy", "why"),
    [({"ttl": 0}, "ttl"), ({"mode": "read_only"}, "mode"), ({"mode": "bypass"}, "mode")],
)
def test_reply_reports_why_the_policy_stored_nothing(
    model: Bedrock, policy: dict[str, Any], why: str
) -> None:
    cache = call(question(cache=policy)).body["cache"]
    assert (cache["stored"], cache["why"], cache["ttl"]) == (False, why, None)


@pytest.mark.parametrize(
    ("content", "stops"),
    [
        ([], "end_turn"),
        ([{"text": ""}], "end_turn"),
        ([{"text": " \n"}], "end_turn"),
        ([THOUGHT], "end_turn"),
        ([THOUGHT, {"text": ""}], "max_tokens"),
        ([CALL], "tool_use"),
        ([], "guardrail_intervened"),
    ],
)
def test_answer_without_text_is_a_502_with_stop_reason_and_usage(
    model: Bedrock, redis: Redis, content: list[dict[str, Any]], stops: str
) -> None:
    model.content, model.stops = content, stops
    reply = call(QUESTION)
    assert (reply.status, reply.error["code"]) == (502, "no_answer")
    assert reply.error["stop_reason"] == stops
    assert reply.error["usage"] == {"input_tokens": 9, "output_tokens": 5}
    assert stored(redis) == []
    model.recover()
    assert call(QUESTION).cache == "miss"


@pytest.mark.parametrize(
    ("content", "text"),
    [([THOUGHT, {"text": "Paris."}], "Paris."), ([{"text": "Paris \ud800."}], "Paris ?.")],
    ids=["reasoning", "a lone surrogate"],
)
def test_answer_is_the_text_without_reasoning_and_lone_surrogates(
    model: Bedrock, content: list[dict[str, Any]], text: str
) -> None:
    model.content = content
    assert [call(QUESTION).body["answer"] for _ in range(2)] == [text] * 2
    assert len(model.requests) == 1


async def test_concurrent_callers_of_an_uncacheable_answer_each_call_the_model(
    model: Bedrock,
) -> None:
    replies = await at_once(model, [function_url("POST", "/ask", TRUNCATED)] * 3, calls=1)
    assert len(model.requests) == 3
    caches = {(reply["cache"]["status"], reply["cache"]["why"]) for reply in replies}
    assert caches == {("miss", "truncated")}


def test_stale_answer_replaces_a_failed_model_and_not_a_truncated_answer(
    model: Bedrock, redis: Redis, configure: Callable[..., None]
) -> None:
    configure(STALE_IF_ERROR="600")
    call(question(cache={"ttl": 10}))
    (key,) = stored(redis)
    text = str(redis.get(key))
    created = float(re.findall(r'"created":([\d.]+)', text)[0])
    redis.set(key, text.replace(f'"created":{created:.3f}', f'"created":{created - 60:.3f}'))
    model.fail(400, "ValidationException")
    assert (call(QUESTION).body["answer"], call(QUESTION).cache) == ("Answer 1.", "stale")
    model.recover()
    model.stops = "max_tokens"
    reply = call(QUESTION)
    assert (reply.body["stop_reason"], reply.cache) == ("max_tokens", "miss")


VALID: dict[str, Any] = {
    "answer": "Planted.",
    "stop_reason": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def using(tokens: object) -> dict[str, Any]:
    return VALID | {"usage": {"input_tokens": tokens, "output_tokens": 1}}


PLANTED: dict[str, Any] = {
    "another form": {"x": 1},
    "not an object": [],
    "an empty object": {},
    "no answer": VALID | {"answer": None},
    "blank": VALID | {"answer": " "},
    "a lone surrogate": VALID | {"answer": "\ud800"},
    "a stop reason of a wrong type": VALID | {"stop_reason": 7},
    "no usage": VALID | {"usage": None},
    "usage of a wrong type": VALID | {"usage": [1, 2]},
    "a huge count": using(10**4000),
    "a count above the limit": using(MAX_COUNT + 1),
    "a negative count": using(-1),
    "a bool as a count": using(tokens=True),
    "a float as a count": using(1.0),
    "NaN as a count": using(float("nan")),
    "more usage": VALID | {"usage": {**VALID["usage"], "more": 1}},
    "more fields": VALID | {"more": 1},
    "fewer fields": {"answer": "Planted.", "usage": VALID["usage"]},
}


def test_planted_response_of_the_functions_form_is_a_hit(model: Bedrock, redis: Redis) -> None:
    call(QUESTION)
    plant(redis, VALID)
    assert call(QUESTION).body["answer"] == "Planted."


@pytest.mark.parametrize("response", PLANTED.values(), ids=PLANTED)
def test_planted_response_of_another_form_is_a_miss_and_is_never_stored(
    model: Bedrock, redis: Redis, response: Any
) -> None:
    call(QUESTION)
    plant(redis, response)
    assert call(QUESTION, cache_control="only-if-cached").status == 504
    assert [call(QUESTION).cache for _ in range(2)] == ["miss", "hit"]
    with answer.response_cache().policy() as report:
        answer.response_cache().update({"question": "?"}, response)
    assert report.stored == 0


def documented() -> Any:
    """Return the documented function, with the cache of the environment."""
    names: dict[str, Any] = {}
    (code,) = (it.text for it in blocks("docs/functions.md") if "ResponseCache" in it.text)
    exec(code, names)
    return names["answer"]


def test_documented_function_stores_only_complete_answers(model: Bedrock, redis: Redis) -> None:
    answer = documented()
    for model.content, model.stops in (([THOUGHT], "end_turn"), (None, "max_tokens")):
        answer(QUESTION)
        assert stored(redis) == []
    model.stops = "end_turn"
    assert [answer(QUESTION) for _ in range(2)] == [{"answer": "Answer 3."}] * 2

"""What `ask` replies and keeps of answers that are not whole, and of entries not its own."""

import json
import re
from typing import Any

import pytest
from tests.functions.asking import QUESTION, at_once, call, cold
from tests.functions.bedrock import USAGE, Bedrock
from tests.functions.events import function_url
from tests.repository.pages import blocks
from upstash_redis import Redis

import answer
from llm_cache import Reason
from llm_cache._entries.json_bounds import MAX_COUNT

CUT = {**QUESTION, "parameters": {"max_tokens": 3}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}
CALL = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}


def stored(redis: Redis) -> list[str]:
    found: list[str] = redis.keys("*:entry:*")
    return found


def test_truncated_answer_is_returned_and_is_not_stored(model: Bedrock, redis: Redis) -> None:
    for number in (1, 2):
        reply = call(CUT)
        assert (reply.status, reply.body["answer"]) == (200, f"Answer {number}.")
        assert reply.body["stop_reason"] == "max_tokens"
        assert reply.body["usage"]["output_tokens"] == USAGE["outputTokens"]
        cache = reply.body["cache"]
        assert (cache["status"], cache["stored"], cache["why"]) == ("miss", False, "truncated")
        assert "stored" not in reply.headers["cache-status"]
    assert stored(redis) == []


@pytest.mark.parametrize(
    ("stops", "why"),
    [
        ("guardrail_intervened", Reason.WITHHELD),
        ("content_filtered", Reason.WITHHELD),
        ("malformed_model_output", Reason.FAILED),
        ("malformed_tool_use", Reason.FAILED),
        ("model_context_window_exceeded", Reason.TRUNCATED),
    ],
)
def test_answer_that_ended_badly_is_returned_and_is_not_stored(
    model: Bedrock, redis: Redis, stops: str, why: Reason
) -> None:
    model.stops = stops
    reply = call(QUESTION)
    assert (reply.status, reply.body["stop_reason"]) == (200, stops)
    assert (reply.body["cache"]["stored"], reply.body["cache"]["why"]) == (False, why)
    assert stored(redis) == []
    model.stops = "end_turn"
    assert call(QUESTION).cache == "miss"


def test_whole_answer_and_its_hit_tell_the_stop_reason_and_that_it_is_stored(
    model: Bedrock,
) -> None:
    model.stops = "stop_sequence"
    for why in ("unknown", None):
        reply = call(QUESTION)
        assert reply.body["stop_reason"] == "stop_sequence"
        assert (reply.body["cache"]["stored"], reply.body["cache"]["why"]) == (True, why)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"ttl": 0}, "ttl"),
        ({"mode": "read_only"}, "mode"),
        ({"mode": "bypass"}, "mode"),
    ],
)
def test_reply_tells_why_an_answer_is_not_stored(
    model: Bedrock, asked: dict[str, Any], why: str
) -> None:
    cache = call({**QUESTION, "cache": asked}).body["cache"]
    assert (cache["stored"], cache["why"]) == (False, why)


def test_reply_tells_that_a_failed_cache_stored_nothing(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    cold()
    cache = call(QUESTION).body["cache"]
    assert (cache["status"], cache["stored"], cache["why"]) == ("error", False, "lookup_failed")


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
def test_answer_without_text_is_a_502_that_tells_the_stop_reason_and_the_usage(
    model: Bedrock, redis: Redis, content: list[dict[str, Any]], stops: str
) -> None:
    model.content, model.stops = content, stops
    reply = call(QUESTION)
    error = reply.body["error"]
    assert (reply.status, error["code"], error["stop_reason"]) == (502, "no_answer", stops)
    assert error["usage"] == {"input_tokens": 9, "output_tokens": 5}
    assert stored(redis) == []
    model.content, model.stops = None, "end_turn"
    assert call(QUESTION).cache == "miss"


def test_reasoning_before_text_is_no_part_of_the_answer(model: Bedrock) -> None:
    model.content = [THOUGHT, {"text": "Paris."}]
    assert [call(QUESTION).body["answer"] for _ in range(2)] == ["Paris."] * 2
    assert len(model.requests) == 1


def test_half_of_a_surrogate_pair_is_replaced(model: Bedrock) -> None:
    model.content = [{"text": "Paris \ud800."}]
    assert [call(QUESTION).body["answer"] for _ in range(2)] == ["Paris ?."] * 2
    assert len(model.requests) == 1


async def test_callers_at_once_of_an_answer_that_is_not_stored_each_call_the_model(
    model: Bedrock,
) -> None:
    replies = await at_once(model, [function_url("POST", "/ask", CUT)] * 3, calls=1)
    assert len(model.requests) == 3
    told = {(reply.json()["cache"]["status"], reply.json()["cache"]["why"]) for reply in replies}
    assert told == {("miss", "truncated")}


def test_expired_answer_does_not_stand_in_for_one_that_is_cut_short(
    model: Bedrock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STALE_IF_ERROR", "600")
    cold()
    call({**QUESTION, "cache": {"ttl": 10}})
    (key,) = stored(redis)
    text = str(redis.get(key))
    created = float(re.findall(r'"created":([\d.]+)', text)[0])
    redis.set(key, text.replace(f'"created":{created:.3f}', f'"created":{created - 60:.3f}'))
    model.status, model.error = 400, "ValidationException"
    assert (call(QUESTION).body["answer"], call(QUESTION).cache) == ("Answer 1.", "stale")
    model.status, model.error, model.stops = 200, "", "max_tokens"
    reply = call(QUESTION)
    assert (reply.body["stop_reason"], reply.cache) == ("max_tokens", "miss")


MORE = MAX_COUNT + 1
RIGHT: dict[str, Any] = {
    "answer": "Planted.",
    "stop_reason": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
PLANTED: dict[str, Any] = {
    "another shape": {"x": 1},
    "no object": [],
    "an empty object": {},
    "no answer": RIGHT | {"answer": None},
    "blank": RIGHT | {"answer": " "},
    "half of a surrogate pair": RIGHT | {"answer": "\ud800"},
    "a stop reason of a wrong type": RIGHT | {"stop_reason": 7},
    "no usage": RIGHT | {"usage": None},
    "usage of a wrong type": RIGHT | {"usage": [1, 2]},
    "a huge count": RIGHT | {"usage": {"input_tokens": 10**4000, "output_tokens": 1}},
    "a count above the most": RIGHT
    | {"usage": {"input_tokens": 1, "output_tokens": MAX_COUNT + 1}},
    "a negative count": RIGHT | {"usage": {"input_tokens": -1, "output_tokens": 1}},
    "a count that is a truth": RIGHT | {"usage": {"input_tokens": True, "output_tokens": 1}},
    "a count that is no whole number": RIGHT | {"usage": {"input_tokens": 1.0, "output_tokens": 1}},
    "more usage": RIGHT | {"usage": {**RIGHT["usage"], "more": 1}},
    "more fields": RIGHT | {"more": 1},
    "fewer fields": {"answer": "Planted.", "usage": RIGHT["usage"]},
    "no number": RIGHT | {"usage": {"input_tokens": float("nan"), "output_tokens": 1}},
}


def plant(redis: Redis, response: object) -> str:
    """Put a response in the place of the one that is stored, in the entry around it."""
    (key,) = stored(redis)
    head, _, _ = str(redis.get(key)).partition('"answer":')
    redis.set(key, f'{head}"answer":[{json.dumps(response)}]}}')
    return key


def test_a_planted_response_of_the_right_shape_is_a_hit(model: Bedrock, redis: Redis) -> None:
    call(QUESTION)
    plant(redis, RIGHT)
    assert call(QUESTION).body["answer"] == "Planted."


@pytest.mark.parametrize("response", PLANTED.values(), ids=PLANTED)
def test_planted_response_of_another_shape_is_a_miss(
    model: Bedrock, redis: Redis, response: object
) -> None:
    call(QUESTION)
    plant(redis, response)
    assert call(QUESTION, cache_control="only-if-cached").status == 504
    assert [call(QUESTION).cache for _ in range(2)] == ["miss", "hit"]


@pytest.mark.parametrize("response", [RIGHT, *PLANTED.values()])
def test_response_of_another_shape_is_not_stored(model: Bedrock, response: Any) -> None:
    with answer.response_cache().policy() as report:
        answer.response_cache().update({"question": "?"}, response)
    assert report.stored == (response == RIGHT)


def documented() -> Any:
    """Return the documented function, behind the cache of the environment."""
    names: dict[str, Any] = {}
    (code,) = (it.text for it in blocks("docs/functions.md") if "ResponseCache" in it.text)
    exec(code, names)
    return names["answer"]


def test_documented_function_stores_whole_answers_alone(model: Bedrock, redis: Redis) -> None:
    answer = documented()
    for model.content, model.stops in (([THOUGHT], "end_turn"), (None, "max_tokens")):
        answer(QUESTION)
        assert stored(redis) == []
    model.stops = "end_turn"
    assert [answer(QUESTION) for _ in range(2)] == [{"answer": "Answer 3."}] * 2

"""`ask` with a real Redis and a Converse server on loopback: answers, policies, conditions."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.asking import QUESTION, at_once, call, question
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url
from upstash_redis import Redis

from upstash_endpoint.endpoint import UpstashEndpoint

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
PARAMETERS = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "stop": ["END"]}


def test_body_and_headers_report_a_miss_then_a_hit_that_uses_no_tokens(model: Bedrock) -> None:
    first, again = call(QUESTION), call(QUESTION)
    assert (first.status, first.body["answer"], first.cache) == (200, "Answer 1.", "miss")
    assert first.body["usage"] == {"input_tokens": 9, "output_tokens": 5, "saved_tokens": 0}
    assert (again.status, again.body["answer"], again.cache) == (200, "Answer 1.", "hit")
    assert again.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    cache = again.body["cache"]
    assert cache["key"] == first.body["cache"]["key"]
    assert cache["age"] < 60
    assert 540 <= cache["ttl"] <= 600
    key = cache["key"].rpartition(":")[2]
    missed = f'llm-cache; fwd=uri-miss; stored; ttl=600; key="{key}"; detail=unknown'
    assert first.headers["cache-status"] == missed
    assert "age" not in first.headers
    assert again.headers["cache-status"].startswith("llm-cache; hit; ttl=")
    assert again.headers["cache-status"].endswith(f'; key="{key}"')
    assert 0 <= int(again.headers["age"]) < 60
    assert len(model.requests) == 1


async def test_equal_questions_at_once_share_one_model_call(model: Bedrock) -> None:
    replies = await at_once(model, [function_url("POST", "/ask", QUESTION)] * 3, calls=1)
    assert len(model.requests) == 1
    assert {reply["answer"] for reply in replies} == {"Answer 1."}
    statuses = sorted(reply["cache"]["status"] for reply in replies)
    assert statuses == ["collapsed", "collapsed", "miss"]
    headers = [reply["headers"]["cache-status"].split("; key")[0] for reply in replies]
    assert headers.count("llm-cache; fwd=uri-miss; collapsed") == 2


async def test_coalesce_off_makes_one_model_call_per_request(model: Bedrock) -> None:
    alone = function_url("POST", "/ask", question(cache={"coalesce": "off"}))
    replies = await at_once(model, [alone] * 2, calls=2)
    assert {reply["cache"]["status"] for reply in replies} == {"miss"}


@pytest.mark.parametrize(("ttl", "kept"), [(120, 120), (1, 10), (10**8, 3600), (None, 600)])
def test_ttl_of_the_caller_is_clamped_to_the_operators_bounds(
    model: Bedrock, redis: Redis, ttl: int | None, kept: int
) -> None:
    cache = call(question(cache={"ttl": ttl})).body["cache"]
    assert cache["ttl"] == kept
    assert max(0, kept - 60) < redis.ttl(cache["key"]) <= kept


@pytest.mark.parametrize(
    ("header", "cache", "status", "calls", "kept"),
    [
        ("", {}, "hit", 1, True),
        ("max-age=60", {}, "hit", 1, True),
        ("no-store", {}, "hit", 2, False),
        ("no-cache", {}, "refresh", 2, True),
        ("no-cache, no-store", {}, "bypass", 2, False),
        ("no-store", {"mode": "refresh"}, "bypass", 2, False),
        ("", {"mode": "bypass"}, "bypass", 2, False),
        ("", {"ttl": 0}, "hit", 2, False),
    ],
)
def test_policy_decides_whether_an_answer_is_stored_retried_and_served(
    model: Bedrock, redis: Redis, header: str, cache: Any, status: str, calls: int, kept: bool
) -> None:
    for _ in range(2):
        assert call(question(cache=cache), cache_control=header).status == 200
    assert (len(model.requests), bool(redis.keys("*"))) == (calls, kept)
    call({"question": "Another?"})
    assert call({"question": "Another?", "cache": cache}, cache_control=header).cache == status


def test_miss_hit_and_refresh_cost_three_one_and_two_commands(
    model: Bedrock, upstash: UpstashEndpoint
) -> None:
    def commands(header: str = "") -> int:
        upstash.meter.reset()
        assert call(QUESTION, cache_control=header).status == 200
        return upstash.meter.read().commands

    assert (commands(), commands(), commands("no-cache")) == (3, 1, 2)
    assert call(QUESTION, cache_control="only-if-cached").body["answer"] == "Answer 2."


def test_answer_older_than_max_age_is_a_miss(model: Bedrock) -> None:
    call(QUESTION)
    time.sleep(0.01)
    reply = call(QUESTION, cache_control="max-age=0")
    assert (reply.body["answer"], reply.cache) == ("Answer 2.", "miss")
    assert "fwd=request" in reply.headers["cache-status"]


def test_system_text_turns_and_parameters_reach_the_model_and_the_key(
    model: Bedrock,
) -> None:
    bodies = [QUESTION, question(system="Be brief."), question(messages=TURNS)]
    bodies.append(question(parameters=PARAMETERS))
    assert [call(body).cache for body in bodies * 2] == ["miss"] * 4 + ["hit"] * 4
    assert model.requests[1]["system"] == [{"text": "Be brief."}]
    assert [one["role"] for one in model.requests[2]["messages"]] == ["user", "assistant", "user"]
    assert model.requests[3]["inferenceConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxTokens": 100,
        "stopSequences": ["END"],
    }
    assert call(question(parameters={})).cache == "hit"


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
def test_default_temperature_is_sent_only_without_top_p(
    model: Bedrock, parameters: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert call(question(parameters=parameters)).cache == "miss"
    assert model.requests[0]["inferenceConfig"] == {"maxTokens": 512, **sent}


@pytest.mark.parametrize("known", ["{}", '"other, with a comma", {}', 'W/"other",{}, *'])
def test_request_that_names_the_etag_of_its_answer_gets_304(model: Bedrock, known: str) -> None:
    tag = call(QUESTION).headers["etag"]
    assert tag.startswith('W/"')
    assert call(QUESTION, if_none_match=tag.removeprefix("W/")).status == 304
    again = call(QUESTION, if_none_match=known.format(tag))
    assert (again.status, again.body) == (304, None)
    assert again.headers["etag"] == tag
    assert again.headers["cache-status"].startswith("llm-cache; hit")
    assert 0 <= int(again.headers["age"]) < 60


@pytest.mark.parametrize("known", ["*", " * ", "", "x", 'W/"x"', '"', "W/"])
def test_request_that_names_no_etag_of_its_answer_gets_the_answer(
    model: Bedrock, known: str
) -> None:
    for cache in ("miss", "hit"):
        reply = call(QUESTION, if_none_match=known)
        assert (reply.status, reply.body["answer"], reply.cache) == (200, "Answer 1.", cache)


def test_etags_of_equal_answers_to_different_questions_differ(model: Bedrock) -> None:
    model.content = [{"text": "Yes."}]
    tag = call({"question": "Is it?"}).headers["etag"]
    other = call({"question": "Is it not?"}, if_none_match=tag)
    assert (other.status, other.body["answer"]) == (200, "Yes.")
    assert other.headers["etag"] != tag


def test_expired_answer_is_served_if_the_model_is_throttled(
    model: Bedrock, configure: Callable[..., None]
) -> None:
    configure(STALE_IF_ERROR="600", LLM_CACHE_TTL_FLOOR="0.001")
    first = call(question(cache={"ttl": 0.001}))
    model.throttle()
    while (stale := call(QUESTION)).cache == "hit":
        pass
    assert (stale.status, stale.body["answer"]) == (200, first.body["answer"])
    assert stale.cache == "stale"
    assert stale.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 0}
    assert "; hit; ttl=" in stale.headers["cache-status"]
    assert stale.headers["cache-status"].endswith("; detail=stale-if-error")
    assert int(stale.headers["age"]) >= 1
    model.recover()
    renewed = call(question(cache={"ttl": 60}))
    assert renewed.headers["cache-status"].startswith("llm-cache; fwd=stale; stored; ttl=60; ")
    assert renewed.headers["cache-status"].endswith("; detail=expired")
    assert renewed.body["cache"]["why"] == "expired"


def test_problem_reports_what_the_cache_did(model: Bedrock) -> None:
    refused = call(QUESTION, cache_control="only-if-cached")
    key = refused.headers["cache-status"].partition("key=")[2]
    assert refused.headers["cache-status"] == f"llm-cache; key={key}"
    assert (refused.status, refused.error["code"], model.requests) == (504, "not_cached", [])
    assert key.endswith("; detail=unknown")
    model.throttle()
    busy = call(QUESTION)
    assert busy.status == 503
    assert busy.headers["cache-status"] == f"llm-cache; fwd=uri-miss; key={key}"
    model.recover()
    model.content = []
    assert call(QUESTION).headers["cache-status"] == f"llm-cache; fwd=uri-miss; key={key}"
    bypassed = call(QUESTION, cache_control="no-cache, no-store")
    assert (bypassed.status, bypassed.headers["cache-status"]) == (502, "llm-cache; fwd=bypass")
    assert "cache-status" not in call({}).headers

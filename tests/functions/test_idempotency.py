"""A request sent again under its ``Idempotency-Key`` gets its first answer, and costs no model."""

import json
from typing import Any

import pytest
from tests.functions.asking import QUESTION, at_once, call, cold
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url, signed_by
from upstash_redis import Redis

from llm_cache import CacheNamespace
from local_cloud.upstash import UpstashEndpoint

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'  # a string, as the draft writes it
ANEW: dict[str, Any] = {"cache_control": "no-cache"}


def ask(body: object = QUESTION, key: str = KEY, **headers: Any) -> Any:
    return call(body, idempotency_key=key, **headers)


@pytest.mark.parametrize("accepts", ["no-cache", "max-age=0", "min-fresh=604800", "max-stale=9"])
def test_a_retry_gets_the_first_answer_whatever_it_accepts_of_the_cache(
    model: Bedrock, accepts: str
) -> None:
    first, again = ask(cache_control=accepts), ask(cache_control=accepts)
    assert (first.status, first.cache in {"refresh", "miss"}) == (200, True)
    assert (again.status, again.body["answer"], again.cache) == (200, "Answer 1.", "hit")
    assert again.headers["etag"] == first.headers["etag"]
    assert len(model.requests) == 1


def test_a_retry_says_that_it_is_one_and_counts_no_tokens(model: Bedrock) -> None:
    first, again = ask(), ask()
    assert first.headers["cache-status"].startswith("llm-cache; fwd=uri-miss; stored; ttl=600")
    assert first.body["usage"] == {"input_tokens": 9, "output_tokens": 5, "saved_tokens": 0}
    assert again.headers["cache-status"].startswith("llm-cache; hit; ttl=3")
    assert again.headers["age"] == "0"
    assert again.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}


def test_without_a_key_it_is_asked_anew(model: Bedrock) -> None:
    assert [call(QUESTION, **ANEW).body["answer"] for _ in range(2)] == ["Answer 1.", "Answer 2."]


def test_another_key_is_another_request(model: Bedrock) -> None:
    assert [ask(key=key, **ANEW).cache for key in ("a", "A", '"a"')] == ["refresh"] * 3


def test_a_first_try_may_be_answered_from_the_cache_and_answers_it_for_others(
    model: Bedrock,
) -> None:
    assert (call(QUESTION).cache, ask().cache) == ("miss", "hit")
    other = {"question": "Another?"}
    assert (ask(other, key="b").cache, call(other).cache) == ("miss", "hit")
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"question": "Another?"},
        {**QUESTION, "system": "Be brief."},
        {**QUESTION, "cache": {"ttl": 60}},
        {**QUESTION, "cache": {"salt": "2"}},
        json.dumps(QUESTION) + " ",
    ],
)
def test_the_key_of_another_request_is_refused(model: Bedrock, body: object) -> None:
    ask()
    reply = ask(body)
    assert (reply.status, reply.body["error"]["code"]) == (422, "key_reused")
    assert reply.body["error"]["field"] == "Idempotency-Key"
    assert len(model.requests) == 1
    assert ask().cache == "hit"


def test_everybody_has_keys_of_their_own(model: Bedrock) -> None:
    alice, bob = signed_by("AIDAALICE"), signed_by("AIDABOB")
    assert ask(iam=alice, **ANEW).cache == "refresh"
    assert ask(iam=bob, **ANEW).cache == "refresh"
    assert ask({"question": "Another?"}, iam=bob).status == 422
    assert ask(iam=alice, **ANEW).body["answer"] == "Answer 1."


def events(*keys: str, **cache: str) -> list[dict[str, Any]]:
    body = {**QUESTION, "cache": cache}
    return [function_url("POST", "/ask", body, {"idempotency-key": key}) for key in keys]


async def test_a_retry_waits_for_a_first_try_under_way(model: Bedrock) -> None:
    replies = await at_once(model, events(KEY, KEY, KEY, mode="refresh"), calls=1)
    assert {reply.json()["answer"] for reply in replies} == {"Answer 1."}
    statuses = sorted(reply.json()["cache"]["status"] for reply in replies)
    assert statuses == ["collapsed", "collapsed", "refresh"]
    assert len(model.requests) == 1


async def test_requests_that_are_no_retries_share_one_call_as_ever(model: Bedrock) -> None:
    replies = await at_once(model, events("a", "b", "c"), calls=1)
    statuses = sorted(reply.json()["cache"]["status"] for reply in replies)
    assert statuses == ["collapsed", "collapsed", "miss"]
    assert len(model.requests) == 1


def test_what_failed_is_tried_again(model: Bedrock) -> None:
    model.status, model.error = 429, "ThrottlingException"
    assert ask().status == 503
    model.status, model.error = 200, ""
    assert (ask().cache, ask().cache) == ("miss", "hit")


@pytest.mark.parametrize(
    ("cache", "accepts"),
    [
        ({}, "no-store"),
        ({}, "no-cache, no-store"),
        ({}, "only-if-cached"),
        ({"mode": "read_only"}, ""),
        ({"mode": "bypass"}, ""),
        ({"ttl": 0}, ""),
        ({"ttl": 0.0}, ""),
    ],
)
def test_what_may_not_be_stored_cannot_be_repeated(
    model: Bedrock, redis: Redis, cache: dict[str, Any], accepts: str
) -> None:
    reply = ask({**QUESTION, "cache": cache}, cache_control=accepts)
    assert (reply.status, reply.body["error"]["field"]) == (422, "Idempotency-Key")
    assert (model.requests, redis.keys("*")) == ([], [])


@pytest.mark.parametrize("key", ["", "x" * 256, "café", "a\tb", "a\x00", "\u2028"])
def test_a_key_that_is_none_is_refused(model: Bedrock, key: str) -> None:
    reply = ask(key=key)
    assert (reply.status, reply.body["error"]["field"]) == (422, "Idempotency-Key")
    assert model.requests == []


def test_a_key_names_no_question_and_no_question_a_key(model: Bedrock) -> None:
    ask()
    assert call({"idempotency_key": KEY}).status == 422
    assert call({**QUESTION, "cache": {"key": KEY}}).status == 422
    assert call({"question": KEY}).cache == "miss"


@pytest.mark.parametrize(("ceiling", "kept"), [("3600", 3600), ("604800", 86_400)])
def test_it_is_kept_for_a_day_or_as_long_as_the_operator_lets_it(
    model: Bedrock, redis: Redis, monkeypatch: pytest.MonkeyPatch, ceiling: str, kept: int
) -> None:
    monkeypatch.setenv("LLM_CACHE_TTL_CEILING", ceiling)
    cold()
    ask({**QUESTION, "cache": {"ttl": 30}})
    left = sorted(redis.ttl(key) for key in redis.keys("*:entry:*"))
    assert left == [pytest.approx(30, abs=2), pytest.approx(kept, abs=2)]
    assert all(KEY not in str(redis.get(key)) + key for key in redis.keys("*"))


@pytest.mark.parametrize("tag", [None, "red"])
def test_a_clear_reaches_what_is_kept_for_retries(model: Bedrock, tag: str | None) -> None:
    body = {**QUESTION, "cache": {"tags": ["red"]}}
    ask(body)
    CacheNamespace.from_env().clear(tag)
    assert ask(body).body["answer"] == "Answer 2."


def test_a_retry_costs_one_command_and_a_request_without_a_key_none_more(
    model: Bedrock, upstash: UpstashEndpoint
) -> None:
    def commands(**headers: Any) -> int:
        upstash.meter.reset()
        assert call(QUESTION, **headers).status == 200
        return upstash.meter.read().commands

    miss, hit, refresh = commands(), commands(), commands(**ANEW)
    assert (miss, hit, refresh) == (3, 1, 2)
    assert commands(idempotency_key=KEY, **ANEW) == refresh + 3
    assert commands(idempotency_key=KEY, **ANEW) == 1
    assert commands(idempotency_key=f"{KEY};b") == hit + 3


def test_without_upstash_it_is_answered_all_the_same(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:9")
    cold()
    assert [ask().body["answer"] for _ in range(2)] == ["Answer 1.", "Answer 2."]


def test_each_try_writes_one_line_of_metrics(
    model: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(), ask()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    told = [(line["CacheHits"], line["CacheMisses"], line["TokensSaved"]) for line in lines]
    assert told == [([0], [1], [0]), ([1], [0], [14])]

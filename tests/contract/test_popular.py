"""What is asked most: counted in Redis, and asked again by whoever has the cache's keys."""

import asyncio
import base64
import json
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from tests.clock import Clock
from tests.contract.test_least_privilege import denied, store_of
from upstash_redis import Redis

from llm_cache import (
    CachePolicy,
    Encryption,
    InvalidSettings,
    Popular,
    ResponseCache,
    Signing,
    StoreError,
)
from llm_cache.popular import KEPT, MAX_BYTES, ROOM
from llm_cache.seal import Seal
from local_cloud.upstash import UpstashEndpoint

KEY = base64.b64encode(b"k" * 32).decode()
PROMPT = "mark-prompt"
LONG = {"question": random.Random(1).randbytes(MAX_BYTES).hex()}  # that cannot be compressed much


def counting(
    redis: Redis, most: int = 3, *, share: float = 1.0, version: str = "1", **bounds: Any
) -> ResponseCache:
    popular = Popular(most, share=share)
    return ResponseCache(redis, version=version, namespace="n", popular=popular, **bounds)


@pytest.fixture(params=[None, Signing(KEY), Encryption(KEY)], ids=["plain", "signed", "encrypted"])
def cache(request: pytest.FixtureRequest, redis: Redis) -> ResponseCache:
    return counting(redis, seal=request.param)


def ask(cache: ResponseCache, *questions: str, **policy: Any) -> None:
    for question in questions:
        with cache.policy(CachePolicy(**policy)):
            cache.count({"question": question})


def asked(cache: ResponseCache) -> list[str]:
    return [popular.request["question"] for popular in cache.most_asked()]


def test_the_most_asked_come_first_and_no_more_than_are_wanted(cache: ResponseCache) -> None:
    ask(cache, *"bcaabcabaed")
    assert asked(cache) == ["a", "b", "c"]


def test_asynchronous_requests_count_alike(cache: ResponseCache) -> None:
    async def work() -> None:
        for question in "aba":
            await cache.acount({"question": question})

    asyncio.run(work())
    assert asked(cache) == ["a", "b"]


def test_a_request_comes_back_with_what_decides_whose_its_answer_is(cache: ResponseCache) -> None:
    policy = {"tenant": "t", "salt": "s", "tags": ("x", "y"), "ttl": 60.0, "stale_if_error": 5.0}
    ask(cache, "a", **policy, max_age=3, min_fresh=2, coalesce="fleet")
    assert [popular.policy for popular in cache.most_asked()] == [CachePolicy(**policy)]  # type: ignore[arg-type]


def test_the_same_request_of_two_tenants_is_two(cache: ResponseCache) -> None:
    ask(cache, "a", tenant="one")
    ask(cache, "a", "a", tenant="two")
    assert [popular.policy.tenant for popular in cache.most_asked()] == ["two", "one"]


@pytest.mark.parametrize(
    "policy",
    [
        {"ttl": 0},
        {"ttl": lambda _answer, _now: 60},
        {"mode": "bypass"},
        {"mode": "read_only"},
        {"mode": "refresh"},
        {"mode": "only_if_cached"},
        {"key": "a name"},
        {"namespace": "another"},
    ],
)
def test_what_could_not_be_asked_again_to_the_same_end_is_not_counted(
    cache: ResponseCache, upstash: UpstashEndpoint, policy: dict[str, Any]
) -> None:
    upstash.meter.reset()
    ask(cache, "a", **policy)
    assert upstash.meter.read().commands == 0
    assert asked(cache) == []


@pytest.mark.parametrize("request_", [LONG, {"x": object()}, {"x": float("nan")}])
def test_a_request_that_is_long_or_no_json_is_not_counted(
    redis: Redis, cache: ResponseCache, request_: dict[str, Any]
) -> None:
    cache.count(request_)
    assert redis.keys("*") == []


def test_counting_costs_one_command_and_only_where_it_is_on(
    redis: Redis, upstash: UpstashEndpoint
) -> None:
    off = ResponseCache(redis, version="1", namespace="n")
    for cache, commands in ((off, 0), (counting(redis), 1)):
        upstash.meter.reset()
        ask(cache, "a")
        read = upstash.meter.read()
        assert (read.commands, read.requests) == (commands, commands)
    upstash.meter.reset()
    assert off.most_asked() == []
    assert upstash.meter.read().commands == 0
    assert asked(counting(redis)) == ["a"]
    assert upstash.meter.read().commands == 2


def test_a_hit_and_a_miss_cost_what_they_do_without(redis: Redis, upstash: UpstashEndpoint) -> None:
    def answer(_: object) -> dict[str, Any]:
        return {"answer": "A"}

    for cache in (ResponseCache(redis, version="0", namespace="n"), counting(redis)):
        behind = cache.cached(answer)
        upstash.meter.reset()
        for _ in range(3):
            behind({"question": "a"})
        assert upstash.meter.read().commands == 4


def test_of_a_share_one_in_so_many_is_counted(redis: Redis, upstash: UpstashEndpoint) -> None:
    draws = iter([0.05, 0.1, 0.99, 0.0, 0.5])
    popular = Popular(3, share=0.1, random=lambda: next(draws))
    cache = ResponseCache(redis, version="1", namespace="n", popular=popular)
    ask(cache, *"abcde")
    assert sorted(asked(cache)) == ["a", "d"]
    assert upstash.meter.read().commands == 4


@pytest.mark.parametrize("share", [0, -0.1, 1.1, True, "0.5", float("nan")])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^share="):
        Popular(3, share=share)


@pytest.mark.parametrize("most", [0, 101, True, 2.0, "3"])
def test_a_number_that_is_out_of_bounds_is_refused(most: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^most="):
        Popular(most)


def test_however_many_are_asked_as_many_are_kept_and_all_of_it_expires(
    redis: Redis, cache: ResponseCache
) -> None:
    ask(cache, *(f"question {number}" for number in range(40)))
    keys = redis.keys("*")
    assert len(keys) == 1 + 3 * ROOM
    assert all(KEPT - 60 < redis.ttl(key) <= KEPT for key in keys)
    assert len(asked(cache)) == 3
    assert all(0 < redis.ttl(key) <= KEPT for key in redis.keys("*"))


def test_what_is_asked_often_is_found_among_many_asked_once(redis: Redis) -> None:
    dice = random.Random(7)
    stream = [*("ab" * 60), *(f"once {number}" for number in range(120))]
    dice.shuffle(stream)
    cache = counting(redis, 2)
    ask(cache, *stream)
    assert sorted(asked(cache)) == ["a", "b"]
    assert Counter(stream)["a"] == 60


def test_a_newcomer_takes_the_place_and_the_count_of_what_was_asked_least(redis: Redis) -> None:
    cache = counting(redis, 1)
    ask(cache, *"aabbccdd", "e")
    assert asked(cache) == ["e"]


def test_what_was_asked_of_late_counts_more(redis: Redis) -> None:
    cache = counting(redis, 1)
    ask(cache, *"aaaa")
    for _ in range(3):
        assert asked(cache) == ["a"]
    ask(cache, "b")
    assert asked(cache) == ["b"]


def test_what_nobody_asks_any_more_is_forgotten(redis: Redis, clock: Clock) -> None:
    cache = counting(redis, clock=clock)
    ask(cache, "a")
    clock.now += KEPT - 1
    assert asked(cache) == ["a"]
    clock.now += 2
    assert asked(cache) == []


def test_a_request_whose_text_is_gone_is_left_out(redis: Redis, cache: ResponseCache) -> None:
    ask(cache, *"aab")
    (most,) = [key for key in redis.keys("n:popular:*:*") if _score(redis, key) == 2]
    redis.delete(most)
    assert asked(cache) == ["b"]


def _score(redis: Redis, key: str) -> float | None:
    counts, _, hashed = key.rpartition(":")
    return redis.zscore(counts, hashed)


def test_a_clear_leaves_the_counts(cache: ResponseCache) -> None:
    ask(cache, "a")
    cache.clear()
    assert asked(cache) == ["a"]


def test_another_version_asks_nothing_of_this_one(redis: Redis) -> None:
    ask(counting(redis), "a")
    assert asked(counting(redis, version="2")) == []


def test_encrypted_nothing_of_a_request_can_be_read_in_redis(redis: Redis) -> None:
    names = {"tenant": "mark-tenant", "salt": "mark-salt", "tags": ("mark-tag",)}
    cache = counting(redis, seal=Encryption(KEY))
    ask(cache, PROMPT, **names)
    stored = [f"{key} {redis.get(key)}" for key in redis.keys("n:popular:*:*")]
    assert len(stored) == 1
    assert "mark-" not in " ".join(stored)
    assert PROMPT not in repr(cache.most_asked())
    assert "mark-" not in repr(cache.most_asked())


@pytest.mark.parametrize("seal", [Signing(KEY), Encryption(KEY)], ids=["signed", "encrypted"])
def test_sealed_no_request_is_asked_that_the_cache_did_not_count(redis: Redis, seal: Seal) -> None:
    cache = counting(redis, seal=seal)
    ask(cache, *"aab")
    first, second = sorted(redis.keys("n:popular:*:*"), key=lambda key: -(_score(redis, key) or 0))
    text = str(redis.get(first))
    redis.set(first, str(redis.get(second)))  # moved
    redis.set(second, text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB"))  # altered
    assert asked(cache) == []
    redis.set(first, _plain({"question": "evil"}, {"tenant": "t"}))
    assert asked(cache) == []


def _plain(request: object, policy: object) -> str:
    told = {"request": request, "policy": policy}
    fields = {"v": 1, "epochs": {"": ""}, "created": 4e9, "ttl": 60, "answer": [told]}
    return json.dumps(fields)


@pytest.mark.parametrize(
    "text",
    [
        "rubbish",
        "{}",
        _plain({"question": "x"}, {"tenant": 7}),
        _plain({"question": "x"}, {"ttl": "soon"}),
        _plain({"question": "x"}, {"tags": 7}),
        _plain({"question": "x"}, []),
        json.dumps({"v": 1, "epochs": {"": ""}, "created": 4e9, "ttl": 60, "answer": ["x"]}),
    ],
)
def test_what_cannot_be_read_is_left_out(redis: Redis, text: str) -> None:
    cache = counting(redis)
    ask(cache, *"aab")
    (most,) = [key for key in redis.keys("n:popular:*:*") if _score(redis, key) == 2]
    redis.set(most, text)
    assert asked(cache) == ["b"]


def test_a_policy_that_is_not_the_tenants_to_choose_is_not_read(redis: Redis) -> None:
    cache = counting(redis)
    ask(cache, "a")
    (key,) = redis.keys("n:popular:*:*")
    redis.set(key, _plain({"question": "x"}, {"namespace": "other", "mode": "bypass", "key": "k"}))
    assert [popular.policy for popular in cache.most_asked()] == [CachePolicy()]


def test_a_count_that_fails_is_told_and_nobody_fails_of_it(
    redis: Redis, cache: ResponseCache
) -> None:
    ask(cache, "a")
    (counts,) = [key for key in redis.keys("*") if key.count(":") == 2]
    redis.set(counts, "of another type")
    with cache.policy() as report:
        cache.count({"question": "a"})
    assert report.errors == 1


# Beside those of a user that asks, as the README has them.
RULES = ["~n:popular:*", "+zscore", "+zcard", "+zpopmin", "+zincrby", "+expire"]
RULES += ["+zrevrange", "+ttl", "+zunionstore"]
ASKS = ["+eval", "+mget", "+set", "+unlink"]


def _work(upstash: UpstashEndpoint, redis: Redis, rules: list[str]) -> list[str]:
    store = store_of(upstash, redis, "counts", [*ASKS, *rules])
    cache = ResponseCache(store, version="1", namespace="n", popular=Popular(1, share=1.0))
    ask(cache, *(f"question {number}" for number in range(ROOM + 1)))
    return asked(cache)


def test_a_user_of_few_rights_can_count(upstash: UpstashEndpoint, redis: Redis) -> None:
    assert len(_work(upstash, redis, RULES)) == 1
    assert denied(redis) == []


@pytest.mark.parametrize("rule", RULES)
def test_no_right_is_one_too_many(upstash: UpstashEndpoint, redis: Redis, rule: str) -> None:
    with suppress(StoreError):
        _work(upstash, redis, [other for other in RULES if other != rule])
    assert denied(redis) != []


def test_the_environment_says_how_many(upstash: UpstashEndpoint) -> None:
    environ = {
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_POPULAR": "2",
        "LLM_CACHE_POPULAR_SHARE": "1",
    }
    cache = ResponseCache.from_env(version="1", environ=environ)
    ask(cache, *"aabbc")
    assert sorted(asked(cache)) == ["a", "b"]
    off = ResponseCache.from_env(version="1", environ=environ | {"LLM_CACHE_POPULAR": "0"})
    assert off.most_asked() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_CACHE_POPULAR", "101"),
        ("LLM_CACHE_POPULAR", "-1"),
        ("LLM_CACHE_POPULAR", "some"),
        ("LLM_CACHE_POPULAR_SHARE", "0"),
        ("LLM_CACHE_POPULAR_SHARE", "2"),
        ("LLM_CACHE_POPULAR_SHARE", "some"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    environ = {"UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_REDIS_REST_TOKEN": "t", name: value}
    with pytest.raises(InvalidSettings, match=f"^{name}="):
        ResponseCache.from_env(version="1", environ=environ)

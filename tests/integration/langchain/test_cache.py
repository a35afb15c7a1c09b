"""The drop-in class against a real server: policies, stores, clears and reclaims."""

import asyncio
import base64
import json
import random
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from tests.clock import Clock
from upstash_redis import Redis

from llm_cache import (
    CacheMiss,
    CacheNamespace,
    CachePolicy,
    Outcome,
    Reason,
    Report,
    Status,
    UpstashRedisCache,
)
from llm_cache._entries.keys import MAX_NAMESPACE, MAX_TAGS
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]
CUT = [ChatGeneration(message=AIMessage("The", response_metadata={"stopReason": "max_tokens"}))]


def noise(length: int) -> str:
    """Return text of four thirds of ``length`` that compression does not shorten much."""
    return base64.b64encode(random.Random(1).randbytes(length)).decode()


@pytest.fixture
def cache(redis: Redis, clock: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=600, namespace="shop", ttl_ceiling=3600, clock=clock)


def last(report: Report) -> Outcome:
    assert report.last is not None
    return report.last


def ask(cache: UpstashRedisCache, prompt: str = "p") -> tuple[bool, Reason | None]:
    """Look up and store as LangChain does; return whether it was a hit, and why not."""
    with cache.policy() as report:
        found = cache.lookup(prompt, "model")
        if found is None:
            cache.update(prompt, "model", ANSWER)
    return found is not None, report.outcomes[0].why if report.outcomes else None


def test_hit_reports_its_age_its_ttl_and_its_key(
    cache: UpstashRedisCache, clock: Clock, redis: Redis
) -> None:
    ask(cache)
    clock.now += 10
    with cache.policy() as report:
        cache.lookup("p", "model")
    (hit,) = report.outcomes
    assert (hit.status, hit.age, hit.ttl) == (Status.HIT, 10, 590)
    assert redis.exists(hit.key) == 1


# Policies.


@pytest.mark.parametrize(("wanted", "kept"), [(120, 120), (10**6, 3600), (None, 600)])
def test_ttl_of_a_policy_is_clamped_and_reaches_redis(
    cache: UpstashRedisCache, redis: Redis, wanted: float | None, kept: int
) -> None:
    with cache.policy(CachePolicy(ttl=wanted)) as report:
        cache.update("p", "model", ANSWER)
    assert last(report).ttl == kept
    assert kept - 60 <= redis.ttl(last(report).key) <= kept


def test_answers_stored_together_expire_at_different_times(upstash: UpstashEndpoint) -> None:
    environ = {
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_TTL": "1000",
        "LLM_CACHE_TTL_JITTER": "0.5",
    }
    cache = UpstashRedisCache.from_env(environ, namespace="shop")
    with cache.policy() as report:
        for number in range(20):
            cache.update(f"p{number}", "model", ANSWER)
    ttls = [outcome.ttl or 0 for outcome in report.outcomes]
    assert 500 <= min(ttls) < max(ttls) <= 1000


def test_answer_with_zero_ttl_is_not_stored(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy(CachePolicy(ttl=0)) as report:
        assert ask(cache) == (False, "unknown")
    assert [outcome.status for outcome in report.outcomes] == [Status.MISS, Status.SKIPPED]
    assert redis.keys("*:entry:*") == []


def test_ttl_callable_that_raises_is_a_reported_error(cache: UpstashRedisCache) -> None:
    def broken(_answer: Any, _now: float) -> float:
        raise KeyError("tenant")

    with cache.policy(CachePolicy(ttl=broken)) as report:
        cache.update("p", "model", ANSWER)
    assert (report.errors, report.stored) == (1, 0)


def test_answer_older_than_max_age_is_a_miss(cache: UpstashRedisCache, clock: Clock) -> None:
    ask(cache)
    clock.now += 30
    with cache.policy(CachePolicy(max_age=20)):
        assert ask(cache) == (False, "too_old")
        assert ask(cache) == (True, None)


def test_answer_is_kept_beyond_its_ttl_for_stale_if_error(
    cache: UpstashRedisCache, clock: Clock, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=60, stale_if_error=3600)) as report:
        cache.update("p", "model", ANSWER)
    assert (last(report).ttl, redis.ttl(last(report).key)) == (60, 3600)  # the ceiling
    clock.now += 100
    assert ask(cache) == (False, "expired")
    clock.now += 700
    with cache.policy(CachePolicy(max_stale=200)) as report:
        assert cache.lookup("p", "model") == ANSWER
    assert last(report).ttl == -100


def test_refresh_overwrites(cache: UpstashRedisCache) -> None:
    cache.update("p", "model", [Generation(text="old"), Generation(text="older")])
    with cache.policy(CachePolicy(mode="refresh")):
        assert ask(cache) == (False, "not_read")
    assert cache.lookup("p", "model") == ANSWER


def test_read_only_reads_and_stores_nothing(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy(CachePolicy(mode="read_only")):
        assert ask(cache) == (False, "unknown")
    assert redis.keys("*") == []
    ask(cache)
    with cache.policy(CachePolicy(mode="read_only")):
        assert ask(cache) == (True, None)


def test_bypass_neither_reads_nor_stores(cache: UpstashRedisCache) -> None:
    ask(cache)
    with cache.policy(CachePolicy(mode="bypass")):
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", [Generation(text="other")])
    assert cache.lookup("p", "model") == ANSWER


def test_only_if_cached_raises_on_a_miss(cache: UpstashRedisCache, clock: Clock) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")) as report:
        with pytest.raises(CacheMiss, match="unknown"):
            cache.lookup("p", "model")
        with pytest.raises(CacheMiss):
            asyncio.run(cache.alookup("p", "model"))
    assert report.misses == 2
    ask(cache)
    with cache.policy(CachePolicy(mode="only_if_cached")):
        assert cache.lookup("p", "model") == ANSWER
    clock.now += 2
    only = CachePolicy(mode="only_if_cached", max_age=1)
    with cache.policy(only), pytest.raises(CacheMiss, match="too_old"):
        cache.lookup("p", "model")


# Answers that are not stored.


def test_truncated_answer_is_not_stored(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy() as report:
        cache.update("p", "model", CUT)
    assert (last(report).status, last(report).why) == (Status.SKIPPED, "truncated")
    assert redis.keys("*:entry:*") == []


def test_truncated_answer_is_stored_if_do_not_store_lacks_the_reason(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, do_not_store=["empty"], mark_hits=False)
    cache.update("p", "model", CUT)
    cache.update("q", "model", [Generation(text="")])
    assert (cache.lookup("p", "model"), cache.lookup("q", "model")) == (CUT, None)


def test_answer_larger_than_max_bytes_is_not_sent(redis: Redis, upstash: UpstashEndpoint) -> None:
    cache = UpstashRedisCache(redis, max_bytes=5_000)
    with cache.policy() as report:
        cache.update("p", "model", [Generation(text=noise(4_000))])
        assert upstash.meter.read().commands == 0
        cache.update("q", "model", [Generation(text=noise(3_000))])
    assert [outcome.status for outcome in report.outcomes] == [Status.SKIPPED, Status.STORED]
    assert report.outcomes[0].why == "too_large"


def test_answer_that_compression_makes_small_enough_is_stored(redis: Redis) -> None:
    cache, answer = UpstashRedisCache(redis, max_bytes=5_000), [Generation(text="word " * 10_000)]
    cache.update("p", "model", answer)
    assert cache.lookup("p", "model") == answer


def test_largest_answer_by_default_is_within_the_smallest_limit_of_upstash(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    cache = UpstashRedisCache(redis, namespace="\U0001f600" * MAX_NAMESPACE)
    tags = [f"tag {number}" for number in range(MAX_TAGS)]
    execute = UpstashStore.execute

    def measured(store: UpstashStore, command: CommandArgs, *within: Any) -> Any:
        sent.append(len(json.dumps(command, ensure_ascii=False).encode()))
        return execute(store, command, *within)

    monkeypatch.setattr(UpstashStore, "execute", measured)
    with cache.policy(CachePolicy(tags=tags)) as report:
        cache.update("p", "model", [Generation(text=noise(672_000))])  # 896 KB in base64
    assert report.stored == 1
    assert 890_000 < sent[0] < 1_000_000


# Clears.


def test_clear_takes_effect_at_once_and_only_in_its_namespace(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    other = UpstashRedisCache(redis, namespace="shop2")
    redis.set("foreign", "untouched")
    ask(cache), ask(other)
    cache.clear()
    assert ask(cache) == (False, "cleared")
    assert ask(cache) == (True, None)
    assert ask(other) == (True, None)
    assert redis.get("foreign") == "untouched"


def test_answer_computed_across_the_first_clear_is_not_stored(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="fresh")
    assert cache.lookup("p", "model") is None
    cache.clear()
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert last(report).why == "cleared_meanwhile"
    assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("namespace", [None, "fresh"])
def test_first_answers_of_a_namespace_may_be_computed_concurrently(
    redis: Redis, namespace: str | None
) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    prompts = [f"p{number}" for number in range(5)]
    assert [cache.lookup(prompt, "model") for prompt in prompts] == [None] * 5
    for prompt in prompts:
        cache.update(prompt, "model", ANSWER)
    assert [cache.lookup(prompt, "model") for prompt in prompts] == [ANSWER] * 5


def test_lost_epoch_is_a_clear(cache: UpstashRedisCache, redis: Redis) -> None:
    ask(cache)
    cache.clear()
    redis.delete("shop:epoch")
    assert ask(cache) == (False, "cleared")
    assert ask(cache) == (True, None)


def test_clear_refuses_an_argument_that_it_does_not_know(cache: UpstashRedisCache) -> None:
    ask(cache)
    with pytest.raises(TypeError, match="not tags"):
        cache.clear(tags="tenant:42")
    assert ask(cache) == (True, None)


def test_unreadable_entry_is_a_miss_and_is_replaced(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    redis.set(last(report).key, '[{"lc": 1}]')
    assert ask(cache) == (False, "unreadable")
    assert ask(cache) == (True, None)


def test_reclaim_in_several_runs_frees_cleared_entries_and_no_others(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    for number in range(1200):
        cache.update(f"p{number}", "model", ANSWER)
    cache.clear()
    ask(cache, "fresh")
    redis.hset("shop:entry:" + "0" * 64, "of another", "type")
    redis.set("shop:entry:not-a-hash", "foreign")
    redis.set("shopX:entry:" + "1" * 64, "foreign")
    namespace = CacheNamespace(UpstashStore.from_client(redis), "shop")
    runs = [namespace.reclaim(seconds=0)]
    while not runs[-1].complete:
        runs.append(namespace.reclaim(seconds=0, cursor=runs[-1].cursor))
    assert len(runs) > 1
    assert sum(run.removed for run in runs) == 1201
    assert ask(cache, "fresh") == (True, None)
    assert redis.dbsize() == 4  # the fresh entry, the epoch, two foreign keys

"""Which answers a clear makes a miss, in a real server."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import (
    CacheNamespace,
    CachePolicy,
    Encryption,
    InvalidPolicy,
    Reason,
    ResponseCache,
    Signing,
    UpstashRedisCache,
)
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.redis_server import RedisServer

KEY = "A" * 43 + "="
ANSWER = [Generation(text="hi")]
Clear = Callable[[UpstashRedisCache], None]
CLEARS: dict[str, Clear] = {
    "all": lambda cache: cache.clear(),
    "tag": lambda cache: cache.clear(tag="t"),
    "tenant": lambda cache: cache.clear(tenant="42"),
    "all, asynchronous": lambda cache: asyncio.run(cache.aclear()),
    "tenant, asynchronous": lambda cache: asyncio.run(cache.aclear(tenant="42")),
}
clears = pytest.mark.parametrize("kind", CLEARS)
namespaces = pytest.mark.parametrize("namespace", ["shop", None])
POLICY = CachePolicy(tags=["t"], tenant="42")
TENANT = CachePolicy(tenant="42")


def store(cache: UpstashRedisCache, policy: CachePolicy = POLICY, prompt: str = "p") -> None:
    with cache.policy(policy):
        assert cache.lookup(prompt, "model") is None
        cache.update(prompt, "model", ANSWER)


def miss_reason(cache: Any, policy: CachePolicy = POLICY, *question: str) -> Reason | None:
    """Return why a lookup misses; None: it hits."""
    with cache.policy(policy) as report:
        cache.lookup(*(question or ("p", "model")))
    reason: Reason | None = report.outcomes[0].why
    return reason


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="shop")


@pytest.mark.parametrize("protection", [None, Signing(KEY), Encryption(KEY)])
@pytest.mark.parametrize("tags", [[], ["t", "u"]])
def test_clear_of_a_tenant_reaches_its_answers_and_no_others(
    redis: Redis, protection: Any, tags: list[str]
) -> None:
    cache = UpstashRedisCache(redis, namespace="shop", protection=protection)
    policies = [CachePolicy(tenant=tenant, tags=tags) for tenant in ("42", "43", "t", None)]
    for policy in policies:
        store(cache, policy)
    cache.clear(tenant="42")
    assert [miss_reason(cache, policy) for policy in policies] == ["cleared", None, None, None]
    namespace = CacheNamespace(UpstashStore.from_client(redis), "shop", protection=protection)
    assert namespace.preview(tenant="43", seconds=9).removed == 2
    namespace.clear(tenant="43")
    assert namespace.reclaim(seconds=9).removed == 2
    assert [miss_reason(cache, policy) for policy in policies[2:]] == [None, None]


def test_clear_of_a_tag_keeps_the_tenant_of_that_name(cache: UpstashRedisCache) -> None:
    store(cache, TENANT)
    cache.clear(tag="42")
    assert miss_reason(cache, TENANT) is None


def test_clear_of_a_tenant_reaches_the_responses_of_functions(
    redis: Redis, cache: UpstashRedisCache
) -> None:
    responses = ResponseCache(redis, namespace="shop", version="1")
    with responses.policy(TENANT):
        responses.update("question", {"answer": "hi"})
    cache.clear(tenant="42")
    assert miss_reason(responses, TENANT, "question") is Reason.CLEARED


@pytest.mark.parametrize(("tag", "tenant"), [("", None), (None, ""), ("a", "b"), (None, 42)])
def test_refused_clear_deletes_nothing(redis: Redis, tag: Any, tenant: Any) -> None:
    cache = UpstashRedisCache(redis)  # without a namespace a clear of all empties the database
    store(cache)
    with pytest.raises(InvalidPolicy):
        cache.clear(tag=tag, tenant=tenant)
    assert miss_reason(cache) is None


@clears
@namespaces
@pytest.mark.parametrize("first", [True, False])
def test_answer_that_was_looked_up_before_a_clear_is_not_served(
    redis: Redis, kind: str, namespace: str | None, first: bool
) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    if not first:
        store(cache, prompt="another")
    with cache.policy(POLICY):
        assert cache.lookup("p", "model") is None
        CLEARS[kind](cache)
        cache.update("p", "model", ANSWER)
        assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("asynchronous", [True, False])
def test_clear_without_a_namespace_empties_the_database(redis: Redis, asynchronous: bool) -> None:
    cache = UpstashRedisCache(redis)
    redis.set("of another program", "value")
    assert cache.lookup("p", "model") is None
    cache.clear(asynchronous=asynchronous)
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") is None
    assert redis.exists("of another program") == 0


def test_report_of_a_cleared_miss_has_the_time_of_the_clear(redis: Redis) -> None:
    now = 1_000_000.0
    cache = UpstashRedisCache(redis, namespace="shop", clock=lambda: now)
    store(cache)
    cache.clear(tenant="42")
    now += 180
    with cache.policy(POLICY) as report:
        assert cache.lookup("p", "model") is None
    outcome = report.outcomes[0]
    assert (outcome.why, outcome.detail) == (Reason.CLEARED, "by a tag or its tenant 180 s ago")


@pytest.fixture
def fill(redis_server: RedisServer) -> Iterator[Callable[[], object]]:
    """Make every command fail that takes memory."""
    yield lambda: redis_server.call("CONFIG", "SET", "maxmemory", 1)
    redis_server.call("CONFIG", "SET", "maxmemory", 0)


@clears
@namespaces
@pytest.mark.parametrize("cleared_before", [True, False])
def test_full_database_is_cleared_and_reclaimed(
    redis: Redis,
    fill: Callable[[], object],
    kind: str,
    namespace: str | None,
    cleared_before: bool,
) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    if cleared_before:
        CLEARS[kind](cache)
    store(cache)
    fill()
    with pytest.raises(Exception, match="OOM"):
        redis.set("a key", "value")
    CLEARS[kind](cache)
    assert miss_reason(cache) in {Reason.CLEARED, Reason.UNKNOWN}
    prefix = namespace or "llm_cache"
    CacheNamespace(UpstashStore.from_client(redis), prefix).reclaim(seconds=9)
    assert redis.keys(f"{prefix}:entry:*") == []
    assert redis.get(f"{prefix}:epoch")

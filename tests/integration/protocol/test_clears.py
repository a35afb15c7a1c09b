"""What a clear reaches: a tenant, a full database, an answer that is still being computed."""

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
from llm_cache._upstash.store import UpstashStore
from upstash_endpoint.redis_server import RedisServer

KEY = "A" * 43 + "="
ANSWER = [Generation(text="hi")]
Clear = Callable[[UpstashRedisCache], None]
CLEARS: dict[str, Clear] = {
    "all": lambda cache: cache.clear(),
    "a tag": lambda cache: cache.clear(tag="t"),
    "a tenant": lambda cache: cache.clear(tenant="42"),
    "all, on a loop": lambda cache: asyncio.run(cache.aclear()),
    "a tenant, on a loop": lambda cache: asyncio.run(cache.aclear(tenant="42")),
}
clears = pytest.mark.parametrize("clear", CLEARS.values(), ids=CLEARS)
POLICY = CachePolicy(tags=["t"], tenant="42")


def store(cache: UpstashRedisCache, policy: CachePolicy, prompt: str = "p") -> None:
    with cache.policy(policy):
        assert cache.lookup(prompt, "model") is None
        cache.update(prompt, "model", ANSWER)


def why(cache: Any, policy: CachePolicy, *question: str) -> Reason | None:
    with cache.policy(policy) as report:
        cache.lookup(*(question or ("p", "model")))
    reason: Reason | None = report.outcomes[0].why
    return reason


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
    assert [why(cache, policy) for policy in policies] == ["cleared", None, None, None]
    namespace = CacheNamespace(UpstashStore.beside(redis), "shop", protection=protection)
    assert namespace.preview(tenant="43", seconds=9).removed == 2
    namespace.clear(tenant="43")
    assert namespace.reclaim(seconds=9).removed == 2
    assert [why(cache, policy) for policy in policies[2:]] == [None, None]


def test_clear_of_a_tag_leaves_a_tenant_of_that_name_alone(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="shop")
    store(cache, CachePolicy(tenant="42"))
    cache.clear(tag="42")
    assert why(cache, CachePolicy(tenant="42")) is None


def test_clear_of_a_tenant_reaches_the_responses_of_functions(redis: Redis) -> None:
    responses = ResponseCache(redis, namespace="shop", version="1")
    with responses.policy(CachePolicy(tenant="42")):
        responses.update("question", {"answer": "hi"})
    UpstashRedisCache(redis, namespace="shop").clear(tenant="42")
    assert why(responses, CachePolicy(tenant="42"), "question") is Reason.CLEARED


@pytest.mark.parametrize(("tag", "tenant"), [("", None), (None, ""), ("a", "b"), (None, 42)])
def test_clear_of_what_no_answer_can_have_is_refused(redis: Redis, tag: Any, tenant: Any) -> None:
    cache = UpstashRedisCache(redis)  # without a namespace, where a clear of all empties it all
    store(cache, POLICY)
    with pytest.raises(InvalidPolicy):
        cache.clear(tag=tag, tenant=tenant)
    assert why(cache, POLICY) is None


@clears
@pytest.mark.parametrize("namespace", ["shop", None])
@pytest.mark.parametrize("first", [True, False])
def test_answer_computed_across_a_clear_is_not_served(
    redis: Redis, clear: Clear, namespace: str | None, first: bool
) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    if not first:
        store(cache, POLICY, "another")
    with cache.policy(POLICY):
        assert cache.lookup("p", "model") is None
        clear(cache)
        cache.update("p", "model", ANSWER)
        assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("asynchronous", [True, False])
def test_drop_in_clear_empties_the_database_and_serves_nothing_older(
    redis: Redis, asynchronous: bool
) -> None:
    cache = UpstashRedisCache(redis)
    redis.set("another program's", "value")
    assert cache.lookup("p", "model") is None
    cache.clear(asynchronous=asynchronous)
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") is None
    assert redis.exists("another program's") == 0


def test_clear_says_when_in_the_report_of_a_later_miss(redis: Redis) -> None:
    now = 1_000_000.0
    cache = UpstashRedisCache(redis, namespace="shop", clock=lambda: now)
    store(cache, POLICY)
    cache.clear(tenant="42")
    now += 180
    with cache.policy(POLICY) as report:
        assert cache.lookup("p", "model") is None
    told = report.outcomes[0]
    assert (told.why, told.detail) == (Reason.CLEARED, "by a tag or its tenant 180 s ago")


@pytest.fixture
def full(redis_server: RedisServer) -> Iterator[Callable[[], object]]:
    yield lambda: redis_server.call("CONFIG", "SET", "maxmemory", 1)
    redis_server.call("CONFIG", "SET", "maxmemory", 0)


@clears
@pytest.mark.parametrize("namespace", ["shop", None])
@pytest.mark.parametrize("cleared_before", [True, False])
def test_full_database_is_cleared_and_reclaimed(
    redis: Redis,
    full: Callable[[], object],
    clear: Clear,
    namespace: str | None,
    cleared_before: bool,
) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    if cleared_before:
        clear(cache)
    store(cache, POLICY)
    full()
    with pytest.raises(Exception, match="OOM"):
        redis.set("a key", "value")
    clear(cache)
    assert why(cache, POLICY) in {Reason.CLEARED, Reason.UNKNOWN}
    prefix = namespace or "llm_cache"
    CacheNamespace(UpstashStore.beside(redis), prefix).reclaim(seconds=9)
    assert redis.keys(f"{prefix}:entry:*") == []
    if "tag" not in str(clear):
        assert redis.get(f"{prefix}:epoch")

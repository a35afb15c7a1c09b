"""What each operation costs, counted by the endpoint."""

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]


@pytest.fixture(params=[None, "shop"])
def cache(redis: Redis, request: pytest.FixtureRequest) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace=request.param)


def cost(upstash: UpstashEndpoint) -> tuple[int, int]:
    reading = upstash.meter.read()
    upstash.meter.reset()
    return reading.commands, reading.requests


def test_a_hit_is_one_command_and_a_miss_with_its_store_two(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    for prompt in ("the first of a fresh database", "the second"):
        assert cache.lookup(prompt, "model") is None
        cache.update(prompt, "model", ANSWER)
        assert cost(upstash) == (2, 2)
        assert cache.lookup(prompt, "model") == ANSWER
        assert cost(upstash) == (1, 1)


async def test_the_asynchronous_methods_cost_the_same(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    for prompt in ("the first of a fresh database", "the second"):
        assert await cache.alookup(prompt, "model") is None
        await cache.aupdate(prompt, "model", ANSWER)
        assert cost(upstash) == (2, 2)
        assert await cache.alookup(prompt, "model") == ANSWER
        assert cost(upstash) == (1, 1)


@pytest.mark.parametrize(("mode", "commands"), [("refresh", 2), ("read_only", 1), ("bypass", 0)])
def test_what_each_mode_costs(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, mode: str, commands: int
) -> None:
    cache.update("p", "model", ANSWER)
    cost(upstash)
    with cache.policy(CachePolicy(mode=mode)):
        cache.lookup("another", "model")
        cache.update("another", "model", ANSWER)
    assert cost(upstash) == (commands, commands)


def test_an_answer_stored_without_a_lookup_is_one_command(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    cache.update("p", "model", ANSWER)
    assert cost(upstash) == (1, 1)


def test_a_clear_is_one_command(cache: UpstashRedisCache, upstash: UpstashEndpoint) -> None:
    cache.clear()
    assert cost(upstash) == (1, 1)


def test_commands_share_one_connection(cache: UpstashRedisCache, upstash: UpstashEndpoint) -> None:
    for _ in range(5):
        cache.lookup("p", "model")
    assert upstash.meter.read().connections == 1


def test_every_entry_expires_by_the_command_that_writes_it(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    cache.update("stored without a lookup", "model", ANSWER)
    cache.lookup("stored after one", "model")
    cache.update("stored after one", "model", ANSWER)
    entries = [key for key in redis.keys("*") if ":entry:" in key]
    assert len(entries) == 2
    assert all(0 < redis.ttl(key) <= 30 * 86_400 for key in entries)

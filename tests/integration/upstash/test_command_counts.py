"""How many commands and requests each operation costs, counted by the endpoint."""

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]


@pytest.fixture(params=[None, "shop"])
def cache(redis: Redis, request: pytest.FixtureRequest) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace=request.param)


def cost(upstash: UpstashEndpoint) -> int:
    """Return the commands since the last call; each was one request."""
    reading = upstash.meter.read()
    upstash.meter.reset()
    assert reading.commands == reading.requests
    return reading.commands


def test_hit_is_one_command_and_miss_with_its_store_two(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    for prompt in ("the first of an empty database", "the second"):
        assert cache.lookup(prompt, "model") is None
        cache.update(prompt, "model", ANSWER)
        assert cost(upstash) == 2
        assert cache.lookup(prompt, "model") == ANSWER
        assert cost(upstash) == 1


async def test_asynchronous_methods_cost_the_same(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    assert await cache.alookup("p", "model") is None
    await cache.aupdate("p", "model", ANSWER)
    assert cost(upstash) == 2
    assert await cache.alookup("p", "model") == ANSWER
    assert cost(upstash) == 1


@pytest.mark.parametrize(("mode", "commands"), [("refresh", 2), ("read_only", 1), ("bypass", 0)])
def test_mode_decides_which_commands_a_call_costs(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, mode: str, commands: int
) -> None:
    with cache.policy(CachePolicy(mode=mode)):
        cache.lookup("p", "model")
        cache.update("p", "model", ANSWER)
    assert cost(upstash) == commands


def test_clear_and_store_without_a_lookup_are_one_command_each(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    cache.update("p", "model", ANSWER)
    assert cost(upstash) == 1
    cache.clear()
    assert cost(upstash) == 1


def test_commands_share_one_connection(cache: UpstashRedisCache, upstash: UpstashEndpoint) -> None:
    for _ in range(5):
        cache.lookup("p", "model")
    assert upstash.meter.read().connections == 1


def test_every_stored_entry_expires(cache: UpstashRedisCache, redis: Redis) -> None:
    cache.update("stored without a lookup", "model", ANSWER)
    cache.lookup("stored after a lookup", "model")
    cache.update("stored after a lookup", "model", ANSWER)
    entries = [key for key in redis.keys("*") if ":entry:" in key]
    assert len(entries) == 2
    assert all(0 < redis.ttl(key) <= 30 * 86_400 for key in entries)

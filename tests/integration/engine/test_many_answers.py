"""A clear is one command at any size, and a reclaim a number of pages, counted over 10,000 keys.

``tests/nightly`` has the same of a million, and the time it takes.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.filling import ANSWER, among_many
from upstash_redis import Redis

from llm_cache import CacheNamespace, UpstashRedisCache
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import PAGE, reclaim
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command
from llm_cache._upstash.store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

MANY = 10_000
PAGES = 2 * MANY // PAGE  # a SCAN may return half of what it is asked for


@pytest.fixture
def store(redis: Redis) -> UpstashStore:
    return UpstashStore.beside(redis)


@pytest.fixture
def cache(redis_server: RedisServer, redis: Redis) -> Iterator[UpstashRedisCache]:
    """A cache with a hit among many, and another beside it."""
    with among_many(redis_server, redis, MANY) as (cache, _):
        yield cache


def test_a_clear_of_many_is_one_command_and_takes_effect_at_once(
    cache: UpstashRedisCache, redis: Redis, upstash: UpstashEndpoint
) -> None:
    assert redis.dbsize() == 2 + MANY + 1
    upstash.meter.reset()
    cache.clear()
    assert upstash.meter.read().commands == 1
    assert cache.lookup("p", "model") is None
    assert UpstashRedisCache(redis, namespace="other").lookup("p", "model") == ANSWER


def test_a_reclaim_of_many_is_two_commands_a_page_and_leaves_the_rest(
    cache: UpstashRedisCache, store: UpstashStore, redis: Redis, upstash: UpstashEndpoint
) -> None:
    cache.clear()
    upstash.meter.reset()
    reclaimed = CacheNamespace(store, "shop").reclaim(seconds=60)
    assert (reclaimed.removed, reclaimed.complete) == (MANY, True)
    assert upstash.meter.read().commands <= 2 * PAGES
    assert redis.dbsize() == 3
    assert UpstashRedisCache(redis, namespace="other").lookup("p", "model") == ANSWER


def test_a_reclaim_page_by_page_comes_round(
    cache: UpstashRedisCache, store: UpstashStore, redis: Redis
) -> None:
    cache.clear()
    namespace, pages, removed = CacheNamespace(store, "shop"), 0, 0
    done = namespace.reclaim(seconds=0)
    while not done.complete:
        pages, removed = pages + 1, removed + done.removed
        done = namespace.reclaim(seconds=0, cursor=done.cursor)
    assert removed + done.removed == MANY
    assert MANY // PAGE // 2 < pages < PAGES
    assert redis.dbsize() == 3


@pytest.mark.parametrize("commands", [1, 2, 9, 10])
def test_a_reclaim_that_is_killed_is_gone_on_with_from_the_start(
    cache: UpstashRedisCache, store: UpstashStore, redis: Redis, commands: int
) -> None:
    cache.clear()
    left = commands

    def execute(command: Command[Any]) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return store.execute(command.args, 5.0)

    with pytest.raises(KeyboardInterrupt):
        run(reclaim(Keyspace("shop")), execute)
    before = redis.dbsize() - 3
    assert before > 0
    assert CacheNamespace(store, "shop").reclaim(seconds=60).removed == before
    assert redis.dbsize() == 3

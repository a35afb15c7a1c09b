"""Clears and reclaims among 10,000 answers, counted in commands.

``tests/nightly`` repeats them among a million, and measures the time.
"""

from collections.abc import Iterator

import pytest
from tests.integration.filling import ANSWER, among_many
from upstash_redis import Redis

from llm_cache import CacheNamespace, UpstashRedisCache
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import PAGE, reclaim
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

MANY = 10_000
PAGES = 2 * MANY // PAGE  # a SCAN may return half of its COUNT
REST = 3  # keys: the epochs of both namespaces, and the answer of the other


@pytest.fixture
def cache(redis_server: RedisServer, redis: Redis) -> Iterator[UpstashRedisCache]:
    with among_many(redis_server, redis, MANY) as (cache, _):
        yield cache


@pytest.fixture
def namespace(cache: UpstashRedisCache, redis: Redis) -> CacheNamespace:
    """The namespace of the cache, cleared."""
    cache.clear()
    return CacheNamespace(UpstashStore.from_client(redis), "shop")


def test_clear_of_many_answers_is_one_command(
    cache: UpstashRedisCache, redis: Redis, upstash: UpstashEndpoint
) -> None:
    assert redis.dbsize() == MANY + REST
    upstash.meter.reset()
    cache.clear()
    assert upstash.meter.read().commands == 1
    assert cache.lookup("p", "model") is None
    assert UpstashRedisCache(redis, namespace="other").lookup("p", "model") == ANSWER


def test_reclaim_costs_two_commands_a_page_and_keeps_other_namespaces(
    namespace: CacheNamespace, redis: Redis, upstash: UpstashEndpoint
) -> None:
    upstash.meter.reset()
    reclaimed = namespace.reclaim(seconds=60)
    assert (reclaimed.removed, reclaimed.complete) == (MANY, True)
    assert upstash.meter.read().commands <= 2 * PAGES
    assert redis.dbsize() == REST
    assert UpstashRedisCache(redis, namespace="other").lookup("p", "model") == ANSWER


def test_reclaim_resumed_at_its_cursor_removes_every_answer(
    namespace: CacheNamespace, redis: Redis
) -> None:
    done = namespace.reclaim(seconds=0)
    pages, removed = 1, done.removed
    while not done.complete:
        done = namespace.reclaim(seconds=0, cursor=done.cursor)
        pages, removed = pages + 1, removed + done.removed
    assert removed == MANY
    assert MANY // PAGE // 2 < pages <= PAGES
    assert redis.dbsize() == REST


@pytest.mark.parametrize("commands", [1, 2, 9, 10])
def test_killed_reclaim_is_completed_by_another(
    namespace: CacheNamespace, redis: Redis, commands: int
) -> None:
    store, left = UpstashStore.from_client(redis), iter(range(commands))

    def execute(command: Command[object]) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return store.execute(command.args, 5.0)

    with pytest.raises(KeyboardInterrupt):
        run(reclaim(Keyspace("shop")), execute)
    remaining = redis.dbsize() - REST
    assert remaining > 0
    assert namespace.reclaim(seconds=60).removed == remaining
    assert redis.dbsize() == REST

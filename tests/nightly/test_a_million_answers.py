"""A clear of a million answers takes as long as a PING; a reclaim frees them page by page.

`make test` clears and reclaims some thousand (tests/integration/engine/test_many_answers.py).
"""

import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from tests.integration.filling import ANSWER, among_many
from upstash_redis import Redis

from llm_cache import CacheNamespace, UpstashRedisCache
from llm_cache._protocol.clearing import PAGE
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

MILLION = 1_000_000
ROUNDS = 101


@pytest.fixture
def cache(redis_server: RedisServer, redis: Redis) -> Iterator[UpstashRedisCache]:
    """A cache with a million answers; another namespace has one."""
    with among_many(redis_server, redis, MILLION) as (cache, connection):
        yield cache
        connection.call("FLUSHDB", "SYNC")


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_million_answers_are_cleared_in_the_time_of_a_ping_and_freed_page_by_page(
    cache: UpstashRedisCache, redis: Redis, upstash: UpstashEndpoint
) -> None:
    store = UpstashStore.from_client(redis)
    namespace = CacheNamespace(store, "shop")
    assert redis.dbsize() == MILLION + 3
    assert cache.lookup("p", "model") == ANSWER

    upstash.meter.reset()
    cache.clear()
    assert upstash.meter.read().commands == 1
    assert cache.lookup("p", "model") is None
    assert UpstashRedisCache(redis, namespace="other").lookup("p", "model") == ANSWER

    pings, clears = [], []
    for _ in range(ROUNDS):  # interleaved, because the machine's speed drifts
        pings.append(took(lambda: store.execute(("PING",), 5.0)))
        clears.append(took(cache.clear))
    ping, clear = statistics.median(pings), statistics.median(clears)
    print(f"\nclear at 1,000,000: {clear * 1e3:.2f} ms, {clear / ping:.2f} of a PING")
    assert clear <= 3 * ping

    upstash.meter.reset()
    began = time.perf_counter()
    first = namespace.reclaim(seconds=1)
    assert 0 < first.removed < MILLION
    assert redis.dbsize() == MILLION + 3 - first.removed
    second = namespace.reclaim(seconds=600, cursor=first.cursor)
    seconds, commands = time.perf_counter() - began, upstash.meter.read().commands
    print(f"reclaim of 1,000,000: {commands} commands, {seconds:.0f} s")
    assert first.removed + second.removed == MILLION
    assert second.complete
    assert commands <= 2 * 2 * MILLION // PAGE
    assert redis.dbsize() == 3

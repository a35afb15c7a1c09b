"""A command whose reply is lost once is sent again, and recognises its own first run."""

import asyncio
import socket
from functools import partial

import pytest
from langchain_core.outputs import Generation
from tests.faults.faulty_proxy import FaultyProxy, Forward
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import CachePolicy, StoreUnavailable, UpstashRedisCache
from llm_cache._upstash.upstash_store import UpstashStore

ANSWER = [Generation(text="an answer")]


@pytest.fixture
def cache(proxied: UpstashStore) -> UpstashRedisCache:
    return UpstashRedisCache(proxied, namespace="shop")


def lose_the_reply_to(proxy: FaultyProxy, word: bytes) -> None:
    """Run the next command that contains ``word``, and close the connection without a reply."""

    def misbehave(connection: socket.socket, forward: Forward) -> None:
        reply = forward()
        if word in forward.request:
            proxy.misbehave = None
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(reply)

    proxy.misbehave = misbehave


def test_lease_taken_twice_makes_its_caller_the_leader(
    cache: UpstashRedisCache, proxy: FaultyProxy, redis: Redis
) -> None:
    lose_the_reply_to(proxy, b"PTTL")
    with logged_waits() as waits, cache.policy(CachePolicy(coalesce="fleet")) as report:
        assert cache.lookup("p", "model") is None
        assert len(redis.keys("shop:lease:*")) == 1
        cache.update("p", "model", ANSWER)
    assert proxy.misbehave is None
    assert waits.pauses == []
    assert (report.misses, report.stored, report.errors) == (1, 1, 0)
    assert redis.keys("shop:lease:*") == []


@pytest.mark.parametrize("coalesce", ["off", "fleet"])
@pytest.mark.parametrize("first", [True, False])
def test_store_sent_twice_is_stored(
    cache: UpstashRedisCache, proxy: FaultyProxy, coalesce: str, first: bool
) -> None:
    if not first:
        cache.update("another", "model", ANSWER)
    with cache.policy(CachePolicy(coalesce=coalesce)) as report:
        assert cache.lookup("p", "model") is None
        lose_the_reply_to(proxy, b"EX")
        cache.update("p", "model", ANSWER)
    assert proxy.misbehave is None
    assert (report.stored, report.skipped) == (1, 0)
    assert cache.lookup("p", "model") == ANSWER


def test_clear_sent_twice_clears(cache: UpstashRedisCache, proxy: FaultyProxy) -> None:
    cache.update("p", "model", ANSWER)
    lose_the_reply_to(proxy, b"UNLINK")
    cache.clear()
    assert proxy.misbehave is None
    assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_delete_sent_twice_raises_that_its_result_is_unknown(
    cache: UpstashRedisCache, proxy: FaultyProxy, asynchronous: bool
) -> None:
    await cache.aupdate("p", "model", ANSWER)
    lose_the_reply_to(proxy, b"UNLINK")
    blocking = partial(asyncio.to_thread, partial(cache.delete, "p", "model"))
    delete = partial(cache.adelete, "p", "model") if asynchronous else blocking
    with pytest.raises(StoreUnavailable, match="whether it existed is unknown"):
        await delete()
    assert await cache.alookup("p", "model") is None
    assert await cache.adelete("p", "model") is False


def test_delete_returns_true_if_its_first_attempt_never_ran(
    cache: UpstashRedisCache, proxy: FaultyProxy
) -> None:
    cache.update("p", "model", ANSWER)
    proxy.close_connections()
    assert cache.delete("p", "model") is True


def test_lost_reply_to_the_deletion_of_an_unreadable_entry_is_a_miss(
    cache: UpstashRedisCache, proxy: FaultyProxy, redis: Redis
) -> None:
    cache.update("p", "model", ANSWER)
    (key,) = redis.keys("shop:entry:*")
    redis.set(key, "rubbish", ex=100)
    lose_the_reply_to(proxy, b"UNLINK")
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert (report.outcomes[0].why, report.stored, report.errors) == ("unreadable", 1, 0)

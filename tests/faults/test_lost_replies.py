"""A command whose reply is lost once is sent again, and recognises its own first run."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial

import pytest
from langchain_core.outputs import Generation
from tests.faults.proxy import Forward, Proxy, proxying
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import CachePolicy, StoreUnavailable, UpstashRedisCache
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]


@pytest.fixture
def proxy(upstash: UpstashEndpoint) -> Iterator[Proxy]:
    with proxying(upstash.url) as proxy:
        yield proxy


@pytest.fixture
def cache(upstash: UpstashEndpoint, proxy: Proxy) -> UpstashRedisCache:
    store = UpstashStore(lambda: Credentials(proxy.url, upstash.token))
    return UpstashRedisCache(store, namespace="shop")


def lose_the_reply_to(proxy: Proxy, word: bytes) -> None:
    """Run the next command that holds ``word``, and close the connection without a reply."""

    def misbehave(connection: socket.socket, forward: Forward) -> None:
        reply = forward()
        if word in forward.request:
            proxy.misbehave = None
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(reply)

    proxy.misbehave = misbehave


def test_caller_does_not_wait_for_its_own_lease(
    cache: UpstashRedisCache, proxy: Proxy, redis: Redis
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
def test_store_sent_twice_is_a_store(
    cache: UpstashRedisCache, proxy: Proxy, coalesce: str, first: bool
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


def test_clear_sent_twice_is_a_clear(cache: UpstashRedisCache, proxy: Proxy) -> None:
    cache.update("p", "model", ANSWER)
    lose_the_reply_to(proxy, b"UNLINK")
    cache.clear()
    assert proxy.misbehave is None
    assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_deletion_sent_twice_does_not_claim_that_nothing_was_there(
    cache: UpstashRedisCache, proxy: Proxy, asynchronous: bool
) -> None:
    await cache.aupdate("p", "model", ANSWER)
    lose_the_reply_to(proxy, b"UNLINK")
    in_a_thread = partial(asyncio.to_thread, cache.delete)  # type: ignore[call-arg]
    delete = cache.adelete if asynchronous else in_a_thread
    with pytest.raises(StoreUnavailable, match="whether it was there is not known"):
        await delete("p", "model")
    assert await cache.alookup("p", "model") is None
    assert await cache.adelete("p", "model") is False  # a reply that is not lost is the truth


def test_deletion_whose_first_try_never_ran_is_counted(
    cache: UpstashRedisCache, proxy: Proxy
) -> None:
    cache.update("p", "model", ANSWER)
    proxy.hang_up()
    assert cache.delete("p", "model") is True


def test_lookup_whose_deletion_of_rubbish_loses_its_reply_is_a_miss(
    cache: UpstashRedisCache, proxy: Proxy, redis: Redis
) -> None:
    cache.update("p", "model", ANSWER)
    (key,) = redis.keys("shop:entry:*")
    redis.set(key, "rubbish", ex=100)
    lose_the_reply_to(proxy, b"UNLINK")
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert (report.outcomes[0].why, report.stored, report.errors) == ("unreadable", 1, 0)

"""A cancelled or failed call of single flight leaves no lease behind."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.faults.faulty_proxy import FaultyProxy, Forward, Misbehaviour
from tests.faults.http_faults import replying, run_and_stay_silent, silent
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._engine import lookup_state, scope
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.children import wait_until

LEASE = 600.0  # seconds: no lease ends by itself
MARGIN = 60.0  # seconds that a busy machine may add
ANSWER = [Generation(text="an answer")]
refused = replying("400 Bad Request", {"error": "ERR max request size exceeded"})


@pytest.fixture
def cache(proxied: UpstashStore, monkeypatch: pytest.MonkeyPatch) -> UpstashRedisCache:
    monkeypatch.setattr("llm_cache._protocol.leases.LEASE_LIFE", LEASE)
    return UpstashRedisCache(proxied, namespace="shop", lease=LEASE, timeout=LEASE)


async def until(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, holds, seconds=MARGIN, what="the condition")


async def leases_become(redis: Redis, count: int) -> None:
    await until(lambda: len(redis.keys("*:lease:*")) == count)


@pytest.mark.parametrize(("tags", "before"), [((), 1), (("tag",), 3)])
async def test_lookup_cancelled_while_it_takes_the_lease_releases_it(
    cache: UpstashRedisCache, proxy: FaultyProxy, redis: Redis, tags: tuple[str, ...], before: int
) -> None:
    """A cleared tag of the stored entry costs two more requests before the lease."""
    other = UpstashRedisCache(redis, namespace="shop")
    with other.policy(CachePolicy(tags=tags)):
        other.update("p", "model", ANSWER)
    other.clear(tag="tag" if tags else None)

    proxy.call_after(before, partial(setattr, proxy, "misbehave", run_and_stay_silent))
    with cache.policy(CachePolicy(coalesce="fleet")):
        lookup = asyncio.create_task(cache.alookup("p", "model"))
        await leases_become(redis, 1)
        proxy.misbehave = None
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup
        await leases_become(redis, 0)


@pytest.mark.parametrize("failure", ["cancelled", "timeout", "refused", "blocking timeout"])
async def test_update_that_fails_releases_its_lease(
    cache: UpstashRedisCache, proxy: FaultyProxy, redis: Redis, failure: str
) -> None:
    with cache.policy(CachePolicy(coalesce="fleet")) as report:
        assert await cache.alookup("p", "model") is None
        await leases_become(redis, 1)
        proxy.misbehave = once(proxy, refused if failure == "refused" else silent)
        cache._runner.timeout = 0.5 if failure.endswith("timeout") else LEASE
        await asyncio.to_thread(update, cache, proxy, failure)
    assert failure == "cancelled" or report.errors == 1
    await leases_become(redis, 0)


def update(cache: UpstashRedisCache, proxy: FaultyProxy, failure: str) -> None:
    if failure.startswith("blocking"):
        cache.update("p", "model", ANSWER)
        return

    async def work() -> None:
        task = asyncio.create_task(cache.aupdate("p", "model", ANSWER))
        if failure == "cancelled":
            await until(lambda: proxy.misbehave is None)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(work())


def once(proxy: FaultyProxy, misbehave: Misbehaviour) -> Misbehaviour:
    def misbehave_once(connection: socket.socket, forward: Forward) -> None:
        proxy.misbehave = None
        misbehave(connection, forward)

    return misbehave_once


@pytest.mark.parametrize("method", ["lookup", "update"])
async def test_cancellation_at_any_step_leaves_no_lease_and_no_policy(
    cache: UpstashRedisCache, redis: Redis, method: str
) -> None:
    for steps in range(0, 120, 4):
        prompt = f"p{steps}"
        with cache.policy(CachePolicy(coalesce="fleet", tenant="42")):
            work: Coroutine[Any, Any, object] = cache.alookup(prompt, "model")
            if method == "update":
                assert await work is None
                work = cache.aupdate(prompt, "model", ANSWER)
            task = asyncio.create_task(work)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await leases_become(redis, 0)
        assert scope.current().policy == CachePolicy()
        assert not lookup_state.leads()

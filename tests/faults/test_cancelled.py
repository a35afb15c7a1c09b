"""A lookup or an update that is cancelled, or fails, keeps nobody waiting."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.faults.proxy import Forward, Misbehaviour, Proxy, proxying
from tests.faults.wire import replying, silent, silent_after_it_ran
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._engine import lookup_state, scope
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

LEASE = 600.0  # seconds
MARGIN = 60.0  # seconds that a busy machine may add


@pytest.fixture(autouse=True)
def _long_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no lease end by itself."""
    monkeypatch.setattr("llm_cache._protocol.leases.LEASE_LIFE", LEASE)


@pytest.mark.parametrize(("tags", "before"), [((), 1), (("tag",), 3)])
async def test_a_lookup_cancelled_while_it_takes_the_lease_gives_it_back(
    upstash: UpstashEndpoint, redis: Redis, tags: tuple[str, ...], before: int
) -> None:
    """What was stored was cleared; by a tag that is not named, this is asked for with the lease."""
    other = UpstashRedisCache(redis, namespace="shop")
    with other.policy(CachePolicy(tags=tags)):
        other.update("p", "model", [Generation(text="an answer")])
    other.clear(tag="tag" if tags else None)

    with proxying(upstash.url) as proxy:
        store = UpstashStore(lambda: Credentials(proxy.url, upstash.token))
        cache = UpstashRedisCache(store, namespace="shop", lease=LEASE, timeout=LEASE)
        proxy.begin, proxy.after = partial(setattr, proxy, "misbehave", silent_after_it_ran), before
        with cache.policy(CachePolicy(coalesce="fleet")):
            asking = asyncio.create_task(cache.alookup("p", "model"))
            await until(lambda: leases(redis) == 1)
            proxy.misbehave = None
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await until(lambda: leases(redis) == 0)


@pytest.mark.parametrize("how", ["cancelled", "timed out", "refused", "timed out, blocking"])
async def test_update_that_does_not_succeed_gives_its_lease_back(
    upstash: UpstashEndpoint, redis: Redis, how: str
) -> None:
    with proxying(upstash.url) as proxy:
        store = UpstashStore(lambda: Credentials(proxy.url, upstash.token))
        cache = UpstashRedisCache(store, namespace="shop", lease=LEASE, timeout=LEASE)
        with cache.policy(CachePolicy(coalesce="fleet")) as report:
            assert await cache.alookup("p", "model") is None
            assert leases(redis) == 1
            proxy.misbehave = once(proxy, refused if how == "refused" else silent)
            cache._runner.timeout = 0.5 if how.startswith("timed out") else LEASE
            blocking = how.endswith("blocking")
            await asyncio.to_thread(partial(update, cache, proxy, blocking=blocking, how=how))
        if how != "cancelled":
            assert report.errors == 1
        await until(lambda: leases(redis) == 0)


def update(cache: UpstashRedisCache, proxy: Proxy, *, blocking: bool, how: str) -> None:
    answer = [Generation(text="an answer")]
    if blocking:
        cache.update("p", "model", answer)
        return

    async def work() -> None:
        updating = asyncio.create_task(cache.aupdate("p", "model", answer))
        if how == "cancelled":
            await until(lambda: proxy.misbehave is None)
            updating.cancel()
        with suppress(asyncio.CancelledError):
            await updating

    asyncio.run(work())


def once(proxy: Proxy, misbehave: Misbehaviour) -> Misbehaviour:
    """Misbehave at the next request alone."""

    def act(connection: socket.socket, forward: Forward) -> None:
        proxy.misbehave = None
        misbehave(connection, forward)

    return act


refused = replying("400 Bad Request", {"error": "ERR max request size exceeded"})


def leases(redis: Redis) -> int:
    return len(redis.keys("*:lease:*"))


async def until(holds: Callable[[], bool]) -> None:
    """Return when something holds; fail if it does not in time."""
    await asyncio.to_thread(wait_until, holds, seconds=MARGIN, what="it")


@pytest.mark.parametrize("what", ["lookup", "update"])
async def test_cancellation_at_any_step_leaves_no_lease_and_no_policy(
    upstash: UpstashEndpoint, redis: Redis, what: str
) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    cache = UpstashRedisCache(store, namespace="shop", lease=LEASE)
    for steps in range(0, 120, 4):
        prompt, answer = f"p{steps}", [Generation(text="an answer")]
        with cache.policy(CachePolicy(coalesce="fleet", tenant="42")):
            if what == "update":
                assert await cache.alookup(prompt, "model") is None
                work: Coroutine[Any, Any, object] = cache.aupdate(prompt, "model", answer)
            else:
                work = cache.alookup(prompt, "model")
            task = asyncio.create_task(work)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await until(lambda: leases(redis) == 0)
        assert scope.current().policy == CachePolicy()
        assert not lookup_state.leads()

"""A lookup that is cancelled keeps nobody waiting."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from langchain_core.outputs import Generation
from tests.faults.proxy import proxying
from tests.faults.wire import silent_after_it_ran
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore
from local_cloud.children import wait_until
from local_cloud.upstash import UpstashEndpoint

LEASE = 30.0  # seconds
MARGIN = 5.0  # seconds that a busy machine may add


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


def leases(redis: Redis) -> int:
    return len(redis.keys("*:lease:*"))


async def until(holds: Callable[[], bool]) -> None:
    """Return when something holds; fail if it does not in time."""
    await asyncio.to_thread(wait_until, holds, seconds=MARGIN, what="the lease")

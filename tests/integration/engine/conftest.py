"""Caches of several processes, and the pauses of their lookups."""

from collections.abc import Callable, Iterator

import pytest
from tests.wait_log import WaitLog, logged_waits
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

Caches = Callable[[], UpstashRedisCache]
LEASE = 60.0  # seconds: a wait that lasts until it ends is a failure


@pytest.fixture(params=["process", "fleet"])
def policy(request: pytest.FixtureRequest) -> CachePolicy:
    return CachePolicy(coalesce=request.param)


@pytest.fixture
def waits() -> Iterator[WaitLog]:
    with logged_waits() as waits:
        yield waits


@pytest.fixture
def caches(upstash: UpstashEndpoint) -> Iterator[Caches]:
    """Make caches like those of several processes: they share the database and nothing else."""
    clients = []

    def make() -> UpstashRedisCache:
        clients.append(Redis(upstash.url, upstash.token))
        return UpstashRedisCache(clients[-1], namespace="shop", lease=LEASE)

    yield make
    for client in clients:
        client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def cache(caches: Caches) -> UpstashRedisCache:
    return caches()

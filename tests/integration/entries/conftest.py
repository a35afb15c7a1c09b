from typing import Any

import pytest
from tests.integration.entries.protected_cache import KINDS, NEW, CacheFactory
from upstash_redis import Redis

from llm_cache import UpstashRedisCache


@pytest.fixture(params=KINDS)
def make(redis: Redis, request: pytest.FixtureRequest) -> CacheFactory:
    """Return a factory of caches that sign, then one of caches that encrypt."""

    def protected(keys: str = NEW, **options: Any) -> UpstashRedisCache:
        return UpstashRedisCache(
            redis, **{"namespace": "shop", "protection": request.param(keys), **options}
        )

    return protected

"""LangChain's own test suites for caches, over real HTTP and a real Redis."""

import pytest
from langchain_core.caches import BaseCache
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

FORMS = [{}, {"ttl": 60, "namespace": "n[a]*?"}]


class TestSync(SyncCacheTestSuite):
    @pytest.fixture(params=FORMS)
    def cache(self, redis: Redis, request: pytest.FixtureRequest) -> BaseCache:
        return UpstashRedisCache(redis, **request.param)


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture(params=FORMS)
    async def cache(self, redis: Redis, request: pytest.FixtureRequest) -> BaseCache:
        return UpstashRedisCache(redis, **request.param)

"""LangChain's own suites for caches, over real HTTP and a real Redis."""

import pytest
from langchain_core.caches import BaseCache
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite
from upstash_redis import Redis

from llm_cache import UpstashRedisCache


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, redis: Redis) -> BaseCache:
        return UpstashRedisCache(redis)


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, redis: Redis) -> BaseCache:
        return UpstashRedisCache(redis)


class TestSyncInANamespace(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, redis: Redis) -> BaseCache:
        return UpstashRedisCache(redis, ttl=60, namespace="n[a]*?")


class TestAsyncInANamespace(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, redis: Redis) -> BaseCache:
        return UpstashRedisCache(redis, ttl=60, namespace="n[a]*?")

"""Clearing and reclaiming a namespace without LangChain."""

from typing import Any

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import (
    CacheNamespace,
    CachePolicy,
    InvalidSettings,
    Reclaimed,
    Signing,
    UpstashRedisCache,
)
from llm_cache._upstash.upstash_store import UpstashStore

ANSWER = [Generation(text="an answer")]
KEY = "A" * 43 + "="


@pytest.fixture
def store(redis: Redis) -> UpstashStore:
    return UpstashStore.from_client(redis)


@pytest.mark.parametrize("protection", [None, Signing(KEY)])
def test_clear_of_a_tag_reaches_a_protected_cache_and_tells_when_it_was(
    redis: Redis, store: UpstashStore, protection: Any
) -> None:
    cache = UpstashRedisCache(redis, namespace="shop", protection=protection)
    namespace = CacheNamespace(store, "shop", protection=protection)
    with cache.policy(CachePolicy(tags=("red",))) as report:
        cache.update("p", "model", ANSWER)
        assert namespace.preview("red", seconds=9).removed == 1
        namespace.clear("red")
        cache.lookup("p", "model")
    assert report.outcomes[-1].detail in {
        f"by a tag or its tenant {age} s ago" for age in range(60)
    }
    assert namespace.reclaim(seconds=9).removed == 1


def test_namespace_refuses_a_protection_that_is_none_of_the_librarys(store: UpstashStore) -> None:
    wrong: Any = "protection"
    with pytest.raises(InvalidSettings, match="protection="):
        CacheNamespace(store, "shop", protection=wrong)


def test_only_a_clear_of_a_tag_or_tenant_reads_the_protection(
    store: UpstashStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(UpstashStore, "secrets")
    namespace = CacheNamespace(store, "shop")
    namespace.clear()
    with pytest.raises(AttributeError, match="secrets"):
        namespace.clear(tenant="acme")


@pytest.mark.parametrize("method", ["reclaim", "preview"])
def test_reclaim_and_preview_continue_from_the_cursor_they_returned(
    redis: Redis, store: UpstashStore, method: str
) -> None:
    redis.mset({f"shop:entry:{number:064x}": "x" for number in range(1200)})
    work, pages = getattr(CacheNamespace(store, "shop"), method), list[Reclaimed]()
    while not pages or not pages[-1].complete:
        pages.append(work(seconds=0, cursor=pages[-1].cursor if pages else "0"))
    assert 2 <= len(pages) <= 5
    assert sum(page.removed for page in pages) == 1200
    assert len(redis.keys("shop:entry:*")) == (0 if method == "reclaim" else 1200)


def test_secrets_of_a_namespace_get_as_old_as_the_environment_allows() -> None:
    ssm = {"LLM_CACHE_URL_PARAMETER": "/url", "LLM_CACHE_TOKEN_PARAMETER": "/token"}
    environ = {**ssm, "LLM_CACHE_NAMESPACE": "shop", "LLM_CACHE_SECRETS_MAX_AGE": "60"}
    assert CacheNamespace.from_env(environ)._store._max_age == 60

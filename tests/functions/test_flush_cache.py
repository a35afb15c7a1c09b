"""The flush function, called as Lambda calls it."""

import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.outputs import Generation
from tests.functions.events import Context
from upstash_redis import Redis

import flush_cache
from llm_cache import InvalidSettings, StoreError, UpstashRedisCache
from local_cloud.upstash import UpstashEndpoint


@pytest.fixture(autouse=True)
def _environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "test")


@pytest.fixture
def filled(redis: Redis) -> UpstashRedisCache:
    cache = UpstashRedisCache(redis, namespace="test")
    for number in range(30):
        cache.update(f"p{number}", "model", [Generation(text="answer")])
    return cache


def test_a_flush_clears_reclaims_and_counts(filled: UpstashRedisCache, redis: Redis) -> None:
    assert flush_cache.handler({}, Context()) == {
        "namespace": "test",
        "cleared": True,
        "scanned": 30,
        "removed": 30,
        "cursor": "0",
        "complete": True,
    }
    assert filled.lookup("p1", "model") is None
    assert redis.keys("*") == ["test:epoch"]


def test_with_no_time_left_it_still_clears_and_says_where_to_go_on(
    filled: UpstashRedisCache, redis: Redis
) -> None:
    for number in range(2000):
        redis.set(f"foreign:{number}", "x")
    result = flush_cache.handler({}, Context(seconds=1))
    assert (result["cleared"], result["complete"]) == (True, False)
    assert filled.lookup("p1", "model") is None
    removed = result["removed"]
    rest = flush_cache.handler({"cursor": result["cursor"]}, Context())
    assert (rest["cleared"], rest["complete"], removed + rest["removed"]) == (False, True, 30)


def test_a_flush_that_failed_raises_so_that_somebody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    with pytest.raises(StoreError, match="WRONGPASS"):
        flush_cache.handler({}, Context())


def test_without_a_namespace_it_refuses_to_flush_a_whole_database(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.set("foreign", "x")
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    with pytest.raises(InvalidSettings, match="LLM_CACHE_NAMESPACE"):
        flush_cache.handler({}, Context())
    assert redis.get("foreign") == "x"


def test_it_never_imports_langchain(checkout: Path) -> None:
    path = str(checkout / "functions" / "flush_cache")
    script = f"import sys; sys.path.insert(0, {path!r}); import flush_cache; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert "llm_cache" in modules
    assert not {"langchain_core", "langsmith", "pydantic"} & modules

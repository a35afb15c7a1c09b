"""Deleting one answer by the key that a report carries."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.clock import Clock
from tests.integration.entries.protected_cache import KINDS, NEW, Kind
from upstash_redis import Redis

from llm_cache import (
    CacheNamespace,
    CachePolicy,
    InvalidPolicy,
    MemoryTier,
    ResponseCache,
    UpstashRedisCache,
)
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]
Delete = Callable[[Any, str], bool]


def delete(cache: Any, key: str) -> bool:
    return bool(cache.delete(key=key))


def adelete(cache: Any, key: str) -> bool:
    return bool(asyncio.run(cache.adelete(key=key)))


def delete_from_namespace(cache: Any, key: str) -> bool:
    return CacheNamespace(cache._runner.store, "shop").delete(key)


each_way = pytest.mark.parametrize("remove", [delete, adelete, delete_from_namespace])


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="shop")


def store(cache: UpstashRedisCache, prompt: str = "p", policy: CachePolicy | None = None) -> str:
    """Store an answer; return its key as the report has it."""
    with cache.policy(policy) as report:
        cache.update(prompt, "model", ANSWER)
    assert report.stored == 1
    return report.outcomes[0].key


@each_way
def test_answer_is_deleted_by_its_key_and_no_other(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, remove: Delete
) -> None:
    key = store(cache)
    store(cache, "another")
    upstash.meter.reset()
    assert remove(cache, key)
    assert upstash.meter.read().commands == 1
    assert not remove(cache, key)
    assert cache.lookup("p", "model") is None
    assert cache.lookup("another", "model") == ANSWER


@each_way
def test_hash_alone_suffices(cache: UpstashRedisCache, remove: Delete) -> None:
    assert remove(cache, store(cache).rpartition(":")[2])


@each_way
def test_key_of_an_answer_of_a_tenant_needs_no_policy(
    cache: UpstashRedisCache, remove: Delete
) -> None:
    assert remove(cache, store(cache, policy=CachePolicy(tenant="42", salt="s", tags=["red"])))


@each_way
@pytest.mark.parametrize("kind", KINDS)
def test_key_of_a_protected_answer_is_not_hashed_again(
    redis: Redis, kind: Kind, remove: Delete
) -> None:
    cache = UpstashRedisCache(redis, namespace="shop", protection=kind(NEW))
    assert remove(cache, store(cache))


HASH = "0" * 64


@each_way
@pytest.mark.parametrize(
    "key",
    [
        f"other:entry:{HASH}",
        f"shop:entry:entry:{HASH}",
        f"shop:lease:{HASH}",
        "shop:epoch",
        f"shop:entry:{HASH[1:]}",
        f"shop:entry:{HASH}\n",
        HASH.replace("0", "A"),
        HASH + "0",
        "a question that names a person",
        "",
        5,
    ],
)
def test_other_text_is_refused_without_a_command(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, key: Any, remove: Delete
) -> None:
    accepted = "key=.* 64 hexadecimal digits of a key, alone or after 'shop:entry:'"
    with pytest.raises(InvalidPolicy, match=accepted) as raised:
        remove(cache, key)
    assert "person" not in str(raised.value)
    assert upstash.meter.read().commands == 0


def test_namespace_of_the_policy_counts(cache: UpstashRedisCache) -> None:
    policy = CachePolicy(namespace="other")
    key = store(cache, policy=policy)
    with pytest.raises(InvalidPolicy):
        cache.delete(key=key)
    with cache.policy(policy):
        assert cache.delete(key=key)


def test_cache_without_a_namespace_deletes_by_key(redis: Redis) -> None:
    cache = UpstashRedisCache(redis)
    assert cache.delete(key=store(cache))


def test_memory_tier_drops_the_answer_too(redis: Redis, clock: Clock) -> None:
    memory = MemoryTier(seconds=60, clock=clock)
    cache = UpstashRedisCache(redis, namespace="shop", memory=memory, clock=clock)
    key = store(cache)
    clock.now += 1
    assert cache.lookup("p", "model") == ANSWER
    cache.delete(key=key)
    assert cache.lookup("p", "model") is None


@pytest.fixture
def responses(redis: Redis) -> ResponseCache:
    return ResponseCache(redis, version="1", namespace="shop")


def store_response(responses: ResponseCache, request: object) -> str:
    with responses.policy() as report:
        responses.update(request, {"answer": "A."})
    return report.outcomes[0].key


@each_way
def test_response_is_deleted_by_its_key(responses: ResponseCache, remove: Delete) -> None:
    assert remove(responses, store_response(responses, {"question": "Q?"}))
    assert responses.lookup({"question": "Q?"}) is None


@pytest.mark.parametrize("request_", [None, {"question": "Q?"}])
def test_response_is_deleted_by_its_request(responses: ResponseCache, request_: object) -> None:
    store_response(responses, request_)
    assert responses.delete(request_)
    store_response(responses, request_)
    assert asyncio.run(responses.adelete(request_))
    assert not responses.delete(request_)


@pytest.mark.parametrize("arguments", [{}, {"prompt": "p"}, {"llm_string": "m", "key": HASH}])
def test_call_together_with_a_key_is_refused(
    cache: UpstashRedisCache, arguments: dict[str, str]
) -> None:
    with pytest.raises(TypeError, match="a prompt and an llm_string, or a key alone"):
        cache.delete(**arguments)
    with pytest.raises(TypeError, match="or a key alone"):
        asyncio.run(cache.adelete(**arguments))


@pytest.mark.parametrize("arguments", [{}, {"request": 1, "key": HASH}])
def test_request_together_with_a_key_is_refused(
    responses: ResponseCache, arguments: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="a request or a key"):
        responses.delete(**arguments)


def test_namespace_shows_its_name_alone() -> None:
    namespace = CacheNamespace(UpstashStore.from_client(Redis("https://x.upstash.io", "t")), "shop")
    assert repr(namespace) == "CacheNamespace('shop')"

"""Signed and encrypted entries in Redis: hits, forgeries, costs and other features of a cache."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.outputs import Generation
from tests.integration.entries.protected_cache import (
    ANSWER,
    LONG,
    NEW,
    CacheFactory,
    outcome,
    store_answer,
)
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, MemoryTier, Signing, UpstashRedisCache
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint


@pytest.mark.parametrize("answer", [ANSWER, LONG])
@pytest.mark.parametrize("policy", [None, CachePolicy(tags=("red", "blue"), tenant="acme")])
async def test_protected_answer_is_a_hit_in_one_command(
    make: CacheFactory,
    upstash: UpstashEndpoint,
    answer: list[Generation],
    policy: CachePolicy | None,
) -> None:
    store_answer(make(), answer, policy)
    upstash.meter.reset()
    cache = make()
    with cache.policy(policy):
        assert cache.lookup("p", "model") == answer
    assert upstash.meter.read().commands == 1
    with cache.policy(policy):
        await cache.aupdate("q", "model", answer)
        assert await cache.alookup("q", "model") == answer


def alter(redis: Redis, key: str) -> None:
    redis.set(key, (redis.get(key) or "").replace('"ttl":', '"ttl":1'))


def write_rubbish(redis: Redis, key: str) -> None:
    redis.set(key, "rubbish")


def write_unprotected(redis: Redis, key: str) -> None:
    plain = store_answer(UpstashRedisCache(redis, namespace="shop"))
    redis.set(key, redis.get(plain) or "")


@pytest.mark.parametrize(
    ("change", "why"),
    [(alter, "forged"), (write_unprotected, "forged"), (write_rubbish, "unreadable")],
)
def test_changed_entry_is_a_miss_and_is_deleted_unless_read_only(
    make: CacheFactory, redis: Redis, change: Callable[[Redis, str], None], why: str
) -> None:
    cache = make()
    key = store_answer(cache)
    change(redis, key)
    assert outcome(cache, CachePolicy(mode="read_only")) == why
    assert redis.exists(key) == 1
    assert outcome(cache) == why
    assert redis.exists(key) == 0
    store_answer(cache)
    assert outcome(cache) == "hit"


@pytest.mark.parametrize("field", ["tenant", "salt", "namespace", "key"])
def test_entry_copied_to_another_key_is_forged(
    make: CacheFactory, redis: Redis, field: str
) -> None:
    cache, other = make(), CachePolicy(**{field: "b"})  # type: ignore[arg-type]
    theirs, mine = store_answer(cache, policy=other), store_answer(cache)
    assert theirs != mine
    redis.copy("shop:epoch", "b:epoch", replace=True)
    redis.set(theirs, redis.get(mine) or "")
    assert (outcome(cache, other), outcome(cache)) == ("forged", "hit")


def test_restored_epoch_makes_a_cleared_entry_current(make: CacheFactory, redis: Redis) -> None:
    """A writer of the database can revert a clear, within the authenticated TTL."""
    cache = make()
    store_answer(cache)
    epoch = redis.get("shop:epoch") or ""
    cache.clear()
    assert outcome(cache) == "cleared"
    redis.set("shop:epoch", epoch)
    assert outcome(cache) == "hit"


def test_unprotected_cache_looks_up_other_keys(make: CacheFactory, redis: Redis) -> None:
    store_answer(make())
    assert outcome(UpstashRedisCache(redis, namespace="shop")) == "unknown"


def test_reclaim_frees_entries_cleared_by_tag_and_no_others(
    make: CacheFactory, redis: Redis
) -> None:
    cache = make()
    store_answer(cache, policy=CachePolicy(tags=("red",), salt="1"))
    store_answer(cache, policy=CachePolicy(tags=("blue",), salt="2"))
    namespace = CacheNamespace(UpstashStore.from_client(redis), "shop", protection=Signing(NEW))
    assert namespace.preview("red", seconds=30).removed == 1
    namespace.clear("red")
    assert namespace.reclaim(seconds=30).removed == 1
    assert outcome(cache, CachePolicy(salt="2")) == "hit"


def test_protected_answer_is_deleted(make: CacheFactory, redis: Redis) -> None:
    cache = make()
    key = store_answer(cache)
    assert cache.delete("p", "model")
    assert redis.exists(key) == 0


def test_waiter_in_the_process_gets_a_protected_answer(make: CacheFactory) -> None:
    cache, policy = make(), CachePolicy(coalesce="process", tags=("red",))
    leading, outcomes = threading.Event(), []

    def wait_for_answer() -> None:
        leading.wait()
        with cache.policy(policy) as report:
            assert cache.lookup("p", "model") == ANSWER
        outcomes.extend(report.outcomes)

    waiter = threading.Thread(target=wait_for_answer)
    waiter.start()
    with logged_waits() as waits, cache.policy(policy):
        assert cache.lookup("p", "model") is None
        leading.set()
        waits.until(1)
        cache.update("p", "model", ANSWER)
    waiter.join()
    assert [outcome.why for outcome in outcomes] == ["collapsed"]


def test_memory_tier_keeps_entries_protected(make: CacheFactory, upstash: UpstashEndpoint) -> None:
    memory = MemoryTier(seconds=60)
    cache = make(memory=memory)
    key = store_answer(cache)
    assert outcome(cache) == "hit"
    upstash.meter.reset()
    assert outcome(cache) == "memory"
    assert upstash.meter.read().commands == 0
    assert '"by":' in (memory.get(key, ()) or "")


def test_size_of_the_protection_counts_against_max_bytes(make: CacheFactory, redis: Redis) -> None:
    cache = make(max_bytes=203)
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.outcomes[0].why == "too_large"
    store_answer(UpstashRedisCache(redis, max_bytes=203))


@pytest.fixture
def stored_once(make: CacheFactory) -> tuple[UpstashRedisCache, str]:
    cache = make(timeout=30)
    return cache, store_answer(cache)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_entry_is_a_miss_or_the_stored_answer(
    data: st.DataObject, stored_once: tuple[UpstashRedisCache, str], redis: Redis
) -> None:
    cache, key = stored_once
    with cache.policy(CachePolicy(mode="refresh")):
        cache.update("p", "model", ANSWER)
    text = redis.get(key) or ""
    begin = data.draw(st.integers(0, len(text)))
    end = begin + data.draw(st.integers(0, 30))
    redis.set(key, text[:begin] + data.draw(st.text(st.characters(codec="utf-8"))) + text[end:])
    with cache.policy() as report:
        assert cache.lookup("p", "model") in (None, ANSWER)
    assert report.errors == 0

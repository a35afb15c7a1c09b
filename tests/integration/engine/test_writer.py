"""Stores replace only the entry that their lookup saw."""

from collections.abc import Callable

import pytest
from langchain_core.outputs import Generation
from tests.clock import Clock
from upstash_redis import Redis

from llm_cache import CachePolicy, Reason, Status, UpstashRedisCache

Prepare = Callable[[UpstashRedisCache, Redis], None]


@pytest.fixture
def process(redis: Redis, clock: Clock) -> Callable[[], UpstashRedisCache]:
    return lambda: UpstashRedisCache(redis, namespace="shop", clock=clock)


@pytest.fixture
def cache(process: Callable[[], UpstashRedisCache]) -> UpstashRedisCache:
    return process()


def update(cache: UpstashRedisCache, text: str) -> None:
    cache.update("p", "model", [Generation(text=text)])


def texts(cache: UpstashRedisCache) -> list[str] | None:
    found = cache.lookup("p", "model")
    return found and [generation.text for generation in found]  # type: ignore[return-value]


def nothing(_: UpstashRedisCache, __: Redis) -> None:
    """Leave the key without an entry."""


def stored(cache: UpstashRedisCache, _: Redis) -> None:
    update(cache, "older")


def cleared(cache: UpstashRedisCache, _: Redis) -> None:
    update(cache, "older")
    cache.clear()


def expired(cache: UpstashRedisCache, _: Redis) -> None:
    with cache.policy(CachePolicy(ttl=10, stale_if_error=1000)):
        update(cache, "older")


def unreadable(cache: UpstashRedisCache, redis: Redis) -> None:
    update(cache, "older")
    redis.set(redis.keys("shop:entry:*")[0], "rubbish", ex=1000)


CASES: dict[Reason, tuple[Prepare, CachePolicy]] = {
    Reason.UNKNOWN: (nothing, CachePolicy()),
    Reason.CLEARED: (cleared, CachePolicy()),
    Reason.EXPIRED: (expired, CachePolicy()),
    Reason.TOO_OLD: (stored, CachePolicy(max_age=5)),
    Reason.NOT_TAGGED: (stored, CachePolicy(tags=["t"])),
    Reason.UNREADABLE: (unreadable, CachePolicy()),
}
each_miss = pytest.mark.parametrize("reason", CASES)


@each_miss
@pytest.mark.parametrize("by", ["update", "refresh", "miss"])
@pytest.mark.parametrize("coalesce", ["off", "fleet"])
def test_late_store_does_not_replace_a_newer_answer(
    process: Callable[[], UpstashRedisCache],
    redis: Redis,
    clock: Clock,
    reason: Reason,
    by: str,
    coalesce: str,
) -> None:
    cache, other = process(), process()
    prepare, policy = CASES[reason]
    prepare(cache, redis)
    clock.now += 20
    with cache.policy(policy), cache.policy(CachePolicy(coalesce=coalesce)) as report:
        assert texts(cache) is None
        assert report.outcomes[0].why is reason
        mode = "refresh" if by == "refresh" else "use"
        with other.policy(policy), other.policy(CachePolicy(mode=mode)):
            if by != "update":
                assert texts(other) is None
            update(other, "newer")
        update(cache, "late")
    assert report.last
    assert (report.last.status, report.last.why) == (Status.SKIPPED, Reason.SUPERSEDED)
    with cache.policy(policy):
        assert texts(cache) == ["newer"]
    assert redis.keys("shop:lease:*") == []


@each_miss
def test_store_replaces_the_entry_that_its_lookup_saw(
    cache: UpstashRedisCache, redis: Redis, clock: Clock, reason: Reason
) -> None:
    prepare, policy = CASES[reason]
    prepare(cache, redis)
    clock.now += 20
    with cache.policy(policy) as report:
        assert texts(cache) is None
        update(cache, "newer")
        assert texts(cache) == ["newer"]
    assert report.stored == 1


def test_store_succeeds_after_the_entry_of_its_lookup_is_deleted(
    cache: UpstashRedisCache, redis: Redis, clock: Clock
) -> None:
    update(cache, "older")
    clock.now += 1
    with cache.policy(CachePolicy(max_age=0)) as report:
        assert texts(cache) is None
        redis.delete(*redis.keys("shop:entry:*"))
        update(cache, "newer")
    assert report.stored == 1


@pytest.mark.parametrize("mode", ["use", "refresh"])
def test_refresh_and_update_without_lookup_replace_any_entry(
    process: Callable[[], UpstashRedisCache], mode: str
) -> None:
    cache = process()
    update(cache, "older")
    with cache.policy(CachePolicy(mode=mode)):
        if mode == "refresh":
            assert texts(cache) is None
        update(process(), "between")
        update(cache, "newest")
    assert texts(cache) == ["newest"]


@pytest.mark.parametrize("tags", [("t",), ("t", "u")])
def test_update_under_other_tags_does_not_use_the_epochs_of_the_lookup(
    cache: UpstashRedisCache, tags: tuple[str, ...]
) -> None:
    with cache.policy(CachePolicy(tags=tags)):
        assert texts(cache) is None
    with cache.policy(CachePolicy(tags=("u",))) as report:
        update(cache, "newer")
    assert (report.stored, report.errors) == (1, 0)

"""A store replaces only what its own lookup saw."""

from collections.abc import Callable

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CachePolicy, Reason, Status, UpstashRedisCache

NOW = 1_000_000.0
Prepare = Callable[[UpstashRedisCache, Redis], None]


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def cache(redis: Redis, time: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="shop", clock=time)


def keep(cache: UpstashRedisCache, text: str, policy: CachePolicy | None = None) -> Status:
    """Store without a lookup, which replaces whatever is there."""
    with cache.policy(policy) as report:
        cache.update("p", "model", [Generation(text=text)])
    assert report.last
    return report.last.status


def nothing(_: UpstashRedisCache, __: Redis) -> None:
    """Leave the key without an entry."""


def cleared(cache: UpstashRedisCache, _: Redis) -> None:
    keep(cache, "older")
    cache.clear()


def expired(cache: UpstashRedisCache, _: Redis) -> None:
    keep(cache, "older", CachePolicy(ttl=10, stale_if_error=1000))


def too_old(cache: UpstashRedisCache, _: Redis) -> None:
    keep(cache, "older")


def not_tagged(cache: UpstashRedisCache, _: Redis) -> None:
    keep(cache, "older")


def unreadable(cache: UpstashRedisCache, redis: Redis) -> None:
    keep(cache, "older")
    (key,) = redis.keys("shop:entry:*")
    redis.set(key, "rubbish", ex=1000)


CASES: dict[Reason, tuple[Prepare, CachePolicy]] = {
    Reason.UNKNOWN: (nothing, CachePolicy()),
    Reason.CLEARED: (cleared, CachePolicy()),
    Reason.EXPIRED: (expired, CachePolicy()),
    Reason.TOO_OLD: (too_old, CachePolicy(max_age=5)),
    Reason.NOT_TAGGED: (not_tagged, CachePolicy(tags=["t"])),
    Reason.UNREADABLE: (unreadable, CachePolicy()),
}
cases = pytest.mark.parametrize("reason", CASES)


@cases
@pytest.mark.parametrize("by", ["an update", "a refresh", "another miss"])
@pytest.mark.parametrize("coalesce", ["off", "fleet"])
def test_writer_that_comes_late_does_not_replace_a_newer_answer(
    cache: UpstashRedisCache, redis: Redis, time: Clock, reason: Reason, by: str, coalesce: str
) -> None:
    prepare, policy = CASES[reason]
    prepare(cache, redis)
    time.now += 20
    with cache.policy(policy), cache.policy(CachePolicy(coalesce=coalesce)) as report:
        assert cache.lookup("p", "model") is None
        assert report.outcomes[0].why is reason
        newer = UpstashRedisCache(redis, namespace="shop", clock=time)  # another process
        mode = "refresh" if by == "a refresh" else "use"
        with newer.policy(policy), newer.policy(CachePolicy(mode=mode)):
            if by != "an update":
                assert newer.lookup("p", "model") is None
            newer.update("p", "model", [Generation(text="newer")])
        cache.update("p", "model", [Generation(text="late")])
    assert report.last
    assert (report.last.status, report.last.why) == (Status.SKIPPED, Reason.SUPERSEDED)
    with cache.policy(policy):
        assert cache.lookup("p", "model") == [Generation(text="newer")]
    assert redis.keys("shop:lease:*") == []


@cases
def test_writer_replaces_the_entry_that_its_lookup_saw(
    cache: UpstashRedisCache, redis: Redis, time: Clock, reason: Reason
) -> None:
    prepare, policy = CASES[reason]
    prepare(cache, redis)
    time.now += 20
    with cache.policy(policy) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", [Generation(text="newer")])
        assert cache.lookup("p", "model") == [Generation(text="newer")]
    assert report.stored == 1


def test_writer_stores_where_the_entry_it_saw_is_gone(
    cache: UpstashRedisCache, redis: Redis, time: Clock
) -> None:
    keep(cache, "older")
    time.now += 1
    with cache.policy(CachePolicy(max_age=0)) as report:
        assert cache.lookup("p", "model") is None
        redis.delete(*redis.keys("shop:entry:*"))
        cache.update("p", "model", [Generation(text="newer")])
    assert report.stored == 1


@pytest.mark.parametrize("mode", ["use", "refresh"])
def test_refresh_and_an_update_without_a_lookup_replace_whatever_is_there(
    cache: UpstashRedisCache, mode: str
) -> None:
    keep(cache, "older")
    with cache.policy(CachePolicy(mode=mode)):
        if mode == "refresh":
            assert cache.lookup("p", "model") is None
        keep(UpstashRedisCache(cache._execution.store, namespace="shop"), "between")
        cache.update("p", "model", [Generation(text="newest")])
    assert cache.lookup("p", "model") == [Generation(text="newest")]

"""The memory tier in front of Redis: the commands it saves, and how late it sees a change."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from tests.clock import Clock
from upstash_redis import Redis

from llm_cache import CachePolicy, MemoryTier, Report, StoreUnavailable, UpstashRedisCache
from llm_cache._protocol.effects import CommandArgs
from upstash_endpoint.endpoint import UpstashEndpoint

OLD, NEW = [Generation(text="old")], [Generation(text="new")]
SECONDS = 10

Make = Callable[[], UpstashRedisCache]
Change = Callable[[UpstashRedisCache], None]


@pytest.fixture
def make(redis: Redis, clock: Clock) -> Make:
    """Make a cache like that of one process, with a memory of its own."""

    def cache() -> UpstashRedisCache:
        memory = MemoryTier(seconds=SECONDS, clock=clock)
        return UpstashRedisCache(redis, namespace="shop", memory=memory, clock=clock)

    return cache


@pytest.fixture
def cache(make: Make, clock: Clock) -> UpstashRedisCache:
    """A cache that has read the old answer a second ago."""
    cache = make()
    store(cache, clock)
    assert cache.lookup("p", "model") == OLD
    clock.now += 1
    return cache


def store(cache: UpstashRedisCache, clock: Clock, **policy: Any) -> None:
    """Store the old answer, and let a second pass: a hit is kept only if read after a store."""
    with cache.policy(CachePolicy(**policy)):
        cache.update("p", "model", OLD)
    clock.now += 1


def lookup(cache: UpstashRedisCache, **policy: Any) -> tuple[Any, Report]:
    with cache.policy(CachePolicy(**policy)) as report:
        return cache.lookup("p", "model"), report


def commands(upstash: UpstashEndpoint, cache: UpstashRedisCache, **policy: Any) -> int:
    """Return the number of commands of a lookup that finds the old answer."""
    upstash.meter.reset()
    assert lookup(cache, **policy)[0] == OLD
    return upstash.meter.read().commands


@pytest.mark.parametrize("asynchronous", [False, True])
def test_second_hit_costs_no_command_and_reports_the_memory(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, clock: Clock, asynchronous: bool
) -> None:
    clock.now += 4
    upstash.meter.reset()
    with cache.policy() as report:
        found = (
            asyncio.run(cache.alookup("p", "model")) if asynchronous else cache.lookup("p", "model")
        )
    assert found == OLD
    assert upstash.meter.read().requests == 0
    (outcome,) = report.outcomes
    assert (report.hits, outcome.why, outcome.age) == (1, "memory", 6)


def test_miss_and_store_leave_nothing_in_memory(make: Make, upstash: UpstashEndpoint) -> None:
    cache = make()
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", OLD)
    assert commands(upstash, cache) == 1


def test_answer_is_read_from_redis_after_its_seconds_in_memory(
    cache: UpstashRedisCache, clock: Clock, upstash: UpstashEndpoint
) -> None:
    clock.now += SECONDS
    assert commands(upstash, cache) == 1


def test_answer_under_tags_is_served_from_memory_to_lookups_of_these_tags(
    make: Make, clock: Clock, upstash: UpstashEndpoint
) -> None:
    cache = make()
    store(cache, clock, tags=("t",))
    assert [commands(upstash, cache, tags=("t",)) for _ in range(2)] == [1, 0]


def clear(cache: UpstashRedisCache) -> None:
    cache.clear()


def aclear(cache: UpstashRedisCache) -> None:
    asyncio.run(cache.aclear())


def clear_a_tag(cache: UpstashRedisCache) -> None:
    """Clear a tag of an entry whose lookup named none: the memory does not know its tags."""
    clock: Any = cache._clock
    store(cache, clock, tags=("t",))
    cache.lookup("p", "model")
    cache.clear(tag="t")


def delete(cache: UpstashRedisCache) -> None:
    assert cache.delete("p", "model")


def adelete(cache: UpstashRedisCache) -> None:
    assert asyncio.run(cache.adelete("p", "model"))


def update(cache: UpstashRedisCache) -> None:
    cache.update("p", "model", NEW)


def refresh(cache: UpstashRedisCache) -> None:
    with cache.policy(CachePolicy(mode="refresh")):
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", NEW)


@pytest.mark.parametrize("change", [clear, aclear, clear_a_tag, delete, adelete, update, refresh])
def test_change_by_this_cache_takes_effect_at_once(
    cache: UpstashRedisCache, change: Change
) -> None:
    change(cache)
    assert lookup(cache)[0] == (NEW if change in {update, refresh} else None)


@pytest.mark.parametrize(("change", "found"), [(clear, None), (delete, None), (update, NEW)])
def test_change_by_another_process_takes_effect_within_the_seconds(
    cache: UpstashRedisCache, make: Make, clock: Clock, change: Change, found: object
) -> None:
    change(make())
    assert lookup(cache)[0] == OLD
    clock.now += SECONDS - 1
    assert lookup(cache)[0] == found


@pytest.mark.parametrize(("change", "found"), [(clear, None), (update, NEW)])
def test_answer_read_before_a_change_does_not_return_after_it(
    cache: UpstashRedisCache,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
    found: object,
) -> None:
    """The change happens after Redis has replied and before the cache receives the reply."""
    execute = cache._runner.store.execute

    def late(command: CommandArgs, *limits: Any) -> Any:
        reply = execute(command, *limits)
        if command[0] == "MGET":
            change(cache)
            clock.now += 1
        return reply

    clock.now += SECONDS
    with monkeypatch.context() as patched:
        patched.setattr(cache._runner.store, "execute", late)
        assert lookup(cache)[0] == OLD
    assert lookup(cache)[0] == found


def test_failed_clear_empties_the_memory(upstash: UpstashEndpoint, clock: Clock) -> None:
    memory = MemoryTier(seconds=SECONDS, clock=clock)
    with Redis(upstash.url, upstash.read_only_token) as client:
        cache = UpstashRedisCache(client, namespace="shop", memory=memory)
        memory.put("key", (), "text", read_at=clock.now)
        with pytest.raises(Exception, match="NOPERM"):
            cache.clear()
    assert memory.get("key", ()) is None


def test_clear_that_cannot_read_the_secrets_empties_the_memory(
    cache: UpstashRedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise StoreUnavailable("SSM is down")

    with monkeypatch.context() as patched:
        patched.setattr(cache._runner.store, "secrets", unreadable)
        with pytest.raises(StoreUnavailable):
            cache.clear(tag="a")
    assert cache._tiers.memory is not None
    assert not cache._tiers.memory._kept


def test_changes_to_a_returned_answer_do_not_reach_the_next_hit(make: Make, clock: Clock) -> None:
    cache = make()
    message = AIMessage("an answer", additional_kwargs={"list": [1]})
    cache.update("p", "model", [ChatGeneration(message=message)])
    clock.now += 1
    for _ in range(3):
        found, _ = lookup(cache)
        message = found[0].message
        assert (message.text, message.additional_kwargs["list"]) == ("an answer", [1])
        message.content = "spoilt"
        message.additional_kwargs["list"].append(2)
        found.clear()


def test_bypass_does_not_read_the_memory(cache: UpstashRedisCache) -> None:
    assert lookup(cache, mode="bypass")[0] is None


@pytest.mark.parametrize(
    "policy", [{"max_age": 3}, {"min_fresh": 57}, {"tags": ("t",)}, {"tenant": "another"}]
)
def test_answer_that_the_policy_refuses_is_not_served_from_memory(
    cache: UpstashRedisCache, clock: Clock, policy: dict[str, Any]
) -> None:
    cache.clear()
    clock.now += 1
    store(cache, clock, ttl=60)
    cache.lookup("p", "model")
    clock.now += 4
    assert lookup(cache, **policy)[0] is None
    assert lookup(cache)[0] == OLD


def test_answer_does_not_outlive_its_ttl_in_memory(make: Make, clock: Clock) -> None:
    cache = make()
    store(cache, clock, ttl=5)
    assert lookup(cache)[0] == OLD
    clock.now += 4
    assert lookup(cache)[0] is None

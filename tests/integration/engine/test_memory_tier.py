"""The first tier through the cache: what a hit from it costs, and how late it may be."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from tests.clock import Clock
from upstash_redis import Redis

from llm_cache import CachePolicy, MemoryTier, Report, UpstashRedisCache
from llm_cache._protocol.effects import CommandArgs
from upstash_endpoint.endpoint import UpstashEndpoint

OLD, NEW = [Generation(text="old")], [Generation(text="new")]
SECONDS = 10


@pytest.fixture
def make(redis: Redis, clock: Clock) -> Callable[[], UpstashRedisCache]:
    """Make a cache as of one process, with a memory of its own."""

    def cache() -> UpstashRedisCache:
        memory = MemoryTier(seconds=SECONDS, clock=clock)
        return UpstashRedisCache(redis, namespace="shop", memory=memory, clock=clock)

    return cache


@pytest.fixture
def cache(make: Callable[[], UpstashRedisCache], clock: Clock) -> UpstashRedisCache:
    """A cache that has seen the old answer a moment ago."""
    cache = make()
    cache.update("p", "model", OLD)
    clock.now += 1
    cache.lookup("p", "model")
    clock.now += 1
    return cache


def seen(cache: UpstashRedisCache, **policy: Any) -> tuple[Any, Report]:
    with cache.policy(CachePolicy(**policy)) as report:
        return cache.lookup("p", "model"), report


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_second_hit_costs_no_command_and_says_where_it_is_from(
    cache: UpstashRedisCache, upstash: UpstashEndpoint, asynchronous: bool
) -> None:
    upstash.meter.reset()
    with cache.policy() as report:
        found = (
            asyncio.run(cache.alookup("p", "model")) if asynchronous else cache.lookup("p", "model")
        )
    assert found == OLD
    assert upstash.meter.read().requests == 0
    assert (report.hits, report.outcomes[0].why) == (1, "memory")


def test_a_hit_from_memory_tells_its_true_age(cache: UpstashRedisCache, clock: Clock) -> None:
    clock.now += 4
    _, report = seen(cache)
    assert (report.outcomes[0].why, report.outcomes[0].age) == ("memory", 6)


def test_a_miss_and_a_store_leave_nothing_in_memory(
    make: Callable[[], UpstashRedisCache], upstash: UpstashEndpoint
) -> None:
    cache = make()
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", OLD)
    upstash.meter.reset()
    cache.lookup("p", "model")
    assert upstash.meter.read().commands == 1


def test_after_its_seconds_redis_is_asked_again(
    cache: UpstashRedisCache, clock: Clock, upstash: UpstashEndpoint
) -> None:
    clock.now += SECONDS
    upstash.meter.reset()
    assert seen(cache)[0] == OLD
    assert upstash.meter.read().commands == 1


def _clear(cache: UpstashRedisCache) -> None:
    cache.clear()


def _clear_asynchronously(cache: UpstashRedisCache) -> None:
    asyncio.run(cache.aclear())


def _clear_any_tag(cache: UpstashRedisCache) -> None:
    """The memory does not know the tags of an entry whose lookup named none."""
    with cache.policy(CachePolicy(tags=("t",))):
        cache.update("p", "model", OLD)
    cache._tiers.memory.clock.now += 1  # type: ignore[union-attr]
    cache.lookup("p", "model")
    cache.clear(tag="t")


def _delete(cache: UpstashRedisCache) -> None:
    assert cache.delete("p", "model")


def _delete_asynchronously(cache: UpstashRedisCache) -> None:
    assert asyncio.run(cache.adelete("p", "model"))


REMOVALS = [_clear, _clear_asynchronously, _clear_any_tag, _delete, _delete_asynchronously]


@pytest.mark.parametrize("remove", REMOVALS)
def test_a_removal_by_this_cache_is_seen_at_once(
    cache: UpstashRedisCache, remove: Callable[[UpstashRedisCache], None]
) -> None:
    remove(cache)
    assert seen(cache)[0] is None


@pytest.mark.parametrize("remove", [_clear, _delete])
def test_a_removal_by_another_is_seen_within_the_seconds(
    cache: UpstashRedisCache,
    make: Callable[[], UpstashRedisCache],
    clock: Clock,
    remove: Callable[[UpstashRedisCache], None],
) -> None:
    remove(make())
    assert seen(cache)[0] == OLD
    clock.now += SECONDS - 1
    assert seen(cache)[0] is None


def test_an_update_by_this_cache_is_seen_at_once(cache: UpstashRedisCache) -> None:
    cache.update("p", "model", NEW)
    assert seen(cache)[0] == NEW


def test_an_update_by_another_is_seen_within_the_seconds(
    cache: UpstashRedisCache, make: Callable[[], UpstashRedisCache], clock: Clock
) -> None:
    make().update("p", "model", NEW)
    assert seen(cache)[0] == OLD
    clock.now += SECONDS - 1
    assert seen(cache)[0] == NEW


def test_a_clear_that_failed_empties_the_memory_all_the_same(
    upstash: UpstashEndpoint, clock: Clock
) -> None:
    memory = MemoryTier(seconds=SECONDS, clock=clock)
    with Redis(upstash.url, upstash.read_only_token) as client:
        cache = UpstashRedisCache(client, namespace="shop", memory=memory)
        memory.put("key", (), "text", read_at=clock.now)
        with pytest.raises(Exception, match="NOPERM"):
            cache.clear()
    assert memory.get("key", ()) is None


def test_what_a_caller_does_to_its_answer_is_not_what_the_next_one_gets(
    make: Callable[[], UpstashRedisCache], clock: Clock
) -> None:
    cache = make()
    message = AIMessage("an answer", additional_kwargs={"list": [1]})
    cache.update("p", "model", [ChatGeneration(message=message)])
    clock.now += 1
    for _ in range(3):
        found, _ = seen(cache)
        assert (found[0].message.text, found[0].message.additional_kwargs["list"]) == (
            "an answer",
            [1],
        )
        found[0].message.content = "spoilt"
        found[0].message.additional_kwargs["list"].append(2)
        found.clear()


def test_a_refresh_asks_the_model_and_the_next_gets_the_new_answer(
    cache: UpstashRedisCache,
) -> None:
    with cache.policy(CachePolicy(mode="refresh")):
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", NEW)
    assert seen(cache)[0] == NEW


def test_a_bypass_does_not_read_it(cache: UpstashRedisCache) -> None:
    assert seen(cache, mode="bypass")[0] is None


@pytest.mark.parametrize(
    "policy", [{"max_age": 3}, {"min_fresh": 57}, {"tags": ("t",)}, {"tenant": "another"}]
)
def test_what_the_policy_does_not_accept_is_not_served(
    cache: UpstashRedisCache, clock: Clock, policy: dict[str, Any]
) -> None:
    cache.clear()
    clock.now += 1
    with cache.policy(CachePolicy(ttl=60)):
        cache.update("p", "model", OLD)
    clock.now += 1
    cache.lookup("p", "model")
    clock.now += 4
    assert seen(cache, **policy)[0] is None
    assert seen(cache)[0] == OLD


def test_an_answer_does_not_outlive_its_ttl_in_memory(
    make: Callable[[], UpstashRedisCache], clock: Clock
) -> None:
    cache = make()
    with cache.policy(CachePolicy(ttl=5)):
        cache.update("p", "model", OLD)
    clock.now += 1
    assert seen(cache)[0] == OLD
    clock.now += 4
    assert seen(cache)[0] is None


def test_an_answer_under_tags_is_served_to_those_who_name_them(
    make: Callable[[], UpstashRedisCache], clock: Clock, upstash: UpstashEndpoint
) -> None:
    cache = make()
    with cache.policy(CachePolicy(tags=("t",))):
        cache.update("p", "model", OLD)
    clock.now += 1
    assert seen(cache, tags=("t",))[0] == OLD
    upstash.meter.reset()
    assert seen(cache, tags=("t",))[0] == OLD
    assert upstash.meter.read().commands == 0


def meanwhile(
    cache: UpstashRedisCache, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]
) -> None:
    """Have something happen after Redis has answered a lookup and before the cache hears of it."""
    execute = cache._execution.store.execute

    def late(command: CommandArgs, *within: Any) -> Any:
        reply = execute(command, *within)
        if command[0] == "MGET":
            happens()
        return reply

    monkeypatch.setattr(cache._execution.store, "execute", late)


def test_an_answer_read_before_a_clear_does_not_come_back_after_it(
    cache: UpstashRedisCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clears() -> None:
        cache.clear()
        clock.now += 1

    clock.now += SECONDS
    meanwhile(cache, monkeypatch, clears)
    assert seen(cache)[0] == OLD
    assert seen(cache)[0] is None


def test_an_answer_read_before_an_update_does_not_come_back_after_it(
    cache: UpstashRedisCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def updates() -> None:
        cache.update("p", "model", NEW)
        clock.now += 1

    clock.now += SECONDS
    meanwhile(cache, monkeypatch, updates)
    assert seen(cache)[0] == OLD
    assert seen(cache)[0] == NEW

"""The drop-in class never fails its caller: clients, event loops, contexts and keys."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis

from llm_cache import CacheMiss, CachePolicy, InvalidSettings, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]
EMPTY = [Generation(text="")]


def open_loops(cache: UpstashRedisCache) -> int:
    client = cache._runner.store._client
    assert client
    return len(client._asynchronous._pools)


def test_event_loop_that_ends_leaves_no_connection_open(cache: UpstashRedisCache) -> None:
    async def invocation(prompt: str) -> object:
        if await cache.alookup(prompt, "model") is None:
            await cache.aupdate(prompt, "model", ANSWER)
        return await cache.alookup(prompt, "model")

    for number in range(3):
        assert asyncio.run(invocation(f"p{number}")) == ANSWER
        assert open_loops(cache) == 0


async def test_tasks_of_one_event_loop_share_a_client(cache: UpstashRedisCache) -> None:
    found = await asyncio.gather(*(cache.alookup(f"p{number}", "model") for number in range(20)))
    assert found == [None] * 20
    assert open_loops(cache) == 1


@pytest.mark.parametrize(
    "not_a_client", [lambda at: AsyncRedis(at.url, at.token), lambda at: at.url, lambda _: None]
)
def test_object_other_than_a_client_is_refused(
    upstash: UpstashEndpoint, not_a_client: Callable[[UpstashEndpoint], object]
) -> None:
    with pytest.raises(InvalidSettings, match=r"redis_=.*an upstash_redis\.Redis"):
        UpstashRedisCache(not_a_client(upstash))


def test_client_of_the_caller_is_not_changed(redis: Redis) -> None:
    before, http = dict(vars(redis)), redis._http._client
    UpstashRedisCache(redis).lookup("p", "model")
    assert vars(redis) == before
    assert redis._http._client is http
    assert http.timeout.read is None


# Failures that do not reach the caller.


def broken(*_: object) -> Any:
    raise RuntimeError("injected")


class Context:
    """A Lambda context that can be broken."""

    broken = False

    def get_remaining_time_in_millis(self) -> int:
        return broken() if self.broken else 60_000


@pytest.mark.parametrize("answer", [ANSWER, EMPTY, None], ids=["stored", "uncacheable", "none"])
def test_lease_that_cannot_be_released_does_not_fail_the_caller(
    cache: UpstashRedisCache, answer: list[Generation] | None
) -> None:
    context = Context()
    with cache.policy(CachePolicy(coalesce="fleet"), context=context) as report:
        assert cache.lookup("p", "model") is None
        context.broken = True
        if answer:
            cache.update("p", "model", answer)
    assert report.errors == (answer is ANSWER)


def test_context_that_fails_is_a_miss(cache: UpstashRedisCache) -> None:
    context = Context()
    context.broken = True
    with cache.policy(context=context) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert report.errors == 1


@pytest.fixture(params=["conversation", "key", "credentials", "prompt"])
def prompt_without_a_key(
    request: pytest.FixtureRequest, cache: UpstashRedisCache, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return a prompt for which making the key fails, in one step of it."""
    match request.param:
        case "conversation":
            monkeypatch.setattr("llm_cache._langchain.cache.conversation_hash", broken)
        case "key":
            monkeypatch.setattr("llm_cache._engine.cache_call.digest", broken)
        case "credentials":
            monkeypatch.setattr(cache._runner.store._credentials, "get", broken)
            monkeypatch.setattr(cache._runner.store._credentials, "aget", broken)
        case _:
            return 7
    return "p"


def test_failure_to_make_a_key_is_a_miss(
    cache: UpstashRedisCache, prompt_without_a_key: Any, redis: Redis
) -> None:
    prompt = prompt_without_a_key
    with cache.policy() as report:
        assert cache.lookup(prompt, "model") is None
        cache.update(prompt, "model", ANSWER)
        assert asyncio.run(cache.alookup(prompt, "model")) is None
        asyncio.run(cache.aupdate(prompt, "model", ANSWER))
    assert (report.errors, report.hits, report.misses, report.stored) == (3, 0, 0, 0)
    assert (report.outcomes[0].key, report.outcomes[1].why) == ("", "lookup_failed")
    assert redis.keys("*") == []


def test_failure_to_make_a_key_is_a_cache_miss_error_in_mode_only_if_cached(
    cache: UpstashRedisCache, prompt_without_a_key: Any
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")) as report:
        with pytest.raises(CacheMiss, match="failed"):
            cache.lookup(prompt_without_a_key, "model")
        with pytest.raises(CacheMiss, match="failed"):
            asyncio.run(cache.alookup(prompt_without_a_key, "model"))
    assert report.errors == 2


def test_delete_raises_if_the_key_cannot_be_made(
    cache: UpstashRedisCache, prompt_without_a_key: Any
) -> None:
    with pytest.raises((RuntimeError, AttributeError, TypeError)):
        cache.delete(prompt_without_a_key, "model")

"""A model that was never given the cache is noticed, once, and a correct use warns of nothing."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import ResponseCache, UpstashRedisCache, cached, or_stale

UNUSED = "no call of a model used the cache inside a policy block"
NO_CACHE = "cached(GenericFakeChatModel) has no cache"


def model(cache: Any = None) -> BaseChatModel:
    answers = (AIMessage(f"answer {number}") for number in range(100))
    return GenericFakeChatModel(messages=answers, cache=cache)


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="n")


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "llm_cache")
    return lambda: [text.partition(".")[0].partition(" and ")[0] for text in caplog.messages]


@pytest.fixture
def global_cache(cache: UpstashRedisCache) -> Iterator[UpstashRedisCache]:
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def test_policy_block_around_a_model_without_a_cache_warns_once(
    cache: UpstashRedisCache, warnings: Callable[[], list[str]]
) -> None:
    for _ in range(3):
        with cache.policy(ttl=60):
            model().invoke("q")
    assert warnings() == [UNUSED]


def test_warning_says_what_to_pass(
    cache: UpstashRedisCache, caplog: pytest.LogCaptureFixture
) -> None:
    with cache.policy():
        model().invoke("q")
    assert all(remedy in caplog.text for remedy in ("cache=", "set_llm_cache", "cached()"))


def test_nested_blocks_around_a_model_without_a_cache_warn_once(
    cache: UpstashRedisCache, warnings: Callable[[], list[str]]
) -> None:
    with cache.policy(), cache.policy(ttl=60):
        or_stale(model()).invoke("q")
    assert warnings() == [UNUSED]


def fails(cache: UpstashRedisCache) -> None:
    with pytest.raises(ValueError, match="early"), cache.policy():
        raise ValueError("early")


def bypasses(cache: UpstashRedisCache) -> None:
    with cache.policy(mode="bypass"):
        model().invoke("q")
    with cache.policy(mode="bypass"), cache.policy(ttl=60):
        model(cache).invoke("q")


def uses_its_own(cache: UpstashRedisCache) -> None:
    with cache.policy():
        model(cache).invoke("q")


def uses_it_with_mode_bypass_inside(cache: UpstashRedisCache) -> None:
    with cache.policy(), cache.policy(mode="bypass"):
        model(cache).invoke("q")


def uses_it_in_an_inner_block(cache: UpstashRedisCache) -> None:
    with cache.policy(), cache.policy(ttl=60), cache.policy(ttl=5):
        or_stale(model(cache)).invoke("q")


def uses_it_before(cache: UpstashRedisCache) -> None:
    model(cache).invoke("q")
    with cache.policy():
        pass  # an early return


def streams(cache: UpstashRedisCache) -> None:
    with cache.policy():
        list(cached(model(cache)).stream("q"))


def batches(cache: UpstashRedisCache) -> None:
    with cache.policy(coalesce="process"):
        model(cache).batch(["q", "q", "r"])


def deletes(cache: UpstashRedisCache) -> None:
    with cache.policy(tenant="a"):
        cache.delete("p", "model")


def clears(cache: UpstashRedisCache) -> None:
    with cache.policy():
        cache.clear()


def uses_another_cache_of_the_same_kind(cache: UpstashRedisCache) -> None:
    other = UpstashRedisCache(Redis("http://127.0.0.1:9", "token"), namespace="n")
    with other.policy():
        cache.update("p", "model", [Generation(text="a")])


@pytest.mark.parametrize(
    "use",
    [
        fails,
        bypasses,
        uses_its_own,
        uses_it_with_mode_bypass_inside,
        uses_it_in_an_inner_block,
        uses_it_before,
        streams,
        batches,
        deletes,
        clears,
        uses_another_cache_of_the_same_kind,
    ],
)
def test_correct_use_warns_of_nothing(
    use: Callable[[UpstashRedisCache], None],
    cache: UpstashRedisCache,
    warnings: Callable[[], list[str]],
) -> None:
    use(cache)
    assert warnings() == []


async def test_asynchronous_use_warns_of_nothing(
    cache: UpstashRedisCache, warnings: Callable[[], list[str]]
) -> None:
    with cache.policy():
        await model(cache).ainvoke("q")
    assert warnings() == []


def test_global_cache_is_a_cache(
    global_cache: UpstashRedisCache, warnings: Callable[[], list[str]]
) -> None:
    with global_cache.policy():
        cached(model()).invoke("q")
    assert warnings() == []


def test_block_of_a_response_cache_needs_no_call(
    redis: Redis, warnings: Callable[[], list[str]]
) -> None:
    responses = ResponseCache(redis, version="1")
    with responses.policy(coalesce="fleet"):  # each summary was there already
        pass
    with responses.policy(mode="bypass"):
        responses.cached(lambda request: {"answer": request})("q")
    assert warnings() == []


async def astream(given: BaseChatModel) -> None:
    async for _ in given.astream("q"):
        pass


async def each_way(given: BaseChatModel) -> AsyncIterator[str]:
    given.invoke("q")
    yield "invoke"
    await given.ainvoke("q")
    yield "ainvoke"
    list(given.stream("q"))
    yield "stream"
    await astream(given)
    yield "astream"


async def test_wrapped_model_without_a_cache_warns_once(warnings: Callable[[], list[str]]) -> None:
    async for _ in each_way(cached(model())):
        assert warnings() == [NO_CACHE]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_every_way_to_call_a_wrapped_model_without_a_cache_warns(
    way: str, warnings: Callable[[], list[str]]
) -> None:
    given = cached(model())
    calls: dict[str, Callable[[], Any]] = {
        "invoke": lambda: given.invoke("q"),
        "ainvoke": lambda: given.ainvoke("q"),
        "stream": lambda: list(given.stream("q")),
        "astream": lambda: astream(given),
    }
    called = calls[way]()
    if way.startswith("a"):
        await called
    assert warnings() == [NO_CACHE]


async def test_wrapped_model_that_wants_no_cache_warns_of_nothing(
    warnings: Callable[[], list[str]],
) -> None:
    async for _ in each_way(cached(model(cache=False))):
        assert warnings() == []


async def test_wrapped_model_with_a_cache_warns_of_nothing(
    cache: UpstashRedisCache, warnings: Callable[[], list[str]]
) -> None:
    async for _ in each_way(cached(model(cache))):
        assert warnings() == []

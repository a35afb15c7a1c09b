"""A model without the cache is logged as a warning, once, and no correct use is."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import Generation
from tests.integration.langchain.call_styles import CALL_STYLES, CallStyle
from upstash_redis import Redis

from llm_cache import ResponseCache, UpstashRedisCache, cached, or_stale

UNUSED = "no call of a model used the cache inside a policy block"
NO_CACHE = "cached(GenericFakeChatModel) has no cache"
Warnings = Callable[[], list[str]]


def model(cache: Any = None) -> BaseChatModel:
    answers = (AIMessage(f"answer {number}") for number in range(100))
    return GenericFakeChatModel(messages=answers, cache=cache)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Warnings:
    caplog.set_level(logging.WARNING, "llm_cache")
    return lambda: [text.partition(".")[0].partition(" and ")[0] for text in caplog.messages]


def test_policy_blocks_around_a_model_without_a_cache_warn_once(
    cache: UpstashRedisCache, warnings: Warnings, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with cache.policy(), cache.policy(ttl=60):
            or_stale(model()).invoke("q")
    assert warnings() == [UNUSED]
    assert all(remedy in caplog.text for remedy in ("cache=", "set_llm_cache", "cached()"))


def use_in_a_block(cache: UpstashRedisCache, call: CallStyle) -> None:
    with cache.policy(coalesce="process"):
        call(model(cache))


def use_before_an_empty_block(cache: UpstashRedisCache, call: CallStyle) -> None:
    call(model(cache))
    with cache.policy():
        pass


def bypass(cache: UpstashRedisCache, call: CallStyle) -> None:
    with cache.policy(mode="bypass"):
        call(model(cache=False))
    with cache.policy(mode="bypass"), cache.policy(ttl=60):
        call(model(cache))
    with cache.policy(), cache.policy(mode="bypass"):
        call(model(cache))


@pytest.mark.parametrize("use", [use_in_a_block, use_before_an_empty_block, bypass])
def test_model_with_the_cache_does_not_warn(
    use: Callable[[UpstashRedisCache, CallStyle], None],
    call: CallStyle,
    cache: UpstashRedisCache,
    warnings: Warnings,
) -> None:
    use(cache, call)
    assert warnings() == []


def use_in_inner_blocks(cache: UpstashRedisCache) -> None:
    with cache.policy(), cache.policy(ttl=60), cache.policy(ttl=5):
        or_stale(model(cache)).invoke("q")


def fail(cache: UpstashRedisCache) -> None:
    with pytest.raises(ValueError, match="early"), cache.policy():
        raise ValueError("early")


def delete(cache: UpstashRedisCache) -> None:
    with cache.policy(tenant="a"):
        cache.delete("p", "model")


def delete_by_key(cache: UpstashRedisCache) -> None:
    with cache.policy():
        cache.delete(key="0" * 64)


def clear(cache: UpstashRedisCache) -> None:
    with cache.policy():
        cache.clear()


def use_another_cache_of_the_same_kind(cache: UpstashRedisCache) -> None:
    other = UpstashRedisCache(Redis("http://127.0.0.1:9", "token"), namespace="n")
    with other.policy():
        cache.update("p", "model", [Generation(text="a")])


@pytest.mark.parametrize(
    "use",
    [
        use_in_inner_blocks,
        fail,
        delete,
        delete_by_key,
        clear,
        use_another_cache_of_the_same_kind,
    ],
)
def test_correct_use_of_a_block_does_not_warn(
    use: Callable[[UpstashRedisCache], None], cache: UpstashRedisCache, warnings: Warnings
) -> None:
    use(cache)
    assert warnings() == []


def test_model_with_the_global_cache_does_not_warn(
    global_cache: UpstashRedisCache, warnings: Warnings
) -> None:
    with global_cache.policy():
        cached(model()).invoke("q")
    assert warnings() == []


def test_empty_block_of_a_response_cache_does_not_warn(redis: Redis, warnings: Warnings) -> None:
    responses = ResponseCache(redis, version="1")
    with responses.policy(coalesce="fleet"):
        pass
    with responses.policy(mode="bypass"):
        responses.cached(lambda request: {"answer": request})("q")
    assert warnings() == []


def test_cached_model_without_a_cache_warns_once(call: CallStyle, warnings: Warnings) -> None:
    uncached = cached(model())
    call(uncached)
    assert warnings() == [NO_CACHE]
    for style in CALL_STYLES.values():
        style(uncached)
    assert warnings() == [NO_CACHE]


def test_cached_model_with_a_cache_or_with_none_by_choice_does_not_warn(
    call: CallStyle, cache: UpstashRedisCache, warnings: Warnings
) -> None:
    call(cached(model(cache)))
    call(cached(model(cache=False)))
    assert warnings() == []

"""A stale answer in place of a model's error."""

import asyncio
from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from tests.clock import Clock
from tests.integration.langchain.test_langchain import Model
from upstash_redis import Redis

from llm_cache import CachePolicy, Status, UpstashRedisCache, or_stale

KEEP = CachePolicy(ttl=60, stale_if_error=3600)


class Flaky(Model):
    """Answers until it is told to fail."""

    broken: bool = False

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        if self.broken:
            raise RuntimeError("throttled")
        return super()._generate(*args, **kwargs)


class FlakyText(FakeListLLM):
    """A text model that answers until it is told to fail."""

    broken: bool = False

    def _call(self, *args: Any, **kwargs: Any) -> str:
        if self.broken:
            raise RuntimeError("throttled")
        return super()._call(*args, **kwargs)


@pytest.fixture
def cache(redis: Redis, clock: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="stale", clock=clock)


@pytest.fixture
def model(cache: UpstashRedisCache, clock: Clock) -> Flaky:
    """A model that has answered "q", so long ago that the answer expired, and now fails."""
    model = Flaky(cache=cache, calls=[])
    with cache.policy(KEEP):
        model.invoke("q")
    clock.now += 100
    model.broken = True
    return model


def test_a_failing_model_is_stood_in_for_and_it_says_so(
    model: Flaky, cache: UpstashRedisCache
) -> None:
    with cache.policy(KEEP) as report:
        message = or_stale(model).invoke("q")
    assert isinstance(message, AIMessage)
    assert message.content == "answer 1.0"
    assert [outcome.status for outcome in report.outcomes] == [Status.MISS, Status.STALE]
    assert message.response_metadata["cache"] == {
        "hit": False,
        "stale": True,
        "age": 100.0,
        "ttl": -40.0,
        "key": report.outcomes[0].key,
        "usage": None,
    }


def test_an_asynchronous_call_is_stood_in_for_too(model: Flaky, cache: UpstashRedisCache) -> None:
    with cache.policy(KEEP):
        assert asyncio.run(or_stale(model).ainvoke("q")).content == "answer 1.0"


def test_each_call_of_a_batch_has_its_own(model: Flaky, cache: UpstashRedisCache) -> None:
    with cache.policy(KEEP):
        told = or_stale(model).batch(["q", "never asked"], return_exceptions=True)
    assert told[0].content == "answer 1.0"
    assert isinstance(told[1], RuntimeError)


@pytest.mark.parametrize("stale_if_error", [None, 39])
def test_without_a_policy_that_allows_it_the_error_passes(
    model: Flaky, cache: UpstashRedisCache, stale_if_error: float | None
) -> None:
    with (
        cache.policy(CachePolicy(stale_if_error=stale_if_error)),
        pytest.raises(RuntimeError, match="throttled"),
    ):
        or_stale(model).invoke("q")


def test_a_cleared_answer_does_not_come_back_in_place_of_an_error(
    model: Flaky, cache: UpstashRedisCache
) -> None:
    cache.clear()
    with cache.policy(KEEP), pytest.raises(RuntimeError, match="throttled"):
        or_stale(model).invoke("q")


def test_a_model_that_works_is_asked_and_its_answer_kept(
    model: Flaky, cache: UpstashRedisCache
) -> None:
    model.broken = False
    with cache.policy(KEEP) as report:
        assert or_stale(model).invoke("q").content == "answer 2.0"
    assert report.stored == 1


def test_a_text_model_is_stood_in_for_by_text(cache: UpstashRedisCache, clock: Clock) -> None:
    model = FlakyText(responses=["one", "two"], cache=cache)
    with cache.policy(KEEP):
        model.invoke("q")
        clock.now += 100
        model.broken = True
        assert or_stale(model).invoke("q") == "one"

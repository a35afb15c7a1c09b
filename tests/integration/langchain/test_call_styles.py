"""Every call style of LangChain's models uses the cache and the policy around it."""

from typing import Any

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from tests.integration.langchain.assistant import Assistant
from tests.integration.langchain.call_styles import CallStyle
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache


@pytest.fixture
def model(cache: UpstashRedisCache) -> Assistant:
    return Assistant(cache=cache)


def test_policy_applies_to_every_call_style(
    call: CallStyle, model: Assistant, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=7)) as report:
        call(model), call(model), call(model, "another")
    assert (report.misses, report.stored, report.hits) == (2, 2, 1)
    assert all(redis.ttl(key) <= 7 for key in redis.keys("*:entry:*"))


def test_refresh_applies_to_every_call_style(
    call: CallStyle, model: Assistant, cache: UpstashRedisCache
) -> None:
    call(model)
    with cache.policy(CachePolicy(mode="refresh")):
        call(model)
    call(model)
    assert model.answered == ["q", "q"]


def test_failed_call_is_not_stored(call: CallStyle, model: Assistant, redis: Redis) -> None:
    model.busy = ["throttled"]
    with pytest.raises(ConnectionError, match="throttled"):
        call(model)
    assert redis.keys("*:entry:*") == []
    assert call(model).text.strip() == "You said: human: q"


def test_global_cache_serves_text_models(global_cache: UpstashRedisCache) -> None:
    llm = FakeListLLM(responses=["one", "two", "three"])
    assert [llm.invoke("a"), llm.invoke("b"), llm.invoke("a")] == ["one", "two", "one"]
    assert llm.batch(["b", "a"]) == ["two", "one"]


def test_several_choices_are_restored_in_order(cache: UpstashRedisCache) -> None:
    class Choices(Assistant):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            (one,) = super()._generate(*args, **kwargs).generations
            texts = [f"{one.text} {number}" for number in range(3)]
            messages = [one.message.model_copy(update={"content": text}) for text in texts]
            return ChatResult(generations=[ChatGeneration(message=each) for each in messages])

    model = Choices(cache=cache)
    answers = [model.generate([[HumanMessage("q")]]).generations[0] for _ in range(2)]
    assert [[choice.text[-1] for choice in answer] for answer in answers] == [["0", "1", "2"]] * 2
    assert model.answered == ["q"]

"""LangChain's own models behind the cache: every way of calling, one model call."""

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache


class Model(BaseChatModel):
    """Counts its calls and returns ``n`` choices, as a provider's model does."""

    calls: list[str]
    n: int = 1

    @property
    def _llm_type(self) -> str:
        return "counting"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"n": self.n}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.calls.append(str(messages[-1].content))
        texts = [f"answer {len(self.calls)}.{choice}" for choice in range(self.n)]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text)) for text in texts])


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="langchain")


@pytest.fixture
def model(cache: UpstashRedisCache) -> Model:
    return Model(cache=cache, calls=[])


def test_a_repeated_question_is_one_call(model: Model) -> None:
    assert model.invoke("q").content == model.invoke("q").content == "answer 1.0"
    assert model.calls == ["q"]


async def test_asynchronous_and_blocking_calls_share_answers(model: Model) -> None:
    first = await model.ainvoke("q")
    assert (await asyncio.to_thread(model.invoke, "q")).content == first.content
    assert model.calls == ["q"]


def test_the_global_cache_serves_text_models(cache: UpstashRedisCache) -> None:
    set_llm_cache(cache)
    try:
        llm = FakeListLLM(responses=["one", "two", "three"])
        assert [llm.invoke("a"), llm.invoke("b"), llm.invoke("a")] == ["one", "two", "one"]
        assert llm.batch(["b", "a"]) == ["two", "one"]
    finally:
        set_llm_cache(None)


def test_several_choices_come_back_in_order(cache: UpstashRedisCache) -> None:
    model = Model(cache=cache, calls=[], n=3)
    first, again = (model.generate([[HumanMessage("q")]]).generations[0] for _ in range(2))
    assert [choice.text for choice in again] == ["answer 1.0", "answer 1.1", "answer 1.2"]
    assert [choice.text for choice in first] == [choice.text for choice in again]


@pytest.fixture(params=["invoke", "batch", "ainvoke", "abatch", "chain"])
def ask(request: pytest.FixtureRequest, model: Model) -> Any:
    chain = ChatPromptTemplate.from_messages([("human", "{q}")]) | model
    ways: dict[str, Any] = {
        "invoke": model.invoke,
        "batch": lambda q: model.batch([q, "another"])[0],
        "ainvoke": lambda q: asyncio.run(model.ainvoke(q)),
        "abatch": lambda q: asyncio.run(model.abatch([q, "another"]))[0],
        "chain": lambda q: chain.invoke({"q": q}),
    }
    return ways[request.param]


def test_the_policy_of_an_invocation_is_seen_however_it_calls(
    ask: Any, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=7)) as report:
        ask("q")
    assert report.stored >= 1
    assert {outcome.ttl for outcome in report.having(report.outcomes[-1].status)} == {7}
    assert all(redis.ttl(key) <= 7 for key in redis.keys("*:entry:*"))


def test_a_refresh_is_seen_however_it_calls(
    ask: Any, cache: UpstashRedisCache, model: Model
) -> None:
    ask("q")
    with cache.policy(CachePolicy(mode="refresh")):
        ask("q")
    assert model.calls.count("q") == 2
    ask("q")
    assert model.calls.count("q") == 2


def test_two_models_that_differ_do_not_share_answers(cache: UpstashRedisCache) -> None:
    one, other = Model(cache=cache, calls=[]), Model(cache=cache, calls=[], n=2)
    one.invoke("q"), other.invoke("q")
    assert (one.calls, other.calls) == (["q"], ["q"])


def test_a_model_call_that_fails_is_not_remembered_as_anything(cache: UpstashRedisCache) -> None:
    class Failing(Model):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self.calls.append("q")
            raise RuntimeError("throttled")

    model = Failing(cache=cache, calls=[])
    for _ in range(2):
        with pytest.raises(RuntimeError, match="throttled"):
            model.invoke("q")
    assert model.calls == ["q", "q"]

"""Hits as LangChain hands them on: nobody counts them twice, nobody takes two for one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tracers import LangChainTracer
from tests.clock import Clock
from tests.integration.langchain.test_conversations import Provider, converse
from tests.integration.langchain.test_stale_fallback import KEEP, Flaky
from tests.integration.langchain.test_streaming import USAGE, Model, astream, whole
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache, cached, or_stale
from llm_cache._entries.envelope import decode

NOTHING = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
SCRIPT = [
    *Model(calls=[]).script[:-1],
    Model(calls=[])
    .script[-1]
    .model_copy(update={"response_metadata": {"model_name": "m", "finish_reason": "stop"}}),
]

Ask = Callable[..., BaseMessage]
WAYS: dict[str, Ask] = {
    "invoke": lambda model, **config: model.invoke("q", config),
    "batch": lambda model, **config: model.batch(["q"], config)[0],
    "ainvoke": lambda model, **config: asyncio.run(model.ainvoke("q", config)),
    "stream": lambda model, **config: whole(list(cached(model).stream("q", config))),
    "astream": lambda model, **config: whole(
        asyncio.run(astream(cached(model), "q", config=config))
    ),
}


@pytest.fixture
def cache(redis: Redis, clock: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="hits", clock=clock)


@pytest.fixture
def model(cache: UpstashRedisCache) -> Model:
    return Model(cache=cache, calls=[], script=SCRIPT)


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return WAYS[request.param]


def test_a_hit_says_so_however_it_was_asked_for(
    ask: Ask, model: Model, cache: UpstashRedisCache, clock: Clock
) -> None:
    assert "cache" not in ask(model).response_metadata
    clock.now += 10
    with cache.policy() as report:
        again = ask(model)
    assert report.last is not None
    told = {"hit": True, "stale": False, "age": 10, "ttl": 50, "key": report.last.key}
    assert again.response_metadata["cache"] == {**told, "usage": USAGE}
    assert report.tokens_saved == 7
    assert again.content == "The sky is blue."
    assert model.calls == ["q"]


def test_every_answer_has_an_id_of_its_own(ask: Ask, model: Model) -> None:
    assert len({ask(model).id for _ in range(3)}) == 3


def test_every_choice_of_a_hit_has_an_id_of_its_own(cache: UpstashRedisCache) -> None:
    class Choices(Model):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            (one,) = super()._generate(*args, **kwargs).generations
            return ChatResult(generations=[one, one.model_copy(deep=True)])

    model = Choices(cache=cache, calls=[])
    answers = [model.generate([[HumanMessage("q")]]).generations[0] for _ in range(3)]
    ids = [one.message.id for answer in answers[1:] for one in answer]  # type: ignore[union-attr]
    assert len({*ids}) == 4
    assert model.calls == ["q"]


def test_the_usage_of_an_answer_is_counted_once(ask: Ask, model: Model) -> None:
    counter = UsageMetadataCallbackHandler()
    ask(model, callbacks=[counter])
    paid = dict(counter.usage_metadata["m"])
    ask(model, callbacks=[counter]), ask(model, callbacks=[counter])
    assert {name: counter.usage_metadata["m"][name] for name in USAGE} == paid == USAGE  # type: ignore[literal-required]


class LangSmith:
    """Takes runs as LangSmith's client does, and keeps the usage that each was reported with."""

    tracing_queue = None

    def __init__(self) -> None:
        self.usages: list[Any] = []

    def create_run(self, **_: Any) -> None: ...

    def update_run(self, *_: Any, extra: Any, **__: Any) -> None:
        self.usages.append(extra["metadata"]["usage_metadata"])


def test_langsmith_is_told_of_no_tokens_for_a_hit(ask: Ask, model: Model) -> None:
    client: Any = LangSmith()
    for _ in range(2):
        ask(model, callbacks=[LangChainTracer(client=client)])
    assert [{name: usage[name] for name in USAGE} for usage in client.usages] == [USAGE, NOTHING]


def test_hits_come_back_exactly_as_stored_where_marks_are_off(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, mark_hits=False)
    answer = [ChatGeneration(message=AIMessage("hi", id="1", usage_metadata=USAGE))]
    cache.update("p", "model", answer)
    assert cache.lookup("p", "model") == answer
    assert asyncio.run(cache.alookup("p", "model")) == answer


def invoke(model: BaseChatModel, messages: list[BaseMessage]) -> BaseMessage:
    return model.invoke(messages)


def replays(redis: Redis, **options: Any) -> list[int]:
    """Hold one conversation of three turns five times; return the model calls each took."""
    cache = UpstashRedisCache(redis, ttl=60, **options)
    model, calls = Provider(cache=cache, calls=[]), []
    for _ in range(5):
        model.calls.clear()
        converse(invoke, model, "one", "two", "three")
        calls.append(len(model.calls))
    return calls


def test_marks_in_a_conversation_are_no_part_of_the_question(redis: Redis) -> None:
    assert replays(redis) == [3, 0, 0, 0, 0]


def test_without_canonical_keys_hits_are_not_marked_lest_no_replay_ever_hit(redis: Redis) -> None:
    assert replays(redis, canonical_keys=False) == [3, 2, 1, 0, 0]  # by LangChain's own marks
    redis.flushdb()
    assert replays(redis, canonical_keys=False, mark_hits=True)[-1] > 0


class Bedrock(Provider):
    """Counts tokens where langchain-aws's ``ChatBedrock`` does: three times."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        (one,) = super()._generate(*args, **kwargs).generations
        usage = {"prompt_tokens": len(self.calls), "completion_tokens": 4}
        one.message.additional_kwargs = {"usage": usage, "model_id": "m"}
        return ChatResult(generations=[one], llm_output={"usage": usage, "model_id": "m"})


@pytest.mark.parametrize("cities", [(), ("Rome",)], ids=["text", "calls of tools"])
def test_a_conversation_of_answers_that_count_their_tokens_thrice_costs_no_call_again(
    cache: UpstashRedisCache, cities: tuple[str, ...]
) -> None:
    model = Bedrock(cache=cache, calls=[], cities=cities)
    for _ in range(2):
        history = converse(invoke, model, "one", "two", "three")
    assert model.calls == ["one", "two", "three"]
    for message in history[2::2]:
        assert isinstance(message, AIMessage)
        mark = message.response_metadata.pop("cache")
        assert mark["moved"].keys() == {"response_metadata", "additional_kwargs"}
        assert "usage" not in {**message.response_metadata, **message.additional_kwargs}


def test_a_hit_that_is_stored_again_is_what_was_stored_first(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    told = {"usage": {"prompt_tokens": 3}, "x_groq": {"usage": {"total_tokens": 7}}, "cache": "no"}
    message = AIMessage(
        [{"type": "text", "text": "hi"}, {"redacted_content": b"\xff"}],
        usage_metadata=USAGE,
        response_metadata=told,
        additional_kwargs={"usage": {"prompt_tokens": 3}},
    )
    cache.update("p", "m", [ChatGeneration(message=message, generation_info=told)])
    (key,) = redis.keys("hits:entry:*")
    answers = [decode(redis.get(key)).answer[0]]
    for _ in range(2):
        found = cache.lookup("p", "m")
        assert found is not None
        with cache.policy(CachePolicy(mode="refresh")) as report:
            cache.update("p", "m", found)
        assert report.stored == 1
        answers.append(decode(redis.get(key)).answer[0])
        del answers[-1]["message"]["fields"]["id"]
    assert answers[0] == answers[1] == answers[2]


class Outer(Model):
    """A model that asks another one."""

    inner: Any

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = self.inner.invoke(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_a_hit_stored_by_a_second_cache_is_an_answer_of_its_full_price(
    model: Model, redis: Redis, clock: Clock
) -> None:
    model.invoke("q")
    second = UpstashRedisCache(redis, ttl=60, namespace="second", clock=clock)
    outer = Outer(calls=[], inner=model, cache=second)
    outer.invoke("q")
    clock.now += 10
    with second.policy() as report:
        mark = outer.invoke("q").response_metadata["cache"]
    assert report.last is not None
    assert (mark["key"], mark["age"], mark["usage"]) == (report.last.key, 10, USAGE)
    assert report.tokens_saved == 7


def test_a_stale_answer_is_not_stored_as_a_fresh_one_by_a_second_cache(
    cache: UpstashRedisCache, redis: Redis, clock: Clock
) -> None:
    flaky = Flaky(cache=cache, calls=[])
    second = UpstashRedisCache(redis, ttl=60, namespace="second", clock=clock)
    outer = Outer(calls=[], inner=or_stale(flaky), cache=second)
    with cache.policy(KEEP):
        flaky.invoke("q")
        clock.now += 100
        flaky.broken = True
        with cache.policy() as report:
            assert outer.invoke("q").content == "answer 1.0"
    assert report.last is not None
    assert report.last.why == "stale"

"""Structured output as langchain-openai gives it: parsed by the model, checked by the chain."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from operator import itemgetter
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough
from pydantic import BaseModel, Field
from upstash_redis import Redis

from llm_cache import UpstashRedisCache, cached
from llm_cache._entries.envelope import decode


class Event(BaseModel):
    """An event."""

    name: str
    day: date = Field(alias="on")


class Refusing(Event):
    """An event that the model will not tell of."""


ANSWERS: dict[type[BaseModel], str] = {
    Event: '{"name": "Fair", "on": "2026-05-01"}',
    Refusing: "",
}


class OpenAI(BaseChatModel):
    """Leaves the parsed object and the refusal where langchain-openai's ``BaseChatOpenAI`` does."""

    calls: list[Any]

    @property
    def _llm_type(self) -> str:
        return "openai-like"

    def _answer(self, messages: list[BaseMessage], schema: type[BaseModel]) -> dict[str, Any]:
        self.calls.append(messages[-1].content)
        text = ANSWERS[schema]
        kwargs = {
            "parsed": schema.model_validate_json(text) if text else None,
            "refusal": None if text else "I will not.",
        }
        return {"content": text, "additional_kwargs": kwargs}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(**self._answer(messages, kwargs["response_format"]))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._answer(messages, kwargs["response_format"])
        for character in answer["content"]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=character))
        yield ChatGenerationChunk(message=AIMessageChunk(**{**answer, "content": ""}))

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        model = self.bind(response_format=schema)
        parser = RunnableLambda(partial(parse, schema=schema))
        if include_raw:
            read = itemgetter("raw") | parser
            return RunnableParallel(raw=model) | RunnablePassthrough.assign(parsed=read)
        return model | parser


def parse(message: AIMessage, schema: type[BaseModel]) -> Any:
    """Read a message as langchain-openai's ``_oai_structured_outputs_parser`` does."""
    if (parsed := message.additional_kwargs.get("parsed")) is not None:
        if isinstance(parsed, dict):
            return schema(**parsed)
        return parsed
    raise ValueError(message.additional_kwargs.get("refusal"))


async def last(chunks: Any) -> Any:
    return [chunk async for chunk in chunks][-1]


WAYS: dict[str, Callable[[Runnable[Any, Any]], Any]] = {
    "invoke": lambda chain: chain.invoke("q"),
    "batch": lambda chain: chain.batch(["q"])[0],
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke("q")),
    "stream": lambda chain: list(chain.stream("q"))[-1],
    "astream": lambda chain: asyncio.run(last(chain.astream("q"))),
}


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="structured")


@pytest.fixture
def model(cache: UpstashRedisCache) -> OpenAI:
    return OpenAI(cache=cache, calls=[])


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
def test_what_the_chain_returns_is_equal_and_the_second_is_a_hit(
    ask: Callable[[Runnable[Any, Any]], Any], model: OpenAI
) -> None:
    chain = cached(model).with_structured_output(Event)
    answers = [ask(chain), ask(chain), chain.invoke("q")]
    assert answers == [Event(name="Fair", on=date(2026, 5, 1))] * 3
    assert {type(answer) for answer in answers} == {Event}
    assert model.calls == ["q"]


def test_a_stored_answer_names_no_class(model: OpenAI, redis: Redis) -> None:
    model.with_structured_output(Event).invoke("q")
    (key,) = redis.keys("*:entry:*")
    stored = json.dumps(decode(redis.get(key)).answer)
    assert '"parsed": {"name": "Fair", "on": "2026-05-01"}' in stored
    assert "Event" not in stored


def test_a_conversation_of_structured_answers_asked_again_costs_no_model_call(
    model: OpenAI,
) -> None:
    chain = model.with_structured_output(Event, include_raw=True)
    for _ in range(2):
        history: list[BaseMessage] = []
        for question in ("one", "two", "three"):
            history.append(HumanMessage(question))
            told = chain.invoke(history)
            assert told["parsed"] == Event(name="Fair", on=date(2026, 5, 1))
            history.append(told["raw"])
    assert model.calls == ["one", "two", "three"]


def test_a_refusal_is_not_stored(model: OpenAI) -> None:
    chain = model.with_structured_output(Refusing)
    for _ in range(2):
        with pytest.raises(ValueError, match="I will not"):
            chain.invoke("q")
    assert model.calls == ["q", "q"]

"""Structured output that the model's integration parsed is equal in a hit."""

import asyncio
import json
from datetime import date
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import BaseModel, Field
from tests.integration.langchain.call_styles import CallStyle
from tests.integration.langchain.structured_model import StructuredModel
from upstash_redis import Redis

from llm_cache import UpstashRedisCache, cached
from llm_cache._entries.envelope import decode


class Event(BaseModel):
    """An event."""

    name: str
    day: date = Field(alias="on")


FAIR = Event(name="Fair", on=date(2026, 5, 1))


async def last(chunks: Any) -> Any:
    return [chunk async for chunk in chunks][-1]


CHAIN_STYLES: dict[str, CallStyle] = {
    "invoke": lambda chain: chain.invoke("q"),
    "batch": lambda chain: chain.batch(["q"])[0],
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke("q")),
    "stream": lambda chain: list(chain.stream("q"))[-1],
    "astream": lambda chain: asyncio.run(last(chain.astream("q"))),
}


@pytest.fixture
def model(cache: UpstashRedisCache) -> StructuredModel:
    return StructuredModel(cache=cache, text='{"name": "Fair", "on": "2026-05-01"}')


@pytest.mark.parametrize("style", CHAIN_STYLES.values(), ids=CHAIN_STYLES)
def test_chain_returns_an_equal_object_for_a_hit(style: CallStyle, model: StructuredModel) -> None:
    chain = cached(model).with_structured_output(Event)
    answers = [style(chain), style(chain), chain.invoke("q")]
    assert answers == [FAIR] * 3
    assert {type(answer) for answer in answers} == {Event}
    assert model.calls == ["q"]


def test_stored_answer_names_no_class(model: StructuredModel, redis: Redis) -> None:
    model.with_structured_output(Event).invoke("q")
    (key,) = redis.keys("*:entry:*")
    stored = json.dumps(decode(redis.get(key)).answer)
    assert '"parsed": {"name": "Fair", "on": "2026-05-01"}' in stored
    assert "Event" not in stored


def test_replayed_conversation_of_structured_answers_takes_no_model_call(
    model: StructuredModel,
) -> None:
    chain = model.with_structured_output(Event, include_raw=True)
    for _ in range(2):
        history: list[BaseMessage] = []
        for question in ("one", "two", "three"):
            history.append(HumanMessage(question))
            answer = chain.invoke(history)
            assert answer["parsed"] == FAIR
            history.append(answer["raw"])
    assert model.calls == ["one", "two", "three"]


def test_refusal_is_not_stored(cache: UpstashRedisCache) -> None:
    model = StructuredModel(cache=cache)
    chain = model.with_structured_output(Event)
    for _ in range(2):
        with pytest.raises(ValueError, match="I will not"):
            chain.invoke("q")
    assert model.calls == ["q", "q"]

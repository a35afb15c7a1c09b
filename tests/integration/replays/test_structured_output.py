"""Structured output that langchain-openai parsed is equal in a hit."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import BaseModel
from tests.integration.replays import chat
from tests.integration.replays.wire_format import Provider
from upstash_redis import Redis

from llm_cache import UpstashRedisCache, cached
from llm_cache._entries.envelope import decode


class City(BaseModel):
    """A city."""

    city: str


async def last(chunks: Any) -> Any:
    return [chunk async for chunk in chunks][-1]


CHAIN_STYLES: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda chain: chain.invoke("q"),
    "batch": lambda chain: chain.batch(["q"])[0],
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke("q")),
    "stream": lambda chain: list(chain.stream("q"))[-1],
    "astream": lambda chain: asyncio.run(last(chain.astream("q"))),
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with chat.serve() as provider:
        yield provider


@pytest.fixture
def model(provider: Provider, redis: Redis) -> Any:
    return cached(chat.model(provider, cache=UpstashRedisCache(redis, ttl=60, namespace="n")))


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the openai package
@pytest.mark.parametrize("style", CHAIN_STYLES.values(), ids=CHAIN_STYLES)
def test_hit_is_an_equal_object(
    style: Callable[[Any], Any], model: Any, provider: Provider
) -> None:
    chain = model.with_structured_output(City)
    answers = [style(chain), style(chain), chain.invoke("q")]
    assert answers == [City(city="Rome")] * 3
    assert {type(answer) for answer in answers} == {City}
    assert len(provider.requests) == 1


def test_stored_answer_names_no_class(model: Any, redis: Redis) -> None:
    model.with_structured_output(City).invoke("q")
    (key,) = redis.keys("*:entry:*")
    stored = json.dumps(decode(redis.get(key)).answer)
    assert '"parsed": {"city": "Rome"}' in stored
    assert "City" not in stored


def test_replayed_conversation_makes_no_model_call(model: Any, provider: Provider) -> None:
    chain = model.with_structured_output(City, include_raw=True)
    for _ in range(2):
        history: list[BaseMessage] = []
        for question in ("one", "two", "three"):
            history.append(HumanMessage(question))
            answer = chain.invoke(history)
            assert answer["parsed"] == City(city="Rome")
            history.append(answer["raw"])
    assert len(provider.requests) == 3

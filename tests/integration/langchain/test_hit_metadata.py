"""Hit metadata in the messages that LangChain returns, and in its tracers."""

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from langchain_core.tracers import LangChainTracer
from tests.clock import Clock
from tests.integration.langchain.call_styles import CallStyle
from tests.integration.langchain.scripted_model import ANSWER, USAGE, ScriptedModel
from upstash_redis import Redis

from llm_cache import UpstashRedisCache


@pytest.fixture
def model(cache: UpstashRedisCache) -> ScriptedModel:
    return ScriptedModel(cache=cache)


def test_hit_has_metadata_in_every_call_style(
    call: CallStyle, model: ScriptedModel, cache: UpstashRedisCache, clock: Clock
) -> None:
    first = call(model)
    assert "cache" not in first.response_metadata
    clock.now += 10
    with cache.policy() as report:
        again = call(model)
    assert report.last is not None
    entry = {"hit": True, "stale": False, "age": 10, "ttl": 50, "key": report.last.key}
    assert again.response_metadata["cache"] == {**entry, "usage": USAGE}
    assert report.tokens_saved == 7
    assert again.content == ANSWER
    assert len({first.id, again.id, call(model).id}) == 3
    assert model.calls == ["q"]


class LangSmith:
    """Keeps the usage of each run, in place of LangSmith's client."""

    tracing_queue = None

    def __init__(self) -> None:
        self.usages: list[Any] = []

    def create_run(self, **_: Any) -> None: ...

    def update_run(self, *_: Any, extra: Any, **__: Any) -> None:
        self.usages.append(extra["metadata"]["usage_metadata"])


def test_tracers_count_the_tokens_of_an_answer_once(call: CallStyle, model: ScriptedModel) -> None:
    counter, client = UsageMetadataCallbackHandler(), LangSmith()
    langsmith: Any = client
    for _ in range(3):
        call(model, callbacks=[counter, LangChainTracer(client=langsmith)])
    total: Any = counter.usage_metadata["m"]
    none = dict.fromkeys(USAGE, 0)
    assert {name: total[name] for name in USAGE} == USAGE
    assert [{name: each[name] for name in USAGE} for each in client.usages] == [USAGE, none, none]


def test_hit_without_metadata_is_exactly_as_stored(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, mark_hits=False)
    answer = [ChatGeneration(message=AIMessage("hi", id="1", usage_metadata=USAGE))]
    cache.update("p", "model", answer)
    with cache.policy() as report:
        assert cache.lookup("p", "model") == answer
        assert asyncio.run(cache.alookup("p", "model")) == answer
    assert report.tokens_saved == 14

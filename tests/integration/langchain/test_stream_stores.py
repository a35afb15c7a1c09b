"""Which streams are stored: whole answers, under the policy and the epochs of their first chunk."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from tests.integration.langchain.call_styles import CallStyle, read, stream, whole
from tests.integration.langchain.scripted_model import (
    ANSWER,
    LAST,
    TEXT,
    TOOL,
    AsyncScriptedModel,
    ScriptedModel,
    tool_chunk,
)
from upstash_redis import Redis

from llm_cache import CacheMiss, CachePolicy, UpstashRedisCache, cached
from llm_cache._langchain.uncacheable import FINISH_REASON_FIELDS


def entries(redis: Redis) -> list[str]:
    return redis.keys("*:entry:*")


def test_stream_is_not_stored_if_its_reader_leaves_early(
    model: ScriptedModel, redis: Redis
) -> None:
    for _ in cached(model).stream("q"):
        break
    gc.collect()
    assert not entries(redis)


async def test_closed_asynchronous_stream_is_not_stored(model: ScriptedModel, redis: Redis) -> None:
    chunks: Any = cached(model).astream("q")
    await anext(chunks)
    await chunks.aclose()
    await asyncio.sleep(0.05)
    assert not entries(redis)


async def test_cancelled_stream_is_not_stored(cache: UpstashRedisCache, redis: Redis) -> None:
    class Slow(AsyncScriptedModel):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk
                begun.set()
                await asyncio.sleep(60 if len(self.calls) == 1 else 0)

    model, begun = Slow(cache=cache), asyncio.Event()
    reading = asyncio.create_task(read(model))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not entries(redis)
    assert whole(await read(model)).content == ANSWER
    assert len(entries(redis)) == 1


def test_stream_of_a_model_that_fails_midway_is_not_stored(
    streamed: CallStyle, model: ScriptedModel, redis: Redis
) -> None:
    model.fails = 2
    with pytest.raises(RuntimeError, match="throttled"):
        streamed(model)
    assert not entries(redis)
    model.fails = None
    assert whole(streamed(model)).content == ANSWER


def ends(**metadata: Any) -> AIMessageChunk:
    return AIMessageChunk(content="", response_metadata=metadata)


UNFINISHED = {
    **{name: [*TEXT[:2], ends(**{name: "MAX_TOKENS"})] for name in FINISH_REASON_FIELDS},
    "truncated": [*TEXT[:2], ends(finish_reason="length")],
    "filtered": [*TEXT[:2], ends(stopReason="guardrail_intervened")],
    "refused": [*TEXT[:2], ends(stop_reason="refusal")],
    "two reasons": [*TEXT[:2], ends(finish_reason="length"), ends(finish_reason="stop")],
    "no reason": TEXT[:2],
    "incomplete tool call": TOOL[:1],
    "tool call that is no object": [tool_chunk("[1]", name="Weather", call="c"), LAST],
    "empty": [LAST],
}


@pytest.mark.parametrize("script", UNFINISHED.values(), ids=UNFINISHED)
def test_stream_that_did_not_end_well_is_not_stored(
    script: list[AIMessageChunk], model: ScriptedModel
) -> None:
    model.cache, model.script = InMemoryCache(), script
    stream(model)
    assert not model.cache._cache


@pytest.mark.parametrize(
    "script",
    [
        [TEXT[1], AIMessageChunk(content=".")],
        [TEXT[0], AIMessageChunk(content=".", chunk_position="last")],
    ],
    ids=["model that names no provider", "provider that marks its last chunk"],
)
def test_stream_without_a_finish_reason_is_stored_if_none_is_expected(
    script: list[AIMessageChunk], model: ScriptedModel, redis: Redis
) -> None:
    model.script = script
    stream(model)
    assert len(entries(redis)) == 1


class InfoModel(ScriptedModel):
    """Puts the finish reason into ``generation_info``, as OpenAI's models do."""

    reason: str

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=TEXT[0].model_copy(deep=True))
        info = {"finish_reason": self.reason}
        yield ChatGenerationChunk(message=AIMessageChunk(content="."), generation_info=info)


class InfoRecorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.infos: list[Any] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.infos.append(response.generations[0][0].generation_info)


def test_finish_reason_outside_the_message_is_stored_with_the_answer() -> None:
    model, recorder = InfoModel(cache=InMemoryCache(), reason="stop"), InfoRecorder()
    for _ in range(2):
        stream(model, callbacks=[recorder])
    assert len(model.cache._cache) == 1  # type: ignore[union-attr]
    assert model.invoke("q").response_metadata["finish_reason"] == "stop"
    assert recorder.infos == [{"finish_reason": "stop"}] * 2


def test_stream_truncated_by_a_reason_outside_the_message_is_not_stored() -> None:
    model = InfoModel(cache=InMemoryCache(), reason="length")
    stream(model)
    assert not model.cache._cache  # type: ignore[union-attr]


def test_change_of_a_chunk_by_its_reader_is_not_stored(model: ScriptedModel) -> None:
    for chunk in cached(model).stream("q"):
        chunk.content = "forged"
    assert model.invoke("q").content == ANSWER


class Uncopied(list[Any]):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("no copies")


@pytest.mark.parametrize("raw", [iter(()), Uncopied()], ids=["iterator", "list"])
def test_stream_with_a_chunk_that_cannot_be_copied_is_not_stored(
    raw: Any, model: ScriptedModel, redis: Redis
) -> None:
    class Odd(ScriptedModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                yield chunk.model_copy(update={"generation_info": {"raw": raw}})
                return

    assert stream(Odd(cache=model.cache))[0].content == "The sky "
    assert not entries(redis)


class SeveralChoices(ScriptedModel):
    n: int = 2


@pytest.mark.parametrize(("kind", "bound"), [(ScriptedModel, {"n": 2}), (SeveralChoices, {})])
def test_stream_of_several_choices_is_not_cached(
    kind: type[ScriptedModel], bound: dict[str, Any]
) -> None:
    model = kind(cache=InMemoryCache())
    for _ in range(2):
        list(cached(model).stream("q", **bound))
    assert len(model.calls) == 2


# Clears and policies.


@pytest.mark.parametrize(
    "run", [lambda step, *args: step(*args), lambda *args: copy_context().run(*args)]
)
def test_stream_across_a_clear_is_not_served(
    run: Callable[..., Any], model: ScriptedModel, cache: UpstashRedisCache
) -> None:
    stream(model, "another")
    chunks = cached(model).stream("q")
    run(next, chunks)
    cache.clear()
    run(list, chunks)
    stream(model)
    assert model.calls.count("q") == 2


async def test_stream_read_by_other_tasks_across_a_clear_is_not_served(
    model: ScriptedModel, cache: UpstashRedisCache
) -> None:
    await read(model, "another")
    chunks: Any = cached(model).astream("q")
    more: Any = await asyncio.create_task(anext(chunks))
    await cache.aclear()
    while more is not None:
        more = await asyncio.create_task(anext(chunks, None))
    await read(model)
    assert model.calls.count("q") == 2


def test_clear_between_two_streams_of_one_question_concerns_only_the_later_store(
    model: ScriptedModel, cache: UpstashRedisCache
) -> None:
    stream(model, "another")
    one, other = cached(model).stream("q"), cached(model).stream("q")
    next(one), next(other)
    list(one)
    cache.clear()
    list(other)
    stream(model)
    assert model.calls.count("q") == 3


def test_only_if_cached_and_bypass_apply_to_streams(
    streamed: CallStyle, model: ScriptedModel, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")), pytest.raises(CacheMiss):
        streamed(model)
    assert not model.calls
    with cache.policy(CachePolicy(mode="bypass")):
        streamed(model)
    assert (len(model.calls), entries(redis)) == (1, [])


def test_stream_is_stored_under_the_policy_of_its_first_chunk(
    model: ScriptedModel, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=7)):
        chunks = cached(model).stream("q")
        next(chunks)
    list(chunks)
    assert [redis.ttl(key) <= 7 for key in entries(redis)] == [True]

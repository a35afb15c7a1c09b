"""A stored answer as a stream: its chunks, callbacks, events and commands."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.tool import tool_call
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from langchain_core.prompts import ChatPromptTemplate
from tests.integration.langchain.call_styles import CALL_STYLES, CallStyle, read, stream, whole
from tests.integration.langchain.scripted_model import (
    ANSWER,
    LAST,
    TEXT,
    TOOL,
    USAGE,
    AsyncScriptedModel,
    ScriptedModel,
    tool_chunk,
)
from tests.unit.langchain import generations
from upstash_redis import Redis

from llm_cache import UpstashRedisCache, cached
from llm_cache._langchain.hit_chunks import CHUNK_LENGTH
from upstash_endpoint.endpoint import UpstashEndpoint


class FixedCache(InMemoryCache):
    """Returns one result for every question."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = [ChatGeneration(message=found)] if isinstance(found, AIMessage) else found

    def lookup(self, prompt: str, llm_string: str) -> Any:
        return self.found


def test_repeated_stream_is_one_model_call_with_the_same_answer(
    streamed: CallStyle, model: ScriptedModel
) -> None:
    first, again = (whole(streamed(model)) for _ in range(2))
    assert model.calls == ["q"]
    assert first.content == again.content == ANSWER
    assert again.response_metadata.pop("cache")["hit"]
    assert first.response_metadata == again.response_metadata


READS: dict[str, CallStyle] = {
    **CALL_STYLES,
    "invoke of the cached": lambda model: cached(model).invoke("q"),
    "abatch of the cached": lambda model: CALL_STYLES["abatch"](cached(model)),
}


@pytest.mark.parametrize("second", READS)
@pytest.mark.parametrize("first", ["invoke", "ainvoke", "stream", "astream"])
def test_answer_stored_by_one_call_style_is_a_hit_for_every_other(
    first: str, second: str, model: ScriptedModel
) -> None:
    CALL_STYLES[first](model)
    assert READS[second](model).content == ANSWER
    assert model.calls == ["q"]


def test_stream_is_stored_as_the_message_that_invoke_returns(model: ScriptedModel) -> None:
    computed = model.model_copy(update={"cache": False}).invoke("q")
    stream(model)
    stored = model.invoke("q")
    assert type(stored) is AIMessage
    assert stored.response_metadata.pop("cache")["usage"] == computed.usage_metadata
    for field in ("content", "tool_calls", "response_metadata", "additional_kwargs"):
        assert getattr(stored, field) == getattr(computed, field)


def test_hit_has_several_chunks_of_one_run_and_usage_in_the_last(model: ScriptedModel) -> None:
    model.script = [AIMessageChunk(content="x" * (2 * CHUNK_LENGTH + 1)), LAST]
    first, again = (stream(model) for _ in range(2))
    assert [len(chunk.content) for chunk in again] == [CHUNK_LENGTH, CHUNK_LENGTH, 1, 0]
    assert [chunk.chunk_position for chunk in again] == [None, None, None, "last"]
    assert [chunk.usage_metadata is not None for chunk in again] == [False, False, False, True]
    assert len({chunk.id for chunk in again}) == 1
    assert again[0].id != first[0].id


def test_hit_does_not_have_the_id_of_the_stored_message() -> None:
    chunks = stream(ScriptedModel(cache=FixedCache(AIMessage("blue", id="old"))))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].id not in {"old", None}


def test_ids_of_the_question_s_messages_do_not_enter_the_key() -> None:
    model = ScriptedModel(cache=InMemoryCache())
    stream(model, [HumanMessage("q", id="1")])
    stream(model, [HumanMessage("q", id="2")])
    model.invoke([HumanMessage("q", id="3")])
    assert model.calls == ["q"]


def test_hit_from_another_cache_has_the_usage_of_the_first_stream() -> None:
    model = ScriptedModel(cache=InMemoryCache())
    assert [whole(stream(model)).usage_metadata for _ in range(2)] == [USAGE, USAGE]


def test_hit_has_the_tool_calls_of_the_first_stream(model: ScriptedModel) -> None:
    model.script = TOOL
    first, again = (whole(stream(model)) for _ in range(2))
    assert model.calls == ["q"]
    expected = [tool_call(name="Weather", args={"city": "Rome"}, id="call_1")]
    assert first.tool_calls == again.tool_calls == model.invoke("q").tool_calls == expected
    assert again.tool_call_chunks[0]["index"] == 0


BLOCKS: list[Any] = [
    {"type": "thinking", "thinking": "Blue.", "signature": "s", "index": 0},
    {"type": "text", "text": "It is blue.", "index": 1},
]
ANTHROPIC = {"model_provider": "anthropic", "stop_reason": "end_turn"}
CALLS = [tool_call(name="Weather", args={"n": n}, id=f"c{n}") for n in (1, 2, 3)]
OTHERS = {"media", "bytes everywhere"}  # LangChain generates ids, or cannot stream the arguments
MESSAGES = {
    **{
        name: each
        for name, each in generations.MESSAGES.items()
        if type(each) is AIMessage and name not in OTHERS
    },
    "blocks": AIMessage(BLOCKS, response_metadata=ANTHROPIC),
    "unnumbered blocks": AIMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
    "several tools": AIMessage("Both.", tool_calls=CALLS[:2]),
    "tools in the content": AIMessage(
        [
            {"type": "text", "text": "Both.", "index": 0},
            {"type": "tool_use", "id": "c1", "name": "Weather", "input": {"n": 1}, "index": 2},
            {"type": "function_call", "id": "fc", "call_id": "c2", "name": "Weather", "index": 5},
        ],
        tool_calls=CALLS,
    ),
    "tools in another order": AIMessage(
        [{"type": "tool_use", "id": f"c{n}", "index": 3 - n} for n in (2, 1)], tool_calls=CALLS[:2]
    ),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_chunks_of_a_hit_add_up_to_the_stored_message(message: AIMessage) -> None:
    before = repr(message)
    got = whole(stream(ScriptedModel(cache=FixedCache(message))))
    for field in (
        *("content", "content_blocks", "tool_calls", "invalid_tool_calls"),
        *("response_metadata", "additional_kwargs", "name"),
    ):
        assert getattr(got, field) == getattr(message, field)
    assert repr(message) == before


def test_tool_call_of_a_hit_is_in_the_chunk_of_its_block_under_the_same_index() -> None:
    chunks = stream(ScriptedModel(cache=FixedCache(MESSAGES["tools in the content"])))
    found = [[(call["id"], call["index"]) for call in each.tool_call_chunks] for each in chunks]
    assert found == [[], [("c1", 2)], [("c2", 5)], [("c3", 3)]]


def test_every_chunk_of_a_hit_names_its_provider() -> None:
    chunks = stream(ScriptedModel(cache=FixedCache(MESSAGES["blocks"])))
    assert [c.response_metadata["model_provider"] for c in chunks] == ["anthropic"] * 3
    assert [block["type"] for block in chunks[0].content_blocks] == ["reasoning"]


def test_standard_blocks_of_a_hit_are_not_merged() -> None:
    blocks: list[Any] = [{"type": "text", "text": each} for each in "ab"]
    message = AIMessage(blocks, response_metadata={"output_version": "v1"})
    found = whole(stream(ScriptedModel(cache=FixedCache(message), output_version="v1")))
    assert [block["text"] for block in found.content_blocks] == ["a", "b"]  # type: ignore[typeddict-item]
    assert message.content == [{"type": "text", "text": each} for each in "ab"]


def test_tool_call_merged_into_a_text_is_streamed_after_it() -> None:
    call = {"id": "c1", "name": "Weather", "args": '{"n": 1}'}
    block = {"type": "text", "text": "Let me look.", "index": 0, **call}  # OpenAI's completions
    message = AIMessage([block], tool_calls=CALLS[:1], response_metadata={"output_version": "v1"})
    chunks = stream(ScriptedModel(cache=FixedCache(message), output_version="v1"))
    types = [[part["type"] for part in chunk.content] for chunk in chunks]
    assert types == [["text"], ["tool_call_chunk"], []]
    assert (whole(chunks).content, whole(chunks).tool_calls) == ([block], CALLS[:1])


@pytest.mark.parametrize("script", [TEXT, TOOL])
def test_standard_blocks_are_stored_as_the_stream_returned_them(script: Any) -> None:
    model = ScriptedModel(cache=InMemoryCache(), output_version="v1", script=script)
    first = whole(stream(model))
    assert model.invoke("q").content == first.content
    again = whole(stream(model))
    assert (again.content, again.tool_calls) == (first.content, first.tool_calls)
    assert len(model.calls) == 1


def test_standard_blocks_of_a_tool_call_in_pieces_are_stored_as_one_call() -> None:
    pieces = [tool_chunk('{"city":', "Weather", "c"), tool_chunk('"Rome"}')]
    for piece in pieces:
        piece.content = [{**call, "type": "tool_call_chunk"} for call in piece.tool_call_chunks]
    pieces[0].response_metadata = {"output_version": "v1"}
    model = ScriptedModel(cache=InMemoryCache(), script=pieces)
    stream(model)
    assert [block["type"] for block in model.invoke("q").content_blocks] == ["tool_call"]
    assert len(model.calls) == 1


def test_text_answer_from_another_cache_is_a_hit(model: ScriptedModel) -> None:
    model.cache = FixedCache([Generation(text="old")])
    assert [chunk.content for chunk in stream(model)] == ["old", ""]


@pytest.mark.parametrize(
    "found",
    [
        *([], (), "text"),
        (ChatGeneration(message=AIMessage("x")),),
        [ChatGeneration(message=BaseMessage("x", type="ai"))],
    ],
)
def test_wrong_result_of_another_cache_is_a_miss(found: Any, model: ScriptedModel) -> None:
    model.cache = FixedCache(found)
    assert whole(stream(model)).content == ANSWER


# Chains, tools, callbacks and events.


def test_chain_streams_a_hit(model: ScriptedModel) -> None:
    chain = ChatPromptTemplate.from_messages([("human", "{q}")]) | cached(model) | StrOutputParser()
    assert list(chain.stream({"q": "q"})) == ["The sky ", "is blue.", "", ""]
    assert "".join(chain.stream({"q": "q"})) == chain.invoke({"q": "q"}) == ANSWER
    assert model.calls == ["q"]


def test_arguments_of_a_bound_model_enter_the_key(model: ScriptedModel) -> None:
    for bound in (cached(model).bind(stop=["x"]), cached(model.bind(stop=["x"]))):
        assert whole(list(bound.stream("q"))).content == ANSWER
    assert cached(model).invoke("q", stop=["x"]).content == ANSWER
    assert model.calls == ["q"]
    stream(model)
    assert model.calls == ["q", "q"]


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.events.append("start")

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.events.append(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.events.append(response.generations[0][0].message.content)


def test_callbacks_of_a_hit_are_those_of_a_model_call(model: ScriptedModel) -> None:
    recorders = Recorder(), Recorder()
    for recorder in recorders:
        stream(model, callbacks=[recorder])
    assert recorders[0].events == ["start", "The sky ", "is blue.", "", "", ANSWER]
    assert recorders[1].events == ["start", ANSWER, "", ANSWER]


async def test_events_of_a_hit_are_those_of_a_stream(model: ScriptedModel) -> None:
    chain = cached(model) | StrOutputParser()
    for _ in range(2):
        events = [event async for event in chain.astream_events("q", version="v2")]
        of_model = [event for event in events if event["event"].startswith("on_chat_model")]
        kinds = [event["event"].removeprefix("on_chat_model_") for event in of_model]
        assert kinds == ["start", *(["stream"] * (len(kinds) - 2)), "end"]
        assert of_model[-1]["data"]["output"].content == ANSWER
        assert of_model[0]["name"] == type(model).__name__
    assert model.calls == ["q"]


# Commands and lookups.


def test_miss_takes_two_commands_and_hit_takes_one(
    model: ScriptedModel, upstash: UpstashEndpoint
) -> None:
    stream(model, "warm up")
    commands = []
    for _ in range(2):
        upstash.meter.reset()
        stream(model)
        commands.append(upstash.meter.read().commands)
    assert commands == [2, 1]


async def test_invoke_that_streams_inside_looks_up_once(
    model: ScriptedModel, cache: UpstashRedisCache
) -> None:
    chain = cached(model) | (lambda _: cached(model).invoke("other"))
    with cache.policy() as report:
        _ = [event async for event in chain.astream_events("q", version="v2")]
    assert (report.misses, report.stored) == (2, 2)


async def test_asynchronous_stream_over_the_blocking_one_looks_up_once(
    cache: UpstashRedisCache,
) -> None:
    class Delegating(AsyncScriptedModel):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            for chunk in self._stream(*args, **kwargs):
                yield chunk

    with cache.policy() as report:
        await read(Delegating(cache=cache))
    assert (report.misses, report.stored) == (1, 1)


def test_chunks_of_a_miss_pass_through_as_they_arrive(model: ScriptedModel, redis: Redis) -> None:
    class Noting(ScriptedModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                self.calls.append(f"made {chunk.message.content}")
                yield chunk

    noting = Noting(cache=model.cache)
    chunks = cached(noting).stream("q")
    assert next(chunks).content == "The sky "
    assert noting.calls == ["q", "made The sky "]
    assert redis.keys("*:entry:*") == []
    assert len(list(chunks)) == 3
    assert len(redis.keys("*:entry:*")) == 1

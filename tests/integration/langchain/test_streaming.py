"""Streams behind the cache: what comes back, what is stored, and what never is."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel
from upstash_redis import Redis

from llm_cache import CacheMiss, CachePolicy, UpstashRedisCache
from llm_cache._langchain.hit_chunks import CHUNK_LENGTH
from llm_cache._langchain.streaming import cached
from llm_cache._langchain.uncacheable import FINISH_REASON_FIELDS
from upstash_endpoint.endpoint import UpstashEndpoint

USAGE: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
TEXT = [
    AIMessageChunk(content="The sky ", response_metadata={"model_provider": "fake"}),
    AIMessageChunk(content="is blue."),
    AIMessageChunk(content="", usage_metadata=USAGE, response_metadata={"finish_reason": "stop"}),
]


def tool_chunk(args: str, name: str | None = None, call: str | None = None) -> AIMessageChunk:
    chunk = tool_call_chunk(name=name, args=args, id=call, index=0)
    return AIMessageChunk(content="", tool_call_chunks=[chunk])


TOOL = [tool_chunk('{"ci', name="Weather", call="call_1"), tool_chunk('ty": "Rome"}'), TEXT[-1]]


class Model(BaseChatModel):
    """Plays ``script`` in chunks, counts its calls, and fails after ``fails`` chunks."""

    calls: list[Any]
    script: list[AIMessageChunk] = TEXT
    fails: int | None = None
    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "streaming"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"temperature": self.temperature}

    def _chunks(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        self.calls.append(messages[-1].content)
        for number, chunk in enumerate(self.script):
            if number == self.fails:
                raise RuntimeError("throttled")
            yield ChatGenerationChunk(message=chunk.model_copy(deep=True))

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(messages)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        merged = reduce(add, (chunk.message for chunk in self._chunks(messages)))
        fields = {"content", "tool_calls", "usage_metadata", "response_metadata"}
        message = AIMessage(**merged.model_dump(include=fields))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(self, tools: Any, *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


class AsyncModel(Model):
    """Streams by itself in both worlds, as a provider's model does."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            await asyncio.sleep(0)
            yield chunk


class Weather(BaseModel):
    """The weather of a city."""

    city: str


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="streams")


@pytest.fixture(params=[Model, AsyncModel])
def model(request: pytest.FixtureRequest, cache: UpstashRedisCache) -> Model:
    kind: type[Model] = request.param
    return kind(cache=cache, calls=[])


def entries(redis: Redis) -> list[str]:
    return redis.keys("*:entry:*")


def whole(chunks: list[Any]) -> AIMessageChunk:
    merged: AIMessageChunk = reduce(add, chunks)
    return merged


async def astream(runnable: Any, question: Any, **kwargs: Any) -> list[Any]:
    return [chunk async for chunk in runnable.astream(question, **kwargs)]


# What comes back


def test_a_repeated_stream_is_one_call_and_the_same_answer(model: Model) -> None:
    first, again = (whole(list(cached(model).stream("q"))) for _ in range(2))
    assert model.calls == ["q"]
    assert first.content == again.content == "The sky is blue."
    assert again.response_metadata.pop("cache")["hit"]
    assert first.response_metadata == again.response_metadata


async def test_a_repeated_asynchronous_stream_is_one_call(model: Model) -> None:
    first, again = [whole(await astream(cached(model), "q")) for _ in range(2)]
    assert model.calls == ["q"]
    assert first.content == again.content == "The sky is blue."


WAYS: dict[str, Any] = {
    "invoke": lambda model: model.invoke("q"),
    "batch": lambda model: model.batch(["q"])[0],
    "ainvoke": lambda model: asyncio.run(model.ainvoke("q")),
    "abatch": lambda model: asyncio.run(model.abatch(["q"]))[0],
    "stream": lambda model: whole(list(cached(model).stream("q"))),
    "astream": lambda model: whole(asyncio.run(astream(cached(model), "q"))),
    "cached invoke": lambda model: cached(model).invoke("q"),
    "cached abatch": lambda model: asyncio.run(cached(model).abatch(["q"]))[0],
}


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("write", ["invoke", "ainvoke", "stream", "astream"])
def test_what_one_way_of_calling_stored_is_a_hit_for_every_other(
    write: str, read: str, model: Model
) -> None:
    WAYS[write](model)
    assert WAYS[read](model).content == "The sky is blue."
    assert model.calls == ["q"]


def test_a_stream_is_stored_as_the_message_that_invoke_returns(model: Model) -> None:
    computed = model.model_copy(update={"cache": False}).invoke("q")
    list(cached(model).stream("q"))
    stored = model.invoke("q")
    assert type(stored) is AIMessage
    assert stored.response_metadata.pop("cache")["usage"] == computed.usage_metadata
    for field in ("content", "tool_calls", "response_metadata", "additional_kwargs"):
        assert getattr(stored, field) == getattr(computed, field)


def test_a_hit_comes_in_several_chunks_of_one_run_and_ends_with_the_usage(model: Model) -> None:
    model.script = [AIMessageChunk(content="x" * (2 * CHUNK_LENGTH + 1)), TEXT[-1]]
    first, again = (list(cached(model).stream("q")) for _ in range(2))
    assert [len(chunk.content) for chunk in again] == [CHUNK_LENGTH, CHUNK_LENGTH, 1, 0]
    assert [chunk.chunk_position for chunk in again] == [None, None, None, "last"]
    assert [chunk.usage_metadata is not None for chunk in again] == [False, False, False, True]
    assert len({chunk.id for chunk in again}) == 1
    assert again[0].id != first[0].id


def test_a_hit_has_not_the_id_of_the_message_that_was_stored() -> None:
    model = cached(Model(cache=Kept(AIMessage("blue", id="old")), calls=[]))
    ids = {chunk.id for chunk in model.stream("q")}
    assert len(ids) == 1
    assert not {"old", None} & ids


def test_the_ids_of_the_messages_asked_with_are_no_part_of_the_question() -> None:
    model = Model(cache=InMemoryCache(), calls=[])
    list(cached(model).stream([HumanMessage("q", id="1")]))
    list(cached(model).stream([HumanMessage("q", id="2")]))
    model.invoke([HumanMessage("q", id="3")])
    assert model.calls == ["q"]


def test_usage_survives_the_stream_and_the_hit(cache: UpstashRedisCache) -> None:
    model = cached(Model(cache=InMemoryCache(), calls=[]))
    usages = [whole(list(model.stream("q"))).usage_metadata for _ in range(2)]
    assert usages == [USAGE, USAGE]


def test_tool_calls_survive_the_stream_and_the_hit(model: Model) -> None:
    model.script = TOOL
    first, again = (whole(list(cached(model).stream("q"))) for _ in range(2))
    assert model.calls == ["q"]
    expected = [tool_call(name="Weather", args={"city": "Rome"}, id="call_1")]
    assert first.tool_calls == again.tool_calls == model.invoke("q").tool_calls == expected
    assert again.tool_call_chunks[0]["index"] == 0


BLOCKS: list[Any] = [
    {"type": "thinking", "thinking": "Blue.", "signature": "s", "index": 0},
    {"type": "text", "text": "It is blue.", "index": 1},
]
NO_CALL = invalid_tool_call(name="Weather", args="{", id="call_1", error=None)
MESSAGES = {
    "text": AIMessage("blue " * 100, additional_kwargs={"reasoning": "r"}),
    "blocks": AIMessage(BLOCKS),
    "unnumbered blocks": AIMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
    "strings": AIMessage(["a", "b", {"type": "text", "text": "c"}]),
    "several tools": AIMessage(
        "Both.", tool_calls=[tool_call(name="Weather", args={"n": n}, id=f"c{n}") for n in (1, 2)]
    ),
    "tools in the content": AIMessage(
        [
            {"type": "text", "text": "Both.", "index": 0},
            {"type": "tool_use", "id": "c1", "name": "Weather", "input": {"n": 1}, "index": 2},
            {"type": "function_call", "id": "fc", "call_id": "c2", "name": "Weather", "index": 5},
        ],
        tool_calls=[tool_call(name="Weather", args={"n": n}, id=f"c{n}") for n in (1, 2, 3)],
    ),
    "tools in another order": AIMessage(
        [{"type": "tool_use", "id": f"c{n}", "index": 3 - n} for n in (2, 1)],
        tool_calls=[tool_call(name="Weather", args={"n": n}, id=f"c{n}") for n in (1, 2)],
    ),
    "a broken tool call": AIMessage("", invalid_tool_calls=[{**NO_CALL, "args": None}]),
    "a name": AIMessage("blue", name="Ada"),
    "a provider": AIMessage(BLOCKS, response_metadata={"model_provider": "anthropic", "a": "b"}),
}


class Kept(InMemoryCache):
    """Holds one message as the answer to everything."""

    def __init__(self, message: AIMessage) -> None:
        super().__init__()
        self.kept: Any = [ChatGeneration(message=message)]

    def lookup(self, prompt: str, llm_string: str) -> Any:
        return self.kept


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_chunks_of_a_hit_add_up_to_exactly_the_stored_message(kind: str) -> None:
    message = MESSAGES[kind]
    before = message.model_dump_json()
    model = cached(Model(cache=Kept(message), calls=[]))
    got = whole(list(model.stream("q")))
    for field in ("content", "tool_calls", "invalid_tool_calls", "response_metadata", "name"):
        assert getattr(got, field) == getattr(message, field)
    assert got.additional_kwargs == message.additional_kwargs
    assert got.content_blocks == message.content_blocks
    assert message.model_dump_json() == before


def test_a_tool_call_of_a_hit_comes_with_its_block_under_the_same_number() -> None:
    chunks = cached(Model(cache=Kept(MESSAGES["tools in the content"]), calls=[])).stream("q")
    found = [[(call["id"], call["index"]) for call in each.tool_call_chunks] for each in chunks]
    assert found == [[], [("c1", 2)], [("c2", 5)], [("c3", 3)]]


def test_standard_content_blocks_are_kept_apart_and_stored_as_the_stream_ends() -> None:
    two = AIMessage(
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        response_metadata={"output_version": "v1"},
    )
    model = cached(Model(cache=Kept(two), calls=[], output_version="v1"))
    got = whole(list(model.stream("q")))
    assert [block["text"] for block in got.content_blocks] == ["a", "b"]  # type: ignore[typeddict-item]
    assert two.content == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    for script in (TEXT, TOOL):
        fresh = Model(cache=InMemoryCache(), calls=[], output_version="v1", script=script)
        streamed = whole(list(cached(fresh).stream("q")))
        assert fresh.invoke("q").content == streamed.content
        again = whole(list(cached(fresh).stream("q")))
        assert (again.content, again.tool_calls) == (streamed.content, streamed.tool_calls)
        assert len(fresh.calls) == 1


def test_standard_blocks_of_a_tool_call_in_pieces_are_stored_as_one_call() -> None:
    pieces = [
        tool_chunk(args, name, call)
        for args, name, call in (('{"city":', "Weather", "c"), ('"Rome"}', None, None))
    ]
    for piece in pieces:
        piece.content = [{**call, "type": "tool_call_chunk"} for call in piece.tool_call_chunks]
    pieces[0].response_metadata = {"output_version": "v1"}
    model = Model(cache=InMemoryCache(), calls=[], script=pieces)
    list(cached(model).stream("q"))
    assert [block["type"] for block in model.invoke("q").content_blocks] == ["tool_call"]
    assert len(model.calls) == 1


def test_every_chunk_of_a_hit_says_whose_content_it_is() -> None:
    provider = {"model_provider": "anthropic", "stop_reason": "end_turn"}
    message = AIMessage(BLOCKS, response_metadata=provider)
    chunks = list(cached(Model(cache=Kept(message), calls=[])).stream("q"))
    assert [c.response_metadata["model_provider"] for c in chunks] == ["anthropic"] * 3
    assert [block["type"] for block in chunks[0].content_blocks] == ["reasoning"]


def test_a_text_answer_that_another_cache_kept_is_a_hit(model: Model) -> None:
    class Text(Kept):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            return [Generation(text="old")]

    model.cache = Text(AIMessage(""))
    assert [chunk.content for chunk in cached(model).stream("q")] == ["old", ""]


# Where it fits


def test_a_chain_streams_a_hit(model: Model) -> None:
    chain = ChatPromptTemplate.from_messages([("human", "{q}")]) | cached(model) | StrOutputParser()
    assert list(chain.stream({"q": "q"})) == ["The sky ", "is blue.", "", ""]
    assert "".join(chain.stream({"q": "q"})) == chain.invoke({"q": "q"}) == "The sky is blue."
    assert model.calls == ["q"]


@pytest.mark.parametrize(
    "bound",
    [lambda model: cached(model).bind_tools([Weather]), lambda m: cached(m.bind_tools([Weather]))],
    ids=["tools on the cached", "cached with tools"],
)
async def test_bound_tools_are_part_of_the_question(bound: Any, model: Model) -> None:
    model.script = TOOL
    for _ in range(2):
        assert whole(list(bound(model).stream("q"))).tool_calls[0]["args"] == {"city": "Rome"}
        assert whole(await astream(bound(model), "q")).tool_calls[0]["args"] == {"city": "Rome"}
    assert (await bound(model).ainvoke("q")).tool_calls[0]["id"] == "call_1"
    assert model.bind_tools([Weather]).invoke("q").tool_calls[0]["id"] == "call_1"
    assert model.calls == ["q"]
    list(cached(model).stream("q"))
    list(cached(model).stream("q", stop=["x"]))
    assert len(model.calls) == 3


async def test_structured_output_is_streamed_and_invoked_from_one_answer(model: Model) -> None:
    model.script = TOOL
    structured = cached(model).with_structured_output(Weather)
    assert list(structured.stream("q"))[-1] == Weather(city="Rome")
    assert list(structured.stream("q"))[-1] == Weather(city="Rome")
    assert (await astream(structured, "q"))[-1] == Weather(city="Rome")
    assert structured.invoke("q") == Weather(city="Rome")
    assert model.calls == ["q"]


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.events.append("start")

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.events.append(token)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        generation = response.generations[0][0]
        assert isinstance(generation, ChatGeneration)
        self.events.append(generation.message.content)


class Endings(BaseCallbackHandler):
    def __init__(self) -> None:
        self.infos: list[Any] = []

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.infos.append(response.generations[0][0].generation_info)


def test_callbacks_hear_of_a_hit_what_they_hear_of_a_call(model: Model) -> None:
    heard = []
    for _ in range(2):
        recorder = Recorder()
        list(cached(model).stream("q", config={"callbacks": [recorder]}))
        heard.append(recorder.events)
    text = "The sky is blue."
    assert heard == [["start", "The sky ", "is blue.", "", "", text], ["start", text, "", text]]


async def test_events_are_those_of_a_stream(model: Model) -> None:
    chain = cached(model) | StrOutputParser()
    for _ in range(2):
        events = [event async for event in chain.astream_events("q", version="v2")]
        of_model = [event for event in events if event["event"].startswith("on_chat_model")]
        kinds = [event["event"].removeprefix("on_chat_model_") for event in of_model]
        assert kinds == ["start", *(["stream"] * (len(kinds) - 2)), "end"]
        assert of_model[-1]["data"]["output"].content == "The sky is blue."
        assert of_model[0]["name"] == type(model).__name__
    assert model.calls == ["q"]


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_the_events_of_the_third_version_are_served_too(model: Model) -> None:
    texts = [str(cached(model).stream_events("q", version="v3").text) for _ in range(2)]
    assert texts == ["The sky is blue."] * 2
    assert model.calls == ["q"]


# What it costs


def commands(upstash: UpstashEndpoint, ask: Any) -> int:
    upstash.meter.reset()
    ask()
    return upstash.meter.read().commands


def test_a_miss_costs_a_lookup_and_a_store_and_a_hit_a_lookup(
    model: Model, upstash: UpstashEndpoint
) -> None:
    list(cached(model).stream("warm up"))
    asked = [commands(upstash, lambda: list(cached(model).stream("q"))) for _ in range(2)]
    assert asked == [2, 1]


async def test_an_invoke_that_streams_inside_asks_the_cache_once(
    model: Model, cache: UpstashRedisCache
) -> None:
    chain = cached(model) | (lambda _: cached(model).invoke("other"))
    with cache.policy() as report:
        _ = [event async for event in chain.astream_events("q", version="v2")]
    assert (report.misses, report.stored) == (2, 2)


async def test_a_model_that_streams_by_its_other_half_asks_the_cache_once(
    cache: UpstashRedisCache,
) -> None:
    class ByTheOther(AsyncModel):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            for chunk in self._stream(*args, **kwargs):
                yield chunk

    with cache.policy() as report:
        await astream(cached(ByTheOther(cache=cache, calls=[])), "q")
    assert (report.misses, report.stored) == (1, 1)


def test_chunks_of_a_miss_pass_through_as_they_come(model: Model, redis: Redis) -> None:
    class Waits(Model):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                self.calls.append(f"made {chunk.message.content}")
                yield chunk

    waits = Waits(cache=model.cache, calls=[])
    stream = cached(waits).stream("q")
    assert next(stream).content == "The sky "
    assert waits.calls == ["q", "made The sky "]
    assert not entries(redis)
    assert len(list(stream)) == 3
    assert len(entries(redis)) == 1


# What is never stored


def test_a_reader_that_leaves_early_stores_nothing(model: Model, redis: Redis) -> None:
    for _ in cached(model).stream("q"):
        break
    gc.collect()
    assert not entries(redis)


async def test_an_asynchronous_reader_that_leaves_early_stores_nothing(
    model: Model, redis: Redis
) -> None:
    stream: Any = cached(model).astream("q")
    await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0.05)
    assert not entries(redis)


async def test_a_cancelled_reader_stores_nothing(cache: UpstashRedisCache, redis: Redis) -> None:
    class Slow(AsyncModel):
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk
                begun.set()
                await asyncio.sleep(60 if len(self.calls) == 1 else 0)

    model, begun = cached(Slow(cache=cache, calls=[])), asyncio.Event()
    reading = asyncio.create_task(astream(model, "q"))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not entries(redis)
    assert whole(await astream(model, "q")).content == "The sky is blue."
    assert len(entries(redis)) == 1


async def test_a_model_that_fails_midway_stores_nothing(model: Model, redis: Redis) -> None:
    model.fails = 2
    with pytest.raises(RuntimeError, match="throttled"):
        list(cached(model).stream("q"))
    with pytest.raises(RuntimeError, match="throttled"):
        await astream(cached(model), "q")
    assert not entries(redis)
    model.fails = None
    assert whole(list(cached(model).stream("q"))).content == "The sky is blue."


def ends(**metadata: Any) -> AIMessageChunk:
    return AIMessageChunk(content="", response_metadata=metadata)


UNFINISHED = {
    **{f"for {name}": [*TEXT[:2], ends(**{name: "MAX_TOKENS"})] for name in FINISH_REASON_FIELDS},
    "for length": [*TEXT[:2], ends(finish_reason="length")],
    "filtered": [*TEXT[:2], ends(stopReason="guardrail_intervened")],
    "refused": [*TEXT[:2], ends(stop_reason="refusal")],
    "for two reasons": [*TEXT[:2], ends(finish_reason="length"), ends(finish_reason="stop")],
    "in silence": TEXT[:2],
    "in a tool call": TOOL[:1],
    "with a tool call that is no object": [tool_chunk("[1]", name="Weather", call="c"), TEXT[-1]],
    "empty": [TEXT[-1]],
}


@pytest.mark.parametrize("how", UNFINISHED)
def test_a_stream_that_did_not_end_well_is_stored_in_no_cache(how: str, model: Model) -> None:
    model.cache = InMemoryCache()
    model.script = UNFINISHED[how]
    list(cached(model).stream("q"))
    assert not model.cache._cache


@pytest.mark.parametrize(
    "last",
    [AIMessageChunk(content="."), AIMessageChunk(content=".", chunk_position="last")],
    ids=["of a model that names no provider", "of a provider that marks its last chunk"],
)
def test_the_end_of_a_stream_that_gives_no_reason_is_believed(
    last: AIMessageChunk, model: Model, redis: Redis
) -> None:
    model.script = [TEXT[0] if last.chunk_position else TEXT[1], last]
    list(cached(model).stream("q"))
    assert len(entries(redis)) == 1


class Informed(Model):
    """Tells why it stopped beside the message, as OpenAI's models do."""

    reason: str

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        text, info = TEXT[0].model_copy(deep=True), {"finish_reason": self.reason}
        yield ChatGenerationChunk(message=text)
        yield ChatGenerationChunk(message=AIMessageChunk(content="."), generation_info=info)


def test_a_reason_beside_the_message_is_read_and_returned_with_every_answer() -> None:
    model = Informed(cache=InMemoryCache(), calls=[], reason="stop")
    recorder = Endings()
    for _ in range(2):
        list(cached(model).stream("q", config={"callbacks": [recorder]}))
    cut = Informed(cache=InMemoryCache(), calls=[], reason="length")
    list(cached(cut).stream("q"))
    assert (len(model.cache._cache), len(cut.cache._cache)) == (1, 0)  # type: ignore[union-attr]
    assert model.invoke("q").response_metadata["finish_reason"] == "stop"
    assert recorder.infos == [{"finish_reason": "stop"}] * 2


def test_what_a_reader_writes_on_a_chunk_is_not_stored(model: Model) -> None:
    for chunk in cached(model).stream("q"):
        chunk.content = "forged"
    assert model.invoke("q").content == "The sky is blue."


def test_a_chunk_that_cannot_be_copied_is_passed_on_and_the_stream_not_stored(
    model: Model, redis: Redis
) -> None:
    class Odd(Model):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                yield chunk.model_copy(update={"generation_info": {"raw": iter(())}})
                return

    class Uncopied(list[Any]):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("no copies")

    class Locked(Model):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                yield chunk.model_copy(update={"generation_info": {"raw": Uncopied()}})
                return

    for kind in (Odd, Locked):
        got = list(cached(kind(cache=model.cache, calls=[])).stream("q"))
        assert got[0].content == "The sky "
    assert not entries(redis)


def test_several_choices_are_neither_read_from_a_stream_nor_stored_as_one(redis: Redis) -> None:
    model = Model(cache=InMemoryCache(), calls=[])
    for _ in range(2):
        list(cached(model).stream("q", n=2))
    assert len(model.calls) == 2


# Clears and policies


def test_a_clear_that_comes_during_a_stream_prevents_the_store(
    model: Model, cache: UpstashRedisCache, redis: Redis
) -> None:
    list(cached(model).stream("another"))
    stream = cached(model).stream("q")
    next(stream)
    cache.clear()
    list(stream)
    list(cached(model).stream("q"))
    assert model.calls.count("q") == 2


def test_a_clear_is_seen_though_every_chunk_is_asked_for_from_another_context(
    model: Model, cache: UpstashRedisCache
) -> None:
    list(cached(model).stream("another"))
    stream = cached(model).stream("q")
    copy_context().run(next, stream)
    cache.clear()
    copy_context().run(list, stream)
    list(cached(model).stream("q"))
    assert model.calls.count("q") == 2


async def test_a_clear_is_seen_though_every_chunk_is_asked_for_by_another_task(
    model: Model, cache: UpstashRedisCache
) -> None:
    await astream(cached(model), "another")
    stream: Any = cached(model).astream("q")
    more: Any = await asyncio.create_task(anext(stream))
    await cache.aclear()
    while more is not None:
        more = await asyncio.create_task(anext(stream, None))
    await astream(cached(model), "q")
    assert model.calls.count("q") == 2


def test_two_streams_of_one_question_at_once_do_not_mix_what_they_saw(
    model: Model, cache: UpstashRedisCache
) -> None:
    list(cached(model).stream("another"))
    one, other = cached(model).stream("q"), cached(model).stream("q")
    next(one), next(other)
    list(one)
    cache.clear()
    list(other)
    list(cached(model).stream("q"))
    assert model.calls.count("q") == 3


async def test_a_policy_around_a_stream_holds_for_it(
    model: Model, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=7)) as report:
        list(cached(model).stream("q"))
        await astream(cached(model), "p")
        list(cached(model).stream("q"))
    assert (report.misses, report.stored, report.hits) == (2, 2, 1)
    assert all(redis.ttl(key) <= 7 for key in entries(redis))


async def test_the_modes_hold_for_streams(
    model: Model, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(mode="bypass")):
        list(cached(model).stream("q"))
        await astream(cached(model), "q")
    assert (len(model.calls), entries(redis)) == (2, [])
    list(cached(model).stream("q"))
    with cache.policy(CachePolicy(mode="refresh")):
        list(cached(model).stream("q"))
        await astream(cached(model), "q")
    assert len(model.calls) == 5


def test_the_policy_at_the_first_chunk_is_the_policy_of_the_store(
    model: Model, cache: UpstashRedisCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=7)):
        stream = cached(model).stream("q")
        next(stream)
    list(stream)
    assert all(redis.ttl(key) <= 7 for key in entries(redis))


# Failures, and which cache


class Broken(BaseCache):
    """Fails at everything, with an error of its own."""

    def lookup(self, prompt: str, llm_string: str) -> Any:
        raise ZeroDivisionError

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        raise ZeroDivisionError

    def clear(self, **kwargs: Any) -> None:
        raise ZeroDivisionError


async def test_a_cache_that_fails_never_reaches_the_reader(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    model.cache = Broken()
    with caplog.at_level(logging.WARNING, "llm_cache"):
        assert whole(list(cached(model).stream("q"))).content == "The sky is blue."
        assert whole(await astream(cached(model), "q")).content == "The sky is blue."
    assert "cache lookup failed: ZeroDivisionError" in caplog.messages
    assert "cache update failed: ZeroDivisionError" in caplog.messages


def test_an_endpoint_that_is_gone_never_reaches_the_reader(model: Model) -> None:
    gone = Redis("http://127.0.0.1:9", "token")
    model.cache = UpstashRedisCache(gone, namespace="streams", timeout=0.5)
    assert whole(list(cached(model).stream("q"))).content == "The sky is blue."


async def test_a_miss_that_the_policy_makes_an_error_does_reach_the_reader(
    model: Model, cache: UpstashRedisCache
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")):
        with pytest.raises(CacheMiss):
            list(cached(model).stream("q"))
        with pytest.raises(CacheMiss):
            await astream(cached(model), "q")
    assert not model.calls


async def test_other_caches_serve_streams_too(model: Model) -> None:
    model.cache = InMemoryCache()
    list(cached(model).stream("q"))
    assert whole(await astream(cached(model), "q")).content == "The sky is blue."
    assert model.calls == ["q"]


@pytest.mark.parametrize(
    "found",
    [
        [],
        (),
        "text",
        (ChatGeneration(message=AIMessage("x")),),
        [ChatGeneration(message=BaseMessage("x", type="ai"))],
    ],
)
def test_what_a_cache_should_not_return_is_a_miss(found: Any, model: Model) -> None:
    odd = Kept(AIMessage(""))
    odd.kept = found
    model.cache = odd
    assert whole(list(cached(model).stream("q"))).content == "The sky is blue."


def test_the_global_cache_is_used_where_the_model_has_none() -> None:
    set_llm_cache(InMemoryCache())
    try:
        for own, calls in ((None, 1), (True, 1), (False, 2)):
            model = Model(calls=[], cache=own, temperature=calls)
            _ = [list(cached(model).stream("q")) for _ in range(2)]
            assert len(model.calls) == calls
            set_llm_cache(InMemoryCache())
    finally:
        set_llm_cache(None)


def test_a_cache_that_is_asked_for_and_not_there_is_the_error_that_invoke_raises() -> None:
    assert whole(list(cached(Model(calls=[])).stream("q"))).content == "The sky is blue."
    with pytest.raises(ValueError, match="no cache found"):
        list(cached(Model(calls=[], cache=True)).stream("q"))


# What it is


def test_a_cached_model_is_the_model_by_class_name_state_and_key(model: Model) -> None:
    view = cached(model)
    assert isinstance(view, type(model))
    assert view.get_name() == model.get_name()
    assert view._get_llm_string(stop=["x"], k=1) == model._get_llm_string(stop=["x"], k=1)
    assert cached(view) is view
    assert type(cached(model)) is type(view)
    model.temperature = 0.5
    assert view.temperature == 0.5


def test_a_model_that_can_be_serialised_keeps_its_name() -> None:
    class Named(Model):
        @classmethod
        def is_lc_serializable(cls) -> bool:
            return True

    named = [each._get_llm_string() for each in (cached(Named(calls=[])), Named(calls=[]))]
    assert named[0] == named[1]
    assert Named.__module__.rpartition(".")[2] in named[0]


def test_a_copy_of_a_cached_model_is_cached_by_its_own_settings(model: Model, redis: Redis) -> None:
    hot = cached(model).model_copy(update={"temperature": 1.0})
    warm = cached(model).configurable_fields(temperature=ConfigurableField(id="t"))
    for each in (cached(model), hot, warm.with_config(configurable={"t": 0.5})):
        first, again = (list(each.stream("q")) for _ in range(2))
        assert len(first) != len(again)
    assert len(entries(redis)) == 3


def test_a_model_that_cannot_stream_or_must_not_is_cached_as_invoke_is(
    cache: UpstashRedisCache,
) -> None:
    class Whole(Model):
        _stream = BaseChatModel._stream

    for model in (
        Whole(cache=cache, calls=[]),
        Model(cache=cache, calls=[], disable_streaming=True),
    ):
        assert [len(list(cached(model).stream("w"))) for _ in range(2)] == [1, 1]
    assert model.calls in (["w"], [])


def test_a_client_that_a_model_closes_is_open_while_the_cached_model_lives() -> None:
    closed = []

    class Closes(Model):
        def __del__(self) -> None:
            closed.append(type(self))

    view = cached(Closes(calls=[]))
    gc.collect()
    assert closed == []
    del view
    gc.collect()
    assert closed == [Closes]


@pytest.mark.parametrize("other", [FakeListLLM(responses=["a"]), StrOutputParser(), "model"])
def test_what_is_no_chat_model_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match=f"not a {type(other).__name__}: wrap the model"):
        cached(other)


class Bedrock:
    """Bedrock's streaming reply, as boto3 hands it on."""

    def __init__(self) -> None:
        self.calls = 0

    def converse_stream(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        call = {"toolUseId": "t1", "name": "Weather"}
        return {
            "stream": [
                {"messageStart": {"role": "assistant"}},
                *(self.text(text) for text in ("Let me ", "look.")),
                {"contentBlockStop": {"contentBlockIndex": 0}},
                {"contentBlockStart": {"contentBlockIndex": 1, "start": {"toolUse": call}}},
                *(self.args(args) for args in ('{"city": ', '"Rome"}')),
                {"contentBlockStop": {"contentBlockIndex": 1}},
                {"messageStop": {"stopReason": "tool_use"}},
                {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}},
            ]
        }

    def text(self, text: str) -> dict[str, Any]:
        return {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}}

    def args(self, args: str) -> dict[str, Any]:
        return {
            "contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": args}}}
        }


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_bedrock_streams_text_and_tools_from_the_cache(
    version: str, cache: UpstashRedisCache
) -> None:
    client = Bedrock()
    bare = ChatBedrockConverse(
        client=client,
        bedrock_client=client,
        model="anthropic.claude-3-haiku-20240307-v1:0",
        region_name="us-east-1",
        cache=cache,
        output_version=version,
    )
    model = cached(bare).bind_tools([Weather])
    first, again = whole(list(model.stream("q"))), whole(list(model.stream("q")))
    later = whole(await astream(model, "q"))
    assert client.calls == 1
    names = set()
    for each in (bare, cached(bare)):
        del bare.__dict__["_serialized"]  # so that each says by itself what it is
        names.add(each._get_llm_string())
    assert len(names) == 1
    assert first.text == again.text == later.text == "Let me look."
    expected = [tool_call(name="Weather", args={"city": "Rome"}, id="t1")]
    assert first.tool_calls == again.tool_calls == later.tool_calls == expected
    assert (await model.ainvoke("q")).tool_calls == expected
    assert [block["type"] for block in again.content_blocks] == ["text", "tool_call"]
    assert client.calls == 1

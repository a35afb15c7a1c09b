"""A replayed conversation makes no model call, for each provider, version and call style."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from tests.integration.langchain.call_styles import CALL_STYLES
from tests.integration.replays import chat, claude, converse, gemini, responses
from tests.integration.replays.wire_format import NAME, TOOL_RESULT, Provider
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._langchain.streaming import cached

PROVIDERS: dict[str, Any] = {
    "chat completions": chat,
    "responses": responses,
    "claude": claude,
    "converse": converse,
    "gemini": gemini,
}


MIXES = {
    "streams": ["stream"] * 3,
    "streams, then invokes": ["stream", "invoke", "ainvoke"],
    "invokes, then streams": ["invoke", "stream", "astream"],
    "alternating": ["stream invoke", "invoke stream", "stream invoke"],
    "alternating, asynchronous": ["ainvoke astream", "astream ainvoke", "ainvoke astream"],
}


@pytest.fixture(params=PROVIDERS)
def module(request: pytest.FixtureRequest) -> Any:
    return PROVIDERS[request.param]


@pytest.fixture
def provider(module: Any) -> Iterator[Provider]:
    with module.serve() as provider:
        yield provider


@pytest.fixture(params=["v0", "v1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(module: Any, provider: Provider, version: str, redis: Redis) -> Any:
    cache = UpstashRedisCache(redis, ttl=60, namespace="replays")
    bare = module.model(provider, output_version=version, cache=cache)
    return cached(bare).bind_tools([{"name": NAME, "description": "Tell.", "parameters": CITY}])


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def run(model: Any, styles: str, *, result: str = TOOL_RESULT) -> list[BaseMessage]:
    """Ask two questions, each answered by a tool call and then by text."""
    ask = cycle(CALL_STYLES[style] for style in styles.split())
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    for number in range(2):
        history.append(HumanMessage(f"How is the weather on day {number}?"))
        history.append(next(ask)(model, history))
        calls = getattr(history[-1], "tool_calls", [])
        assert [call["args"] for call in calls] == [{"city": "Rome"}]
        history += [ToolMessage(result, tool_call_id=call["id"]) for call in calls]
        history.append(next(ask)(model, history))
        assert history[-1].text == "Sunny, as ever."
    return history


@pytest.mark.parametrize("mix", MIXES)
def test_replayed_conversation_makes_no_model_call(
    mix: str, model: Any, provider: Provider
) -> None:
    calls = []
    for styles in MIXES[mix]:
        run(model, styles)
        calls.append(len(provider.requests))
    assert calls == [4, 4, 4]


def content_of(message: BaseMessage) -> dict[str, Any]:
    """Return a message without its id, its usage and its hit metadata."""
    plain = message_chunk_to_message(message) if isinstance(message, AIMessageChunk) else message
    fields = plain.model_dump(exclude={"id", "usage_metadata"})
    fields["response_metadata"].pop("cache", None)
    return fields


def test_hit_equals_the_sum_of_the_stored_stream(model: Any) -> None:
    streamed, *hits = [run(model, styles) for styles in ("stream", "stream", "invoke", "astream")]
    for hit in hits:
        assert [*map(content_of, hit)] == [*map(content_of, streamed)]


@pytest.mark.parametrize("styles", ["stream", "invoke"])
def test_provider_receives_a_replayed_conversation_as_the_first(
    styles: str, model: Any, provider: Provider
) -> None:
    histories = [run(model, styles) for styles in (styles, "stream", "invoke")]
    bodies = []
    for history in histories:
        fresh = model.bound.model_copy(update={"cache": False}).bind(**model.kwargs)
        fresh.invoke([*history, HumanMessage("And now?")])
        bodies.append(provider.requests[-1])
    assert bodies == [bodies[0]] * 3


def test_another_tool_result_makes_a_model_call(model: Any, provider: Provider) -> None:
    run(model, "stream")
    run(model, "stream", result=f"{TOOL_RESULT} And warm.")
    assert len(provider.requests) == 7


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("style", ["stream", "invoke"])
def test_events_of_a_hit_have_the_tool_call(style: str, model: Any, provider: Provider) -> None:
    stored = CALL_STYLES[style](model, "How is the weather?")
    heard = model.stream_events("How is the weather?", version="v3").output
    assert (heard.text, heard.tool_calls) == (stored.text, stored.tool_calls)
    assert len(provider.requests) == 1


MARKED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "claude": (
        [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}],
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
    "converse": (
        [{"type": "text", "text": "Hi"}, {"cachePoint": {"type": "default"}}],
        {"cache_control": {"type": "ephemeral"}},
    ),
    "chat completions": (
        [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        {"prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    ),
    "responses": (
        [
            {
                "type": "text",
                "text": "Hi",
                "extras": {"prompt_cache_breakpoint": {"mode": "explicit"}},
            }
        ],
        {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit"}},
    ),
}


@pytest.mark.parametrize("name", MARKED)
def test_prompt_cache_markers_make_no_model_call(name: str, redis: Redis) -> None:
    content, settings = MARKED[name]
    with PROVIDERS[name].serve() as provider:
        cache = UpstashRedisCache(redis, ttl=60, namespace="replays")
        model = PROVIDERS[name].model(provider, output_version="v0", cache=cache)
        model.invoke("Hi")
        model.invoke([HumanMessage(content)])
        model.invoke("Hi", **settings)
        model.invoke([HumanMessage(content)], **settings)
        assert len(provider.requests) == 1
        uncached = model.model_copy(update={"cache": False})
        uncached.invoke([HumanMessage(content)], **settings)
        assert any(word in str(provider.requests[-1]) for word in ("cache", "cachePoint"))

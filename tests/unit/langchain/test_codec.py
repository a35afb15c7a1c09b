import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel

from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import Entry
from llm_cache._langchain.codec import read, serialize, tokens
from llm_cache._report import Tokens

USAGE: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
FULL = AIMessage(
    content=[
        {"type": "text", "text": "a é"},
        {"type": "reasoning", "reasoning": "because"},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
    ],
    id="run-1",
    name="bob",
    tool_calls=[{"name": "f", "args": {"x": [1.5, None, {"y": True}]}, "id": "t1"}],
    invalid_tool_calls=[{"name": "g", "args": "{", "id": "t2", "error": "cut"}],
    usage_metadata={**USAGE, "input_token_details": {"cache_read": 1}},
    response_metadata={"model": {"stop": ["a", 1]}},
    additional_kwargs={"extra": 1},
)


def stored(texts: tuple[str, ...] | None) -> Entry:
    assert texts is not None
    return Entry({"": "e"}, 0.0, 1, tuple(json.loads(text) for text in texts))


CALL: Any = {
    "name": "f",
    "args": {"city": "Zürich \U0001f600", "n": [1, 1.0, True]},
    "id": "call_1",
}
CITATION: Any = {
    "type": "citation",
    "url": "https://example.org",
    "cited_text": "blue",
    "start_index": 0,
    "end_index": 4,
    "extras": {"file_id": "f1"},
}
MESSAGES: dict[str, AIMessage] = {
    "everything at once": FULL,
    "nothing": AIMessage(""),
    "no blocks": AIMessage([]),
    "text of many kinds": AIMessage('a\x00b\u2028\U0001f600\u0301 </script> "{}"', id=""),
    "tool calls": AIMessage("", tool_calls=[CALL, {**CALL, "id": None}, {**CALL, "args": {}}]),
    "invalid tool calls": AIMessage(
        "",
        tool_calls=[CALL],
        invalid_tool_calls=[
            invalid_tool_call(name="g", args='{"a', id="call_2", error="cut"),
            invalid_tool_call(name=None, args=None, id=None, error=None),
        ],
    ),
    "OpenAI's own form of tool calls": AIMessage(
        "",
        additional_kwargs={
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ]
        },
    ),
    "Anthropic's thinking": AIMessage(
        [
            {"type": "thinking", "thinking": "Hm.", "signature": "Eq==", "index": 0},
            {"type": "redacted_thinking", "data": "Zm9v"},
            {"type": "text", "text": "Blue.", "citations": [{"type": "char_location"}]},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": None},
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"url": "u"}]},
        ],
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "toolu_1"}],
        response_metadata={"model_provider": "anthropic", "stop_sequence": None},
    ),
    "OpenAI's reasoning items": AIMessage(
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "gAAA",
            },
            {"type": "text", "text": "Blue.", "annotations": [CITATION], "id": "msg_1"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc"},
            {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo="},
        ],
        tool_calls=[{"name": "f", "args": {}, "id": "c1"}],
        additional_kwargs={"reasoning": {"id": "rs_1"}},
        response_metadata={"model_provider": "openai", "id": "resp_1", "status": "completed"},
    ),
    "Bedrock's reasoning": AIMessage(
        [
            {
                "type": "reasoning_content",
                "reasoning_content": {"text": "Hm.", "signature": "Eq=="},
                "index": 0,
            },
            {"reasoningContent": {"reasoningText": {"text": "Hm."}}},
            {"type": "text", "text": "Blue."},
        ],
        response_metadata={"ResponseMetadata": {"HTTPHeaders": {"a": "b"}, "RetryAttempts": 0}},
    ),
    "standard blocks": AIMessage(
        content_blocks=[
            {"type": "reasoning", "reasoning": "Hm.", "id": "lc_1", "extras": {"signature": "s"}},
            {"type": "text", "text": "Blue.", "annotations": [CITATION]},
            {"type": "tool_call", "name": "f", "args": {}, "id": "c1"},
            {"type": "non_standard", "value": {"own": [None]}},
        ],
        response_metadata={"output_version": "v1"},
    ),
    "media": AIMessage(
        [
            {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
            {"type": "image", "url": "https://example.org/a.png"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"},
            {"type": "file", "file_id": "file_1"},
            {"type": "video", "url": "https://example.org/a.mp4"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ],
        additional_kwargs={
            "audio": {"id": "a1", "data": "AAAA", "expires_at": 1, "transcript": ""}
        },
    ),
    "strings among blocks": AIMessage(["a", {"type": "text", "text": "b"}, ""]),
    "a refusal": AIMessage("", additional_kwargs={"refusal": "I will not."}),
    "a refusal among blocks": AIMessage([{"type": "refusal", "refusal": "I will not."}]),
    "usage with details": AIMessage(
        "a",
        usage_metadata={
            **USAGE,
            "input_token_details": {"audio": 1, "cache_read": 0, "cache_creation": 2},
            "output_token_details": {"reasoning": 3},
        },
    ),
    "usage with a provider's own details": AIMessage(
        "a",
        usage_metadata={
            **USAGE,
            "input_token_details": {"priority": 1, "ephemeral_5m_input_tokens": 2},
        },
    ),
    "probabilities": AIMessage(
        "a", response_metadata={"logprobs": {"content": [{"logprob": -1e-05, "bytes": [97]}]}}
    ),
    "Bedrock's redacted reasoning": AIMessage(
        [
            {"type": "reasoning_content", "reasoning_content": {"redacted_content": b"\x00\xff"}},
            {"type": "text", "text": "Blue."},
        ]
    ),
    "bytes everywhere": AIMessage(
        [{"type": "image", "data": [b"", b"\x89PNG"]}],
        additional_kwargs={"raw": {"deep": [{"data": b"a"}]}},
        response_metadata={"raw": b"b"},
        tool_calls=[{**CALL, "args": {"data": b"c"}}],
    ),
    "what stands for bytes, and bytes": AIMessage(
        [{"bytes 0": "YQ=="}, {"bytes 1": "YQ=="}, {"bytes": "bytes 2"}, {"data": b"a"}],
        additional_kwargs={"bytes 2": {"bytes 3": "YQ=="}},
    ),
    "what stands for bytes": AIMessage([{"bytes 0": "YQ=="}], response_metadata={"bytes": "x"}),
    "fields of its own": AIMessage("a", reasoning={"text": "Hm."}, score=1.5),
    "a chunk": AIMessageChunk(
        content="part",
        tool_call_chunks=[tool_call_chunk(name="f", args='{"a": 1}', id="1", index=0)],
        usage_metadata=USAGE,
    ),
    "a whole chunk": AIMessageChunk(
        content=[{"type": "text", "text": "a", "index": 0}],
        tool_call_chunks=[tool_call_chunk(name="f", args='{"a": 1}', id="1", index=0)],
        chunk_position="last",
    ),
}
INFO = {"finish_reason": "stop", "logprobs": None}
ANSWERS: dict[str, list[Generation]] = {
    "text": [Generation(text="a", generation_info={"reason": "stop"}), Generation(text="")],
    "text with bytes": [Generation(text="a bytes 0", generation_info={"raw": b"a"})],
    "text in chunks": [GenerationChunk(text="a\u2028")],
    "several choices": [ChatGeneration(message=m, generation_info=INFO) for m in MESSAGES.values()],
    **{name: [ChatGeneration(message=message)] for name, message in MESSAGES.items()},
    **{
        f"{name} of a stream": [ChatGenerationChunk(message=message, generation_info=INFO)]
        for name, message in MESSAGES.items()
        if isinstance(message, AIMessageChunk)
    },
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_comes_back_is_what_went_in(answer: list[Generation]) -> None:
    before = repr(answer)
    revived = read(stored(serialize(answer)))
    assert revived == answer
    assert repr(revived) == repr(answer) == before
    kinds = [type(one.message) for one in answer if isinstance(one, ChatGeneration)]
    assert [type(one.message) for one in revived if isinstance(one, ChatGeneration)] == kinds


class OwnGeneration(Generation):
    pass


class OwnMessage(AIMessage):
    pass


Namesake = type("AIMessage", (AIMessage,), {})


class Block(BaseModel):
    text: str


def assigned(name: str, value: Any) -> AIMessage:
    """Return a message with a field that LangChain did not check."""
    message = AIMessage("a")
    object.__setattr__(message, name, value)
    return message


def counted(**counts: Any) -> AIMessage:
    return AIMessage("a", usage_metadata={**USAGE, **counts})


ODD: dict[str, AIMessage] = {
    "a class of one's own": OwnMessage(content="a"),
    "a class of one's own by LangChain's name": Namesake("a"),
    "bytes of a class of one's own": AIMessage([{"data": type("Own", (bytes,), {})(b"a")}]),
    "bytes that may change": AIMessage([{"type": "image", "data": bytearray(b"\x89PNG")}]),
    "bytes for a name": AIMessage("a", additional_kwargs={"by name": {b"a": 1}}),
    "infinity": AIMessage("a", response_metadata={"logprob": float("-inf")}),
    "half of a surrogate pair": AIMessage("a \ud800"),
    "half of a surrogate pair in a name": AIMessage("a", additional_kwargs={"\udfff": 1}),
    "more tokens than there are": counted(input_tokens=10**4000),
    "fewer tokens than none": counted(output_tokens=-1),
    "tokens in detail that are none": counted(input_token_details={"cache_read": -1}),
    "a time": AIMessage("a", response_metadata={"created": datetime.now(tz=UTC)}),
    "not a number": AIMessage("a", response_metadata={"logprob": float("nan")}),
    "a set": AIMessage("a", additional_kwargs={"labels": {"x"}}),
    "a pair": AIMessage("a", additional_kwargs={"span": (1, 2)}),
    "keys that are no text": AIMessage("a", additional_kwargs={"by index": {0: "x"}}),
    "an object": AIMessage("a", response_metadata={"raw": object()}),
    "a block that is an object": AIMessage("a", response_metadata={"raw": Block(text="x")}),
    "a pair of surrogates that JSON makes one": AIMessage([{"text": "\ud83d\ude00"}]),
    "a whole number too long to write": AIMessage("a", additional_kwargs={"n": 10**5000}),
    "usage that counts nothing": assigned("usage_metadata", {"total_cost": 0}),
    "a tool call with extras": assigned("tool_calls", [{**CALL, "extras": {"signature": "s"}}]),
    "no content": assigned("content", None),
}


@pytest.mark.parametrize("message", ODD.values(), ids=ODD)
def test_a_message_that_would_not_come_back_as_it_is_is_not_stored(message: AIMessage) -> None:
    good = ChatGeneration(message=AIMessage("fine"))
    odd = good.model_copy(update={"message": message})
    assert serialize([good]) is not None
    assert serialize([odd]) is None
    assert serialize([good, odd]) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(max_size=3)
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["a", "parsed", "cache", "tool_calls", "type"]), VALUES)
GENERATIONS = st.builds(
    lambda kind, content, extras, metadata, info: ChatGeneration(
        message=kind(content=content, additional_kwargs=extras, response_metadata=metadata),
        generation_info=info,
    ),
    st.sampled_from([AIMessage, AIMessageChunk, OwnMessage]),
    st.text() | st.lists(st.text() | FIELDS, max_size=3),
    FIELDS,
    FIELDS,
    st.none() | FIELDS,
)


@given(st.lists(GENERATIONS, max_size=2))
def test_any_answer_comes_back_as_it_was_or_is_not_stored(answer: list[Any]) -> None:
    before = repr(answer)
    texts = serialize(answer)
    assert texts is None or repr(read(stored(texts))) == before
    assert repr(answer) == before


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [Generation(text="a", generation_info={"number": float("nan")})],
        [Generation(text="a", generation_info={"pair": (1, 2)})],
        [Generation(text="a", generation_info={"map": {1: "a"}})],
        [Generation(text="a", generation_info={"data": bytearray(b"bytes")})],
        [Generation(text="a", generation_info={"class": object})],
        [OwnGeneration(text="a")],
        [ChatGeneration(message=HumanMessage("not of a model"))],
        [Generation(text="fine"), OwnGeneration(text="a")],
    ],
)
def test_what_would_not_come_back_as_it_is_is_not_stored(answer: list[Generation]) -> None:
    assert serialize(answer) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "raw text",
        [],
        {},
        {"kind": "Generation"},
        {"kind": "Generation", "info": None, "text": 7},
        {"kind": "OwnGeneration", "info": None, "text": "a"},
        {"kind": "ChatGeneration", "info": None, "text": "a"},
        {"kind": "ChatGeneration", "info": None, "message": {"kind": "HumanMessage", "fields": {}}},
        {"kind": "ChatGeneration", "info": None, "message": {"kind": "AIMessage", "fields": {}}},
        {"kind": ["Generation"], "info": None, "text": "a"},
        {"lc": 1, "type": "constructor", "id": ["langchain_core", "prompts"], "kwargs": {}},
    ],
)
def test_anything_else_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (value,)))


def test_tokens_are_those_the_model_reported() -> None:
    counted = ChatGeneration(message=FULL)
    assert tokens([counted, counted, Generation(text="a")]) == Tokens(6, 8)
    assert tokens([ChatGeneration(message=AIMessage("no usage"))]) == Tokens()

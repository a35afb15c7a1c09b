import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache import UnreadableEntry
from llm_cache.entry import Entry
from llm_cache.generations import read, serialize, tokens

USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
FULL = AIMessage(
    content=[
        {"type": "text", "text": "a \ud800 é"},
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


@pytest.mark.parametrize(
    "answer",
    [
        [Generation(text="a", generation_info={"reason": "stop"}), Generation(text="")],
        [GenerationChunk(text="a")],
        [ChatGeneration(message=FULL, generation_info={"finish_reason": "stop"})],
        [ChatGeneration(message=AIMessage("one")), ChatGeneration(message=AIMessage("two"))],
        [
            ChatGenerationChunk(
                message=AIMessageChunk(
                    content="part",
                    tool_call_chunks=[{"name": "f", "args": '{"a":', "id": "1", "index": 0}],
                )
            )
        ],
    ],
)
def test_what_comes_back_is_what_went_in(answer: list[Generation]) -> None:
    revived = read(stored(serialize(answer)))
    assert revived == answer
    assert [type(generation) for generation in revived] == [type(one) for one in answer]


class OwnGeneration(Generation):
    pass


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [Generation(text="a", generation_info={"number": float("nan")})],
        [Generation(text="a", generation_info={"pair": (1, 2)})],
        [Generation(text="a", generation_info={"map": {1: "a"}})],
        [Generation(text="a", generation_info={"data": b"bytes"})],
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
    assert tokens([counted, counted, Generation(text="a")]) == 14
    assert tokens([ChatGeneration(message=AIMessage("no usage"))]) == 0

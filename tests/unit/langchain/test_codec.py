import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel
from tests.unit.langchain.generations import ANSWERS, CALL, FULL, USAGE

from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import Entry
from llm_cache._langchain.codec import read, serialize, tokens
from llm_cache._report import Tokens


def restored(texts: tuple[str, ...] | None) -> list[Generation]:
    assert texts is not None
    return read(Entry({"": "e"}, 0.0, 1, tuple(json.loads(text) for text in texts)))


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answer_is_restored_exactly(answer: list[Generation]) -> None:
    before = repr(answer)
    found = restored(serialize(answer))
    assert found == answer
    assert repr(found) == repr(answer) == before
    kinds = [type(one.message) for one in answer if isinstance(one, ChatGeneration)]
    assert [type(one.message) for one in found if isinstance(one, ChatGeneration)] == kinds


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


ODD: dict[str, AIMessage | HumanMessage] = {
    "own class": OwnMessage(content="a"),
    "own class by LangChain's name": Namesake("a"),
    "message of a human": HumanMessage("a"),
    "bytes of an own class": AIMessage([{"data": type("Own", (bytes,), {})(b"a")}]),
    "mutable bytes": AIMessage([{"type": "image", "data": bytearray(b"\x89PNG")}]),
    "bytes for a name": AIMessage("a", additional_kwargs={"by name": {b"a": 1}}),
    "infinity": AIMessage("a", response_metadata={"logprob": float("-inf")}),
    "not a number": AIMessage("a", response_metadata={"logprob": float("nan")}),
    "lone surrogate": AIMessage("a \ud800"),
    "lone surrogate in a name": AIMessage("a", additional_kwargs={"\udfff": 1}),
    "surrogate pair that JSON joins": AIMessage([{"text": "\ud83d\ude00"}]),
    "too many tokens": counted(input_tokens=10**4000),
    "negative tokens": counted(output_tokens=-1),
    "negative tokens in detail": counted(input_token_details={"cache_read": -1}),
    "time": AIMessage("a", response_metadata={"created": datetime.now(tz=UTC)}),
    "set": AIMessage("a", additional_kwargs={"labels": {"x"}}),
    "tuple": AIMessage("a", additional_kwargs={"span": (1, 2)}),
    "keys that are no text": AIMessage("a", additional_kwargs={"by index": {0: "x"}}),
    "object": AIMessage("a", response_metadata={"raw": object()}),
    "pydantic object": AIMessage("a", response_metadata={"raw": Block(text="x")}),
    "integer too long": AIMessage("a", additional_kwargs={"n": 10**5000}),
    "usage without counts": assigned("usage_metadata", {"total_cost": 0}),
    "tool call with extras": assigned("tool_calls", [{**CALL, "extras": {"signature": "s"}}]),
    "no content": assigned("content", None),
}


@pytest.mark.parametrize("message", ODD.values(), ids=ODD)
def test_message_that_cannot_be_restored_exactly_is_not_stored(message: AIMessage) -> None:
    good = ChatGeneration(message=AIMessage("fine"))
    odd = good.model_copy(update={"message": message})
    assert serialize([good]) is not None
    assert serialize([odd]) is serialize([good, odd]) is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        *(
            [Generation(text="a", generation_info={"field": value})]
            for value in (float("nan"), (1, 2), {1: "a"}, bytearray(b"bytes"), object)
        ),
        [OwnGeneration(text="a")],
        [Generation(text="fine"), OwnGeneration(text="a")],
    ],
)
def test_text_answer_that_cannot_be_restored_exactly_is_not_stored(
    answer: list[Generation],
) -> None:
    assert serialize(answer) is None


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
def test_any_answer_is_restored_exactly_or_not_stored(answer: list[Any]) -> None:
    before = repr(answer)
    texts = serialize(answer)
    assert texts is None or repr(restored(texts)) == before
    assert repr(answer) == before


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
        {"kind": "Generation", "info": {"x": {"b": "Y@Q=="}}, "text": "a", "bytes": "b"},
        {"lc": 1, "type": "constructor", "id": ["langchain_core", "prompts"], "kwargs": {}},
    ],
)
def test_any_other_value_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (value,)))


def test_tokens_are_those_that_the_model_reported() -> None:
    with_usage = ChatGeneration(message=FULL)
    assert tokens([with_usage, with_usage, Generation(text="a")]) == Tokens(6, 8)
    assert tokens([ChatGeneration(message=AIMessage("no usage"))]) == Tokens()

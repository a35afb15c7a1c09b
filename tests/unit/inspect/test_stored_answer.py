import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import Entry
from llm_cache._inspect.stored_answer import read_answer
from llm_cache._langchain.codec import serialize
from llm_cache._report import Tokens

USAGE: Any = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}


def entry(codec: str, *answer: Any) -> Entry:
    return Entry({"": "e1"}, 0.0, 60, answer, codec)


def chat(*generations: Generation) -> Entry:
    texts = serialize(generations)
    assert texts is not None
    return entry("langchain", *map(json.loads, texts))


def test_chat_answer_has_its_text_its_tokens_and_its_model() -> None:
    message = AIMessage("hi", usage_metadata=USAGE, response_metadata={"model_name": "m1"})
    found = read_answer(chat(ChatGeneration(message=message)))
    assert (found.text, found.tokens, found.model) == ("hi", Tokens(3, 5), "m1")
    assert found.value[0]["message"]["fields"]["content"] == "hi"


def test_answer_without_text_is_shown_as_json() -> None:
    call = {"name": "find", "args": {"x": 1}, "id": "c1", "type": "tool_call"}
    found = read_answer(chat(ChatGeneration(message=AIMessage("", tool_calls=[call]))))
    assert '"name": "find"' in found.text


def test_completion_has_its_text_and_no_model() -> None:
    found = read_answer(chat(Generation(text="one"), Generation(text="two")))
    assert (found.text, found.model) == ("one\n\ntwo", None)


def test_response_of_a_function_is_its_json() -> None:
    found = read_answer(entry("json", {"answer": "hi", "model": "m1", "usage": USAGE}))
    assert found.value["answer"] == "hi"
    assert (found.tokens, found.model) == (Tokens(3, 5), "m1")


@pytest.mark.parametrize("found", [entry("pickle", {}), entry("json", "x"), entry("langchain", 1)])
def test_answer_of_another_form_is_unreadable(found: Entry) -> None:
    with pytest.raises(UnreadableEntry):
        read_answer(found)


def test_answer_is_not_in_its_repr() -> None:
    assert "hi" not in repr(read_answer(entry("json", {"answer": "hi"})))

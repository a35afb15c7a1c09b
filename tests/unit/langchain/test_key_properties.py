"""Keys of generated conversations and texts."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, ToolMessage
from tests.unit.langchain.llm_strings import canonical
from tests.unit.langchain.strategies import IDS, MESSAGES, TEXT

from llm_cache._langchain.conversation_key import conversation_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "type", "lc", "kwargs", "content", "x"]), inner)
    ),
    max_leaves=20,
)


@given(TEXT | JSON.map(json.dumps), TEXT | JSON.map(repr))
def test_any_text_is_accepted_and_its_result_is_final(prompt: str, llm_string: str) -> None:
    once = canonical(prompt, llm_string)
    assert canonical(*once) == once


@given(TEXT.filter(lambda text: not text.lstrip().startswith("[")))
def test_plain_text_is_unchanged(prompt: str) -> None:
    assert conversation_text(prompt) == prompt


def key(messages: list[BaseMessage]) -> str:
    return conversation_text(dumps(messages))


def calls_of(message: BaseMessage) -> list[Any]:
    return getattr(message, "tool_calls", [])


def sent_content(content: Any) -> Any:
    """Return what a provider receives of a content, by another implementation."""
    if isinstance(content, str):
        return [("text", content, None)]
    return [
        ("string", block) if isinstance(block, str)
        else ("text", block["text"], block.get("citations"))
        for block in content
        if isinstance(block, str) or "text" in block
    ]  # fmt: skip


def meaning(messages: list[BaseMessage]) -> str:
    """Return what a model sees, by another implementation."""
    ids: list[object] = []
    seen: list[object] = []
    for each in messages:
        calls = [*calls_of(each)]
        ids += [call["id"] for call in calls]
        ids += [each.tool_call_id] if isinstance(each, ToolMessage) else []
        order = list(dict.fromkeys(ids))
        seen += [each.type, sent_content(each.content), each.name]
        seen += [(order.index(c["id"]), c["name"], sorted(c["args"].items())) for c in calls]
        seen += [order.index(each.tool_call_id)] if isinstance(each, ToolMessage) else []
    return repr(seen)


@given(MESSAGES, MESSAGES)
def test_conversations_have_equal_keys_only_if_equal_in_meaning(
    one: list[BaseMessage], other: list[BaseMessage]
) -> None:
    assert (key(one) == key(other)) == (meaning(one) == meaning(other))


@given(MESSAGES, st.data())
def test_one_changed_message_changes_the_key(messages: list[BaseMessage], data: Any) -> None:
    place = data.draw(st.integers(0, len(messages) - 1))
    changed = [*messages]
    changed[place] = messages[place].model_copy(update={"content": data.draw(TEXT)})
    same = sent_content(changed[place].content) == sent_content(messages[place].content)
    assert (key(messages) == key(changed)) == same


@given(MESSAGES, st.permutations(IDS))
def test_calls_under_other_ids_have_the_same_key(
    messages: list[BaseMessage], names: list[str]
) -> None:
    renamed = dict(zip(IDS, names, strict=True))
    copies = [message.model_copy(deep=True) for message in messages]
    for message in copies:
        for call in calls_of(message):
            call["id"] = renamed[call["id"]]
        if isinstance(message, ToolMessage):
            message.tool_call_id = renamed[message.tool_call_id]
    assert key(messages) == key(copies)

"""Keys of generated conversations and texts."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from tests.unit.langchain.llm_strings import canonical

from llm_cache._langchain.conversation_key import conversation_text

TEXT = st.text(st.characters(exclude_categories=[]), max_size=80)
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


NAMES = st.sampled_from(["f", "g", "0"])
IDS = ["0", "1", "2", "call_a"]
SMALL = st.sampled_from(["", "a", "b", "0", "1", '"', "é", "e\u0301"])
ARGS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    SMALL, st.sampled_from([1, 1.0, True, "1", None, [], {}]), max_size=2
)
CALLS = st.builds(
    lambda name, args, id_: {"name": name, "args": args, "id": id_, "type": "tool_call"},
    NAMES,
    ARGS,
    st.sampled_from(IDS),
)
MARKER = {"cache_control": {"type": "ephemeral"}}
GENERATED_ID = {"id": "lc_00000000-0000-0000-0000-000000000000"}
BLOCK = st.builds(
    lambda text, ignored, kept: {"type": "text", "text": text} | ignored | kept,
    SMALL,
    st.sampled_from([{}, MARKER, {"extras": MARKER}, GENERATED_ID]),
    st.sampled_from([{}, {"citations": [1]}]),
)
POINT = {"cachePoint": {"type": "default"}}
CONTENT = SMALL | st.lists(BLOCK | st.just(POINT), min_size=1, max_size=3)
MESSAGES = st.lists(
    st.builds(HumanMessage, CONTENT, name=st.none() | SMALL)
    | st.builds(SystemMessage, CONTENT | st.lists(SMALL, max_size=2))
    | st.builds(AIMessage, CONTENT, tool_calls=st.lists(CALLS, max_size=2))
    | st.builds(ToolMessage, CONTENT, tool_call_id=st.sampled_from(IDS), artifact=st.none() | ARGS),
    min_size=1,
    max_size=3,
)


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

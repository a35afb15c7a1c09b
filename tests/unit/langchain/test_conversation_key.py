"""Conversations with one meaning have one key, and no two others share a key."""

import json
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import tool_call_chunk
from pydantic import BaseModel
from tests.unit.langchain.llm_strings import canonical

from llm_cache._entries.keys import digest
from llm_cache._langchain import conversation_key
from llm_cache._langchain.conversation_key import conversation_hash, conversation_text


def key(*messages: BaseMessage) -> str:
    return conversation_text(dumps(list(messages)))


def ai(*blocks: Any, **fields: Any) -> AIMessage:
    return AIMessage([*blocks], **fields)


def result(content: Any) -> ToolMessage:
    return ToolMessage(content, tool_call_id="1")


def call(id_: str | None, name: str = "f", **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": id_, "type": "tool_call"}


def streamed(*chunks: AIMessageChunk) -> AIMessageChunk:
    return reduce(add, [*chunks, AIMessageChunk(content="", chunk_position="last")])


class Parsed(BaseModel):
    name: str


OWN, OTHER = (f"lc_{d * 8}-{d * 4}-{d * 4}-{d * 4}-{d * 12}" for d in "01")
ROLES: list[Any] = [HumanMessage, SystemMessage, AIMessage, result]
TEXT: dict[str, Any] = {"type": "text", "text": "a"}
IMAGE = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
THOUGHT = {"type": "thinking", "thinking": "a", "signature": "s"}
MARKER = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
POINT = {"cachePoint": {"type": "default"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
USAGES: list[Any] = [{f"{n}_tokens": 0 for n in ("input", "output", "total")}]
USAGES += [dict.fromkeys(USAGES[0], 1)]
JSON_ANSWER: Any = {"content": '{"name": "Ada"}', "response_metadata": {"model_name": "m"}}
PARSED: list[Any] = [{}, {"parsed": {"name": "Ada"}}, {"parsed": Parsed(name="Ada")}]
CALL_PIECES: list[Any] = [
    {"name": "f", "args": '{"x":', "id": "1"},
    {"name": None, "args": "1}", "id": None},
]
WHOLE_STREAM = streamed(
    *(
        AIMessageChunk(content="a", tool_call_chunks=[tool_call_chunk(**piece, index=0)])
        for piece in CALL_PIECES
    )
)

EQUAL: dict[str, list[BaseMessage]] = {
    "id": [AIMessage("a"), AIMessage("a", id="run-1")],
    "usage": [
        AIMessage("a"),
        *(
            AIMessage(
                "a", usage_metadata={"input_tokens": n, "output_tokens": n, "total_tokens": n}
            )
            for n in (0, 1)
        ),
    ],
    "response metadata of a text": [
        AIMessage("a"),
        AIMessage("a", response_metadata={"request": "r", "model_provider": "p", "cost": 0}),
    ],
    "response metadata of blocks": [
        ai(THOUGHT, response_metadata={"model_name": "m", "request": each}) for each in "12"
    ],
    "parsed output": [AIMessage(**JSON_ANSWER, additional_kwargs=each) for each in PARSED],
    "parsed output of a chunk": [
        AIMessageChunk(**JSON_ANSWER, additional_kwargs={"refusal": None, **each})
        for each in PARSED
    ],
    "usage in additional_kwargs": [
        AIMessage("a"),
        AIMessage("a", additional_kwargs={"usage": {"prompt_tokens": 3}}),
    ],
    "generated ids of blocks": [
        HumanMessage([{"type": "text", "text": "a", **id_}])
        for id_ in ({}, {"id": OWN}, {"id": OTHER})
    ],
    "indices of streamed blocks": [
        ai(*({**block, **index} for block in (THOUGHT, TEXT, {"type": "tool_use", "id": "1"})))
        for index in ({}, {"index": 0}, {"index": 7}, {"index": "lc_0"}, {"index": "lc_txt_7"})
    ],
    "index of one text block": [AIMessage("a"), ai(TEXT | {"index": 0})],
    "artifact": [
        ToolMessage("a", tool_call_id="1", artifact=each) for each in (None, {"x": 1}, [2])
    ],
    "sum of a stream": [WHOLE_STREAM, AIMessage("aa", tool_calls=[call("1", x=1)])],
    "ids of tool calls": [AIMessage("", tool_calls=[call(id_)]) for id_ in "xy"],
}
for role in ROLES:
    EQUAL[f"one text block, {role.__name__}"] = [
        role(content) for content in ("a", [TEXT], [TEXT | {"id": OWN}])
    ]
for kind, link in [
    ("tool_call", "id"),
    ("tool_call_chunk", "id"),
    ("server_tool_call_chunk", "id"),
    ("invalid_tool_call", "id"),
    ("server_tool_use", "id"),
    ("server_tool_call", "id"),
    ("mcp_tool_use", "id"),
    ("function_call", "call_id"),
    ("function_call", "id"),
    ("function_call_output", "call_id"),
    ("web_search_tool_result", "tool_use_id"),
    ("server_tool_result", "tool_call_id"),
]:
    EQUAL[f"{link} of a {kind} block"] = [ai({"type": kind, link: id_}) for id_ in "xy"]


@pytest.mark.parametrize("messages", EQUAL.values(), ids=EQUAL)
def test_messages_that_differ_in_an_ignored_field_have_equal_keys(
    messages: list[BaseMessage],
) -> None:
    assert len({key(message) for message in messages}) == 1


MARKED: list[tuple[list[Any], Any]] = [
    ([TEXT | MARKER], "a"),
    ([TEXT | {"extras": MARKER}], "a"),
    ([TEXT | BREAKPOINT], "a"),
    ([TEXT | {"extras": BREAKPOINT}], "a"),
    ([TEXT, POINT], "a"),
    ([POINT, TEXT, POINT], "a"),
    ([TEXT, {"cache_point": {"type": "default", "ttl": "1h"}}], "a"),
    ([TEXT, {"type": "non_standard", "value": POINT}], "a"),
    ([TEXT, {"type": "non_standard", "id": OWN, "value": POINT}], "a"),
    ([TEXT | {"citations": [1]} | MARKER], [TEXT | {"citations": [1]}]),
    ([TEXT | {"extras": MARKER | {"x": 1}}], [TEXT | {"extras": {"x": 1}}]),
    ([IMAGE | MARKER, TEXT], [IMAGE, TEXT]),
    ([IMAGE | {"metadata": MARKER}], [IMAGE]),
    ([THOUGHT | MARKER], [THOUGHT]),
    (
        [{"type": "tool_result", "tool_use_id": "1", "content": [TEXT | MARKER]} | MARKER],
        [{"type": "tool_result", "tool_use_id": "1", "content": [TEXT]}],
    ),
    (
        [{"toolResult": {"toolUseId": "1", "content": [{"text": "a"}, POINT]}}],
        [{"toolResult": {"toolUseId": "1", "content": [{"text": "a"}]}}],
    ),
    (
        [{"type": "document", "source": {"type": "content", "content": [TEXT | MARKER]}}],
        [{"type": "document", "source": {"type": "content", "content": [TEXT]}}],
    ),
]


@pytest.mark.parametrize(("marked", "plain"), MARKED)
def test_prompt_cache_markers_do_not_enter(marked: Any, plain: Any) -> None:
    for role in ROLES:
        assert key(role(marked)) == key(role(plain))


CONTENTS: list[Any] = [
    *("a", "aa", "", [], ["a"], [{}]),
    [TEXT, TEXT],
    [TEXT | {"text": "aa"}, POINT, TEXT],
    [TEXT, TEXT | {"text": "aa"}],
    [TEXT, ""],
    *([TEXT | {name: []}] for name in ("citations", "annotations")),
    [TEXT | {"id": "msg_1"}],
    [TEXT | {"signature": "s"}],
    *([TEXT | {"extras": each}] for each in ({"signature": "s"}, {})),
    [TEXT | {"index": "1"}],
    [TEXT | {"cache_control": "no-store"}],
    *([{"type": "text", "text": each}] for each in (None, 1)),
    [{"type": "text"}],
    [{"text": "a"}],
    [{"type": "input_text", "text": "a"}],
    *([THOUGHT | each] for each in ({}, {"thinking": "b"}, {"signature": "t"})),
    *([IMAGE | each] for each in ({}, {"base64": "aG8="})),
    [IMAGE, TEXT],
    [TEXT, IMAGE],
    [{"type": "non_standard"}],
    [{"type": "non_standard", "value": {}}],
    [{"type": "non_standard", "value": POINT | {"text": "a"}}],
    *([{"type": "image", "id": each}] for each in ("file-1", "2")),
    *([{"type": "image", "source_type": "id", "id": each}] for each in (OWN, OTHER)),
    *([{"type": "text", "call_id": each}] for each in "xy"),
]
MESSAGES: list[BaseMessage] = [
    *(kind("a") for kind in (HumanMessage, SystemMessage, AIMessage)),
    *(ChatMessage(content="a", role=each) for each in ("critic", "poet")),
    *(HumanMessage("a", name=each) for each in ("bob", "")),
    *(HumanMessage(each) for each in ("a ", "\u00e9", "e\u0301")),
    HumanMessage([{"type": "text", "text": "a", "citations": []}]),
    *(HumanMessage("a", additional_kwargs={each: 1}) for each in ("cache_control", "parsed")),
    AIMessage("a", additional_kwargs={"refusal": None}),
    *(AIMessage("", additional_kwargs=each) for each in ({}, {"parsed": 1})),
    *(AIMessage("a", tool_calls=[call(each)]) for each in ("1", None, "")),
    AIMessage("a", tool_calls=[call("1", "g")]),
    *(AIMessage("a", tool_calls=[call("1", x=each)]) for each in (1, 1.0, True, None)),
    *(AIMessage("a", tool_calls=[call("1"), call(each)]) for each in "12"),
    *(AIMessage("", tool_calls=[call("c", id=each)]) for each in "xy"),
    result("a"),
    ToolMessage("a", tool_call_id="1", status="error"),
    ToolMessage("a", tool_call_id="1", name="f"),
]
FORMAT_FIELDS = ("model_provider", "model_name", "output_version")
HOLDERS: dict[str, Callable[[Any], BaseMessage]] = {
    "input": lambda each: ai({"type": "tool_use", "id": "1", "name": "f", "input": each}),
    "arguments": lambda each: AIMessage("", tool_calls=[call("1", **each)]),
    "JSON": lambda each: result([{"type": "json", "json": each}]),
    "value": lambda each: HumanMessage([{"type": "x", "value": each}]),
    "additional_kwargs": lambda each: HumanMessage("a", additional_kwargs=each),
}
DIFFERENT: dict[str, list[BaseMessage]] = {
    "messages": MESSAGES,
    "parts of a stream": [
        *(AIMessageChunk(content="a"), streamed(AIMessageChunk(content="a")), AIMessage("ab")),
        *(WHOLE_STREAM, AIMessage("aa", tool_calls=[call("1", x=2)])),
    ],
    "generated ids of calls": [
        ai(*({"type": "tool_call", "id": id_} for id_ in ids)) for ids in ((OWN, OWN), (OWN, OTHER))
    ],
    "index in annotations": [ai(TEXT | {"annotations": [{"index": n}]}) for n in (1, 2)],
    "index in extras": [ai(TEXT | {"extras": {"index": n}}) for n in (1, 2)],
}
for role in ROLES:
    DIFFERENT[f"contents, {role.__name__}"] = [role(each) for each in CONTENTS]
    if role is not AIMessage:
        slots = [[{"type": "slot", "index": n}] for n in (1, 2, "lc_1")]
        DIFFERENT[f"index, {role.__name__}"] = [role(each) for each in slots]
for metadata in ([{field: each} for each in "12"] for field in FORMAT_FIELDS):
    DIFFERENT[f"blocks, {metadata}"] = [ai(THOUGHT, response_metadata=each) for each in metadata]
    DIFFERENT[f"reasoning, {metadata}"] = [
        AIMessage("a", additional_kwargs={"reasoning": "r"}, response_metadata=each)
        for each in metadata
    ]
for marker in (MARKER, POINT, BREAKPOINT):
    values = [marker, {name: {"other": 1} for name in marker}, {}]
    for name, holder in HOLDERS.items():
        DIFFERENT[f"{[*marker]} in {name}"] = [holder(each) for each in values]


@pytest.mark.parametrize("messages", DIFFERENT.values(), ids=DIFFERENT)
def test_messages_that_a_model_can_tell_apart_have_different_keys(
    messages: list[BaseMessage],
) -> None:
    assert len({key(message) for message in messages}) == len(messages)


def test_messages_of_two_classes_have_different_keys() -> None:
    text = dumps([HumanMessage("a")])
    assert conversation_text(text) != conversation_text(text.replace("Human", "Urgent"))


DEFAULTS: dict[str, Any] = {
    "additional_kwargs": {},
    "response_metadata": {},
    "status": "success",
    "artifact": None,
    "chunk_position": None,
    "name": None,
    "invalid_tool_calls": [],
    "tool_call_chunks": [],
    "tool_calls": [],
}
RAW: list[Any] = [({}, {name: default}) for name, default in DEFAULTS.items()]
RAW += [
    ({name: [{"id": "x"}]}, {name: [{"id": "y"}]})
    for name in ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
]
RAW += [({"content": [THOUGHT]}, {"content": [THOUGHT], "response_metadata": 5})]


@pytest.mark.parametrize(("one", "other"), RAW)
def test_serialised_messages_that_differ_in_an_ignored_value_have_equal_keys(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    item: Any = {"lc": 1, "type": "constructor", "id": []}
    prompts = [[item | {"kwargs": {"content": "a", "type": "ai"} | each}] for each in (one, other)]
    assert len({conversation_text(json.dumps(prompt)) for prompt in prompts}) == 1


def test_whitespace_and_order_of_fields_do_not_enter() -> None:
    text = dumps([AIMessage("a", tool_calls=[call("1", x=1, y=2)])])
    backwards = json.dumps(json.loads(text, object_pairs_hook=lambda pairs: dict(pairs[::-1])))
    spaced = "\n " + json.dumps(json.loads(text), indent=2)
    assert len({text, backwards, spaced}) == 3
    assert len({conversation_text(each) for each in (text, backwards, spaced)}) == 1


def exchange(first: str, second: str, answered: tuple[str, str] | None = None) -> str:
    one, other = answered or (first, second)
    return key(
        ai(
            *({"type": "tool_use", "id": id_, "name": "f", "input": {}} for id_ in (first, second)),
            tool_calls=[call(first), call(second)],
            additional_kwargs={"tool_calls": [{"id": first}, {"id": second}]},
        ),
        ToolMessage("sun", tool_call_id=one),
        ToolMessage("rain", tool_call_id=other),
        HumanMessage([{"type": "tool_result", "tool_use_id": second, "content": "fog"}]),
        HumanMessage([{"type": "tool_result", "toolUseId": first, "content": "fog"}]),
    )


def test_ids_of_calls_and_their_results_do_not_enter() -> None:
    assert exchange("call_a", "call_b") == exchange("call_y", "call_x") == exchange("1", "0")


@pytest.mark.parametrize("answered", [("b", "a"), ("a", "a"), ("a", "c")])
def test_results_of_other_calls_have_another_key(answered: tuple[str, str]) -> None:
    assert exchange("a", "b") != exchange("a", "b", answered)


@pytest.mark.parametrize("id_", [5, ["x"], {"x": 1}], ids=str)
def test_call_id_other_than_text_enters(id_: object) -> None:
    (message,) = json.loads(key(ai({"type": "tool_use", "id": id_})))
    assert message["kwargs"]["content"][0]["id"] == id_


def test_call_id_in_a_text_enters() -> None:
    texts = [key(HumanMessage(id_), AIMessage("", tool_calls=[call(id_)])) for id_ in "xy"]
    assert texts[0] != texts[1]


DEEP = 200_000
AI = '{"lc": 1, "type": "constructor", "id": [], "kwargs": {"content": %s}}'


@pytest.mark.parametrize(
    "prompt",
    [
        "[" * DEEP,
        "[{" * DEEP,
        f"[{AI % ('[' * DEEP + ']' * DEEP)}]",
        '[{"a": 1}]',
        '[{"lc": 1, "type": "constructor", "kwargs": {}}]',
        '[{"lc": 1, "type": "constructor", "kwargs": []}]',
        f"[{AI % 5}, 5]",
        f"[{AI % '1' * 5000}]",
        f"[{AI % ('1' * 5000)}]",
        f"[{AI % 5}] ?",
    ],
    ids=range(10),
)
def test_text_other_than_a_list_of_messages_is_unchanged(prompt: str) -> None:
    assert canonical(prompt, prompt) == (prompt, prompt)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"', '{"type": {}}', "[5, {}]"])
def test_odd_value_is_kept(value: str) -> None:
    text = conversation_text(f"[{AI % value}]")
    assert conversation_text(text) == text
    assert value.replace(" ", "") in text


def test_remembered_hash_equals_the_hash_of_the_text() -> None:
    for prompt in (dumps([AIMessage("a", id="1")]), "q"):
        hashes = [conversation_hash(prompt) for _ in range(2)]
        assert hashes == [digest(conversation_text(prompt))] * 2


def test_number_of_known_hashes_is_bounded() -> None:
    for number in range(2 * conversation_key.MAX_KNOWN_HASHES):
        conversation_hash(dumps([HumanMessage(f"question {number}")]))
    assert 0 < len(conversation_key._known_hashes) <= conversation_key.MAX_KNOWN_HASHES

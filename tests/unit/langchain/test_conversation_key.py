"""What enters the key of a question: every rule, and that no two questions become one."""

import json
import os
import subprocess
import sys
import time
from functools import cache, reduce
from operator import add
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_aws import ChatBedrockConverse
from langchain_core.language_models import FakeListChatModel
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
from pydantic import BaseModel, create_model

from llm_cache._entries.keys import digest
from llm_cache._langchain import conversation_key as canonicals
from llm_cache._langchain.conversation_key import (
    MAX_KNOWN_HASHES,
    conversation_hash,
    conversation_text,
)
from llm_cache._langchain.settings_key import TRANSPORT, settings_key

SETTINGS = "[('_type', 'chat'), ('stop', None)]"
CREDENTIALS: dict[str, Any] = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "secret"}


def canonical(prompt: str, llm_string: str) -> tuple[str, str]:
    return conversation_text(prompt), settings_key(llm_string)


def prompt_key(*messages: BaseMessage) -> str:
    return canonical(dumps(list(messages)), SETTINGS)[0]


def model_key(model: Any, **kwargs: Any) -> str:
    return canonical("q", model._get_llm_string(**{"stop": None, **kwargs}))[1]


@cache  # half a second each
def plain_bedrock() -> Any:
    return bedrock()


def bedrock(**kwargs: Any) -> Any:
    return ChatBedrockConverse(
        model="anthropic.claude-3-5-sonnet-20240620-v1:0",
        region_name="us-east-1",
        **{**CREDENTIALS, **kwargs},
    )


def serialised(kwargs: dict[str, Any], parameters: str = "[('stop', None)]") -> str:
    model = {"lc": 1, "type": "constructor", "id": ["m", "Chat"], "kwargs": kwargs}
    return json.dumps(model, sort_keys=True) + "---" + parameters


def structured(schema: Any, **kwargs: Any) -> Any:
    """Return the settings of the model call that a chain for structured output makes."""
    bound = plain_bedrock().with_structured_output(schema, **kwargs).first
    return model_key(plain_bedrock(), **bound.kwargs)


# Messages: what leaves.


@pytest.mark.parametrize(
    "passing",
    [
        {"id": "run-1"},
        {"usage_metadata": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}},
        {"usage_metadata": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}},
        {"response_metadata": {"request": "r-1", "model_provider": "p", "total_cost": 0}},
    ],
    ids=str,
)
def test_what_a_provider_says_about_an_answer_does_not_enter(passing: dict[str, Any]) -> None:
    assert prompt_key(AIMessage("a", **passing)) == prompt_key(AIMessage("a"))


def test_ids_do_not_enter_where_an_older_core_leaves_them_in() -> None:
    text = dumps([AIMessage("a", id="run-1")])
    assert "run-1" in text
    assert canonical(text, SETTINGS)[0] == prompt_key(AIMessage("a"))


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("additional_kwargs", {}),
        ("artifact", None),
        ("chunk_position", None),
        ("invalid_tool_calls", []),
        ("name", None),
        ("response_metadata", {}),
        ("status", "success"),
        ("tool_call_chunks", []),
        ("tool_calls", []),
    ],
)
def test_a_field_at_its_default_is_as_one_that_is_absent(field: str, default: object) -> None:
    plain = json.loads(dumps([ToolMessage("a", tool_call_id="1")]))
    plain[0]["kwargs"].pop(field, None)
    with_default = json.loads(json.dumps(plain))
    with_default[0]["kwargs"][field] = default
    assert canonical(json.dumps(plain), SETTINGS) == canonical(json.dumps(with_default), SETTINGS)


class Parsed(BaseModel):
    name: str


@pytest.mark.parametrize("kind", [AIMessage, AIMessageChunk])
@pytest.mark.parametrize("extras", [{}, {"refusal": None}])
def test_what_was_parsed_from_the_content_does_not_enter(kind: Any, extras: dict[str, Any]) -> None:
    fields = {"content": '{"name": "Ada"}', "response_metadata": {"model_name": "m"}}
    parsed: Any = ({"parsed": Parsed(name="Ada")}, {"parsed": {"name": "Ada"}}, {})
    keys = {prompt_key(kind(**fields, additional_kwargs={**extras, **each})) for each in parsed}
    assert len(keys) == 1


OWN, OTHER = (f"lc_{d * 8}-{d * 4}-{d * 4}-{d * 4}-{d * 12}" for d in "01")


def test_ids_that_core_gave_to_content_blocks_do_not_enter() -> None:
    texts = [{}, {"id": OWN}, {"id": OTHER}]
    keys = {prompt_key(HumanMessage([{"type": "text", "text": "a", **id_}])) for id_ in texts}
    assert len(keys) == 1


TEXT_BLOCK: dict[str, Any] = {"type": "text", "text": "a"}
MARKER = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
POINT = {"cachePoint": {"type": "default"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
IMAGE = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
THOUGHT = {"type": "thinking", "thinking": "a", "signature": "s"}
ROLES: list[Any] = [
    HumanMessage,
    SystemMessage,
    AIMessage,
    lambda content: ToolMessage(content, tool_call_id="1"),
]


@pytest.mark.parametrize("role", ROLES, ids=["human", "system", "ai", "tool"])
@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ([TEXT_BLOCK | MARKER], "a"),
        ([TEXT_BLOCK | {"extras": MARKER}], "a"),
        ([TEXT_BLOCK | BREAKPOINT], "a"),
        ([TEXT_BLOCK | {"extras": BREAKPOINT}], "a"),
        ([TEXT_BLOCK, POINT], "a"),
        ([POINT, TEXT_BLOCK, POINT], "a"),
        ([TEXT_BLOCK, {"cache_point": {"type": "default", "ttl": "1h"}}], "a"),
        ([TEXT_BLOCK, {"type": "non_standard", "value": POINT}], "a"),
        ([TEXT_BLOCK, {"type": "non_standard", "id": OWN, "value": POINT}], "a"),
        ([TEXT_BLOCK | {"citations": [1]} | MARKER], [TEXT_BLOCK | {"citations": [1]}]),
        ([TEXT_BLOCK | {"extras": MARKER | {"x": 1}}], [TEXT_BLOCK | {"extras": {"x": 1}}]),
        ([IMAGE | MARKER, TEXT_BLOCK], [IMAGE, TEXT_BLOCK]),
        ([IMAGE | {"metadata": MARKER}], [IMAGE]),
        ([THOUGHT | MARKER], [THOUGHT]),
        (
            [
                {"type": "tool_result", "tool_use_id": "1", "content": [TEXT_BLOCK | MARKER]}
                | MARKER
            ],
            [{"type": "tool_result", "tool_use_id": "1", "content": [TEXT_BLOCK]}],
        ),
        (
            [{"toolResult": {"toolUseId": "1", "content": [{"text": "a"}, POINT]}}],
            [{"toolResult": {"toolUseId": "1", "content": [{"text": "a"}]}}],
        ),
        (
            [{"type": "document", "source": {"type": "content", "content": [TEXT_BLOCK | MARKER]}}],
            [{"type": "document", "source": {"type": "content", "content": [TEXT_BLOCK]}}],
        ),
    ],
)
def test_markers_of_a_provider_s_prompt_cache_do_not_enter(
    role: Any, marked: Any, plain: Any
) -> None:
    assert prompt_key(role(marked)) == prompt_key(role(plain))


@pytest.mark.parametrize("marker", [MARKER, POINT, BREAKPOINT])
@pytest.mark.parametrize(
    "holder",
    [
        lambda marker: AIMessage([{"type": "tool_use", "id": "1", "name": "f", "input": marker}]),
        lambda marker: AIMessage("", tool_calls=[call("1", **marker)]),
        lambda marker: ToolMessage([{"type": "json", "json": marker}], tool_call_id="1"),
        lambda marker: HumanMessage([{"type": "x", "value": marker}]),
        lambda marker: HumanMessage("a", additional_kwargs=marker),
    ],
)
def test_arguments_and_data_that_look_like_markers_stay(holder: Any, marker: Any) -> None:
    changed = {name: {"other": 1} for name in marker}
    keys = {prompt_key(holder(each)) for each in (marker, changed, {})}
    assert len(keys) == 3


@pytest.mark.parametrize("role", ROLES, ids=["human", "system", "ai", "tool"])
def test_a_list_of_one_text_block_equals_its_text(role: Any) -> None:
    keys = {
        prompt_key(role(content)) for content in ("a", [TEXT_BLOCK], [TEXT_BLOCK | {"id": OWN}])
    }
    assert len(keys) == 1


@pytest.mark.parametrize("role", ROLES, ids=["human", "system", "ai", "tool"])
def test_contents_that_differ_in_more_than_their_form_differ(role: Any) -> None:
    contents: list[Any] = [
        "a",
        "aa",
        "",
        [],
        ["a"],
        [{}],
        [TEXT_BLOCK, TEXT_BLOCK],
        [TEXT_BLOCK | {"text": "aa"}, POINT, TEXT_BLOCK],
        [TEXT_BLOCK, TEXT_BLOCK | {"text": "aa"}],
        [TEXT_BLOCK, ""],
        [TEXT_BLOCK | {"citations": []}],
        [TEXT_BLOCK | {"annotations": []}],
        [TEXT_BLOCK | {"id": "msg_1"}],
        [TEXT_BLOCK | {"signature": "s"}],
        [TEXT_BLOCK | {"extras": {"signature": "s"}}],
        [TEXT_BLOCK | {"extras": {}}],
        [TEXT_BLOCK | {"index": "1"}],
        [TEXT_BLOCK | {"cache_control": "no-store"}],
        [{"type": "text", "text": None}],
        [{"type": "text", "text": 1}],
        [{"type": "text"}],
        [{"text": "a"}],
        [{"type": "input_text", "text": "a"}],
        [THOUGHT],
        [THOUGHT | {"thinking": "b"}],
        [THOUGHT | {"signature": "t"}],
        [IMAGE],
        [IMAGE | {"base64": "aG8="}],
        [IMAGE, TEXT_BLOCK],
        [TEXT_BLOCK, IMAGE],
        [{"type": "non_standard", "value": {}}],
        [{"type": "non_standard"}],
        [{"type": "non_standard", "value": POINT | {"text": "a"}}],
    ]
    assert len({prompt_key(role(content)) for content in contents}) == len(contents)


@pytest.mark.parametrize("index", [0, 7, "lc_0", "lc_txt_7"])
def test_what_streamed_blocks_are_put_together_by_does_not_enter(index: Any) -> None:
    for blocks in ([TEXT_BLOCK], [THOUGHT, TEXT_BLOCK], [{"type": "tool_use", "id": "1"}]):
        numbered: list[Any] = [block | {"index": index} for block in blocks]
        assert prompt_key(AIMessage(numbered)) == prompt_key(AIMessage([*blocks]))


def test_an_index_that_is_no_number_of_a_streamed_block_stays() -> None:
    for other in (
        HumanMessage,
        SystemMessage,
        lambda content: ToolMessage(content, tool_call_id="1"),
    ):
        keys = {prompt_key(other([{"type": "slot", "index": index}])) for index in (1, 2, "lc_1")}
        assert len(keys) == 3
    for inner in (
        {"annotations": [{"index": 1}]},
        {"args": {"index": 1}},
        {"extras": {"index": 1}},
    ):
        other_inner = json.loads(json.dumps(inner).replace("1", "2"))
        keys = {prompt_key(AIMessage([TEXT_BLOCK | each])) for each in (inner, other_inner)}
        assert len(keys) == 2


def streamed(*chunks: AIMessageChunk) -> AIMessageChunk:
    last = AIMessageChunk(content="", chunk_position="last")
    return reduce(add, [*chunks, last])


def test_the_sum_of_a_stream_equals_the_message_that_it_makes() -> None:
    parts = [("f", '{"x":', "1"), (None, "1}", None)]
    chunks = [tool_call_chunk(name=name, args=args, id=id_, index=0) for name, args, id_ in parts]
    whole = streamed(*(AIMessageChunk(content="a", tool_call_chunks=[each]) for each in chunks))
    assert whole.tool_call_chunks
    assert prompt_key(whole) == prompt_key(AIMessage("aa", tool_calls=[call("1", x=1)]))
    assert prompt_key(whole) != prompt_key(AIMessage("aa", tool_calls=[call("1", x=2)]))


def test_a_part_of_a_stream_differs_from_the_whole() -> None:
    part = AIMessageChunk(content="a", tool_call_chunks=[])
    assert len({prompt_key(each) for each in (part, streamed(part), AIMessage("ab"))}) == 3


def test_a_tool_s_artifact_does_not_enter() -> None:
    artifacts: tuple[Any, ...] = (None, {"x": 1}, [2])
    keys = {prompt_key(ToolMessage("a", tool_call_id="1", artifact=each)) for each in artifacts}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "block",
    [{"type": "image", "id": "file-1"}, {"type": "image", "source_type": "id", "id": OTHER}],
)
def test_ids_that_are_the_content_stay(block: dict[str, Any]) -> None:
    assert prompt_key(HumanMessage([block])) != prompt_key(HumanMessage([{**block, "id": "2"}]))
    assert block["id"] in prompt_key(HumanMessage([block]))


# Messages: what stays.


@pytest.mark.parametrize("field", ["model_provider", "model_name", "output_version"])
@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "thinking", "thinking": "a"}]},
        {"content": "a", "additional_kwargs": {"reasoning_content": "hm"}},
    ],
    ids=["blocks", "additional_kwargs"],
)
def test_what_tells_how_to_read_blocks_stays(field: str, message: dict[str, Any]) -> None:
    one, other = ({field: value, "request": value} for value in ("1", "2"))
    keys = {prompt_key(AIMessage(**message, response_metadata=data)) for data in (one, other)}
    assert len(keys) == 2
    same = AIMessage(**message, response_metadata={field: "1", "request": "3"})
    assert prompt_key(same) in keys


def test_metadata_of_no_known_form_does_not_enter() -> None:
    text = dumps([AIMessage([{"type": "thinking", "thinking": "a"}])])
    odd = text.replace('"type": "ai"', '"response_metadata": 5, "type": "ai"')
    assert odd != text
    assert canonical(odd, SETTINGS) == canonical(text, SETTINGS)


def call(id_: str | None, name: str = "f", **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": id_, "type": "tool_call"}


DISTINCT: list[BaseMessage] = [
    HumanMessage("a"),
    SystemMessage("a"),
    AIMessage("a"),
    ChatMessage(content="a", role="critic"),
    ChatMessage(content="a", role="poet"),
    HumanMessage("a", name="bob"),
    HumanMessage("a", name=""),
    HumanMessage("a "),
    HumanMessage("\u00e9"),
    HumanMessage("e\u0301"),
    HumanMessage([{"type": "text", "text": "a", "citations": []}]),
    HumanMessage("a", additional_kwargs={"cache_control": 1}),
    HumanMessage("a", additional_kwargs={"parsed": 1}),
    AIMessage("a", additional_kwargs={"refusal": None}),
    AIMessage(""),
    AIMessage("", additional_kwargs={"parsed": 1}),
    AIMessage("a", tool_calls=[call("1")]),
    AIMessage("a", tool_calls=[call(None)]),
    AIMessage("a", tool_calls=[call("")]),
    AIMessage("a", tool_calls=[call("1", "g")]),
    AIMessage("a", tool_calls=[call("1", x=1)]),
    AIMessage("a", tool_calls=[call("1", x=1.0)]),
    AIMessage("a", tool_calls=[call("1", x=True)]),
    AIMessage("a", tool_calls=[call("1", x=None)]),
    AIMessage("a", tool_calls=[call("1"), call("2")]),
    AIMessage("a", tool_calls=[call("1"), call("1")]),
    ToolMessage("a", tool_call_id="1"),
    ToolMessage("a", tool_call_id="1", status="error"),
    ToolMessage("a", tool_call_id="1", name="f"),
]


def test_messages_that_differ_in_what_a_model_may_see_differ() -> None:
    keys = [prompt_key(message) for message in DISTINCT]
    assert len(set(keys)) == len(DISTINCT)


def test_messages_of_two_classes_differ() -> None:
    text = dumps([HumanMessage("a")])
    other = text.replace("HumanMessage", "UrgentMessage")
    assert canonical(text, SETTINGS) != canonical(other, SETTINGS)


def test_whitespace_and_the_order_of_keys_do_not_matter() -> None:
    text = dumps([AIMessage("a", tool_calls=[call("1", x=1, y=2)])])
    backwards = json.dumps(json.loads(text, object_pairs_hook=lambda pairs: dict(pairs[::-1])))
    assert backwards != text
    assert canonical(backwards, SETTINGS) == canonical(text, SETTINGS)
    spaced = "\n " + json.dumps(json.loads(text), indent=2)
    assert canonical(spaced, SETTINGS) == canonical(text, SETTINGS)


# Tool calls.


def exchange(first: str, second: str, answered: tuple[str, str] | None = None) -> str:
    blocks: list[Any] = [
        {"type": "tool_use", "id": first, "name": "f", "input": {}},
        {"type": "tool_use", "id": second, "name": "f", "input": {}},
    ]
    one, other = answered or (first, second)
    return prompt_key(
        AIMessage(
            blocks,
            tool_calls=[call(first), call(second)],
            additional_kwargs={"tool_calls": [{"id": first}, {"id": second}]},
        ),
        ToolMessage("sun", tool_call_id=one),
        ToolMessage("rain", tool_call_id=other),
        HumanMessage([{"type": "tool_result", "tool_use_id": second, "content": "fog"}]),
        HumanMessage([{"type": "tool_result", "toolUseId": first, "content": "fog"}]),
    )


def test_the_ids_of_tool_calls_do_not_enter() -> None:
    assert exchange("call_a", "call_b") == exchange("call_y", "call_x") == exchange("1", "0")


def test_results_that_answer_other_calls_differ() -> None:
    assert exchange("a", "b") != exchange("a", "b", ("b", "a"))
    assert exchange("a", "b") != exchange("a", "b", ("a", "a"))
    assert exchange("a", "b") != exchange("a", "b", ("a", "c"))


@pytest.mark.parametrize(
    ("kind", "link"),
    [
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
    ],
)
def test_the_ids_of_calls_and_results_in_content_do_not_enter(kind: str, link: str) -> None:
    one, other = (prompt_key(AIMessage([{"type": kind, link: id_}])) for id_ in ("x", "y"))
    assert one == other


@pytest.mark.parametrize("field", ["tool_calls", "invalid_tool_calls", "tool_call_chunks"])
def test_the_ids_of_every_list_of_calls_do_not_enter(field: str) -> None:
    item = json.loads(dumps(AIMessage("a")))
    texts = [
        json.dumps([{**item, "kwargs": {"content": "a", field: [{"id": id_, "name": "f"}]}}])
        for id_ in ("x", "y")
    ]
    assert canonical(texts[0], SETTINGS) == canonical(texts[1], SETTINGS)


def test_calls_whose_ids_core_gave_are_told_apart() -> None:
    one, other = ({"type": "tool_call", "id": id_} for id_ in (OWN, OTHER))
    assert prompt_key(AIMessage([one, one])) != prompt_key(AIMessage([one, other]))


@pytest.mark.parametrize("id_", [5, ["x"], {"x": 1}], ids=str)
def test_an_id_that_is_no_text_stays(id_: object) -> None:
    key = prompt_key(AIMessage([{"type": "tool_use", "id": id_}]))
    assert json.loads(key)[0]["kwargs"]["content"][0]["id"] == id_


def test_an_id_in_a_text_or_an_argument_stays() -> None:
    texts = [prompt_key(HumanMessage(id_), AIMessage("", tool_calls=[call(id_)])) for id_ in "xy"]
    assert texts[0] != texts[1]
    args = [prompt_key(AIMessage("", tool_calls=[call("c", id=id_)])) for id_ in "xy"]
    assert args[0] != args[1]
    blocks = [prompt_key(HumanMessage([{"type": "text", "call_id": id_}])) for id_ in "xy"]
    assert blocks[0] != blocks[1]


# Settings.


@pytest.mark.parametrize("name", sorted(TRANSPORT | {"name"}))
def test_transport_does_not_enter(name: str) -> None:
    plain = canonical("q", serialised({"model_id": "m"}))
    assert canonical("q", serialised({"model_id": "m", name: {"a": "b"}})) == plain


@pytest.mark.parametrize("name", sorted(TRANSPORT))
def test_transport_bound_to_a_call_does_not_enter(name: str) -> None:
    bound = f"[('stop', None), ('{name}', {{'a': 'b'}}), ('z', 1)]"
    assert canonical("q", bound)[1] == "[('stop', None), ('z', 1)]"


@pytest.mark.parametrize(
    "transport",
    [
        {"timeout": 3},
        {"max_retries": 4},
        {"name": "chef"},
        {"default_headers": {"X-Request-ID": "1"}},
        {"aws_session_token": "token"},
        {"callbacks": []},
        {"tags": ["t"]},
        {"metadata": {"a": 1}},
        {"verbose": True},
        {"request_metadata": {"user": "u"}},
        {"custom_get_token_ids": len},
    ],
    ids=str,
)
def test_how_a_bedrock_model_is_reached_does_not_enter(transport: dict[str, Any]) -> None:
    assert model_key(bedrock(**transport)) == model_key(plain_bedrock())


@pytest.mark.parametrize(
    "setting",
    [
        {"model": "anthropic.claude-3-haiku-20240307-v1:0"},
        {"region_name": "eu-west-1"},
        {"endpoint_url": "http://127.0.0.1:9"},
        {"temperature": 0},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"max_tokens": 5},
        {"stop_sequences": ["x"]},
        {"system": ["Be brief."]},
        {"guardrail_config": {"guardrailIdentifier": "g"}},
        {"additional_model_request_fields": {"seed": 1}},
        {"default_headers": {"anthropic-beta": "context-1m"}},
        {"performance_config": {"latency": "optimized"}},
    ],
    ids=str,
)
def test_what_a_bedrock_model_is_asked_stays(setting: dict[str, Any]) -> None:
    model = ChatBedrockConverse(
        **{"model": plain_bedrock().model_id, "region_name": "us-east-1", **CREDENTIALS, **setting}
    )
    assert model_key(model) != model_key(plain_bedrock())


@pytest.mark.parametrize(
    "bound",
    [
        {"stop": ["\n"]},
        {"tools": [{"name": "f"}]},
        {"tool_choice": "any"},
        {"response_format": {"type": "json_object"}},
        {"seed": 1},
        {"name": "bound"},
        {"extra_headers": {"anthropic-beta": "b"}},
    ],
    ids=str,
)
def test_what_is_bound_to_a_model_stays(bound: dict[str, Any]) -> None:
    for model in (plain_bedrock(), FakeListChatModel(responses=["a"])):
        assert model_key(model, **bound) != model_key(model)


def named_function() -> None: ...


def test_the_address_of_a_named_function_does_not_enter() -> None:
    one, other = (f"[('f', <function a.b at 0x{digits}>)]" for digits in ("7f01", "7F02"))
    assert canonical("q", one)[1] == canonical("q", other)[1] == "[('f', <function a.b>)]"
    model = FakeListChatModel(responses=["a"])
    assert "named_function>" in model_key(model, choose=named_function)


@pytest.mark.parametrize(
    "object_",
    [
        "<function <lambda> at 0x{}>",
        "<function f.<locals>.g at 0x{}>",
        "<a.B object at 0x{}>",
        "<a.B at 0x{}>",
    ],
)
def test_addresses_of_what_may_differ_unseen_stay(object_: str) -> None:
    one, other = (f"[('f', {object_.format(digits)})]" for digits in ("7f01", "7f02"))
    assert canonical("q", one)[1] == one
    assert canonical("q", other)[1] == other


def test_the_address_in_a_nested_object_does_not_enter() -> None:
    def text(digits: str) -> str:
        node = {"lc": 1, "type": "not_implemented", "repr": f"<function f at 0x{digits}>"}
        return serialised({"hooks": [node], "said": f"<function f at 0x{0}>"})

    assert canonical("q", text("1")) == canonical("q", text("2"))
    assert "<function f at 0x0>" in canonical("q", text("1"))[1]


def test_quotes_without_end_are_left_alone_in_bounded_time() -> None:
    quotes = "'" + "\\'" * 50_000
    began = time.process_time()
    _, found = canonical(
        "q", serialised({"x": {"lc": 1, "type": "not_implemented", "repr": quotes}})
    )
    assert time.process_time() - began < 5
    assert json.loads(found.partition("---")[0])["kwargs"]["x"]["repr"] == quotes


def test_what_only_looks_like_an_object_stays() -> None:
    one, other = (serialised({"x": {"repr": f"<function f at 0x{digit}>"}}) for digit in "12")
    assert canonical("q", one) != canonical("q", other)


def test_what_a_string_says_is_never_taken_for_a_setting() -> None:
    said = [
        f"[('system', {text!r}), ('tools', [{{'d': {text!r}}}])]"
        for text in (
            "x'), ('timeout', 3), ('y', 'z",
            "x'), ('timeout', 4), ('y', 'z",
            'a "b" it\'s <function f at 0x7f01>',
            'a "b" it\'s <function f at 0x7f02>',
            f"<class '{__name__}.Joke'>",
            "\\",
            "[({",
        )
    ]
    assert [canonical("q", text)[1] for text in said] == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "q",
        "[",
        "[('a', 1]",
        "[('a', 1)] ",
        "[('a', 1),('timeout', 2)]",
        "[('timeout', it's)]",
        "[('a', it's, its'), ('timeout', 3)]",
        "[('a', 'tis it's), ('timeout', 3)]",
        "[('timeout', <it's>), ('b', 'c')]",
        "[5, ('timeout', 3)]",
        "[(5), ('timeout', 3)]",
        "[('timeout', 3)",
        "{",
        "{}",
        "{}---[('timeout', 3)]",
        '{"lc": 1, "type": "secret", "kwargs": {}}---[]',
        serialised({"timeout": 3}, "x"),
        serialised({"timeout": 3}).replace("---", "--"),
        serialised({"timeout": 3}).replace("---", "+++"),
        '{"a": ' * 200_000,
        serialised({"timeout": 3}).replace('"lc": 1', '"lc": 2'),
    ],
    ids=lambda text: text[:20],
)
def test_settings_that_are_not_clear_are_left_alone(text: str) -> None:
    assert canonical("q", text)[1] == text


# Structured output.


class Joke(BaseModel):
    setup: str


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_a_schema_that_changed_changes_the_key(method: str) -> None:
    models = [
        create_model("Joke", setup=str),
        create_model("Joke", setup=int),
        create_model("Joke", setup=str, punchline=str),
        create_model("Joke", punchline=str, setup=str),
        create_model("Joke", __doc__="A joke.", setup=str),
    ]
    keys = [structured(model, method=method) for model in models]
    assert len(set(keys)) == len(models)
    assert structured(Joke, method=method) == keys[0]


def test_a_schema_that_did_not_change_keeps_the_key_in_another_process() -> None:
    script = f"""if True:
        import importlib.util, warnings
        warnings.simplefilter("ignore")
        spec = importlib.util.spec_from_file_location("elsewhere", {__file__!r})
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print(module.structured(module.Joke))"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert run.stdout.strip() == structured(Joke)


# Any text at all.

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
def test_any_text_is_taken_and_what_comes_out_stays_as_it_is(prompt: str, llm_string: str) -> None:
    once = canonical(prompt, llm_string)
    assert canonical(*once) == once


@given(TEXT.filter(lambda text: not text.lstrip().startswith("[")))
def test_plain_text_is_left_alone(prompt: str) -> None:
    assert canonical(prompt, SETTINGS)[0] == prompt


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
def test_what_is_no_list_of_messages_is_left_alone(prompt: str) -> None:
    assert canonical(prompt, prompt) == (prompt, prompt)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"', '{"type": {}}', "[5, {}]"])
def test_odd_values_are_kept(value: str) -> None:
    key, _ = canonical(f"[{AI % value}]", SETTINGS)
    assert canonical(key, SETTINGS)[0] == key
    assert value.replace(" ", "") in key


NAMES = st.sampled_from(["f", "g", "0"])
IDS = st.sampled_from(["0", "1", "2", "call_a"])
SMALL = st.sampled_from(["", "a", "b", "0", "1", '"', "é", "e\u0301"])
ARGS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    SMALL, st.sampled_from([1, 1.0, True, "1", None, [], {}]), max_size=2
)
CALLS = st.builds(lambda name, args, id_: call(id_, name) | {"args": args}, NAMES, ARGS, IDS)
BLOCK = st.builds(
    lambda text, marker, rest: {"type": "text", "text": text} | marker | rest,
    SMALL,
    st.sampled_from([{}, MARKER, BREAKPOINT, {"extras": MARKER}, {"id": OWN}]),
    st.sampled_from([{}, {"citations": [1]}]),
)
CONTENT = SMALL | st.lists(BLOCK | st.just(POINT), min_size=1, max_size=3)
MESSAGES = st.lists(
    st.builds(HumanMessage, CONTENT, name=st.none() | SMALL)
    | st.builds(SystemMessage, CONTENT | st.lists(SMALL, max_size=2))
    | st.builds(AIMessage, CONTENT, tool_calls=st.lists(CALLS, max_size=2))
    | st.builds(ToolMessage, CONTENT, tool_call_id=IDS, artifact=st.none() | ARGS),
    min_size=1,
    max_size=3,
)


def ids_of(messages: list[BaseMessage]) -> list[str]:
    """Return the ids of the calls, in order of their appearance."""
    ids: list[str] = []
    for message in messages:
        ids += [str(made["id"]) for made in getattr(message, "tool_calls", [])]
        ids += [message.tool_call_id] if isinstance(message, ToolMessage) else []
    return ids


def seen_content(content: Any) -> Any:
    """Return what a provider is sent of a content, written independently of what is tested."""
    if isinstance(content, str):
        return [("text", content, None)]
    return [
        ("string", block) if isinstance(block, str)
        else ("text", block["text"], block.get("citations"))
        for block in content
        if isinstance(block, str) or "text" in block
    ]  # fmt: skip


def meaning(messages: list[BaseMessage]) -> str:
    """Say what the model sees, written independently of what is tested."""
    ids = list(dict.fromkeys(ids_of(messages)))
    seen = [
        (
            message.type,
            seen_content(message.content),
            message.name,
            [
                (ids.index(str(made["id"])), made["name"], sorted(made["args"].items()))
                for made in getattr(message, "tool_calls", [])
            ],
            ids.index(message.tool_call_id) if isinstance(message, ToolMessage) else None,
        )
        for message in messages
    ]
    return repr(seen)


@given(MESSAGES, MESSAGES)
def test_conversations_share_a_key_only_if_they_mean_the_same(
    one: list[BaseMessage], other: list[BaseMessage]
) -> None:
    assert (prompt_key(*one) == prompt_key(*other)) == (meaning(one) == meaning(other))


@given(MESSAGES, st.data())
def test_one_changed_message_changes_the_key(messages: list[BaseMessage], data: Any) -> None:
    place = data.draw(st.integers(0, len(messages) - 1))
    changed = [*messages]
    changed[place] = messages[place].model_copy(update={"content": data.draw(TEXT)})
    same = seen_content(changed[place].content) == seen_content(messages[place].content)
    assert (prompt_key(*messages) == prompt_key(*changed)) == same


@given(MESSAGES, st.permutations(["0", "1", "2", "call_a"]))
def test_calls_by_any_other_ids_share_a_key(messages: list[BaseMessage], names: list[str]) -> None:
    renamed = dict(zip(["0", "1", "2", "call_a"], names, strict=True))
    text = [message.model_copy(deep=True) for message in messages]
    for message in text:
        for made in getattr(message, "tool_calls", []):
            made["id"] = renamed[made["id"]]
        if isinstance(message, ToolMessage):
            message.tool_call_id = renamed[message.tool_call_id]
    assert prompt_key(*messages) == prompt_key(*text)


@given(MESSAGES)
def test_hash_of_a_conversation_is_that_of_its_text_also_when_it_is_known(
    messages: list[BaseMessage],
) -> None:
    prompt = dumps(messages)
    hashes = [conversation_hash(prompt) for _ in range(2)]
    assert hashes == [digest(conversation_text(prompt))] * 2
    assert conversation_hash("q") == digest("q")


def test_process_knows_a_bounded_number_of_conversations() -> None:
    for number in range(2 * MAX_KNOWN_HASHES):
        conversation_hash(dumps([HumanMessage(f"question {number}")]))
    assert 0 < len(canonicals._known_hashes) <= MAX_KNOWN_HASHES
